package node

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
)

// The collector by itself waits until as much garbage has gathered as there is
// live memory: with little of that it runs all the time, with much it doubles
// the process. So the heap has a size that it may take in any case, and beyond
// that less garbage.
const (
	heapRoom     = 24 << 20 // bytes, live and garbage, that the heap takes before it is collected
	leastPercent = 40       // garbage, of what is live: with less, a large cache would be marked too often
	mostPercent  = 600      // which is heapRoom for the smallest heap that the collector knows, of 4 MiB
)

// collector sets how much garbage may gather, anew after each collection.
type collector struct {
	percent int
	stopped atomic.Bool
}

// tuneCollector has the collector leave room for garbage until stop is called.
// An operator who tunes it by GOGC or GOMEMLIMIT is not overruled.
func tuneCollector() (stop func()) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	c := &collector{percent: mostPercent}
	before := debug.SetGCPercent(c.percent)
	c.await()
	return func() {
		c.stopped.Store(true)
		debug.SetGCPercent(before)
	}
}

// await has adjust called after the next collection, which finds that nobody
// holds what is allocated here.
func (c *collector) await() {
	type sentinel struct{ self *collector }
	runtime.AddCleanup(&sentinel{c}, (*collector).adjust, c)
}

func (c *collector) adjust() {
	if c.stopped.Load() {
		return
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	want := percentFor(live[0].Value.Uint64())
	if d := want - c.percent; d > c.percent/8 || d < -c.percent/8 { // setting it stops the world for a moment
		c.percent = want
		debug.SetGCPercent(want)
	}
	c.await()
}

// percentFor is how many percent of the live bytes may gather as garbage.
func percentFor(live uint64) int {
	return int(min(max((heapRoom-min(live, heapRoom))*100/max(live, 1), leastPercent), mostPercent))
}
