package access

import (
	"errors"
	"slices"

	"latchkey/internal/fault"
	"latchkey/internal/xcontent"
)

// query reads the query of an index entry. An object becomes its compact text.
func (p *Parser) query(e *IndexEntry) func(xcontent.Value) error {
	return func(v xcontent.Value) error {
		var text string
		parsed := v
		switch v.Kind {
		case xcontent.Null:
			return nil
		case xcontent.Object:
			text = string(v.JSON())
		case xcontent.String:
			if text = v.Text; text == "" {
				return nil
			}
			if p.use == stored {
				break
			}
			var err error
			if parsed, err = xcontent.ParseJSON([]byte(text)); err != nil {
				return structure(p.name, "the text of field [query] cannot be read: %s", err)
			}
			if parsed.Kind != xcontent.Object {
				return errors.New("must hold an object in its text")
			}
		default:
			return v.Mismatch("an object or a string")
		}
		e.Query = &text
		if p.use == stored {
			return nil
		}
		return checkRoleQuery(parsed)
	}
}

// compound maps the queries that hold further queries to the members that do.
var compound = map[string][]string{
	"bool":           {"must", "filter", "should", "must_not"},
	"boosting":       {"positive", "negative"},
	"constant_score": {"filter"},
	"dis_max":        {"queries"},
	"function_score": {"query", "functions"},
	"knn":            {"filter"},
	"nested":         {"query"},
	"pinned":         {"organic"},
	"rule":           {"organic"},
	"script_score":   {"query"},
}

// checkRoleQuery refuses the queries that a role must not depend on, because
// they look at other documents (spec/identity.md 3.2), as fault.Argument. All
// else is opaque here: the query is stored for those who search. A template is
// filled in then, so nothing can be said about it now.
func checkRoleQuery(v xcontent.Value) error {
	for _, m := range v.Members {
		switch m.Name {
		case "has_child", "has_parent", "percolate":
			return fault.New(fault.Argument, "%s query isn't supported as part of a role query", m.Name)
		case "terms":
			if fieldHas(m.Value, func(field xcontent.Value) bool { return field.Kind == xcontent.Object }) {
				return fault.New(fault.Argument, "terms query with terms lookup isn't supported as part of a role query")
			}
		case "geo_shape", "shape":
			if fieldHas(m.Value, func(field xcontent.Value) bool { _, ok := field.Get("indexed_shape"); return ok }) {
				return fault.New(fault.Argument, "%s query referring to indexed shapes isn't supported as part of a role query", m.Name)
			}
		}
		for _, name := range compound[m.Name] {
			inner, _ := m.Value.Get(name)
			if err := checkRoleQueries(m.Name, inner); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkRoleQueries looks into one query or several. Each entry of
// function_score.functions holds its query as filter.
func checkRoleQueries(parent string, v xcontent.Value) error {
	for _, q := range append(slices.Clip(v.Items), v) {
		if filter, ok := q.Get("filter"); ok && parent == "function_score" {
			q = filter
		}
		if err := checkRoleQuery(q); err != nil {
			return err
		}
	}
	return nil
}

func fieldHas(query xcontent.Value, bad func(field xcontent.Value) bool) bool {
	for _, m := range query.Members {
		if bad(m.Value) {
			return true
		}
	}
	return false
}
