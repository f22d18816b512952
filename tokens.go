package latchkey

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
)

// TokenGrant says how a token is asked for. It comes from one of its
// constructors; the zero value is refused. It does not print its secrets.
type TokenGrant struct {
	kind     string
	username string
	// secret is the password, the ticket or the refresh token. It is behind a
	// pointer since fmt does not ask the fields of other structs how they want to
	// be printed.
	secret  *string
	scope   string
	problem string
}

// PasswordGrant asks for tokens of a user whose password the caller has been given.
func PasswordGrant(username, password string) TokenGrant {
	g := TokenGrant{kind: "password", username: username, secret: &password}
	g.need("username", username)
	g.need("password", password)
	return g
}

// ClientCredentialsGrant asks for an access token of the caller. There is no
// refresh token with it.
func ClientCredentialsGrant() TokenGrant {
	return TokenGrant{kind: "client_credentials"}
}

// RefreshGrant asks for the tokens that follow a refresh token. Who got that
// token has to ask, and once: a repetition within 30 seconds brings the same tokens
// again, a later one is refused.
func RefreshGrant(refreshToken string) TokenGrant {
	g := TokenGrant{kind: "refresh_token", secret: &refreshToken}
	g.need("refresh token", refreshToken)
	return g
}

// KerberosGrant asks for tokens of whom a SPNEGO token proves.
func KerberosGrant(ticket []byte) TokenGrant {
	text := base64.StdEncoding.EncodeToString(ticket)
	g := TokenGrant{kind: "_kerberos", secret: &text}
	g.need("ticket", string(ticket))
	return g
}

// WithScope adds a scope, which servers accept and answer with "full".
func (g TokenGrant) WithScope(scope string) TokenGrant {
	g.scope = scope
	return g
}

func (g *TokenGrant) need(what, text string) {
	if text == "" {
		g.problem = "its " + what + " is empty"
	}
}

func (g TokenGrant) check() error {
	if g.kind == "" {
		g.problem = "it comes from no constructor"
	}
	if g.problem != "" {
		return errors.New("latchkey: the grant of a token is refused: " + g.problem)
	}
	return nil
}

func (g TokenGrant) body() any {
	b := struct {
		Type         string  `json:"grant_type"`
		Username     string  `json:"username,omitempty"`
		Password     *string `json:"password,omitempty"`
		Ticket       *string `json:"kerberos_ticket,omitempty"`
		RefreshToken *string `json:"refresh_token,omitempty"`
		Scope        string  `json:"scope,omitempty"`
	}{Type: g.kind, Username: g.username, Scope: g.scope}
	switch g.kind {
	case "password":
		b.Password = g.secret
	case "_kerberos":
		b.Ticket = g.secret
	case "refresh_token":
		b.RefreshToken = g.secret
	}
	return b
}

// String tells the kind of the grant and the username only.
func (g TokenGrant) String() string {
	switch {
	case g.kind == "":
		return "no grant"
	case g.username != "":
		return g.kind + " of " + g.username
	}
	return g.kind
}

// Format is String for every verb.
func (g TokenGrant) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(g.String())) }

// LogValue is String.
func (g TokenGrant) LogValue() slog.Value { return slog.StringValue(g.String()) }

// MarshalJSON is String: a grant cannot be stored by accident.
func (g TokenGrant) MarshalJSON() ([]byte, error) { return json.Marshal(g.String()) }

// TokenResponse is the answer of getting a token. It prints without the tokens.
type TokenResponse struct {
	AccessToken  string `json:"access_token"`
	Type         string `json:"type"`                    // Bearer
	ExpiresIn    int64  `json:"expires_in"`              // seconds that the access token lives from its creation on
	RefreshToken string `json:"refresh_token,omitempty"` // empty for [ClientCredentialsGrant]
	Scope        string `json:"scope,omitempty"`
	// KerberosResponse is Base64 of what goes back to the client of a Kerberos negotiation.
	KerberosResponse string `json:"kerberos_authentication_response_token,omitempty"`
	// Authentication is whom the tokens stand for; since 7.11.
	Authentication *AuthenticateResponse `json:"authentication,omitempty"`
}

// Credential makes calls with the access token.
func (r TokenResponse) Credential() Credential { return Bearer(r.AccessToken) }

func (r *TokenResponse) missing() string {
	if r.AccessToken == "" {
		return "access_token"
	}
	return ""
}

func (r TokenResponse) hidden() any {
	type plain TokenResponse
	hide(&r.AccessToken)
	hide(&r.RefreshToken)
	hide(&r.KerberosResponse)
	return plain(r)
}

// Format prints the answer without its tokens.
func (r TokenResponse) Format(f fmt.State, verb rune) { printHidden(f, verb, r.hidden()) }

// LogValue is the answer without its tokens.
func (r TokenResponse) LogValue() slog.Value { return slog.AnyValue(r.hidden()) }

// GetToken gets an access token, and for most grants a refresh token. A grant
// that is refused in the terms of OAuth2 is an [*Error] of status 400, whose type
// is as invalid_grant and whose reason is the description.
func (c *Client) GetToken(ctx context.Context, grant TokenGrant) (TokenResponse, error) {
	if err := grant.check(); err != nil {
		return TokenResponse{}, err
	}
	return call[TokenResponse](ctx, c, request{
		method: http.MethodPost, path: "/_security/oauth2/token", body: grant.body(), makesNew: grant.kind != "refresh_token"})
}

// TokenSelection says which tokens an invalidation ends. It comes from one of
// its constructors; the zero value is refused, as is a blank text. It does not
// print tokens.
type TokenSelection struct {
	access, refresh *string // pointers, so that they do not print
	username, realm string
	problem         string
}

// AccessToken selects one access token. The refresh token that came with it
// lives on.
func AccessToken(token string) TokenSelection {
	s := TokenSelection{access: &token}
	s.need("access token", token)
	return s
}

// RefreshToken selects one refresh token. The access token that came with it
// lives on.
func RefreshToken(token string) TokenSelection {
	s := TokenSelection{refresh: &token}
	s.need("refresh token", token)
	return s
}

// TokensOfUser selects all tokens of a username, in whatever realm.
func TokensOfUser(username string) TokenSelection {
	s := TokenSelection{username: username}
	s.need("username", username)
	return s
}

// TokensOfRealm selects all tokens of the users of a realm, as "default_native".
func TokensOfRealm(realm string) TokenSelection {
	s := TokenSelection{realm: realm}
	s.need("realm", realm)
	return s
}

// TokensOfRealmAndUser selects all tokens of a user of a realm.
func TokensOfRealmAndUser(realm, username string) TokenSelection {
	s := TokenSelection{realm: realm, username: username}
	s.need("realm", realm)
	s.need("username", username)
	return s
}

func (s *TokenSelection) need(what, text string) {
	if strings.TrimSpace(text) == "" {
		s.problem = "its " + what + " is blank"
	}
}

func (s TokenSelection) check() error {
	if s.problem == "" && s.access == nil && s.refresh == nil && s.username == "" && s.realm == "" {
		s.problem = "it comes from no constructor"
	}
	if s.problem != "" {
		return errors.New("latchkey: the selection of tokens is refused: " + s.problem)
	}
	return nil
}

func (s TokenSelection) body() any {
	return struct {
		Token        *string `json:"token,omitempty"`
		RefreshToken *string `json:"refresh_token,omitempty"`
		Realm        string  `json:"realm_name,omitempty"`
		Username     string  `json:"username,omitempty"`
	}{s.access, s.refresh, s.realm, s.username}
}

// InvalidateTokensResponse tells what an invalidation did. An access token and a
// refresh token count as one each. With a token that is not there it comes with
// status 404.
type InvalidateTokensResponse struct {
	Invalidated           int            `json:"invalidated_tokens"`            // by this request
	PreviouslyInvalidated int            `json:"previously_invalidated_tokens"` // before
	ErrorCount            int            `json:"error_count"`
	ErrorDetails          []ErrorDetails `json:"error_details,omitempty"` // one for each token that could not be invalidated
}

// UnmarshalJSON insists on the counts, for which 0 would be a false answer.
func (r *InvalidateTokensResponse) UnmarshalJSON(b []byte) error {
	type plain InvalidateTokensResponse
	read := struct {
		*plain
		Invalidated           *int `json:"invalidated_tokens"`
		PreviouslyInvalidated *int `json:"previously_invalidated_tokens"`
	}{plain: (*plain)(r)}
	if err := json.Unmarshal(b, &read); err != nil {
		return err
	}
	if read.Invalidated == nil || read.PreviouslyInvalidated == nil {
		return errors.New("the counts of tokens are missing")
	}
	r.Invalidated, r.PreviouslyInvalidated = *read.Invalidated, *read.PreviouslyInvalidated
	return nil
}

// InvalidateTokens ends tokens for good. When it returns without an error the
// server refuses them from then on. A selection that matches nothing is not an
// error; all counts are 0 then. To log somebody out takes the refresh token and,
// after it, the access token.
func (c *Client) InvalidateTokens(ctx context.Context, tokens TokenSelection) (InvalidateTokensResponse, error) {
	if err := tokens.check(); err != nil {
		return InvalidateTokensResponse{}, err
	}
	return call[InvalidateTokensResponse](ctx, c, request{method: http.MethodDelete, path: "/_security/oauth2/token", body: tokens.body(), mayMiss: true})
}

// InvalidateTokensAsync is [Client.InvalidateTokens] that returns at once. The
// listener hears of the end in every case, as with [Client.InvalidateAPIKeysAsync].
func (c *Client) InvalidateTokensAsync(ctx context.Context, tokens TokenSelection, listener Listener[InvalidateTokensResponse]) *Pending[InvalidateTokensResponse] {
	return start(ctx, listener, func(ctx context.Context) (InvalidateTokensResponse, error) { return c.InvalidateTokens(ctx, tokens) })
}
