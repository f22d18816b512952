package apikey_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/apikey"
	"latchkey/internal/fault"
	"latchkey/internal/secret"
)

func rotate(t testing.TB, s *apikey.Service, by *access.Caller, id string, overlap time.Duration) apikey.Created {
	t.Helper()
	k, err := s.Rotate(t.Context(), by, id, overlap)
	if err != nil {
		t.Fatalf("rotate %s: %v", id, err)
	}
	return k
}

// good checks which secrets of a key are accepted.
func good(t testing.TB, s *apikey.Service, when string, want map[string]apikey.Created, refused ...apikey.Created) {
	t.Helper()
	for name, k := range want {
		if _, err := s.Verify(t.Context(), k.ID, k.Secret); err != nil {
			t.Errorf("%s: the %s secret: %v; want it accepted", when, name, err)
		}
	}
	for i, k := range refused {
		_, err := s.Verify(t.Context(), k.ID, k.Secret)
		f, ok := err.(*fault.Error)
		if !ok || f.Kind != fault.Unauthenticated || !strings.Contains(f.Detail, "invalid credentials for API key ["+k.ID+"]") {
			t.Errorf("%s: the %d. of the secrets that ended: %v; want it refused as any wrong one", when, i+1, err)
		}
	}
}

func TestAnOverlapByTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, by := newService(openStore(t), func(o *apikey.Options) { o.CacheTTL = 48 * time.Hour }), caller(t, "u", "manage_own_api_key")
		first := create(t, s, by, "n")
		good(t, s, "new", map[string]apikey.Created{"first": first})
		second := rotate(t, s, by, first.ID, 24*time.Hour)
		if want := time.Now().Add(24 * time.Hour); !second.OverlapUntil.Equal(want) || second.Name != "n" || second.ID != first.ID || second.Secret == first.Secret {
			t.Errorf("rotate = %+v; want another secret, and the overlap to end at %v", second, want)
		}
		good(t, s, "at once", map[string]apikey.Created{"first": first, "second": second})
		time.Sleep(24*time.Hour - time.Millisecond)
		good(t, s, "at last", map[string]apikey.Created{"first": first, "second": second})
		time.Sleep(time.Millisecond)
		good(t, s, "when it ends", map[string]apikey.Created{"second": second}, first)
		if _, err := s.EndOverlap(t.Context(), by, first.ID); err != nil {
			t.Error(err)
		}
		good(t, s, "read anew", map[string]apikey.Created{"second": second}, first)

		third := rotate(t, s, by, first.ID, time.Hour)
		fourth := rotate(t, s, by, first.ID, time.Hour)
		good(t, s, "rotated twice", map[string]apikey.Created{"third": third, "fourth": fourth}, first, second)
		if ended, err := s.EndOverlap(t.Context(), by, first.ID); !ended || err != nil {
			t.Errorf("EndOverlap = %t, %v; want true", ended, err)
		}
		good(t, s, "cut", map[string]apikey.Created{"fourth": fourth}, first, second, third)
		rotate(t, s, by, first.ID, time.Hour)
		fifth := rotate(t, s, by, first.ID, 0)
		if !fifth.OverlapUntil.IsZero() {
			t.Errorf("no overlap ends at %v", fifth.OverlapUntil)
		}
		good(t, s, "without an overlap, in the one before", map[string]apikey.Created{"fifth": fifth}, first, second, third, fourth)
		if ended, err := s.EndOverlap(t.Context(), by, first.ID); ended || err != nil {
			t.Errorf("EndOverlap of none = %t, %v; want false", ended, err)
		}
	})
}

func TestAnOverlapIsNoLongerThanTheKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, by := newService(openStore(t)), caller(t, "u", "manage_own_api_key")
		hour := time.Hour
		first, err := s.Create(t.Context(), by, apikey.CreateRequest{Name: "n", Expiration: &hour})
		if err != nil {
			t.Fatal(err)
		}
		second := rotate(t, s, by, first.ID, 30*24*time.Hour)
		if !second.OverlapUntil.Equal(first.ExpiresAt) || !second.ExpiresAt.Equal(first.ExpiresAt) {
			t.Errorf("the overlap ends at %v, the key at %v; want both at %v", second.OverlapUntil, second.ExpiresAt, first.ExpiresAt)
		}
		good(t, s, "before", map[string]apikey.Created{"first": first, "second": second})
		longer := 3 * time.Hour
		if _, err := s.Update(t.Context(), by, first.ID, apikey.UpdateRequest{Expiration: &longer}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		good(t, s, "a key that lives longer by now", map[string]apikey.Created{"second": second}, first)
	})
}

// Of a secret nothing but hashes is kept, and what a rotation has replaced is one of
// those forms, whatever it was.
func TestWhatARotationKeeps(t *testing.T) {
	store := openStore(t)
	s, by := newService(store), caller(t, "u", "manage_own_api_key")
	hasher, err := secret.NewHasher("pbkdf2_1000")
	if err != nil {
		t.Fatal(err)
	}
	slow, err := hasher.Hash(t.Context(), "a slow secret")
	if err != nil {
		t.Fatal(err)
	}
	made := create(t, s, by, "n")
	k, err := store.APIKey(t.Context(), made.ID)
	if err != nil {
		t.Fatal(err)
	}
	k.ID, k.Hash = "slow", slow
	if err := store.InsertAPIKey(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	old := apikey.Created{ID: "slow", Secret: "a slow secret"}
	good(t, s, "before", map[string]apikey.Created{"slow": old})
	second := rotate(t, s, by, "slow", time.Hour)
	good(t, s, "in the overlap", map[string]apikey.Created{"slow": old, "new": second}, apikey.Created{ID: "slow", Secret: "wrong"})
	kept, err := store.APIKey(t.Context(), "slow")
	if err != nil || kept.OldHash != slow || !strings.HasPrefix(kept.Hash, "{SSHA256}") || strings.Contains(kept.Hash, second.Secret) {
		t.Errorf("kept are %q and %q, %v", kept.Hash, kept.OldHash, err)
	}
	if _, err := s.EndOverlap(t.Context(), by, "slow"); err != nil {
		t.Error(err)
	}
	good(t, s, "cut", map[string]apikey.Created{"new": second}, old)
	if kept, err = store.APIKey(t.Context(), "slow"); err != nil || kept.OldHash != "" || !kept.OldUntil.IsZero() {
		t.Errorf("kept of a secret that ended: %q until %v, %v", kept.OldHash, kept.OldUntil, err)
	}
}

func TestKeysThatCannotBeRotated(t *testing.T) {
	store := openStore(t)
	s, by := newService(store), caller(t, "u", "manage_own_api_key")
	made := create(t, s, by, "n")
	k, err := store.APIKey(t.Context(), made.ID)
	if err != nil {
		t.Fatal(err)
	}
	insert := func(id string, change func(*apikey.Key)) {
		k := k
		k.ID = id
		change(&k)
		if err := store.InsertAPIKey(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
	insert("cross", func(k *apikey.Key) { k.Type, k.LimitedBy = apikey.CrossCluster, apikey.Digest{} })
	insert("invalidated", func(k *apikey.Key) { k.InvalidatedAt = time.Now() })
	insert("expired", func(k *apikey.Key) { k.ExpiresAt = time.Now().Add(-time.Minute) })
	insert("of another realm", func(k *apikey.Key) { k.Owner.Realm = "file" })
	insert("of somebody else", func(k *apikey.Key) { k.Owner.Username = "v" })
	key := &access.Caller{Type: access.ByAPIKey, Subject: by.Subject}
	key.APIKey = &access.APIKey{ID: made.ID}
	tests := []struct {
		name    string
		by      *access.Caller
		id      string
		overlap time.Duration
		want    fault.Kind
	}{
		{"invalidated", by, "invalidated", 0, fault.Argument},
		{"expired", by, "expired", 0, fault.Argument},
		{"of another realm", by, "of another realm", 0, fault.NotFound},
		{"of somebody else", caller(t, "u", "manage_security"), "of somebody else", 0, fault.NotFound},
		{"unknown", by, "unknown", 0, fault.NotFound},
		{"no id", by, "", 0, fault.NotFound},
		{"by a key", key, made.ID, 0, fault.Argument},
		{"by nobody in particular", caller(t, "u", "monitor"), made.ID, 0, fault.Forbidden},
		{"by who may make keys for others", caller(t, "u", "grant_api_key"), made.ID, 0, fault.Forbidden},
		{"an overlap of 30 days and a bit", by, made.ID, 30*24*time.Hour + 1, fault.Invalid},
		{"an overlap of less than nothing", by, made.ID, -1, fault.Invalid},
	}
	for _, tt := range tests {
		if got, err := s.Rotate(t.Context(), tt.by, tt.id, tt.overlap); fault.KindOf(err) != tt.want || got != (apikey.Created{}) {
			t.Errorf("%s: Rotate = %v, %v; want %v", tt.name, got, err, tt.want)
		}
		if tt.want == fault.Invalid {
			continue
		}
		if ended, err := s.EndOverlap(t.Context(), tt.by, tt.id); fault.KindOf(err) != tt.want || ended {
			t.Errorf("%s: EndOverlap = %t, %v; want %v", tt.name, ended, err, tt.want)
		}
	}
	good(t, s, "after all refusals", map[string]apikey.Created{"only": made})
	for _, privilege := range []string{"manage_api_key", "manage_security"} {
		rotate(t, s, caller(t, "u", privilege), made.ID, 0)
	}
	good(t, s, "rotated", nil, made)
	if k := rotate(t, s, by, "cross", time.Hour); k.Secret == "" || k.OverlapUntil.IsZero() {
		t.Errorf("a cross-cluster key: %+v", k)
	}
	off := newService(store, func(o *apikey.Options) { o.Enabled = false })
	if _, err := off.Rotate(t.Context(), by, made.ID, 0); fault.KindOf(err) != fault.Disabled {
		t.Errorf("switched off: %v; want Disabled", err)
	}
}

// An error does not prove that nothing happened, so a cached key is read again.
func TestRotationWithLostAnswer(t *testing.T) {
	for _, lost := range []error{context.DeadlineExceeded, fault.New(fault.Unknown, "not confirmed")} {
		store := &lostAnswer{DB: openStore(t), lose: lost}
		s, by := newService(store), caller(t, "u", "manage_own_api_key")
		k := create(t, s, by, "n")
		good(t, s, "warm", map[string]apikey.Created{"first": k})
		if made, err := s.Rotate(t.Context(), by, k.ID, 0); err == nil || made != (apikey.Created{}) {
			t.Fatalf("Rotate = %v, %v; want the store's error alone", made, err)
		}
		good(t, s, "after a rotation that was made", nil, k)
	}
}

// A dry run needs the same rights, and tells of the keys that these do not reach.
func TestDryRun(t *testing.T) {
	store := openStore(t)
	s, keys := newService(store), caller(t, "a", "manage_api_key")
	made := create(t, s, keys, "n")
	k, err := store.APIKey(t.Context(), made.ID)
	if err != nil {
		t.Fatal(err)
	}
	k.ID, k.Type, k.LimitedBy = "cross", apikey.CrossCluster, apikey.Digest{}
	if err := store.InsertAPIKey(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	req := apikey.InvalidateRequest{IDs: []string{made.ID, "cross"}, DryRun: true}
	for range 2 {
		got, err := s.Invalidate(t.Context(), keys, req)
		if err != nil || len(got.IDs) != 1 || got.IDs[0] != made.ID || len(got.NotReached) != 1 || got.NotReached[0] != "cross" {
			t.Errorf("with manage_api_key: %+v, %v", got, err)
		}
		got, err = s.Invalidate(t.Context(), caller(t, "s", "manage_security"), req)
		if err != nil || len(got.IDs) != 2 || got.NotReached != nil {
			t.Errorf("with manage_security: %+v, %v", got, err)
		}
	}
	if _, err := s.Invalidate(t.Context(), caller(t, "x", "manage_own_api_key"), req); fault.KindOf(err) != fault.Forbidden {
		t.Errorf("with manage_own_api_key: %v; want Forbidden", err)
	}
	good(t, s, "after the dry runs", map[string]apikey.Created{"only": made})
}

// Requests that were loading a key while it was rotated go by its new secret.
func TestALoadThatBeganBeforeARotation(t *testing.T) {
	r := newRacing(t, 100)
	x := somebody("x")
	for _, cut := range []bool{false, true} {
		k := r.create(t, x)
		if cut {
			rotate(t, r.Service, x, k.ID, time.Hour)
			r.want(t, "in the overlap", k, "accepted")
			if err := r.ClearCache(t.Context(), x, []string{k.ID}); err != nil {
				t.Fatal(err)
			}
		}
		h := r.store.hold()
		verdict := make(chan string, 1)
		go func() { verdict <- r.verdict(t, k) }()
		<-h.read // it holds the key as it was before
		if cut {
			if ended, err := r.EndOverlap(t.Context(), x, k.ID); !ended || err != nil {
				t.Fatalf("EndOverlap = %t, %v", ended, err)
			}
		} else {
			rotate(t, r.Service, x, k.ID, 0)
		}
		r.store.release(h)
		if got := <-verdict; got != "refused" {
			t.Errorf("cut %t: a request whose load began before was %s", cut, got)
		}
		r.want(t, "once that load is over", k, "refused")
	}
}

// While a key is rotated again and again, its secrets are presented without a pause.
// Whoever begins after a secret was cut is refused, and the last one is always good.
func TestNoSecretIsAcceptedOnceItsEndHasReturned(t *testing.T) {
	for _, size := range []int{0, 1000} {
		r := newRacing(t, size)
		x := somebody("x")
		k := r.create(t, x)
		const turns = 10
		type held struct {
			key  apikey.Created
			over atomic.Bool // its end has returned
		}
		var secrets [turns + 1]atomic.Pointer[held]
		secrets[0].Store(&held{key: k})
		stop := make(chan struct{})
		var verifiers sync.WaitGroup
		for i := range 4 {
			verifiers.Go(func() {
				for n := i; ; n++ {
					select {
					case <-stop:
						return
					default:
					}
					h := secrets[n%len(secrets)].Load()
					if h == nil {
						continue
					}
					began := h.over.Load()
					if got := r.verdict(t, h.key); began && got == "accepted" {
						t.Errorf("cache of %d: a secret was accepted by a request that began after its end", size)
						return
					}
				}
			})
		}
		for turn := range turns {
			overlap := time.Duration(turn%2) * time.Hour
			last := secrets[turn].Load()
			next := rotate(t, r.Service, x, k.ID, overlap)
			if overlap > 0 {
				r.want(t, "in the overlap", last.key, "accepted")
				if ended, err := r.EndOverlap(t.Context(), x, k.ID); !ended || err != nil {
					t.Errorf("EndOverlap = %t, %v", ended, err)
				}
			}
			last.over.Store(true)
			r.want(t, "after its end", last.key, "refused")
			r.want(t, "the new one", next, "accepted")
			secrets[turn+1].Store(&held{key: next})
		}
		close(stop)
		verifiers.Wait()
	}
}

// While a key is rotated without a pause, it is invalidated: from then on all its
// secrets are refused for good, and so are rotations.
func TestARotationNeverRevivesAKey(t *testing.T) {
	r := newRacing(t, 1000)
	x := somebody("x")
	for round := range 10 {
		k := r.create(t, x)
		r.want(t, "a new key", k, "accepted")
		var over atomic.Bool
		var rotators sync.WaitGroup
		begun := make(chan struct{}, 1)
		for range 3 {
			rotators.Go(func() {
				for {
					began := over.Load()
					made, err := r.Rotate(t.Context(), x, k.ID, time.Hour)
					if began && err == nil {
						t.Errorf("round %d: a rotation that began after the invalidation was made", round)
					}
					if err != nil {
						return
					}
					if got := r.verdict(t, made); over.Load() && got == "accepted" {
						if again := r.verdict(t, made); again == "accepted" {
							t.Errorf("round %d: a secret is good after the invalidation", round)
						}
					}
					select {
					case begun <- struct{}{}:
					default:
					}
				}
			})
		}
		<-begun
		if _, err := r.Invalidate(t.Context(), x, apikey.InvalidateRequest{IDs: []string{k.ID}}); err != nil {
			t.Error(err)
		}
		over.Store(true)
		rotators.Wait()
		r.want(t, "after the last rotation", k, "refused")
	}
}
