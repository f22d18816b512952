package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"

	"latchkey/internal/fault"
	"latchkey/internal/user"
)

var userRules = []rule{
	{"a user reads back as written", userReadsBack},
	{"a user is created once, also by many callers at once", userCreatedOnce},
	{"a put with a hash replaces the whole user", userReplaced},
	{"a put without a hash keeps the password and merges the metadata", userUpdated},
	{"a put without a hash makes no user", userNotMade},
	{"an unknown user is NotFound", unknownUser},
	{"users are listed by name, in order of bytes", usersListed},
	{"usernames differ by case", usernameCase},
	{"a password and the enabled flag change by themselves", userChanged},
	{"a user is deleted by exactly one caller", userDeletedOnce},
	{"a built-in user is stored from its first change on", reservedStored},
	{"a first password never replaces one that was set", reservedInit},
	{"a reader sees a change that was answered", userChangeSeen},
}

func text(s string) *string { return &s }

func sampleUser(name string) user.User {
	return user.User{
		Username: name, Roles: []string{"b", "a"}, FullName: text("Jörg <J>"), Email: text(""),
		Metadata: json.RawMessage(`{"n":1.50,"deep":{"x":[1,2],"y":null}}`), Enabled: true,
	}
}

func putUser(t *testing.T, s Store, u user.User, hash string, wantCreated bool) {
	t.Helper()
	created, err := s.PutUser(t.Context(), u, hash)
	if err != nil || created != wantCreated {
		t.Fatalf("PutUser(%s, %q) = %v, %v; want created %v", u.Username, hash, created, err, wantCreated)
	}
}

func wantUser(t *testing.T, s Store, want user.Account) {
	t.Helper()
	got, err := s.User(t.Context(), want.Username)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("User(%s) = %+v, %v; want %+v", want.Username, got, err, want)
	}
}

func wantNoUser(t *testing.T, what string, err error) {
	t.Helper()
	if fault.KindOf(err) != fault.NotFound {
		t.Errorf("%s = %v; want fault.NotFound", what, err)
	}
}

func userReadsBack(t *testing.T, s Store) {
	full := sampleUser("full")
	putUser(t, s, full, "h1", true)
	wantUser(t, s, user.Account{User: full, Hash: "h1"})

	putUser(t, s, user.User{Username: "bare", Roles: []string{}}, "h2", true)
	wantUser(t, s, user.Account{User: user.User{Username: "bare", Roles: []string{}, Metadata: json.RawMessage(`{}`)}, Hash: "h2"})
}

func userCreatedOnce(t *testing.T, s Store) {
	const callers = 8
	var created atomic.Int32
	var wg sync.WaitGroup
	errs := make([]error, callers)
	for i := range callers {
		wg.Go(func() {
			made, err := s.PutUser(t.Context(), sampleUser("x"), fmt.Sprint("h", i))
			if made {
				created.Add(1)
			}
			errs[i] = err
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil || created.Load() != 1 {
		t.Errorf("%d callers put one user: created %d times, %v; want once", callers, created.Load(), err)
	}
}

func userReplaced(t *testing.T, s Store) {
	putUser(t, s, sampleUser("x"), "h1", true)
	after := user.User{Username: "x", Roles: []string{}, Metadata: json.RawMessage(`{"only":true}`)}
	putUser(t, s, after, "h2", false)
	wantUser(t, s, user.Account{User: after, Hash: "h2"})
}

func userUpdated(t *testing.T, s Store) {
	before := sampleUser("x")
	before.Enabled = false
	putUser(t, s, before, "h1", true)

	putUser(t, s, user.User{
		Username: "x", Roles: []string{"c"}, Enabled: true,
		Metadata: json.RawMessage(`{"deep":{"y":2},"new":"v"}`),
	}, "", false)
	wantUser(t, s, user.Account{Hash: "h1", User: user.User{
		Username: "x", Roles: []string{"c"}, Enabled: true,
		Metadata: json.RawMessage(`{"n":1.50,"deep":{"x":[1,2],"y":2},"new":"v"}`),
	}})

	putUser(t, s, user.User{Username: "x", Roles: []string{"c"}, Enabled: true}, "", false)
	wantUser(t, s, user.Account{Hash: "h1", User: user.User{
		Username: "x", Roles: []string{"c"}, Enabled: true, Metadata: json.RawMessage(`{}`),
	}})
}

func userNotMade(t *testing.T, s Store) {
	_, err := s.PutUser(t.Context(), sampleUser("x"), "")
	wantNoUser(t, "PutUser without a hash", err)
	_, err = s.User(t.Context(), "x")
	wantNoUser(t, "User afterwards", err)
}

func unknownUser(t *testing.T, s Store) {
	_, err := s.User(t.Context(), "x")
	wantNoUser(t, "User", err)
	wantNoUser(t, "SetUserPassword", s.SetUserPassword(t.Context(), "x", "h"))
	wantNoUser(t, "SetUserEnabled", s.SetUserEnabled(t.Context(), "x", true))
	_, err = s.ReservedUser(t.Context(), "elastic")
	wantNoUser(t, "ReservedUser", err)
	if found, err := s.DeleteUser(t.Context(), "x"); found || err != nil {
		t.Errorf("DeleteUser = %v, %v; want false", found, err)
	}
	if users, err := s.Users(t.Context(), nil); users == nil || len(users) != 0 || err != nil {
		t.Errorf("Users of an empty store = %v, %v; want an empty list", users, err)
	}
}

func usersListed(t *testing.T, s Store) {
	for _, name := range []string{"b", "a", "B", "a b", "~"} {
		putUser(t, s, sampleUser(name), "h", true)
	}
	for _, tt := range []struct {
		names, want []string
	}{
		{nil, []string{"B", "a", "a b", "b", "~"}},
		{[]string{"~", "a", "nobody", "a"}, []string{"a", "~"}},
		{[]string{"nobody"}, []string{}},
	} {
		users, err := s.Users(t.Context(), tt.names)
		got := []string{}
		for _, u := range users {
			got = append(got, u.Username)
		}
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("Users(%q) = %q, %v; want %q", tt.names, got, err, tt.want)
		}
	}
}

func usernameCase(t *testing.T, s Store) {
	putUser(t, s, sampleUser("jane"), "h1", true)
	putUser(t, s, sampleUser("Jane"), "h2", true)
	if found, err := s.DeleteUser(t.Context(), "Jane"); !found || err != nil {
		t.Fatalf("DeleteUser(Jane) = %v, %v; want true", found, err)
	}
	wantUser(t, s, user.Account{User: sampleUser("jane"), Hash: "h1"})
}

func userChanged(t *testing.T, s Store) {
	want := user.Account{User: sampleUser("x"), Hash: "h1"}
	putUser(t, s, want.User, "h1", true)
	putUser(t, s, sampleUser("y"), "hy", true)
	if err := s.SetUserPassword(t.Context(), "x", "h2"); err != nil {
		t.Fatal(err)
	}
	want.Hash = "h2"
	wantUser(t, s, want)
	if err := s.SetUserEnabled(t.Context(), "x", false); err != nil {
		t.Fatal(err)
	}
	want.Enabled = false
	wantUser(t, s, want)
	wantUser(t, s, user.Account{User: sampleUser("y"), Hash: "hy"})
}

func userDeletedOnce(t *testing.T, s Store) {
	putUser(t, s, sampleUser("x"), "h", true)
	const callers = 4
	var found atomic.Int32
	var wg sync.WaitGroup
	errs := make([]error, callers)
	for i := range callers {
		wg.Go(func() {
			had, err := s.DeleteUser(t.Context(), "x")
			if had {
				found.Add(1)
			}
			errs[i] = err
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil || found.Load() != 1 {
		t.Errorf("%d callers deleted one user: found %d times, %v; want once", callers, found.Load(), err)
	}
	_, err := s.User(t.Context(), "x")
	wantNoUser(t, "User afterwards", err)
}

func wantReserved(t *testing.T, s Store, name string, want user.ReservedState) {
	t.Helper()
	got, err := s.ReservedUser(t.Context(), name)
	if err != nil || got != want {
		t.Errorf("ReservedUser(%s) = %+v, %v; want %+v", name, got, err, want)
	}
	if all, err := s.ReservedUsers(t.Context()); err != nil || all[name] != want {
		t.Errorf("ReservedUsers()[%s] = %+v, %v; want %+v", name, all[name], err, want)
	}
}

func reservedStored(t *testing.T, s Store) {
	if err := s.SetReservedUserPassword(t.Context(), "kibana", "h1"); err != nil {
		t.Fatal(err)
	}
	wantReserved(t, s, "kibana", user.ReservedState{Hash: "h1", Enabled: true})
	if err := s.SetReservedUserEnabled(t.Context(), "kibana", false); err != nil {
		t.Fatal(err)
	}
	wantReserved(t, s, "kibana", user.ReservedState{Hash: "h1"})
	if err := s.SetReservedUserPassword(t.Context(), "kibana", "h2"); err != nil {
		t.Fatal(err)
	}
	wantReserved(t, s, "kibana", user.ReservedState{Hash: "h2"})
	if err := s.SetReservedUserEnabled(t.Context(), "apm_system", false); err != nil {
		t.Fatal(err)
	}
	wantReserved(t, s, "apm_system", user.ReservedState{})
	_, err := s.User(t.Context(), "kibana")
	wantNoUser(t, "User of a built-in name", err)
}

func reservedInit(t *testing.T, s Store) {
	try := func(hash string, generated, want bool) {
		t.Helper()
		if done, err := s.InitReservedUserPassword(t.Context(), "elastic", hash, generated); err != nil || done != want {
			t.Errorf("InitReservedUserPassword(%s, generated %v) = %v, %v; want %v", hash, generated, done, err, want)
		}
	}
	if err := s.SetReservedUserEnabled(t.Context(), "elastic", false); err != nil {
		t.Fatal(err)
	}
	try("g1", true, true)
	wantReserved(t, s, "elastic", user.ReservedState{Hash: "g1", Generated: true})
	try("g2", true, false)
	try("auto", false, true)
	wantReserved(t, s, "elastic", user.ReservedState{Hash: "auto"})
	try("auto2", false, false)
	try("g3", true, false)
	if err := s.SetReservedUserPassword(t.Context(), "elastic", "set"); err != nil {
		t.Fatal(err)
	}
	try("auto3", false, false)
	wantReserved(t, s, "elastic", user.ReservedState{Hash: "set"})
}

func userChangeSeen(t *testing.T, s Store) {
	putUser(t, s, sampleUser("x"), "h", true)
	for i := range 20 {
		hash := fmt.Sprint("h", i)
		if err := s.SetUserPassword(t.Context(), "x", hash); err != nil {
			t.Fatal(err)
		}
		wantUser(t, s, user.Account{User: sampleUser("x"), Hash: hash})
	}
}
