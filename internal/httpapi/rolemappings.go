package httpapi

import (
	"context"

	"latchkey"
	"latchkey/internal/rolemapping"
)

func (s *Server) routeRoleMappings() {
	s.route("PUT /_security/role_mapping/{name}", s.putRoleMapping)
	s.route("POST /_security/role_mapping/{name}", s.putRoleMapping)
	s.route("GET /_security/role_mapping", s.getRoleMappings)
	s.route("GET /_security/role_mapping/{names}", s.getNamedRoleMappings)
	s.route("DELETE /_security/role_mapping/{name}", s.deleteRoleMapping)
}

// PUT or POST /_security/role_mapping/{name}
func (s *Server) putRoleMapping(c *call) (act, error) {
	c.query.Refresh()
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	m, err := rolemapping.Parse(c.path("name"), body)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (reply, error) {
		created, err := s.RoleMappings.Put(ctx, c.by, m)
		return ok(latchkey.PutRoleMappingResponse{RoleMapping: latchkey.CreatedResponse{Created: created}}), err
	}, nil
}

// GET /_security/role_mapping
func (s *Server) getRoleMappings(c *call) (act, error) { return s.showRoleMappings(c, nil) }

// GET /_security/role_mapping/{names}
func (s *Server) getNamedRoleMappings(c *call) (act, error) {
	return s.showRoleMappings(c, names(c.path("names")))
}

func (s *Server) showRoleMappings(c *call, names []string) (act, error) {
	return func(ctx context.Context) (reply, error) {
		mappings, err := s.RoleMappings.Get(ctx, c.by, names)
		if err != nil {
			return reply{}, err
		}
		shown := make(latchkey.GetRoleMappingsResponse, len(mappings))
		for _, m := range mappings {
			to := latchkey.RoleMapping{Enabled: m.Enabled, Roles: m.Roles, Rules: m.Rules.JSON(), Metadata: m.Metadata}
			for _, t := range m.Templates {
				to.RoleTemplates = append(to.RoleTemplates, latchkey.RoleTemplate{Template: t.Script, Format: t.Format})
			}
			shown[m.Name] = to
		}
		return found(len(names) == 0 || len(shown) > 0, shown), nil
	}, nil
}

// DELETE /_security/role_mapping/{name}
func (s *Server) deleteRoleMapping(c *call) (act, error) {
	c.query.Refresh()
	name := c.path("name")
	return func(ctx context.Context) (reply, error) {
		had, err := s.RoleMappings.Delete(ctx, c.by, name)
		return found(had, latchkey.FoundResponse{Found: had}), err
	}, nil
}
