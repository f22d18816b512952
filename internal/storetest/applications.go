package storetest

import (
	"context"
	"encoding/json"
	"reflect"
	"testing"

	"latchkey/internal/application"
)

var applicationRules = []rule{
	{"application privileges read back whole, by name", privilegesReadBack},
	{"a put replaces application privileges and says which are new", privilegesReplaced},
	{"application privileges are put all or none", privilegesTogether},
	{"deleting says which application privileges there were", privilegesDeleted},
}

func privilege(app, name string, actions ...string) application.Privilege {
	return application.Privilege{Application: app, Name: name, Actions: actions, Metadata: json.RawMessage(`{}`)}
}

func putPrivileges(t *testing.T, s Store, want []bool, list ...application.Privilege) {
	t.Helper()
	told := 0
	created, err := s.PutApplicationPrivileges(t.Context(), list, func() { told++ })
	if err != nil || !reflect.DeepEqual(created, want) || told != 1 {
		t.Fatalf("PutApplicationPrivileges = %v, %v, told %d times; want %v", created, err, told, want)
	}
}

func wantPrivileges(t *testing.T, s Store, app string, want ...application.Privilege) {
	t.Helper()
	got, err := s.ApplicationPrivileges(t.Context(), app)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("ApplicationPrivileges(%s) = %+v, %v; want %+v", app, got, err, want)
	}
}

func privilegesReadBack(t *testing.T, s Store) {
	rich := privilege("app", "b", "data:z", "data:a/*", `data:"quoted" \ `)
	rich.Metadata = json.RawMessage(`{"n":1.50,"deep":{"z":[null]}}`)
	plain, other := privilege("app", "a", "x:*"), privilege("App-2", "a", "y:*")
	putPrivileges(t, s, []bool{true, true, true}, rich, plain, other)
	wantPrivileges(t, s, "app", plain, rich)
	wantPrivileges(t, s, "App-2", other)
	wantPrivileges(t, s, "APP")
	if names, err := s.Applications(t.Context()); err != nil || !reflect.DeepEqual(names, []string{"App-2", "app"}) {
		t.Errorf("Applications = %q, %v", names, err)
	}
}

func privilegesReplaced(t *testing.T, s Store) {
	putPrivileges(t, s, []bool{true}, privilege("app", "a", "x:1"))
	putPrivileges(t, s, []bool{false, true}, privilege("app", "a", "x:2"), privilege("app", "A", "x:3"))
	wantPrivileges(t, s, "app", privilege("app", "A", "x:3"), privilege("app", "a", "x:2"))
}

func privilegesTogether(t *testing.T, s Store) {
	cut, cancel := context.WithCancel(t.Context())
	cancel()
	told := false
	if _, err := s.PutApplicationPrivileges(cut, []application.Privilege{privilege("app", "a", "x:1")}, func() { told = true }); err == nil || told {
		t.Errorf("a put by who gave up: %v, told %v; want an error and no word", err, told)
	}
	wantPrivileges(t, s, "app")
	putPrivileges(t, s, []bool{true, false}, privilege("app", "a", "x:1"), privilege("app", "a", "x:2"))
	wantPrivileges(t, s, "app", privilege("app", "a", "x:2"))
}

func privilegesDeleted(t *testing.T, s Store) {
	putPrivileges(t, s, []bool{true, true, true}, privilege("app", "a", "x:1"), privilege("app", "b", "x:1"), privilege("other", "a", "x:1"))
	told := 0
	found, err := s.DeleteApplicationPrivileges(t.Context(), "app", []string{"nobody", "a"}, func() { told++ })
	if err != nil || !reflect.DeepEqual(found, []bool{false, true}) || told != 1 {
		t.Errorf("DeleteApplicationPrivileges = %v, %v, told %d times", found, err, told)
	}
	wantPrivileges(t, s, "app", privilege("app", "b", "x:1"))
	wantPrivileges(t, s, "other", privilege("other", "a", "x:1"))
	found, err = s.DeleteApplicationPrivileges(t.Context(), "app", []string{"a"}, func() { told++ })
	if err != nil || found[0] || told != 1 {
		t.Errorf("once more = %v, %v, told %d times", found, err, told)
	}
}
