package latchkey

import (
	"context"
	"encoding/json"
	"net/http"
)

// HasPrivilegesRequest is the body of POST /_security/user/_has_privileges.
type HasPrivilegesRequest struct {
	Cluster     []string                `json:"cluster,omitempty"`
	Index       []IndexPrivileges       `json:"index,omitempty"`
	Application []ApplicationPrivileges `json:"application,omitempty"`
}

// IndexPrivileges asks for each of the privileges on each of the names.
type IndexPrivileges struct {
	Names                  []string `json:"names"` // patterns
	Privileges             []string `json:"privileges"`
	AllowRestrictedIndices bool     `json:"allow_restricted_indices"`
}

// ApplicationPrivileges asks for each of the privileges of an application on each
// of the resources.
type ApplicationPrivileges struct {
	Application string   `json:"application"`
	Privileges  []string `json:"privileges"`
	Resources   []string `json:"resources"`
}

// HasPrivilegesResponse says which of the requested privileges the user holds.
// The keys are the strings that were asked for.
type HasPrivilegesResponse struct {
	Username        string                                `json:"username"`
	HasAllRequested bool                                  `json:"has_all_requested"`
	Cluster         map[string]bool                       `json:"cluster"`
	Index           map[string]map[string]bool            `json:"index"`       // by name, then privilege
	Application     map[string]map[string]map[string]bool `json:"application"` // by application, resource, privilege
}

// HasPrivileges says which of the privileges the caller holds. To hold none is not
// an error; a privilege that does not exist is one.
func (c *Client) HasPrivileges(ctx context.Context, req HasPrivilegesRequest) (HasPrivilegesResponse, error) {
	return call[HasPrivilegesResponse](ctx, c, request{method: http.MethodPost, path: "/_security/user/_has_privileges", body: req})
}

// GetUserPrivilegesResponse is the answer to GET /_security/user/_privileges: all
// that the caller holds. Unlike in a [Role], field security and queries are lists.
type GetUserPrivilegesResponse struct {
	Cluster       []string                `json:"cluster"`
	Global        []json.RawMessage       `json:"global"`
	Indices       []HeldIndices           `json:"indices"`
	Applications  []ApplicationPrivileges `json:"applications"`
	RunAs         []string                `json:"run_as"`
	RemoteIndices []HeldIndices           `json:"remote_indices,omitempty"`
	RemoteCluster []RoleRemote            `json:"remote_cluster,omitempty"`
}

// HeldIndices is what somebody holds on indices.
type HeldIndices struct {
	Names                  []string            `json:"names"`
	Privileges             []string            `json:"privileges"`
	FieldSecurity          []RoleFieldSecurity `json:"field_security,omitempty"`
	Query                  []string            `json:"query,omitempty"`
	AllowRestrictedIndices bool                `json:"allow_restricted_indices"`
	Clusters               []string            `json:"clusters,omitempty"` // of remote indices only
}

// GetUserPrivileges lists what the caller holds. An API key with role descriptors of
// its own cannot list it.
func (c *Client) GetUserPrivileges(ctx context.Context) (GetUserPrivilegesResponse, error) {
	return call[GetUserPrivilegesResponse](ctx, c, request{method: http.MethodGet, path: "/_security/user/_privileges"})
}

// BuiltinPrivilegesResponse names the privileges that there are, sorted.
type BuiltinPrivilegesResponse struct {
	Cluster       []string `json:"cluster"`
	Index         []string `json:"index"`
	RemoteCluster []string `json:"remote_cluster"`
}

// GetBuiltinPrivileges lists the privileges that the server knows.
func (c *Client) GetBuiltinPrivileges(ctx context.Context) (BuiltinPrivilegesResponse, error) {
	return call[BuiltinPrivilegesResponse](ctx, c, request{method: http.MethodGet, path: privilegePath + "/_builtin"})
}
