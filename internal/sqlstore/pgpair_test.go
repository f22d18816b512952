package sqlstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"latchkey/internal/apikey"
	"latchkey/internal/fault"
	"latchkey/internal/fleet"
	"latchkey/internal/sqlstore/pgtest"
	"latchkey/internal/user"
)

func insertKey(ctx context.Context, db *DB, id string) error {
	return db.InsertAPIKey(ctx, apikey.Key{ID: id, Type: apikey.REST, Metadata: []byte(`{}`), Owner: apikey.Owner{Metadata: []byte(`{}`)}})
}

// whenWaiting ends the waiting of the one commit, or the one statement, that waits for a standby.
func whenWaiting(t *testing.T, s *pgtest.Server, end func() (int, error)) {
	t.Helper()
	for queryOne(t, s, `SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'`) != "1" {
	}
	if n, err := end(); n != 1 || err != nil {
		t.Errorf("%d waits were ended (%v), want 1", n, err)
	}
}

// noCancel sees to it that nothing was cancelled through a connection that may be lost.
func noCancel(t *testing.T, r *relay, k conn) {
	t.Helper()
	if pg := k.(*pgConn).pg; pg != nil && pg.IsClosed() {
		<-pg.CleanupDone() // by then the driver would have asked for it, and the server has answered after all
	}
	if n := r.cancels.Load(); n != 0 {
		t.Errorf("%d cancels were asked for", n)
	}
}

// A commit that is on one server alone is not known to count: whoever waited for
// the standby in vain is told so, and nobody is told that something is revoked.
func TestACommitThatWaitedInVainForAStandby(t *testing.T) {
	p := pgtest.StartPair(t, true)
	r, through := newRelay(t, p.Primary.URL(nil))
	db := openPostgresTest(t, through)
	end := func(ctx context.Context, id string, told func([]string)) (apikey.Invalidated, error) {
		return db.InvalidateAPIKeys(ctx, apikey.Selector{IDs: []string{id}}, false, time.UnixMilli(1), told)
	}
	acts := map[string]struct {
		do   func(ctx context.Context, id string) error
		done func(id string) bool // by a repetition, which waits for a commit that still waits
	}{
		"an invalidation": {func(ctx context.Context, id string) error {
			_, err := end(ctx, id, func([]string) { t.Error("a key was reported as invalidated that is so on one server alone") })
			return err
		}, func(id string) bool {
			again, err := end(t.Context(), id, func([]string) {})
			return err == nil && slices.Equal(again.Before, []string{id})
		}},
		"a creation": {func(ctx context.Context, id string) error { return insertKey(ctx, db, id+"-new") },
			func(id string) bool { return fault.KindOf(insertKey(t.Context(), db, id+"-new")) == fault.Conflict }},
	}
	for _, how := range []struct {
		name string
		end  func() (int, error)
	}{
		{"cancelled", p.Primary.CancelCommits},
		{"terminated", p.Primary.TerminateCommits},
		{"given up since the connection was lost", func() (int, error) { r.cut(); return 1, nil }},
	} {
		for _, what := range slices.Sorted(maps.Keys(acts)) {
			t.Run(what+" is "+how.name, func(t *testing.T) {
				id, act := rand.Text(), acts[what]
				if err := insertKey(t.Context(), db, id); err != nil {
					t.Fatal(err)
				}
				if err := p.Cut(); err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- act.do(ctx, id) }()
				whenWaiting(t, p.Primary, func() (int, error) {
					cancel() // whoever gives up has begun something: the commit goes on
					return how.end()
				})
				wantKinds(t, []error{<-done}, "unknown")
				if err := p.Connect(); err != nil {
					t.Fatal(err)
				}
				noCancel(t, r, db.tx.conn)
				if !act.done(id) {
					t.Error("a repetition does not find it done")
				}
			})
		}
	}
}

// A lease that is not on the standby is none: neither is anything else that the
// nodes tell each other.
func TestRowsOfNodesWaitForTheStandby(t *testing.T) {
	p := pgtest.StartPair(t, true)
	r, through := newRelay(t, p.Primary.URL(nil))
	s := openPostgresTest(t, through).Fleet()
	head, err := s.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		do   func(ctx context.Context, id string) error
	}{
		{"a renewal", func(ctx context.Context, id string) error { return noResult(s.Renew(ctx, id, head)) }},
		{"a fence", func(ctx context.Context, id string) error { return noResult(s.Fence(ctx, id, 0)) }},
		{"a row", func(ctx context.Context, id string) error { return s.Join(ctx, fleet.Member{ID: id + "-new"}, id) }},
	} {
		for _, how := range []struct {
			name string
			end  func(cancel func()) (int, error)
		}{
			{"cancelled", func(func()) (int, error) { return p.Primary.CancelCommits() }},
			{"given up", func(cancel func()) (int, error) { cancel(); return 1, nil }},
		} {
			t.Run(tt.name+" is "+how.name, func(t *testing.T) {
				id := rand.Text()
				if err := errors.Join(s.Join(t.Context(), fleet.Member{ID: id}, ""), p.Cut()); err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				done := make(chan error, 1)
				go func() { done <- tt.do(ctx, id) }()
				whenWaiting(t, p.Primary, func() (int, error) { return how.end(cancel) })
				if err := <-done; err == nil {
					t.Error("it succeeded without the standby")
				}
				if err := p.Connect(); err != nil {
					t.Fatal(err)
				}
				for range fleetConns {
					k, err := s.conns.take(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					defer s.conns.put(k)
					noCancel(t, r, k)
				}
			})
		}
	}
}

// Whatever befalls the servers while keys are made and ended: what was acknowledged
// is there in the end, and what was surely not done is not.
func TestWhatWasAcknowledgedOutlivesItsServer(t *testing.T) {
	restart := func(s *pgtest.Server) error { s.Kill(); return s.Run() }
	for _, tt := range []struct {
		name   string
		strike func(p *pgtest.Pair) error
	}{
		{"the primary crashes and comes back", func(p *pgtest.Pair) error { return restart(p.Primary) }},
		{"the standby crashes and comes back", func(p *pgtest.Pair) error { return restart(p.Standby) }},
		{"the standby takes over from a primary that has crashed", func(p *pgtest.Pair) error { p.Primary.Kill(); return p.Promote() }},
		{"the standby takes over from a primary that works on", func(p *pgtest.Pair) error {
			err := p.Promote() // what the primary commits from now on is not acknowledged
			p.Primary.Kill()
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := pgtest.StartPair(t, true)
			db := openPostgresTest(t, p.URL(nil))
			var mu sync.Mutex
			made, ended := map[string]string{}, map[string]string{} // outcomes, by id
			var acknowledged atomic.Int32
			stop := make(chan struct{})
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
						}
						id := rand.Text()
						was, then := outcome(insertKey(context.Background(), db, id)), ""
						if was == "done" {
							_, err := db.InvalidateAPIKeys(context.Background(), apikey.Selector{IDs: []string{id}}, false, time.UnixMilli(1), func([]string) {})
							if then = outcome(err); then == "done" {
								acknowledged.Add(1)
							}
						}
						mu.Lock()
						made[id], ended[id] = was, then
						mu.Unlock()
					}
				})
			}
			more := func() {
				for want := acknowledged.Load() + 100; acknowledged.Load() < want; {
					time.Sleep(time.Millisecond)
				}
			}
			more()
			if err := tt.strike(p); err != nil {
				t.Error(err)
			}
			more()
			close(stop)
			all.Wait()
			for id, was := range made {
				k, err := db.APIKey(t.Context(), id)
				there, gone, then := err == nil, !k.InvalidatedAt.IsZero(), ended[id]
				if was == "done" && !there || was == "unavailable" && there || then == "done" && !gone || then == "unavailable" && gone {
					t.Errorf("key %s was made with the outcome %q and ended with the outcome %q; it is there: %t, and ended: %t (%v)", id, was, then, there, gone, err)
				}
			}
		})
	}
}

// A standby that is behind and takes over has lost what a node has told everybody.
func TestAFailoverThatLosesARevision(t *testing.T) {
	for _, tt := range []struct {
		name    string
		instead bool
	}{{"and has none in its place", false}, {"and soon has another one in its place", true}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := pgtest.StartPair(t, false)
			db := openPostgresTest(t, p.URL(nil))
			var flushes atomic.Int32
			n := follow(t, db, func() { flushes.Add(1) })
			put := func(db *DB, name string) {
				t.Helper()
				if _, err := db.PutUser(t.Context(), user.User{Username: name, Enabled: true}, "hash"); err != nil {
					t.Fatal(err)
				}
			}
			put(db, "kept")
			if err := errors.Join(p.CatchUp(), p.Cut()); err != nil {
				t.Fatal(err)
			}
			put(db, "lost")
			lost, before := n.Seen(), flushes.Load()
			p.Primary.Kill()
			if err := p.Promote(); err != nil {
				t.Fatal(err)
			}
			if tt.instead {
				put(openPostgresTest(t, p.Standby.URL(nil)), "instead")
			}
			for n.ReadIndex(t.Context()) != nil { // the first times it finds out what has happened
			}
			head, err := db.Fleet().Head(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			counted, _ := n.Metrics()
			if got := n.Seen(); counted.Forks != 1 || flushes.Load() == before || got != head || got == lost {
				t.Errorf("%d forks were counted and the memory was emptied %d times; the node is at %v, the store at %v, and %v is lost", counted.Forks, flushes.Load()-before, got, head, lost)
			}
			if _, err := db.User(t.Context(), "lost"); fault.KindOf(err) != fault.NotFound {
				t.Errorf("the lost user: %v", err)
			}
			if _, err := db.User(t.Context(), "kept"); err != nil {
				t.Error(err)
			}
		})
	}
}

// A primary that does not notice that the standby has taken over can give no lease:
// its renewals wait for the standby.
func TestANodeAtADeposedPrimaryHasNoLease(t *testing.T) {
	p := pgtest.StartPair(t, true)
	db := openPostgresTest(t, p.URL(nil))
	n := followFor(t, db, time.Second, func() {})
	if err := p.Promote(); err != nil {
		t.Fatal(err)
	}
	for n.Lease().Check() == nil {
		time.Sleep(time.Millisecond)
	}
	if err := n.ReadIndex(t.Context()); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("what was revoked is known at a deposed primary: %v", err)
	}
	// Whose keys were made elsewhere since must not hear that there are none.
	for _, n := range []int{1, fewIDs + 1} {
		ids := make([]string, n)
		for i := range ids {
			ids[i] = fmt.Sprint("made-elsewhere-", i)
		}
		soon, cancel := context.WithTimeout(t.Context(), time.Second)
		if _, err := db.InvalidateAPIKeys(soon, apikey.Selector{IDs: ids}, false, time.UnixMilli(1), func([]string) {}); err == nil {
			t.Errorf("the invalidation of %d keys that a deposed primary does not know was confirmed", n)
		}
		cancel()
	}
	if _, err := openPostgresTest(t, p.Standby.URL(nil)).PutUser(t.Context(), user.User{Username: "u"}, "hash"); err != nil {
		t.Fatal(err)
	}
	p.Primary.Kill()
	for n.ReadIndex(t.Context()) != nil { // the node finds the new primary
	}
	if counted, _ := n.Metrics(); counted.Forks != 0 || n.Seen().Rev != 1 {
		t.Errorf("at the new primary, which has the same history, the node counts %d forks and is at revision %d", counted.Forks, n.Seen().Rev)
	}
}
