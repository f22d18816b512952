package rolemapping_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/rolemapping"
	"latchkey/internal/sqlstore"
	"latchkey/internal/xcontent"
)

func open(t *testing.T) *sqlstore.DB {
	t.Helper()
	db, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "latchkey.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func holder(privileges ...string) *access.Caller {
	c := &access.Caller{Type: access.ByRealm}
	c.Permissions = access.NewPermissions([]string{"r"}, nil, access.NewRole(access.Descriptor{Cluster: privileges}))
	return c
}

func body(t *testing.T, name, text string) rolemapping.Mapping {
	t.Helper()
	v, err := xcontent.ParseJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	m, err := rolemapping.Parse(name, v)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func silent() *slog.Logger { return slog.New(slog.DiscardHandler) }

var (
	security = holder("manage_security")
	jo       = rolemapping.User{Username: "jo", Groups: []string{"sales"}, Realm: access.Realm{Name: "ldap1", Type: "ldap"}}
)

const everybody = `{"field":{"username":"*"}}`

// Each step warms what is in memory before the next one changes it.
func TestChangesCountAtOnce(t *testing.T) {
	s := rolemapping.New(open(t), time.Now, nil, silent())
	ctx := t.Context()
	put := func(name, text string) func() error {
		return func() error { _, err := s.Put(ctx, security, body(t, name, text)); return err }
	}
	for _, step := range []struct {
		name string
		act  func() error
		want []string
	}{
		{"nothing", func() error { return nil }, []string{}},
		{"a mapping", put("a", `{"enabled":true,"roles":["r2","r1"],"rules":`+everybody+`}`), []string{"r1", "r2"}},
		{"another", put("b", `{"enabled":true,"roles":["r2","r3"],"rules":{"field":{"groups":"SALES"}}}`), []string{"r1", "r2", "r3"}},
		{"one that does not fit", put("c", `{"enabled":true,"roles":["r4"],"rules":{"field":{"realm.name":"ldap2"}}}`), []string{"r1", "r2", "r3"}},
		{"disabled", put("a", `{"enabled":false,"roles":["r2","r1"],"rules":`+everybody+`}`), []string{"r2", "r3"}},
		{"templates", put("a", `{"enabled":true,"role_templates":[{"template":{"source":"of_{{username}}"}},{"template":"{{#tojson}}groups{{/tojson}}","format":"json"}],"rules":`+everybody+`}`),
			[]string{"of_jo", "r2", "r3", "sales"}},
		{"deleted", func() error { _, err := s.Delete(ctx, security, "b"); return err }, []string{"of_jo", "sales"}},
	} {
		if err := step.act(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		for range 2 {
			if got, err := s.Roles(ctx, jo); err != nil || !slices.Equal(got, step.want) {
				t.Errorf("%s: roles are %q, %v; want %q", step.name, got, err, step.want)
			}
		}
	}
}

// A template that cannot be evaluated for somebody gives them nothing, and does not keep them out.
func TestATemplateThatFails(t *testing.T) {
	var log bytes.Buffer
	s := rolemapping.New(open(t), time.Now, nil, slog.New(slog.NewTextHandler(&log, nil)))
	for name, text := range map[string]string{
		"bad":  `{"enabled":true,"role_templates":[{"template":{"source":"{{username}}"},"format":"json"}],"rules":` + everybody + `}`,
		"good": `{"enabled":true,"roles":["r"],"rules":` + everybody + `}`,
	} {
		if _, err := s.Put(t.Context(), security, body(t, name, text)); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := s.Roles(t.Context(), jo); err != nil || !slices.Equal(got, []string{"r"}) {
		t.Errorf("roles are %q, %v; want [r]", got, err)
	}
	if !strings.Contains(log.String(), "role_mapping=bad") {
		t.Errorf("the log does not name the mapping: %s", &log)
	}
}

// ID-89: both lists, or none; and who may do what.
func TestPutIsRefused(t *testing.T) {
	s := rolemapping.New(open(t), time.Now, nil, silent())
	const rest = `"enabled":true,"rules":{"all":[]}}`
	for _, tt := range []struct {
		name, body string
		by         *access.Caller
		kind       fault.Kind
		says       string
	}{
		{"m", `{"roles":["a"],"role_templates":[{"template":"x"}],` + rest, holder(), fault.Invalid, "cannot have both"},
		{"m", `{"roles":[],` + rest, holder(), fault.Invalid, "must have [roles] or [role_templates]"},
		{"m", `{"roles":[],"role_templates":[],` + rest, holder(), fault.Invalid, "must have [roles] or [role_templates]"},
		{"m", `{"roles":["a"],"metadata":{"_x":1},` + rest, holder(), fault.Invalid, "[_x]"},
		{strings.Repeat("x", 1025), `{"roles":["a"],` + rest, holder(), fault.Invalid, "longer than"},
		{"m", `{"roles":["a"],` + rest, holder("read_security"), fault.Forbidden, "role_mapping/put"},
	} {
		_, err := s.Put(t.Context(), tt.by, body(t, tt.name, tt.body))
		if fault.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v; want kind %v that says %q", tt.body, err, tt.kind, tt.says)
		}
	}
	if _, err := s.Get(t.Context(), holder(), nil); fault.KindOf(err) != fault.Forbidden {
		t.Errorf("Get = %v; want fault.Forbidden", err)
	}
	if got, err := s.Get(t.Context(), holder("read_security"), nil); err != nil || len(got) != 0 {
		t.Errorf("Get = %v, %v; want nothing", got, err)
	}
	if _, err := s.Delete(t.Context(), holder("read_security"), "m"); fault.KindOf(err) != fault.Forbidden {
		t.Errorf("Delete = %v; want fault.Forbidden", err)
	}
}

// lost is a store whose answers get lost after the act.
type lost struct {
	rolemapping.Store
	err error
}

func (l *lost) PutRoleMapping(ctx context.Context, m rolemapping.Mapping, _ func()) (bool, error) {
	_, err := l.Store.PutRoleMapping(ctx, m, func() {})
	return false, errors.Join(l.err, err)
}

func (l *lost) DeleteRoleMapping(ctx context.Context, name string, _ func()) (bool, error) {
	_, err := l.Store.DeleteRoleMapping(ctx, name, func() {})
	return false, errors.Join(l.err, err)
}

func TestALostAnswerCounts(t *testing.T) {
	s := rolemapping.New(&lost{open(t), fault.New(fault.Unknown, "lost")}, time.Now, nil, silent())
	want := func(roles ...string) {
		t.Helper()
		if got, err := s.Roles(t.Context(), jo); err != nil || !slices.Equal(got, roles) {
			t.Errorf("roles are %q, %v; want %q", got, err, roles)
		}
	}
	want()
	if _, err := s.Put(t.Context(), security, body(t, "m", `{"enabled":true,"roles":["r"],"rules":`+everybody+`}`)); fault.KindOf(err) != fault.Unknown {
		t.Fatal(err)
	}
	want("r")
	if _, err := s.Delete(t.Context(), security, "m"); fault.KindOf(err) != fault.Unknown {
		t.Fatal(err)
	}
	want()
}

// Whoever has the answer to a change never sees what was before it, whoever reads at the same time.
func TestRolesWhileMappingsChange(t *testing.T) {
	s := rolemapping.New(open(t), time.Now, nil, silent())
	ctx, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for ctx.Err() == nil {
				if _, err := s.Roles(context.Background(), jo); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 50 {
		role := "r" + strings.Repeat("x", i)
		if _, err := s.Put(t.Context(), security, body(t, "m", `{"enabled":true,"roles":["`+role+`"],"rules":`+everybody+`}`)); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Roles(t.Context(), jo); err != nil || !slices.Equal(got, []string{role}) {
			t.Fatalf("after put %d the roles are %q, %v", i, got, err)
		}
	}
	stop()
	readers.Wait()
}
