package rolemapping

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"latchkey/internal/fault"
	"latchkey/internal/pattern"
	"latchkey/internal/xcontent"
)

// Fields with rules of their own.
const (
	fieldUsername = "username"
	fieldDN       = "dn"
	fieldGroups   = "groups"
	fieldRealm    = "realm.name"
	metadata      = "metadata."
)

// model is a user as rules see one.
type model struct {
	user     User
	metadata xcontent.Value
	names    map[string][]datum // dn and groups, whose normal forms take time
}

// datum is one value of a user.
type datum struct {
	value  xcontent.Value
	dn     *ldap.DN // of dn and groups, if it is one
	normal string   // of dn and groups: NormalDN
}

func newModel(u User) (*model, error) {
	m := &model{user: u, names: map[string][]datum{}}
	if len(u.Metadata) > 0 {
		var err error
		if m.metadata, err = xcontent.ParseOwn(u.Metadata); err != nil {
			return nil, fmt.Errorf("read metadata of user %s: %w", u.Username, err)
		}
	}
	return m, nil
}

func textOf(s string) xcontent.Value { return xcontent.Value{Kind: xcontent.String, Text: s} }

// field returns the values of a field: of a list its elements, of a field that is
// not there one null.
func (m *model) field(name string) (data []datum) {
	switch name {
	case fieldUsername:
		return []datum{{value: textOf(m.user.Username)}}
	case fieldRealm:
		return []datum{{value: textOf(m.user.Realm.Name)}}
	case fieldDN:
		if m.user.DN == "" {
			return []datum{{}}
		}
		return m.named(name, []string{m.user.DN})
	case fieldGroups:
		return m.named(name, m.user.Groups)
	}
	if key, ok := strings.CutPrefix(name, metadata); ok {
		v, _ := m.metadata.Get(key)
		if v.Kind != xcontent.Array {
			return []datum{{value: v}}
		}
		for _, item := range v.Items {
			data = append(data, datum{value: item})
		}
		return data
	}
	return []datum{{}}
}

func (m *model) named(field string, texts []string) []datum {
	data, known := m.names[field]
	if !known {
		for _, s := range texts {
			d := datum{value: textOf(s)}
			d.dn, d.normal = parseDN(s)
			data = append(data, d)
		}
		m.names[field] = data
	}
	return data
}

// NormalDN returns the form in which equal distinguished names are equal texts:
// lower case, no blanks around the parts, one way to write each character. What
// is no distinguished name comes back in lower case.
func NormalDN(s string) string {
	_, normal := parseDN(s)
	return normal
}

// escaped keeps what is part of a value apart from what parts values.
var escaped = strings.NewReplacer(`\`, `\\`, `,`, `\,`, `+`, `\+`, `"`, `\"`, `<`, `\<`, `>`, `\>`, `;`, `\;`, `=`, `\=`)

// maxDN bounds the work on one name.
const maxDN = 8192

func parseDN(s string) (*ldap.DN, string) {
	if len(s) > maxDN {
		return nil, strings.ToLower(s)
	}
	dn, err := ldap.ParseDN(s)
	if err != nil || len(dn.RDNs) == 0 {
		return nil, strings.ToLower(s)
	}
	parts := make([]string, len(dn.RDNs))
	for i, rdn := range dn.RDNs {
		all := make([]string, len(rdn.Attributes))
		for j, a := range rdn.Attributes {
			all[j] = strings.ToLower(a.Type) + "=" + escaped.Replace(strings.ToLower(a.Value)) // not String, which escapes all that is not ASCII
		}
		slices.Sort(all)
		parts[i] = strings.Join(all, "+")
	}
	return dn, strings.Join(parts, ",")
}

// condition is one value of a field rule, compiled.
type condition struct {
	shown  xcontent.Value
	number float64           // of a number
	match  *pattern.Matcher  // of a text with wildcards or a regular expression
	fold   *foldedConditions // of dn and groups
}

// foldedConditions is what a text means for dn and groups.
type foldedConditions struct {
	normal string           // the text as a name
	below  *ldap.DN         // of "*,suffix"
	lower  *pattern.Matcher // match, for texts in lower case
}

func (p *ruleParser) condition(v xcontent.Value, folded bool) (condition, error) {
	c := condition{shown: v}
	switch v.Kind {
	case xcontent.Null, xcontent.Bool:
		return c, nil
	case xcontent.Number:
		n, err := strconv.ParseInt(v.Text, 10, 64)
		if err != nil {
			f, err := strconv.ParseFloat(v.Text, 64)
			if err != nil || f < -1<<63 || f >= 1<<63 {
				return c, bad(v, "the number [%s] is out of range", shorten(v.Text))
			}
			n = int64(f)
		}
		c.number, c.shown.Text = float64(n), strconv.FormatInt(n, 10)
		return c, nil
	case xcontent.String:
		return p.text(c, folded)
	}
	return c, bad(v, "the value of a field must be a string, a number, a boolean or null, or an array of these")
}

func (p *ruleParser) text(c condition, folded bool) (condition, error) {
	s := c.shown.Text
	regex := strings.HasPrefix(s, "/") && strings.HasSuffix(s, "/") && len(s) > 1
	switch {
	case regex:
		m, err := p.compiler.Matcher(s)
		if err != nil {
			return c, fault.New(fault.Parsing, "failed to parse rules expression. [%s] is no pattern", shorten(s)).Because(err)
		}
		c.match = &m
	case strings.Contains(s, "*"):
		m := pattern.Wildcards(s) // a slash at its beginning is one
		c.match = &m
	}
	if !folded {
		return c, nil
	}
	c.fold = &foldedConditions{normal: NormalDN(s)}
	if suffix, ok := strings.CutPrefix(s, "*,"); ok && !regex {
		c.fold.below, _ = parseDN(suffix)
	}
	if c.match != nil && !regex {
		m := pattern.Wildcards(strings.ToLower(s))
		c.fold.lower = &m
	}
	return c, nil
}

// meets reports whether any of a user's values is what the condition asks for.
// An empty list never is.
func (c *condition) meets(data []datum) bool {
	for i := range data {
		if c.meetsOne(&data[i]) {
			return true
		}
	}
	return false
}

func (c *condition) meetsOne(d *datum) bool {
	if c.shown.Kind != d.value.Kind {
		return false
	}
	s := d.value.Text
	switch c.shown.Kind {
	case xcontent.Null:
		return true
	case xcontent.Bool:
		return c.shown.Text == s
	case xcontent.Number:
		n, err := strconv.ParseFloat(s, 64)
		return err == nil && n == c.number
	case xcontent.String:
	default:
		return false
	}
	if c.fold == nil {
		if c.match != nil {
			return c.match.Matches(s)
		}
		return c.shown.Text == s
	}
	lower := strings.ToLower(s)
	if c.match == nil {
		return c.fold.normal == d.normal || strings.ToLower(c.shown.Text) == lower
	}
	if c.fold.below != nil && d.dn != nil && c.fold.below.AncestorOfFold(d.dn) {
		return true
	}
	for _, form := range []string{s, d.normal, lower, strings.ToUpper(s)} {
		if c.match.Matches(form) {
			return true
		}
	}
	return c.fold.lower != nil && (c.fold.lower.Matches(lower) || c.fold.lower.Matches(d.normal))
}
