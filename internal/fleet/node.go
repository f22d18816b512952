package fleet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"latchkey/internal/fault"
)

// Options says how a [Node] works. All that is not said to be optional is required.
type Options struct {
	Name        string // for people
	Addr        string // where peers reach this node; optional
	Predecessor string // the ID of a row that is surely nobody's any more, as that of this process before its restart; optional

	Length time.Duration // of a lease, which is also how long authentication survives without the store
	Drift  float64       // by how much a clock may run fast or slow: 0.01 for one in a hundred
	Pause  time.Duration // for how long clocks may stand still, as while a machine is moved
	Grace  time.Duration // for how long credentials are accepted after the lease has lapsed; optional, and others wait for it as for the lease

	NewID func() string // random, for rows

	// Apply holds, for each kind of change, what makes this node's memory forget.
	// It is called in the order of the log, before the node tells anybody that it
	// has the change, and must not wait for others. A kind that is not there, or
	// an error, costs the whole memory: another release may have written it.
	Apply map[string]func(body []byte) error
	Flush func() // forgets everything

	Joined  func(id string)                          // a row of this ID is about to be this node's; optional
	Settled func(by Exit, after time.Duration)       // an answer has passed the barrier; optional
	Report  func(event string, rev int64, err error) // what an operator should know, with no error when all is well again; optional
}

// Node is the part of a running node that keeps it in step with the fleet.
type Node struct {
	store Store
	peers Peers
	clock Clock
	o     Options
	lease *Lease
	seen  atomic.Pointer[Mark] // see Seen

	failing atomic.Bool // the last renewal was in vain

	hurry  chan struct{} // ends the pause of keep,
	settle chan struct{} // that of settling,
	glance chan struct{} // and that of looking
	asking chan struct{} // has room for one who asks for the status: others must not take the store's connections from the lease

	mu       sync.Mutex // guards what follows
	stay     stay
	history  history
	head     int64         // the newest revision that is known to exist
	longest  time.Duration // that any node was ever said to accept from memory after it has asked for its lease
	readers  []*waiter     // for the next renewal
	barrier  barrier
	stopped  bool
	counters Counters
}

// stay is one membership, from a join to the fence or the fork that ends it.
type stay struct {
	id       string // of the row
	joined   bool
	replaces string // the row that the join removes
	anew     bool   // memory and history start over, since another history goes on
}

// Counters counts since the start.
type Counters struct {
	Renewals, FailedRenewals int64
	Pushes, FailedPushes     int64
	Fences                   int64 // of other nodes
	Rejoins                  int64 // after having been fenced
	Forks                    int64 // of the history
	Lapsed                   int64 // times that somebody was refused for want of a lease
}

// New returns a node that is not in the fleet yet and holds no lease.
func New(store Store, peers Peers, clock Clock, o Options) *Node {
	n := &Node{
		store: store, peers: peers, clock: clock, o: o, lease: &Lease{clock: clock, grace: o.Grace},
		hurry: make(chan struct{}, 1), settle: make(chan struct{}, 1), glance: make(chan struct{}, 1), asking: make(chan struct{}, 1),
		stay:    stay{id: o.NewID(), replaces: o.Predecessor, anew: true},
		longest: o.Length + o.Grace,
	}
	n.seen.Store(&Mark{})
	n.barrier.reset()
	return n
}

// Lease returns the lease that the node keeps.
func (n *Node) Lease() *Lease { return n.lease }

// Seen returns the record that anything which is loaded from now on must have
// seen: a snapshot of the store whose log does not hold it is of a deposed
// primary, and what it says may have been revoked. Who loads takes it before the
// snapshot, and answers fault.Unavailable if the snapshot does not hold it.
func (n *Node) Seen() Mark { return *n.seen.Load() }

// Run joins the fleet, keeps the lease and lets answers pass the barrier until
// ctx ends. Then it leaves, so that nobody waits for this node: requests must
// have been drained before.
func (n *Node) Run(ctx context.Context) error {
	var loops errgroup.Group
	loops.Go(func() error { n.keep(ctx); return nil })
	loops.Go(func() error { n.settling(ctx); return nil })
	loops.Go(func() error { n.looking(ctx); return nil })
	loops.Go(func() error { n.tidy(ctx); return nil })
	_ = loops.Wait() // none of them fails
	return n.leave(context.WithoutCancel(ctx))
}

func (n *Node) leave(ctx context.Context) error {
	n.lease.end()
	n.mu.Lock()
	id := n.stay.id
	n.stopped = true
	n.dismiss("this node is stopping")
	n.mu.Unlock()
	n.answer(n.takeReaders(), errStopped)
	if err := n.store.Leave(ctx, id); err != nil {
		return fmt.Errorf("leave the fleet, which now waits once until the lease of this node is over: %w", err)
	}
	return nil
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it is awake
	}
}

// keep renews the lease four times in its length.
func (n *Node) keep(ctx context.Context) {
	for ctx.Err() == nil {
		readers := n.takeReaders()
		behind, err := n.renew(ctx)
		n.answer(readers, err)
		wait := n.o.Length / 4
		switch {
		case errors.Is(err, errFenced), errors.Is(err, errForked), err == nil && behind:
			wait = n.o.Length / 200 // to join again; or to acknowledge what came by the log and not by a push
		case err != nil:
			wait = n.o.Length / 20
		}
		_ = n.clock.Wait(ctx, wait, n.hurry) // the loop sees the end of ctx
	}
}

var (
	errStopped = errors.New("the node is stopping")
	errFenced  = errors.New("the fleet has gone on without this node")
	errForked  = errors.New("the store has lost changes that this node has seen, or has others in their place")
	errBehind  = errors.New("the store is older than what this node has seen")
)

// renew asks for a lease, applies what it covers and sets it. It joins first if
// the node has no row. behind says that there was something to apply.
func (n *Node) renew(ctx context.Context) (behind bool, err error) {
	defer func() {
		n.count(func(c *Counters) {
			if c.Renewals++; err != nil {
				c.FailedRenewals++
			}
		})
		switch was := n.failing.Swap(err != nil); {
		case err != nil && !was:
			n.report("the lease was not renewed; this is tried until it is", err)
		case err == nil && was:
			n.report("the lease was renewed again", nil)
		}
	}()
	if err := n.join(ctx); err != nil {
		return false, err
	}
	n.mu.Lock()
	id, applied := n.stay.id, n.history.last()
	n.mu.Unlock()

	sent := n.clock.Now() // before the question: a lease counts from when the store cannot have been asked yet
	r, err := n.store.Renew(ctx, id, applied)
	switch {
	case err != nil:
		return false, err
	case r.Gone:
		n.fenced()
		return false, errFenced
	case r.Forked || r.Head.Rev < applied.Rev:
		n.fork()
		return false, errForked
	}
	n.mu.Lock()
	n.longest = max(n.longest, r.Longest)
	n.mu.Unlock()
	behind, err = n.catchUp(ctx, r.Head)
	if errors.Is(err, errForked) {
		n.fork()
	}
	if err == nil {
		n.lease.extend(sent + n.o.Length) // last: whatever the lease covers is applied
	}
	return behind, err
}

// join adds the node's row, if it has none. The row alone is no lease: a renewal
// that begins after the row is there is one.
func (n *Node) join(ctx context.Context) error {
	n.mu.Lock()
	s := n.stay
	n.mu.Unlock()
	if s.joined {
		return nil
	}
	if s.anew {
		head, err := n.store.Head(ctx)
		if err != nil {
			return err
		}
		n.startAt(head)
	}
	if n.o.Joined != nil {
		n.o.Joined(s.id)
	}
	n.mu.Lock()
	row := Member{ID: s.id, Name: n.o.Name, Span: n.o.Length + n.o.Grace, Addr: n.o.Addr, Acked: n.history.last().Rev}
	n.mu.Unlock()
	if err := n.store.Join(ctx, row, s.replaces); err != nil {
		return err
	}
	n.mu.Lock()
	n.stay = stay{id: s.id, joined: true}
	n.mu.Unlock()
	return nil
}

// startAt empties the memory, as of the given record.
func (n *Node) startAt(m Mark) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.startLocked(m)
}

// skipTo is startAt for a later record of the same history: peers may have brought
// more of it meanwhile, which this node has acknowledged.
func (n *Node) skipTo(m Mark) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.history.last().Rev < m.Rev {
		n.startLocked(m)
	}
}

func (n *Node) startLocked(m Mark) {
	n.seen.Store(&m) // before the flush: what is loaded after it must be at least this new
	n.o.Flush()
	n.history.start(m)
	n.head = m.Rev
	n.dismiss("the history of changes goes on elsewhere")
}

// fenced gives up the lease of a node whose row was removed: its next renewal
// joins again, with the memory that it has.
func (n *Node) fenced() {
	n.lease.end()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stay = stay{id: n.o.NewID()}
	n.counters.Rejoins++
}

// fork gives up the lease and everything that is known, since the store's history
// is another one. What is acknowledged under the old ID counts no more.
func (n *Node) fork() {
	n.lease.end()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stay = stay{id: n.o.NewID(), replaces: n.stay.id, anew: true}
	n.dismiss("the store has lost changes, perhaps this one")
	n.counters.Forks++
}

// tooMany records behind, it is quicker to forget everything.
const (
	tooMany  = 10_000
	logBatch = 1000
)

// catchUp applies the log at least as far as head, which the store has just named.
func (n *Node) catchUp(ctx context.Context, head Mark) (behind bool, err error) {
	for {
		n.mu.Lock()
		n.head = max(n.head, head.Rev)
		at, whole, forked := n.history.last().Rev, n.history.has(head), n.history.contradicts(head)
		n.mu.Unlock()
		switch {
		case whole:
			return behind, nil
		case forked:
			return behind, errForked
		case at >= head.Rev: // by so much that head is not remembered any more
			return behind, errBehind
		case head.Rev-at > tooMany:
			n.skipTo(head)
			behind = true
			continue
		}
		records, err := n.store.Log(ctx, at, logBatch)
		if err != nil {
			return behind, err
		}
		if len(records) == 0 {
			return behind, errBehind
		}
		switch err := n.take(records); {
		case errors.Is(err, errGap):
			n.skipTo(head) // what lies between was trimmed
		case err != nil:
			return behind, err
		}
		behind = true
	}
}

// retention is how long records are kept at least, and trimPeriod how often
// somebody looks for older ones.
const (
	retention  = 24 * time.Hour
	trimPeriod = time.Hour
)

func (n *Node) tidy(ctx context.Context) {
	for n.clock.Wait(ctx, trimPeriod, nil) == nil {
		if _, err := n.store.Trim(ctx, retention); err != nil {
			n.report("old records were not removed", err)
		}
	}
}

// ReadIndex returns once this node has applied everything that was committed
// before the call. It does not rely on any clock. What it costs, a renewal, is
// shared by all who wait; being a write, no deposed primary can answer it.
func (n *Node) ReadIndex(ctx context.Context) error {
	w := n.newWaiter(Mark{})
	n.mu.Lock()
	if n.stopped {
		n.mu.Unlock()
		return unknowable(errStopped)
	}
	n.readers = append(n.readers, w)
	n.mu.Unlock()
	wake(n.hurry)
	return n.wait(ctx, w)
}

// takeReaders returns those who came before the renewal that now begins.
func (n *Node) takeReaders() []*waiter {
	n.mu.Lock()
	defer n.mu.Unlock()
	readers := n.readers
	n.readers = nil
	return readers
}

func (n *Node) answer(readers []*waiter, err error) {
	if err != nil {
		err = unknowable(err)
	}
	for _, w := range readers {
		w.finish(err)
	}
}

func unknowable(cause error) error {
	return fault.Wrap(cause, fault.Unavailable, "this node cannot find out what was revoked; repeat the request")
}

func (n *Node) report(event string, err error) {
	if n.o.Report != nil {
		n.mu.Lock()
		rev := n.history.last().Rev
		n.mu.Unlock()
		n.o.Report(event, rev, err)
	}
}

func (n *Node) count(f func(*Counters)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f(&n.counters)
}
