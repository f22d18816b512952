package latchkey

import (
	"context"
	"net/http"
	"net/url"
	"strings"
)

// ClearCacheResponse is the answer of every call that clears a cache.
type ClearCacheResponse struct {
	Nodes struct {
		Total      int `json:"total"`
		Successful int `json:"successful"`
		Failed     int `json:"failed"`
		// Failures says why, for each node that failed.
		Failures []FailedNode `json:"failures,omitempty"`
	} `json:"_nodes"`
	ClusterName string                 `json:"cluster_name"`
	ByID        map[string]ClearedNode `json:"nodes"`
}

// FailedNode is a node that could not clear its cache.
type FailedNode struct {
	ErrorDetails
	NodeID string `json:"node_id"`
}

// ClearedNode is a node that cleared its cache.
type ClearedNode struct {
	Name string `json:"name"`
}

// ClearAPIKeyCache makes the server look up the keys of these ids anew, or all
// keys for no ids. It changes no key.
func (c *Client) ClearAPIKeyCache(ctx context.Context, ids ...string) (ClearCacheResponse, error) {
	return c.clearCache(ctx, "/_security/api_key", ids, nil)
}

// ClearRealmCache makes the server look up the users of these realms anew, or of
// all realms for none; only the given users if there are any.
func (c *Client) ClearRealmCache(ctx context.Context, realms []string, usernames ...string) (ClearCacheResponse, error) {
	var query url.Values
	if len(usernames) > 0 {
		query = url.Values{"usernames": {strings.Join(usernames, ",")}}
	}
	return c.clearCache(ctx, "/_security/realm", realms, query)
}

// ClearRoleCache makes the server look up these roles anew, or all roles for no names.
func (c *Client) ClearRoleCache(ctx context.Context, names ...string) (ClearCacheResponse, error) {
	return c.clearCache(ctx, "/_security/role", names, nil)
}

func (c *Client) clearCache(ctx context.Context, path string, names []string, query url.Values) (ClearCacheResponse, error) {
	if len(names) == 0 {
		names = []string{"*"}
	}
	for _, name := range names {
		if err := needName("name of what to clear", name); err != nil {
			return ClearCacheResponse{}, err
		}
	}
	return call[ClearCacheResponse](ctx, c, request{method: http.MethodPost, path: under(path, names...) + "/_clear_cache", query: query})
}
