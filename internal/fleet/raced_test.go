//go:build race

package fleet

// The race detector never forgets a goroutine, and a schedule has hundreds: a
// thousand schedules take it 10 GB. So those who look for schedules run without it.
const usualSchedules = 15
