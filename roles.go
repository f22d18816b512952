package latchkey

import (
	"context"
	"encoding/json"
	"net/http"
)

// Role is a role descriptor: the body of PUT /_security/role/{name}, a value of
// [GetRolesResponse], and what API keys carry. Fields that are left out grant nothing.
// A list that is nil is left out; an empty one is written.
type Role struct {
	Cluster           []string          `json:"cluster,omitzero"`
	Global            json.RawMessage   `json:"global,omitempty"` // an object
	Indices           []RoleIndices     `json:"indices,omitzero"`
	Applications      []RoleApplication `json:"applications,omitzero"`
	RunAs             []string          `json:"run_as,omitzero"`    // patterns of usernames
	Metadata          json.RawMessage   `json:"metadata,omitempty"` // an object; no key may start with _
	TransientMetadata json.RawMessage   `json:"transient_metadata,omitempty"`
	RemoteIndices     []RoleIndices     `json:"remote_indices,omitempty"`
	RemoteCluster     []RoleRemote      `json:"remote_cluster,omitempty"`
	Restriction       *RoleRestriction  `json:"restriction,omitempty"` // of API keys only
	Description       string            `json:"description,omitempty"` // of roles only; at most 1000 characters
}

// RoleIndices grants privileges on indices.
type RoleIndices struct {
	Names                  []string           `json:"names"` // patterns
	Privileges             []string           `json:"privileges"`
	FieldSecurity          *RoleFieldSecurity `json:"field_security,omitempty"`
	Query                  string             `json:"query,omitempty"` // JSON of the query language
	AllowRestrictedIndices bool               `json:"allow_restricted_indices"`
	Clusters               []string           `json:"clusters,omitempty"` // of remote_indices only
}

// RoleFieldSecurity limits a grant to fields that match Grant and not Except.
type RoleFieldSecurity struct {
	Grant  []string `json:"grant,omitempty"`
	Except []string `json:"except,omitempty"`
}

// RoleApplication grants privileges of an application on resources.
type RoleApplication struct {
	Application string   `json:"application"`
	Privileges  []string `json:"privileges"`
	Resources   []string `json:"resources"`
}

// RoleRemote grants cluster privileges on remote clusters.
type RoleRemote struct {
	Privileges []string `json:"privileges"`
	Clusters   []string `json:"clusters"`
}

// RoleRestriction limits an API key to workflows.
type RoleRestriction struct {
	Workflows []string `json:"workflows"`
}

// GetRolesResponse is the answer to GET /_security/role: a [Role] by name, kept
// as the server writes it. Where names were asked for and none exists, it is
// empty and the status is 404.
type GetRolesResponse map[string]json.RawMessage

// PutRoleResponse is the answer to PUT /_security/role/{name}.
type PutRoleResponse struct {
	Role CreatedResponse `json:"role"`
}

const rolesPath = "/_security/role"

// PutRole makes a role or replaces one, and reports whether it is new.
func (c *Client) PutRole(ctx context.Context, name string, role Role) (created bool, err error) {
	if err := needName("role name", name); err != nil {
		return false, err
	}
	got, err := call[PutRoleResponse](ctx, c, request{method: http.MethodPut, path: under(rolesPath, name), body: role})
	return got.Role.Created, err
}

// GetRoles returns roles by name, the built-in ones too: those of the given
// names that exist, or all for no names. That there are none is no error.
func (c *Client) GetRoles(ctx context.Context, names ...string) (map[string]Role, error) {
	r := request{method: http.MethodGet, path: rolesPath, mayMiss: true}
	if len(names) > 0 {
		r.path = under(rolesPath, names...)
	}
	for _, name := range names {
		if err := needName("role name", name); err != nil {
			return nil, err
		}
	}
	return call[map[string]Role](ctx, c, r)
}

// DeleteRole reports whether there was such a role. API keys keep what they had of it.
func (c *Client) DeleteRole(ctx context.Context, name string) (found bool, err error) {
	if err := needName("role name", name); err != nil {
		return false, err
	}
	got, err := call[FoundResponse](ctx, c, request{method: http.MethodDelete, path: under(rolesPath, name), mayMiss: true})
	return got.Found, err
}

// BulkRolesResponse is the answer to changes of many roles: names by what became
// of them.
type BulkRolesResponse struct {
	Created  []string    `json:"created,omitempty"`
	Updated  []string    `json:"updated,omitempty"`
	Noop     []string    `json:"noop,omitempty"` // put, and the same as before
	Deleted  []string    `json:"deleted,omitempty"`
	NotFound []string    `json:"not_found,omitempty"`
	Errors   *BulkErrors `json:"errors,omitempty"`
}

// BulkErrors says which parts of a call failed, and why.
type BulkErrors struct {
	Count   int                     `json:"count"`
	Details map[string]ErrorDetails `json:"details"`
}

// PutRoles makes or replaces many roles. It succeeds also where some of them, or
// all, are refused: see Errors.
func (c *Client) PutRoles(ctx context.Context, roles map[string]Role) (BulkRolesResponse, error) {
	body := struct {
		Roles map[string]Role `json:"roles"`
	}{roles}
	if roles == nil {
		body.Roles = map[string]Role{}
	}
	return call[BulkRolesResponse](ctx, c, request{method: http.MethodPost, path: rolesPath, body: body})
}

// DeleteRoles deletes many roles. It succeeds also where some of them, or all,
// cannot be deleted: see Errors.
func (c *Client) DeleteRoles(ctx context.Context, names ...string) (BulkRolesResponse, error) {
	body := struct {
		Names []string `json:"names"`
	}{names}
	if names == nil {
		body.Names = []string{}
	}
	return call[BulkRolesResponse](ctx, c, request{method: http.MethodDelete, path: rolesPath, body: body})
}
