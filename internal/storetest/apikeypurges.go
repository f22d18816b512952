package storetest

import (
	"slices"
	"testing"
	"time"

	"latchkey/internal/apikey"
	"latchkey/internal/fault"
)

func keyPurge(t *testing.T, s Store) {
	expired, young := key("expired", "x", "r"), key("young", "x", "r")
	expired.ExpiresAt, young.ExpiresAt = t0, t0.Add(time.Millisecond)
	done, recent := key("done", "x", "r"), key("recent", "x", "r")
	done.InvalidatedAt, recent.InvalidatedAt = t0, t0.Add(time.Millisecond)
	insert(t, s, expired, young, done, recent, key("live", "x", "r"))
	first, err := s.PurgeAPIKeys(t.Context(), t0, 1)
	if err != nil || len(first) != 1 {
		t.Fatalf("PurgeAPIKeys with limit 1 = %v, %v", first, err)
	}
	rest, err := s.PurgeAPIKeys(t.Context(), t0, 10)
	got := slices.Sorted(slices.Values(append(first, rest...)))
	if err != nil || !slices.Equal(got, []string{"done", "expired"}) {
		t.Errorf("purged %v, %v; want [done expired]", got, err)
	}
	left, err := s.APIKeys(t.Context(), apikey.Selector{}, time.Time{})
	if err != nil || !slices.Equal(ids(left), []string{"live", "recent", "young"}) {
		t.Errorf("left are %v, %v; want [live recent young]", ids(left), err)
	}
	if none, err := s.PurgeAPIKeys(t.Context(), t0, 10); err != nil || len(none) != 0 {
		t.Errorf("a second purge = %v, %v; want none", none, err)
	}
}

func keyPurgeSets(t *testing.T, s Store) {
	shared, lost := setOf("shared"), setOf("lost")
	dead, live := key("dead", "x", "r"), key("live", "x", "r")
	dead.Roles, dead.LimitedBy, dead.InvalidatedAt = lost.Digest, shared.Digest, t0
	live.Roles, live.LimitedBy, live.Type = shared.Digest, apikey.Digest{}, apikey.CrossCluster
	for _, k := range []apikey.Key{dead, live} {
		if err := s.InsertAPIKey(t.Context(), k, shared, lost); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.PurgeAPIKeys(t.Context(), t0, 10); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RoleSet(t.Context(), lost.Digest); fault.KindOf(err) != fault.NotFound {
		t.Errorf("the set that nobody carries: %v; want NotFound", err)
	}
	if _, err := s.RoleSet(t.Context(), shared.Digest); err != nil {
		t.Errorf("the set that a live key carries: %v", err)
	}
}

func keyPurgeLeftSets(t *testing.T, s Store) {
	old, young := setOf("old"), setOf("young")
	made := func(id string) {
		k := key(id, "x", "r")
		k.Roles, k.LimitedBy = old.Digest, old.Digest
		if err := s.InsertAPIKey(t.Context(), k, old); err != nil {
			t.Fatal(err)
		}
	}
	made("a")
	dead := key("dead", "x", "r")
	dead.InvalidatedAt = t0
	insert(t, s, dead)
	err := s.UpdateAPIKeys(t.Context(), apikey.Selector{IDs: []string{"a"}}, []apikey.RoleSet{young}, func(k *apikey.Key) bool {
		k.Roles, k.LimitedBy = young.Digest, young.Digest
		return true
	}, func([]string) {})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.PurgeAPIKeys(t.Context(), t0, 10); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RoleSet(t.Context(), old.Digest); fault.KindOf(err) != fault.NotFound {
		t.Errorf("the set that the update left: %v; want NotFound", err)
	}
	made("b")
	for _, set := range []apikey.RoleSet{old, young} {
		if _, err := s.RoleSet(t.Context(), set.Digest); err != nil {
			t.Errorf("the set %s, which a key carries: %v", set.Body, err)
		}
	}
}
