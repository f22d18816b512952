package latchkey

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// CrossClusterAccess is what another cluster may do with a cross-cluster API key:
// search in indices, copy them, or both.
type CrossClusterAccess struct {
	Search      []CrossClusterIndices `json:"search,omitempty"`
	Replication []CrossClusterIndices `json:"replication,omitempty"`
}

// CrossClusterIndices are indices that another cluster may reach. FieldSecurity and
// Query are for searches, and only where no replication is allowed.
type CrossClusterIndices struct {
	Names                  []string           `json:"names"` // patterns
	FieldSecurity          *RoleFieldSecurity `json:"field_security,omitempty"`
	Query                  string             `json:"query,omitempty"` // JSON of the query language
	AllowRestrictedIndices bool               `json:"allow_restricted_indices"`
}

// CrossClusterAccess reads Access, which only cross-cluster keys have.
func (k APIKey) CrossClusterAccess() (CrossClusterAccess, error) {
	var a CrossClusterAccess
	if k.Access == nil {
		return a, nil
	}
	if err := json.Unmarshal(k.Access, &a); err != nil {
		return a, fmt.Errorf("latchkey: read the access of API key %s: %w", k.ID, err)
	}
	return a, nil
}

// CreateCrossClusterAPIKeyRequest is the body of POST /_security/cross_cluster/api_key.
type CreateCrossClusterAPIKeyRequest struct {
	Name       string
	Access     CrossClusterAccess
	Expiration time.Duration   // in steps of a millisecond, rounded up; 0: never
	Metadata   json.RawMessage // an object; no key may start with _
	// CertificateIdentity is a regular expression that the subject of the other
	// cluster's certificate must match; empty: any. Since 9.3.
	CertificateIdentity string
}

// MarshalJSON writes the expiration with its unit.
func (r CreateCrossClusterAPIKeyRequest) MarshalJSON() ([]byte, error) {
	expiration, err := expirationText(r.Expiration)
	if err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		Name                string             `json:"name"`
		Access              CrossClusterAccess `json:"access"`
		Expiration          string             `json:"expiration,omitempty"`
		Metadata            json.RawMessage    `json:"metadata,omitempty"`
		CertificateIdentity string             `json:"certificate_identity,omitempty"`
	}{r.Name, r.Access, expiration, r.Metadata, r.CertificateIdentity})
}

// UpdateCrossClusterAPIKeyRequest says what to change of a cross-cluster API key.
// What is not set stays as it is; an expiration alone is refused.
type UpdateCrossClusterAPIKeyRequest struct {
	Access     *CrossClusterAccess // in place of the old one; nil: keep
	Expiration time.Duration       // from now, in steps of a millisecond, rounded up; 0: keep
	Metadata   json.RawMessage     // an object in place of the old one; nil: keep
	// CertificateIdentity takes the place of the old one; nil: keep; empty: any
	// certificate from now on. Since 9.3.
	CertificateIdentity *string
}

// MarshalJSON writes the expiration with its unit.
func (r UpdateCrossClusterAPIKeyRequest) MarshalJSON() ([]byte, error) {
	expiration, err := expirationText(r.Expiration)
	if err != nil {
		return nil, err
	}
	var identity json.RawMessage
	if i := r.CertificateIdentity; i != nil && *i != "" {
		if identity, err = json.Marshal(*i); err != nil {
			return nil, err
		}
	} else if i != nil {
		identity = json.RawMessage("null")
	}
	return json.Marshal(struct {
		Access              *CrossClusterAccess `json:"access,omitempty"`
		Expiration          string              `json:"expiration,omitempty"`
		Metadata            json.RawMessage     `json:"metadata,omitempty"`
		CertificateIdentity json.RawMessage     `json:"certificate_identity,omitempty"`
	}{r.Access, expiration, r.Metadata, identity})
}

const crossClusterKeysPath = "/_security/cross_cluster/api_key"

// CreateCrossClusterAPIKey makes an API key with which another cluster reaches this
// one. It makes no requests over HTTP. It belongs to the caller, who must not be an
// API key; what the caller may do does not limit it. Since 8.10.
func (c *Client) CreateCrossClusterAPIKey(ctx context.Context, req CreateCrossClusterAPIKeyRequest) (CreateAPIKeyResponse, error) {
	return c.makeKey(ctx, crossClusterKeysPath, req)
}

// UpdateCrossClusterAPIKey changes a cross-cluster API key of the caller, as
// [Client.UpdateAPIKey] does others. Since 8.10.
func (c *Client) UpdateCrossClusterAPIKey(ctx context.Context, id string, req UpdateCrossClusterAPIKeyRequest) (updated bool, err error) {
	if err := needName("id of the API key", id); err != nil {
		return false, err
	}
	got, err := call[UpdateAPIKeyResponse](ctx, c, request{method: http.MethodPut, path: under(crossClusterKeysPath, id), body: req})
	return got.Updated, err
}
