//go:build !race

package fleet

import "testing"

const usualSchedules = 500

// The checker finds what is wrong with each broken variant, in schedules in which
// it finds nothing wrong with the sound one.
func TestTheCheckerSees(t *testing.T) {
	for _, v := range variants {
		t.Run(string(v.variant), func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(20_000) {
				err := schedule(v.in, seed, v.variant).journal.check()
				if err == nil {
					continue
				}
				t.Logf("seed %d: %v", seed, err)
				if err := schedule(v.in, seed, sound).journal.check(); err != nil {
					t.Errorf("the sound one fails as well: %v", err)
				}
				return
			}
			t.Error("no schedule shows what is wrong")
		})
	}
}
