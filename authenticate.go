package latchkey

import (
	"context"
	"encoding/json"
	"net/http"
)

// AuthenticateResponse is the answer to GET /_security/_authenticate: who the
// caller is, after a run-as if there is one.
type AuthenticateResponse struct {
	Username            string            `json:"username"`
	Roles               []string          `json:"roles"` // empty for an API key and a service account
	FullName            *string           `json:"full_name"`
	Email               *string           `json:"email"`
	Metadata            json.RawMessage   `json:"metadata"` // an object
	Enabled             bool              `json:"enabled"`
	AuthenticationRealm Realm             `json:"authentication_realm"` // of who proved who they are
	LookupRealm         Realm             `json:"lookup_realm"`         // of whose rights count
	AuthenticationType  string            `json:"authentication_type"`  // realm, api_key, token or anonymous
	APIKey              *AuthenticatedKey `json:"api_key,omitempty"`    // when the rights are those of an API key
	// Token is the token of a service account that the request was made with.
	Token *AuthenticatedToken `json:"token,omitempty"`
}

// Realm names where a user comes from.
type Realm struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// AuthenticatedKey is the API key that a request was made with.
type AuthenticatedKey struct {
	ID        string `json:"id"`
	Name      string `json:"name,omitempty"`
	ManagedBy string `json:"managed_by"`
}

// AuthenticatedToken is the token of a service account that a request was made with.
type AuthenticatedToken struct {
	Name      string `json:"name"`
	Type      string `json:"type"` // _service_account_index or _service_account_file
	ManagedBy string `json:"managed_by"`
}

func (r *AuthenticateResponse) missing() string {
	if r.Username == "" {
		return "username"
	}
	return ""
}

// Authenticate says who the caller is. A credential that the server refuses is
// an [*Error] of status 401.
func (c *Client) Authenticate(ctx context.Context) (AuthenticateResponse, error) {
	return call[AuthenticateResponse](ctx, c, request{method: http.MethodGet, path: "/_security/_authenticate"})
}
