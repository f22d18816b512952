package node

import (
	"runtime"
	"runtime/metrics"
	"testing"
	"time"
)

func TestTheHeapHasRoom(t *testing.T) {
	const mb = 1 << 20
	for live, want := range map[uint64]int{0: mostPercent, 1 * mb: mostPercent, 6 * mb: 300, 12 * mb: 100, 24 * mb: leastPercent, 1000 * mb: leastPercent} {
		if got := percentFor(live); got != want {
			t.Errorf("with %d MiB live, %d %% of garbage may gather, want %d", live/mb, got, want)
		}
	}
}

func gogc() int {
	s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(s)
	return int(s[0].Value.Uint64())
}

func TestTheCollectorFollowsWhatIsLive(t *testing.T) {
	t.Setenv("GOGC", "")
	before := gogc()
	stop := tuneCollector()
	if got := gogc(); got != mostPercent {
		t.Errorf("at first %d %%, want %d", got, mostPercent)
	}
	ballast := make([]byte, 200<<20)
	settled := func(want int) bool {
		for range 500 { // the cleanup that adjusts it runs some time after the collection
			runtime.GC()
			if gogc() == want {
				return true
			}
			time.Sleep(time.Millisecond)
		}
		return false
	}
	if !settled(leastPercent) {
		t.Errorf("with much live %d %%, want %d", gogc(), leastPercent)
	}
	runtime.KeepAlive(ballast)
	ballast = nil
	if !settled(mostPercent) {
		t.Errorf("with little live again %d %%, want %d", gogc(), mostPercent)
	}
	stop()
	if got := gogc(); got != before {
		t.Errorf("afterwards %d %%, want %d as before", got, before)
	}
}

func TestAnOperatorTunesTheCollectorHimself(t *testing.T) {
	t.Setenv("GOGC", "73")
	before := gogc()
	defer tuneCollector()()
	if got := gogc(); got != before {
		t.Errorf("%d %%, want %d as it was", got, before)
	}
}
