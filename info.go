package latchkey

import (
	"context"
	"net/http"
)

// Info is the answer to GET /. Clients check it before their first call.
type Info struct {
	Name        string  `json:"name"` // of the node
	ClusterName string  `json:"cluster_name"`
	ClusterUUID string  `json:"cluster_uuid"` // the same for the life of the data
	Version     Version `json:"version"`
	Tagline     string  `json:"tagline"`
}

// Version says what the server is compatible with. Number is the Elasticsearch
// release whose API it speaks, and not the release of latchkey.
type Version struct {
	Number                           string `json:"number"`
	BuildFlavor                      string `json:"build_flavor"`
	BuildType                        string `json:"build_type"`
	BuildHash                        string `json:"build_hash"` // 40 hexadecimal digits
	BuildDate                        string `json:"build_date"`
	BuildSnapshot                    bool   `json:"build_snapshot"`
	LuceneVersion                    string `json:"lucene_version"`
	MinimumWireCompatibilityVersion  string `json:"minimum_wire_compatibility_version"`
	MinimumIndexCompatibilityVersion string `json:"minimum_index_compatibility_version"`
}

// Info says what the server is. The caller needs the privilege monitor.
func (c *Client) Info(ctx context.Context) (Info, error) {
	return call[Info](ctx, c, request{method: http.MethodGet, path: "/"})
}

// Ping returns nil if the server answers and admits the caller. The [*Error] of
// a refusal has no type and no reason, since the answer has no body.
func (c *Client) Ping(ctx context.Context) error {
	_, err := c.send(ctx, request{method: http.MethodHead, path: "/"})
	return err
}
