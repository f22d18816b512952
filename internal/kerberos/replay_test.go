package kerberos

import (
	"testing"
	"time"
)

func TestReplaysAreRememberedForAsLongAsTheyWouldBeAccepted(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r := newReplays(func() time.Time { return now })
	if !r.first([]byte("at once")) {
		t.Error("the first one is new")
	}
	now = now.Add(replayPeriod - time.Second)
	if !r.first([]byte("late in its period")) {
		t.Error("the second one is new")
	}
	now = now.Add(2 * skew) // the last moment at which the second one can be good
	if r.first([]byte("late in its period")) {
		t.Error("it was forgotten while it was good")
	}
	now = now.Add(2 * replayPeriod)
	r.first([]byte("some"))
	now = now.Add(replayPeriod)
	r.first([]byte("others"))
	if n := len(r.recent) + len(r.older); n != 2 {
		t.Errorf("%d authenticators are kept; want the 2 that may still be good", n)
	}
}
