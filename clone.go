package latchkey

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// CloneAPIKeyRequest is the body of POST /_security/api_key/clone. It prints without
// the credential in it.
type CloneAPIKeyRequest struct {
	Encoded    string          // of the key to copy: Base64 of id:api_key
	Name       string          // empty: that of the source, though the first servers of 9.4 want one
	Expiration time.Duration   // from now, in steps of a millisecond, rounded up; 0: when the source expires
	Never      bool            // the clone does not expire, whatever the source does
	Metadata   json.RawMessage // an object, no key of which may start with _; nil: that of the source
}

// MarshalJSON writes the expiration with its unit.
func (r CloneAPIKeyRequest) MarshalJSON() ([]byte, error) {
	expiration, err := expirationText(r.Expiration)
	switch {
	case err != nil:
		return nil, err
	case r.Never && expiration != "":
		return nil, errors.New("a clone cannot expire and never expire")
	case r.Never:
		expiration = "-1"
	}
	return json.Marshal(struct {
		Encoded    string          `json:"api_key"`
		Name       string          `json:"name,omitempty"`
		Expiration string          `json:"expiration,omitempty"`
		Metadata   json.RawMessage `json:"metadata,omitempty"`
	}{r.Encoded, r.Name, expiration, r.Metadata})
}

func (r CloneAPIKeyRequest) hidden() any {
	type plain CloneAPIKeyRequest
	hide(&r.Encoded)
	return plain(r)
}

// Format prints the request without the credential.
func (r CloneAPIKeyRequest) Format(f fmt.State, verb rune) { printHidden(f, verb, r.hidden()) }

// LogValue is the request without the credential.
func (r CloneAPIKeyRequest) LogValue() slog.Value { return slog.AnyValue(r.hidden()) }

// CloneAPIKey makes a copy of an API key whose credential the caller has been given:
// with a secret of its own, for the same owner and with the same rights. Its metadata
// tells the source, as _cloned_from; that the source ends later does not end it. A
// credential that is not good is an [*Error] of status 403, and of 401 only when
// the caller's own is not. Since 9.4.
func (c *Client) CloneAPIKey(ctx context.Context, req CloneAPIKeyRequest) (CreateAPIKeyResponse, error) {
	return c.makeKey(ctx, "/_security/api_key/clone", req)
}
