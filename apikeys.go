package latchkey

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// CreateAPIKeyRequest is the body of POST /_security/api_key.
type CreateAPIKeyRequest struct {
	Name       string
	Expiration time.Duration // in steps of a millisecond, rounded up; 0: never
	// RoleDescriptors narrow what the key may do, by names of their own; none: what the owner holds.
	RoleDescriptors map[string]Role
	Metadata        json.RawMessage // an object; no key may start with _
}

// MarshalJSON writes the expiration with its unit.
func (r CreateAPIKeyRequest) MarshalJSON() ([]byte, error) {
	if r.Expiration < 0 {
		return nil, fmt.Errorf("an API key cannot expire after %v", r.Expiration)
	}
	expiration := ""
	if r.Expiration > 0 {
		expiration = strconv.FormatInt(int64((r.Expiration-1)/time.Millisecond)+1, 10) + "ms"
	}
	return json.Marshal(struct {
		Name            string          `json:"name"`
		Expiration      string          `json:"expiration,omitempty"`
		RoleDescriptors map[string]Role `json:"role_descriptors,omitempty"`
		Metadata        json.RawMessage `json:"metadata,omitempty"`
	}{r.Name, expiration, r.RoleDescriptors, r.Metadata})
}

// GrantAPIKeyRequest is the body of POST /_security/api_key/grant. The key is
// made for whom the credential in it belongs to: a user with a password or, if
// AccessToken is set, its subject. It prints without the password and the token.
type GrantAPIKeyRequest struct {
	Username    string
	Password    string
	AccessToken string // of this server, or a token of a realm of JSON Web Tokens
	// ClientSecret is what clients say beside such a token, where its realm wants it.
	ClientSecret string
	RunAs        string // the key is for this user instead, whom that credential may run as
	APIKey       CreateAPIKeyRequest
}

// MarshalJSON adds the type of the grant.
func (r GrantAPIKeyRequest) MarshalJSON() ([]byte, error) {
	kind := "password"
	if r.AccessToken != "" {
		kind = "access_token"
	}
	var client *clientAuthentication
	if r.ClientSecret != "" {
		client = &clientAuthentication{sharedSecret, r.ClientSecret}
	}
	return json.Marshal(struct {
		Type        string                `json:"grant_type"`
		Username    string                `json:"username,omitempty"`
		Password    string                `json:"password,omitempty"`
		AccessToken string                `json:"access_token,omitempty"`
		Client      *clientAuthentication `json:"client_authentication,omitempty"`
		RunAs       string                `json:"run_as,omitempty"`
		APIKey      CreateAPIKeyRequest   `json:"api_key"`
	}{kind, r.Username, r.Password, r.AccessToken, client, r.RunAs, r.APIKey})
}

// clientAuthentication is how a client proves itself beside a JSON Web Token.
type clientAuthentication struct {
	Scheme string `json:"scheme"`
	Value  string `json:"value"`
}

const sharedSecret = "SharedSecret"

func (r GrantAPIKeyRequest) hidden() any {
	type plain GrantAPIKeyRequest
	hide(&r.Password)
	hide(&r.AccessToken)
	hide(&r.ClientSecret)
	return plain(r)
}

// Format prints the request without its secrets.
func (r GrantAPIKeyRequest) Format(f fmt.State, verb rune) { printHidden(f, verb, r.hidden()) }

// LogValue is the request without its secrets.
func (r GrantAPIKeyRequest) LogValue() slog.Value { return slog.AnyValue(r.hidden()) }

// CreateAPIKeyResponse is the answer of creating or granting an API key, and
// the only one that holds its secret. It prints without it.
type CreateAPIKeyResponse struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	Expiration int64  `json:"expiration,omitempty"` // epoch milliseconds; 0: never
	APIKey     string `json:"api_key"`              // the secret
	Encoded    string `json:"encoded"`              // Base64 of id:api_key, for "Authorization: ApiKey"
}

// Credential makes calls with the new key.
func (r CreateAPIKeyResponse) Credential() Credential { return EncodedKey(r.Encoded) }

func (r *CreateAPIKeyResponse) missing() string {
	switch {
	case r.ID == "":
		return "id"
	case r.APIKey == "":
		return "api_key"
	}
	return ""
}

func (r CreateAPIKeyResponse) hidden() any {
	type plain CreateAPIKeyResponse
	hide(&r.APIKey)
	hide(&r.Encoded)
	return plain(r)
}

// Format prints the answer without its secret.
func (r CreateAPIKeyResponse) Format(f fmt.State, verb rune) { printHidden(f, verb, r.hidden()) }

// LogValue is the answer without its secret.
func (r CreateAPIKeyResponse) LogValue() slog.Value { return slog.AnyValue(r.hidden()) }

// GetAPIKeysRequest selects API keys: those that match all that is set. With
// nothing set these are all keys. Neither ID and Name, nor one of them or Owner
// with Username or RealmName, go together.
type GetAPIKeysRequest struct {
	ID            string
	Name          string // a * at its end stands for any text
	Username      string // of the owner
	RealmName     string // of the owner
	Owner         bool   // the caller's own
	ActiveOnly    bool   // neither invalidated nor expired; since 8.10
	WithLimitedBy bool   // since 8.5
}

// APIKey is an API key as get and query show it.
type APIKey struct {
	ID           string          `json:"id"`
	Name         string          `json:"name"`
	Type         string          `json:"type,omitempty"`         // rest or cross_cluster; servers of 7.x do not say
	Creation     int64           `json:"creation"`               // epoch milliseconds
	Expiration   int64           `json:"expiration,omitempty"`   // epoch milliseconds; 0: never
	Invalidated  bool            `json:"invalidated"`            // an expired key is not invalidated
	Invalidation int64           `json:"invalidation,omitempty"` // epoch milliseconds
	Username     string          `json:"username"`               // of the owner
	Realm        string          `json:"realm"`                  // of the owner
	RealmType    string          `json:"realm_type,omitempty"`
	Metadata     json.RawMessage `json:"metadata"` // an object, as the client wrote it
	// RoleDescriptors holds what was assigned, by name; empty: what the owner held.
	RoleDescriptors json.RawMessage `json:"role_descriptors,omitempty"`
	// LimitedBy is what the owner held when the key was made: one object of
	// descriptors by role name. It is there only on request.
	LimitedBy []json.RawMessage `json:"limited_by,omitempty"`
}

// Roles reads RoleDescriptors.
func (k APIKey) Roles() (map[string]Role, error) {
	var roles map[string]Role
	if err := json.Unmarshal(k.RoleDescriptors, &roles); err != nil {
		return nil, fmt.Errorf("latchkey: read the role descriptors of API key %s: %w", k.ID, err)
	}
	return roles, nil
}

// GetAPIKeysResponse is the answer of getting API keys. With an id that is not
// there it comes with status 404.
type GetAPIKeysResponse struct {
	APIKeys []APIKey `json:"api_keys"`
}

func (r *GetAPIKeysResponse) missing() string {
	if r.APIKeys == nil {
		return "api_keys"
	}
	return ""
}

// CreateAPIKey makes an API key for the caller. Its secret is in the answer and
// nowhere else. Each call makes another key, also under the same name; after an
// error whose outcome is open, [ByName] finds what may be left over.
func (c *Client) CreateAPIKey(ctx context.Context, req CreateAPIKeyRequest) (CreateAPIKeyResponse, error) {
	return c.makeKey(ctx, "/_security/api_key", req)
}

// GrantAPIKey makes an API key for somebody whose password or token the caller
// has been given. A wrong one is an [*Error] of status 403, and of 401 only when
// the caller's own credential is wrong.
func (c *Client) GrantAPIKey(ctx context.Context, req GrantAPIKeyRequest) (CreateAPIKeyResponse, error) {
	return c.makeKey(ctx, "/_security/api_key/grant", req)
}

func (c *Client) makeKey(ctx context.Context, path string, body any) (CreateAPIKeyResponse, error) {
	made, err := call[CreateAPIKeyResponse](ctx, c, request{method: http.MethodPost, path: path, body: body, makesNew: true})
	if err == nil && made.Encoded == "" { // servers before 7.16
		made.Encoded = encodeKey(made.ID, made.APIKey)
	}
	return made, err
}

// GetAPIKeys returns the keys that match, in no order. That there are none is no
// error, also not for an id, though the status is 404 then.
func (c *Client) GetAPIKeys(ctx context.Context, req GetAPIKeysRequest) ([]APIKey, error) {
	query := url.Values{}
	for name, value := range map[string]string{
		"id": req.ID, "name": req.Name, "username": req.Username, "realm_name": req.RealmName,
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	for name, set := range map[string]bool{
		"owner": req.Owner, "active_only": req.ActiveOnly, "with_limited_by": req.WithLimitedBy,
	} {
		if set { // older servers refuse those that they do not know
			query.Set(name, "true")
		}
	}
	got, err := call[GetAPIKeysResponse](ctx, c, request{method: http.MethodGet, path: "/_security/api_key", query: query, mayMiss: true})
	return got.APIKeys, err
}
