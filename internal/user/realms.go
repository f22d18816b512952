package user

import (
	"context"

	"latchkey/internal/access"
	"latchkey/internal/realm"
)

var (
	_ realm.Owner     = Reserved{}
	_ realm.Passwords = Native{}
	_ realm.Lookups   = Native{}
	_ realm.Cacher    = Native{}
)

// Reserved is the link of the chain that knows the built-in users. It owns their
// names, and those that nobody may have: of the anonymous user, and of the
// original for itself.
type Reserved struct{ link }

// Native is the link that knows the stored users.
type Native struct{ link }

// link is what both are: the names part them.
type link struct{ s *Service }

// Reserved returns the realm of the built-in users.
func (s *Service) Reserved() Reserved { return Reserved{link{s}} }

// Native returns the realm of the stored users.
func (s *Service) Native() Native { return Native{link{s}} }

// Identity implements realm.Realm.
func (Reserved) Identity() access.Realm { return ReservedRealm }

// Identity implements realm.Realm.
func (n Native) Identity() access.Realm { return n.s.native }

// Owns implements realm.Owner.
func (r Reserved) Owns(username string) bool {
	return r.s.isReserved(username) || r.s.isAnonymous(username) || isInternal(username)
}

// Authenticate asks for owned names alone.
func (r Reserved) Authenticate(ctx context.Context, username, password string) (access.Subject, error) {
	if !r.Owns(username) {
		return access.Subject{}, unknown(username)
	}
	return r.link.Authenticate(ctx, username, password)
}

// Lookup looks for owned names alone.
func (r Reserved) Lookup(ctx context.Context, username string) (access.Subject, error) {
	if !r.Owns(username) {
		return access.Subject{}, unknown(username)
	}
	return r.link.Lookup(ctx, username)
}

// Authenticate implements realm.Passwords.
func (l link) Authenticate(ctx context.Context, username, password string) (access.Subject, error) {
	return l.s.authenticate(ctx, username, password)
}

// Lookup implements realm.Lookups.
func (l link) Lookup(ctx context.Context, username string) (access.Subject, error) {
	return l.s.Lookup(ctx, username)
}

// Forget implements realm.Cacher.
func (l link) Forget(usernames []string) {
	l.s.Forget(usernames)
}

// Forget has the users of these names, or all if there are none, looked up anew: another node
// has changed them.
func (s *Service) Forget(usernames []string) {
	if len(usernames) == 0 {
		s.cache.Flush()
		return
	}
	s.cache.Kill(usernames...)
}

// Directory finds users of all realms by their names.
type Directory interface {
	Lookup(ctx context.Context, username string) (access.Subject, error)
}

// LookElsewhere names who knows the users of all realms, so that whoever changes
// a user of another one learns whose it is. It is called before anything else.
func (s *Service) LookElsewhere(all Directory) { s.elsewhere = all }
