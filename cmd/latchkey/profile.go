//go:build profile

package main

import (
	"fmt"
	"os"
	"runtime/pprof"
)

// A binary that is built with the tag profile writes where its processor time goes
// to a file of its own in the folder LATCHKEY_CPU_PROFILES, when it ends.
func init() {
	serve := run
	run = func() int {
		f, err := os.CreateTemp(os.Getenv("LATCHKEY_CPU_PROFILES"), "*.pprof")
		if err == nil {
			err = pprof.StartCPUProfile(f)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "latchkey:", err)
			return 1
		}
		status := serve()
		pprof.StopCPUProfile()
		if err := f.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "latchkey:", err)
			return 1
		}
		return status
	}
}
