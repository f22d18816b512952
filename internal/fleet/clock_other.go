//go:build !linux

package fleet

import "time"

var started = time.Now()

// sinceBoot stands still while the machine is suspended: fleets run on Linux.
func sinceBoot() time.Duration { return time.Since(started) }
