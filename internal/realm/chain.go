package realm

import (
	"context"
	"crypto/x509"
	"errors"
	"slices"
	"strings"

	"latchkey/internal/access"
	"latchkey/internal/fault"
)

// Actions as refusals name them.
const actionClearCache = "cluster:admin/xpack/security/realm/cache/clear"

// Chain is the realms in the order in which they are asked. It is safe for
// concurrent use once all realms were added.
type Chain struct {
	realms []Realm
	o      Options
}

// Options says how a [Chain] works.
type Options struct {
	// Everybody is the roles of whoever is known at all: those of anonymous access.
	Everybody []string
	// Refuse answers about a name that no realm knows. It takes as long as a wrong
	// password, so that nobody learns from the time which users exist. nil: no time.
	Refuse func(ctx context.Context, username, password string) error
	// Forget has the other nodes forget what the realms keep of the users, or of all
	// for no usernames, before it returns. nil: there are none.
	Forget func(ctx context.Context, realms, usernames []string) error
}

// NewChain returns a chain without realms.
func NewChain(o Options) *Chain { return &Chain{o: o} }

// Add puts realms at the end of the chain. Nothing may be asked before all were added.
func (c *Chain) Add(realms ...Realm) { c.realms = append(c.realms, realms...) }

// Realms returns who is in the chain, in order.
func (c *Chain) Realms() []access.Realm {
	all := make([]access.Realm, len(c.realms))
	for i, r := range c.realms {
		all[i] = r.Identity()
	}
	return all
}

// Authenticate returns who holds a password, without permissions, or
// fault.Unauthenticated. An outage of a realm is reported only if no other
// realm accepts.
func (c *Chain) Authenticate(ctx context.Context, username, password string) (access.Subject, error) {
	var down, wrong error
	for _, r := range c.asked(username) {
		p, ok := r.(Passwords)
		if !ok {
			continue
		}
		s, err := p.Authenticate(ctx, username, password)
		kind := fault.KindOf(err)
		switch {
		case err == nil:
			return c.complete(s), nil
		case errors.Is(err, ErrDisabled):
			return access.Subject{}, err
		case kind == fault.NotFound:
		case kind == fault.Unauthenticated:
			wrong = err
		case kind == fault.Unavailable:
			down = err
		default:
			return access.Subject{}, err
		}
	}
	switch {
	case down != nil:
		return access.Subject{}, down
	case wrong != nil:
		return access.Subject{}, wrong
	}
	if c.o.Refuse != nil {
		if err := c.o.Refuse(ctx, username, password); err != nil {
			return access.Subject{}, err
		}
	}
	return access.Subject{}, fault.New(fault.Unauthenticated, "unable to authenticate user [%s]", username)
}

// Lookup returns a user by name alone, without permissions; fault.NotFound if
// there is none, fault.Unauthenticated if the user is disabled.
func (c *Chain) Lookup(ctx context.Context, username string) (access.Subject, error) {
	for _, r := range c.asked(username) {
		s, err := lookup(ctx, r, username)
		if err == nil {
			return c.complete(s), nil
		}
		if fault.KindOf(err) != fault.NotFound {
			return access.Subject{}, err
		}
	}
	return access.Subject{}, notFound(username)
}

// LookupIn is [Chain.Lookup] in the named realms alone, in the order of the
// names: whose roles a user of another realm has (authorization_realms).
func (c *Chain) LookupIn(ctx context.Context, realms []string, username string) (access.Subject, error) {
	asked := c.asked(username)
	for _, name := range realms {
		at := slices.IndexFunc(asked, func(r Realm) bool { return r.Identity().Name == name })
		if at < 0 {
			continue
		}
		s, err := lookup(ctx, asked[at], username)
		if err == nil {
			return c.complete(s), nil
		}
		if fault.KindOf(err) != fault.NotFound {
			return access.Subject{}, err
		}
	}
	return access.Subject{}, notFound(username)
}

// CanLookup reports whether a realm of the chain knows users by name alone.
func (c *Chain) CanLookup(name string) bool {
	return slices.ContainsFunc(c.realms, func(r Realm) bool {
		_, ok := r.(Lookups)
		return ok && r.Identity().Name == name
	})
}

// AuthenticateBearer returns who a signed token is about, without permissions.
// mine is false if no realm takes it for one of its tokens.
func (c *Chain) AuthenticateBearer(ctx context.Context, token, clientSecret string) (_ access.Subject, mine bool, err error) {
	for _, r := range c.realms {
		b, ok := r.(Bearers)
		if !ok {
			continue
		}
		s, its, e := b.AuthenticateBearer(ctx, token, clientSecret)
		switch {
		case !its:
		case e == nil:
			return c.complete(s), true, nil
		case !passes(e):
			return access.Subject{}, true, e
		default:
			mine, err = true, graver(err, e)
		}
	}
	return access.Subject{}, mine, err
}

// AuthenticateCertificate returns whose certificate chain it is, without
// permissions; fault.NotFound if no realm judges certificates.
func (c *Chain) AuthenticateCertificate(ctx context.Context, chain []*x509.Certificate) (access.Subject, error) {
	var err error = fault.New(fault.NotFound, "no realm judges certificates")
	for _, r := range c.realms {
		p, ok := r.(Certificates)
		if !ok {
			continue
		}
		s, e := p.AuthenticateCertificate(ctx, chain)
		switch {
		case e == nil:
			return c.complete(s), nil
		case !passes(e):
			return access.Subject{}, e
		}
		err = graver(err, e)
	}
	return access.Subject{}, err
}

// WithAnonymous returns the roles of somebody who was assigned the given ones:
// what requests without a credential may do, everybody may who is known.
func (c *Chain) WithAnonymous(roles []string) []string {
	all := slices.Clip(roles)
	for _, r := range c.o.Everybody {
		if !slices.Contains(all, r) {
			all = append(all, r)
		}
	}
	return all
}

// ClearCache forgets what the named realms keep of the named users, or of all
// users if there are no names, on all nodes; "*" and "_all" are every realm. Names
// that are no realm of the chain are fault.NotFound, after the others have been cleared.
func (c *Chain) ClearCache(ctx context.Context, by *access.Caller, realms, usernames []string) error {
	if err := by.Authorize(access.Request{Action: actionClearCache}); err != nil {
		return err
	}
	every := slices.Contains(realms, "*") || slices.Contains(realms, "_all")
	var known []string
	unknown := slices.DeleteFunc(slices.Clone(realms), func(r string) bool { return r == "*" || r == "_all" })
	for _, r := range c.realms {
		name := r.Identity().Name
		if every || slices.Contains(realms, name) {
			known = append(known, name)
		}
		unknown = slices.DeleteFunc(unknown, func(s string) bool { return s == name })
	}
	c.Forget(known, usernames)
	if c.o.Forget != nil {
		if err := c.o.Forget(ctx, known, usernames); err != nil {
			return err
		}
	}
	if len(unknown) > 0 {
		return fault.New(fault.NotFound, "there is no realm [%s]", strings.Join(unknown, ", "))
	}
	return nil
}

// Forget drops what the named realms keep of the named users, or of all users if
// there are no names: another node wants it.
func (c *Chain) Forget(realms, usernames []string) {
	for _, r := range c.realms {
		if keeps, ok := r.(Cacher); ok && slices.Contains(realms, r.Identity().Name) {
			keeps.Forget(usernames)
		}
	}
}

// asked is the realms that may know a name: its owner alone, if it has one.
func (c *Chain) asked(username string) []Realm {
	for i, r := range c.realms {
		if o, ok := r.(Owner); ok && o.Owns(username) {
			return c.realms[i : i+1]
		}
	}
	return c.realms
}

func lookup(ctx context.Context, r Realm, username string) (access.Subject, error) {
	l, ok := r.(Lookups)
	if !ok {
		return access.Subject{}, notFound(username)
	}
	return l.Lookup(ctx, username)
}

func notFound(username string) error {
	return fault.New(fault.NotFound, "user [%s] not found", username)
}

// passes reports whether the next realm is asked after err.
func passes(err error) bool {
	kind := fault.KindOf(err)
	return (kind == fault.Unauthenticated || kind == fault.NotFound || kind == fault.Unavailable) && !errors.Is(err, ErrDisabled)
}

// graver is which of two errors is reported: an outage before a refusal, a
// refusal before an unknown name, the earlier one of a kind.
func graver(a, b error) error {
	weight := func(err error) int {
		if err == nil {
			return -1
		}
		return slices.Index([]fault.Kind{fault.NotFound, fault.Unauthenticated, fault.Unavailable}, fault.KindOf(err))
	}
	if weight(b) > weight(a) {
		return b
	}
	return a
}

// complete is a subject as the callers of the chain see it.
func (c *Chain) complete(s access.Subject) access.Subject {
	s.Roles = c.WithAnonymous(s.Roles)
	return s
}
