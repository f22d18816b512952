package cache

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
)

// KillWhere declares the entries dead of which rule says so. When it returns, no
// load that began before the call is kept if rule says so of what it loads; what is
// loaded from then on is not asked about.
//
// Nobody looks for these entries, so that the end of very many takes no time: each
// is held against the rule when it is next used, and stays in memory until then or
// until it is pushed out. rule is called by many goroutines, for a long time; it
// must not wait.
func (c *Cache[V]) KillWhere(rule func(v V) bool) { c.rules.add(rule) }

// rules are what masses were killed by. They are numbered without gaps.
type rules[V any] struct {
	mu     sync.Mutex // of who adds one
	recent atomic.Pointer[recent[V]]
}

// recent is the rules that are remembered. An entry that has not been held against
// one that is forgotten is dead. It does not change.
type recent[V any] struct {
	last  uint32 // the number of the newest
	rules []func(v V) bool
}

// everyRule is what an entry has been held against for which there are none.
const everyRule = math.MaxUint32

// maxRules bounds the rules that are remembered.
const maxRules = 128

func (r *rules[V]) add(rule func(v V) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	was := r.recent.Load()
	kept := slices.Clone(was.rules[max(0, len(was.rules)+1-maxRules):])
	r.recent.Store(&recent[V]{was.last + 1, append(kept, rule)})
}

// all kills everything that was there before.
func (r *rules[V]) all() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.recent.Store(&recent[V]{last: r.recent.Load().last + 1}) // so every entry is behind what is remembered
}

// end holds an entry against the rules that it has not been held against yet, and
// reports whether one of them has killed it.
func (r *rules[V]) end(e *Entry[V]) bool {
	seen := e.seen.Load() // first: of two who do this at once, one may have come further
	now := r.recent.Load()
	if seen == now.last || seen == everyRule {
		return false
	}
	unseen := int(now.last - seen)
	if unseen > len(now.rules) || slices.ContainsFunc(now.rules[len(now.rules)-unseen:], func(rule func(V) bool) bool { return rule(e.Value) }) {
		e.dead.Store(true)
		return true
	}
	e.seen.Store(now.last)
	return false
}
