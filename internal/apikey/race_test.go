package apikey_test

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/apikey"
	"latchkey/internal/fault"
	"latchkey/internal/role"
	"latchkey/internal/sqlstore"
)

// gate is a store that may hold the loads of keys: each is held after it has
// read its key, and goes on when the test says so.
type gate struct {
	*sqlstore.DB
	held atomic.Pointer[hold]
}

type hold struct {
	read chan struct{} // gets a value when a load has read its key
	goOn chan struct{} // closed when loads may return
}

func (g *gate) APIKey(ctx context.Context, id string) (apikey.Key, error) {
	k, err := g.DB.APIKey(ctx, id)
	if h := g.held.Load(); h != nil {
		h.read <- struct{}{}
		<-h.goOn
	}
	return k, err
}

func (g *gate) hold() *hold {
	h := &hold{read: make(chan struct{}, 64), goOn: make(chan struct{})}
	g.held.Store(h)
	return h
}

func (g *gate) release(h *hold) {
	g.held.Store(nil)
	close(h.goOn)
}

type racing struct {
	*apikey.Service
	store *gate
}

func newRacing(t *testing.T, cacheMax int) racing {
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
	g := &gate{DB: db}
	return racing{apikey.New(g, nil, role.New(db, time.Now, nil), apikey.Options{
		Enabled: true, CacheTTL: time.Hour, CacheMax: cacheMax, DocumentTTL: time.Hour, Now: time.Now,
	}), g}
}

// somebody is a user of the native realm who may do everything.
func somebody(username string) *access.Caller {
	d, _ := access.Reserved(access.SuperuserName)
	names := []string{access.SuperuserName}
	return &access.Caller{Type: access.ByRealm, Subject: access.Subject{
		Username: username, Realm: access.Realm{Name: "default_native", Type: "native"}, Roles: names,
		Permissions: access.NewPermissions(names, nil, access.NewRole(d)),
	}}
}

func (r racing) create(t *testing.T, by *access.Caller) apikey.Created {
	t.Helper()
	k, err := r.Create(t.Context(), by, apikey.CreateRequest{Name: "race"})
	if err != nil {
		t.Errorf("create: %v", err)
	}
	return k
}

// verdict is what Verify says of a key: accepted, refused, or "again" if it
// changed under every look. Anything else is an error of the test.
func (r racing) verdict(t *testing.T, k apikey.Created) string {
	t.Helper()
	_, err := r.Verify(t.Context(), k.ID, k.Secret)
	switch {
	case err == nil:
		return "accepted"
	case fault.KindOf(err) == fault.Unauthenticated:
		return "refused"
	case fault.KindOf(err) == fault.Unavailable:
		return "again"
	}
	t.Errorf("verify %s: %v", k.ID, err)
	return "failed"
}

func (r racing) want(t *testing.T, when string, k apikey.Created, want string) {
	t.Helper()
	if got := r.verdict(t, k); got != want {
		t.Errorf("%s: key %s is %s, want %s", when, k.ID, got, want)
	}
}

func TestALoadThatBeganBeforeAnInvalidation(t *testing.T) {
	r := newRacing(t, 100)
	admin := somebody("admin")
	tests := []struct {
		name string
		end  func(k apikey.Created) error
	}{
		{"of its id", func(k apikey.Created) error {
			_, err := r.Invalidate(t.Context(), admin, apikey.InvalidateRequest{IDs: []string{k.ID}})
			return err
		}},
		{"of its owner", func(apikey.Created) error {
			_, err := r.Invalidate(t.Context(), admin, apikey.InvalidateRequest{Username: "x"})
			return err
		}},
		{"of its name", func(apikey.Created) error {
			_, err := r.Invalidate(t.Context(), admin, apikey.InvalidateRequest{Name: "ra*"})
			return err
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := r.create(t, somebody("x"))
			h := r.store.hold()
			const loads = 4
			verdicts := make([]string, loads)
			var all sync.WaitGroup
			for i := range loads {
				all.Go(func() { verdicts[i] = r.verdict(t, k) })
			}
			for range loads {
				<-h.read // it holds the key as it was before
			}
			if err := tt.end(k); err != nil {
				t.Fatal(err)
			}
			r.store.release(h)
			all.Wait()
			if want := slices.Repeat([]string{"refused"}, loads); !slices.Equal(verdicts, want) {
				t.Errorf("requests whose loads began before were %q, want %q: they look again", verdicts, want)
			}
			r.want(t, "once those loads are over", k, "refused")
		})
	}
}

func TestAClearedCacheDoesNotKeepWhatWasBeingLoaded(t *testing.T) {
	r := newRacing(t, 100)
	k := r.create(t, somebody("x"))
	h := r.store.hold()
	done := make(chan string, 1)
	go func() { done <- r.verdict(t, k) }()
	<-h.read
	if err := r.ClearCache(t.Context(), somebody("admin"), []string{"*"}); err != nil {
		t.Fatal(err)
	}
	r.store.release(h)
	if got := <-done; got != "accepted" {
		t.Errorf("a live key was %s after the cache was cleared under its load", got)
	}
}

// While some invalidate, others present the keys without pause, from a cache
// that is too small for all of them. Whoever begins after the invalidation has
// returned must be refused.
func TestNoKeyIsAcceptedOnceItsInvalidationHasReturned(t *testing.T) {
	for _, size := range []int{0, 4, 1000} {
		t.Run(fmt.Sprintf("a cache of %d", size), func(t *testing.T) {
			r := newRacing(t, size)
			admin, x := somebody("admin"), somebody("x")
			for round := range 12 {
				keys := make([]apikey.Created, 12)
				for i := range keys {
					keys[i] = r.create(t, x)
					r.want(t, "a new key", keys[i], "accepted") // warms the cache
				}
				over := make([]atomic.Bool, len(keys)) // the invalidation of the key has returned
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
							at := n % len(keys)
							began := over[at].Load()
							if got := r.verdict(t, keys[at]); began && got == "accepted" {
								t.Errorf("round %d: key %s was accepted by a request that began after its invalidation", round, keys[at].ID)
								return
							}
						}
					})
				}
				var invalidators sync.WaitGroup
				half := len(keys) / 2
				invalidators.Go(func() { // one by one
					for i := range half {
						if _, err := r.Invalidate(t.Context(), admin, apikey.InvalidateRequest{IDs: []string{keys[i].ID}}); err != nil {
							t.Error(err)
						}
						over[i].Store(true)
						r.want(t, "after its invalidation by id", keys[i], "refused")
					}
				})
				invalidators.Go(func() { // all that x holds
					if _, err := r.Invalidate(t.Context(), admin, apikey.InvalidateRequest{Username: "x"}); err != nil {
						t.Error(err)
					}
					for i := range keys {
						over[i].Store(true)
					}
					for i := range keys {
						r.want(t, "after the invalidation of its owner's keys", keys[i], "refused")
					}
				})
				invalidators.Wait()
				close(stop)
				verifiers.Wait()
			}
		})
	}
}

// Two invalidations of the same keys run at once, by different selectors: each
// key is reported by exactly one of them, and when either has returned, all
// keys are refused, whoever changed them.
func TestEachKeyIsReportedByExactlyOneInvalidation(t *testing.T) {
	r := newRacing(t, 1000)
	admin, x := somebody("admin"), somebody("x")
	for round := range 15 {
		var keys []apikey.Created
		var ids []string
		for range 8 {
			k := r.create(t, x)
			r.want(t, "a new key", k, "accepted")
			keys, ids = append(keys, k), append(ids, k.ID)
		}
		requests := []apikey.InvalidateRequest{{IDs: ids}, {Username: "x"}, {IDs: ids}, {Username: "x", Realm: "default_native"}}
		answers := make([]apikey.Invalidated, len(requests))
		start := make(chan struct{})
		var all sync.WaitGroup
		for i, req := range requests {
			all.Go(func() {
				<-start
				done, err := r.Invalidate(t.Context(), admin, req)
				if err != nil {
					t.Error(err)
				}
				for _, k := range keys {
					r.want(t, "after one of several invalidations returned", k, "refused")
				}
				answers[i] = done
			})
		}
		close(start)
		all.Wait()
		reports := map[string]int{}
		for i, a := range answers {
			for _, id := range a.IDs {
				reports[id]++
			}
			if requests[i].IDs != nil && len(a.IDs)+len(a.Before) != len(ids) {
				t.Errorf("round %d: of %d ids, one answer names %d as changed and %d as invalidated before", round, len(ids), len(a.IDs), len(a.Before))
			}
		}
		want := map[string]int{}
		for _, id := range ids {
			want[id] = 1
		}
		if !maps.Equal(reports, want) {
			t.Errorf("round %d: reported %v times, want each key once", round, reports)
		}
	}
}

// While keys of x are made, all keys of x are invalidated again and again. A key
// is either in the answer of one of those invalidations, and refused, or in
// none, and accepted.
func TestKeysMadeDuringAnInvalidationByUser(t *testing.T) {
	r := newRacing(t, 1000)
	admin, x := somebody("admin"), somebody("x")
	var mu sync.Mutex
	var made []apikey.Created
	var creators, invalidator sync.WaitGroup
	for range 4 {
		creators.Go(func() {
			for range 40 {
				k := r.create(t, x)
				r.verdict(t, k) // fills the cache, unless it is gone already
				mu.Lock()
				made = append(made, k)
				mu.Unlock()
			}
		})
	}
	over := make(chan struct{})
	reported := map[string]int{}
	invalidator.Go(func() {
		for {
			mu.Lock()
			before := slices.Clone(made)
			mu.Unlock()
			done, err := r.Invalidate(t.Context(), admin, apikey.InvalidateRequest{Username: "x"})
			if err != nil {
				t.Error(err)
			}
			for _, id := range done.IDs {
				reported[id]++
			}
			for _, k := range before {
				if reported[k.ID] != 1 {
					t.Errorf("key %s was there before the invalidation, and is reported %d times", k.ID, reported[k.ID])
				}
			}
			for _, k := range before[max(0, len(before)-20):] {
				r.want(t, "there before an invalidation of its owner's keys", k, "refused")
			}
			select {
			case <-over:
				return
			default:
			}
		}
	})
	creators.Wait()
	last := r.create(t, x) // of which the last invalidation may or may not know
	close(over)
	invalidator.Wait()
	for _, k := range append(made, last) {
		switch got := r.verdict(t, k); {
		case reported[k.ID] > 1:
			t.Errorf("key %s is reported %d times", k.ID, reported[k.ID])
		case reported[k.ID] == 1 && got != "refused", reported[k.ID] == 0 && got != "accepted":
			t.Errorf("key %s is reported %d times and %s", k.ID, reported[k.ID], got)
		}
	}
}

// The purge takes keys away while they are presented: they go from refused as
// invalidated to refused as unknown, and are never accepted in between.
func TestKeysThatThePurgeTakes(t *testing.T) {
	r := newRacing(t, 1000)
	admin, x := somebody("admin"), somebody("x")
	var keys []apikey.Created
	for range 20 {
		keys = append(keys, r.create(t, x))
	}
	live := r.create(t, somebody("y"))
	if _, err := r.Invalidate(t.Context(), admin, apikey.InvalidateRequest{Username: "x"}); err != nil {
		t.Fatal(err)
	}
	var verifiers sync.WaitGroup
	for i := range 4 {
		verifiers.Go(func() {
			for n := range 200 {
				r.want(t, "during the purge", keys[(i+n)%len(keys)], "refused")
				r.want(t, "during the purge", live, "accepted")
			}
		})
	}
	gone, err := r.store.PurgeAPIKeys(t.Context(), time.Now().Add(time.Minute), 1000)
	if err != nil || len(gone) != len(keys) {
		t.Errorf("the purge took %d keys, want %d (%v)", len(gone), len(keys), err)
	}
	verifiers.Wait()
}

func (r racing) update(t *testing.T, by *access.Caller, id string, req apikey.UpdateRequest) error {
	t.Helper()
	_, err := r.Update(t.Context(), by, id, req)
	if err != nil && fault.KindOf(err) != fault.Argument {
		t.Errorf("update %s: %v", id, err)
	}
	return err
}

// Requests that were loading a key while it was narrowed go by its new roles.
func TestALoadThatBeganBeforeAnUpdate(t *testing.T) {
	r := newRacing(t, 100)
	x := somebody("x")
	k := r.create(t, x)
	h := r.store.hold()
	const loads = 4
	mayAll := make([]bool, loads)
	var all sync.WaitGroup
	for i := range loads {
		all.Go(func() {
			c, err := r.Verify(t.Context(), k.ID, k.Secret)
			if err != nil {
				t.Error(err)
				return
			}
			mayAll[i], _ = c.Permissions.HasCluster("all")
		})
	}
	for range loads {
		<-h.read // it holds the key as it was before
	}
	if err := r.update(t, x, k.ID, apikey.UpdateRequest{Roles: access.Descriptors{"narrow": {Cluster: []string{"monitor"}}}}); err != nil {
		t.Fatal(err)
	}
	r.store.release(h)
	all.Wait()
	if slices.Contains(mayAll, true) {
		t.Errorf("requests whose loads began before held the old roles: %v", mayAll)
	}
}

// While a key is updated without a pause, it is invalidated. From then on it is
// refused for good, and so are updates of it.
func TestAnUpdateNeverRevivesAKey(t *testing.T) {
	r := newRacing(t, 1000)
	admin, x := somebody("admin"), somebody("x")
	for round := range 20 {
		k := r.create(t, x)
		r.want(t, "a new key", k, "accepted") // warms the cache
		var over atomic.Bool
		var updaters sync.WaitGroup
		begun := make(chan struct{}, 64)
		for i := range 4 {
			updaters.Go(func() {
				for n := 0; ; n++ {
					day := time.Duration(24+i+n) * time.Hour
					began := over.Load()
					err := r.update(t, x, k.ID, apikey.UpdateRequest{Expiration: &day})
					if began && err == nil {
						t.Errorf("round %d: an update that began after the invalidation was made", round)
					}
					if err != nil {
						return
					}
					select {
					case begun <- struct{}{}:
					default:
					}
				}
			})
		}
		<-begun
		done, err := r.Invalidate(t.Context(), admin, apikey.InvalidateRequest{IDs: []string{k.ID}})
		if err != nil || !slices.Equal(done.IDs, []string{k.ID}) {
			t.Errorf("invalidated %v, %v; want %s", done.IDs, err, k.ID)
		}
		over.Store(true)
		r.want(t, "after its invalidation", k, "refused")
		updaters.Wait()
		r.want(t, "after the last update", k, "refused")
	}
}

// While a secret is compared, which is slow, the lease lapses, another node ends the
// key, this one applies that and has its lease again.
func TestALeaseThatIsRenewedDuringASlowCheck(t *testing.T) {
	base := newRacing(t, 10)
	var during func() error
	s := apikey.New(base.store, nil, role.New(base.store, time.Now, nil), apikey.Options{
		Enabled: true, CacheTTL: time.Hour, CacheMax: 10, DocumentTTL: time.Hour, Now: time.Now,
		Lease: func() error { return during() },
	})
	r := racing{s, base.store}
	held := func() error { return nil }
	during = held
	k := r.create(t, somebody("u"))
	if got := r.verdict(t, k); got != "accepted" {
		t.Fatalf("a live key is %s", got)
	}
	during = func() error {
		during = held
		if _, err := base.store.InvalidateAPIKeys(t.Context(), apikey.Selector{IDs: []string{k.ID}}, false, time.Now(), func([]string) {}); err != nil {
			t.Error(err)
		}
		s.Forget([]string{k.ID})
		return nil
	}
	if got := r.verdict(t, k); got != "refused" {
		t.Errorf("a key that was ended during the check is %s", got)
	}
	during = func() error { return fault.New(fault.Unavailable, "lapsed") }
	other := r.create(t, somebody("u"))
	if got := r.verdict(t, other); got != "again" {
		t.Errorf("without a lease, a live key is %s", got)
	}
}
