package latchkey

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
)

// ApplicationPrivilege is a named set of actions that an application defines for
// itself. In a request Application and Name may be left out: the keys that it stands
// under say them.
type ApplicationPrivilege struct {
	Application string          `json:"application,omitempty"`
	Name        string          `json:"name,omitempty"`
	Actions     []string        `json:"actions"`            // patterns, each with one of / * :
	Metadata    json.RawMessage `json:"metadata,omitempty"` // an object; no key may start with _
}

// GetPrivilegesResponse holds privileges by application and name. Where names were
// asked for and none exists, it is empty and the status is 404.
type GetPrivilegesResponse map[string]map[string]ApplicationPrivilege

// PutPrivilegesResponse says of each privilege, by application and name, whether it is new.
type PutPrivilegesResponse map[string]map[string]CreatedResponse

// DeletePrivilegesResponse says of each name whether there was such a privilege.
type DeletePrivilegesResponse map[string]map[string]FoundResponse

const privilegePath = "/_security/privilege"

// PutPrivileges makes or replaces privileges of applications, by application and
// name: all of them or none.
func (c *Client) PutPrivileges(ctx context.Context, privileges map[string]map[string]ApplicationPrivilege) (PutPrivilegesResponse, error) {
	return call[PutPrivilegesResponse](ctx, c, request{method: http.MethodPut, path: privilegePath, body: privileges})
}

// GetPrivileges returns the privileges of an application, or of all that match a
// pattern such as app-*; "" stands for all. With names it returns those alone. That
// there are none is no error.
func (c *Client) GetPrivileges(ctx context.Context, application string, names ...string) (GetPrivilegesResponse, error) {
	r := request{method: http.MethodGet, path: privilegePath, mayMiss: true}
	if application == "" && len(names) > 0 {
		return nil, errors.New("latchkey: privileges are named below an application, so an application is needed")
	}
	if application != "" {
		r.path = under(r.path, application)
	}
	for _, name := range names {
		if err := needName("name of a privilege", name); err != nil {
			return nil, err
		}
	}
	if len(names) > 0 {
		r.path = under(r.path, names...)
	}
	return call[GetPrivilegesResponse](ctx, c, r)
}

// DeletePrivileges deletes privileges of one application and says which there were.
func (c *Client) DeletePrivileges(ctx context.Context, application string, names ...string) (DeletePrivilegesResponse, error) {
	if err := needName("name of an application", application); err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, errors.New("latchkey: at least one privilege must be named")
	}
	for _, name := range names {
		if err := needName("name of a privilege", name); err != nil {
			return nil, err
		}
	}
	return call[DeletePrivilegesResponse](ctx, c, request{method: http.MethodDelete, path: under(under(privilegePath, application), names...), mayMiss: true})
}

// ClearPrivilegeCache makes the server look up the privileges of these applications
// anew, or of all for none. It changes none.
func (c *Client) ClearPrivilegeCache(ctx context.Context, applications ...string) (ClearCacheResponse, error) {
	return c.clearCache(ctx, privilegePath, applications, nil)
}
