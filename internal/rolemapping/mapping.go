package rolemapping

import (
	"context"
	"encoding/json"
	"errors"

	"latchkey/internal/fault"
	"latchkey/internal/xcontent"
)

// Mapping gives roles to the users who fit its rules.
type Mapping struct {
	Name      string
	Enabled   bool
	Roles     []string        // or, in place of them,
	Templates []Template      // of the names of roles
	Rules     *Rule           // never nil
	Metadata  json.RawMessage // a JSON object
}

// Store keeps mappings. Every method is one atomic change or one consistent
// read. Names differ by letter case. An error of a change is fault.Unknown if the
// change may have been made, and any other only if it was not.
type Store interface {
	// PutRoleMapping creates the mapping or replaces it as a whole. It calls
	// changed once that is kept, before anybody is answered who can see it.
	PutRoleMapping(ctx context.Context, m Mapping, changed func()) (created bool, err error)
	// RoleMappings returns those of the named mappings that exist, or all if names
	// is empty, in order of their names.
	RoleMappings(ctx context.Context, names []string) ([]Mapping, error)
	// DeleteRoleMapping reports whether there was such a mapping, and calls deleted
	// then, as PutRoleMapping calls changed.
	DeleteRoleMapping(ctx context.Context, name string, deleted func()) (bool, error)
}

// Parse reads the body of a mapping (spec/identity.md 6). What is missing or has
// the wrong form is fault.Parsing.
func Parse(name string, body xcontent.Value) (Mapping, error) {
	m := Mapping{Name: name, Metadata: json.RawMessage("{}")}
	if body.Kind != xcontent.Object {
		return m, fault.New(fault.Parsing, "role mapping [%s] must be an object", shorten(name))
	}
	var roles, templates, rules, enabled bool
	for _, member := range body.Members {
		v, err := member.Value, error(nil)
		wrong := func(want string) error {
			return fault.New(fault.Parsing, "role mapping [%s]: field [%s] must be %s", shorten(name), member.Name, want)
		}
		switch member.Name {
		case "enabled":
			enabled = true
			if v.Kind != xcontent.Bool {
				err = wrong("a boolean")
			}
			m.Enabled = v.Text == "true"
		case "roles":
			roles = true
			if v.Kind != xcontent.Array {
				err = wrong("an array of strings")
			}
			for _, item := range v.Items {
				if item.Kind != xcontent.String {
					err = wrong("an array of strings")
				}
				m.Roles = append(m.Roles, item.Text)
			}
		case "role_templates":
			templates = true
			if v.Kind != xcontent.Array {
				err = wrong("an array of templates")
				break
			}
			m.Templates, err = parseTemplates(v.Items)
		case "rules":
			rules = true
			m.Rules, err = ParseRule(v)
		case "metadata":
			if v.Kind != xcontent.Object {
				err = wrong("an object")
			}
			m.Metadata = v.JSON()
		default:
			return m, fault.New(fault.Parsing, "role mapping [%s] has no field [%s]%s", shorten(name), shorten(member.Name), xcontent.DidYouMean(member.Name, fields))
		}
		if f, ok := errors.AsType[*fault.Error](err); ok && (member.Name == "rules" || member.Name == "role_templates") {
			err = fault.New(fault.Parsing, "failed to parse role mapping [%s]: field [%s] could not be parsed", shorten(name), member.Name).Because(f)
		}
		if err != nil {
			return m, err
		}
	}
	for _, need := range []struct {
		given bool
		field string
	}{{roles || templates, "roles"}, {rules, "rules"}, {enabled, "enabled"}} {
		if !need.given {
			return m, fault.New(fault.Parsing, "failed to parse role mapping [%s]: field [%s] is missing", shorten(name), need.field)
		}
	}
	return m, nil
}

var fields = map[string]bool{"enabled": true, "roles": true, "role_templates": true, "rules": true, "metadata": true}

// maxTemplates counts the templates of one mapping: each login goes through them.
const maxTemplates = 100

func parseTemplates(items []xcontent.Value) ([]Template, error) {
	if len(items) > maxTemplates {
		return nil, fault.New(fault.Parsing, "there are more than [%d] role templates", maxTemplates)
	}
	var all []Template
	for _, item := range items {
		var script, format string
		if item.Kind != xcontent.Object {
			return nil, fault.New(fault.Parsing, "a role template must be an object with a [template]")
		}
		format = formatString
		for _, m := range item.Members {
			switch {
			case m.Name == "template" && m.Value.Kind == xcontent.Object:
				script = string(m.Value.JSON())
			case m.Name == "template" && m.Value.Kind == xcontent.String:
				script = scriptOf(m.Value.Text)
			case m.Name == "template":
				return nil, fault.New(fault.Parsing, "a [template] must be an object or a string")
			case m.Name == "format" && m.Value.Kind == xcontent.String && (m.Value.Text == formatString || m.Value.Text == formatJSON):
				format = m.Value.Text
			case m.Name == "format":
				return nil, fault.New(fault.Parsing, "the [format] of a role template must be [string] or [json]")
			default:
				return nil, fault.New(fault.Parsing, "a role template has no field [%s]", shorten(m.Name))
			}
		}
		if script == "" {
			return nil, fault.New(fault.Parsing, "a role template must have a [template]")
		}
		t, err := NewTemplate(script, format)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

// scriptOf is the script of a template that was written as a string: the JSON of
// a script, as GET shows it, or the source itself.
func scriptOf(text string) string {
	if v, err := xcontent.ParseJSON([]byte(text)); err == nil && v.Kind == xcontent.Object {
		return text
	}
	source := xcontent.Value{Kind: xcontent.Object, Members: []xcontent.Member{{Name: "source", Value: textOf(text)}}}
	return string(source.JSON())
}

// problems are what is wrong with a mapping as a whole.
func (m Mapping) problems() fault.Problems {
	var p fault.Problems
	switch {
	case m.Name == "":
		p.Add("the name of a role mapping is missing")
	case len(m.Name) > maxName:
		p.Add("the name of a role mapping is longer than [%d] bytes", maxName)
	}
	switch {
	case len(m.Roles) == 0 && len(m.Templates) == 0:
		p.Add("a role mapping must have [roles] or [role_templates]")
	case len(m.Roles) > 0 && len(m.Templates) > 0:
		p.Add("a role mapping cannot have both [roles] and [role_templates]")
	}
	meta, _ := xcontent.ParseOwn(m.Metadata)
	for _, member := range meta.Members {
		if len(member.Name) > 0 && member.Name[0] == '_' {
			p.Add("metadata keys may not start with [_], but one is [%s]", shorten(member.Name))
		}
	}
	return p
}

// maxName is room enough for any name that somebody means to read.
const maxName = 1024
