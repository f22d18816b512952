package latchkey

import (
	"context"
	"net/http"
	"strconv"
)

// HealthResponse is the answer to GET /_latchkey/live and GET /_latchkey/ready,
// which need no credential. A node that is not ready answers 503.
type HealthResponse struct {
	Status string `json:"status"` // live or ready
}

// FleetResponse is the answer to GET /_latchkey/fleet: how the nodes that share a
// store look from one of them.
type FleetResponse struct {
	Node        string      `json:"node"`                 // the id of the one that answers
	Applied     int64       `json:"applied_revision"`     // how far it is
	Newest      int64       `json:"newest_revision"`      // that anybody has written
	LeaseMillis int64       `json:"lease_left_in_millis"` // 0: it accepts no credentials
	Nodes       []FleetNode `json:"nodes"`
}

// FleetNode is one of the nodes that share a store.
type FleetNode struct {
	ID           string `json:"id"` // of one stay in the fleet
	Name         string `json:"name"`
	Address      string `json:"address"` // "": the others do not reach it
	Acknowledged int64  `json:"acknowledged_revision"`
	Lag          int64  `json:"lag"`             // revisions that it is not known to have applied
	LeaseMillis  int64  `json:"lease_in_millis"` // how long it accepts credentials without the store, with its grace
}

// BarrierResponse is the answer to GET /_latchkey/barrier/{revision}.
type BarrierResponse struct {
	Revision int64 `json:"revision"`
}

// Fleet returns how the nodes that share a store are. A node with a store of its
// own answers 404. It is an addition of latchkey.
func (c *Client) Fleet(ctx context.Context) (FleetResponse, error) {
	return call[FleetResponse](ctx, c, request{method: http.MethodGet, path: "/_latchkey/fleet"})
}

// Barrier returns once a revision, as of the message of a 503, is in force on all
// nodes. It is an addition of latchkey.
func (c *Client) Barrier(ctx context.Context, revision int64) error {
	_, err := call[BarrierResponse](ctx, c, request{method: http.MethodGet, path: "/_latchkey/barrier/" + strconv.FormatInt(revision, 10)})
	return err
}
