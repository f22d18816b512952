package secret

import (
	"context"
	"runtime"
	"sync/atomic"

	"latchkey/internal/fault"
)

// slow runs the password hashes of the whole process: the processors are one
// resource, whoever asks. More hashes at once than processors would only make
// all of them late, and an unbounded queue would let a stranger who sends
// wrong passwords take the memory too.
var slow = newPool(runtime.GOMAXPROCS(0), waitersPerProcessor*runtime.GOMAXPROCS(0))

// waitersPerProcessor is some four seconds of bcrypt at its default cost: longer than a
// client likes to wait.
const waitersPerProcessor = 64

type pool struct {
	places  chan struct{} // held while waiting and running
	running chan struct{}
}

func newPool(running, waiting int) *pool {
	return &pool{make(chan struct{}, running+waiting), make(chan struct{}, running)}
}

// do runs f when one of the running places is free. Without a free place to
// wait in, it returns fault.Overloaded at once. A context that ends while f runs
// is not noticed: nothing can stop a hash half-way.
func (p *pool) do(ctx context.Context, f func() error) error {
	select {
	case p.places <- struct{}{}:
		defer func() { <-p.places }()
	default:
		return fault.New(fault.Overloaded, "too many passwords are being checked; try again later")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case p.running <- struct{}{}:
		defer func() { <-p.running }()
	case <-ctx.Done():
		return ctx.Err()
	}
	slowHashes.Add(1)
	return f()
}

var slowHashes atomic.Uint64

// SlowHashes returns how many slow hashes the process has computed, to make or
// to compare one.
func SlowHashes() uint64 { return slowHashes.Load() }
