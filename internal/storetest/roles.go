package storetest

import (
	"testing"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/xcontent"
)

var roleRules = []rule{
	{"a role reads back whole", roleReadsBack},
	{"a put replaces the whole role", roleReplaced},
	{"role names differ by case", roleCase},
	{"an unknown role is NotFound", unknownRole},
	{"roles are listed by name", rolesListed},
}

// richRole has something in every field that a stored role may have.
const richRole = `{
	"cluster": ["monitor", "cluster:admin/xpack/security/api_key/get"],
	"indices": [{"names": "logs-*", "privileges": ["read"], "field_security": {"grant": ["a*"], "except": ["ab"]},
		"query": {"term": {"team": "x"}}, "allow_restricted_indices": true}],
	"applications": [{"application": "app-1", "privileges": ["read", "action:x"], "resources": ["*"]}],
	"run_as": ["someone"],
	"global": {"application": {"manage": {"applications": ["app-*"]}}},
	"remote_indices": [{"names": ["r"], "privileges": ["read"], "clusters": ["c"]}],
	"remote_cluster": [{"privileges": ["monitor_enrich"], "clusters": ["c"]}],
	"metadata": {"n": 1.50, "deep": {"z": 1, "a": [null]}},
	"description": "a \"role\""
}`

func descriptor(t *testing.T, name, body string) access.Descriptor {
	t.Helper()
	v, err := xcontent.ParseJSON([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	d, err := access.ParseDescriptor(name, v, false)
	if err != nil {
		t.Fatalf("ParseDescriptor(%s): %v", body, err)
	}
	return d
}

func putRole(t *testing.T, s Store, name string, d access.Descriptor, wantCreated bool) {
	t.Helper()
	created, err := s.PutRole(t.Context(), name, d)
	if err != nil || created != wantCreated {
		t.Fatalf("PutRole(%s) = %v, %v; want created %v", name, created, err, wantCreated)
	}
}

func wantRole(t *testing.T, s Store, name string, want access.Descriptor) {
	t.Helper()
	got, err := s.Role(t.Context(), name)
	if err != nil || string(got.JSON()) != string(want.JSON()) {
		t.Errorf("Role(%s) = %s, %v; want %s", name, got.JSON(), err, want.JSON())
	}
}

func roleReadsBack(t *testing.T, s Store) {
	rich, empty := descriptor(t, "rich", richRole), descriptor(t, "empty", `{}`)
	putRole(t, s, "rich", rich, true)
	putRole(t, s, "empty", empty, true)
	wantRole(t, s, "rich", rich)
	wantRole(t, s, "empty", empty)
}

func roleReplaced(t *testing.T, s Store) {
	putRole(t, s, "x", descriptor(t, "x", richRole), true)
	after := descriptor(t, "x", `{"run_as":["a"]}`)
	putRole(t, s, "x", after, false)
	wantRole(t, s, "x", after)
}

func roleCase(t *testing.T, s Store) {
	small, capital := descriptor(t, "x", `{"cluster":["monitor"]}`), descriptor(t, "X", `{"cluster":["all"]}`)
	putRole(t, s, "x", small, true)
	putRole(t, s, "X", capital, true)
	if found, err := s.DeleteRole(t.Context(), "X"); !found || err != nil {
		t.Fatalf("DeleteRole(X) = %v, %v; want true", found, err)
	}
	wantRole(t, s, "x", small)
}

func unknownRole(t *testing.T, s Store) {
	if _, err := s.Role(t.Context(), "x"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("Role(x) = %v; want fault.NotFound", err)
	}
	if found, err := s.DeleteRole(t.Context(), "x"); found || err != nil {
		t.Errorf("DeleteRole(x) = %v, %v; want false", found, err)
	}
	if all, err := s.Roles(t.Context(), nil); all == nil || len(all) != 0 || err != nil {
		t.Errorf("Roles of an empty store = %v, %v; want an empty map", all, err)
	}
}

func rolesListed(t *testing.T, s Store) {
	d := descriptor(t, "x", richRole)
	for _, name := range []string{"a", "b", "c"} {
		putRole(t, s, name, d, true)
	}
	for _, tt := range []struct {
		names []string
		want  int
	}{{nil, 3}, {[]string{"c", "a", "c", "nobody"}, 2}, {[]string{"nobody"}, 0}} {
		all, err := s.Roles(t.Context(), tt.names)
		if err != nil || len(all) != tt.want {
			t.Errorf("Roles(%q) has %d roles, %v; want %d", tt.names, len(all), err, tt.want)
		}
		for name, got := range all {
			if string(got.JSON()) != string(d.JSON()) {
				t.Errorf("Roles()[%s] = %s; want %s", name, got.JSON(), d.JSON())
			}
		}
	}
}
