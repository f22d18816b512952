package node

import (
	"runtime"
	"testing"
)

func TestOneGoroutineMoreThanProcessors(t *testing.T) {
	t.Setenv("GOMAXPROCS", "")
	defer runtime.SetDefaultGOMAXPROCS()
	n := runtime.NumCPU()
	for before, want := range map[int]int{n: n + 1, n + 3: n + 3} { // the latter is what somebody has chosen
		runtime.GOMAXPROCS(before)
		stop := tuneProcessors()
		if got := runtime.GOMAXPROCS(0); got != want {
			t.Errorf("of %d: %d at a time, want %d", before, got, want)
		}
		stop()
	}
	t.Setenv("GOMAXPROCS", "2")
	runtime.GOMAXPROCS(n)
	defer tuneProcessors()()
	if got := runtime.GOMAXPROCS(0); got != n {
		t.Errorf("an operator who sets it is overruled: %d, want %d", got, n)
	}
}
