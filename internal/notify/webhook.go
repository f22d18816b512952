// Package notify tells others what an operator wants to know, over HTTP.
package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"latchkey/internal/secret"
)

// Webhook is an address that takes JSON by POST. It is safe for concurrent use.
type Webhook struct {
	address, authorization secret.Secret
	client                 *http.Client
}

// timeout bounds one call, its answer included.
const timeout = 30 * time.Second

// NewWebhook returns the webhook at an address; authorization is for the header of
// that name, and may be empty. Neither is ever in an error: some services put a
// secret into the path.
func NewWebhook(address, authorization secret.Secret) *Webhook {
	return &Webhook{address, authorization, &http.Client{
		Timeout: timeout,
		// Whoever moves says so to the operator: a header with a secret goes nowhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Post sends body as JSON. It fails unless the answer is a success.
func (w *Webhook) Post(ctx context.Context, body any) error {
	content, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.address.Reveal(), bytes.NewReader(content))
	if err != nil {
		return errors.New("the address of the webhook is no URL")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "latchkey")
	if !w.authorization.IsZero() {
		req.Header.Set("Authorization", w.authorization.Reveal())
	}
	resp, err := w.client.Do(req)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err // the rest of it repeats the address
		}
		return fmt.Errorf("the webhook at %s cannot be called: %w", req.URL.Host, err)
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection can be used again
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("the webhook at %s answered %d", req.URL.Host, resp.StatusCode)
	}
	return nil
}

// Close drops connections that rest.
func (w *Webhook) Close() { w.client.CloseIdleConnections() }
