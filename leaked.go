package latchkey

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
)

// InvalidateLeakedResponse is what became of the credentials in a text.
type InvalidateLeakedResponse struct {
	Found                 int                `json:"found"` // in the three lists
	Invalidated           []LeakedCredential `json:"invalidated"`
	PreviouslyInvalidated []LeakedCredential `json:"previously_invalidated"`
	NotReached            []LeakedCredential `json:"not_reached"`        // the caller may not invalidate them
	SecretsWithoutID      int                `json:"secrets_without_id"` // in the form of API keys' secrets; without the id nobody can use or find them
	NotChecked            int                `json:"not_checked"`        // what may be keys of older releases, beyond what is looked up for one text
	Bytes                 int64              `json:"bytes"`              // of the text
	DryRun                bool               `json:"dry_run"`
}

// LeakedCredential is one that was found and that verifies. Its secret is not told.
type LeakedCredential struct {
	Type     string `json:"type"`           // api_key, cross_cluster_api_key, access_token or refresh_token
	ID       string `json:"id,omitempty"`   // of a key
	Name     string `json:"name,omitempty"` // of a key
	Username string `json:"username"`       // its owner
	Realm    string `json:"realm"`          // of the owner
}

// InvalidateLeaked sends any text, such as a log or a paste, has the credentials
// in it found and invalidates those that verify; with dryRun it only tells which.
// The text is read once and not closed, so the call is not repeated: after an error,
// call again with the text from its begin. It is an addition of latchkey.
func (c *Client) InvalidateLeaked(ctx context.Context, text io.Reader, dryRun bool) (InvalidateLeakedResponse, error) {
	if text == nil {
		return InvalidateLeakedResponse{}, errors.New("latchkey: there is no text to look for credentials in")
	}
	r := request{method: http.MethodPost, path: "/_latchkey/api_key/_invalidate_leaked", text: text}
	if dryRun {
		r.query = url.Values{"dry_run": {"true"}}
	}
	return call[InvalidateLeakedResponse](ctx, c, r)
}
