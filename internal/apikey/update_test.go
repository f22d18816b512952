package apikey_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"latchkey/internal/access"
	"latchkey/internal/apikey"
	"latchkey/internal/fault"
	"latchkey/internal/xcontent"
)

func metadata(t testing.TB, text string) xcontent.Value {
	t.Helper()
	v, err := xcontent.ParseJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Each step finds the key as the one before has left it.
func TestWhatCountsAsAnUpdate(t *testing.T) {
	store := openStore(t)
	s := newService(store)
	u := func(change func(*access.Caller), roles ...string) *access.Caller {
		c := caller(t, "u", append(roles, "manage_own_api_key")...)
		if change != nil {
			change(c)
		}
		return c
	}
	k := create(t, s, u(nil), "n")
	hour, name := time.Hour, "Ulla"
	called := func(c *access.Caller) { c.FullName = &name }
	described := func(c *access.Caller) { c.FullName, c.Metadata = &name, []byte(`{"a":1,"b":2}`) }
	again := func(c *access.Caller) {
		other := "Ulla"
		c.FullName, c.Metadata = &other, []byte(`{"b":2,"a":1}`)
	}
	narrow := func(roles ...string) access.Descriptors {
		return access.Descriptors{"r": {Cluster: roles}}
	}
	tests := []struct {
		name string
		by   *access.Caller
		req  apikey.UpdateRequest
		want bool
	}{
		{"AK-108: nothing at all", u(nil), apikey.UpdateRequest{}, false},
		{"AK-107: new metadata", u(nil), apikey.UpdateRequest{Metadata: metadata(t, `{"a":{"x":1,"y":[2]},"b":1.50}`)}, true},
		{"AK-107: the same once more", u(nil), apikey.UpdateRequest{Metadata: metadata(t, `{"a":{"x":1,"y":[2]},"b":1.50}`)}, false},
		{"the same in another order", u(nil), apikey.UpdateRequest{Metadata: metadata(t, `{"b":1.50, "a":{"y":[2],"x":1}}`)}, false},
		{"another number of the same length", u(nil), apikey.UpdateRequest{Metadata: metadata(t, `{"b":1.51,"a":{"y":[2],"x":1}}`)}, true},
		{"no metadata", u(nil), apikey.UpdateRequest{Metadata: metadata(t, `{}`)}, true},
		{"assigned roles", u(nil), apikey.UpdateRequest{Roles: narrow("monitor", "manage")}, true},
		{"the same assigned roles", u(nil), apikey.UpdateRequest{Roles: narrow("monitor", "manage")}, false},
		{"none, where there were some", u(nil), apikey.UpdateRequest{Roles: access.Descriptors{}}, true},
		{"none, where there were none", u(nil), apikey.UpdateRequest{Roles: access.Descriptors{}}, false},
		{"AK-108: the owner holds another role", u(nil, "monitor"), apikey.UpdateRequest{}, true},
		{"the same roles", u(nil, "monitor"), apikey.UpdateRequest{}, false},
		{"AK-110: an expiration", u(nil, "monitor"), apikey.UpdateRequest{Expiration: &hour}, true},
		{"AK-110: and once more", u(nil, "monitor"), apikey.UpdateRequest{Expiration: &hour}, true},
		{"the owner has a name", u(called, "monitor"), apikey.UpdateRequest{}, true},
		{"the owner has metadata", u(described, "monitor"), apikey.UpdateRequest{}, true},
		{"the same owner", u(again, "monitor"), apikey.UpdateRequest{}, false},
		{"the owner has lost both", u(nil, "monitor"), apikey.UpdateRequest{}, true},
	}
	for _, tt := range tests {
		before, err := store.APIKey(t.Context(), k.ID)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Update(t.Context(), tt.by, k.ID, tt.req)
		if err != nil || got != tt.want {
			t.Errorf("%s: updated %t, %v; want %t", tt.name, got, err, tt.want)
		}
		after, err := store.APIKey(t.Context(), k.ID)
		if err != nil {
			t.Fatal(err)
		}
		if !tt.want && !cmp.Equal(before, after) {
			t.Errorf("%s: the key changed (-before +after)\n%s", tt.name, cmp.Diff(before, after))
		}
		if after.ID != before.ID || after.Name != before.Name || after.Hash != before.Hash || !after.CreatedAt.Equal(before.CreatedAt) || after.Type != before.Type {
			t.Errorf("%s: what never changes did (-before +after)\n%s", tt.name, cmp.Diff(before, after))
		}
	}
}

// What an update grants and takes counts for the next request, though the key is
// in memory.
func TestAnUpdateCountsAtOnce(t *testing.T) {
	s := newService(openStore(t))
	by, more := caller(t, "u", "manage_own_api_key"), caller(t, "u", "manage_own_api_key", "monitor")
	k := create(t, s, by, "n")
	check := func(when string, want bool) {
		t.Helper()
		c, err := s.Verify(t.Context(), k.ID, k.Secret) // also warms the cache
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		if got, err := c.Permissions.HasCluster("monitor"); err != nil || got != want {
			t.Errorf("%s: the key may monitor: %t, %v; want %t", when, got, err, want)
		}
	}
	update := func(by *access.Caller, req apikey.UpdateRequest) {
		t.Helper()
		if changed, err := s.Update(t.Context(), by, k.ID, req); err != nil || !changed {
			t.Fatalf("updated %t, %v", changed, err)
		}
	}
	check("a new key", false)
	update(more, apikey.UpdateRequest{})
	check("its owner gained a role", true)
	update(more, apikey.UpdateRequest{Roles: access.Descriptors{"r": {Cluster: []string{"manage_own_api_key"}}}})
	check("it was narrowed", false)
	update(more, apikey.UpdateRequest{Roles: access.Descriptors{}})
	check("AK-109: it inherits again", true)
	if _, err := s.UpdateAll(t.Context(), by, []string{k.ID}, apikey.UpdateRequest{}); err != nil {
		t.Fatal(err)
	}
	check("its owner lost the role", false)
}

func TestExpirationOfAnUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, by := newService(openStore(t)), caller(t, "u", "manage_own_api_key")
		k := create(t, s, by, "n")
		live := func(when string, want bool) {
			t.Helper()
			if _, err := s.Verify(t.Context(), k.ID, k.Secret); (err == nil) != want {
				t.Errorf("%s: %v; want accepted %t", when, err, want)
			}
		}
		update := func(d time.Duration) error {
			_, err := s.Update(t.Context(), by, k.ID, apikey.UpdateRequest{Expiration: &d})
			return err
		}
		for _, d := range []time.Duration{0, -1, -time.Hour} {
			if err := update(d); fault.KindOf(err) != fault.Invalid {
				t.Errorf("AK-110: expiration %v: %v; want Invalid", d, err)
			}
		}
		if err := update(1500 * time.Millisecond); err != nil { // part seconds are dropped
			t.Fatal(err)
		}
		time.Sleep(900 * time.Millisecond)
		live("before it expires", true)
		if err := update(time.Hour); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour - time.Nanosecond)
		live("after its former end", true)
		time.Sleep(time.Nanosecond)
		live("at its end", false)
		time.Sleep(time.Millisecond)
		if err := update(time.Hour); fault.KindOf(err) != fault.Argument {
			t.Errorf("AK-112: an expired key: %v; want Argument", err)
		}
		live("after the refusal", false)
	})
}

// AK-111 AK-112 AK-115: what becomes of each key, by itself and among others.
func TestKeysThatCannotBeUpdated(t *testing.T) {
	store := openStore(t)
	s, by := newService(store), caller(t, "u", "all")
	other := caller(t, "u", "all")
	other.Realm.Name = "file"
	fine, ended := create(t, s, by, "n"), create(t, s, by, "n")
	foreign, namesake := create(t, s, caller(t, "v", "all"), "n"), create(t, s, other, "n")
	if _, err := s.Invalidate(t.Context(), by, apikey.InvalidateRequest{IDs: []string{ended.ID}}); err != nil {
		t.Fatal(err)
	}
	add := func(id string, change func(*apikey.Key)) {
		k, err := store.APIKey(t.Context(), fine.ID)
		if err != nil {
			t.Fatal(err)
		}
		k.ID = id
		change(&k)
		if err := store.InsertAPIKey(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
	add("expired", func(k *apikey.Key) { k.ExpiresAt = time.Now().Add(-time.Second) })
	add("nameless", func(k *apikey.Key) { k.Name = "" })
	add("cross", func(k *apikey.Key) { k.Type, k.LimitedBy = apikey.CrossCluster, apikey.Digest{} })
	add("derived", func(k *apikey.Key) {
		k.Owner.Realm, k.Owner.RealmType = access.APIKeyRealm.Name, access.APIKeyRealm.Type
	})
	refused := map[string]fault.Kind{
		foreign.ID: fault.NotFound, namesake.ID: fault.NotFound, "unknown": fault.NotFound, "derived": fault.NotFound,
		ended.ID: fault.Argument, "expired": fault.Argument, "nameless": fault.Argument, "cross": fault.Argument,
	}
	req := apikey.UpdateRequest{Metadata: metadata(t, `{"a":1}`)}
	ids := []string{fine.ID}
	for id, want := range refused {
		if changed, err := s.Update(t.Context(), by, id, req); changed || fault.KindOf(err) != want {
			t.Errorf("%s: updated %t, %v; want kind %v", id, changed, err, want)
		}
		ids = append(ids, id, fine.ID)
	}
	_, foreignErr := s.Update(t.Context(), by, foreign.ID, req)
	if want := fmt.Sprintf("the caller owns no API key with the id [%s]", foreign.ID); foreignErr == nil || foreignErr.Error() != want {
		t.Errorf("somebody else's key: %v; want %s", foreignErr, want)
	}
	done, err := s.UpdateAll(t.Context(), by, ids, req)
	if err != nil || !cmp.Equal(done.Changed, []string{fine.ID}) || done.Same != nil || len(done.Failed) != len(refused) {
		t.Fatalf("bulk update: %+v, %v", done, err)
	}
	for i, f := range done.Failed {
		if f.ID != ids[1+2*i] || f.Err.Kind != refused[f.ID] {
			t.Errorf("failure %d is of %s: %v; want %s and kind %v", i, f.ID, f.Err, ids[1+2*i], refused[f.ID])
		}
	}
	if again, err := s.UpdateAll(t.Context(), by, []string{fine.ID}, req); err != nil || !cmp.Equal(again.Same, []string{fine.ID}) || again.Changed != nil || again.Failed != nil {
		t.Errorf("the same once more: %+v, %v", again, err)
	}
}

// The order of refusals: what is wrong with the request, what the caller may do,
// that the caller is a key, restrictions, and last the key itself.
func TestOrderOfRefusalsOfAnUpdate(t *testing.T) {
	s := newService(openStore(t))
	own, nobody := caller(t, "u", "manage_own_api_key"), caller(t, "nobody", "monitor")
	k := create(t, s, own, "n")
	asKey, err := s.Verify(t.Context(), k.ID, k.Secret)
	if err != nil {
		t.Fatal(err)
	}
	never := time.Duration(0)
	bad := apikey.UpdateRequest{Expiration: &never, Metadata: metadata(t, `{"_a":1}`)}
	restricted := access.Descriptor{Workflows: []string{"search_application_query"}}
	two := apikey.UpdateRequest{Roles: access.Descriptors{"a": restricted, "b": {}}}
	many := make([]string, 10_001)
	tests := []struct {
		name string
		by   *access.Caller
		req  apikey.UpdateRequest
		ids  []string
		want fault.Kind
	}{
		{"a bad request of who may not", nobody, bad, []string{k.ID}, fault.Invalid},
		{"who may not, of an unknown key", nobody, two, []string{"unknown"}, fault.Forbidden},
		{"AK-113: a key of itself", asKey, apikey.UpdateRequest{}, []string{k.ID}, fault.Argument},
		{"a key of an unknown key", asKey, apikey.UpdateRequest{}, []string{"unknown"}, fault.Argument},
		{"restrictions, of an unknown key", own, two, []string{"unknown"}, fault.Argument},
		{"no ids", own, apikey.UpdateRequest{}, nil, fault.Invalid},
		{"too many ids", own, apikey.UpdateRequest{}, many, fault.Invalid},
	}
	for _, tt := range tests {
		_, err := s.UpdateAll(t.Context(), tt.by, tt.ids, tt.req)
		if fault.KindOf(err) != tt.want {
			t.Errorf("bulk: %s: %v; want kind %v", tt.name, err, tt.want)
		}
		if len(tt.ids) != 1 {
			continue
		}
		if _, err := s.Update(t.Context(), tt.by, tt.ids[0], tt.req); fault.KindOf(err) != tt.want {
			t.Errorf("%s: %v; want kind %v", tt.name, err, tt.want)
		}
	}
}

// An error does not prove that nothing happened, so a cached key is read again.
func TestUpdateWithLostAnswer(t *testing.T) {
	for _, lost := range []error{context.DeadlineExceeded, fault.New(fault.Unknown, "not confirmed")} {
		store := &lostAnswer{DB: openStore(t), lose: lost}
		s, by := newService(store), caller(t, "u", "all")
		k := create(t, s, by, "n")
		if _, err := s.Verify(t.Context(), k.ID, k.Secret); err != nil { // warms the cache
			t.Fatal(err)
		}
		narrow := apikey.UpdateRequest{Roles: access.Descriptors{"r": {Cluster: []string{"monitor"}}}}
		if _, err := s.Update(t.Context(), by, k.ID, narrow); err == nil {
			t.Fatal("Update = nil; want the store's error")
		}
		c, err := s.Verify(t.Context(), k.ID, k.Secret)
		if err != nil {
			t.Fatal(err)
		}
		if all, err := c.Permissions.HasCluster("all"); err != nil || all {
			t.Errorf("after %v: the key holds all: %t, %v; want its new roles", lost, all, err)
		}
	}
}
