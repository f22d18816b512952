package rolemapping

import (
	"errors"

	"latchkey/internal/fault"
	"latchkey/internal/xcontent"
)

// Formats of what a template writes: one role's name, or a JSON array of names.
const (
	formatString = "string"
	formatJSON   = "json"
)

// Template names roles by a template over the user.
type Template struct {
	Script string // the script object, as JSON
	Format string // string or json

	parts  []part
	params xcontent.Value // an object, or null
}

// NewTemplate compiles a template. A script that is none is fault.Argument.
func NewTemplate(script, format string) (Template, error) {
	t := Template{Script: script, Format: format}
	v, err := xcontent.ParseJSON([]byte(script))
	if err != nil || v.Kind != xcontent.Object {
		return t, fault.New(fault.Argument, "a role template must be an object with a [source]")
	}
	return t, t.compile(v)
}

// compile reads the script object.
func (t *Template) compile(script xcontent.Value) error {
	var source, lang *string
	for _, m := range script.Members {
		switch m.Name {
		case "source", "inline":
			s := m.Value.Text
			switch m.Value.Kind {
			case xcontent.String:
			case xcontent.Object:
				s = string(m.Value.JSON())
			default:
				return fault.New(fault.Argument, "the [source] of a role template must be a string or an object")
			}
			source = &s
		case "lang":
			lang = &m.Value.Text
		case "params":
			if m.Value.Kind != xcontent.Object {
				return fault.New(fault.Argument, "the [params] of a role template must be an object")
			}
			t.params = m.Value
		case "id":
			return fault.New(fault.Argument, "a role template cannot name a stored script, since there are none; write its [source]")
		default:
			return fault.New(fault.Argument, "a role template has no [%s]; it has [source], [lang] and [params]", shorten(m.Name))
		}
	}
	switch {
	case source == nil:
		return fault.New(fault.Argument, "a role template must have a [source]")
	case lang != nil && *lang != "mustache":
		return fault.New(fault.Argument, "a role template cannot be written in [%s]; the language is [mustache]", shorten(*lang))
	}
	var err error
	if t.parts, err = parseMustache(*source); err != nil {
		return fault.New(fault.Argument, "a role template is not valid: %s", err)
	}
	return nil
}

// roles evaluates the template for a user, as [model.object] shows one.
func (t *Template) roles(user xcontent.Value) ([]string, error) {
	if len(t.params.Members) > 0 {
		for _, m := range t.params.Members {
			if _, hidden := user.Get(m.Name); !hidden {
				user.Members = append(user.Members[:len(user.Members):len(user.Members)], m)
			}
		}
	}
	text, err := render(t.parts, user, t.Format == formatJSON)
	if err != nil {
		return nil, err
	}
	if t.Format == formatString {
		return named(nil, textOf(text)), nil
	}
	v, err := xcontent.ParseJSON([]byte(text))
	if err != nil {
		return nil, err
	}
	switch v.Kind {
	case xcontent.String:
		return named(nil, v), nil
	case xcontent.Array:
		var roles []string
		for _, item := range v.Items {
			if item.Kind != xcontent.String && item.Kind != xcontent.Null {
				return nil, errors.New("a role template writes an array that holds more than strings")
			}
			roles = named(roles, item)
		}
		return roles, nil
	}
	return nil, errors.New("a role template must write a string or an array of strings")
}

// named adds a role's name, unless there is none.
func named(roles []string, v xcontent.Value) []string {
	if v.Text == "" {
		return roles
	}
	return append(roles, v.Text)
}

// object is a user as templates see one.
func (m *model) object() xcontent.Value {
	member := func(name string, v xcontent.Value) xcontent.Member { return xcontent.Member{Name: name, Value: v} }
	groups := xcontent.Value{Kind: xcontent.Array}
	for _, g := range m.user.Groups {
		groups.Items = append(groups.Items, textOf(g))
	}
	dn := xcontent.Value{}
	if m.user.DN != "" {
		dn = textOf(m.user.DN)
	}
	extra := m.metadata
	if extra.Kind != xcontent.Object {
		extra = xcontent.Value{Kind: xcontent.Object}
	}
	realm := xcontent.Value{Kind: xcontent.Object, Members: []xcontent.Member{member("name", textOf(m.user.Realm.Name))}}
	return xcontent.Value{Kind: xcontent.Object, Members: []xcontent.Member{
		member("username", textOf(m.user.Username)), member("dn", dn), member("groups", groups),
		member("metadata", extra), member("realm", realm),
	}}
}
