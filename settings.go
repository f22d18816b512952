package latchkey

import (
	"context"
	"encoding/json"
	"net/http"
)

// SecuritySettings is the answer to GET /_security/settings: the settings of the
// indices security, security-profile and security-tokens. latchkey has none of
// them, and remembers the settings.
type SecuritySettings map[string]SecurityIndex

// SecurityIndex is what is set of one index.
type SecurityIndex struct {
	Index IndexSettings `json:"index"`
}

// IndexSettings are the settings of an index that can be changed.
type IndexSettings struct {
	AutoExpandReplicas *string `json:"auto_expand_replicas,omitempty"`
	NumberOfReplicas   *string `json:"number_of_replicas,omitempty"`
}

// Acknowledged is the answer of calls that were carried out.
type Acknowledged struct {
	Acknowledged bool `json:"acknowledged"`
}

// SecurityStats is the answer to GET /_security/stats, by the id of the node.
type SecurityStats struct {
	Nodes map[string]SecurityNodeStats `json:"nodes"`
}

// SecurityNodeStats is what one node counts. latchkey searches no documents, so
// all of it is 0.
type SecurityNodeStats struct {
	Roles struct {
		DLS struct {
			BitSetCache struct {
				Count            int    `json:"count"`
				Memory           string `json:"memory"`
				MemoryInBytes    int    `json:"memory_in_bytes"`
				Hits             int    `json:"hits"`
				Misses           int    `json:"misses"`
				Evictions        int    `json:"evictions"`
				HitsTimeMillis   int    `json:"hits_time_in_millis"`
				MissesTimeMillis int    `json:"misses_time_in_millis"`
			} `json:"bit_set_cache"`
		} `json:"dls"`
	} `json:"roles"`
}

const settingsPath = "/_security/settings"

// SecuritySettings returns the settings of the security indices.
func (c *Client) SecuritySettings(ctx context.Context) (SecuritySettings, error) {
	return call[SecuritySettings](ctx, c, request{method: http.MethodGet, path: settingsPath})
}

// UpdateSecuritySettings changes settings by the name of the index: an object of
// settings, in which null goes back to the default.
func (c *Client) UpdateSecuritySettings(ctx context.Context, changes map[string]json.RawMessage) error {
	_, err := call[Acknowledged](ctx, c, request{method: http.MethodPut, path: settingsPath, body: changes})
	return err
}

// SecurityStats returns what the nodes count.
func (c *Client) SecurityStats(ctx context.Context) (SecurityStats, error) {
	return call[SecurityStats](ctx, c, request{method: http.MethodGet, path: "/_security/stats"})
}
