package httpapi

import (
	"context"

	"latchkey"
	"latchkey/internal/access"
)

func (s *Server) routeRoles() {
	s.route("PUT /_security/role/{name}", s.putRole)
	s.route("POST /_security/role/{name}", s.putRole)
	s.route("GET /_security/role", s.getRoles)
	s.route("GET /_security/role/{names}", s.getNamedRoles)
	s.route("DELETE /_security/role/{name}", s.deleteRole)
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
		return s.cleared(), nil
	}, nil
}
