package latchkey

import (
	"encoding/json"
	"strconv"
	"strings"
)

// ClusterHealth is the answer to GET /_cluster/health. There are no shards, so
// all of their counters are 0.
type ClusterHealth struct {
	ClusterName                 string              `json:"cluster_name"`
	Status                      string              `json:"status"`
	TimedOut                    bool                `json:"timed_out"`
	NumberOfNodes               int                 `json:"number_of_nodes"`
	NumberOfDataNodes           int                 `json:"number_of_data_nodes"`
	ActivePrimaryShards         int                 `json:"active_primary_shards"`
	ActiveShards                int                 `json:"active_shards"`
	RelocatingShards            int                 `json:"relocating_shards"`
	InitializingShards          int                 `json:"initializing_shards"`
	UnassignedShards            int                 `json:"unassigned_shards"`
	UnassignedPrimaryShards     int                 `json:"unassigned_primary_shards"`
	DelayedUnassignedShards     int                 `json:"delayed_unassigned_shards"`
	NumberOfPendingTasks        int                 `json:"number_of_pending_tasks"`
	NumberOfInFlightFetch       int                 `json:"number_of_in_flight_fetch"`
	TaskMaxWaitingInQueueMillis int64               `json:"task_max_waiting_in_queue_millis"`
	TaskMaxWaitingInQueue       string              `json:"task_max_waiting_in_queue,omitempty"` // with ?human
	ActiveShardsPercentAsNumber Percent             `json:"active_shards_percent_as_number"`
	ActiveShardsPercent         string              `json:"active_shards_percent,omitempty"` // with ?human
	Indices                     map[string]struct{} `json:"indices,omitzero"`                // with level=indices or level=shards
}

// Percent is a number that is always written with a fraction, as 100.0.
type Percent float64

// MarshalJSON writes the fraction that strict readers of doubles look for.
func (p Percent) MarshalJSON() ([]byte, error) {
	s := strconv.FormatFloat(float64(p), 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return []byte(s), nil
}

// LicenseResponse is the answer to GET /_license.
type LicenseResponse struct {
	License License `json:"license"`
}

// License is what software that asks for a licence wants to see. Latchkey has none.
type License struct {
	Status            string `json:"status"`
	UID               string `json:"uid"`
	Type              string `json:"type"`
	IssueDate         string `json:"issue_date"`
	IssueDateInMillis int64  `json:"issue_date_in_millis"`
	MaxNodes          int    `json:"max_nodes"`
	IssuedTo          string `json:"issued_to"`
	Issuer            string `json:"issuer"`
	StartDateInMillis int64  `json:"start_date_in_millis"`
}

// XPackInfo is the answer to GET /_xpack. Categories that were not asked for are absent.
type XPackInfo struct {
	Build    *XPackBuild             `json:"build,omitempty"`
	License  *XPackLicense           `json:"license,omitempty"`
	Features map[string]XPackFeature `json:"features,omitempty"`
	Tagline  string                  `json:"tagline,omitempty"`
}

// XPackBuild names the build of the server.
type XPackBuild struct {
	Hash string `json:"hash"`
	Date string `json:"date"`
}

// XPackLicense is the short form of [License].
type XPackLicense struct {
	UID    string `json:"uid"`
	Type   string `json:"type"`
	Mode   string `json:"mode"`
	Status string `json:"status"`
}

// XPackFeature says whether a feature exists and is switched on.
type XPackFeature struct {
	Available bool `json:"available"`
	Enabled   bool `json:"enabled"`
}

// NodesResponse is the answer to GET /_nodes and its variants: what clients that
// look for further nodes need.
type NodesResponse struct {
	Summary     NodesSummary        `json:"_nodes"`
	ClusterName string              `json:"cluster_name"`
	Nodes       map[string]NodeInfo `json:"nodes"` // by node id
}

// NodesSummary counts the nodes that were asked.
type NodesSummary struct {
	Total      int `json:"total"`
	Successful int `json:"successful"`
	Failed     int `json:"failed"`
}

// NodeInfo describes one node.
type NodeInfo struct {
	Name        string            `json:"name"`
	Host        string            `json:"host"`
	IP          string            `json:"ip"`
	Version     string            `json:"version"`
	BuildFlavor string            `json:"build_flavor"`
	BuildType   string            `json:"build_type"`
	BuildHash   string            `json:"build_hash"`
	Roles       []string          `json:"roles"`
	Attributes  map[string]string `json:"attributes"`
	Settings    json.RawMessage   `json:"settings,omitempty"` // an object
	HTTP        *NodeHTTP         `json:"http,omitempty"`
}

// NodeHTTP says where a node is reached.
type NodeHTTP struct {
	BoundAddress            []string `json:"bound_address"`
	PublishAddress          string   `json:"publish_address"` // ip:port or host/ip:port
	MaxContentLength        string   `json:"max_content_length,omitempty"`
	MaxContentLengthInBytes int64    `json:"max_content_length_in_bytes"`
}
