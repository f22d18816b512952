package ldap

import (
	"context"
	"sync"
	"time"

	"latchkey/internal/fault"
)

// pool keeps connections for their next use.
type pool struct {
	servers *servers
	o       *Options
	prepare func(*conn) error // makes a new connection ready; may be nil
	turns   chan struct{}     // one for each connection that may be in use; nil is no limit

	mu     sync.Mutex
	idle   []*conn // the one that was used last comes last
	closed bool
}

func newPool(s *servers, o *Options, prepare func(*conn) error) *pool {
	p := &pool{servers: s, o: o, prepare: prepare}
	if o.Pool.Size > 0 {
		p.turns = make(chan struct{}, o.Pool.Size)
	}
	return p
}

// use runs f with a connection. One that lay idle may have been cut off by the
// server meanwhile: then f runs again with another.
func (p *pool) use(ctx context.Context, f func(*conn) error) error {
	if p.turns != nil {
		select {
		case p.turns <- struct{}{}:
			defer func() { <-p.turns }()
		case <-ctx.Done():
			return ctx.Err()
		case <-after(p.o.Response):
			return fault.New(fault.Unavailable, "all connections to the directory are in use")
		}
	}
	for {
		c, used, err := p.take(ctx)
		if err != nil {
			return err
		}
		err = f(c)
		if err != nil && (broken(err) || c.IsClosing()) {
			_ = c.Close() // it is broken already
			if used {
				continue
			}
			return failure(err)
		}
		p.put(c)
		if err != nil && fault.KindOf(err) == fault.Internal {
			err = failure(err)
		}
		return err
	}
}

// after is a channel that tells when d is over; 0 is never.
func after(d time.Duration) <-chan time.Time {
	if d <= 0 {
		return nil
	}
	return time.After(d)
}

// take returns an idle connection, or a new one.
func (p *pool) take(ctx context.Context) (c *conn, used bool, err error) {
	for {
		p.mu.Lock()
		if n := len(p.idle); n > 0 {
			c, p.idle = p.idle[n-1], p.idle[:n-1]
		} else {
			c = nil
		}
		p.mu.Unlock()
		if c == nil {
			break
		}
		if !c.IsClosing() && p.healthy(ctx, c) {
			return c, true, nil
		}
		_ = c.Close() // it is of no use any more
	}
	if c, err = p.servers.open(ctx); err != nil {
		return nil, false, err
	}
	if p.prepare != nil {
		if err := p.prepare(c); err != nil {
			_ = c.Close() // err says more
			if fault.KindOf(err) == fault.Unauthenticated {
				err = fault.Wrap(err, fault.Unavailable, "the directory does not accept the bind_dn of the realm [%s]", p.o.Name)
			}
			return nil, false, err
		}
	}
	return c, false, nil
}

// healthy tries a connection that was idle for long.
func (p *pool) healthy(ctx context.Context, c *conn) bool {
	if !p.o.Pool.Check || p.prepare == nil || p.o.Now().Sub(c.idleSince) < p.o.Pool.CheckEvery {
		return true
	}
	dn := p.o.Pool.CheckDN
	if dn == "" {
		dn = p.o.BindDN
	}
	_, err := c.search(ctx, dn, Base, "(objectClass=*)", []string{"1.1"}, 1)
	return !broken(err)
}

func (p *pool) put(c *conn) {
	c.idleSince = p.o.Now()
	p.mu.Lock()
	keep := !p.closed && len(p.idle) < p.o.Pool.Size
	if keep {
		p.idle = append(p.idle, c)
	}
	p.mu.Unlock()
	if !keep {
		_ = c.Close() // nobody needs it
	}
}

func (p *pool) close() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	p.mu.Unlock()
	for _, c := range idle {
		_ = c.Close() // nobody needs it
	}
}
