package rolemapping

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"latchkey/internal/fault"
	"latchkey/internal/xcontent"
)

func script(source string) string {
	return fmt.Sprintf(`{"source":%s}`, textOf(source).JSON())
}

func TestTemplates(t *testing.T) {
	tests := []struct {
		source, format string
		want           []string // nil: it cannot be evaluated
	}{
		{"plain", "string", []string{"plain"}},
		{"_user_{{username}}", "string", []string{"_user_jo"}},
		{"{{realm.name}}/{{metadata.n}}/{{metadata.yes}}/{{metadata.deep.x}}/{{metadata.a.b}}", "string", []string{"ldap1/7/true/1/dotted"}},
		{"{{absent}}{{metadata.absent.x}}", "string", []string{}},
		{"{{metadata.nothing}}x", "string", []string{"x"}},
		{"{{dn}}", "string", []string{jo.DN}},
		{"{{groups.1}}", "string", []string{"Sales"}},
		{"{{#tojson}}groups{{/tojson}}", "json", jo.Groups},
		{"{{#toJson}} metadata.list {{/toJson}}", "json", nil}, // one element is a number
		{`["a",null,"{{username}}"]`, "json", []string{"a", "jo"}},
		{`"{{username}}"`, "json", []string{"jo"}},
		{`7`, "json", nil},
		{`{}`, "json", nil},
		{`not json`, "json", nil},
		{`["a",["b"]]`, "json", nil},
		{`[{{#groups}}"g {{.}}",{{/groups}}"end"]`, "json", []string{"g " + jo.Groups[0], "g Sales", "end"}},
		{"{{#metadata.yes}}a{{/metadata.yes}}{{^metadata.yes}}b{{/metadata.yes}}{{^metadata.none}}c{{/metadata.none}}{{#metadata.none}}d{{/metadata.none}}", "string", []string{"ac"}},
		{"{{#metadata.deep}}{{x}}{{username}}{{/metadata.deep}}", "string", []string{"1jo"}},
		{"a{{! a comment with {braces} }}b", "string", []string{"ab"}},
		{"{{{username}}}{{&username}}{{ username }}", "string", []string{"jojojo"}},
	}
	m, err := newModel(jo)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		tpl, err := NewTemplate(script(tt.source), tt.format)
		if err != nil {
			t.Errorf("%s: %v", tt.source, err)
			continue
		}
		got, err := tpl.roles(m.object())
		if (err != nil) != (tt.want == nil) || !slices.Equal(got, tt.want) {
			t.Errorf("%s (%s) names %q, %v; want %q", tt.source, tt.format, got, err, tt.want)
		}
	}
}

// Nobody gets a role by the choice of a name.
func TestNamesStayInside(t *testing.T) {
	m, err := newModel(User{Username: `x","superuser`, Groups: []string{`a"]`, "{{username}}"}})
	if err != nil {
		t.Fatal(err)
	}
	for source, want := range map[string][]string{
		`["{{username}}"]`:             {`x","superuser`},
		`{{#tojson}}groups{{/tojson}}`: {`a"]`, "{{username}}"},
		`["{{groups.0}}"]`:             {`a"]`},
	} {
		tpl, err := NewTemplate(script(source), "json")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := tpl.roles(m.object()); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s names %q, %v; want %q", source, got, err, want)
		}
	}
}

func TestParameters(t *testing.T) {
	m, err := newModel(jo)
	if err != nil {
		t.Fatal(err)
	}
	tpl, err := NewTemplate(`{"lang":"mustache","source":"{{team}}-{{username}}","params":{"team":"x","username":"not this one"}}`, "string")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := tpl.roles(m.object()); err != nil || !slices.Equal(got, []string{"x-jo"}) {
		t.Errorf("got %q, %v; want x-jo", got, err)
	}
}

func TestBadTemplates(t *testing.T) {
	for _, bad := range []string{
		script("{{"), script("{{}}"), script("{{#a}}"), script("{{/a}}"), script("{{#a}}{{/b}}"), script("{{> file}}"), script("{{=<% %>=}}"),
		script("{{a b}}"), script("{{{a}}"), script("{{#tojson}}{{/tojson}}"), script("{{#tojson}}{{a}}{{/tojson}}"),
		script(strings.Repeat("{{#a}}", maxNesting+2)), script(strings.Repeat("a", maxTemplate+1)),
		`{}`, `[]`, `x`, ``, `{"source":7}`, `{"id":"stored"}`, `{"source":"x","lang":"painless"}`, `{"source":"x","params":7}`, `{"source":"x","other":1}`,
	} {
		if _, err := NewTemplate(bad, "string"); fault.KindOf(err) != fault.Argument {
			t.Errorf("%.60s: %v; want fault.Argument", bad, err)
		}
	}
}

// A template that multiplies itself ends with an error.
func TestTemplatesAreBounded(t *testing.T) {
	u := User{Username: "x"}
	for range 100 {
		u.Groups = append(u.Groups, strings.Repeat("g", 100))
	}
	m, err := newModel(u)
	if err != nil {
		t.Fatal(err)
	}
	source := "{{username}}"
	for range 10 {
		source = "{{#groups}}" + source + "{{#tojson}}groups{{/tojson}}{{/groups}}"
	}
	tpl, err := NewTemplate(script(source), "string")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := tpl.roles(m.object()); err == nil {
		t.Errorf("it wrote %d roles; want an error", len(got))
	}
}

func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"{{#groups}}{{.}}{{/groups}}", "{{#tojson}}metadata{{/tojson}}", "{{^a}}{{{b}}}{{&c}}{{!d}}{{/a}}", "{{metadata.list.0}}"} {
		f.Add(s)
	}
	m, err := newModel(jo)
	if err != nil {
		f.Fatal(err)
	}
	of := m.object()
	f.Fuzz(func(_ *testing.T, source string) {
		parts, err := parseMustache(source)
		if err != nil {
			return
		}
		for _, escape := range []bool{false, true} {
			_, _ = render(parts, of, escape)
		}
		_, _ = render(parts, xcontent.Value{}, true)
	})
}
