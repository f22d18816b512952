package fleet

import (
	"flag"
	"testing"
	"time"
)

var schedules = flag.Uint64("schedules", usualSchedules, "how many schedules of each kind are played")

func TestNoScheduleBreaksThePromise(t *testing.T) {
	for _, k := range []kind{well, failovers, stalls, settings, returning, ignorant, anything} {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			n := *schedules
			if testing.Short() {
				n = max(n/10, min(n, 15)) // fewer do not show everything
			}
			exits, verdicts, confirmed := map[Exit]int{}, map[verdict]int{}, 0
			for seed := range n {
				s := schedule(k, seed, sound)
				if err := s.journal.check(); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				// A node that stands still notices late that its wait is over.
				if most := s.hosts[0].node.patience(s.span) + 10*time.Millisecond; s.pauses == 0 && s.longest > most {
					t.Fatalf("seed %d: somebody waited for %v at the barrier, want %v at most", seed, s.longest, most)
				}
				for by, n := range s.exits {
					exits[by] += n
				}
				for _, r := range s.journal.requests {
					if k.name == well.name && r.verdict == unavailable && r.began > time.Second { // nodes have joined by then
						t.Fatalf("seed %d: %s refused %s at %v although all is well", seed, r.host, r.key, r.end)
					}
					verdicts[r.verdict]++
				}
				for _, r := range s.journal.revocations {
					if r.confirmed {
						confirmed++
					}
				}
			}
			t.Logf("barrier %v, requests %v, confirmed %d", exits, verdicts, confirmed)
			if verdicts[accepted] == 0 || verdicts[denied] == 0 || confirmed == 0 || len(exits) != k.exits && k.exits != 0 {
				t.Errorf("the schedules do not show what they should: %d exits", k.exits)
			}
		})
	}
}

// The same seed is the same schedule.
func TestSchedulesCanBePlayedAgain(t *testing.T) {
	for seed := range uint64(5) {
		a, b := schedule(anything, seed, sound), schedule(anything, seed, sound)
		if len(a.journal.requests) != len(b.journal.requests) || a.serial != b.serial {
			t.Fatalf("seed %d: %d events and then %d", seed, a.serial, b.serial)
		}
		for i, r := range a.journal.requests {
			if r != b.journal.requests[i] {
				t.Fatalf("seed %d: %+v and then %+v", seed, r, b.journal.requests[i])
			}
		}
	}
}
