package latchkey

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// EndOverlapResponse says whether there was a secret to end.
type EndOverlapResponse struct {
	Ended bool `json:"ended"`
}

// RotateAPIKey gives an API key of the caller, who must not be an API key, a new
// secret; id, name, roles and all else stay. The secret before is good for the
// overlap, in steps of a millisecond, rounded up, 30 days and the life of the key at
// most; with 0 it ends at once. Of the secrets before, only the last can be good: a
// second rotation ends the one that is on its way out. So after an error whose
// outcome is open, rotate again only when the secret in use may end.
//
// Tokens that the key has made live on. Somebody else's key is an [*Error] of status
// 404, as one that does not exist; one that has ended, of status 400. Only latchkey
// knows this call.
func (c *Client) RotateAPIKey(ctx context.Context, id string, overlap time.Duration) (CreateAPIKeyResponse, error) {
	if err := needName("id of the API key", id); err != nil {
		return CreateAPIKeyResponse{}, err
	}
	if overlap < 0 {
		return CreateAPIKeyResponse{}, fmt.Errorf("latchkey: an overlap cannot last %v", overlap)
	}
	return c.makeKey(ctx, under("/_latchkey/api_key", id)+"/_rotate", rotation{durationText(overlap)})
}

type rotation struct {
	Overlap string `json:"overlap"`
}

// EndOverlap ends the secret that the last rotation of an API key of the caller has
// replaced, and reports whether it was still good. The server refuses that secret
// from then on. Only latchkey knows this call.
func (c *Client) EndOverlap(ctx context.Context, id string) (ended bool, err error) {
	if err := needName("id of the API key", id); err != nil {
		return false, err
	}
	got, err := call[EndOverlapResponse](ctx, c, request{method: http.MethodPost, path: under("/_latchkey/api_key", id) + "/_end_overlap"})
	return got.Ended, err
}
