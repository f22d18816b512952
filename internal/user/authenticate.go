package user

import (
	"context"
	"sync/atomic"

	"latchkey/internal/access"
	"latchkey/internal/cache"
	"latchkey/internal/fault"
	"latchkey/internal/realm"
	"latchkey/internal/secret"
)

// account is a user as logins need it. What it holds does not change; a write
// to the user kills the cache entry around it.
type account struct {
	subject access.Subject
	hash    string // empty: no password matches
	enabled bool
	adopt   bool // the hash comes from the automatic configuration and is stored at the first login

	// good recognizes the last password that matched hash without computing
	// hash again. It is set only while the user is enabled.
	good atomic.Pointer[secret.Digest]
}

// Authenticate returns the user with this name and password. The reserved
// realm answers for its names alone; all others are asked of the native realm.
// An unknown name, a wrong password and a disabled user are one
// fault.Unauthenticated, and cost about the same time. The subject's
// permissions are not filled in; it is shared and not to be changed.
func (s *Service) Authenticate(ctx context.Context, username, password string) (access.Subject, error) {
	subject, err := s.authenticate(ctx, username, password)
	if fault.KindOf(err) == fault.NotFound {
		err = s.Refuse(ctx, username, password)
	}
	return subject, err
}

// authenticate is Authenticate for a link of the chain: a name without a
// password is fault.NotFound and costs no time. Who holds the password of a
// disabled user is told apart by [realm.ErrDisabled].
func (s *Service) authenticate(ctx context.Context, username, password string) (access.Subject, error) {
	if s.offForLogin(username) {
		return access.Subject{}, unknown(username)
	}
	proved := "" // a stored hash that password is known to match
	for _, read := range s.rounds() {
		e, err := read(ctx, username)
		if fault.KindOf(err) == fault.NotFound || err == nil && e.Value.hash == "" {
			return access.Subject{}, unknown(username)
		}
		if err != nil {
			return access.Subject{}, err
		}
		a := e.Value
		if good := a.good.Load(); (good == nil || !good.Matches(password)) && proved != a.hash {
			match, err := s.check(ctx, a.hash, password)
			if err != nil {
				return access.Subject{}, err
			}
			if !match {
				return access.Subject{}, s.refused(e, wrong(username))
			}
			proved = a.hash
		}
		if !a.enabled {
			return access.Subject{}, s.refused(e, fault.Wrap(realm.ErrDisabled, fault.Unauthenticated, "unable to authenticate user [%s]", username))
		}
		if a.adopt {
			_, err := s.store.InitReservedUserPassword(ctx, username, a.hash, false)
			s.cache.Kill(username)
			if err != nil {
				return access.Subject{}, err
			}
			continue // with the password that is stored now, which need not be this one
		}
		if proved != "" {
			digest := secret.NewDigest(password)
			a.good.Store(&digest)
		}
		switch alive, err := s.cache.Trust(e); { // last: what changed during the checks above is checked again
		case err != nil:
			return access.Subject{}, err
		case alive:
			return a.subject, nil
		}
	}
	return access.Subject{}, fault.New(fault.Unavailable, "user [%s] changed while the password was checked", username)
}

// refused returns why an entry refuses somebody, or that this node cannot know: the
// user may have another password by now, or be enabled.
func (s *Service) refused(e *cache.Entry[*account], why error) error {
	if _, err := s.cache.Trust(e); err != nil {
		return err
	}
	return why
}

// Lookup returns a user that somebody else wants to run as. An unknown name is
// fault.NotFound, a disabled user fault.Unauthenticated. The subject is as of
// [Service.Authenticate].
func (s *Service) Lookup(ctx context.Context, username string) (access.Subject, error) {
	if s.nativeOff && !s.isReserved(username) {
		return access.Subject{}, unknown(username)
	}
	for _, read := range s.rounds() {
		e, err := read(ctx, username)
		if err != nil {
			return access.Subject{}, err
		}
		if !e.Value.enabled {
			return access.Subject{}, s.refused(e, wrong(username))
		}
		switch alive, err := s.cache.Trust(e); {
		case err != nil:
			return access.Subject{}, err
		case alive:
			return e.Value.subject, nil
		}
	}
	return access.Subject{}, fault.New(fault.Unavailable, "user [%s] changed while it was looked up", username)
}

// rounds are the ways to read a user, in turn: what is in the cache, and if it
// died meanwhile, what the store holds now. The latter was read after the
// request came, so it answers for this request, whatever becomes of the user
// at the same time; it is not kept.
func (s *Service) rounds() [2]func(context.Context, string) (*cache.Entry[*account], error) {
	return [...]func(context.Context, string) (*cache.Entry[*account], error){
		func(ctx context.Context, username string) (*cache.Entry[*account], error) {
			if e := s.cache.Get(username); e != nil {
				return e, nil
			}
			return s.cache.Fill(ctx, username, s.load)
		},
		func(ctx context.Context, username string) (*cache.Entry[*account], error) {
			a, err := s.load(ctx, username)
			return cache.Alone(a), err
		},
	}
}

// check compares slowly. Many clients that begin at once with the same password
// cost one comparison, and nobody's wrong password holds up another's.
func (s *Service) check(ctx context.Context, hash, password string) (bool, error) {
	match, err, _ := s.checks.Do(hash+"\x00"+password, func() (any, error) {
		return secret.Verify(context.WithoutCancel(ctx), hash, password) // whoever waits for it as well need not go when ctx does
	})
	return match == true, err
}

func (s *Service) offForLogin(username string) bool {
	return (s.nativeOff || s.lookupOnly) && !s.isReserved(username)
}

// Refuse refuses a user that no realm knows. It takes as long as a wrong
// password, so that nobody learns from the time which users exist and have one.
func (s *Service) Refuse(ctx context.Context, username, password string) error {
	decoy, err := s.decoy.of(ctx, s.hasher, secret.GeneratePassword())
	if err != nil {
		return err
	}
	// Not s.check: unknown users who share a comparison would be faster than known ones.
	if _, err := secret.Verify(ctx, decoy, password); err != nil {
		return err
	}
	return wrong(username)
}

func unknown(username string) error {
	return fault.New(fault.NotFound, "user [%s] not found", username)
}

func wrong(username string) error {
	return fault.New(fault.Unauthenticated, "unable to authenticate user [%s]", username)
}

func (s *Service) load(ctx context.Context, username string) (*account, error) {
	if s.isReserved(username) {
		return s.loadReserved(ctx, username)
	}
	if s.isAnonymous(username) { // nobody logs in or runs as it
		return nil, unknown(username)
	}
	a, err := s.store.User(ctx, username)
	if err != nil {
		return nil, err
	}
	return &account{subject: s.known(a.User, s.native), hash: a.Hash, enabled: a.Enabled}, nil
}

func (s *Service) loadReserved(ctx context.Context, username string) (*account, error) {
	u, _ := reservedUser(username)
	state, err := s.store.ReservedUser(ctx, username)
	if fault.KindOf(err) == fault.NotFound {
		state = ReservedState{Enabled: true}
	} else if err != nil {
		return nil, err
	}
	a := &account{subject: s.known(u, ReservedRealm), hash: state.Hash, enabled: state.Enabled}
	if username == Elastic && (state.Hash == "" || state.Generated) {
		switch {
		case !s.bootstrap.IsZero():
			if a.hash, err = s.bootstrapHash.of(ctx, s.hasher, s.bootstrap.Reveal()); err != nil {
				return nil, err
			}
		case s.autoconf != "":
			a.hash, a.adopt = s.autoconf, true
		}
	}
	return a, nil
}

// known is the subject of a user who logs in or is run as.
func (s *Service) known(u User, realm access.Realm) access.Subject {
	u.Roles = s.WithAnonymous(u.Roles)
	return u.subject(realm)
}

func (u User) subject(realm access.Realm) access.Subject {
	return access.Subject{
		Username: u.Username, FullName: u.FullName, Email: u.Email,
		Metadata: u.Metadata, Roles: u.Roles, Realm: realm,
	}
}
