package node

import (
	"os"
	"runtime"
)

// tuneProcessors has the runtime run one goroutine more at a time than there are
// processors, until stop is called. With as many threads as processors, two that the
// kernel has put on one of them, beside those of a client or a database on the same
// machine, leave the other one idle for milliseconds. An operator who sets GOMAXPROCS
// is not overruled, and a container that may use fewer processors is left alone.
func tuneProcessors() (stop func()) {
	if os.Getenv("GOMAXPROCS") != "" || runtime.GOMAXPROCS(0) != runtime.NumCPU() {
		return func() {}
	}
	runtime.GOMAXPROCS(runtime.NumCPU() + 1)
	return runtime.SetDefaultGOMAXPROCS
}
