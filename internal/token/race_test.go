package token_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"latchkey/internal/fault"
	"latchkey/internal/sqlstore"
	"latchkey/internal/token"
)

// gate is a store that may hold the loads of tokens: each is held after it has
// read its token, and goes on when the test says so.
type gate struct {
	*sqlstore.DB
	held atomic.Pointer[hold]
}

type hold struct {
	read chan struct{} // gets a value when a load has read its token
	goOn chan struct{} // closed when loads may return
}

func (g *gate) Token(ctx context.Context, access token.Hash) (token.Record, error) {
	r, err := g.DB.Token(ctx, access)
	if h := g.held.Load(); h != nil {
		h.read <- struct{}{}
		<-h.goOn
	}
	return r, err
}

// verdict is what Verify says of a token: accepted, refused, or "again" if it
// changed under every look. Anything else is an error of the test.
func verdict(t *testing.T, s *token.Service, access string) string {
	t.Helper()
	_, err := s.Verify(context.Background(), access)
	switch {
	case err == nil:
		return "accepted"
	case fault.KindOf(err) == fault.Unauthenticated:
		return "refused"
	case fault.KindOf(err) == fault.Unavailable:
		return "again"
	}
	t.Errorf("verify: %v", err)
	return "failed"
}

func TestALoadThatBeganBeforeAnInvalidation(t *testing.T) {
	f, c := newFixture(t), client("c")
	store := &gate{DB: f.store}
	s := f.over(store)
	tests := []struct {
		name string
		end  func(g token.Granted) error
	}{
		{"of the token", func(g token.Granted) error {
			_, err := s.Invalidate(t.Context(), c, token.InvalidateRequest{Token: g.Access})
			return err
		}},
		{"of its user in its realm", func(token.Granted) error {
			_, err := s.Invalidate(t.Context(), c, token.InvalidateRequest{Username: "u", Realm: "default_native"})
			return err
		}},
		{"of its user", func(token.Granted) error {
			_, err := s.Invalidate(t.Context(), c, token.InvalidateRequest{Username: "u"})
			return err
		}},
		{"of its realm", func(token.Granted) error {
			_, err := s.Invalidate(t.Context(), c, token.InvalidateRequest{Realm: "default_native"})
			return err
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			made := f.grant(t, c, passwordGrant("u"))
			h := &hold{read: make(chan struct{}, 64), goOn: make(chan struct{})}
			store.held.Store(h)
			const loads = 4
			var all sync.WaitGroup
			for range loads {
				all.Go(func() {
					if got := verdict(t, s, made.Access); got != "refused" {
						t.Errorf("a request whose load began before was %s; want refused: it looks again", got)
					}
				})
			}
			for range loads {
				<-h.read // it holds the token as it was before
			}
			store.held.Store(nil)
			if err := tt.end(made); err != nil {
				t.Fatal(err)
			}
			close(h.goOn)
			all.Wait()
			wantOver(t, s, made.Access)
		})
	}
}

// While some invalidate, others present the tokens without pause, from a cache
// that is too small for all of them. Whoever begins after the invalidation has
// returned must be refused.
func TestNoTokenIsAcceptedOnceItsInvalidationHasReturned(t *testing.T) {
	for _, size := range []int{0, 4, 1000} {
		t.Run(fmt.Sprintf("a cache of %d", size), func(t *testing.T) {
			f, c := newFixture(t, func(o *token.Options) { o.CacheMax = size }), client("c")
			for range 10 {
				made := make([]token.Granted, 12)
				for i := range made {
					made[i] = f.grant(t, c, passwordGrant("u"))
					f.accepted(t, made[i].Access) // warms the cache
				}
				over := make([]atomic.Bool, len(made)) // the invalidation has returned
				stop := make(chan struct{})
				var verifiers, invalidators sync.WaitGroup
				for i := range 4 {
					verifiers.Go(func() {
						for n := i; ; n++ {
							select {
							case <-stop:
								return
							default:
							}
							at := n % len(made)
							began := over[at].Load()
							if got := verdict(t, f.Service, made[at].Access); began && got == "accepted" {
								t.Error("a token was accepted by a request that began after its invalidation")
								return
							}
						}
					})
				}
				var counted atomic.Int64
				end := func(req token.InvalidateRequest, ended ...int) {
					done, err := f.Invalidate(context.Background(), c, req)
					if err != nil {
						t.Error(err)
					}
					counted.Add(int64(done.Now))
					for _, i := range ended {
						over[i].Store(true)
						if got := verdict(t, f.Service, made[i].Access); got != "refused" {
							t.Errorf("after its invalidation a token is %s", got)
						}
					}
				}
				all := make([]int, len(made))
				for i := range all {
					all[i] = i
				}
				invalidators.Go(func() {
					for i := range len(made) / 2 {
						end(token.InvalidateRequest{Token: made[i].Access}, i)
					}
				})
				for range 2 {
					invalidators.Go(func() { end(token.InvalidateRequest{Username: "u"}, all...) })
				}
				invalidators.Wait()
				close(stop)
				verifiers.Wait()
				if got := counted.Load(); got != int64(2*len(made)) {
					t.Errorf("all invalidations together count %d halves; want %d, each once", got, 2*len(made))
				}
			}
		})
	}
}

// While tokens of u are refreshed, all tokens of u are invalidated. A pair that
// was there before is off afterwards, and nothing that is off leads to a new one.
func TestRefreshesDuringAnInvalidationByUser(t *testing.T) {
	f, c := newFixture(t), client("c")
	for range 10 {
		const chains = 6
		last := make([]token.Granted, chains) // of each chain, when it was refused
		var refreshers sync.WaitGroup
		for i := range chains {
			g := f.grant(t, c, passwordGrant("u"))
			refreshers.Go(func() {
				for {
					last[i] = g
					next, err := f.Grant(context.Background(), c, refreshGrant(g.Refresh))
					if err != nil {
						wantRefusal(t, err, "invalid_grant", "token has been invalidated")
						return
					}
					verdict(t, f.Service, next.Access) // fills the cache
					g = next
				}
			})
		}
		if _, err := f.Invalidate(t.Context(), c, token.InvalidateRequest{Username: "u"}); err != nil {
			t.Fatal(err)
		}
		refreshers.Wait()
		for _, g := range last {
			wantOver(t, f.Service, g.Access)
		}
		f.invalidate(t, token.InvalidateRequest{Username: "u"}, token.Invalidated{Found: true})
	}
}

// The purge takes tokens away while they are presented: they go from refused as
// invalidated to refused as unknown, and are never accepted in between.
func TestTokensThatThePurgeTakes(t *testing.T) {
	f, c := newFixture(t), client("c")
	var gone []token.Granted
	for range 20 {
		gone = append(gone, f.grant(t, c, passwordGrant("u")))
	}
	f.invalidate(t, token.InvalidateRequest{Username: "u"}, token.Invalidated{Now: 40, Found: true})
	before := time.Now()
	time.Sleep(2 * time.Millisecond)
	live := f.grant(t, c, passwordGrant("u"))
	var verifiers sync.WaitGroup
	for i := range 4 {
		verifiers.Go(func() {
			for n := range 200 {
				if got := verdict(t, f.Service, gone[(i+n)%len(gone)].Access); got != "refused" {
					t.Errorf("during the purge a token that is off is %s", got)
				}
				if got := verdict(t, f.Service, live.Access); got != "accepted" {
					t.Errorf("during the purge a live token is %s", got)
				}
			}
		})
	}
	if taken, err := f.store.PurgeTokens(t.Context(), before, 1000); err != nil || len(taken) != len(gone) {
		t.Errorf("the purge took %d tokens, %v; want %d", len(taken), err, len(gone))
	}
	verifiers.Wait()
}

// A cached token is read once.
func TestCachedTokensNeedNoStore(t *testing.T) {
	f := newFixture(t)
	store := &gate{DB: f.store}
	s := f.over(store)
	made := f.grant(t, client("c"), passwordGrant("u"))
	if got := verdict(t, s, made.Access); got != "accepted" {
		t.Fatalf("a new token is %s", got)
	}
	h := &hold{read: make(chan struct{}, 1), goOn: make(chan struct{})}
	close(h.goOn)
	store.held.Store(h)
	for range 3 {
		if got := verdict(t, s, made.Access); got != "accepted" || len(h.read) > 0 {
			t.Errorf("a cached token is %s, and the store was asked %d times", got, len(h.read))
		}
	}
}
