package fleet

import (
	"time"

	"golang.org/x/sys/unix"
)

// sinceBoot reads the clock that a suspended machine does not stop; package time
// reads the one that it does.
func sinceBoot() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic("no boot clock: " + err.Error()) // Linux has had it since 2.6.39; without one no lease can be judged
	}
	return time.Duration(ts.Nano())
}
