package httpapi

import "latchkey"

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
