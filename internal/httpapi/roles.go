package httpapi

import (
	"context"
	"encoding/json"

	"latchkey"
	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/role"
	"latchkey/internal/xcontent"
)

func (s *Server) routeRoles() {
	s.route("PUT /_security/role/{name}", s.putRole)
	s.route("POST /_security/role/{name}", s.putRole)
	s.route("GET /_security/role", s.getRoles)
	s.route("GET /_security/role/{names}", s.getNamedRoles)
	s.route("DELETE /_security/role/{name}", s.deleteRole)
	s.route("POST /_security/role", s.putRoles)
	s.route("DELETE /_security/role", s.deleteRoles)
	s.route("GET /_security/_query/role", s.queryRoles)
	s.route("POST /_security/_query/role", s.queryRoles)
	s.route("POST /_security/role/{names}/_clear_cache", s.clearRoleCache)
}

// PUT or POST /_security/role/{name}
func (s *Server) putRole(c *call) (act, error) {
	c.query.Refresh()
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	name := c.path("name")
	d, err := access.ParseDescriptor(name, body, false)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (reply, error) {
		created, err := s.Roles.Put(ctx, c.by, name, d)
		return ok(latchkey.PutRoleResponse{Role: latchkey.CreatedResponse{Created: created}}), err
	}, nil
}

// GET /_security/role
func (s *Server) getRoles(c *call) (act, error) { return s.showRoles(c, nil) }

// GET /_security/role/{names}
func (s *Server) getNamedRoles(c *call) (act, error) { return s.showRoles(c, names(c.path("names"))) }

func (s *Server) showRoles(c *call, names []string) (act, error) {
	c.query.Bool("include_implicit") // no role has privileges that are not its own, so there is nothing to add
	return func(ctx context.Context) (reply, error) {
		roles, err := s.Roles.Get(ctx, c.by, names)
		if err != nil {
			return reply{}, err
		}
		shown := make(latchkey.GetRolesResponse, len(roles))
		for name, d := range roles {
			shown[name] = d.JSON()
		}
		return found(len(names) == 0 || len(roles) > 0, shown), nil
	}, nil
}

// DELETE /_security/role/{name}
func (s *Server) deleteRole(c *call) (act, error) {
	c.query.Refresh()
	return func(ctx context.Context) (reply, error) {
		had, err := s.Roles.Delete(ctx, c.by, c.path("name"))
		return found(had, latchkey.FoundResponse{Found: had}), err
	}, nil
}

// POST /_security/role/{names}/_clear_cache
func (s *Server) clearRoleCache(c *call) (act, error) {
	names := names(c.path("names"))
	return func(ctx context.Context) (reply, error) {
		if err := s.Roles.ClearCache(ctx, c.by, names); err != nil {
			return reply{}, err
		}
		return s.cleared(ctx)
	}, nil
}

// POST /_security/role
func (s *Server) putRoles(c *call) (act, error) {
	c.query.Refresh()
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	var roles []role.Named
	given := false
	var inner error // of a descriptor; it keeps its kind
	err = body.Read("bulk_put_roles", xcontent.Fields{"roles": func(v xcontent.Value) error {
		if v.Kind != xcontent.Object {
			return v.Mismatch("an object")
		}
		given = true
		parser := access.NewParser(false)
		for _, m := range v.Members {
			d, err := parser.Parse(m.Name, m.Value)
			if err != nil {
				inner = err
				return nil
			}
			roles = append(roles, role.Named{Name: m.Name, Descriptor: d})
		}
		return nil
	}})
	switch {
	case err != nil:
		return nil, err
	case inner != nil:
		return nil, inner
	case !given:
		return nil, fault.New(fault.Argument, "[roles] is required")
	}
	return func(ctx context.Context) (reply, error) {
		results, err := s.Roles.PutMany(ctx, c.by, roles)
		return ok(bulkRoles(results, false)), err
	}, nil
}

// DELETE /_security/role
func (s *Server) deleteRoles(c *call) (act, error) {
	c.query.Refresh()
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	var names []string
	if err := body.Read("bulk_delete_roles", xcontent.Fields{"names": toArray(&names)}); err != nil {
		return nil, err
	}
	if names == nil {
		return nil, fault.New(fault.Argument, "[names] is required")
	}
	return func(ctx context.Context) (reply, error) {
		results, err := s.Roles.DeleteMany(ctx, c.by, names)
		return ok(bulkRoles(results, true)), err
	}, nil
}

func bulkRoles(results []role.Result, deletion bool) latchkey.BulkRolesResponse {
	var answer latchkey.BulkRolesResponse
	for _, r := range results {
		to := &answer.Noop
		switch {
		case r.Outcome == role.Failed:
			if answer.Errors == nil {
				answer.Errors = &latchkey.BulkErrors{Details: map[string]latchkey.ErrorDetails{}}
			}
			answer.Errors.Count++
			answer.Errors.Details[r.Name] = latchkey.ErrorDetails{Type: failures[r.Err.Kind].typ, Reason: r.Err.Reason}
			continue
		case r.Outcome == role.Created:
			to = &answer.Created
		case r.Outcome == role.Updated:
			to = &answer.Updated
		case r.Outcome == role.Deleted:
			to = &answer.Deleted
		case deletion:
			to = &answer.NotFound
		}
		*to = append(*to, r.Name)
	}
	return answer
}

// GET or POST /_security/_query/role
func (s *Server) queryRoles(c *call) (act, error) {
	req, err := c.search(role.Schema)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (reply, error) {
		found, err := s.Roles.Query(ctx, c.by, req)
		if err != nil {
			return reply{}, err
		}
		answer := latchkey.QueryRolesResponse{Total: found.Total, Count: len(found.Page), Roles: []json.RawMessage{}}
		for _, hit := range found.Page {
			item, err := xcontent.ParseOwn(hit.Document.Descriptor.JSON())
			if err != nil {
				return reply{}, err
			}
			item.Members = append([]xcontent.Member{member("name", text(hit.Document.Name))}, item.Members...)
			if hit.Sort != nil {
				item.Members = append(item.Members, member("_sort", xcontent.Value{Kind: xcontent.Array, Items: hit.Sort}))
			}
			answer.Roles = append(answer.Roles, item.JSON())
		}
		return ok(answer), nil
	}, nil
}
