package fleet

import (
	"math"
	"sync/atomic"
	"time"

	"latchkey/internal/fault"
)

// Lease says whether a node may trust its memory. Who accepts a credential from
// memory asks it after all slow checks, and looks after that, not before, whether
// the entry has died: a lease that was renewed during a slow check is the promise
// that whatever had to die is dead by now.
//
// It is safe for concurrent use.
type Lease struct {
	clock    Clock
	grace    time.Duration
	deadline atomic.Int64 // on the clock; 0 when there is no lease

	lapsed atomic.Int64 // refusals of Check
}

// Endless returns the lease of a node that shares its store with nobody.
func Endless() *Lease {
	l := &Lease{}
	l.deadline.Store(math.MaxInt64)
	return l
}

var errLapsed = fault.New(fault.Unavailable, "this node cannot reach the store, and so cannot know what was revoked; repeat the request")

// Check returns fault.Unavailable unless the lease is held, or has ended so
// recently that the grace which the operator allows is not over.
func (l *Lease) Check() error {
	deadline := l.deadline.Load()
	if deadline == math.MaxInt64 {
		return nil
	}
	now := l.clock.Now()
	if int64(now) < deadline {
		return nil
	}
	if deadline != 0 && int64(now-l.grace) < deadline {
		return nil
	}
	l.lapsed.Add(1)
	return errLapsed
}

// Stale reports whether what Check allows now it allows out of grace.
func (l *Lease) Stale() bool {
	if l.grace <= 0 || l.deadline.Load() == 0 {
		return false
	}
	left := l.left()
	return left <= 0 && left > -l.grace
}

// left returns how much longer the lease is held; not positive if it is not.
func (l *Lease) left() time.Duration {
	switch deadline := l.deadline.Load(); deadline {
	case math.MaxInt64:
		return forever
	case 0:
		return 0
	default:
		return time.Duration(deadline) - l.clock.Now()
	}
}

// extend is for the one goroutine that renews, after all was applied that the
// renewal covers.
func (l *Lease) extend(until time.Duration) { l.deadline.Store(int64(until)) }

func (l *Lease) end() { l.deadline.Store(0) }
