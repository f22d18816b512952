package httpapi

import (
	"context"
	"crypto/sha256"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"latchkey"
	"latchkey/internal/access"
	"latchkey/internal/fault"
)

// routeCluster registers the calls outside of security that clients and their
// tools make before and between others.
func (s *Server) routeCluster() {
	s.route("GET /", s.info)
	s.route("HEAD /", s.info)
	s.route("GET /_cluster/health", s.clusterHealth)
	s.route("GET /_cluster/health/{index}", s.clusterHealth)
	s.route("GET /_license", s.license)
	s.route("GET /_xpack", s.xpack)
	s.route("GET /_nodes", s.nodes)
	s.route("GET /_nodes/{what}", s.nodes)
	s.route("GET /_nodes/{nodes}/{metrics}", s.nodes)
}

// monitored is an act that needs the privilege behind action, all of which are
// part of monitor, and answers what show returns.
func (c *call) monitored(action string, show func() reply) act {
	return func(context.Context) (reply, error) {
		if err := c.by.Authorize(access.Request{Action: action}); err != nil {
			return reply{}, err
		}
		return show(), nil
	}
}

// GET /, HEAD /
func (s *Server) info(c *call) (act, error) {
	return c.monitored("cluster:monitor/main", func() reply {
		return ok(latchkey.Info{
			Name: s.opts.NodeName, ClusterName: s.opts.ClusterName, ClusterUUID: s.opts.ClusterUUID,
			Version: s.build.version, Tagline: "You Know, for Search",
		})
	}), nil
}

// GET /_cluster/health[/{index}]
//
// A single node without shards is green as soon as it answers, so that whoever
// waits for a status has it. Only more or fewer nodes than there are can be
// waited for in vain; that is told at once.
func (s *Server) clusterHealth(c *call) (act, error) {
	q := &c.query
	level := q.OneOf("level", "cluster", "indices", "shards")
	q.OneOf("wait_for_status", "green", "yellow", "red")
	q.OneOf("wait_for_events", "immediate", "urgent", "high", "normal", "low", "languid")
	q.Duration("timeout", 30*time.Second)
	q.Duration("master_timeout", 30*time.Second)
	for _, name := range []string{"local", "wait_for_no_relocating_shards", "wait_for_no_initializing_shards"} {
		q.Bool(name)
	}
	q.String("wait_for_active_shards")
	q.String("expand_wildcards")
	arrived, err := nodesArrived(q.String("wait_for_nodes"))
	if err != nil {
		return nil, err
	}
	return c.monitored("cluster:monitor/health", func() reply {
		h := latchkey.ClusterHealth{
			ClusterName: s.opts.ClusterName, Status: "green", TimedOut: !arrived,
			NumberOfNodes: 1, NumberOfDataNodes: 1, ActiveShardsPercentAsNumber: 100,
		}
		if c.human {
			h.TaskMaxWaitingInQueue, h.ActiveShardsPercent = "0s", "100.0%"
		}
		if level == "indices" || level == "shards" {
			h.Indices = map[string]struct{}{}
		}
		if !arrived {
			return reply{status: 408, body: h}
		}
		return ok(h)
	}), nil
}

var nodeCount = regexp.MustCompile(`^(?:(>=|<=|>|<)?(\d{1,9})|(ge|le|gt|lt)\((\d{1,9})\))$`)

// nodesArrived reads wait_for_nodes: 3, >=3, <3, ge(3) and their like, about the one node there is.
func nodesArrived(s string) (bool, error) {
	if s == "" {
		return true, nil
	}
	m := nodeCount.FindStringSubmatch(s)
	if m == nil {
		return false, fault.New(fault.Argument, "parameter [wait_for_nodes] must be a number of nodes, as in [1], [>=1] or [ge(1)], but is [%s]", s)
	}
	n, err := strconv.Atoi(m[2] + m[4])
	if err != nil {
		return false, fmt.Errorf("digits that are no number: %w", err)
	}
	switch m[1] + m[3] {
	case ">=", "ge":
		return n <= 1, nil
	case "<=", "le":
		return n >= 1, nil
	case ">", "gt":
		return n < 1, nil
	case "<", "lt":
		return n > 1, nil
	default:
		return n == 1, nil
	}
}

// licenseUID is a UUID that stays with the cluster.
func (s *Server) licenseUID() string {
	h := sha256.Sum256([]byte("license of " + s.opts.ClusterUUID))
	h[6], h[8] = h[6]&0x0f|0x80, h[8]&0x3f|0x80 // version 8, RFC 9562
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

// GET /_license
func (s *Server) license(c *call) (act, error) {
	c.query.Bool("local")
	c.query.Bool("accept_enterprise")
	return c.monitored("cluster:monitor/xpack/license/get", func() reply {
		issued, err := time.Parse(time.RFC3339Nano, s.build.version.BuildDate)
		if err != nil {
			issued = time.UnixMilli(0)
		}
		return ok(latchkey.LicenseResponse{License: latchkey.License{
			Status: "active", UID: s.licenseUID(), Type: "basic",
			IssueDate: issued.UTC().Format("2006-01-02T15:04:05.000Z"), IssueDateInMillis: issued.UnixMilli(),
			MaxNodes: 1000, IssuedTo: s.opts.ClusterName, Issuer: "latchkey", StartDateInMillis: -1,
		}})
	}), nil
}

// GET /_xpack
func (s *Server) xpack(c *call) (act, error) {
	human := c.query.BoolOr("human", true)
	c.query.Bool("accept_enterprise")
	categories := c.query.List("categories")
	for _, name := range categories {
		if !slices.Contains([]string{"_all", "build", "features", "license"}, name) {
			return nil, fault.New(fault.Argument, "parameter [categories] takes build, features and license, not [%s]", name)
		}
	}
	wants := func(category string) bool {
		return len(categories) == 0 || slices.Contains(categories, "_all") || slices.Contains(categories, category)
	}
	return c.monitored("cluster:monitor/xpack/info", func() reply {
		var x latchkey.XPackInfo
		if wants("build") {
			x.Build = &latchkey.XPackBuild{Hash: s.build.version.BuildHash, Date: s.build.version.BuildDate}
		}
		if wants("license") {
			x.License = &latchkey.XPackLicense{UID: s.licenseUID(), Type: "basic", Mode: "basic", Status: "active"}
		}
		if wants("features") {
			x.Features = map[string]latchkey.XPackFeature{"security": {Available: true, Enabled: true}}
		}
		if human {
			x.Tagline = "You know, for X"
		}
		return ok(x)
	}), nil
}

// human-readable byte sizes are whole numbers of the largest unit that fits, with one decimal.
func byteSize(n int64) string {
	units := []string{"b", "kb", "mb", "gb"}
	f, i := float64(n), 0
	for f >= 1024 && i+1 < len(units) {
		f, i = f/1024, i+1
	}
	return strings.TrimSuffix(strconv.FormatFloat(f, 'f', 1, 64), ".0") + units[i]
}
