package apikey

import (
	"context"
	"time"

	"latchkey/internal/access"
)

// Counts tells how many keys there are. Each is live, invalidated or expired.
type Counts struct {
	Live, Invalidated, Expired int
	Expiring                   int // of the live ones, those that expire within [Options.Notice]
}

// Expiring is the keys that expire soon.
type Expiring struct {
	Until time.Time // what soon means
	Keys  []Key     // the next to expire first; the first [MaxExpiring] of them
	More  bool      // there are more than that
}

// MaxExpiring bounds a list of keys that expire soon.
const MaxExpiring = 10_000

// Expiring returns everybody's keys that are alive and expire within the given
// time, or within [Options.Notice] if within is nil. It needs the right to see them.
func (s *Service) Expiring(ctx context.Context, by *access.Caller, within *time.Duration) (Expiring, error) {
	if err := by.Authorize(access.Request{Action: actions + "get"}); err != nil {
		return Expiring{}, err
	}
	if err := s.disabled(); err != nil {
		return Expiring{}, err
	}
	if within == nil {
		within = &s.o.Notice
	}
	now := s.o.Now()
	soon := Expiring{Until: now.Add(*within)}
	var err error
	if soon.Keys, err = s.store.ExpiringAPIKeys(ctx, now, soon.Until, MaxExpiring+1); err != nil {
		return Expiring{}, err
	}
	if soon.More = len(soon.Keys) > MaxExpiring; soon.More {
		soon.Keys = soon.Keys[:MaxExpiring]
	}
	return soon, nil
}

// Count returns how many keys there are now.
func (s *Service) Count(ctx context.Context) (Counts, error) {
	now := s.o.Now()
	return s.store.CountAPIKeys(ctx, now, now.Add(s.o.Notice))
}

// WarnTurn is longer than it takes to look for a batch of keys, to tell of it and to
// note that, or until the next look.
const WarnTurn = 5 * time.Minute

const (
	warnInterval = time.Minute
	maxWarnWait  = time.Hour
	warnBatch    = 100 // keys
)

// Warn has tell learn of each key that expires within [Options.Notice], once, and
// again if its expiry has changed; what was told survives a restart. It looks now and
// then every minute, until ctx ends. Keys that tell did not take it gets again, after
// a time that doubles up to an hour. What happened goes to report. Where several
// share the keys, mine says before each look whether the next [WarnTurn] is this
// one's to tell.
func (s *Service) Warn(ctx context.Context, mine func(context.Context) (bool, error), tell func(context.Context, []Key) error, report func(told int, err error)) error {
	for wait := warnInterval; ; {
		told, err := s.warn(ctx, mine, tell)
		if told > 0 || err != nil && ctx.Err() == nil {
			report(told, err)
		}
		if err == nil {
			wait = warnInterval
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		if err != nil {
			wait = min(2*wait, maxWarnWait)
		}
	}
}

func (s *Service) warn(ctx context.Context, mine func(context.Context) (bool, error), tell func(context.Context, []Key) error) (told int, err error) {
	for {
		if ok, err := mine(ctx); !ok || err != nil {
			return told, err
		}
		now := s.o.Now()
		keys, err := s.store.UntoldAPIKeys(ctx, now, now.Add(s.o.Notice), warnBatch)
		if err != nil || len(keys) == 0 {
			return told, err
		}
		if err := tell(ctx, keys); err != nil {
			return told, err
		}
		if err := s.store.NoteTold(ctx, keys); err != nil {
			return told, err
		}
		told += len(keys)
	}
}
