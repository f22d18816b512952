package fleet

import (
	"context"
	"math"
	"time"
)

// Clock measures how long things take on this node. Its times mean nothing to
// other nodes, and nothing after a restart of the machine.
type Clock interface {
	// Now returns the time since some moment in the past. It goes on while the
	// process, or the whole machine, is stopped.
	Now() time.Duration

	// Wait returns when d has passed or something can be received from wake, which
	// it then is. It fails if ctx ends first.
	Wait(ctx context.Context, d time.Duration, wake <-chan struct{}) error
}

// forever is longer than any process lives, and can still be added to.
const forever = time.Duration(math.MaxInt64 / 4)

// BootClock returns the clock of this machine.
func BootClock() Clock { return bootClock{} }

type bootClock struct{}

func (bootClock) Now() time.Duration { return sinceBoot() }

func (bootClock) Wait(ctx context.Context, d time.Duration, wake <-chan struct{}) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-wake:
	case <-t.C:
	}
	return nil
}
