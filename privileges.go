package latchkey

import (
	"context"
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
