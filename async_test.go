package latchkey_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"latchkey"
)

const nothingInvalidated = `{"invalidated_api_keys":[],"previously_invalidated_api_keys":[],"error_count":0}`

// sides counts the calls of a listener.
type sides struct{ responses, failures atomic.Int32 }

type pending = latchkey.Pending[latchkey.InvalidateAPIKeysResponse]

func (s *sides) listener() latchkey.Listener[latchkey.InvalidateAPIKeysResponse] {
	return latchkey.Listener[latchkey.InvalidateAPIKeysResponse]{
		OnResponse: func(latchkey.InvalidateAPIKeysResponse) { s.responses.Add(1) },
		OnFailure:  func(error) { s.failures.Add(1) },
	}
}

func TestAsyncReturnsAtOnceAndCallsOneSide(t *testing.T) {
	answers := make(chan *http.Response)
	client := newFake(t, func(r *http.Request) (*http.Response, error) {
		select {
		case a := <-answers:
			return a, nil
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	})
	tests := []struct {
		name                string
		end                 func(*pending, context.CancelFunc)
		responses, failures int32
		form                string
	}{
		{"the answer comes", func(*pending, context.CancelFunc) { answers <- answering(200, nothingInvalidated) }, 1, 0, ""},
		{"the server refuses", func(*pending, context.CancelFunc) { answers <- answering(403, `{"error":"no"}`) }, 0, 1, "Error"},
		{"the handle is cancelled", func(i *pending, _ context.CancelFunc) { i.Cancel() }, 0, 1, "InterruptedError"},
		{"the context is cancelled", func(_ *pending, cancel context.CancelFunc) { cancel() }, 0, 1, "InterruptedError"},
		{"both are, and again", func(i *pending, cancel context.CancelFunc) { i.Cancel(); cancel(); i.Cancel() }, 0, 1, "InterruptedError"},
		{"it is cancelled after the answer", func(i *pending, _ context.CancelFunc) {
			answers <- answering(200, nothingInvalidated)
			<-i.Done()
			i.Cancel()
		}, 1, 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var told sides
			i := client.InvalidateAPIKeysAsync(ctx, latchkey.Owned(), told.listener())
			select {
			case <-i.Done():
				t.Fatal("it was done before there was an answer")
			default:
			}
			tt.end(i, cancel)
			_, err := i.Wait()
			if got := form(err); got != tt.form {
				t.Errorf("got %s (%v), want %s", got, err, tt.form)
			}
			i.Cancel()
			if r, f := told.responses.Load(), told.failures.Load(); r != tt.responses || f != tt.failures {
				t.Errorf("the sides were called %d and %d times, want %d and %d", r, f, tt.responses, tt.failures)
			}
		})
	}
}

// Answers, cancellations and deadlines race; each call ends on one side, once.
func TestAsyncCallsExactlyOneSideUnderRaces(t *testing.T) {
	client := newFake(t, func(r *http.Request) (*http.Response, error) {
		select {
		case <-time.After(rand.N(200 * time.Microsecond)):
		case <-r.Context().Done():
			if rand.IntN(2) == 0 { // some transports notice late
				return nil, r.Context().Err()
			}
		}
		if rand.IntN(4) == 0 {
			return answering(400, `{"error":"no"}`), nil
		}
		return answering(200, nothingInvalidated), nil
	})
	const calls = 2000
	var told [calls]sides
	var all sync.WaitGroup
	for n := range calls {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), rand.N(400*time.Microsecond))
			defer cancel()
			i := client.InvalidateAPIKeysAsync(ctx, latchkey.Owned(), told[n].listener())
			var cancels sync.WaitGroup
			for range 3 {
				cancels.Go(func() { time.Sleep(rand.N(200 * time.Microsecond)); i.Cancel() })
			}
			_, err := i.Wait()
			if failed := told[n].failures.Load() == 1; failed != (err != nil) {
				t.Errorf("Wait returned %v, and the failure side was called: %v", err, failed)
			}
			cancels.Wait()
		})
	}
	all.Wait()
	responses := 0
	for n := range told {
		r, f := told[n].responses.Load(), told[n].failures.Load()
		if r+f != 1 {
			t.Errorf("call %d: the sides were called %d and %d times", n, r, f)
		}
		responses += int(r)
	}
	t.Logf("%d of %d calls got their answer", responses, calls)
}

func TestAsyncWhoseSideLeavesTheGoroutine(t *testing.T) {
	client := newFake(t, always(200, nothingInvalidated))
	failures := 0
	i := client.InvalidateAPIKeysAsync(t.Context(), latchkey.Owned(), latchkey.Listener[latchkey.InvalidateAPIKeysResponse]{
		OnResponse: func(latchkey.InvalidateAPIKeysResponse) { runtime.Goexit() }, // as t.FailNow does
		OnFailure:  func(error) { failures++ },
	})
	if _, err := i.Wait(); err != nil || failures != 0 {
		t.Errorf("Wait = %v and %d calls of the failure side, want nil and none", err, failures)
	}
}

// A panic ends the program, so it is another one that panics here.
func TestAsyncWhoseSidePanics(t *testing.T) {
	if os.Getenv("LATCHKEY_TEST_PANICS") != "" {
		client := newFake(t, always(200, nothingInvalidated))
		i := client.InvalidateAPIKeysAsync(t.Context(), latchkey.Owned(), latchkey.Listener[latchkey.InvalidateAPIKeysResponse]{
			OnResponse: func(latchkey.InvalidateAPIKeysResponse) { panic("the response side panicked") },
			OnFailure:  func(error) { fmt.Fprintln(os.Stderr, "the failure side was called") },
		})
		<-i.Done()
		time.Sleep(time.Minute) // the panic is on its way
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAsyncWhoseSidePanics$")
	cmd.Env = append(os.Environ(), "LATCHKEY_TEST_PANICS=1")
	out, err := cmd.CombinedOutput()
	if _, ended := errors.AsType[*exec.ExitError](err); !ended || !strings.Contains(string(out), "panic: the response side panicked") ||
		strings.Contains(string(out), "the failure side") {
		t.Errorf("got %v, want the panic alone:\n%s", err, out)
	}
}

// Nothing is left running: synctest fails if a goroutine outlives the handle.
func TestAsyncLeavesNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := newFake(t, always(503, `{"error":"later"}`))
		var told sides
		i := client.InvalidateAPIKeysAsync(t.Context(), latchkey.Owned(), told.listener())
		synctest.Wait() // it waits for its first repetition
		i.Cancel()
		if _, err := i.Wait(); !errors.Is(err, context.Canceled) || told.failures.Load() != 1 {
			t.Errorf("got %v and %d calls of the failure side", err, told.failures.Load())
		}
	})
}
