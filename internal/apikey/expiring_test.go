package apikey_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"latchkey/internal/apikey"
)

// listener takes notices, or refuses them.
type listener struct {
	told    []string // names of keys
	calls   int
	refuses error
}

func (l *listener) tell(_ context.Context, keys []apikey.Key) error {
	l.calls++
	if l.refuses != nil {
		return l.refuses
	}
	for _, k := range keys {
		l.told = append(l.told, k.Name)
	}
	return nil
}

func TestWarn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := openStore(t)
		s := newService(store, func(o *apikey.Options) { o.Notice = 7 * day })
		by := caller(t, "u", "manage_own_api_key", "manage_api_key")
		lasting := func(name string, d time.Duration) apikey.Created {
			k, err := s.Create(t.Context(), by, apikey.CreateRequest{Name: name, Expiration: &d})
			if err != nil {
				t.Fatal(err)
			}
			return k
		}
		l := &listener{}
		var failures int
		run := func(d time.Duration) {
			t.Helper()
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() {
				done <- s.Warn(ctx, always, l.tell, func(_ int, err error) {
					if err != nil {
						failures++
					}
				})
			}()
			time.Sleep(d)
			synctest.Wait()
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		want := func(names ...string) {
			t.Helper()
			if !slices.Equal(l.told, names) {
				t.Errorf("told of %v; want %v", l.told, names)
			}
			l.told = nil
		}

		create(t, s, by, "for ever")
		lasting("much later", 30*day)
		later := lasting("later", 8*day)
		lasting("soon", day)
		lasting("over", 0)
		dead := lasting("dead", day)
		if _, err := s.Invalidate(t.Context(), by, apikey.InvalidateRequest{IDs: []string{dead.ID}}); err != nil {
			t.Fatal(err)
		}
		run(time.Hour)
		want("soon")
		run(time.Hour) // as after a restart
		want()
		run(day - time.Hour) // now later is soon
		want("later")
		longer := 3 * day
		if changed, err := s.Update(t.Context(), by, later.ID, apikey.UpdateRequest{Expiration: &longer}); !changed || err != nil {
			t.Fatal(changed, err)
		}
		run(time.Hour)
		want("later")

		l.refuses, l.calls = errors.New("not now"), 0
		lasting("next", day)
		run(4 * time.Hour) // after 0, 1, 3, 7, 15, 31, 63, 123, 183 minutes
		if l.calls != 9 || failures != 9 {
			t.Errorf("%d calls and %d reports of failures; want 9", l.calls, failures)
		}
		l.refuses = nil
		run(time.Minute)
		want("next")
	})
}

func TestWarnOfVeryMany(t *testing.T) {
	s := newService(openStore(t), func(o *apikey.Options) { o.Notice = 7 * day })
	by := caller(t, "u", "manage_own_api_key")
	const many = 250
	for range many {
		d := time.Hour
		if _, err := s.Create(t.Context(), by, apikey.CreateRequest{Name: "n", Expiration: &d}); err != nil {
			t.Fatal(err)
		}
	}
	l := &listener{}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var sum int
	err := s.Warn(ctx, always, l.tell, func(told int, err error) {
		sum += told
		if err != nil {
			t.Error(err)
		}
		cancel()
	})
	if err != nil || sum != many || len(l.told) != many || l.calls != 3 {
		t.Errorf("%v: told of %d in %d calls, reported %d", err, len(l.told), l.calls, sum)
	}
}

func always(context.Context) (bool, error) { return true, nil }

// Whose turn it is not tells nobody, and is not in trouble.
func TestWarnInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(openStore(t), func(o *apikey.Options) { o.Notice = 7 * day })
		d := 2 * day
		if _, err := s.Create(t.Context(), caller(t, "u", "manage_own_api_key"), apikey.CreateRequest{Name: "soon", Expiration: &d}); err != nil {
			t.Fatal(err)
		}
		var mine, away atomic.Bool
		var calls, failures atomic.Int32
		turn := func(context.Context) (bool, error) {
			if away.Load() {
				return false, errors.New("no store")
			}
			return mine.Load(), nil
		}
		tell := func(context.Context, []apikey.Key) error { calls.Add(1); return nil }
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			done <- s.Warn(ctx, turn, tell, func(_ int, err error) {
				if err != nil {
					failures.Add(1)
				}
			})
		}()
		expect := func(when string, called int32, failed bool) {
			t.Helper()
			time.Sleep(2 * time.Hour)
			synctest.Wait()
			if calls.Load() != called || failures.Load() > 0 != failed {
				t.Errorf("%s: %d calls and %d failures, want %d calls", when, calls.Load(), failures.Load(), called)
			}
		}
		expect("while it is another's turn", 0, false)
		away.Store(true)
		expect("while nobody can tell", 0, true)
		mine.Store(true)
		away.Store(false)
		expect("in turn", 1, true)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
