package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"latchkey/internal/cache"
	"latchkey/internal/fault"
)

// member is a node with a room, in a fleet of one process.
type member struct {
	*Node
	store   *memoryStore
	keys    *cache.Cache[struct{}]
	flushes atomic.Int64
	exits   chan Exit
	reports chan string
	stop    func() error
}

// bubble is a fleet inside of a synctest bubble.
type bubble struct {
	t     *testing.T
	store *memoryStore
	wires *wires
	ids   atomic.Int64
}

func newBubble(t *testing.T) *bubble {
	return &bubble{t, newMemoryStore(), &wires{nodes: map[string]*Node{}}, atomic.Int64{}}
}

func (b *bubble) start(name string) *member {
	m := &member{store: b.store, exits: make(chan Exit, 1000), reports: make(chan string, 1000)}
	m.keys = cache.New[struct{}](cache.Options{Max: 1000, TTL: time.Hour, Now: time.Now})
	m.Node = New(b.store, b.wires, bubbleClock{time.Now().Add(-time.Hour)}, Options{
		Name: name, Addr: name, Length: leaseLength, Drift: drift, Pause: pauseLength,
		NewID: func() string { return fmt.Sprintf("%s-%d", name, b.ids.Add(1)) },
		Apply: map[string]func([]byte) error{keyKind: func(body []byte) error {
			ids, err := DecodeIDs(body)
			m.keys.Kill(ids...)
			return err
		}},
		Flush:   func() { m.flushes.Add(1); m.keys.Flush() },
		Settled: func(by Exit, _ time.Duration) { m.exits <- by },
		Report:  func(event string, _ int64, err error) { m.reports <- fmt.Sprint(event, ": ", err) },
	})
	b.wires.connect(name, m.Node)
	ctx, cancel := context.WithCancel(b.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	m.stop = func() error {
		cancel()
		return <-ended
	}
	synctest.Wait()
	return m
}

// reported wants that the operator was told these things, each once, and no others.
func (m *member) reported(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for len(m.reports) > 0 {
		got = append(got, <-m.reports)
	}
	if !slices.EqualFunc(got, want, strings.Contains) {
		t.Errorf("reported %q, want %q", got, want)
	}
}

// accepts tells whether the room accepts a key.
func (m *member) accepts(key string) bool {
	for range 3 {
		e := m.keys.Get(key)
		if e == nil {
			var err error
			e, err = m.keys.Fill(context.Background(), key, func(context.Context, string) (v struct{}, err error) {
				seen, dead := m.Seen(), false
				err = m.store.do(func(d *database) { dead = d.revoked[key] != 0 || !d.holds(seen) })
				if dead {
					err = errRevoked
				}
				return v, err
			})
			if err != nil {
				return false
			}
		}
		if m.Lease().Check() != nil {
			return false
		}
		if !m.keys.Dead(e) {
			return true
		}
	}
	return false
}

func (m *member) revoke(ctx context.Context, keys ...string) error {
	r, done, err := m.store.revoke(keys...)
	switch {
	case err != nil:
		return err
	case !done:
		return m.Repeat(ctx, r.Mark)
	}
	m.Committed(r)
	return m.Barrier(ctx, r.Mark)
}

func inBubble(t *testing.T, do func(t *testing.T, b *bubble)) {
	synctest.Test(t, func(t *testing.T) { do(t, newBubble(t)) })
}

func wantKind(t *testing.T, what string, err error, want fault.Kind) {
	t.Helper()
	if err == nil || fault.KindOf(err) != want {
		t.Errorf("%s: %v, want an error of kind %d", what, err, want)
	}
}

func TestARevocationReachesAllNodes(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		nodes := []*member{b.start("a"), b.start("b"), b.start("c")}
		for i, m := range nodes {
			if !m.accepts("k") {
				t.Fatalf("node %d refuses a key that is alive", i)
			}
		}
		began := time.Now()
		if err := nodes[0].revoke(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		for i, m := range nodes {
			if m.accepts("k") {
				t.Errorf("node %d accepts a revoked key", i)
			}
		}
		if by := <-nodes[0].exits; by != Acknowledged || time.Since(began) > 0 {
			t.Errorf("%s after %v, want %s at once", by, time.Since(began), Acknowledged)
		}
		if err := nodes[1].revoke(t.Context(), "k"); err != nil {
			t.Errorf("revoked again: %v", err)
		}
		for i, m := range nodes {
			if err := m.stop(); err != nil {
				t.Errorf("stop node %d: %v", i, err)
			}
			if m.accepts("other") {
				t.Errorf("node %d accepts a key after it has left", i)
			}
			wantKind(t, "an answer of a node that has stopped", m.Barrier(t.Context(), Mark{1, "uid-1"}), fault.Unknown)
			wantKind(t, "a strict request of a node that has stopped", m.ReadIndex(t.Context()), fault.Unavailable)
		}
		if n := len(b.store.db.members); n != 0 {
			t.Errorf("%d rows are left", n)
		}
	})
}

// A node that died is waited for once.
func TestANodeThatDied(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		a := b.start("a")
		defer a.stop()
		if err := b.store.Join(t.Context(), Member{ID: "dead", Addr: "nowhere", Span: leaseLength}, ""); err != nil {
			t.Fatal(err)
		}
		for i, want := range []Exit{Expired, Fenced, Acknowledged} {
			began := time.Now()
			if err := a.revoke(t.Context(), fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
			took := time.Since(began)
			if by := <-a.exits; by != want || (took >= a.patience(leaseLength)) != (want == Expired) || took > a.patience(leaseLength)+time.Millisecond {
				t.Errorf("revocation %d: %s after %v, want %s", i, by, took, want)
			}
		}
		if c, _ := a.Metrics(); c.Fences != 1 {
			t.Errorf("%d nodes were fenced", c.Fences)
		}
		a.reported(t, "could not be told", "was shut out")
	})
}

func TestADeadlineAtTheBarrier(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		a := b.start("a")
		defer a.stop()
		if err := b.store.Join(t.Context(), Member{ID: "dead", Span: leaseLength}, ""); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		wantKind(t, "the answer", a.revoke(ctx, "k"), fault.Unknown)
		if _, g := a.Metrics(); g.Waiting != 0 {
			t.Errorf("%d still wait", g.Waiting)
		}
		if a.accepts("k") {
			t.Error("the node accepts what it has revoked")
		}
		if err := a.revoke(t.Context(), "k"); err != nil {
			t.Errorf("a repetition: %v", err)
		}
	})
}

func TestTheStoreIsAway(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		a := b.start("a")
		defer a.stop()
		if !a.accepts("k") {
			t.Fatal("a key that is alive is refused")
		}
		b.store.fail(errors.New("the cable was cut"))
		wantKind(t, "a strict request", a.ReadIndex(t.Context()), fault.Unavailable)
		time.Sleep(leaseLength / 2)
		if !a.accepts("k") {
			t.Error("refused while the lease is held")
		}
		time.Sleep(leaseLength)
		if a.accepts("k") {
			t.Error("accepted without a lease")
		}
		wantKind(t, "the lease", a.Lease().Check(), fault.Unavailable)
		b.store.fail(nil)
		time.Sleep(leaseLength / 10)
		if !a.accepts("k") {
			t.Error("refused after the store has come back")
		}
		if err := a.ReadIndex(t.Context()); err != nil {
			t.Error(err)
		}
		if c, _ := a.Metrics(); c.FailedRenewals == 0 || c.Lapsed != 2 {
			t.Errorf("counters %+v", c)
		}
		a.reported(t, "the lease was not renewed", "the lease was renewed again")
	})
}

// What a node finds when it asks for its lease.
func TestTheHistoryGoesOnElsewhere(t *testing.T) {
	tests := []struct {
		name    string
		happens func(m *member, d *database)
		forks   int64
		rejoins int64
		flushes int64 // beyond the one of the start
	}{
		{"nothing", func(*member, *database) {}, 0, 0, 0},
		{"a record", func(_ *member, d *database) { d.revoke("x", []string{"k"}) }, 0, 0, 0},
		{"its row was removed", func(m *member, d *database) { d.leave(m.stay.id) }, 0, 1, 0},
		{"its last record has another name", func(_ *member, d *database) { d.log[len(d.log)-1].UID = "x" }, 1, 0, 1},
		{"its last record was lost", func(_ *member, d *database) { d.log = d.log[:1] }, 1, 0, 1},
		{"the next record follows another one", func(_ *member, d *database) { d.insert(2, "x", "y", []string{"k"}) }, 1, 0, 1},
		{"records were trimmed", func(_ *member, d *database) {
			d.revoke("x", []string{"i"})
			d.revoke("y", []string{"k"})
			d.log = append(d.log[:2], d.log[3])
		}, 0, 0, 1},
		{"too many records", func(_ *member, d *database) {
			for i := range tooMany + 1 {
				d.revoke(fmt.Sprint(i), []string{fmt.Sprint(i)})
			}
			d.revoke("x", []string{"k"})
		}, 0, 0, 1},
		{"a record of a kind that is not known", func(_ *member, d *database) {
			d.revoke("x", []string{"k"})
			d.log[len(d.log)-1].Kind = "new"
		}, 0, 0, 1},
		{"a record that cannot be read", func(_ *member, d *database) {
			d.revoke("x", []string{"k"})
			d.log[len(d.log)-1].Body = []byte{200}
		}, 0, 0, 1},
		{"a batch that cannot be read", func(_ *member, d *database) {
			d.revoke("x", []string{"k"})
			d.log[len(d.log)-1].Kind = manyChanges
			d.log[len(d.log)-1].Body = []byte{200}
		}, 0, 0, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				a := b.start("a")
				defer a.stop()
				if err := a.revoke(t.Context(), "first"); err != nil {
					t.Fatal(err)
				}
				if !a.accepts("k") || !a.accepts("alive") {
					t.Fatal("a key that is alive is refused")
				}
				before := a.stay.id
				_ = b.store.do(func(d *database) { tt.happens(a, d) })
				time.Sleep(leaseLength / 2)
				if got, want := a.accepts("k"), b.store.db.revoked["k"] == 0; got != want {
					t.Errorf("the key is accepted: %t, want %t", got, want)
				}
				if !a.accepts("alive") {
					t.Error("a key that is alive is refused")
				}
				c, g := a.Metrics()
				if c.Forks != tt.forks || c.Rejoins != tt.rejoins || a.flushes.Load() != 1+tt.flushes {
					t.Errorf("%d forks, %d rejoins, %d flushes; want %d, %d, %d", c.Forks, c.Rejoins, a.flushes.Load(), tt.forks, tt.rejoins, 1+tt.flushes)
				}
				if g.Lag != 0 || g.LeaseLeft <= 0 || g.LeaseLeft > leaseLength {
					t.Errorf("gauges %+v", g)
				}
				if n := len(b.store.db.members); n != 1 {
					t.Errorf("%d rows, want 1", n)
				}
				if _, same := b.store.db.members[before]; same != (tt.forks+tt.rejoins == 0) {
					t.Errorf("the row is the same: %t", same) // what was acknowledged under its ID would count in another history
				}
			})
		})
	}
}

// Who is in the fleet is not asked of a store that does not know the revocation:
// somebody may have joined since.
func TestADeposedPrimaryNamesTheMembers(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		a := b.start("a")
		defer a.stop()
		_ = b.store.do(func(d *database) { b.store.old = d.clone() })
		if err := b.store.Join(t.Context(), Member{ID: "new"}, ""); err != nil {
			t.Fatal(err)
		}
		if err := a.revoke(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		if by := <-a.exits; by != Expired {
			t.Errorf("%s although nobody has heard of the new node, want %s", by, Expired)
		}
	})
}

func TestAForkSendsAwayWhoWaits(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		a := b.start("a")
		defer a.stop()
		if err := b.store.Join(t.Context(), Member{ID: "dead", Span: leaseLength}, ""); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Second, func() { _ = b.store.do(func(d *database) { d.log = d.log[:1] }) })
		began := time.Now()
		wantKind(t, "the answer", a.revoke(t.Context(), "k"), fault.Unknown)
		if took := time.Since(began); took > leaseLength/2 {
			t.Errorf("it took %v", took)
		}
	})
}

func TestAnAckOfAnotherHistoryDoesNotCount(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		a, c := b.start("a"), b.start("c")
		defer a.stop()
		defer c.stop()
		if err := a.revoke(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		for _, ack := range []struct {
			of   string
			mark Mark
			rev  int64
		}{
			{"c-2", Mark{5, "five"}, 5},   // this node does not know it any more
			{"c-2", Mark{1, "other"}, 1},  // it has another one of that number
			{"c-2", Mark{1, "uid-1"}, 2},  // nothing of that number was pushed
			{"else", Mark{1, "uid-1"}, 1}, // another process at the same address
		} {
			a.mu.Lock()
			*a.barrier.peers["c-2"] = peer{}
			a.mu.Unlock()
			a.pushed(Member{ID: "c-2"}, []Record{{Mark: ack.mark}}, Ack{Node: ack.of, Rev: ack.rev}, nil)
			a.mu.Lock()
			if p := a.barrier.peers["c-2"]; p.acked != 0 {
				t.Errorf("%+v counts as %d", ack, p.acked)
			}
			a.mu.Unlock()
		}
	})
}

func TestStatus(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		a, c := b.start("a"), b.start("c")
		defer a.stop()
		defer c.stop()
		if err := a.revoke(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		b.store.Join(t.Context(), Member{ID: "late"}, "")
		s, err := a.Status(t.Context())
		if err != nil || s.Node != "a-1" || s.Applied != (Mark{1, "uid-1"}) || s.Head != 1 || s.LeaseLeft != leaseLength || len(s.Members) != 3 {
			t.Fatalf("status %+v, %v", s, err)
		}
		for _, m := range s.Members {
			if behind := m.Lag == 1; behind != (m.ID == "late") {
				t.Errorf("%s lags by %d", m.ID, m.Lag)
			}
		}
		if m, err := a.Mark(1); err != nil || m.UID != "uid-1" {
			t.Errorf("revision 1 is %v, %v", m, err)
		}
		_, err = a.Mark(2)
		wantKind(t, "a revision that is not there", err, fault.NotFound)
		b.store.fail(errNobody)
		if _, err := a.Status(t.Context()); !errors.Is(err, errNobody) {
			t.Errorf("without the store: %v", err)
		}
		b.store.fail(nil)
	})
}

// Nodes accept and revoke at the same time, in goroutines of their own: nobody
// accepts a key in a request that began after its revocation had returned.
func TestRaceOfRequestsAndRevocations(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		nodes := []*member{b.start("a"), b.start("b"), b.start("c")}
		const keys = 60
		var over [keys]atomic.Bool
		var all, requests sync.WaitGroup
		done := make(chan struct{})
		for _, m := range nodes {
			for i := range 2 {
				requests.Go(func() {
					for n := i; ; n++ {
						select {
						case <-done:
							return
						default:
						}
						time.Sleep(time.Microsecond) // or the time of the bubble stands still
						k := n % keys
						began := over[k].Load()
						if m.accepts(fmt.Sprint(k)) && began {
							t.Errorf("key %d was accepted after its revocation had returned", k)
							return
						}
					}
				})
			}
		}
		for i, m := range nodes {
			for half := range 2 { // so that they share records and messages
				all.Go(func() {
					for k := half; k < keys; k += 2 {
						if k%len(nodes) != i && k%7 != 0 { // some are revoked by all
							continue
						}
						if err := m.revoke(t.Context(), fmt.Sprint(k)); err != nil {
							t.Error(err)
						}
						over[k].Store(true)
					}
				})
			}
		}
		all.Wait()
		close(done)
		requests.Wait()
		for _, m := range nodes {
			if err := m.stop(); err != nil {
				t.Error(err)
			}
		}
		b.wires.pushes.Wait()
	})
}
