package storetest

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"latchkey/internal/apikey"
)

var keyUseRules = []rule{
	{"the last use of a key is kept", useKept},
	{"uses never go backwards, whoever writes", useForward},
	{"the use of a key that is not there is dropped", useOfNoKey},
	{"the uses of many keys are written and read", useMany},
	{"the purge takes uses with their keys", usePurged},
	{"a preview finds what the invalidation finds and changes nothing", previewed},
}

func noteUses(t *testing.T, s Store, uses ...apikey.Use) {
	t.Helper()
	if err := s.NoteAPIKeyUses(t.Context(), uses); err != nil {
		t.Fatalf("NoteAPIKeyUses: %v", err)
	}
}

// wantUses checks what is kept of the given keys.
func wantUses(t *testing.T, s Store, ids []string, want ...apikey.Use) {
	t.Helper()
	all := map[string]apikey.Use{}
	for _, u := range want {
		all[u.KeyID] = u
	}
	got, err := s.APIKeyUses(t.Context(), ids)
	if diff := cmp.Diff(all, got); err != nil || diff != "" {
		t.Errorf("APIKeyUses(%v): %v (-want +got)\n%s", ids, err, diff)
	}
}

func useOf(id string, at time.Time, agent string) apikey.Use {
	return apikey.Use{KeyID: id, At: at, Address: "2001:db8::1", Agent: agent}
}

func useKept(t *testing.T, s Store) {
	insert(t, s, key("a", "x", "r"), key("b", "x", "r"), key("c", "x", "r"))
	wantUses(t, s, []string{"a", "b"})
	wantUses(t, s, nil)
	first := useOf("a", t0, "agent \"é\" 1")
	bare := apikey.Use{KeyID: "b", At: t0.Add(time.Minute)}
	noteUses(t, s)
	noteUses(t, s, first, bare)
	wantUses(t, s, []string{"a", "b", "c", "zz"}, first, bare)
	later := useOf("a", t0.Add(time.Millisecond), "agent 2")
	noteUses(t, s, later)
	wantUses(t, s, []string{"a"}, later)
	for _, stale := range []apikey.Use{useOf("a", t0, "stale"), useOf("a", later.At, "the same time")} {
		noteUses(t, s, stale)
		wantUses(t, s, []string{"a"}, later)
	}
	invalidate(t, s, apikey.Selector{IDs: []string{"a"}}, t0)
	wantUses(t, s, []string{"a"}, later)
	if k, err := s.APIKey(t.Context(), "b"); err != nil || k.ID != "b" {
		t.Errorf("the key of a use reads back as %+v, %v", k, err)
	}
}

func useForward(t *testing.T, s Store) {
	insert(t, s, key("a", "x", "r"))
	const writers, writes = 4, 50
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for _, n := range rand.Perm(writes) {
				at := t0.Add(time.Duration(n*writers+w) * time.Second)
				if err := s.NoteAPIKeyUses(context.Background(), []apikey.Use{useOf("a", at, fmt.Sprint(w))}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	wantUses(t, s, []string{"a"}, useOf("a", t0.Add((writers*writes-1)*time.Second), fmt.Sprint(writers-1)))
}

func useOfNoKey(t *testing.T, s Store) {
	insert(t, s, key("a", "x", "r"))
	known := useOf("a", t0, "agent")
	noteUses(t, s, useOf("A", t0, "agent"), known, useOf("zz", t0, "agent"))
	wantUses(t, s, []string{"A", "a", "zz"}, known)
	insert(t, s, key("zz", "x", "r"))
	wantUses(t, s, []string{"zz"})
}

func useMany(t *testing.T, s Store) {
	const n = 2500
	all := map[string]apikey.Use{}
	for i := range n {
		id := fmt.Sprintf("k%04d", i)
		insert(t, s, key(id, "x", "r"))
		all[id] = useOf(id, t0.Add(time.Duration(i)*time.Millisecond), "agent")
	}
	noteUses(t, s, slices.Collect(maps.Values(all))...)
	wantUses(t, s, slices.Collect(maps.Keys(all)), slices.Collect(maps.Values(all))...)
}

func usePurged(t *testing.T, s Store) {
	insert(t, s, key("a", "x", "r"), key("b", "x", "r"))
	noteUses(t, s, useOf("a", t0, "agent"), useOf("b", t0, "agent"))
	invalidate(t, s, apikey.Selector{IDs: []string{"a"}}, t0)
	if ids, err := s.PurgeAPIKeys(t.Context(), t0, 10); err != nil || !slices.Equal(ids, []string{"a"}) {
		t.Fatalf("PurgeAPIKeys = %v, %v; want a", ids, err)
	}
	noteUses(t, s, useOf("a", t0.Add(time.Hour), "on its way when the key went"))
	wantUses(t, s, []string{"a", "b"}, useOf("b", t0, "agent"))
}

func previewed(t *testing.T, s Store) {
	for i, id := range []string{"a", "b", "c", "d", "e", "f"} {
		k := key(id, []string{"x", "y"}[i%2], "r")
		if i >= 3 {
			k.Type = apikey.CrossCluster
		}
		insert(t, s, k)
	}
	invalidate(t, s, apikey.Selector{IDs: []string{"b", "e"}}, t0)
	expired := key("g", "x", "r")
	expired.ExpiresAt = t0
	insert(t, s, expired)
	many := []string{"f", "b", "a", "a"}
	for i := range 2500 {
		many = append(many, fmt.Sprint("n", i))
	}
	sels := []apikey.Selector{ // each finds what those before it have left
		{IDs: []string{"zz"}}, {Name: "nobody"},
		{IDs: []string{"a", "b", "d"}}, {IDs: []string{"c", "e"}, Username: "x", Realm: "r"}, {IDs: many},
		{Username: "y"}, {Name: "n-", Prefix: true}, {},
	}
	for _, sel := range sels {
		for _, restOnly := range []bool{true, false} {
			before, err := s.APIKeys(t.Context(), apikey.Selector{}, time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.PreviewInvalidation(t.Context(), sel, restOnly)
			if err != nil {
				t.Fatalf("PreviewInvalidation(%+v): %v", sel, err)
			}
			after, err := s.APIKeys(t.Context(), apikey.Selector{}, time.Time{})
			if diff := cmp.Diff(before, after); err != nil || diff != "" {
				t.Errorf("a preview of %+v changed the keys: %v (-before +after)\n%s", sel, err, diff)
			}
			want, err := s.InvalidateAPIKeys(t.Context(), sel, restOnly, t0, func([]string) {})
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("%d ids of %+v, restOnly %t: %v (-invalidated +previewed)\n%s", len(sel.IDs), sel.Username, restOnly, err, diff)
			}
		}
	}
}
