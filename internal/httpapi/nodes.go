package httpapi

import (
	"encoding/json"
	"net"
	"slices"
	"strings"
	"time"

	"latchkey"
)

// metrics are the parts of a node's description that can be asked for. Only
// http and settings have something to show here; the others are as empty as
// they are on a node that lacks the part.
var metrics = []string{"_all", "_none", "settings", "os", "process", "jvm", "thread_pool", "transport", "http", "remote_cluster_server",
	"plugins", "ingest", "aggregations", "indices", "search_pipelines"}

// GET /_nodes, /_nodes/{nodes or metrics}, /_nodes/{nodes}/{metrics}
//
// Clients that sniff replace the hosts they were given with what they read here.
func (s *Server) nodes(c *call) (act, error) {
	c.query.Duration("timeout", 30*time.Second)
	flat := c.query.Bool("flat_settings")
	nodes, parts := []string{"_all"}, []string{"_all"}
	switch len(c.wild) {
	case 1:
		list := strings.Split(c.path("what"), ",")
		if slices.ContainsFunc(list, func(p string) bool { return !slices.Contains(metrics, p) }) {
			nodes = list
		} else {
			parts = list
		}
	case 2:
		nodes, parts = strings.Split(c.path("nodes"), ","), strings.Split(c.path("metrics"), ",")
	}
	return c.monitored("cluster:monitor/nodes/info", func() reply {
		r := latchkey.NodesResponse{ClusterName: s.opts.ClusterName, Nodes: map[string]latchkey.NodeInfo{}}
		if s.isNamed(nodes) {
			r.Summary.Total, r.Summary.Successful = 1, 1
			r.Nodes[s.opts.NodeID] = s.nodeInfo(parts, flat, c.human)
		}
		return ok(r)
	}), nil
}

func (s *Server) nodeInfo(parts []string, flat, human bool) latchkey.NodeInfo {
	wants := func(part string) bool { return slices.Contains(parts, part) || slices.Contains(parts, "_all") }
	publish := s.opts.PublishAddress()
	host, ip := hostAndIP(publish)
	v := s.build.version
	n := latchkey.NodeInfo{
		Name: s.opts.NodeName, Host: host, IP: ip,
		Version: v.Number, BuildFlavor: v.BuildFlavor, BuildType: v.BuildType, BuildHash: v.BuildHash,
		// A node with the role master alone would be left out by every client.
		Roles: []string{"data", "ingest", "master"},
	}
	if wants("settings") {
		n.Settings = s.nodeSettings(flat)
	}
	if wants("http") {
		bound := s.opts.BoundAddresses()
		if _, address, named := strings.Cut(publish, "/"); !slices.Contains(bound, publish) && !(named && slices.Contains(bound, address)) {
			bound = append(slices.Clip(bound), strings.TrimPrefix(publish, host+"/"))
		}
		n.HTTP = &latchkey.NodeHTTP{BoundAddress: bound, PublishAddress: publish, MaxContentLengthInBytes: s.opts.MaxContentLength}
		if human {
			n.HTTP.MaxContentLength = byteSize(s.opts.MaxContentLength)
		}
	}
	return n
}

func (s *Server) nodeSettings(flat bool) json.RawMessage {
	var v any = map[string]any{"cluster": map[string]string{"name": s.opts.ClusterName}, "node": map[string]string{"name": s.opts.NodeName}}
	if flat {
		v = map[string]string{"cluster.name": s.opts.ClusterName, "node.name": s.opts.NodeName}
	}
	b, err := json.Marshal(v)
	if err != nil { // strings always marshal
		return emptyObject
	}
	return b
}

// isNamed reports whether one of the filters chooses this node: its id, name or
// address, with *, or a word that stands for it.
func (s *Server) isNamed(filters []string) bool {
	host, ip := hostAndIP(s.opts.PublishAddress())
	return slices.ContainsFunc(filters, func(f string) bool {
		switch f {
		case "", "_all", "_local", "_master", "master:true", "data:true", "ingest:true":
			return true
		}
		return slices.ContainsFunc([]string{s.opts.NodeID, s.opts.NodeName, host, ip}, func(name string) bool {
			return matchName(f, name)
		})
	})
}

// hostAndIP splits ip:port or host/ip:port. Without a host the ip stands for it.
func hostAndIP(publish string) (host, ip string) {
	host, address, named := strings.Cut(publish, "/")
	if !named {
		address = publish
	}
	ip, _, err := net.SplitHostPort(address)
	if err != nil {
		ip = address
	}
	if !named {
		host = ip
	}
	return host, ip
}
