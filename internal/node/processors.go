package node

import (
	"os"
	"runtime"
)

// tuneProcessors has the runtime run one goroutine more at a time than there are
// processors, until stop is called. With as many threads as processors, one that
// waits behind a thread of somebody else (a client on the same machine, a database)
// leaves a processor idle for milliseconds. An operator who sets GOMAXPROCS is not
// overruled, and what a container may use is not exceeded.
func tuneProcessors() (stop func()) {
	if os.Getenv("GOMAXPROCS") != "" || runtime.GOMAXPROCS(0) != runtime.NumCPU() {
		return func() {}
	}
	runtime.GOMAXPROCS(runtime.NumCPU() + 1)
	return runtime.SetDefaultGOMAXPROCS
}
