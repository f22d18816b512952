package httpapi

import (
	"context"

	"latchkey"
	"latchkey/internal/access"
	"latchkey/internal/settings"
	"latchkey/internal/xcontent"
)

func (s *Server) routeSettings() {
	s.route("GET /_security/settings", s.getSettings)
	s.route("PUT /_security/settings", s.updateSettings)
	s.route("GET /_security/stats", s.getSecurityStats)
}

// GET /_security/settings
func (s *Server) getSettings(c *call) (act, error) {
	c.query.Duration("master_timeout", 0)
	return func(ctx context.Context) (reply, error) {
		kept, err := s.Settings.Get(ctx, c.by)
		if err != nil {
			return reply{}, err
		}
		shown := make(latchkey.SecuritySettings, len(kept))
		for name, i := range kept {
			shown[name] = latchkey.SecurityIndex{Index: latchkey.IndexSettings{AutoExpandReplicas: i.AutoExpandReplicas, NumberOfReplicas: i.NumberOfReplicas}}
		}
		return ok(shown), nil
	}, nil
}

// PUT /_security/settings
func (s *Server) updateSettings(c *call) (act, error) {
	c.query.Duration("master_timeout", 0)
	c.query.Duration("timeout", 0)
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	changes := map[string]settings.Change{}
	of := xcontent.Fields{}
	for _, name := range settings.Indices {
		of[name] = func(v xcontent.Value) (err error) {
			changes[name], err = readSettings(v)
			return err
		}
	}
	if err := body.Read("update_security_settings", of); err != nil {
		return nil, err
	}
	return func(ctx context.Context) (reply, error) {
		return ok(latchkey.Acknowledged{Acknowledged: true}), s.Settings.Update(ctx, c.by, changes)
	}, nil
}

// readSettings reads {"index.number_of_replicas": 1} or {"index": {"number_of_replicas": 1}}.
func readSettings(v xcontent.Value) (settings.Change, error) {
	var change settings.Change
	set := func(to **xcontent.Value) func(xcontent.Value) error {
		return func(v xcontent.Value) error {
			if v.Kind == xcontent.Object || v.Kind == xcontent.Array {
				return v.Mismatch("a single value")
			}
			if *to != nil {
				return v.Mismatch("given once")
			}
			*to = &v
			return nil
		}
	}
	inner := xcontent.Fields{"number_of_replicas": set(&change.NumberOfReplicas), "auto_expand_replicas": set(&change.AutoExpandReplicas)}
	outer := xcontent.Fields{"index": func(v xcontent.Value) error { return v.Read("index", inner) }}
	for name, read := range inner {
		outer["index."+name] = read
	}
	return change, v.Read("settings", outer)
}

// GET /_security/stats
func (s *Server) getSecurityStats(c *call) (act, error) {
	return func(context.Context) (reply, error) {
		if err := c.by.Authorize(access.Request{Action: "cluster:monitor/xpack/security/stats"}); err != nil {
			return reply{}, err
		}
		var node latchkey.SecurityNodeStats
		node.Roles.DLS.BitSetCache.Memory = "0b" // no documents, so nothing is kept of them
		return ok(latchkey.SecurityStats{Nodes: map[string]latchkey.SecurityNodeStats{s.opts.NodeID: node}}), nil
	}, nil
}
