package latchkey

import (
	"context"
	"encoding/json"
	"net/http"
)

// RoleMapping gives roles to the users of external realms who fit its rules:
// the body of PUT /_security/role_mapping/{name}, and a value of
// [GetRoleMappingsResponse]. It has either Roles or RoleTemplates.
type RoleMapping struct {
	Enabled       bool            `json:"enabled"`
	Roles         []string        `json:"roles,omitempty"` // a role need not exist
	RoleTemplates []RoleTemplate  `json:"role_templates,omitempty"`
	Rules         json.RawMessage `json:"rules"`              // an object with one of any, all and field
	Metadata      json.RawMessage `json:"metadata,omitempty"` // an object; no key may start with _
}

// RoleTemplate names roles by a Mustache template over the user.
type RoleTemplate struct {
	Template string `json:"template"`         // the source, or the JSON of an object with it, as the server writes it
	Format   string `json:"format,omitempty"` // string (one role), or json (an array of roles)
}

// GetRoleMappingsResponse is the answer to GET /_security/role_mapping: mappings
// by name. Where names were asked for and none exists, it is empty and the status
// is 404.
type GetRoleMappingsResponse map[string]RoleMapping

// PutRoleMappingResponse is the answer to PUT /_security/role_mapping/{name}.
type PutRoleMappingResponse struct {
	RoleMapping CreatedResponse `json:"role_mapping"`
}

const roleMappingsPath = "/_security/role_mapping"

// PutRoleMapping makes a mapping or replaces one, and reports whether it is new.
// It counts from the next authentication on.
func (c *Client) PutRoleMapping(ctx context.Context, name string, m RoleMapping) (created bool, err error) {
	if err := needName("name of the role mapping", name); err != nil {
		return false, err
	}
	got, err := call[PutRoleMappingResponse](ctx, c, request{method: http.MethodPut, path: under(roleMappingsPath, name), body: m})
	return got.RoleMapping.Created, err
}

// GetRoleMappings returns mappings by name: those of the given names that exist,
// or all for no names. That there are none is no error.
func (c *Client) GetRoleMappings(ctx context.Context, names ...string) (map[string]RoleMapping, error) {
	r := request{method: http.MethodGet, path: roleMappingsPath, mayMiss: true}
	if len(names) > 0 {
		r.path = under(roleMappingsPath, names...)
	}
	for _, name := range names {
		if err := needName("name of the role mapping", name); err != nil {
			return nil, err
		}
	}
	return call[map[string]RoleMapping](ctx, c, r)
}

// DeleteRoleMapping reports whether there was such a mapping.
func (c *Client) DeleteRoleMapping(ctx context.Context, name string) (found bool, err error) {
	if err := needName("name of the role mapping", name); err != nil {
		return false, err
	}
	got, err := call[FoundResponse](ctx, c, request{method: http.MethodDelete, path: under(roleMappingsPath, name), mayMiss: true})
	return got.Found, err
}
