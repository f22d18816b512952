package fleet

import (
	"context"
	"fmt"
	"slices"
	"time"

	"latchkey/internal/fault"
)

// Exit is why an answer was let past the barrier.
type Exit string

const (
	Acknowledged Exit = "acks"  // every node has applied the revision
	Fenced       Exit = "fence" // every node has, but for some that hold no lease and get none
	Expired      Exit = "time"  // every lease from before the commit is over
)

// barrier is what the settler goes by.
type barrier struct {
	waiters []*waiter
	wanted  int64    // the highest revision that peers should be pushed
	upTo    int64    // rows were read when the log held this node's history up to here
	rows    []Member // other nodes
	peers   map[string]*peer
	sights  map[string]sight
	lookAt  time.Duration // when to read the rows again
	pause   time.Duration // between the last look and that
}

// sight is when a renewal was first known to have been made.
type sight struct {
	seq int64
	at  time.Duration
}

// reset forgets what was found out about other nodes, and leaves the waiters.
func (b *barrier) reset() {
	*b = barrier{waiters: b.waiters, peers: map[string]*peer{}, sights: map[string]sight{}}
}

// waiter is somebody who waits for the fleet.
type waiter struct {
	mark   Mark
	since  time.Duration
	most   time.Duration // after which no lease is left that could be ignorant of the record
	fenced bool          // somebody was fenced meanwhile
	done   chan struct{}
	err    error // read after done was closed
}

func (n *Node) newWaiter(m Mark) *waiter {
	return &waiter{mark: m, since: n.clock.Now(), done: make(chan struct{})}
}

func (w *waiter) finish(err error) {
	w.err = err
	close(w.done)
}

func (n *Node) wait(ctx context.Context, w *waiter) error {
	for {
		select {
		case <-w.done:
			return w.err
		default:
		}
		if err := n.clock.Wait(ctx, forever, w.done); err != nil {
			return fault.Wrap(err, fault.Unavailable, "other nodes could not be reached in time; repeat the request")
		}
	}
}

// Barrier returns once no node can accept from memory what the given record has
// ended. The record was committed by this process, which has learnt so before the
// call. An error says that the change is made and nobody knows whether all nodes
// keep to it, fault.Unknown; a repetition does no harm.
func (n *Node) Barrier(ctx context.Context, m Mark) error { return n.pass(ctx, m, false) }

// Repeat is [Node.Barrier] for a call that finds its work done, by a change that
// it has read and that is no newer than the given record: whoever made it may have
// died before the end of its own wait. What was read may also be something that
// the store loses, or has lost and still shows: then it is fault.Unavailable.
func (n *Node) Repeat(ctx context.Context, m Mark) error {
	if err := n.ReadIndex(ctx); err != nil { // a write: once it is safe, so is what is part of the same history
		return err
	}
	return n.pass(ctx, m, true)
}

// pass waits at the barrier. A record that was only read has to be part of this
// node's history.
func (n *Node) pass(ctx context.Context, m Mark, read bool) error {
	w := n.newWaiter(m)
	n.mu.Lock()
	switch {
	case n.stopped:
		n.mu.Unlock()
		return pending(m, "this node is stopping")
	case read && !n.history.has(m):
		n.mu.Unlock()
		return unknowable(errForked)
	}
	b := &n.barrier
	w.most = n.patience(n.longest)
	b.waiters = append(b.waiters, w)
	b.wanted = max(b.wanted, m.Rev)
	n.lookNow()
	n.mu.Unlock()
	wake(n.settle)
	if err := n.wait(ctx, w); err != nil {
		n.mu.Lock()
		defer n.mu.Unlock()
		b.waiters = slices.DeleteFunc(b.waiters, func(o *waiter) bool { return o == w })
		select {
		case <-w.done:
			return w.err // it was let go at the last moment
		default:
			return pending(m, "other nodes could not be reached in time")
		}
	}
	return nil
}

func pending(m Mark, why string) error {
	return fault.New(fault.Unknown, "the change was made as revision [%d], and is not known to be in force on all nodes: %s; repeat the request", m.Rev, why)
}

// dismiss sends everybody at the barrier away.
func (n *Node) dismiss(why string) {
	for _, w := range n.barrier.waiters {
		w.finish(pending(w.mark, why))
	}
	n.barrier.waiters = nil
	n.barrier.reset()
}

// settling serves all who wait at the barrier.
func (n *Node) settling(ctx context.Context) {
	for ctx.Err() == nil {
		n.push()
		_ = n.clock.Wait(ctx, n.release(), n.settle) // the loop sees the end of ctx
	}
}

// looking reads the rows for as long as somebody waits. It is apart from settling,
// since the store may be slow to answer while a wait comes to its end.
func (n *Node) looking(ctx context.Context) {
	for ctx.Err() == nil {
		wait := n.nextLook()
		if wait <= 0 {
			n.look(ctx)
			wake(n.settle)
			continue
		}
		_ = n.clock.Wait(ctx, wait, n.glance) // the loop sees the end of ctx
	}
}

// Rows are read again after pauses that double from the first of these to the second.
const (
	minPause = 5 * time.Millisecond
	maxPause = 200 * time.Millisecond
)

// nextLook returns how long it is until the rows should be read; if they should
// be now, it says when they should be next.
func (n *Node) nextLook() time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	b := &n.barrier
	if len(b.waiters) == 0 {
		return forever
	}
	now := n.clock.Now()
	if now < b.lookAt {
		return b.lookAt - now
	}
	b.pause = max(minPause, min(2*b.pause, maxPause))
	b.lookAt = now + b.pause
	return 0
}

// lookNow has the rows read at once, for what has just come about.
func (n *Node) lookNow() {
	n.barrier.lookAt, n.barrier.pause = 0, 0
	wake(n.glance)
}

// patience is how long after a moment on this node's clock a node which had asked
// for a lease before that moment may still accept from memory, for the given time
// on its own clock.
func (n *Node) patience(span time.Duration) time.Duration {
	stretched := float64(span) * (1 + n.o.Drift) / (1 - n.o.Drift)
	return time.Duration(stretched) + n.o.Pause
}

// release lets go those who may, and returns how long it is until somebody else
// may by the passing of time alone.
func (n *Node) release() time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	b := &n.barrier
	now := n.clock.Now()
	all, next := b.reached(), forever
	b.waiters = slices.DeleteFunc(b.waiters, func(w *waiter) bool {
		var by Exit
		waited := now - w.since
		switch {
		case n.history.has(w.mark) && w.mark.Rev <= all && !w.fenced:
			by = Acknowledged
		case n.history.has(w.mark) && w.mark.Rev <= all:
			by = Fenced
		case waited >= w.most: // needs no store: who asked for a lease before the commit has none now
			by = Expired
		default:
			next = min(next, w.most-waited)
			return false
		}
		w.finish(nil)
		if n.o.Settled != nil {
			n.o.Settled(by, waited)
		}
		return true
	})
	return next
}

// reached returns the revision that every row is known to be at, which is no
// higher than that at which the rows were read: somebody may have joined since.
func (b *barrier) reached() int64 {
	all := b.upTo
	for _, row := range b.rows {
		all = min(all, b.acked(row))
	}
	return all
}

func (b *barrier) acked(row Member) int64 {
	if p := b.peers[row.ID]; p != nil {
		return max(row.Acked, p.acked)
	}
	return row.Acked
}

// look reads the rows, and fences those that have had no lease for long enough.
func (n *Node) look(ctx context.Context) {
	n.mu.Lock()
	var m Mark // the newest that anybody waits for and that is part of this node's history
	for _, w := range n.barrier.waiters {
		if w.mark.Rev >= m.Rev && n.history.has(w.mark) {
			m = w.mark
		}
	}
	n.mu.Unlock()
	if m.UID == "" {
		wake(n.hurry) // nobody can be let go before the log was read
		return
	}
	all, err := n.store.Members(ctx, m)
	if err != nil {
		n.report("the rows of the fleet were not read", err)
		return
	}
	if !all.Holds { // a deposed primary, or another history
		wake(n.hurry)
		return
	}
	for _, row := range n.observe(m, all.Members) {
		gone, err := n.store.Fence(ctx, row.ID, row.Seq)
		if err != nil {
			n.report("a node was not fenced", err)
			return
		}
		if gone {
			n.strike(row)
			n.report("another node was shut out: nothing waits for it any more", fmt.Errorf("node [%s] has not renewed its lease", row.Name))
		}
	}
}

// observe notes the rows, which were read when the log held m, and returns those
// to fence: a node that is behind, and whose last renewal is too long ago.
func (n *Node) observe(m Mark, rows []Member) (late []Member) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.history.has(m) {
		return nil // the history has forked while the rows were read
	}
	b := &n.barrier
	now := n.clock.Now() // after the answer: the renewals that it shows began before
	sights, peers := map[string]sight{}, map[string]*peer{}
	b.rows, b.upTo = nil, m.Rev
	for _, row := range rows {
		if row.ID == n.stay.id {
			continue
		}
		b.rows = append(b.rows, row)
		p := b.peers[row.ID]
		if p == nil {
			p = &peer{}
		}
		p.failed = false
		peers[row.ID] = p
		s, known := b.sights[row.ID]
		if !known || s.seq != row.Seq {
			s = sight{row.Seq, now}
		}
		sights[row.ID] = s
		if b.acked(row) < m.Rev && now >= s.at+n.patience(row.Span) {
			late = append(late, row)
		}
	}
	b.sights, b.peers = sights, peers
	return late
}

// strike drops the row of a node that was fenced.
func (n *Node) strike(fenced Member) {
	n.mu.Lock()
	defer n.mu.Unlock()
	b := &n.barrier
	b.rows = slices.DeleteFunc(b.rows, func(row Member) bool { return row.ID == fenced.ID })
	for _, w := range b.waiters {
		w.fenced = true
	}
	n.counters.Fences++
}
