package httpapi

import (
	"context"
	"maps"
	"slices"

	"latchkey"
	"latchkey/internal/fault"
)

// cleared is the answer of every call that clears a cache: no node uses what it had
// before. There is one cache of a kind on a node, and clearing it cannot fail.
func (s *Server) cleared(ctx context.Context) (reply, error) {
	answer, err := s.clearing(ctx)
	answer.Nodes.Successful = answer.Nodes.Total
	return ok(answer), err
}

// notCleared is the answer where a node, and with it all others, does not know
// what it should clear: the call as a whole succeeds (spec/identity.md 10.1).
func (s *Server) notCleared(ctx context.Context, why error) (reply, error) {
	answer, err := s.clearing(ctx)
	answer.Nodes.Failed = answer.Nodes.Total
	for _, id := range slices.Sorted(maps.Keys(answer.ByID)) {
		answer.Nodes.Failures = append(answer.Nodes.Failures, latchkey.FailedNode{
			NodeID: id,
			ErrorDetails: latchkey.ErrorDetails{
				Type: "failed_node_exception", Reason: "node [" + id + "] failed",
				CausedBy: &latchkey.ErrorDetails{Type: failures[fault.Argument].typ, Reason: why.Error()},
			},
		})
	}
	answer.ByID = nil
	return ok(answer), err
}

// clearing names the nodes of the fleet, this one by the ID that its clients know.
func (s *Server) clearing(ctx context.Context) (latchkey.ClearCacheResponse, error) {
	answer := latchkey.ClearCacheResponse{
		ClusterName: s.opts.ClusterName,
		ByID:        map[string]latchkey.ClearedNode{s.opts.NodeID: {Name: s.opts.NodeName}},
	}
	if s.Fleet != nil {
		f, err := s.Fleet.Status(ctx)
		if err != nil {
			return answer, err
		}
		for _, m := range f.Members {
			if m.ID != f.Node {
				answer.ByID[m.ID] = latchkey.ClearedNode{Name: m.Name}
			}
		}
	}
	answer.Nodes.Total = len(answer.ByID)
	return answer, nil
}
