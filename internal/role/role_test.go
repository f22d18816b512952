package role_test

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/role"
	"latchkey/internal/sqlstore"
	"latchkey/internal/xcontent"
)

func open(t testing.TB) *sqlstore.DB {
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

func descriptor(t testing.TB, body string) access.Descriptor {
	t.Helper()
	v, err := xcontent.ParseJSON([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	d, err := access.ParseDescriptor("x", v, false)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func caller(username string, cluster ...string) *access.Caller {
	return &access.Caller{Type: access.ByRealm, Subject: access.Subject{
		Username:    username,
		Permissions: access.NewPermissions(nil, nil, access.NewRole(access.Descriptor{Cluster: cluster})),
	}}
}

var admin, stranger = caller("root", "manage_security"), caller("s")

func put(t testing.TB, s *role.Service, name, body string) {
	t.Helper()
	if _, err := s.Put(t.Context(), admin, name, descriptor(t, body)); err != nil {
		t.Fatalf("Put(%s): %v", name, err)
	}
}

// holds tries whether a user with the named roles holds a cluster privilege.
func holds(t testing.TB, s *role.Service, names []string, privilege string) bool {
	t.Helper()
	p, err := s.Permissions(t.Context(), names)
	if err != nil {
		t.Fatalf("Permissions(%q): %v", names, err)
	}
	has, err := p.HasCluster(privilege)
	if err != nil {
		t.Fatal(err)
	}
	return has
}

// A subject's permissions are read once before each change, so that there is
// something to evict.
func TestARoleChangeCountsForTheNextRequest(t *testing.T) {
	s := role.New(open(t), time.Now, nil)
	steps := []struct {
		name   string
		change func() error
		want   bool
	}{
		{"ID-63 a role that does not exist grants nothing", func() error { return nil }, false},
		{"ID-63 a role that was made grants", func() error {
			_, err := s.Put(t.Context(), admin, "r", descriptor(t, `{"cluster":["monitor"]}`))
			return err
		}, true},
		{"ID-63 a role that was narrowed grants less", func() error {
			_, err := s.Put(t.Context(), admin, "r", descriptor(t, `{"cluster":["manage_token"]}`))
			return err
		}, false},
		{"ID-63 a role that was widened grants more", func() error {
			_, err := s.Put(t.Context(), admin, "r", descriptor(t, `{"cluster":["all"]}`))
			return err
		}, true},
		{"a cleared cache changes nothing", func() error {
			return errors.Join(s.ClearCache(t.Context(), admin, []string{"*"}), s.ClearCache(t.Context(), admin, []string{"r"}))
		}, true},
		{"ID-63 a role that was deleted grants nothing", func() error { _, err := s.Delete(t.Context(), admin, "r"); return err }, false},
	}
	for _, step := range steps {
		if err := step.change(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		for range 2 {
			if got := holds(t, s, []string{"other", "r"}, "monitor"); got != step.want {
				t.Errorf("%s: holds monitor: %v; want %v", step.name, got, step.want)
			}
		}
	}
}

// hooked is a store in which things happen at a bad moment.
type hooked struct {
	role.Store
	afterRead func() // after a role was read, before the answer is known
	afterPut  error  // the answer to a put that was made
	reads     int
}

func (h *hooked) Role(ctx context.Context, name string) (access.Descriptor, error) {
	h.reads++
	d, err := h.Store.Role(ctx, name)
	if h.afterRead != nil {
		h.afterRead()
	}
	return d, err
}

func (h *hooked) PutRole(ctx context.Context, name string, d access.Descriptor) (bool, error) {
	created, err := h.Store.PutRole(ctx, name, d)
	if err == nil {
		err = h.afterPut
	}
	return created, err
}

func TestARoleThatWasReadBeforeItsChangeIsNotKept(t *testing.T) {
	h := &hooked{Store: open(t)}
	s := role.New(h, time.Now, nil)
	put(t, s, "r", `{"cluster":["monitor"]}`)
	h.afterRead = func() {
		h.afterRead = nil
		put(t, s, "r", `{}`)
	}
	holds(t, s, []string{"r"}, "monitor")
	if holds(t, s, []string{"r"}, "monitor") {
		t.Error("a role that was narrowed while it was read still grants monitor")
	}
}

func TestAChangeOfUnknownOutcomeIsAssumed(t *testing.T) {
	h := &hooked{Store: open(t)}
	s := role.New(h, time.Now, nil)
	put(t, s, "r", `{"cluster":["monitor"]}`)
	holds(t, s, []string{"r"}, "monitor")
	h.afterPut = fault.New(fault.Unknown, "the answer was lost")
	if _, err := s.Put(t.Context(), admin, "r", descriptor(t, `{}`)); !errors.Is(err, h.afterPut) {
		t.Fatalf("Put = %v; want %v", err, h.afterPut)
	}
	if holds(t, s, []string{"r"}, "monitor") {
		t.Error("a role that may have been narrowed still grants monitor")
	}
}

func TestPermissionsThatWereResolvedBeforeReadNothing(t *testing.T) {
	h := &hooked{Store: open(t)}
	s := role.New(h, time.Now, nil)
	put(t, s, "r", `{}`)
	holds(t, s, []string{"r", "missing"}, "monitor")
	before := h.reads
	for range 10 {
		holds(t, s, []string{"r", "missing"}, "monitor")
	}
	if h.reads != before {
		t.Errorf("10 requests read the store %d times; want 0", h.reads-before)
	}
}

// Who holds on to what names allow learns of every change of it, also of a role that
// there was not.
func TestStanding(t *testing.T) {
	lapsed := errors.New("lapsed")
	for name, tt := range map[string]struct {
		act  func(s *role.Service) error
		same bool
		err  error
	}{
		"nothing":                  {func(*role.Service) error { return nil }, true, nil},
		"a change of another role": {func(s *role.Service) error { return change(t, s, "other", `{"cluster":["monitor"]}`) }, true, nil},
		"a change of a role":       {func(s *role.Service) error { return change(t, s, "r", `{"cluster":["manage"]}`) }, false, nil},
		"its deletion":             {func(s *role.Service) error { _, err := s.Delete(t.Context(), admin, "r"); return err }, false, nil},
		"a role that was missing":  {func(s *role.Service) error { return change(t, s, "missing", `{}`) }, false, nil},
		"a clear-cache call":       {func(s *role.Service) error { return s.ClearCache(t.Context(), admin, []string{"*"}) }, false, nil},
		"another node":             {func(s *role.Service) error { s.Forget([]string{"r"}); return nil }, false, nil},
		"the end of the lease":     {func(*role.Service) error { return lapsed }, false, lapsed},
	} {
		t.Run(name, func(t *testing.T) {
			var lease error
			s := role.New(open(t), time.Now, func() error { return lease })
			put(t, s, "r", `{"cluster":["monitor"]}`)
			put(t, s, "other", `{}`)
			names := []string{"r", "missing"}
			if _, stands := s.Standing(names); stands != nil {
				t.Error("it tells of what was never asked for")
			}
			was, err := s.Permissions(t.Context(), names)
			if err != nil {
				t.Fatal(err)
			}
			permissions, stands := s.Standing(names)
			if !permissions.Same(was) {
				t.Error("it is not what Permissions has returned")
			}
			if same, err := stands(); err != nil || !same {
				t.Fatalf("at first: %t, %v", same, err)
			}
			if err := tt.act(s); errors.Is(err, lapsed) {
				lease = lapsed
			} else if err != nil {
				t.Fatal(err)
			}
			if same, err := stands(); same != tt.same || !errors.Is(err, tt.err) {
				t.Errorf("it stands: %t, %v; want %t, %v", same, err, tt.same, tt.err)
			}
		})
	}
	if _, stands := role.New(open(t), time.Now, nil).Standing([]string{"a\x00b"}); stands != nil {
		t.Error("a name with a NUL passes for two")
	}
}

func change(t *testing.T, s *role.Service, name, body string) error {
	_, err := s.Put(t.Context(), admin, name, descriptor(t, body))
	return err
}

func TestPermissionsNameTheirRoles(t *testing.T) {
	s := role.New(open(t), time.Now, nil)
	put(t, s, "b", `{"run_as":["x"]}`)
	put(t, s, "a", `{}`)
	tests := []struct {
		name  string
		roles []string
		want  string
	}{
		{"none", nil, "user [u] with effective roles [],"},
		{"found and missing ones, sorted, once each", []string{"b", "z", "a", "b", "y"}, "user [u] with effective roles [a,b] (assigned roles [y,z] were not found),"},
		{"only missing ones", []string{"z"}, "user [u] with effective roles [] (assigned roles [z] were not found),"},
		{"a built-in one", []string{"kibana_admin", "a"}, "user [u] with effective roles [a,kibana_admin],"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := s.Permissions(t.Context(), tt.roles)
			if err != nil {
				t.Fatal(err)
			}
			c := &access.Caller{Type: access.ByRealm, Subject: access.Subject{Username: "u", Permissions: p}}
			if err := c.Authorize(access.Request{Action: "cluster:monitor/main"}); fault.KindOf(err) != fault.Forbidden || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Authorize = %v; want a refusal with %q", err, tt.want)
			}
		})
	}
	t.Run("superuser counts alone", func(t *testing.T) {
		names := []string{"a", "superuser", "missing"}
		if !holds(t, s, names, "all") {
			t.Error("superuser does not hold all")
		}
		if got := snapshot(t, s, names...); !slices.Equal(got, []string{"superuser"}) {
			t.Errorf("Snapshot(%q) holds %q; want superuser alone", names, got)
		}
	})
	t.Run("a snapshot leaves out what is missing", func(t *testing.T) {
		if got := snapshot(t, s, "b", "missing", "kibana_admin"); !slices.Equal(got, []string{"b", "kibana_admin"}) {
			t.Errorf("Snapshot holds %q; want b and kibana_admin", got)
		}
	})
}

// snapshot returns the names of the roles in a snapshot.
func snapshot(t *testing.T, s *role.Service, names ...string) []string {
	t.Helper()
	set, err := s.Snapshot(t.Context(), names)
	if err != nil {
		t.Fatal(err)
	}
	ds, err := access.DecodeDescriptors(set.Body)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(maps.Keys(ds))
}

func TestPut(t *testing.T) {
	tests := []struct {
		name, role, body string
		by               *access.Caller
		kind             fault.Kind
		reason           string
	}{
		{"ID-55 a reserved name", "superuser", `{}`, stranger, fault.Invalid, "role [superuser] is reserved and may not be used"},
		{"a name of the original's own", "_xpack", `{}`, stranger, fault.Invalid, "reserved"},
		{"the name of a built-in role of the past", "apm_user", `{}`, stranger, fault.Invalid, "reserved"},
		{"a name that begins with a space", " r", `{}`, stranger, fault.Invalid, "role name"},
		{"an unknown privilege is told before 403", "r", `{"cluster":["x"]}`, stranger, fault.Invalid, "unknown cluster privilege [x]"},
		{"all problems together", "superuser", `{"cluster":["x"],"metadata":{"_y":1}}`, stranger, fault.Invalid, "3: "},
		{"without a privilege", "r", `{}`, stranger, fault.Forbidden, "[manage_security,all]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := role.New(open(t), time.Now, nil)
			_, err := s.Put(t.Context(), tt.by, tt.role, descriptor(t, tt.body))
			if fault.KindOf(err) != tt.kind || err == nil || !strings.Contains(err.Error(), tt.reason) {
				t.Errorf("Put = %v; want kind %v with %q", err, tt.kind, tt.reason)
			}
		})
	}
	t.Run("ID-43 a put says whether the role is new", func(t *testing.T) {
		s := role.New(open(t), time.Now, nil)
		for _, want := range []bool{true, false} {
			if created, err := s.Put(t.Context(), admin, "r", descriptor(t, `{}`)); err != nil || created != want {
				t.Errorf("Put = %v, %v; want %v", created, err, want)
			}
		}
	})
}

func TestGetAndDelete(t *testing.T) {
	s := role.New(open(t), time.Now, nil)
	put(t, s, "r", `{"cluster":["monitor"]}`)
	all, err := s.Get(t.Context(), admin, nil)
	if err != nil || len(all) != len(access.ReservedNames())+1 {
		t.Errorf("Get = %d roles, %v; want the built-in ones and r", len(all), err)
	}
	some, err := s.Get(t.Context(), admin, []string{"r", "superuser", "missing"})
	if got := slices.Sorted(maps.Keys(some)); err != nil || !slices.Equal(got, []string{"r", "superuser"}) {
		t.Errorf("Get = %q, %v; want r and superuser", got, err)
	}
	if _, err := s.Get(t.Context(), stranger, nil); fault.KindOf(err) != fault.Forbidden {
		t.Errorf("Get by a stranger = %v; want fault.Forbidden", err)
	}
	for _, tt := range []struct {
		name, role string
		by         *access.Caller
		found      bool
		want       fault.Kind // Internal: it succeeds
	}{
		{"ID-55 a reserved role", "superuser", admin, false, fault.Argument},
		{"a reserved role, without a privilege", "superuser", stranger, false, fault.Forbidden},
		{"a role", "r", admin, true, fault.Internal},
		{"a role that is gone", "r", admin, false, fault.Internal},
	} {
		t.Run("delete "+tt.name, func(t *testing.T) {
			found, err := s.Delete(t.Context(), tt.by, tt.role)
			if found != tt.found || fault.KindOf(err) != tt.want || err == nil != (tt.want == fault.Internal) {
				t.Errorf("Delete = %v, %v; want %v, kind %v", found, err, tt.found, tt.want)
			}
		})
	}
}

// What a mapping or a directory names may hold a NUL. It is one role that does not
// exist, whoever was resolved before.
func TestANULPartsNoNames(t *testing.T) {
	s := role.New(open(t), time.Now, nil)
	put(t, s, "ops", `{"cluster":["all"]}`)
	if !holds(t, s, []string{"x", "ops"}, "all") {
		t.Error("ops does not hold all")
	}
	if holds(t, s, []string{"x\x00ops"}, "all") {
		t.Error("one name passes for two")
	}
	if holds(t, s, []string{"y\x00ops"}, "all") || !holds(t, s, []string{"y", "ops"}, "all") {
		t.Error("two names pass for one")
	}
}

func TestVeryManyNames(t *testing.T) {
	s := role.New(open(t), time.Now, nil)
	put(t, s, "ops", `{"cluster":["all"]}`)
	names := []string{"ops"}
	for i := range 3000 {
		names = append(names, "no"+strconv.Itoa(i%1500))
	}
	for _, from := range []string{"the store", "memory"} {
		if !holds(t, s, names, "all") {
			t.Errorf("from %s, one of many names does not count", from)
		}
	}
}
