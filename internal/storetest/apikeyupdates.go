package storetest

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"latchkey/internal/apikey"
	"latchkey/internal/fault"
)

func setOf(body string) apikey.RoleSet {
	return apikey.RoleSet{Digest: sha256.Sum256([]byte(body)), Body: []byte(body)}
}

func keyUpdated(t *testing.T, s Store) {
	bare := key("a", "x", "r")
	full := key("b", "x", "r")
	full.ExpiresAt, full.Metadata = t0.Add(time.Hour), json.RawMessage(`{"old":1}`)
	done := key("c", "x", "r")
	done.ExpiresAt, done.InvalidatedAt = t0.Add(-time.Hour), t0
	insert(t, s, bare, full, done, key("d", "x", "r"))
	name := "Jane"
	roles, limit := setOf("roles"), setOf("limit")
	want := map[string]apikey.Key{}
	for _, k := range []apikey.Key{bare, full, done} {
		k.Hash, k.OldHash, k.OldUntil = "new hash of "+k.ID, k.Hash, t0.Add(time.Minute)
		k.CertificateIdentity = "CN=" + k.ID
		k.ExpiresAt, k.Metadata, k.Roles, k.LimitedBy = t0.Add(2*time.Hour), json.RawMessage(`{"new":1.50}`), roles.Digest, limit.Digest
		k.Owner.RealmType, k.Owner.FullName, k.Owner.Metadata = "ldap", &name, json.RawMessage(`{"m":1}`)
		want[k.ID] = k
	}
	var looked, told []string
	err := s.UpdateAPIKeys(t.Context(), apikey.Selector{IDs: []string{"a", "b", "c"}}, []apikey.RoleSet{roles, limit}, func(k *apikey.Key) bool {
		looked = append(looked, k.ID)
		if k.InvalidatedAt.IsZero() == (k.ID == "c") {
			t.Errorf("%s was shown as invalidated at %v", k.ID, k.InvalidatedAt)
		}
		w := want[k.ID]
		k.ExpiresAt, k.Metadata, k.Roles, k.LimitedBy, k.Owner = w.ExpiresAt, w.Metadata, w.Roles, w.LimitedBy, w.Owner
		k.Hash, k.OldHash, k.OldUntil, k.CertificateIdentity = w.Hash, w.OldHash, w.OldUntil, w.CertificateIdentity
		return true
	}, func(ids []string) { told = append(told, ids...) })
	slices.Sort(looked)
	slices.Sort(told)
	if all := []string{"a", "b", "c"}; err != nil || !slices.Equal(looked, all) || !slices.Equal(told, all) {
		t.Fatalf("UpdateAPIKeys: %v; looked at %v and told %v, want all of %v", err, looked, told, all)
	}
	want["d"] = key("d", "x", "r")
	for id, w := range want {
		got, err := s.APIKey(t.Context(), id)
		if diff := cmp.Diff(w, got); err != nil || diff != "" {
			t.Errorf("APIKey(%s): %v (-want +got)\n%s", id, err, diff)
		}
	}
	for _, set := range []apikey.RoleSet{roles, limit} {
		if body, err := s.RoleSet(t.Context(), set.Digest); err != nil || string(body) != string(set.Body) {
			t.Errorf("RoleSet = %s, %v; want %s", body, err, set.Body)
		}
	}
}

func keyUpdateSelector(t *testing.T, s Store) {
	insert(t, s, key("a", "x", "r"), key("b", "x", "r"), key("c", "y", "r"), key("d", "x", "other"))
	many := []string{"c", "a", "d", "b"}
	for i := range 3000 {
		many = append(many, fmt.Sprint("n", i))
	}
	for _, tt := range []struct {
		name string
		sel  apikey.Selector
		want []string
	}{
		{"few ids", apikey.Selector{IDs: []string{"a", "b", "c", "d", "zz"}, Username: "x", Realm: "r"}, []string{"a", "b"}},
		{"many ids", apikey.Selector{IDs: many, Username: "x", Realm: "r"}, []string{"a", "b"}},
		{"a stranger's", apikey.Selector{IDs: []string{"c", "d"}, Username: "x", Realm: "r"}, nil},
		{"no ids", apikey.Selector{Username: "x", Realm: "r"}, nil},
	} {
		var looked []string
		err := s.UpdateAPIKeys(t.Context(), tt.sel, nil, func(k *apikey.Key) bool {
			looked = append(looked, k.ID)
			return true
		}, func([]string) {})
		if slices.Sort(looked); err != nil || !slices.Equal(looked, tt.want) {
			t.Errorf("%s: looked at %v, %v; want %v", tt.name, looked, err, tt.want)
		}
	}
}

func keyUpdateNothing(t *testing.T, s Store) {
	insert(t, s, key("a", "x", "r"))
	set := setOf("unused")
	err := s.UpdateAPIKeys(t.Context(), apikey.Selector{IDs: []string{"a"}}, []apikey.RoleSet{set}, func(k *apikey.Key) bool {
		k.Metadata = json.RawMessage(`{"lost":1}`)
		return false
	}, func(ids []string) {
		if len(ids) > 0 {
			t.Errorf("told that %v changed", ids)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.APIKey(t.Context(), "a"); err != nil || string(got.Metadata) != `{}` {
		t.Errorf("metadata is %s, %v; want {}", got.Metadata, err)
	}
	if _, err := s.RoleSet(t.Context(), set.Digest); fault.KindOf(err) != fault.NotFound {
		t.Errorf("the set that no key got: %v; want NotFound", err)
	}
}

// Several updates bring the same state: those that find it there may be answered
// only when the one that wrote it has told its process.
func keyUpdateChangedFirst(t *testing.T, s Store) {
	want := setOf("want")
	for round := range 200 {
		id := fmt.Sprint("k", round)
		insert(t, s, key(id, "x", "r"))
		var told atomic.Bool
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				err := s.UpdateAPIKeys(context.Background(), apikey.Selector{IDs: []string{id}}, []apikey.RoleSet{want}, func(k *apikey.Key) bool {
					changed := k.Roles != want.Digest
					k.Roles = want.Digest
					return changed
				}, func(ids []string) {
					if len(ids) > 0 {
						time.Sleep(100 * time.Microsecond)
						told.Store(true)
					}
				})
				if err != nil || !told.Load() {
					t.Errorf("round %d: answered (%v) before changed had returned", round, err)
				}
			})
		}
		wg.Wait()
	}
}

func keyUpdatedMeanwhile(t *testing.T, s Store) {
	const writers, times = 4, 50
	insert(t, s, key("a", "x", "r"))
	count := func(k *apikey.Key) (n int) {
		if err := json.Unmarshal(k.Metadata, &struct{ N *int }{&n}); err != nil {
			t.Error(err)
		}
		return n
	}
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range times {
				err := s.UpdateAPIKeys(context.Background(), apikey.Selector{IDs: []string{"a"}}, nil, func(k *apikey.Key) bool {
					k.Metadata = fmt.Appendf(nil, `{"N":%d}`, count(k)+1)
					k.ExpiresAt, k.InvalidatedAt = t0.Add(time.Hour), time.Time{}
					return true
				}, func([]string) {})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() { invalidate(t, s, apikey.Selector{IDs: []string{"a"}}, t0) })
	wg.Wait()
	k, err := s.APIKey(t.Context(), "a")
	if err != nil || !k.InvalidatedAt.Equal(t0) || count(&k) != writers*times {
		t.Errorf("invalidated at %v, updated %d times, %v; want %v and %d", k.InvalidatedAt, count(&k), err, t0, writers*times)
	}
}
