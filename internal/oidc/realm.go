// Package oidc is the realm of those who log in at an OpenID Connect provider.
// The application that users see speaks to the provider through their browsers;
// this room tells it where to send them (prepare), judges what they come back
// with (authenticate), and where they go to log out.
//
// It keeps nothing between the steps: state and nonce are with the application.
package oidc

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/jwt"
	"latchkey/internal/secret"
)

// Type is the type of the realm, as clients see it.
const Type = "oidc"

// The response types.
const (
	Code         = "code"
	IDToken      = "id_token"
	IDTokenToken = "id_token token"
)

// Options says how a [Realm] works. Which addresses are needed depends on ResponseType.
type Options struct {
	Directory jwt.Directory
	Verifier  jwt.Verifier // of ID tokens: its audience is the client's id
	Mapping   jwt.Mapping

	ClientID      string
	ClientSecret  secret.Secret
	AuthMethod    string // client_secret_basic, client_secret_post or client_secret_jwt
	AuthAlgorithm string // of client_secret_jwt
	ResponseType  string
	RedirectURI   string
	PostLogout    string // "" if the provider keeps users after they logged out
	Scopes        []string

	Authorization string // addresses at the provider
	Token         string
	UserInfo      string // "" if the ID token tells enough
	EndSession    string // "" if the provider knows no logout

	HTTP *http.Client
	Now  func() time.Time
	Log  *slog.Logger
}

// Realm is one provider. It is safe for concurrent use.
type Realm struct{ o Options }

// New returns a realm.
func New(o Options) *Realm {
	if !slices.Contains(o.Scopes, "openid") {
		o.Scopes = append([]string{"openid"}, o.Scopes...)
	}
	return &Realm{o}
}

// Identity is the realm's name and type.
func (r *Realm) Identity() access.Realm { return r.o.Directory.Realm }

// Issuer is the provider as its tokens call it.
func (r *Realm) Issuer() string { return r.o.Verifier.Issuer }

// Prepared is where a user goes to log in. The application keeps State and
// Nonce, and gives them back with what the user returns with.
type Prepared struct {
	Redirect, State, Nonce string
	Realm                  string
}

// prepare returns where a user goes to log in. What is empty of state and nonce is made.
func (r *Realm) prepare(state, nonce, loginHint string) Prepared {
	p := Prepared{State: state, Nonce: nonce, Realm: r.Identity().Name}
	for _, s := range []*string{&p.State, &p.Nonce} {
		if *s == "" {
			*s = rand.Text() + rand.Text()
		}
	}
	q := url.Values{
		"scope": {strings.Join(r.o.Scopes, " ")}, "response_type": {r.o.ResponseType}, "client_id": {r.o.ClientID},
		"redirect_uri": {r.o.RedirectURI}, "state": {p.State}, "nonce": {p.Nonce},
	}
	if loginHint != "" {
		q.Set("login_hint", loginHint)
	}
	p.Redirect = extend(r.o.Authorization, q)
	return p
}

// extend adds parameters to an address that may have some.
func extend(address string, q url.Values) string {
	u, err := url.Parse(address)
	if err != nil { // it was checked when it was read
		return address
	}
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += q.Encode()
	return u.String()
}

// mine reports whether a user may have come back to address for this realm.
func (r *Realm) mine(address *url.URL) bool {
	own, err := url.Parse(r.o.RedirectURI)
	return err == nil && strings.EqualFold(own.Scheme, address.Scheme) && strings.EqualFold(own.Host, address.Host) && own.Path == address.Path
}

// authenticate judges what a user came back with, and returns who it is, without
// permissions, and the ID token. What proves nothing is fault.Unauthenticated.
func (r *Realm) authenticate(ctx context.Context, came *url.URL, state, nonce string) (access.Subject, string, error) {
	reply, err := r.reply(came)
	if err != nil {
		return access.Subject{}, "", err
	}
	if !equal(reply.Get("state"), state) {
		return access.Subject{}, "", refuse("the state is not the one that the login began with")
	}
	if code := reply.Get("error"); code != "" {
		return access.Subject{}, "", refuse("the provider answers [%s] %s", code, reply.Get("error_description"))
	}
	idToken, accessToken := reply.Get("id_token"), reply.Get("access_token")
	if r.o.ResponseType == Code {
		if idToken, accessToken, err = r.redeem(ctx, reply.Get("code")); err != nil {
			return access.Subject{}, "", err
		}
	}
	claims, err := r.verify(ctx, idToken, accessToken, nonce)
	if err != nil {
		return access.Subject{}, "", err
	}
	if r.o.UserInfo != "" && accessToken != "" {
		if err := r.ask(ctx, accessToken, claims); err != nil {
			return access.Subject{}, "", err
		}
	}
	p, err := r.o.Mapping.Person(claims)
	if err != nil {
		return access.Subject{}, "", refuse("%w", err)
	}
	s, err := r.o.Directory.Subject(ctx, p)
	return s, idToken, err
}

// reply is what the provider sent along: in the query for a code, and in the
// fragment, which no server sees, for tokens.
func (r *Realm) reply(came *url.URL) (url.Values, error) {
	text := came.RawQuery
	if r.o.ResponseType != Code && came.Fragment != "" {
		text = came.EscapedFragment()
	}
	reply, err := url.ParseQuery(text)
	if err != nil {
		return nil, refuse("what follows the address cannot be read")
	}
	for name, values := range reply {
		if len(values) > 1 {
			return nil, refuse("the parameter [%s] is there twice", name)
		}
	}
	return reply, nil
}

// verify returns what an ID token says. It has to be the answer to this login, and
// to go with the access token, if there is one.
func (r *Realm) verify(ctx context.Context, idToken, accessToken, nonce string) (*jwt.Claims, error) {
	if r.o.ResponseType == IDTokenToken && accessToken == "" {
		return nil, refuse("there is no access token")
	}
	claims, err := r.o.Verifier.Verify(ctx, idToken)
	if err != nil {
		return nil, err
	}
	if got, err := claims.Text("nonce"); err != nil || !equal(got, nonce) {
		return nil, refuse("the nonce is not the one that the login began with")
	}
	azp, there := claims.All.Get("azp")
	if aud, _ := claims.Texts("aud"); there && azp.Text != r.o.ClientID || !there && len(aud) > 1 {
		return nil, refuse("the ID token was issued to another client")
	}
	bound, there := claims.All.Get("at_hash")
	switch {
	case accessToken == "" || !there && r.o.ResponseType == Code:
		return claims, nil
	case !there || !equal(bound.Text, accessHash(claims.Algorithm, accessToken)):
		return nil, refuse("the access token is not the one that goes with the ID token")
	}
	return claims, nil
}

// logout returns where a user goes to log out of the provider; "" if there is no such place.
func (r *Realm) logout(idToken string) string {
	if r.o.EndSession == "" {
		return ""
	}
	q := url.Values{"state": {rand.Text() + rand.Text()}, "client_id": {r.o.ClientID}}
	if idToken != "" {
		q.Set("id_token_hint", idToken)
	}
	if r.o.PostLogout != "" {
		q.Set("post_logout_redirect_uri", r.o.PostLogout)
	}
	return extend(r.o.EndSession, q)
}

// accessHash is what an ID token says of the access token beside it (OpenID
// Connect Core, section 3.2.2.9): half of its hash.
func accessHash(algorithm, accessToken string) string {
	h := hashes[algorithm[len(algorithm)-3:]]()
	h.Write([]byte(accessToken))
	sum := h.Sum(nil)
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}

func equal(a, b string) bool { return hmac.Equal([]byte(a), []byte(b)) }

func refuse(format string, args ...any) error {
	return fault.Wrap(fmt.Errorf(format, args...), fault.Unauthenticated, "the login is not accepted")
}
