package latchkey

import "encoding/json"

// Role is a role descriptor: the body of PUT /_security/role/{name}, a value of
// [GetRolesResponse], and what API keys carry. Fields that are left out grant nothing.
type Role struct {
	Cluster           []string          `json:"cluster"`
	Global            json.RawMessage   `json:"global,omitempty"` // an object
	Indices           []RoleIndices     `json:"indices"`
	Applications      []RoleApplication `json:"applications"`
	RunAs             []string          `json:"run_as"`             // patterns of usernames
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
