package latchkey

import (
	"context"
	"encoding/json"
	"errors"
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
	expiration, err := expirationText(r.Expiration)
	if err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		Name            string          `json:"name"`
		Expiration      string          `json:"expiration,omitempty"`
		RoleDescriptors map[string]Role `json:"role_descriptors,omitempty"`
		Metadata        json.RawMessage `json:"metadata,omitempty"`
	}{r.Name, expiration, r.RoleDescriptors, r.Metadata})
}

func expirationText(d time.Duration) (string, error) {
	switch {
	case d < 0:
		return "", fmt.Errorf("an API key cannot expire after %v", d)
	case d == 0:
		return "", nil
	}
	return durationText(d), nil
}

// durationText is d in milliseconds, rounded up.
func durationText(d time.Duration) string {
	ms := d.Milliseconds()
	if d%time.Millisecond > 0 {
		ms++
	}
	return strconv.FormatInt(ms, 10) + "ms"
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

// CreateAPIKeyResponse is the answer of making an API key or rotating it, and
// the only one that holds its secret. It prints without it.
type CreateAPIKeyResponse struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	Expiration int64  `json:"expiration,omitempty"` // epoch milliseconds; 0: never
	APIKey     string `json:"api_key"`              // the secret
	Encoded    string `json:"encoded"`              // Base64 of id:api_key, for "Authorization: ApiKey"
	// OverlapUntil is, after a rotation, until when the secret before is good as well,
	// in epoch milliseconds; 0: it is not.
	OverlapUntil int64 `json:"overlap_until,omitempty"`
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
	ID             string
	Name           string // a * at its end stands for any text
	Username       string // of the owner
	RealmName      string // of the owner
	Owner          bool   // the caller's own
	ActiveOnly     bool   // neither invalidated nor expired; since 8.10
	WithLimitedBy  bool   // since 8.5
	WithProfileUID bool   // since 8.14
	WithLastUsed   bool   // latchkey only
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
	// Access is what another cluster may do with a cross-cluster key; see [APIKey.CrossClusterAccess].
	Access json.RawMessage `json:"access,omitempty"`
	// LimitedBy is what the owner held when the key was made or last updated: one
	// object of descriptors by role name. It is there only on request.
	LimitedBy []json.RawMessage `json:"limited_by,omitempty"`
	// CertificateIdentity is, of a cross-cluster key, a regular expression for the
	// subject of the other cluster's certificate; empty: any.
	CertificateIdentity string `json:"certificate_identity,omitempty"`
	// ProfileUID names the owner's profile, on request and if there is one.
	ProfileUID string `json:"profile_uid,omitempty"`
	// LastUsed is when a request was last authenticated with the secret, to the
	// minute, in epoch milliseconds, with the address that it came from and its
	// User-Agent header. It is there only on request; 0: never.
	LastUsed          int64  `json:"last_used,omitempty"`
	LastUsedAddress   string `json:"last_used_address,omitempty"`
	LastUsedUserAgent string `json:"last_used_user_agent,omitempty"`
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
		"with_profile_uid": req.WithProfileUID, "with_last_used": req.WithLastUsed,
	} {
		if set { // older servers refuse those that they do not know
			query.Set(name, "true")
		}
	}
	got, err := call[GetAPIKeysResponse](ctx, c, request{method: http.MethodGet, path: "/_security/api_key", query: query, mayMiss: true})
	return got.APIKeys, err
}

// UpdateAPIKeyRequest says what to change of an API key. What is not set stays as
// it is. What the key keeps of its owner, roles above all, is renewed in every case.
type UpdateAPIKeyRequest struct {
	Expiration time.Duration // from now, in steps of a millisecond, rounded up; 0: keep; since 8.12
	// RoleDescriptors take the place of all that were assigned; nil: keep; empty: what the owner holds.
	RoleDescriptors map[string]Role
	Metadata        json.RawMessage // an object in place of the old one; nil: keep
}

// MarshalJSON writes the expiration with its unit.
func (r UpdateAPIKeyRequest) MarshalJSON() ([]byte, error) { return r.marshal(nil) }

// marshal writes the body for one key, or for those of ids.
func (r UpdateAPIKeyRequest) marshal(ids []string) ([]byte, error) {
	expiration, err := expirationText(r.Expiration)
	if err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		IDs             []string        `json:"ids,omitempty"`
		Expiration      string          `json:"expiration,omitempty"`
		RoleDescriptors map[string]Role `json:"role_descriptors,omitzero"`
		Metadata        json.RawMessage `json:"metadata,omitempty"`
	}{ids, expiration, r.RoleDescriptors, r.Metadata})
}

// UpdateAPIKeyResponse says whether an update made a difference.
type UpdateAPIKeyResponse struct {
	Updated bool `json:"updated"`
}

// BulkUpdateAPIKeysResponse is the answer to an update of many API keys: ids by
// what became of them, in the order of the request.
type BulkUpdateAPIKeysResponse struct {
	Updated []string    `json:"updated"`
	Noops   []string    `json:"noops"` // there was nothing to change
	Errors  *BulkErrors `json:"errors,omitempty"`
}

func (r *BulkUpdateAPIKeysResponse) missing() string {
	switch {
	case r.Updated == nil:
		return "updated"
	case r.Noops == nil:
		return "noops"
	}
	return ""
}

// UpdateAPIKey changes an API key of the caller, who must not be an API key. It
// reports whether there was anything to change. The secret stays, and the change
// counts from the next request with it on. Somebody else's key is an [*Error] of
// status 404, as one that does not exist; one that has ended, of status 400.
// Since 8.4.
func (c *Client) UpdateAPIKey(ctx context.Context, id string, req UpdateAPIKeyRequest) (updated bool, err error) {
	if err := needName("id of the API key", id); err != nil {
		return false, err
	}
	got, err := call[UpdateAPIKeyResponse](ctx, c, request{method: http.MethodPut, path: under("/_security/api_key", id), body: req})
	return got.Updated, err
}

// BulkUpdateAPIKeys changes many API keys alike, as [Client.UpdateAPIKey] does
// one. It succeeds also where some of them, or all, are refused: see Errors.
// Since 8.5.
func (c *Client) BulkUpdateAPIKeys(ctx context.Context, ids []string, req UpdateAPIKeyRequest) (BulkUpdateAPIKeysResponse, error) {
	if len(ids) == 0 {
		return BulkUpdateAPIKeysResponse{}, errors.New("latchkey: there are no ids of API keys to update")
	}
	return call[BulkUpdateAPIKeysResponse](ctx, c, request{method: http.MethodPost, path: "/_security/api_key/_bulk_update", body: bulkUpdate{ids, req}})
}

type bulkUpdate struct {
	ids []string
	req UpdateAPIKeyRequest
}

func (b bulkUpdate) MarshalJSON() ([]byte, error) { return b.req.marshal(b.ids) }
