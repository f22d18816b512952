package latchkey

import (
	"context"
	"net/http"
)

// LeaversResponse is the answer to GET /_latchkey/leavers.
type LeaversResponse struct {
	Leavers []Leaver `json:"leavers"`
}

// Leaver is somebody who is gone and whose API keys or tokens are alive.
type Leaver struct {
	Username string       `json:"username"`
	Realm    string       `json:"realm_name"`
	Reason   string       `json:"reason"` // disabled, deleted or unknown_realm
	APIKeys  LeaverKeys   `json:"api_keys"`
	Tokens   LeaverTokens `json:"tokens"`
}

// LeaverKeys are API keys that are alive.
type LeaverKeys struct {
	Count int      `json:"count"`
	IDs   []string `json:"ids"` // the first 1000
}

// LeaverTokens are tokens that are alive. Their texts are not kept.
type LeaverTokens struct {
	Count int `json:"count"` // an access token and its refresh token are one
}

// Leavers returns who is disabled, deleted or of a realm that is no more, and has
// API keys or tokens that are alive. It is an addition of latchkey.
func (c *Client) Leavers(ctx context.Context) ([]Leaver, error) {
	got, err := call[LeaversResponse](ctx, c, request{method: http.MethodGet, path: "/_latchkey/leavers"})
	return got.Leavers, err
}
