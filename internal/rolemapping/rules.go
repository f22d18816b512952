package rolemapping

import (
	"strings"

	"latchkey/internal/fault"
	"latchkey/internal/pattern"
	"latchkey/internal/xcontent"
)

// Rule is a condition about a user, compiled. It does not change. The zero value
// fits nobody.
type Rule struct {
	kind   string // any, all, except, field
	rules  []*Rule
	field  string
	values []condition
	single bool // the value was no array, or one of one element
}

const (
	anyRule    = "any"
	allRule    = "all"
	exceptRule = "except"
	fieldRule  = "field"
)

// maxRules counts the rules and values of one mapping: each login goes through them.
const maxRules = 10_000

// ParseRule reads rules (spec/identity.md 6). What does not fit is fault.Parsing.
func ParseRule(v xcontent.Value) (*Rule, error) {
	p := &ruleParser{compiler: pattern.NewSmallCompiler()}
	return p.rule(v, false)
}

type ruleParser struct {
	compiler *pattern.Compiler
	count    int
}

func bad(at xcontent.Value, format string, args ...any) error {
	f := fault.New(fault.Parsing, "failed to parse rules expression. "+format, args...)
	f.Fields = []fault.Field{{Name: "line", Value: int(at.Line)}, {Name: "col", Value: int(at.Col)}}
	return f
}

func (p *ruleParser) take(at xcontent.Value) error {
	if p.count++; p.count > maxRules {
		return bad(at, "there are more than [%d] rules and values", maxRules)
	}
	return nil
}

func (p *ruleParser) rule(v xcontent.Value, exceptOK bool) (*Rule, error) {
	if err := p.take(v); err != nil {
		return nil, err
	}
	if v.Kind != xcontent.Object {
		return nil, bad(v, "a rule must be an object")
	}
	if len(v.Members) != 1 {
		return nil, bad(v, "a rule must have exactly one key, but one has [%d]", len(v.Members))
	}
	m := v.Members[0]
	r := &Rule{kind: m.Name}
	switch m.Name {
	case anyRule, allRule:
		if m.Value.Kind != xcontent.Array {
			return nil, bad(m.Value, "[%s] must be an array of rules", m.Name)
		}
		for _, item := range m.Value.Items {
			inner, err := p.rule(item, m.Name == allRule)
			if err != nil {
				return nil, err
			}
			r.rules = append(r.rules, inner)
		}
		return r, nil
	case exceptRule:
		if !exceptOK {
			return nil, bad(v, "[except] may only stand directly inside of [all]")
		}
		inner, err := p.rule(m.Value, false)
		r.rules = []*Rule{inner}
		return r, err
	case fieldRule:
		return r, p.fieldOf(r, m.Value)
	}
	return nil, bad(v, "[%s] is no rule; one of [any], [all], [except] and [field] is needed", m.Name)
}

func (p *ruleParser) fieldOf(r *Rule, v xcontent.Value) error {
	if v.Kind != xcontent.Object || len(v.Members) != 1 {
		return bad(v, "[field] must be an object with exactly one key, the name of the field")
	}
	m := v.Members[0]
	r.field = m.Name
	items := m.Value.Items
	if m.Value.Kind != xcontent.Array {
		items = []xcontent.Value{m.Value}
	}
	r.single = len(items) == 1
	folded := r.field == fieldDN || r.field == fieldGroups
	for _, item := range items {
		if err := p.take(item); err != nil {
			return err
		}
		c, err := p.condition(item, folded)
		if err != nil {
			return err
		}
		r.values = append(r.values, c)
	}
	return nil
}

// JSON returns the rules as the API shows them.
func (r *Rule) JSON() []byte { return r.value().JSON() }

func (r *Rule) value() xcontent.Value {
	one := func(name string, v xcontent.Value) xcontent.Value {
		return xcontent.Value{Kind: xcontent.Object, Members: []xcontent.Member{{Name: name, Value: v}}}
	}
	switch r.kind {
	case exceptRule:
		return one(exceptRule, r.rules[0].value())
	case fieldRule:
		if r.single {
			return one(fieldRule, one(r.field, r.values[0].shown))
		}
		list := xcontent.Value{Kind: xcontent.Array}
		for _, c := range r.values {
			list.Items = append(list.Items, c.shown)
		}
		return one(fieldRule, one(r.field, list))
	}
	list := xcontent.Value{Kind: xcontent.Array}
	for _, inner := range r.rules {
		list.Items = append(list.Items, inner.value())
	}
	return one(r.kind, list)
}

// fits reports whether the rule is true of a user.
func (r *Rule) fits(m *model) bool {
	switch r.kind {
	case anyRule:
		for _, inner := range r.rules {
			if inner.fits(m) {
				return true
			}
		}
		return false
	case allRule:
		for _, inner := range r.rules {
			if !inner.fits(m) {
				return false
			}
		}
		return true
	case exceptRule:
		return !r.rules[0].fits(m)
	case fieldRule:
		data := m.field(r.field)
		for i := range r.values {
			if r.values[i].meets(data) {
				return true
			}
		}
	}
	return false
}

// shorten keeps sentences about a stranger's text short.
func shorten(s string) string {
	if len(s) <= 100 {
		return s
	}
	return strings.ToValidUTF8(s[:100], "") + "..."
}
