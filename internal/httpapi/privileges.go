package httpapi

import (
	"context"

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
}

// privilegeCheck is the body of _has_privileges. Of indices and applications
// only their number is known here: nothing can judge them yet.
type privilegeCheck struct {
	cluster               []string
	indices, applications int
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
	return func(context.Context) (reply, error) {
		if len(check.cluster)+check.indices+check.applications == 0 {
			return reply{}, fault.Problems{"at least one privilege to check must be given"}.Err(fault.Invalid)
		}
		self := username == c.by.Username
		if err := c.by.Authorize(access.Request{Action: "cluster:admin/xpack/security/user/has_privileges", Self: self}); err != nil {
			return reply{}, err
		}
		if !self {
			return reply{}, fault.New(fault.Argument, "users may only check their own privileges, and [%s] is not [%s]", username, c.by.Username)
		}
		return checkPrivileges(c.by, check)
	}, nil
}

func checkPrivileges(by *access.Caller, check privilegeCheck) (reply, error) {
	switch {
	case check.indices > 0:
		return reply{}, fault.New(fault.Argument, "privileges of the section [index] cannot be checked by this release")
	case check.applications > 0:
		return reply{}, fault.New(fault.Argument, "privileges of the section [application] cannot be checked by this release")
	}
	held, err := by.Permissions.HasClusters(check.cluster...)
	if err != nil {
		return reply{}, err
	}
	answer := latchkey.HasPrivilegesResponse{
		Username: by.Username, HasAllRequested: true, Cluster: held,
		Index: map[string]map[string]bool{}, Application: map[string]map[string]map[string]bool{},
	}
	for _, has := range held {
		answer.HasAllRequested = answer.HasAllRequested && has
	}
	return ok(answer), nil
}

// readPrivilegeCheck reads the whole body, so that a mistake in a section that
// cannot be checked is told as what it is.
func readPrivilegeCheck(body xcontent.Value) (privilegeCheck, error) {
	var check privilegeCheck
	sections := 0
	applications := func(v xcontent.Value) error {
		sections++
		return eachObject(v, func(v xcontent.Value) error {
			check.applications++
			var application string
			var privileges, resources []string
			return v.Read("application", xcontent.Fields{
				"application": xcontent.ToString(&application),
				"privileges":  toArray(&privileges),
				"resources":   toArray(&resources),
			})
		})
	}
	err := readStructure(body, "has_privileges", xcontent.Fields{
		"cluster": func(v xcontent.Value) error {
			sections++
			return toArray(&check.cluster)(v)
		},
		"index": func(v xcontent.Value) error {
			sections++
			return eachObject(v, func(v xcontent.Value) error {
				check.indices++
				return readIndexCheck(v)
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

func readIndexCheck(v xcontent.Value) error {
	var names, privileges []string
	var restricted bool
	refuse := func(field string) func(xcontent.Value) error {
		return func(v xcontent.Value) error {
			return fault.New(fault.Malformed, "[%d:%d] field [%s] cannot be part of a privilege check", v.Line, v.Col, field)
		}
	}
	return v.Read("index", xcontent.Fields{
		"names":                    xcontent.ToStrings(&names),
		"privileges":               toArray(&privileges),
		"allow_restricted_indices": xcontent.ToBool(&restricted),
		"field_security":           refuse("field_security"),
		"query":                    refuse("query"),
	})
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
