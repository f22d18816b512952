package storetest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"latchkey/internal/fault"
	"latchkey/internal/token"
)

var tokenRules = []rule{
	{"a token reads back as written", tokenReadsBack},
	{"a token is found by its access hash alone", tokenUnknown},
	{"that a token was issued is not forgotten when it is purged", tokenIssued},
	{"the first use of a refresh token makes its successor", tokenRefreshed},
	{"a use that is refused changes nothing", tokenRefused},
	{"of many uses at once exactly one is the first", tokenRefreshedOnce},
	{"the end of a family reaches all descendants and nobody else", tokenFamily},
	{"the halves of a token are switched off one by one", tokenHalves},
	{"a user and a realm choose active tokens", tokenSelectors},
	{"a token is active if either half is", tokenActive},
	{"a mass of tokens is invalidated as well as few", tokenMass},
	{"a half is switched off by exactly one caller", tokenInvalidatedOnce},
	{"whoever learns that a token is off learns it after changed has returned", tokenChangedFirst},
	{"the purge takes tokens that are old enough and no others", tokenPurge},
	{"an identity lives as long as a token carries it", tokenIdentities},
}

func hash(name string) token.Hash { return sha256.Sum256([]byte(name)) }

func snapshot(body string) token.Snapshot {
	return token.Snapshot{Digest: sha256.Sum256([]byte(body)), Body: []byte(body)}
}

// pairOf is the token of a user with two halves named after name.
func pairOf(name, username, realm string) token.Record {
	return token.Record{
		CreatedAt: t0, Access: hash(name + " access"), ExpiresAt: t0.Add(time.Minute), Refresh: hash(name + " refresh"),
		Username: username, Realm: realm, Identity: snapshot(`{"who":"` + username + `"}`),
	}
}

func addTokens(t *testing.T, s Store, records ...token.Record) {
	t.Helper()
	for _, r := range records {
		if err := s.InsertToken(t.Context(), r); err != nil {
			t.Fatalf("InsertToken: %v", err)
		}
	}
}

func wantToken(t *testing.T, s Store, want token.Record) {
	t.Helper()
	got, err := s.Token(t.Context(), want.Access)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("Token: %v (-want +got)\n%s", err, diff)
	}
	if want.Refresh == (token.Hash{}) {
		return
	}
	got, err = s.RefreshToken(t.Context(), want.Refresh)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("RefreshToken: %v (-want +got)\n%s", err, diff)
	}
}

func invalidateTokens(t *testing.T, s Store, sel token.Selector, want token.Halves, changed ...token.Record) {
	t.Helper()
	var told []token.Hash
	got, err := s.InvalidateTokens(t.Context(), sel, t0, func(hashes []token.Hash) {
		told = append(told, hashes...)
		for _, h := range hashes { // whoever loads it from now on reads that it is off
			r, err := s.Token(context.Background(), h)
			if err != nil || sel.Refresh == (token.Hash{}) && r.AccessOffAt.IsZero() || sel.Access == (token.Hash{}) && !r.RefreshOffAt.Equal(t0) && r.Refresh != (token.Hash{}) {
				t.Errorf("when changed is called, a token reads %+v, %v", r, err)
			}
		}
	})
	if err != nil || got != want {
		t.Errorf("InvalidateTokens(%q, %q) = %+v, %v; want %+v", sel.Username, sel.Realm, got, err, want)
	}
	wantHashes(t, told, changed)
}

func wantHashes(t *testing.T, got []token.Hash, of []token.Record) {
	t.Helper()
	var want []token.Hash
	for _, r := range of {
		want = append(want, r.Access)
	}
	order := func(a, b token.Hash) int { return slices.Compare(a[:], b[:]) }
	slices.SortFunc(got, order)
	slices.SortFunc(want, order)
	if !slices.Equal(got, want) {
		t.Errorf("told of %d tokens %x; want %d %x", len(got), got, len(want), want)
	}
}

// use exchanges the refresh token of old for next.
func use(t *testing.T, s Store, old, next token.Record) {
	t.Helper()
	_, err := s.UseRefreshToken(t.Context(), old.Refresh, func(token.Record) token.Use {
		return token.Use{At: t0, Next: &next, Sealed: []byte("sealed")}
	}, func([]token.Hash) { t.Error("told of a token, though none was switched off") })
	if err != nil {
		t.Fatalf("UseRefreshToken: %v", err)
	}
}

func tokenReadsBack(t *testing.T, s Store) {
	full := pairOf("full", "Jäne \"J\"", "saml 1")
	full.AccessOffAt, full.RefreshOffAt, full.RefreshedAt = t0.Add(1e6), t0.Add(2e6), t0.Add(3e6)
	full.Sealed = []byte{0, 1, 0xFF}
	single := pairOf("single", "x", "r")
	single.Refresh = token.Hash{}
	other := single // two without a refresh half do not collide
	other.Access = hash("other")
	for _, want := range []token.Record{full, single, other} {
		addTokens(t, s, want)
		wantToken(t, s, want)
	}
}

func tokenUnknown(t *testing.T, s Store) {
	r := pairOf("a", "x", "r")
	addTokens(t, s, r)
	for _, h := range []token.Hash{{}, hash("b access"), r.Refresh} {
		if _, err := s.Token(t.Context(), h); fault.KindOf(err) != fault.NotFound {
			t.Errorf("Token(%x) = %v; want NotFound", h, err)
		}
	}
	for _, h := range []token.Hash{{}, r.Access} {
		_, err := s.UseRefreshToken(t.Context(), h, func(token.Record) token.Use { t.Error("judged"); return token.Use{} }, nil)
		if fault.KindOf(err) != fault.NotFound {
			t.Errorf("UseRefreshToken(%x) = %v; want NotFound", h, err)
		}
	}
}

func tokenIssued(t *testing.T, s Store) {
	want := func(want bool) {
		t.Helper()
		if got, err := s.Issued(t.Context()); got != want || err != nil {
			t.Errorf("Issued = %t, %v; want %t", got, err, want)
		}
	}
	want(false)
	addTokens(t, s, pairOf("a", "x", "r"))
	want(true)
	if gone, err := s.PurgeTokens(t.Context(), t0, 10); len(gone) != 1 || err != nil {
		t.Fatalf("PurgeTokens = %d tokens, %v; want 1", len(gone), err)
	}
	want(true)
}

func tokenRefreshed(t *testing.T, s Store) {
	old, next := pairOf("old", "x", "r"), pairOf("next", "x", "r")
	addTokens(t, s, old)
	use(t, s, old, next)
	wantToken(t, s, next)
	old.RefreshedAt, old.Sealed = t0, []byte("sealed")
	wantToken(t, s, old)
	got, err := s.UseRefreshToken(t.Context(), old.Refresh, func(r token.Record) token.Use {
		if diff := cmp.Diff(old, r); diff != "" {
			t.Errorf("the second use is judged on (-want +got)\n%s", diff)
		}
		return token.Use{}
	}, nil)
	if diff := cmp.Diff(old, got); err != nil || diff != "" {
		t.Errorf("UseRefreshToken: %v (-want +got)\n%s", err, diff)
	}
}

func tokenRefused(t *testing.T, s Store) {
	r := pairOf("a", "x", "r")
	addTokens(t, s, r)
	if _, err := s.UseRefreshToken(t.Context(), r.Refresh, func(token.Record) token.Use { return token.Use{} }, nil); err != nil {
		t.Error(err)
	}
	wantToken(t, s, r)
}

func tokenRefreshedOnce(t *testing.T, s Store) {
	const callers = 16
	old := pairOf("old", "x", "r")
	addTokens(t, s, old)
	var wg sync.WaitGroup
	first := make([]bool, callers)
	for i := range callers {
		next := pairOf(fmt.Sprint("next", i), "x", "r")
		wg.Go(func() {
			seen, err := s.UseRefreshToken(context.Background(), old.Refresh, func(r token.Record) token.Use {
				if !r.RefreshedAt.IsZero() {
					return token.Use{}
				}
				first[i] = true
				return token.Use{At: t0, Next: &next, Sealed: fmt.Append(nil, i)}
			}, nil)
			if err != nil || seen.RefreshedAt.IsZero() != first[i] {
				t.Errorf("caller %d: %+v, %v; first %t", i, seen, err, first[i])
			}
		})
	}
	wg.Wait()
	for i := range callers {
		_, err := s.Token(t.Context(), hash(fmt.Sprintf("next%d access", i)))
		if (err == nil) != first[i] {
			t.Errorf("the successor of caller %d, who was first %t: %v", i, first[i], err)
		}
	}
	if n := len(slices.DeleteFunc(first, func(b bool) bool { return !b })); n != 1 {
		t.Errorf("%d callers were the first; want 1", n)
	}
}

func tokenFamily(t *testing.T, s Store) {
	chain := make([]token.Record, 5)
	for i := range chain {
		chain[i] = pairOf(fmt.Sprint("link", i), "x", "r")
		if i == 0 {
			addTokens(t, s, chain[0])
		} else {
			use(t, s, chain[i-1], chain[i])
			chain[i-1].RefreshedAt, chain[i-1].Sealed = t0, []byte("sealed")
		}
	}
	stranger, heir := pairOf("stranger", "x", "r"), pairOf("heir", "x", "r")
	addTokens(t, s, stranger)
	use(t, s, stranger, heir)
	invalidateTokens(t, s, token.Selector{Access: chain[2].Access}, token.Halves{Now: 1}, chain[2])
	invalidateTokens(t, s, token.Selector{Access: chain[3].Access}, token.Halves{Now: 1}, chain[3])
	invalidateTokens(t, s, token.Selector{Refresh: chain[3].Refresh}, token.Halves{Now: 1}, chain[3])

	later := t0.Add(time.Hour)
	for round := range 2 {
		var told []token.Hash
		_, err := s.UseRefreshToken(t.Context(), chain[1].Refresh, func(token.Record) token.Use {
			return token.Use{At: later, EndFamily: true}
		}, func(hashes []token.Hash) {
			told = hashes
			for _, h := range hashes {
				if r, err := s.Token(context.Background(), h); err != nil || !r.RefreshOffAt.Equal(later) {
					t.Errorf("when changed is called, a descendant reads %+v, %v", r, err)
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if round == 0 {
			wantHashes(t, told, []token.Record{chain[2], chain[4]})
		} else {
			wantHashes(t, told, nil)
		}
	}
	chain[2].AccessOffAt, chain[2].RefreshOffAt = t0, later
	chain[3].AccessOffAt, chain[3].RefreshOffAt = t0, t0
	chain[4].AccessOffAt, chain[4].RefreshOffAt = later, later
	for _, want := range append(chain, heir) {
		wantToken(t, s, want)
	}
}

func tokenHalves(t *testing.T, s Store) {
	a, b := pairOf("a", "x", "r"), pairOf("b", "x", "r")
	addTokens(t, s, a, b)
	once, again, none := token.Halves{Now: 1}, token.Halves{Before: 1}, token.Halves{}
	invalidateTokens(t, s, token.Selector{Access: a.Refresh}, none)
	invalidateTokens(t, s, token.Selector{Refresh: a.Access}, none)
	invalidateTokens(t, s, token.Selector{Access: a.Access}, once, a)
	invalidateTokens(t, s, token.Selector{Access: a.Access}, again)
	invalidateTokens(t, s, token.Selector{Refresh: b.Refresh}, once, b)
	invalidateTokens(t, s, token.Selector{Refresh: b.Refresh}, again)
	a.AccessOffAt, b.RefreshOffAt = t0, t0
	wantToken(t, s, a)
	wantToken(t, s, b)
	invalidateTokens(t, s, token.Selector{Refresh: a.Refresh}, once, a)
	invalidateTokens(t, s, token.Selector{Access: b.Access}, once, b)
}

func tokenSelectors(t *testing.T, s Store) {
	x1, x2, y, jane := pairOf("x1", "x", "one"), pairOf("x2", "x", "two"), pairOf("y", "y", "one"), pairOf("J", "Jane", "one")
	y.Refresh = token.Hash{}
	addTokens(t, s, x1, x2, y, jane)
	tests := []struct {
		username, realm string
		want            token.Halves
		changed         []token.Record
	}{
		{"nobody", "", token.Halves{}, nil},
		{"", "on", token.Halves{}, nil},
		{"jane", "", token.Halves{}, nil},
		{"x*", "", token.Halves{}, nil},
		{"y", "two", token.Halves{}, nil},
		{"x", "two", token.Halves{Now: 2}, []token.Record{x2}},
		{"x", "", token.Halves{Now: 2}, []token.Record{x1}},
		{"", "one", token.Halves{Now: 3}, []token.Record{y, jane}},
		{"", "one", token.Halves{}, nil},
	}
	for _, tt := range tests {
		invalidateTokens(t, s, token.Selector{Username: tt.username, Realm: tt.realm}, tt.want, tt.changed...)
	}
}

func tokenActive(t *testing.T, s Store) {
	change := func(f func(*token.Record)) token.Record {
		r := pairOf("a", "x", "r")
		f(&r)
		return r
	}
	now := t0.Add(time.Hour)
	sel := token.Selector{Username: "x", ExpiresFrom: now, CreatedFrom: now.Add(-time.Minute)}
	tests := []struct {
		name string
		r    token.Record // made an hour ago, with the access half long expired
		want token.Halves
	}{
		{"both are too old", change(func(*token.Record) {}), token.Halves{}},
		{"the access half is valid to this moment", change(func(r *token.Record) { r.ExpiresAt = now }), token.Halves{Now: 2}},
		{"until a moment ago", change(func(r *token.Record) { r.ExpiresAt = now.Add(-time.Millisecond) }), token.Halves{}},
		{"the access half is off", change(func(r *token.Record) { r.ExpiresAt, r.AccessOffAt = now, t0 }), token.Halves{}},
		{"the refresh half is just young enough", change(func(r *token.Record) { r.CreatedAt = sel.CreatedFrom }), token.Halves{Now: 2}},
		{"just not", change(func(r *token.Record) { r.CreatedAt = sel.CreatedFrom.Add(-time.Millisecond) }), token.Halves{}},
		{"it was used", change(func(r *token.Record) { r.CreatedAt, r.RefreshedAt = now, now }), token.Halves{Now: 2}},
		{"only the refresh half is off", change(func(r *token.Record) { r.ExpiresAt, r.RefreshOffAt = now, t0 }), token.Halves{Now: 1, Before: 1}},
		{"only the access half is off", change(func(r *token.Record) { r.CreatedAt, r.AccessOffAt = now, t0 }), token.Halves{Now: 1, Before: 1}},
		{"both are off", change(func(r *token.Record) { r.CreatedAt, r.AccessOffAt, r.RefreshOffAt = now, t0, t0 }), token.Halves{}},
		{"there is no refresh half", change(func(r *token.Record) { r.ExpiresAt, r.Refresh = now, token.Hash{} }), token.Halves{Now: 1}},
		{"nor a valid access half", change(func(r *token.Record) { r.CreatedAt, r.Refresh = now, token.Hash{} }), token.Halves{}},
	}
	for i, tt := range tests {
		tt.r.Access = hash(fmt.Sprint("access", i))
		if tt.r.Refresh != (token.Hash{}) {
			tt.r.Refresh = hash(fmt.Sprint("refresh", i))
		}
		tt.r.Username = fmt.Sprint("x", i)
		addTokens(t, s, tt.r)
		sel.Username = tt.r.Username
		if got, err := s.InvalidateTokens(t.Context(), sel, now, func([]token.Hash) {}); got != tt.want || err != nil {
			t.Errorf("%s: %+v, %v; want %+v", tt.name, got, err, tt.want)
		}
	}
}

func tokenMass(t *testing.T, s Store) {
	const n = 1234
	var wg sync.WaitGroup // so that they share transactions
	for i := range n {
		wg.Go(func() {
			if err := s.InsertToken(context.Background(), pairOf(fmt.Sprint(i), "x", "r")); err != nil {
				t.Error(err)
			}
		})
	}
	addTokens(t, s, pairOf("other", "y", "r"))
	wg.Wait()
	told := 0
	got, err := s.InvalidateTokens(t.Context(), token.Selector{Username: "x"}, t0, func(hashes []token.Hash) { told = len(hashes) })
	if want := (token.Halves{Now: 2 * n}); got != want || err != nil || told != n {
		t.Errorf("InvalidateTokens = %+v, %v, told of %d; want %+v and %d", got, err, told, want, n)
	}
	for i := range n {
		if r, err := s.Token(t.Context(), hash(fmt.Sprint(i, " access"))); err != nil || !r.AccessOffAt.Equal(t0) || !r.RefreshOffAt.Equal(t0) {
			t.Fatalf("token %d is off at %v and %v, %v; want %v", i, r.AccessOffAt, r.RefreshOffAt, err, t0)
		}
	}
	wantToken(t, s, pairOf("other", "y", "r"))
}

func tokenInvalidatedOnce(t *testing.T, s Store) {
	const pairs, callers = 50, 8
	for i := range pairs {
		addTokens(t, s, pairOf(fmt.Sprint(i), "x", "r"))
	}
	var wg sync.WaitGroup
	got := make([]token.Halves, callers)
	for i := range callers {
		wg.Go(func() {
			var err error
			if i%2 == 0 {
				got[i], err = s.InvalidateTokens(context.Background(), token.Selector{Username: "x"}, t0, func([]token.Hash) {})
			} else {
				got[i], err = s.InvalidateTokens(context.Background(), token.Selector{Refresh: hash("7 refresh")}, t0, func([]token.Hash) {})
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	sum := 0
	for _, h := range got {
		sum += h.Now
	}
	if sum != 2*pairs {
		t.Errorf("%d callers together switched off %d halves; want %d", callers, sum, 2*pairs)
	}
}

// Two calls race for the same token: the one that finds it off may be answered
// only when the other has told its process about it.
func tokenChangedFirst(t *testing.T, s Store) {
	for round := range 100 {
		r := pairOf(fmt.Sprint(round), "x", "r")
		addTokens(t, s, r)
		var mu sync.Mutex
		told := false
		var wg sync.WaitGroup
		for i := range 4 {
			sel := token.Selector{Access: r.Access}
			if i%2 == 0 {
				sel = token.Selector{Username: "x"}
			}
			wg.Go(func() {
				_, err := s.InvalidateTokens(context.Background(), sel, t0, func(hashes []token.Hash) {
					if len(hashes) > 0 {
						time.Sleep(100 * time.Microsecond)
						mu.Lock()
						told = true
						mu.Unlock()
					}
				})
				mu.Lock()
				defer mu.Unlock()
				if err != nil || !told {
					t.Errorf("round %d: answered (%v) before changed had returned", round, err)
				}
			})
		}
		wg.Wait()
	}
}

// TK-68
func tokenPurge(t *testing.T, s Store) {
	young, off := pairOf("young", "x", "r"), pairOf("off", "x", "r")
	young.CreatedAt = t0.Add(time.Millisecond)
	off.CreatedAt, off.AccessOffAt, off.RefreshOffAt, off.RefreshedAt = young.CreatedAt, t0, t0, t0
	old := []token.Record{pairOf("1", "x", "r"), pairOf("2", "y", "r"), pairOf("3", "x", "r")}
	addTokens(t, s, young, old[0], off, old[1], old[2])
	var all []token.Hash
	for _, want := range []int{2, 1, 0} {
		gone, err := s.PurgeTokens(t.Context(), t0, 2)
		if len(gone) != want || err != nil {
			t.Errorf("PurgeTokens = %d tokens, %v; want %d", len(gone), err, want)
		}
		all = append(all, gone...)
	}
	wantHashes(t, all, old)
	for _, r := range old {
		if _, err := s.Token(t.Context(), r.Access); fault.KindOf(err) != fault.NotFound {
			t.Errorf("a token that was purged: %v; want NotFound", err)
		}
	}
	wantToken(t, s, young)
	wantToken(t, s, off)
}

func tokenIdentities(t *testing.T, s Store) {
	old, young := pairOf("old", "x", "r"), pairOf("young", "x", "r")
	young.CreatedAt = t0.Add(time.Hour)
	last := pairOf("last", "y", "r")
	addTokens(t, s, old, young, last)
	if _, err := s.PurgeTokens(t.Context(), t0, 10); err != nil {
		t.Fatal(err)
	}
	wantToken(t, s, young)
	again := pairOf("again", "y", "r") // whose identity was purged, and has to come back
	addTokens(t, s, again)
	wantToken(t, s, again)
}
