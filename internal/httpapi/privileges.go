package httpapi

import (
	"context"
	"encoding/json"

	"latchkey"
	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/xcontent"
)

func (s *Server) routePrivileges() {
	for _, method := range []string{"GET", "POST"} {
		s.route(method+" /_security/user/_has_privileges", s.haveIPrivileges)
		s.route(method+" /_security/user/{username}/_has_privileges", s.hasUserPrivileges)
	}
	s.route("GET /_security/user/_privileges", s.getUserPrivileges)
	s.route("GET /_security/privilege/_builtin", s.getBuiltinPrivileges)
}

// GET or POST /_security/user/_has_privileges
func (s *Server) haveIPrivileges(c *call) (act, error) { return s.hasPrivileges(c, c.by.Username) }

// GET or POST /_security/user/{username}/_has_privileges
func (s *Server) hasUserPrivileges(c *call) (act, error) {
	return s.hasPrivileges(c, c.path("username"))
}

func (s *Server) hasPrivileges(c *call, username string) (act, error) {
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	check, err := readPrivilegeCheck(body)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (reply, error) {
		if err := fault.Problems(check.Problems()).Err(fault.Invalid); err != nil {
			return reply{}, err
		}
		self := username == c.by.Username
		if err := c.by.Authorize(access.Request{Action: "cluster:admin/xpack/security/user/has_privileges", Self: self}); err != nil {
			return reply{}, err
		}
		if !self {
			return reply{}, fault.New(fault.Argument, "users may only check their own privileges, and [%s] is not [%s]", username, c.by.Username)
		}
		checked, err := s.checkPrivileges(ctx, c.by.Permissions, check)
		if err != nil {
			return reply{}, err
		}
		return ok(latchkey.HasPrivilegesResponse{
			Username: c.by.Username, HasAllRequested: checked.All,
			Cluster: checked.Cluster, Index: checked.Index, Application: checked.Applications,
		}), nil
	}, nil
}

// checkPrivileges answers a check for whoever has the permissions.
func (s *Server) checkPrivileges(ctx context.Context, p access.Permissions, check access.Check) (access.Checked, error) {
	var names []string
	for _, a := range check.Applications {
		names = append(names, a.Application)
	}
	stored, err := s.Applications.Ready(ctx, names)
	if err != nil {
		return access.Checked{}, err
	}
	return p.Check(check, stored)
}

// readPrivilegeCheck reads a check: the whole body of _has_privileges. What does
// not fit is fault.Structure.
func readPrivilegeCheck(body xcontent.Value) (access.Check, error) {
	var check access.Check
	sections := 0
	applications := func(v xcontent.Value) error {
		sections++
		return eachObject(v, func(v xcontent.Value) error {
			a, err := readApplicationCheck(v)
			check.Applications = append(check.Applications, a)
			return err
		})
	}
	err := readStructure(body, "has_privileges", xcontent.Fields{
		"cluster": func(v xcontent.Value) error {
			sections++
			return toArray(&check.Cluster)(v)
		},
		"index": func(v xcontent.Value) error {
			sections++
			return eachObject(v, func(v xcontent.Value) error {
				i, err := readIndexCheck(v)
				check.Indices = append(check.Indices, i)
				return err
			})
		},
		"application":  applications,
		"applications": applications,
	})
	if err == nil && sections == 0 {
		err = fault.New(fault.Structure, "one of [cluster], [index] and [application] is required")
	}
	return check, err
}

func readApplicationCheck(v xcontent.Value) (access.ApplicationEntry, error) {
	var a access.ApplicationEntry
	err := v.Read("application", xcontent.Fields{
		"application": xcontent.ToString(&a.Application),
		"privileges":  toArray(&a.Privileges),
		"resources":   toArray(&a.Resources),
	})
	if err == nil {
		err = required(v, "application", "application", "privileges", "resources")
	}
	return a, err
}

func readIndexCheck(v xcontent.Value) (access.IndexCheck, error) {
	var i access.IndexCheck
	refuse := func(field string) func(xcontent.Value) error {
		return func(v xcontent.Value) error {
			return fault.New(fault.Malformed, "[%d:%d] field [%s] cannot be part of a privilege check", v.Line, v.Col, field)
		}
	}
	err := v.Read("index", xcontent.Fields{
		"names":                    xcontent.ToStrings(&i.Names),
		"privileges":               toArray(&i.Privileges),
		"allow_restricted_indices": xcontent.ToBool(&i.AllowRestricted),
		"field_security":           refuse("field_security"),
		"query":                    refuse("query"),
	})
	if err == nil {
		err = required(v, "index", "names", "privileges")
	}
	return i, err
}

// required refuses an object that lacks one of names.
func required(v xcontent.Value, parser string, names ...string) error {
	for _, name := range names {
		if _, ok := v.Get(name); !ok {
			return fault.New(fault.Malformed, "[%d:%d] [%s] missing required field [%s]", v.Line, v.Col, parser, name)
		}
	}
	return nil
}

// toArray reads an array of strings; a single string is refused.
func toArray(p *[]string) func(xcontent.Value) error {
	return func(v xcontent.Value) error {
		if v.Kind != xcontent.Array {
			return v.Mismatch("an array of strings")
		}
		return xcontent.ToStrings(p)(v)
	}
}

func eachObject(v xcontent.Value, read func(xcontent.Value) error) error {
	if v.Kind != xcontent.Array {
		return v.Mismatch("an array of objects")
	}
	for _, item := range v.Items {
		if err := read(item); err != nil {
			return err
		}
	}
	return nil
}

// GET /_security/user/_privileges
func (s *Server) getUserPrivileges(c *call) (act, error) {
	return func(context.Context) (reply, error) {
		if err := c.by.Authorize(access.Request{Action: "cluster:admin/xpack/security/user/list_privileges", Self: true}); err != nil {
			return reply{}, err
		}
		list, err := c.by.Permissions.List()
		return ok(json.RawMessage(list)), err
	}, nil
}

// GET /_security/privilege/_builtin
func (s *Server) getBuiltinPrivileges(c *call) (act, error) {
	return func(context.Context) (reply, error) {
		if err := c.by.Authorize(access.Request{Action: "cluster:admin/xpack/security/privilege/builtin/get"}); err != nil {
			return reply{}, err
		}
		return ok(latchkey.BuiltinPrivilegesResponse{
			Cluster: access.ClusterPrivileges(), Index: access.IndexPrivileges(), RemoteCluster: access.RemoteClusterPrivileges(),
		}), nil
	}, nil
}
