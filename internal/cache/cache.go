// Package cache keeps loaded values in memory under the one rule that
// revocation needs (design: section 4 of the revocation barrier): what was
// killed is never handed out as live again, whatever loads were in flight.
//
// Who accepts a credential on the strength of an entry asks [Cache.Trust] last,
// after every slow check; an entry that died meanwhile is looked up again.
package cache

import (
	"context"
	"hash/maphash"
	"math/bits"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
)

// Entry is a value and whether it may still be trusted.
type Entry[V any] struct {
	Value V
	dead  atomic.Bool
	seen  atomic.Uint32 // the last rule that it was held against, or that came before its load
}

// Alone returns an entry that no cache holds: it does not die.
func Alone[V any](v V) *Entry[V] {
	e := &Entry[V]{Value: v}
	e.seen.Store(everyRule)
	return e
}

// Options sizes a cache.
type Options struct {
	Max int              // entries; 0 or less keeps nothing
	TTL time.Duration    // how long an entry is kept after its last use; it bounds memory, not revocation. 0 or less keeps nothing
	Now func() time.Time // the clock of TTL

	// Lease fails while this node may not trust its memory, since it does not hear
	// what other nodes revoke. nil never fails.
	Lease func() error
}

// Cache holds values by key. It is safe for concurrent use.
//
// A load that overlaps a kill of its key, or a flush, or a rule that kills what it
// loads, is returned to its own caller as a dead entry and not kept: a reader that
// fetched a key just before it was revoked would otherwise put the live copy back
// just after.
type Cache[V any] struct {
	entries *otter.Cache[string, *Entry[V]] // nil if nothing is kept
	applied atomic.Uint64                   // the last kill that every shard knows
	next    atomic.Uint64                   // the last kill that has begun
	lease   func() error                    // may be nil
	rules   rules[V]
	seed    maphash.Seed
	shards  [64]shard
	max     int

	strangers []atomic.Uint32 // hashes of keys that were not kept, see worth
	// Last, and so apart from what every reader looks at.
	hits  atomic.Uint64 // entries that Get has found
	loads atomic.Uint64 // calls of Fill
}

// shard remembers the kills that loads in flight have to respect.
type shard struct {
	mu      sync.Mutex
	loading int               // loads in flight
	tombs   map[string]uint64 // kills since the oldest of them began; empty when none is in flight
	floor   uint64            // loads that began before this kill are not kept
}

// maxTombs bounds the kills that a shard remembers one by one while a load is in flight.
const maxTombs = 1024

// New returns an empty cache.
func New[V any](o Options) *Cache[V] {
	c := &Cache[V]{seed: maphash.MakeSeed(), lease: o.Lease}
	c.rules.recent.Store(&recent[V]{})
	if o.Max <= 0 || o.TTL <= 0 {
		return c
	}
	c.max, c.strangers = o.Max, make([]atomic.Uint32, 1<<min(bits.Len(uint(o.Max-1)), 20))
	c.entries = otter.Must(&otter.Options[string, *Entry[V]]{
		MaximumSize:      o.Max,
		ExpiryCalculator: otter.ExpiryAccessing[string, *Entry[V]](o.TTL),
		Clock:            clock{o.Now},
		Executor:         func(f func()) { f() }, // its upkeep runs in its callers: no goroutine without an owner
		OnAtomicDeletion: func(e otter.DeletionEvent[string, *Entry[V]]) {
			e.Value.dead.Store(true) // a kill cannot find it any more, so nobody may go on trusting it
		},
	})
	return c
}

type clock struct{ now func() time.Time }

func (c clock) NowNano() int64                    { return c.now().UnixNano() }
func (clock) Tick(time.Duration) <-chan time.Time { return nil }

// Dead reports whether an entry was killed, flushed or pushed out. Only an
// entry that is not dead after all other checks were made may be accepted.
func (c *Cache[V]) Dead(e *Entry[V]) bool { return e.dead.Load() || c.rules.end(e) }

// Trust reports whether an entry is alive; the error of the lease if nobody can
// tell. The lease comes first: one that was renewed during a slow check is the
// promise that by now whatever had to die is dead.
func (c *Cache[V]) Trust(e *Entry[V]) (alive bool, err error) {
	if err := c.leased(); err != nil {
		return false, err
	}
	return !c.Dead(e), nil
}

func (c *Cache[V]) leased() error {
	if c.lease == nil {
		return nil
	}
	return c.lease()
}

// Peek is Get for who wants to hold on to the entry, see [Cache.TrustAgain]: it
// counts as no use.
func (c *Cache[V]) Peek(key string) *Entry[V] {
	if c.entries == nil {
		return nil
	}
	e, _ := c.entries.GetIfPresent(key)
	return e
}

// TrustAgain is Trust for who holds on to an entry, and does not ask Get for it.
func (c *Cache[V]) TrustAgain(key string, e *Entry[V]) (alive bool, err error) {
	if c.hits.Add(1)%16 == 0 {
		c.entries.GetIfPresent(key) // or it would be pushed out, as one that nobody uses
	}
	return c.Trust(e)
}

// Get returns the entry of key, or nil.
func (c *Cache[V]) Get(key string) *Entry[V] {
	if c.entries == nil {
		return nil
	}
	e, found := c.entries.GetIfPresent(key)
	if !found {
		return nil
	}
	if c.Dead(e) { // by a rule: it was not looked for
		c.drop(key, e)
		return nil
	}
	c.hits.Add(1)
	return e
}

// drop lets go of a dead entry, and not of the one that may have taken its place.
func (c *Cache[V]) drop(key string, e *Entry[V]) {
	c.entries.ComputeIfPresent(key, func(now *Entry[V]) (*Entry[V], otter.ComputeOp) {
		if now == e {
			return nil, otter.InvalidateOp
		}
		return now, otter.CancelOp
	})
}

// Stats tells how a cache is used.
type Stats struct {
	Hits, Loads uint64 // since it was made
	Entries     int    // about as many
}

// Stats returns those of now.
func (c *Cache[V]) Stats() Stats {
	s := Stats{Hits: c.hits.Load(), Loads: c.loads.Load()}
	if c.entries != nil {
		s.Entries = c.entries.EstimatedSize()
	}
	return s
}

// Judge has check look at the value of key, which is loaded unless it is there, and
// reports whether it was alive after that; the error is that of the lease or of
// load. It is Get or Fill, and Trust, but a load that it makes goes on until then:
// that the entry was pushed out meanwhile, by many others, or was not kept says
// nothing about it.
func (c *Cache[V]) Judge(ctx context.Context, key string, load func(ctx context.Context, key string) (V, error), check func(V)) (v V, alive bool, err error) {
	if e := c.Get(key); e != nil {
		check(e.Value)
		alive, err = c.Trust(e)
		return e.Value, alive, err
	}
	f := c.begin(key)
	defer f.end()
	if v, err = load(ctx, f.key); err != nil {
		return v, false, err
	}
	e := &Entry[V]{Value: v}
	if c.worth(f.hash) {
		f.keep(e) // what an older load has kept is not for us: a kill that ours began after may be on its way to it
	} else {
		e.seen.Store(f.seen)
	}
	check(v)
	if err := c.leased(); err != nil {
		return v, false, err
	}
	return v, !f.touched() && !c.rules.end(e), nil
}

// Fill loads the value of key and keeps it. If the key was killed since the
// load began, the entry is dead and the caller has to look again. Errors of
// load are returned and not kept. load is given a key of its own, which it may keep.
func (c *Cache[V]) Fill(ctx context.Context, key string, load func(ctx context.Context, key string) (V, error)) (*Entry[V], error) {
	f := c.begin(key)
	defer f.end()
	v, err := load(ctx, f.key)
	if err != nil {
		return nil, err
	}
	return f.keep(&Entry[V]{Value: v}), nil
}

// flight is a load that kills have to reach.
type flight[V any] struct {
	c     *Cache[V]
	s     *shard
	key   string
	hash  uint64 // of the key
	start uint64 // the kills that were known when it began
	seen  uint32 // the rules
}

func (c *Cache[V]) begin(key string) flight[V] {
	key = strings.Clone(key) // it may be part of a longer text, such as a credential, that must not stay in memory with it
	c.loads.Add(1)
	hash := maphash.String(c.seed, key)
	s := &c.shards[hash%uint64(len(c.shards))]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loading++
	return flight[V]{c, s, key, hash, c.applied.Load(), c.rules.recent.Load().last}
}

// worth reports whether a key is to be kept: there is room, or it was asked about not
// long ago. One of many that come once in a while would push out another, and be
// pushed out before its next use. Of keys that came while there was no room a hash is
// remembered, until another key falls in its place.
func (c *Cache[V]) worth(hash uint64) bool {
	if c.entries == nil || c.entries.EstimatedSize() < c.max {
		return true
	}
	mark := uint32(hash>>32) | 1
	return c.strangers[hash%uint64(len(c.strangers))].Swap(mark) == mark
}

// keep puts the entry of what was loaded into the cache, or declares it dead if the
// key was killed meanwhile. It returns that entry, or the one of another load that was first.
func (f *flight[V]) keep(e *Entry[V]) *Entry[V] {
	e.seen.Store(f.seen)
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	switch {
	case f.killed():
		e.dead.Store(true)
	case f.c.Dead(e): // by a flush or a rule that came meanwhile
	case f.c.entries != nil:
		if kept, ok := f.c.entries.GetIfPresent(f.key); ok && !f.c.Dead(kept) {
			return kept // another load was first, and nothing has touched the key since
		}
		f.c.entries.Set(f.key, e)
	}
	return e
}

// killed is for who holds the shard.
func (f *flight[V]) killed() bool { return f.s.tombs[f.key] > f.start || f.s.floor > f.start }

// touched reports whether the key was killed since the load began.
func (f *flight[V]) touched() bool {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	return f.killed()
}

// end is for the end of the load, also of one that failed or panicked.
func (f *flight[V]) end() {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	if f.s.loading--; f.s.loading == 0 {
		f.s.tombs, f.s.floor = nil, 0
	}
}

// Kill declares the entries of keys dead and drops them. When it returns, no
// load that began before the call is kept for them.
func (c *Cache[V]) Kill(keys ...string) {
	for len(keys) > killsAtOnce {
		c.kill(keys[:killsAtOnce])
		keys = keys[killsAtOnce:]
		runtime.Gosched() // a mass of them would keep a processor to itself
	}
	c.kill(keys)
}

// killsAtOnce bounds how long a shard that remembers no single kills takes no loads.
const killsAtOnce = 1000

func (c *Cache[V]) kill(keys []string) {
	rev := c.next.Add(1)
	for _, key := range keys {
		s := &c.shards[maphash.String(c.seed, key)%uint64(len(c.shards))]
		s.mu.Lock()
		if c.entries != nil {
			c.entries.Invalidate(key)
		}
		s.bury(key, rev)
		s.mu.Unlock()
	}
	for {
		was := c.applied.Load()
		if was >= rev || c.applied.CompareAndSwap(was, rev) {
			return
		}
	}
}

// bury remembers a kill for the loads in flight. Kills overlap, and what a later one
// has left here an earlier one that is still under way must not take back.
func (s *shard) bury(key string, rev uint64) {
	switch {
	case s.loading == 0:
	case len(s.tombs) >= maxTombs:
		for _, r := range s.tombs {
			rev = max(rev, r)
		}
		s.floor, s.tombs = max(s.floor, rev), nil
	default:
		if s.tombs == nil {
			s.tombs = make(map[string]uint64)
		}
		s.tombs[key] = max(s.tombs[key], rev)
	}
}

// Flush declares every entry dead. When it returns, no load that began before
// the call is kept.
func (c *Cache[V]) Flush() {
	c.rules.all()
	if c.entries == nil {
		return
	}
	seen := 0
	for key, e := range c.entries.All() { // for the memory
		if c.Dead(e) { // and not loaded since
			c.drop(key, e)
		}
		if seen++; seen%1000 == 0 {
			runtime.Gosched() // as in Kill
		}
	}
}

// Len returns about how many entries are held.
func (c *Cache[V]) Len() int {
	if c.entries == nil {
		return 0
	}
	return c.entries.EstimatedSize()
}
