package httpapi

import (
	"context"
	"encoding/json"

	"latchkey"
	"latchkey/internal/application"
	"latchkey/internal/fault"
	"latchkey/internal/xcontent"
)

func (s *Server) routeApplications() {
	s.route("PUT /_security/privilege", s.putApplicationPrivileges)
	s.route("POST /_security/privilege", s.putApplicationPrivileges)
	s.route("GET /_security/privilege", s.getApplicationPrivileges)
	s.route("GET /_security/privilege/{application}", s.getApplicationPrivileges)
	s.route("GET /_security/privilege/{application}/{names}", s.getApplicationPrivileges)
	s.route("DELETE /_security/privilege/{application}/{names}", s.deleteApplicationPrivileges)
	s.route("POST /_security/privilege/{applications}/_clear_cache", s.clearApplicationCache)
}

// PUT or POST /_security/privilege
func (s *Server) putApplicationPrivileges(c *call) (act, error) {
	c.query.Refresh()
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	list, err := readApplicationPrivileges(body)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (reply, error) {
		created, err := s.Applications.Put(ctx, c.by, list)
		if err != nil {
			return reply{}, err
		}
		answer := latchkey.PutPrivilegesResponse{}
		for i, p := range list {
			if answer[p.Application] == nil {
				answer[p.Application] = map[string]latchkey.CreatedResponse{}
			}
			answer[p.Application][p.Name] = latchkey.CreatedResponse{Created: created[i]}
		}
		return ok(answer), nil
	}, nil
}

// readApplicationPrivileges reads {application: {name: privilege}}.
func readApplicationPrivileges(body xcontent.Value) ([]application.Privilege, error) {
	var list []application.Privilege
	if body.Kind != xcontent.Object {
		return nil, fault.New(fault.Malformed, "[%d:%d] [privileges] must be an object of applications", body.Line, body.Col)
	}
	for _, app := range body.Members {
		if app.Value.Kind != xcontent.Object {
			return nil, fault.New(fault.Malformed, "[%d:%d] [%s] must be an object of privileges", app.Value.Line, app.Value.Col, app.Name)
		}
		for _, m := range app.Value.Members {
			p, err := readApplicationPrivilege(app.Name, m)
			if err != nil {
				return nil, err
			}
			list = append(list, p)
		}
	}
	return list, nil
}

func readApplicationPrivilege(app string, m xcontent.Member) (application.Privilege, error) {
	p := application.Privilege{Application: app, Name: m.Name, Metadata: json.RawMessage(`{}`)}
	inner := struct{ application, name string }{app, m.Name}
	var metadata xcontent.Value
	err := m.Value.Read("application_privilege", xcontent.Fields{
		"application": xcontent.ToString(&inner.application),
		"name":        xcontent.ToString(&inner.name),
		"actions":     toArray(&p.Actions),
		"metadata":    xcontent.ToObject(&metadata),
	})
	switch {
	case err != nil:
		return p, err
	case inner.application != app:
		return p, fault.New(fault.Argument, "the application privilege [%s] stands below the application [%s] but names [%s] as its application", m.Name, app, inner.application)
	case inner.name != m.Name:
		return p, fault.New(fault.Argument, "the application privilege [%s] of the application [%s] names itself [%s]", m.Name, app, inner.name)
	}
	if metadata.Kind == xcontent.Object {
		p.Metadata = metadata.JSON()
	}
	return p, nil
}

// GET /_security/privilege[/{application}[/{names}]]
func (s *Server) getApplicationPrivileges(c *call) (act, error) {
	var of [2]string // application and names, as far as they are given
	copy(of[:], c.wild)
	wanted := names(of[1])
	return func(ctx context.Context) (reply, error) {
		list, err := s.Applications.Get(ctx, c.by, of[0], wanted)
		if err != nil {
			return reply{}, err
		}
		shown := latchkey.GetPrivilegesResponse{}
		for _, p := range list {
			if shown[p.Application] == nil {
				shown[p.Application] = map[string]latchkey.ApplicationPrivilege{}
			}
			shown[p.Application][p.Name] = latchkey.ApplicationPrivilege{Application: p.Application, Name: p.Name, Actions: p.Actions, Metadata: p.Metadata}
		}
		return found(len(wanted) == 0 || len(list) > 0, shown), nil
	}, nil
}

// DELETE /_security/privilege/{application}/{names}
func (s *Server) deleteApplicationPrivileges(c *call) (act, error) {
	c.query.Refresh()
	app, wanted := c.path("application"), names(c.path("names"))
	return func(ctx context.Context) (reply, error) {
		had, err := s.Applications.Delete(ctx, c.by, app, wanted)
		if err != nil {
			return reply{}, err
		}
		some, of := false, map[string]latchkey.FoundResponse{}
		for i, name := range wanted {
			was := had[i] || of[name].Found // a name may be given twice
			some, of[name] = some || was, latchkey.FoundResponse{Found: was}
		}
		return found(some, latchkey.DeletePrivilegesResponse{app: of}), nil
	}, nil
}

// POST /_security/privilege/{applications}/_clear_cache
func (s *Server) clearApplicationCache(c *call) (act, error) {
	applications := names(c.path("applications"))
	return func(ctx context.Context) (reply, error) {
		if err := s.Applications.ClearCache(ctx, c.by, applications); err != nil {
			return reply{}, err
		}
		return s.cleared(ctx)
	}, nil
}
