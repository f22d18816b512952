package latchkey

import "context"

// Listener is told how an asynchronous call ended: one of its sides is called,
// once, on a goroutine of the call, not before the handle of the call exists, but
// possibly before it is returned. A nil side counts as called. A side that panics
// ends the program, as any goroutine that panics does; the other side is never
// called in its stead.
type Listener[R any] struct {
	OnResponse func(R)
	OnFailure  func(error)
}

// Pending is an asynchronous call that was started. Who started it owns it, and
// sees to its end with Cancel, Done and Wait.
type Pending[R any] struct {
	cancel   context.CancelFunc
	done     chan struct{}
	response R
	err      error
}

func start[R any](ctx context.Context, listener Listener[R], call func(context.Context) (R, error)) *Pending[R] {
	ctx, cancel := context.WithCancel(ctx)
	p := &Pending[R]{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(p.done) // also if a side leaves by runtime.Goexit
		defer cancel()
		p.response, p.err = call(ctx)
		switch {
		case p.err != nil:
			if listener.OnFailure != nil {
				listener.OnFailure(p.err)
			}
		case listener.OnResponse != nil:
			listener.OnResponse(p.response)
		}
	}()
	return p
}

// Cancel stops waiting for the answer and returns at once; the listener is told
// by the failure side. If the answer was there already, it has no effect. The
// server may have done what it was asked nevertheless: see Sent of
// [*InterruptedError].
func (p *Pending[R]) Cancel() { p.cancel() }

// Done is closed when the listener has been called and has returned.
func (p *Pending[R]) Done() <-chan struct{} { return p.done }

// Wait waits for Done and returns what the listener was told. A listener must not
// wait for itself.
func (p *Pending[R]) Wait() (R, error) {
	<-p.done
	return p.response, p.err
}
