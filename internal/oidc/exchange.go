package oidc

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"

	"latchkey/internal/fault"
	"latchkey/internal/jwt"
	"latchkey/internal/xcontent"
)

// hashes are by the number at the end of an algorithm's name.
var hashes = map[string]func() hash.Hash{"256": sha256.New, "384": sha512.New384, "512": sha512.New}

// assertionLife is how long the proof of a client holds, which is used at once.
const assertionLife = 2 * time.Minute

// redeem exchanges a code for tokens. A provider that cannot be reached is
// fault.Unavailable.
func (r *Realm) redeem(ctx context.Context, code string) (idToken, accessToken string, err error) {
	if code == "" {
		return "", "", refuse("there is no code")
	}
	client := oauth2.Config{
		ClientID: r.o.ClientID, ClientSecret: r.o.ClientSecret.Reveal(), RedirectURL: r.o.RedirectURI,
		Endpoint: oauth2.Endpoint{TokenURL: r.o.Token, AuthStyle: oauth2.AuthStyleInHeader},
	}
	var more []oauth2.AuthCodeOption
	switch r.o.AuthMethod {
	case "client_secret_post":
		client.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	case "client_secret_jwt":
		proof, err := r.assertion()
		if err != nil {
			return "", "", err
		}
		client.ClientSecret, client.Endpoint.AuthStyle = "", oauth2.AuthStyleInParams
		more = []oauth2.AuthCodeOption{
			oauth2.SetAuthURLParam("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
			oauth2.SetAuthURLParam("client_assertion", proof),
		}
	}
	tokens, err := client.Exchange(context.WithValue(ctx, oauth2.HTTPClient, r.o.HTTP), code, more...)
	if denied, ok := errors.AsType[*oauth2.RetrieveError](err); ok && denied.Response.StatusCode < http.StatusInternalServerError {
		return "", "", refuse("the provider does not redeem the code: %s [%s] %s", denied.Response.Status, denied.ErrorCode, denied.ErrorDescription)
	} else if ok {
		err = fmt.Errorf("the provider answers %s", denied.Response.Status) // its body may hold anything
	}
	if err != nil {
		return "", "", fault.Wrap(err, fault.Unavailable, "the provider of the realm [%s] cannot redeem the code", r.Identity().Name)
	}
	idToken, _ = tokens.Extra("id_token").(string)
	return idToken, tokens.AccessToken, nil
}

// assertion proves that the client holds its secret without showing it (RFC 7523).
func (r *Realm) assertion() (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(r.o.AuthAlgorithm), Key: []byte(r.o.ClientSecret.Reveal())}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", err
	}
	now := r.o.Now()
	claims, err := json.Marshal(map[string]any{
		"iss": r.o.ClientID, "sub": r.o.ClientID, "aud": r.o.Token, "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	})
	if err != nil {
		return "", err
	}
	jws, err := signer.Sign(claims)
	if err != nil {
		return "", fmt.Errorf("sign the proof of the client with %s: %w", r.o.AuthAlgorithm, err)
	}
	return jws.CompactSerialize()
}

// ask adds what the provider tells about the holder of an access token. Claims of
// the ID token stay as they are.
func (r *Realm) ask(ctx context.Context, accessToken string, claims *jwt.Claims) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.o.UserInfo, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+accessToken)
	req.Header.Set("Accept", "application/json")
	text, err := jwt.Do(r.o.HTTP, req)
	if err != nil {
		return fault.Wrap(err, fault.Unavailable, "the provider of the realm [%s] does not tell about the user", r.Identity().Name)
	}
	told, err := xcontent.ParseJSON(text)
	if err != nil || told.Kind != xcontent.Object {
		return refuse("what the provider tells about the user is no JSON object")
	}
	if sub, _ := told.Get("sub"); sub.Text != claims.Subject {
		return refuse("the provider tells about somebody else")
	}
	// A slice of its own: the ID token's may be shared.
	all := slices.Clone(claims.All.Members)
	for _, m := range told.Members {
		if _, ok := claims.All.Get(m.Name); !ok {
			all = append(all, m)
		}
	}
	claims.All.Members = all
	return nil
}
