package cache

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// of is a rule by value.
func of(owner string) func(v string) bool {
	return func(v string) bool { return v == owner }
}

// A rule kills what was there before it, and what is loaded from before it: not
// what comes later of the same owner.
func TestKillWhere(t *testing.T) {
	tests := []struct {
		name string
		act  func(c *Cache[string])
		kept bool
	}{
		{"a rule for its owner", func(c *Cache[string]) { c.KillWhere(of("x")) }, false},
		{"a rule for another owner", func(c *Cache[string]) { c.KillWhere(of("y")) }, true},
		{"a rule among others", func(c *Cache[string]) {
			for i := range maxRules - 1 {
				c.KillWhere(of(fmt.Sprint("y", i)))
				if i == maxRules/2 {
					c.KillWhere(of("x"))
				}
			}
		}, false},
		{"as many rules for others as are remembered", func(c *Cache[string]) {
			for range maxRules {
				c.KillWhere(of("y"))
			}
		}, true},
		{"a rule, and more than are remembered after it", func(c *Cache[string]) {
			c.KillWhere(of("x"))
			for range 3 * maxRules {
				c.KillWhere(of("y"))
			}
		}, false},
	}
	for _, tt := range tests {
		t.Run("after the load "+tt.name, func(t *testing.T) {
			c := newCache()
			e, err := c.Fill(t.Context(), "k", value("x"))
			if err != nil || c.Dead(e) || c.Get("k") != e {
				t.Fatal("the entry was not kept", err)
			}
			tt.act(c)
			if got := c.Get("k"); (got == e) != tt.kept || c.Dead(e) == tt.kept {
				t.Errorf("cached %v, dead %t; want kept %t", got, c.Dead(e), tt.kept)
			}
			wantNew(t, c)
		})
		t.Run("during the load "+tt.name, func(t *testing.T) {
			c := newCache()
			e, err := c.Fill(t.Context(), "k", func(context.Context, string) (string, error) {
				tt.act(c)
				return "x", nil
			})
			if err != nil || e.Value != "x" || c.Dead(e) == tt.kept || (c.Get("k") == e) != tt.kept {
				t.Errorf("%v, %v: dead %t, cached %v; want kept %t", e, err, c.Dead(e), c.Get("k"), tt.kept)
			}
			wantNew(t, c)
		})
	}
}

// wantNew wants that a load after a rule counts, and goes on counting.
func wantNew(t *testing.T, c *Cache[string]) {
	t.Helper()
	e, err := c.Fill(t.Context(), "k", value("x"))
	if err != nil || c.Dead(e) {
		t.Fatalf("a load after it: dead %t, %v", c.Dead(e), err)
	}
	for range 3 {
		if got := c.Get("k"); got != e || c.Dead(got) {
			t.Error("what was loaded after the rule is not kept")
		}
	}
	c.KillWhere(of("z"))
	if c.Get("k") != e {
		t.Error("what was loaded after the rule fell to another one")
	}
	c.KillWhere(of("x"))
	if !c.Dead(e) {
		t.Error("the next rule for it did not count")
	}
}

// What a rule has killed holds no place once somebody has asked for it.
func TestWhatARuleKilledLeavesWhenItIsUsed(t *testing.T) {
	c := newCache()
	for i := range 10 {
		if _, err := c.Fill(t.Context(), fmt.Sprint(i), value("x")); err != nil {
			t.Fatal(err)
		}
	}
	c.KillWhere(of("x"))
	for i := range 10 {
		if c.Get(fmt.Sprint(i)) != nil {
			t.Error("a dead entry was found")
		}
	}
	if n := c.Len(); n != 0 || c.Stats().Hits != 0 {
		t.Errorf("%d entries are left after %d hits, want none", n, c.Stats().Hits)
	}
}

// An entry that has expired can still be in somebody's hands.
func TestARuleKillsWhatHasExpired(t *testing.T) {
	var now atomic.Int64
	c := New[string](Options{Max: 10, TTL: time.Second, Now: func() time.Time { return time.Unix(now.Load(), 0) }})
	e, err := c.Fill(t.Context(), "k", value("x"))
	if err != nil {
		t.Fatal(err)
	}
	now.Add(3600)
	c.KillWhere(of("x"))
	if alive, _ := c.Trust(e); alive {
		t.Error("it is trusted")
	}
}

// Without a memory, a load from before a rule counts no more than with one.
func TestARuleWhereNothingIsKept(t *testing.T) {
	c := New[string](Options{Max: 0})
	e, err := c.Fill(t.Context(), "k", func(context.Context, string) (string, error) {
		c.KillWhere(of("x"))
		return "x", nil
	})
	if err != nil || !c.Dead(e) {
		t.Errorf("dead %t, %v", c.Dead(e), err)
	}
}

// Readers accept what the cache gives them while others revoke by owner: nobody
// accepts a value that was revoked before the reader began.
func TestRaceOfFillsAndRules(t *testing.T) {
	const owners, keys, rounds = 4, 3, 2000 // keys of each owner
	type row struct {
		owner int
		n     int64
	}
	c := New[row](Options{Max: 8, TTL: time.Hour, Now: time.Now}) // smaller than the keys: entries are pushed out all the time
	var stored, acked [owners]atomic.Int64
	var wg sync.WaitGroup
	for o := range owners {
		wg.Go(func() {
			for n := range int64(rounds) {
				stored[o].Store(n + 1)
				c.KillWhere(func(r row) bool { return r.owner == o })
				acked[o].Store(n + 1)
			}
		})
		for k := range keys {
			wg.Go(func() {
				key := fmt.Sprint(o, "-", k)
				for acked[o].Load() < rounds {
					began := acked[o].Load()
					e := c.Get(key)
					if e == nil {
						e, _ = c.Fill(context.Background(), key, func(context.Context, string) (row, error) { return row{o, stored[o].Load()}, nil })
					}
					if alive, _ := c.Trust(e); alive && e.Value.n < began {
						t.Errorf("key %s: accepted %d after %d was acknowledged", key, e.Value.n, began)
						return
					}
				}
			})
		}
	}
	wg.Wait()
}

// A flush kills what was loaded before it, and no reader more than that: a large
// cache is swept for long.
func TestNobodyIsTurnedAwayByAFlush(t *testing.T) {
	const keys = 20_000
	c := New[int](Options{Max: 2 * keys, TTL: time.Hour, Now: time.Now})
	load := func(context.Context, string) (int, error) { return 0, nil }
	names := make([]string, keys)
	for i := range names {
		names[i] = fmt.Sprint(i)
		if _, err := c.Fill(t.Context(), names[i], load); err != nil {
			t.Fatal(err)
		}
	}
	accepts := func(key string) bool {
		for range 3 { // as the rooms do it
			e := c.Get(key)
			if e == nil {
				e, _ = c.Fill(context.Background(), key, load)
			}
			if alive, _ := c.Trust(e); alive {
				return true
			}
		}
		return false
	}
	var over atomic.Bool
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := 0; !over.Load(); i++ {
				if !accepts(names[i%keys]) {
					t.Error("a reader found no entry that was alive")
					return
				}
			}
		})
	}
	c.Flush()
	over.Store(true)
	wg.Wait()
}
