package cache

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"
)

func newCache() *Cache[string] {
	return New[string](Options{Max: 1000, TTL: time.Hour, Now: time.Now})
}

func value(v string) func(context.Context, string) (string, error) {
	return func(context.Context, string) (string, error) { return v, nil }
}

// A load that overlaps a kill or a flush goes to its own caller as dead, and is not kept.
func TestWhatOverlapsALoad(t *testing.T) {
	tests := []struct {
		name string
		act  func(c *Cache[string])
		kept bool
	}{
		{"nothing", func(*Cache[string]) {}, true},
		{"a kill of its key", func(c *Cache[string]) { c.Kill("other", "k") }, false},
		{"a kill of another key", func(c *Cache[string]) { c.Kill("other") }, true},
		{"a flush", func(c *Cache[string]) { c.Flush() }, false},
		{"more kills than are remembered one by one", func(c *Cache[string]) {
			for i := range 100 * maxTombs {
				c.Kill(fmt.Sprint("other", i))
			}
			c.Kill("k")
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newCache()
			e, err := c.Fill(t.Context(), "k", func(context.Context, string) (string, error) {
				tt.act(c)
				return "v", nil
			})
			if err != nil || e.Value != "v" || c.Dead(e) == tt.kept || (c.Get("k") != nil) != tt.kept {
				t.Errorf("entry %+v dead %t, %v; cached %v; want kept %t", e.Value, c.Dead(e), err, c.Get("k"), tt.kept)
			}
			if e, err := c.Fill(t.Context(), "k", value("new")); err != nil || c.Dead(e) {
				t.Errorf("a load after it: dead %t, %v", c.Dead(e), err)
			}
		})
	}
}

// Whoever holds an entry must learn that it can no longer be found, or a later kill would miss it.
func TestEntriesThatLeaveAreDead(t *testing.T) {
	tests := []struct {
		name  string
		leave func(c *Cache[string])
	}{
		{"killed", func(c *Cache[string]) { c.Kill("k") }},
		{"flushed", func(c *Cache[string]) { c.Flush() }},
		{"pushed out", func(c *Cache[string]) {
			for i := range 50_000 {
				c.Fill(context.Background(), fmt.Sprint(i), value("x"))
				c.Get(fmt.Sprint(i))
			}
		}},
		{"expired, then killed", func(c *Cache[string]) { time.Sleep(2 * time.Hour); c.Kill("k") }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache()
				e, err := c.Fill(t.Context(), "k", value("v"))
				if err != nil || c.Dead(e) || c.Get("k") != e {
					t.Fatal("the entry was not kept", err)
				}
				tt.leave(c)
				if c.Get("k") == nil && !c.Dead(e) {
					t.Error("the entry left the cache alive")
				}
				if tt.name == "pushed out" && c.Len() > 2000 {
					t.Errorf("%d entries in a cache of 1000", c.Len())
				}
			})
		})
	}
}

func TestEntryExpiresAfterItsLastUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache()
		c.Fill(t.Context(), "k", value("v"))
		for range 3 {
			time.Sleep(50 * time.Minute)
			if c.Get("k") == nil {
				t.Fatal("gone although it was used within the hour")
			}
		}
		time.Sleep(61 * time.Minute)
		if c.Get("k") != nil {
			t.Error("still there an hour after its last use")
		}
	})
}

func TestNothingIsKept(t *testing.T) {
	c := New[string](Options{Max: 10, TTL: 0, Now: time.Now})
	e, err := c.Fill(t.Context(), "k", value("v"))
	if err != nil || e.Value != "v" || c.Dead(e) || c.Get("k") != nil {
		t.Errorf("Fill = %v, %v and then Get = %v; want a live value that is not kept", e, err, c.Get("k"))
	}
	c.Kill("k")
	c.Flush()
	failed := errors.New("disk")
	if _, err := newCache().Fill(t.Context(), "k", func(context.Context, string) (string, error) { return "", failed }); err != failed {
		t.Errorf("Fill = %v; want the error of load", err)
	}
}

// Readers accept what the cache gives them while others revoke: nobody accepts
// a value that was revoked before the reader began.
func TestRaceOfFillsAndKills(t *testing.T) {
	const keys, rounds = 8, 3000
	c := New[int64](Options{Max: 4, TTL: time.Hour, Now: time.Now}) // smaller than the keys: entries are pushed out all the time
	var stored, acked [keys]atomic.Int64
	var wg sync.WaitGroup
	for k := range keys {
		wg.Go(func() {
			for n := range int64(rounds) {
				stored[k].Store(n + 1)
				if n%100 == 99 {
					c.Flush()
				} else {
					c.Kill(fmt.Sprint(k))
				}
				acked[k].Store(n + 1)
			}
		})
		for range 2 {
			wg.Go(func() {
				key := fmt.Sprint(k)
				for acked[k].Load() < rounds {
					began := acked[k].Load()
					e := c.Get(key)
					if e == nil {
						e, _ = c.Fill(context.Background(), key, func(context.Context, string) (int64, error) { return stored[k].Load(), nil })
					}
					if e.Value < began && !c.Dead(e) {
						t.Errorf("key %d: accepted %d after %d was acknowledged", k, e.Value, began)
						return
					}
				}
			})
		}
	}
	wg.Wait()
}

func BenchmarkGet(b *testing.B) {
	c := newCache()
	c.Fill(b.Context(), "k", value("v"))
	for b.Loop() {
		if e := c.Get("k"); e == nil || c.Dead(e) {
			b.Fatal("lost")
		}
	}
}

// A key that is cut out of a credential must not keep the credential in memory.
func TestKeysAreCopied(t *testing.T) {
	c := newCache()
	credential := string([]byte("name:secret"))
	c.Fill(t.Context(), credential[:4], value("v"))
	for key := range c.entries.All() {
		if unsafe.StringData(key) == unsafe.StringData(credential) {
			t.Error("the entry holds on to the text that its key was cut from")
		}
	}
}

// A lease that is renewed while a secret is compared, slowly, promises that what had
// to die is dead: so the entry is looked at after the lease, not before.
func TestTrust(t *testing.T) {
	lapsed := errors.New("lapsed")
	for _, tt := range []struct {
		name  string
		lease func(c *Cache[string]) error // nil: there is none
		alive bool
		err   error
	}{
		{"without a lease", nil, true, nil},
		{"held", func(*Cache[string]) error { return nil }, true, nil},
		{"lapsed", func(*Cache[string]) error { return lapsed }, false, lapsed},
		{"renewed at the last moment, after a kill", func(c *Cache[string]) error { c.Kill("k"); return nil }, false, nil},
		{"renewed at the last moment, after a flush", func(c *Cache[string]) error { c.Flush(); return nil }, false, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var c *Cache[string]
			o := Options{Max: 10, TTL: time.Hour, Now: time.Now}
			if tt.lease != nil {
				o.Lease = func() error { return tt.lease(c) }
			}
			c = New[string](o)
			e, err := c.Fill(t.Context(), "k", value("v"))
			if err != nil {
				t.Fatal(err)
			}
			if alive, err := c.Trust(e); alive != tt.alive || !errors.Is(err, tt.err) {
				t.Errorf("it is alive: %t (%v), want %t (%v)", alive, err, tt.alive, tt.err)
			}
		})
	}
}

// What was killed before its check was over is dead, whether it was in memory or was
// loaded for the check. What was only pushed out is not, or its caller would have to
// begin anew, and again, where many others come in between.
func TestJudge(t *testing.T) {
	lapsed, broken := errors.New("lapsed"), errors.New("broken")
	var lease, load error
	pushOut := func(c *Cache[string]) {
		for i := range 20_000 {
			c.Fill(context.Background(), fmt.Sprint("other", i), value("x"))
			c.Get(fmt.Sprint("other", i))
		}
	}
	tests := []struct {
		name          string
		during        func(c *Cache[string])
		known, loaded bool // alive, if it was in memory, and if it was not
		err           error
	}{
		{"nothing", func(*Cache[string]) {}, true, true, nil},
		{"a kill", func(c *Cache[string]) { c.Kill("k") }, false, false, nil},
		{"a kill of another key", func(c *Cache[string]) { c.Kill("other") }, true, true, nil},
		{"a kill by a rule", func(c *Cache[string]) { c.KillWhere(func(v string) bool { return v == "v" }) }, false, false, nil},
		{"a flush", func(c *Cache[string]) { c.Flush() }, false, false, nil},
		{"many others", pushOut, false, true, nil},
		{"many others and a kill", func(c *Cache[string]) { pushOut(c); c.Kill("k") }, false, false, nil},
		{"many others and a rule", func(c *Cache[string]) { pushOut(c); c.KillWhere(func(v string) bool { return v == "v" }) }, false, false, nil},
		{"the end of the lease", func(*Cache[string]) { lease = lapsed }, false, false, lapsed},
	}
	for _, tt := range tests {
		for _, state := range []string{"in memory", "not in memory", "no room", "nothing is kept"} {
			t.Run(tt.name+", "+state, func(t *testing.T) {
				lease = nil
				max, want := 1000, tt.loaded
				if state == "nothing is kept" {
					max = 0
				}
				c := New[string](Options{Max: max, TTL: time.Hour, Now: time.Now, Lease: func() error { return lease }})
				switch state {
				case "in memory":
					want = tt.known
					c.Fill(t.Context(), "k", value("v"))
				case "no room":
					for i := range max {
						c.Fill(t.Context(), fmt.Sprint("there", i), value("x"))
					}
				}
				if state != "in memory" {
					c.KillWhere(func(v string) bool { return v == "v" }) // what is loaded later is none of its business
				}
				seen := ""
				v, alive, err := c.Judge(t.Context(), "k", value("v"), func(v string) { seen = v; tt.during(c) })
				if v != "v" || seen != "v" || alive != want || !errors.Is(err, tt.err) {
					t.Errorf("Judge = %q alive %t, %v, and the check saw %q; want alive %t, %v", v, alive, err, seen, want, tt.err)
				}
			})
		}
	}
	load, lease = broken, nil
	c := newCache()
	_, alive, err := c.Judge(t.Context(), "k", func(context.Context, string) (string, error) { return "", load }, func(string) { t.Error("nothing was loaded, and checked") })
	if alive || !errors.Is(err, broken) {
		t.Errorf("a load that fails: alive %t, %v", alive, err)
	}
	func() {
		defer func() { recover() }()
		c.Judge(t.Context(), "k", value("v"), func(string) { panic("in the check") })
	}()
	for i := range c.shards {
		if n := c.shards[i].loading; n != 0 {
			t.Errorf("%d loads are said to be under way", n)
		}
	}
}

// What comes once does not push out what is used, and what comes twice is kept.
func TestStrangersAreNotKeptWhereThereIsNoRoom(t *testing.T) {
	c := New[string](Options{Max: 10, TTL: time.Hour, Now: time.Now})
	judge := func(key string) {
		if _, alive, err := c.Judge(t.Context(), key, value("v"), func(string) {}); !alive || err != nil {
			t.Fatalf("%s is alive: %t, %v", key, alive, err)
		}
	}
	for i := range 10 {
		judge(fmt.Sprint("known", i))
		if c.Peek(fmt.Sprint("known", i)) == nil {
			t.Fatalf("the key %d is not kept, and there is room for 10", i)
		}
	}
	for i := range 1000 {
		judge(fmt.Sprint("once", i))
	}
	for i := range 10 {
		if c.Peek(fmt.Sprint("known", i)) == nil {
			t.Errorf("the key %d was pushed out by one that came once", i)
		}
	}
	judge("twice")
	if c.Peek("twice") != nil {
		t.Error("a stranger was kept")
	}
	loads := c.Stats().Loads
	for range 20 { // a newcomer has to be used more than once to take a place
		judge("twice")
	}
	if got := c.Stats().Loads - loads; got > 19 {
		t.Errorf("a key that is used again and again was loaded %d times of 20", got)
	}
}

// A load that begins while a kill is on its way does not see it as one that comes
// later. What another load, from before, keeps meanwhile is dead once the kill arrives.
func TestJudgeDoesNotTrustAnOlderLoad(t *testing.T) {
	c := newCache()
	lock := func(key string) *shard { return &c.shards[maphash.String(c.seed, key)%uint64(len(c.shards))] }
	var first, last string // keys of other shards
	for i := 0; last == ""; i++ {
		switch key := fmt.Sprint("other", i); {
		case lock(key) == lock("k"):
		case first == "":
			first = key
		case lock(key) != lock(first):
			last = key
		}
	}
	older := c.begin("k") // has read "old"
	lock(first).mu.Lock()
	killed := make(chan struct{})
	go func() { c.Kill(first, "k"); close(killed) }() // waits at the first one
	for c.next.Load() != 1 {
		time.Sleep(time.Millisecond)
	}
	c.Kill(last)
	v, alive, err := c.Judge(t.Context(), "k", func(context.Context, string) (string, error) {
		older.keep(&Entry[string]{Value: "old"})
		older.end()
		return "new", nil
	}, func(string) { lock(first).mu.Unlock(); <-killed })
	if v != "new" || err != nil {
		t.Errorf("Judge = %q alive %t, %v; want what it has loaded itself", v, alive, err)
	}
}

// Kills overlap: one that began first comes to a key, or to the bound of what is
// remembered, after a later one was there. A load that the later one has to reach is
// not let go by that.
func TestAnEarlierKillTakesNothingBack(t *testing.T) {
	for _, tt := range []struct {
		name string
		also func(inShard []string) []string // what the earlier one kills after the key that holds it up
	}{
		{"the same key", func([]string) []string { return []string{"k"} }},
		{"more than are remembered", func(inShard []string) []string { return inShard[maxTombs/2:] }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCache()
			shardOf := func(key string) *shard { return &c.shards[maphash.String(c.seed, key)%uint64(len(c.shards))] }
			var inShard []string // with "k"
			first := ""          // in another one
			for i := 0; len(inShard) < maxTombs+maxTombs/4; i++ {
				if key := fmt.Sprint("other", i); shardOf(key) == shardOf("k") {
					inShard = append(inShard, key)
				} else {
					first = key
				}
			}
			last := "" // in a third one
			for i := 0; last == ""; i++ {
				if key := fmt.Sprint("last", i); shardOf(key) != shardOf("k") && shardOf(key) != shardOf(first) {
					last = key
				}
			}
			before := c.begin("k") // so that kills are remembered
			defer before.end()
			c.Kill(inShard[:maxTombs/2]...)

			shardOf(first).mu.Lock()
			earlier := make(chan struct{})
			go func() { c.Kill(append([]string{first}, tt.also(inShard)...)...); close(earlier) }()
			for c.next.Load() != 2 {
				time.Sleep(time.Millisecond)
			}
			c.Kill(last) // what begins from now on begins after the earlier one, as far as is known
			v, alive, err := c.Judge(t.Context(), "k", value("v"), func(string) {
				c.Kill("k")
				shardOf(first).mu.Unlock()
				<-earlier
			})
			if alive || err != nil {
				t.Errorf("Judge = %q, alive %t, %v after a kill has returned", v, alive, err)
			}
		})
	}
}

// While a mass is killed, others can be loaded.
func TestAMassIsKilledBitByBit(t *testing.T) {
	c := newCache()
	keys := make([]string, 100_000)
	for i := range keys {
		keys[i] = fmt.Sprint("gone", i)
	}
	held := make([]flight[string], len(c.shards)) // a load in each shard, so that kills are remembered
	for i, n := 0, 0; n < len(held); i++ {
		f := c.begin(fmt.Sprint("held", i))
		if f.s.loading == 1 {
			held[n], n = f, n+1
		} else {
			f.end()
		}
	}
	c.Kill(keys[:90_000]...)
	killed := make(chan struct{})
	go func() { c.Kill(keys...); close(killed) }()
	tries, alive := 0, 0
	for over := false; !over; tries++ {
		select {
		case <-killed:
			over = true
		default:
		}
		if _, ok, _ := c.Judge(t.Context(), fmt.Sprint("other", tries), value("v"), func(string) {}); ok {
			alive++
		}
	}
	if alive < tries/10*9 {
		t.Errorf("%d of %d keys that nobody touched were alive while others were killed", alive, tries)
	}
	for i := range held {
		if !held[i].touched() {
			t.Fatal("a shard has remembered no kill, so this shows nothing")
		}
		held[i].end()
	}
}

// An entry that is only asked again stays as one that is looked up does.
func TestWhoHoldsOnToAnEntryUsesIt(t *testing.T) {
	now := time.Now()
	c := New[int](Options{Max: 10, TTL: time.Hour, Now: func() time.Time { return now }})
	e, err := c.Fill(t.Context(), "a", func(context.Context, string) (int, error) { return 1, nil })
	if err != nil {
		t.Fatal(err)
	}
	for range 6 {
		now = now.Add(30 * time.Minute)
		for range 16 {
			if alive, err := c.TrustAgain("a", e); err != nil || !alive {
				t.Fatalf("an entry in use: %t, %v", alive, err)
			}
		}
	}
	if c.Peek("a") != e {
		t.Error("an entry in use was pushed out")
	}
	c.Kill("a")
	if alive, _ := c.TrustAgain("a", e); alive || c.Peek("a") != nil {
		t.Error("an entry that was killed is trusted")
	}
}
