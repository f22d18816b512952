package kerberos

import (
	"crypto/sha256"
	"sync"
	"time"
)

// replays remembers the authenticators that were accepted, for as long as their
// time would have them accepted again. It forgets in two generations: at the
// end of a period what came before it.
//
// gokrb5's own memory asks and notes in two steps, between which a second
// request slips through, and counts from when an authenticator was seen, while
// one with a time yet to come is good for longer.
type replays struct {
	now func() time.Time

	mu            sync.Mutex // guards what follows
	began         time.Time  // the period of recent
	recent, older map[[sha256.Size]byte]struct{}
}

// replayPeriod is how long an authenticator can be good at most, which is from
// skew before its time until skew after it, and a minute for a request that dawdles.
const replayPeriod = 2*skew + time.Minute

func newReplays(now func() time.Time) *replays {
	return &replays{now: now, began: now(), recent: map[[sha256.Size]byte]struct{}{}}
}

// first notes an encrypted authenticator, and reports whether it is new. Nobody
// without the key can write the same one in another way.
func (r *replays) first(authenticator []byte) bool {
	digest := sha256.Sum256(authenticator)
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := r.now(); now.Sub(r.began) >= replayPeriod {
		r.older, r.recent, r.began = r.recent, map[[sha256.Size]byte]struct{}{}, now
	}
	_, inRecent := r.recent[digest]
	_, inOlder := r.older[digest]
	r.recent[digest] = struct{}{}
	return !inRecent && !inOlder
}
