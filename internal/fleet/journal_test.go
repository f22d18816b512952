package fleet

import (
	"fmt"
	"time"
)

// journal is what the clients of a fleet have seen, on the one clock of the
// simulation.
type journal struct {
	lossy       bool // the store may show a change and then lose it
	requests    []request
	revocations []revocation
}

type request struct {
	key        string
	host       string
	began, end time.Duration
	strict     bool // it has asked for the newest state first
	verdict    verdict
}

type revocation struct {
	key        string
	began, end time.Duration
	confirmed  bool
}

// check says what in the journal a fleet must not do:
//
//   - accept a request for a key that began after a revocation of it was confirmed;
//   - deny one that ended before any revocation began;
//   - with strict requests, accept one that began after another was denied: with
//     the two rules above that makes each key a register that is linearizable. The
//     rule is for stores that show nothing which they may lose.
func (j *journal) check() error {
	type life struct{ begun, confirmed, denied time.Duration }
	const never = time.Duration(1<<63 - 1)
	lives := map[string]*life{}
	of := func(key string) *life {
		if lives[key] == nil {
			lives[key] = &life{never, never, never}
		}
		return lives[key]
	}
	for _, r := range j.revocations {
		l := of(r.key)
		l.begun = min(l.begun, r.began)
		if r.confirmed {
			l.confirmed = min(l.confirmed, r.end)
		}
	}
	for _, r := range j.requests {
		if r.strict && r.verdict == denied && !j.lossy {
			of(r.key).denied = min(of(r.key).denied, r.end)
		}
	}
	for _, r := range j.requests {
		l := of(r.key)
		switch {
		case r.verdict == accepted && r.began > l.confirmed:
			return fmt.Errorf("%s accepted %s at %v in a request of %v; its revocation was confirmed at %v", r.host, r.key, r.end, r.began, l.confirmed)
		case r.verdict == denied && r.end < l.begun:
			return fmt.Errorf("%s denied %s at %v; its revocation began at %v", r.host, r.key, r.end, l.begun)
		case r.verdict == accepted && r.strict && r.began > l.denied:
			return fmt.Errorf("%s accepted %s at %v in a strict request of %v; another one was denied at %v", r.host, r.key, r.end, r.began, l.denied)
		}
	}
	return nil
}
