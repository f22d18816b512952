package application_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/application"
	"latchkey/internal/fault"
	"latchkey/internal/sqlstore"
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

func caller(d access.Descriptor) *access.Caller {
	return &access.Caller{Type: access.ByRealm, Subject: access.Subject{Username: "x", Permissions: access.NewPermissions(nil, nil, access.NewRole(d))}}
}

var (
	admin    = caller(access.Descriptor{Cluster: []string{"manage_security"}})
	reader   = caller(access.Descriptor{Cluster: []string{"read_security"}})
	stranger = caller(access.Descriptor{})
	holder   = access.NewPermissions(nil, nil, access.NewRole(access.Descriptor{
		Applications: []access.ApplicationEntry{{Application: "app", Privileges: []string{"read"}, Resources: []string{"*"}}}}))
)

func privilege(app, name string, actions ...string) application.Privilege {
	return application.Privilege{Application: app, Name: name, Actions: actions, Metadata: json.RawMessage(`{}`)}
}

// allowed tells whether who holds read of app may do an action now.
func allowed(t testing.TB, s *application.Service, action string) bool {
	t.Helper()
	ready, err := s.Ready(context.Background(), []string{"app", "app"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := holder.Check(access.Check{Applications: []access.ApplicationEntry{{Application: "app", Privileges: []string{action}, Resources: []string{"r"}}}}, ready)
	if err != nil {
		t.Fatal(err)
	}
	return got.All
}

func TestAPrivilegeChangeCountsForTheNextRequest(t *testing.T) {
	s := application.New(open(t), time.Now, nil)
	put := func(actions ...string) func() error {
		return func() error {
			_, err := s.Put(t.Context(), admin, []application.Privilege{privilege("app", "read", actions...), privilege("other", "read", "z:1")})
			return err
		}
	}
	for i, step := range []struct {
		change func() error
		want   bool
	}{
		{func() error { return nil }, false},
		{put("x:*"), true},
		{put("y:*"), false},
		{put("x:1", "y:*"), true},
		{func() error { return s.ClearCache(t.Context(), admin, []string{"*"}) }, true},
		{func() error { return s.ClearCache(t.Context(), admin, []string{"app"}) }, true},
		{func() error { _, err := s.Delete(t.Context(), admin, "app", []string{"read"}); return err }, false},
	} {
		if err := step.change(); err != nil {
			t.Fatal(err)
		}
		if got := allowed(t, s, "x:1"); got != step.want {
			t.Errorf("after step %d: %v; want %v", i, got, step.want)
		}
	}
}

// While others ask all the time, nobody sees what was before a change that was confirmed.
func TestChangesAndChecksTogether(t *testing.T) {
	s := application.New(open(t), time.Now, nil)
	done := make(chan struct{})
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					allowed(t, s, "x:0")
				}
			}
		})
	}
	for i := range 100 {
		if _, err := s.Put(t.Context(), admin, []application.Privilege{privilege("app", "read", fmt.Sprintf("x:%d", i))}); err != nil {
			t.Error(err)
			break
		}
		if !allowed(t, s, fmt.Sprintf("x:%d", i)) || allowed(t, s, fmt.Sprintf("x:%d", i-1)) {
			t.Errorf("change %d does not count", i)
		}
	}
	close(done)
	group.Wait()
}

func TestRightsToPrivileges(t *testing.T) {
	s := application.New(open(t), time.Now, nil)
	list := []application.Privilege{privilege("app", "read", "x:*")}
	acts := map[string]func(*access.Caller) error{
		"put": func(by *access.Caller) error { _, err := s.Put(t.Context(), by, list); return err },
		"get": func(by *access.Caller) error { _, err := s.Get(t.Context(), by, "", nil); return err },
		"delete": func(by *access.Caller) error {
			_, err := s.Delete(t.Context(), by, "app", []string{"read"})
			return err
		},
		"clear": func(by *access.Caller) error { return s.ClearCache(t.Context(), by, []string{"*"}) },
	}
	for name, act := range acts {
		if err := act(stranger); fault.KindOf(err) != fault.Forbidden {
			t.Errorf("%s by a stranger: %v; want fault.Forbidden", name, err)
		}
		if err := act(reader); (err == nil) != (name == "get") {
			t.Errorf("%s by a reader: %v", name, err)
		}
		if err := act(admin); err != nil {
			t.Errorf("%s by an administrator: %v", name, err)
		}
	}
}

func TestHostilePrivileges(t *testing.T) {
	s := application.New(open(t), time.Now, nil)
	many := make([]application.Privilege, 10_001)
	actions := make([]string, 10_001)
	for i := range many {
		many[i], actions[i] = privilege("app", fmt.Sprint("p", i), "x:1"), "x:1"
	}
	for name, list := range map[string][]application.Privilege{
		"too many":           many,
		"too many actions":   {privilege("app", "read", actions...)},
		"bad ones":           {privilege("App", "", ""), privilege("", "A", strings.Repeat("é", 9000))},
		"very many bad ones": many[:0:0],
	} {
		if name == "very many bad ones" {
			for i := range 5000 {
				list = append(list, privilege(fmt.Sprint("A", i), "A", "a"))
			}
		}
		if _, err := s.Put(t.Context(), stranger, list); fault.KindOf(err) != fault.Invalid || len(err.Error()) > 100_000 {
			t.Errorf("%s: %.200v; want a fault.Invalid", name, err)
		}
	}
	if _, err := s.Put(t.Context(), admin, []application.Privilege{privilege("app", "read", "/x:(a|b)*a(a|b){40}/")}); fault.KindOf(err) != fault.Argument {
		t.Errorf("an exploding action: %v; want fault.Argument", err)
	}
	names := make([]string, 1001)
	for i := range names {
		names[i] = fmt.Sprint("app", i)
	}
	if _, err := s.Ready(t.Context(), names); fault.KindOf(err) != fault.Argument {
		t.Errorf("checks of 1001 applications: %v; want fault.Argument", err)
	}
}

// A store that fails after it may have written makes nobody trust what is kept.
func TestAnUnknownOutcomeIsLookedUp(t *testing.T) {
	db := open(t)
	broken := &unsure{Store: db}
	s := application.New(broken, time.Now, nil)
	if _, err := s.Put(t.Context(), admin, []application.Privilege{privilege("app", "read", "x:*")}); err != nil || !allowed(t, s, "x:1") {
		t.Fatal(err)
	}
	broken.on = true
	if _, err := s.Put(t.Context(), admin, []application.Privilege{privilege("app", "read", "y:*")}); fault.KindOf(err) != fault.Unknown {
		t.Errorf("Put = %v; want fault.Unknown", err)
	}
	if allowed(t, s, "x:1") {
		t.Error("what was before the change is still trusted")
	}
	if _, err := s.Delete(t.Context(), admin, "app", []string{"read"}); fault.KindOf(err) != fault.Unknown || allowed(t, s, "y:1") {
		t.Errorf("Delete = %v; want fault.Unknown and nothing left", err)
	}
}

// unsure writes, and loses the answer.
type unsure struct {
	application.Store
	on bool
}

var errLost = fault.New(fault.Unknown, "the answer was lost")

func (u *unsure) PutApplicationPrivileges(ctx context.Context, list []application.Privilege, changed func()) ([]bool, error) {
	if !u.on {
		return u.Store.PutApplicationPrivileges(ctx, list, changed)
	}
	_, err := u.Store.PutApplicationPrivileges(ctx, list, func() {})
	return nil, errors.Join(errLost, err)
}

func (u *unsure) DeleteApplicationPrivileges(ctx context.Context, app string, names []string, changed func()) ([]bool, error) {
	_, err := u.Store.DeleteApplicationPrivileges(ctx, app, names, func() {})
	return nil, errors.Join(errLost, err)
}
