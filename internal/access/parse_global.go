package access

import (
	"latchkey/internal/fault"
	"latchkey/internal/xcontent"
)

// Application entries and global are read by strict object parsers: what is
// wrong in them is fault.Malformed (spec/identity.md 0.1).

func (p *Parser) application(v xcontent.Value) (ApplicationEntry, error) {
	var e ApplicationEntry
	const parser = "application_privileges"
	err := v.Read(parser, xcontent.Fields{
		"application": xcontent.ToString(&e.Application),
		"privileges":  someOf(toArray(&e.Privileges), &e.Privileges),
		"resources":   someOf(toArray(&e.Resources), &e.Resources),
	})
	if err == nil {
		err = requireMembers(parser, v, "application", "privileges", "resources")
	}
	p.patterns = append(p.patterns, e.Resources...)
	return e, err
}

func requireMembers(parser string, v xcontent.Value, names ...string) error {
	for _, name := range names {
		if _, ok := v.Get(name); !ok {
			return fault.New(fault.Malformed, "[%d:%d] [%s] missing required field [%s]", v.Line, v.Col, parser, name)
		}
	}
	return nil
}

// someOf refuses a list that is empty.
func someOf(field func(xcontent.Value) error, to *[]string) func(xcontent.Value) error {
	return func(v xcontent.Value) error {
		if err := field(v); err != nil {
			return err
		}
		if len(*to) == 0 {
			return fault.New(fault.Malformed, "[%d:%d] a list must not be empty here", v.Line, v.Col)
		}
		return nil
	}
}

// global reads an object of categories, or an array of such objects that
// together name each category once.
func (p *Parser) global(to **Global) func(xcontent.Value) error {
	return func(v xcontent.Value) error {
		parts := []xcontent.Value{v}
		if v.Kind == xcontent.Array {
			parts = v.Items
		}
		var g Global
		seen := map[string]bool{}
		for _, part := range parts {
			for _, m := range part.Members {
				if seen[m.Name] {
					return fault.New(fault.Malformed, "[%d:%d] [global] category [%s] is given twice", m.Line, m.Col, m.Name)
				}
				seen[m.Name] = true
			}
			err := part.Read("global", xcontent.Fields{
				"application": category("application", "manage", "applications", p.names(&g.ManageApplications)),
				"profile":     category("profile", "write", "applications", p.names(&g.WriteProfiles)),
				"role":        category("role", "manage", "indices", p.globalIndices(&g.ManageRoles)),
				"data_source": func(v xcontent.Value) error {
					if v.Kind != xcontent.Array {
						return v.Mismatch("an array")
					}
					g.DataSources = v.JSON()
					return nil
				},
			})
			if err != nil {
				return err
			}
		}
		if g.ManageApplications != nil || g.WriteProfiles != nil || g.ManageRoles != nil || g.DataSources != nil {
			*to = &g
		}
		return nil
	}
}

// category reads {} or {act: {what: content}}.
func category(name, act, what string, content func(xcontent.Value) error) func(xcontent.Value) error {
	return func(v xcontent.Value) error {
		return v.Read(name, xcontent.Fields{act: func(v xcontent.Value) error {
			if err := v.Read(act, xcontent.Fields{what: content}); err != nil {
				return err
			}
			return requireMembers(act, v, what)
		}})
	}
}

// names reads a list of patterns.
func (p *Parser) names(to *[]string) func(xcontent.Value) error {
	return func(v xcontent.Value) error {
		err := toArray(to)(v)
		p.patterns = append(p.patterns, *to...)
		return err
	}
}

func (p *Parser) globalIndices(to *[]GlobalIndex) func(xcontent.Value) error {
	return listOf(to, func(v xcontent.Value) (GlobalIndex, error) {
		var e GlobalIndex
		const parser = "indices"
		err := v.Read(parser, xcontent.Fields{
			"names":      someOf(p.names(&e.Names), &e.Names),
			"privileges": someOf(toArray(&e.Privileges), &e.Privileges),
		})
		if err == nil {
			err = requireMembers(parser, v, "names", "privileges")
		}
		for _, name := range e.Privileges {
			if problem := indexPrivilegeProblem(name); err == nil && problem != "" {
				err = fault.New(fault.Malformed, "[%d:%d] [%s] %s", v.Line, v.Col, parser, problem)
			}
		}
		return e, err
	})
}
