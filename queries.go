package latchkey

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
)

// Query is the body of a search. The zero value asks for the first ten of everything.
type Query struct {
	Query       json.RawMessage `json:"query,omitempty"` // of the query language
	From        int             `json:"from,omitempty"`
	Size        *int            `json:"size,omitempty"`         // 10 if nil
	Sort        []any           `json:"sort,omitempty"`         // names of fields, or objects such as {"name":{"order":"desc"}}
	SearchAfter []any           `json:"search_after,omitempty"` // the Sort of the last one of the page before
}

// QueryUsersResponse is the answer to a search of users.
type QueryUsersResponse struct {
	Total int           `json:"total"` // all that match
	Count int           `json:"count"` // those on this page
	Users []QueriedUser `json:"users"`
}

// QueriedUser is a user that a search found.
type QueriedUser struct {
	User
	Sort []json.RawMessage `json:"_sort,omitempty"` // what it was sorted by, if the search sorts
}

// QueryRolesResponse is the answer to a search of roles. Each is a [QueriedRole],
// kept as the server writes it.
type QueryRolesResponse struct {
	Total int               `json:"total"`
	Count int               `json:"count"`
	Roles []json.RawMessage `json:"roles"`
}

// QueriedRole is a role that a search found.
type QueriedRole struct {
	Name string `json:"name"`
	Role
	Sort []json.RawMessage `json:"_sort,omitempty"`
}

// QueryUsers searches the users of the native realm.
func (c *Client) QueryUsers(ctx context.Context, q Query) (QueryUsersResponse, error) {
	return call[QueryUsersResponse](ctx, c, request{method: http.MethodPost, path: "/_security/_query/user", body: q})
}

// QueryUsersWithProfiles is [Client.QueryUsers] that also tells the profiles of users.
func (c *Client) QueryUsersWithProfiles(ctx context.Context, q Query) (QueryUsersResponse, error) {
	return call[QueryUsersResponse](ctx, c, request{method: http.MethodPost, path: "/_security/_query/user",
		query: url.Values{"with_profile_uid": {"true"}}, body: q})
}

// QueryRoles searches the roles, the built-in ones too.
func (c *Client) QueryRoles(ctx context.Context, q Query) (QueryRolesResponse, error) {
	return call[QueryRolesResponse](ctx, c, request{method: http.MethodPost, path: "/_security/_query/role", body: q})
}
