package latchkey

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
)

// OIDCPrepareRequest asks where a user goes to log in: of a realm by its name, or
// of the one whose provider is Issuer.
type OIDCPrepareRequest struct {
	Realm     string `json:"realm,omitempty"`
	Issuer    string `json:"iss,omitempty"`
	LoginHint string `json:"login_hint,omitempty"` // for the provider
	State     string `json:"state,omitempty"`      // empty: the server makes one
	Nonce     string `json:"nonce,omitempty"`      // empty: the server makes one
}

// OIDCPrepareResponse is where a user goes to log in. State and Nonce are kept,
// bound to the user's browser, for [Client.AuthenticateOIDC].
type OIDCPrepareResponse struct {
	Redirect string `json:"redirect"`
	State    string `json:"state"`
	Nonce    string `json:"nonce"`
	Realm    string `json:"realm"`
}

func (r *OIDCPrepareResponse) missing() string {
	if r.Redirect == "" {
		return "redirect"
	}
	return ""
}

// PrepareOIDC returns where a user goes to log in at an OpenID Connect provider.
func (c *Client) PrepareOIDC(ctx context.Context, req OIDCPrepareRequest) (OIDCPrepareResponse, error) {
	return call[OIDCPrepareResponse](ctx, c, request{method: http.MethodPost, path: "/_security/oidc/prepare", body: req})
}

// OIDCAuthenticateRequest is what a user came back with. It does not print the address.
type OIDCAuthenticateRequest struct {
	RedirectURI string `json:"redirect_uri"` // the whole address that the provider sent the browser to
	State       string `json:"state"`        // of [OIDCPrepareResponse], as Nonce is
	Nonce       string `json:"nonce"`
	Realm       string `json:"realm,omitempty"`
}

func (r OIDCAuthenticateRequest) hidden() any {
	type plain OIDCAuthenticateRequest
	hide(&r.RedirectURI)
	hide(&r.State)
	hide(&r.Nonce)
	return plain(r)
}

// Format prints the request without its secrets.
func (r OIDCAuthenticateRequest) Format(f fmt.State, verb rune) { printHidden(f, verb, r.hidden()) }

// LogValue is the request without its secrets.
func (r OIDCAuthenticateRequest) LogValue() slog.Value { return slog.AnyValue(r.hidden()) }

// AuthenticateOIDC makes tokens of a user who logged in at an OpenID Connect provider.
func (c *Client) AuthenticateOIDC(ctx context.Context, req OIDCAuthenticateRequest) (TokenResponse, error) {
	type plain OIDCAuthenticateRequest
	return call[TokenResponse](ctx, c, request{method: http.MethodPost, path: "/_security/oidc/authenticate", body: plain(req), makesNew: true})
}

// OIDCLogoutResponse is where a user goes to log out of the provider.
type OIDCLogoutResponse struct {
	Redirect *string `json:"redirect"` // nil: there is no such place, and the user stays logged in there
}

// LogoutOIDC ends the tokens of a login at an OpenID Connect provider. A refresh
// token may be empty: the one that came with the access token ends in any case.
func (c *Client) LogoutOIDC(ctx context.Context, accessToken, refreshToken string) (OIDCLogoutResponse, error) {
	body := map[string]string{"token": accessToken}
	if refreshToken != "" {
		body["refresh_token"] = refreshToken
	}
	return call[OIDCLogoutResponse](ctx, c, request{method: http.MethodPost, path: "/_security/oidc/logout", body: body})
}
