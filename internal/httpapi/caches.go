package httpapi

import (
	"latchkey"
	"latchkey/internal/fault"
)

// cleared is the answer of every call that clears a cache. There is one cache
// of a kind on a node, and clearing it cannot fail.
func (s *Server) cleared() reply {
	answer := latchkey.ClearCacheResponse{
		ClusterName: s.opts.ClusterName,
		ByID:        map[string]latchkey.ClearedNode{s.opts.NodeID: {Name: s.opts.NodeName}},
	}
	answer.Nodes.Total, answer.Nodes.Successful = 1, 1
	return ok(answer)
}

// notCleared is the answer where a node does not know what it should clear: the
// call as a whole succeeds (spec/identity.md 10.1).
func (s *Server) notCleared(why error) reply {
	answer := latchkey.ClearCacheResponse{ClusterName: s.opts.ClusterName}
	answer.Nodes.Total, answer.Nodes.Failed = 1, 1
	answer.Nodes.Failures = []latchkey.FailedNode{{
		NodeID: s.opts.NodeID,
		ErrorDetails: latchkey.ErrorDetails{
			Type: "failed_node_exception", Reason: "node [" + s.opts.NodeID + "] failed",
			CausedBy: &latchkey.ErrorDetails{Type: failures[fault.Argument].typ, Reason: why.Error()},
		},
	}}
	return ok(answer)
}
