package storetest

import (
	"slices"
	"testing"

	"latchkey/internal/rolemapping"
	"latchkey/internal/xcontent"
)

var roleMappingRules = []rule{
	{"a role mapping reads back whole", mappingReadsBack},
	{"a put replaces the whole role mapping", mappingReplaced},
	{"names of role mappings differ by case", mappingCase},
	{"role mappings are listed by name", mappingsListed},
	{"a change of a role mapping is told before the answer", mappingChangeTold},
}

func mapping(t *testing.T, name, body string) rolemapping.Mapping {
	t.Helper()
	v, err := xcontent.ParseJSON([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	m, err := rolemapping.Parse(name, v)
	if err != nil {
		t.Fatalf("Parse(%s): %v", body, err)
	}
	return m
}

const (
	mappingWithRoles = `{"enabled":true,"roles":["a","b"],"metadata":{"n":1.50},
		"rules":{"all":[{"field":{"groups":["cn=x,dc=y",null,7,true]}},{"except":{"any":[{"field":{"username":"*"}}]}}]}}`
	mappingWithTemplates = `{"enabled":false,"rules":{"any":[]},"role_templates":[
		{"template":{"source":"{{username}}"}},{"template":"{{#tojson}}groups{{/tojson}}","format":"json"}]}`
)

func nothing() {}

func putMapping(t *testing.T, s Store, m rolemapping.Mapping, wantCreated bool) {
	t.Helper()
	created, err := s.PutRoleMapping(t.Context(), m, nothing)
	if err != nil || created != wantCreated {
		t.Fatalf("PutRoleMapping(%s) = %v, %v; want created %v", m.Name, created, err, wantCreated)
	}
}

// wantMappings compares what a store returns with the mappings that were put, in that order.
func wantMappings(t *testing.T, s Store, names []string, want ...rolemapping.Mapping) {
	t.Helper()
	got, err := s.RoleMappings(t.Context(), names)
	if err != nil || got == nil || len(got) != len(want) {
		t.Fatalf("RoleMappings(%q) = %v, %v; want %d", names, got, err, len(want))
	}
	for i, w := range want {
		g := got[i]
		sameTemplates := slices.EqualFunc(g.Templates, w.Templates, func(a, b rolemapping.Template) bool {
			return a.Script == b.Script && a.Format == b.Format
		})
		if g.Name != w.Name || g.Enabled != w.Enabled || !slices.Equal(g.Roles, w.Roles) || !sameTemplates ||
			string(g.Rules.JSON()) != string(w.Rules.JSON()) || string(g.Metadata) != string(w.Metadata) {
			t.Errorf("RoleMappings(%q)[%d] = %+v; want %+v", names, i, g, w)
		}
	}
}

func mappingReadsBack(t *testing.T, s Store) {
	a, b := mapping(t, "a", mappingWithRoles), mapping(t, "b", mappingWithTemplates)
	putMapping(t, s, b, true)
	putMapping(t, s, a, true)
	wantMappings(t, s, nil, a, b)
}

func mappingReplaced(t *testing.T, s Store) {
	putMapping(t, s, mapping(t, "x", mappingWithRoles), true)
	after := mapping(t, "x", mappingWithTemplates)
	putMapping(t, s, after, false)
	wantMappings(t, s, nil, after)
}

func mappingCase(t *testing.T, s Store) {
	small, capital := mapping(t, "x", mappingWithRoles), mapping(t, "X", mappingWithTemplates)
	putMapping(t, s, small, true)
	putMapping(t, s, capital, true)
	if found, err := s.DeleteRoleMapping(t.Context(), "X", nothing); !found || err != nil {
		t.Fatalf("DeleteRoleMapping(X) = %v, %v; want true", found, err)
	}
	wantMappings(t, s, nil, small)
}

func mappingsListed(t *testing.T, s Store) {
	wantMappings(t, s, nil)
	for _, name := range []string{"c", "ü \"x\"", "a"} {
		putMapping(t, s, mapping(t, name, mappingWithRoles), true)
	}
	a, c, odd := mapping(t, "a", mappingWithRoles), mapping(t, "c", mappingWithRoles), mapping(t, "ü \"x\"", mappingWithRoles)
	wantMappings(t, s, nil, a, c, odd)
	wantMappings(t, s, []string{"c", "nobody", "c", "a"}, a, c)
	wantMappings(t, s, []string{"nobody"})
}

func mappingChangeTold(t *testing.T, s Store) {
	told := 0
	tell := func() { told++ }
	m := mapping(t, "x", mappingWithRoles)
	for want, change := range []func() error{
		func() error { return nil },
		func() error { _, err := s.PutRoleMapping(t.Context(), m, tell); return err },
		func() error { _, err := s.PutRoleMapping(t.Context(), m, tell); return err },
		func() error { _, err := s.DeleteRoleMapping(t.Context(), "x", tell); return err },
	} {
		if err := change(); err != nil || told != want {
			t.Fatalf("after %d changes %d were told, %v", want, told, err)
		}
	}
	if found, err := s.DeleteRoleMapping(t.Context(), "x", tell); found || err != nil || told != 3 {
		t.Errorf("DeleteRoleMapping of nothing = %v, %v, told %d times; want false, and nothing told", found, err, told)
	}
}
