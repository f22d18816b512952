package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"latchkey/internal/access"
	"latchkey/internal/apikey"
	"latchkey/internal/fault"
	"latchkey/internal/leaver"
	"latchkey/internal/role"
	"latchkey/internal/token"
	"latchkey/internal/user"
)

var leaverRules = []rule{
	{"who is deleted loses keys and tokens in the same act, and namesakes keep theirs", cutOffDeleted},
	{"who is disabled loses only what was asked for", cutOffDisabled},
	{"a user who is gone loses what was left behind", cutOffLate},
	{"the owners of what is alive are told with how much it is", ownersListed},
	{"many roles are put and deleted together, and each is told apart", rolesTogether},
}

func withCredentials(t *testing.T, s Store) {
	t.Helper()
	for _, name := range []string{"jo", "al"} {
		if _, err := s.PutUser(t.Context(), sampleUser(name), "hash"); err != nil {
			t.Fatal(err)
		}
	}
	insert(t, s, key("k1", "jo", "default_native"), key("k2", "jo", "default_native"), key("k3", "jo", "other"), key("k4", "al", "default_native"))
	invalidate(t, s, apikey.Selector{IDs: []string{"k2"}}, t0)
	addTokens(t, s, pairOf("t1", "jo", "default_native"), pairOf("t2", "jo", "other"), pairOf("t3", "al", "default_native"))
}

// cut makes the act and returns what it was told to have ended.
func cut(t *testing.T, s Store, c user.CutOff) (found bool, done user.Revoked, keys []string, tokens []token.Hash) {
	t.Helper()
	c.At, c.TokensCreatedFrom = t0.Add(time.Second), t0.Add(-time.Hour)
	c.Ended = user.Ended{
		Keys:   func(ids []string) { keys = append(keys, ids...) },
		Tokens: func(hashes []token.Hash) { tokens = append(tokens, hashes...) },
	}
	told := 0
	c.Changed = func() { told++ }
	found, done, err := s.CutOffUser(t.Context(), c)
	if err != nil {
		t.Fatalf("CutOffUser: %v", err)
	}
	if want := found || c.Delete; (told == 1) != want {
		t.Errorf("told %d times that the user changed; want it told: %v", told, want)
	}
	return found, done, keys, tokens
}

func liveKeys(t *testing.T, s Store) []string {
	t.Helper()
	keys, err := s.APIKeys(t.Context(), apikey.Selector{}, t0)
	if err != nil {
		t.Fatal(err)
	}
	return ids(keys)
}

func cutOffDeleted(t *testing.T, s Store) {
	withCredentials(t, s)
	found, done, keys, tokens := cut(t, s, user.CutOff{Username: "jo", Realm: "default_native", Delete: true, Credentials: user.Credentials{Tokens: true, APIKeys: true}})
	if want := (user.Revoked{Tokens: 2, APIKeys: 1}); !found || done != want || !slices.Equal(keys, []string{"k1"}) || !slices.Equal(tokens, []token.Hash{hash("t1 access")}) {
		t.Errorf("CutOffUser = %v, %+v, ended %q and %x; want %+v, k1 and the token of jo", found, done, keys, tokens, want)
	}
	if _, err := s.User(t.Context(), "jo"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("User = %v; want fault.NotFound", err)
	}
	if got := liveKeys(t, s); !slices.Equal(got, []string{"k3", "k4"}) {
		t.Errorf("live keys are %q", got)
	}
	for name, off := range map[string]bool{"t1": true, "t2": false, "t3": false} {
		r, err := s.Token(t.Context(), hash(name+" access"))
		if err != nil || r.AccessOffAt.IsZero() == off || r.RefreshOffAt.IsZero() == off {
			t.Errorf("token %s is off at %v and %v, %v; want off %v", name, r.AccessOffAt, r.RefreshOffAt, err, off)
		}
	}
}

func cutOffDisabled(t *testing.T, s Store) {
	withCredentials(t, s)
	cross := key("k0", "jo", "default_native")
	cross.Type = apikey.CrossCluster
	insert(t, s, cross)
	found, done, _, tokens := cut(t, s, user.CutOff{Username: "jo", Realm: "default_native", RESTOnly: true, Credentials: user.Credentials{APIKeys: true}})
	if want := (user.Revoked{APIKeys: 1}); !found || done != want || tokens != nil {
		t.Errorf("CutOffUser = %v, %+v; want %+v", found, done, want)
	}
	if a, err := s.User(t.Context(), "jo"); err != nil || a.Enabled {
		t.Errorf("User = %+v, %v; want it disabled", a, err)
	}
	if found, _, _, _ = cut(t, s, user.CutOff{Username: "elastic", Realm: "reserved", Reserved: true, Credentials: user.Credentials{Tokens: true}}); !found {
		t.Error("a built-in user was not found")
	}
	if state, err := s.ReservedUser(t.Context(), "elastic"); err != nil || state.Enabled {
		t.Errorf("ReservedUser = %+v, %v; want it disabled", state, err)
	}
}

func cutOffLate(t *testing.T, s Store) {
	withCredentials(t, s)
	if _, err := s.DeleteUser(t.Context(), "jo"); err != nil {
		t.Fatal(err)
	}
	both := user.Credentials{Tokens: true, APIKeys: true}
	if found, done, _, _ := cut(t, s, user.CutOff{Username: "jo", Realm: "default_native", Credentials: both}); found || done != (user.Revoked{}) {
		t.Errorf("disabling a user who is gone = %v, %+v; want nothing done", found, done)
	}
	if found, done, _, _ := cut(t, s, user.CutOff{Username: "jo", Realm: "default_native", Delete: true, Credentials: both}); found || done != (user.Revoked{Tokens: 2, APIKeys: 1}) {
		t.Errorf("deleting a user who is gone = %v, %+v", found, done)
	}
}

func ownersListed(t *testing.T, s Store) {
	withCredentials(t, s)
	late := key("k5", "jo", "default_native")
	late.ExpiresAt = t0.Add(time.Minute)
	insert(t, s, late)
	list := func(live leaver.Live) []leaver.Owner {
		owners, err := s.Owners(t.Context(), live)
		if err != nil {
			t.Fatal(err)
		}
		return owners
	}
	native := func(name string) access.Realm { return access.Realm{Name: name, Type: "native"} }
	live := leaver.Live{At: t0, TokensCreated: t0}
	want := []leaver.Owner{
		{Username: "al", Realm: native("default_native"), APIKeys: 1, Tokens: 1},
		{Username: "jo", Realm: native("default_native"), APIKeys: 2, Tokens: 1},
		{Username: "jo", Realm: native("other"), APIKeys: 1, Tokens: 1},
	}
	if diff := cmp.Diff(want, list(live)); diff != "" {
		t.Errorf("Owners (-want +got)\n%s", diff)
	}
	hour := leaver.Live{At: t0.Add(time.Hour), TokensCreated: t0.Add(time.Hour)}
	want[1].APIKeys = 1
	for i := range want {
		want[i].Tokens = 0
	}
	if diff := cmp.Diff(want, list(hour)); diff != "" {
		t.Errorf("Owners an hour later (-want +got)\n%s", diff)
	}
	for limit, want := range map[int][]string{1: {"k1"}, 5: {"k1", "k5"}} {
		got, err := s.OwnerKeys(t.Context(), "jo", "default_native", live, limit)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("OwnerKeys up to %d = %q, %v; want %q", limit, got, err, want)
		}
	}
}

func rolesTogether(t *testing.T, s Store) {
	rich, empty := descriptor(t, "a", richRole), descriptor(t, "b", `{}`)
	put := func(want []role.Outcome, roles ...role.Named) {
		t.Helper()
		got, err := s.PutRoles(t.Context(), roles)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("PutRoles = %v, %v; want %v", got, err, want)
		}
	}
	put([]role.Outcome{role.Created, role.Created}, role.Named{Name: "a", Descriptor: rich}, role.Named{Name: "b", Descriptor: empty})
	put([]role.Outcome{role.Unchanged, role.Updated, role.Created}, role.Named{Name: "b", Descriptor: empty}, role.Named{Name: "a", Descriptor: empty}, role.Named{Name: "c", Descriptor: empty})
	wantRole(t, s, "a", empty)
	deleted, err := s.DeleteRoles(t.Context(), []string{"c", "nobody", "a"})
	if err != nil || !slices.Equal(deleted, []string{"c", "a"}) {
		t.Errorf("DeleteRoles = %q, %v", deleted, err)
	}
	if all, err := s.Roles(t.Context(), nil); err != nil || len(all) != 1 {
		t.Errorf("Roles = %v, %v; want b alone", all, err)
	}
}
