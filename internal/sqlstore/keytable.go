package sqlstore

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"latchkey/internal/query"
)

// keyTable has a copy of what keys are searched by in memory, from the first
// search on and until nobody has searched for an hour. It is for a store that one
// process writes to, whose writer keeps the copy true.
type keyTable struct {
	closed context.Context
	close  context.CancelFunc
	keep   sync.WaitGroup

	mu      sync.Mutex
	current *keyCopy // nil: there is none
}

// keyCopy is one copy. A change that is committed after the copy was begun waits in
// its queue before anybody is answered who was in that commit. Whoever keeps the copy
// applies it soon, in the order of the commits, or the next search does. What changes
// say is absolute, so it does not matter that those which happen during the load may
// be in what is loaded.
type keyCopy struct {
	drop context.CancelFunc
	used atomic.Int64 // when it was last searched, in nanoseconds

	queue   sync.Mutex
	changes []keyChange   // still to be applied
	more    chan struct{} // there are some

	// Who searches has one turn, and who changes the table has all of them. The writer
	// of the store never takes any, so no search holds up a write.
	turns *semaphore.Weighted
	table *query.Table // nil while it is loaded
}

// allTurns bounds how many search at once: the others wait, as long as their
// contexts let them, and leave the processors to those who authenticate.
const allTurns = 4

// keyChange is what an act does to the searchable keys.
type keyChange func(t *query.Table)

const keyTableIdle = time.Hour

func newKeyTable() *keyTable {
	k := &keyTable{}
	k.closed, k.close = context.WithCancel(context.Background())
	return k
}

// search answers from the copy. It is not ok while there is none; load is called
// to make one, in the background.
func (k *keyTable) search(ctx context.Context, r *query.Request, visible query.Node, load func(context.Context) (*query.Table, error)) (result query.Result, ok bool, err error) {
	c := k.get(load)
	if c == nil {
		return query.Result{}, false, nil
	}
	c.used.Store(time.Now().UnixNano())
	if err := c.apply(ctx); err != nil {
		return query.Result{}, true, err
	}
	if err := c.turns.Acquire(ctx, 1); err != nil {
		return query.Result{}, true, err
	}
	defer c.turns.Release(1)
	if c.table == nil {
		return query.Result{}, false, nil
	}
	result, err = c.table.Search(ctx, r, visible)
	return result, true, err
}

// get returns the copy, and begins one if there is none; nil once the store is closed.
func (k *keyTable) get(load func(context.Context) (*query.Table, error)) *keyCopy {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.current == nil && k.closed.Err() == nil {
		c := &keyCopy{more: make(chan struct{}, 1), turns: semaphore.NewWeighted(allTurns)}
		var ctx context.Context
		ctx, c.drop = context.WithCancel(k.closed)
		c.used.Store(time.Now().UnixNano())
		k.current = c // from here on it hears of changes
		k.keep.Go(func() {
			defer k.end(c)
			if t, err := load(ctx); err == nil && c.begin(ctx, t) == nil { // the next search tries again
				c.keep(ctx)
			}
		})
	}
	return k.current
}

// now returns the copy, or nil.
func (k *keyTable) now() *keyCopy {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.current
}

// end ends a copy.
func (k *keyTable) end(c *keyCopy) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c.drop()
	if k.current == c {
		k.current = nil
	}
}

// doubt ends the copy, if there is one: the outcome of a change is not known.
func (k *keyTable) doubt() {
	if c := k.now(); c != nil {
		k.end(c)
	}
}

// change has a change that is durable applied.
func (k *keyTable) change(f keyChange) {
	c := k.now()
	if c == nil {
		return
	}
	c.queue.Lock()
	c.changes = append(c.changes, f)
	c.queue.Unlock()
	select {
	case c.more <- struct{}{}:
	default:
	}
}

func (c *keyCopy) waiting() bool {
	c.queue.Lock()
	defer c.queue.Unlock()
	return len(c.changes) > 0
}

// begin makes the copy ready: t holds the keys as of some time after the copy was
// begun. No search may see it before what was committed since.
func (c *keyCopy) begin(ctx context.Context, t *query.Table) error {
	if err := c.turns.Acquire(ctx, allTurns); err != nil {
		return err
	}
	defer c.turns.Release(allTurns)
	c.table = t
	c.applyAll()
	return nil
}

// apply makes the changes that wait, unless the copy is still loaded.
func (c *keyCopy) apply(ctx context.Context) error {
	if !c.waiting() {
		return nil
	}
	if err := c.turns.Acquire(ctx, allTurns); err != nil {
		return err
	}
	defer c.turns.Release(allTurns)
	if c.table != nil {
		c.applyAll()
	}
	return nil
}

// applyAll makes the changes that wait. The caller has all turns.
func (c *keyCopy) applyAll() {
	c.queue.Lock()
	changes := c.changes
	c.changes = nil
	c.queue.Unlock()
	for _, f := range changes {
		f(c.table)
	}
}

// keep applies changes until the copy was not searched for long, or ctx ends.
func (c *keyCopy) keep(ctx context.Context) {
	timer := time.NewTimer(keyTableIdle)
	defer timer.Stop()
	for {
		if c.apply(ctx) != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-c.more:
		case <-timer.C:
			left := keyTableIdle - time.Since(time.Unix(0, c.used.Load()))
			if left <= 0 {
				return
			}
			timer.Reset(left)
		}
	}
}

// stop ends the copy for good and waits for who keeps it.
func (k *keyTable) stop() {
	k.mu.Lock()
	k.close() // under the lock, so that nobody begins another
	k.mu.Unlock()
	k.keep.Wait()
}
