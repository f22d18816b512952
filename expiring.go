package latchkey

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

// ExpiringAPIKeysResponse is the answer to GET /_latchkey/api_key/expiring.
type ExpiringAPIKeysResponse struct {
	Until   int64            `json:"until"` // epoch milliseconds: what soon means
	APIKeys []ExpiringAPIKey `json:"api_keys"`
	More    bool             `json:"more"` // there are more than the 10,000 that are listed
}

// ExpiringAPIKey is a key that is alive and expires soon. Times are epoch milliseconds.
type ExpiringAPIKey struct {
	ID         string          `json:"id"`
	Name       string          `json:"name"`
	Type       string          `json:"type"` // rest or cross_cluster
	Username   string          `json:"username"`
	Realm      string          `json:"realm"`
	Creation   int64           `json:"creation"`
	Expiration int64           `json:"expiration"`
	Metadata   json.RawMessage `json:"metadata"`
}

// ExpiryNotice is what latchkey sends to the webhook of the setting
// latchkey.api_key.expiry_webhook: 1 to 100 keys that expire soon. A key comes once
// for each expiry that it has, and again only if the webhook's answer was lost.
type ExpiryNotice struct {
	Event       string           `json:"event"` // api_keys_expire_soon
	ClusterName string           `json:"cluster_name"`
	ClusterUUID string           `json:"cluster_uuid"`
	APIKeys     []ExpiringAPIKey `json:"api_keys"`
}

// ExpiringAPIKeys returns the keys that expire within the given time, the next to
// expire first; with 0, within that of the setting latchkey.api_key.expiry_notice. It
// is an addition of latchkey.
func (c *Client) ExpiringAPIKeys(ctx context.Context, within time.Duration) (ExpiringAPIKeysResponse, error) {
	r := request{method: http.MethodGet, path: "/_latchkey/api_key/expiring"}
	if within != 0 {
		r.query = url.Values{"within": {durationText(within)}}
	}
	return call[ExpiringAPIKeysResponse](ctx, c, r)
}
