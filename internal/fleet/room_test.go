package fleet

import (
	"context"
	"errors"
	"time"

	"latchkey/internal/cache"
)

// room accepts keys from memory, as the rooms of the product do.
type room struct {
	host *host
	keys *cache.Cache[struct{}]
}

// verdict is what a request is told.
type verdict int

const (
	accepted verdict = iota
	denied
	unavailable
)

var errRevoked = errors.New("revoked")

func newRoom(h *host) *room {
	return &room{h, cache.New[struct{}](cache.Options{Max: 100, TTL: time.Hour, Now: func() time.Time { return time.Unix(0, int64(h.Now())) }})}
}

func (r *room) apply(body []byte) error {
	ids, err := DecodeIDs(body)
	r.keys.Kill(ids...)
	return err
}

func (r *room) verify(ctx context.Context, key string) verdict {
	s := r.host.sim
	for range 3 {
		e := r.keys.Get(key)
		if e == nil {
			var err error
			if s.broken == noTombs {
				if _, err = r.load(ctx, key); err == nil {
					e, err = r.keys.Fill(ctx, key, func(context.Context, string) (v struct{}, err error) { return v, nil })
				}
			} else {
				e, err = r.keys.Fill(ctx, key, r.load)
			}
			switch {
			case err == errRevoked:
				return denied
			case err != nil:
				return unavailable
			}
		}
		if s.chance(s.slowSecrets) {
			s.sleep(s.upTo(2 * leaseLength))
		}
		died := r.keys.Dead(e)
		if s.broken == deadFirst && s.chance(0.5) {
			s.sleep(s.upTo(time.Second)) // or is paused
		}
		if s.broken != noLease && r.host.node.Lease().Check() != nil {
			return unavailable
		}
		switch s.broken {
		case noDead:
			died = false
		case deadFirst:
		default:
			died = r.keys.Dead(e)
		}
		if !died {
			return accepted
		}
	}
	return unavailable
}

// load reads whether the key is revoked, if the store is not older than this node.
func (r *room) load(_ context.Context, key string) (v struct{}, err error) {
	c := r.host.connection()
	seen := r.host.node.Seen()
	d, err := c.arrive()
	if err != nil {
		return v, err
	}
	revoked, fresh := d.revoked[key] != 0, d.holds(seen)
	switch c.sim.broken {
	case byNumber:
		fresh = d.head().Rev >= seen.Rev
	case anyStore:
		fresh = true
	}
	if err := c.answer(); err != nil {
		return v, err
	}
	switch {
	case !fresh:
		return v, errBehind
	case revoked:
		return v, errRevoked
	}
	return v, nil
}

// revoke ends keys, and returns once no node accepts them any more.
func (r *room) revoke(ctx context.Context, keys []string) error {
	s, n := r.host.sim, r.host.node
	record, done, err := r.host.connection().revoke(keys)
	if err != nil {
		r.keys.Flush() // it may have been committed
		return err
	}
	if !done {
		switch s.broken {
		case noRepeat:
			return nil
		case blindRepeat:
			return n.Barrier(ctx, record.Mark)
		}
		return n.Repeat(ctx, record.Mark)
	}
	n.Committed(record)
	if s.broken == giveUp {
		s.sleep(50 * time.Millisecond)
		return nil
	}
	return n.Barrier(ctx, record.Mark)
}
