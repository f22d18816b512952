package token

import (
	"context"
	"encoding/hex"
	"log/slog"
	"sync/atomic"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/cache"
	"latchkey/internal/fault"
)

// Users proves who holds a password.
type Users interface {
	// Authenticate returns the subject that holds a password, without its
	// permissions, or fault.Unauthenticated.
	Authenticate(ctx context.Context, username, password string) (access.Subject, error)
}

// Tickets is a Kerberos realm.
type Tickets interface {
	// Authenticate judges a SPNEGO token. reply goes back to the client and may
	// be nil. A ticket that proves nothing is fault.Unauthenticated; where the
	// negotiation needs another round, the error is *[Continue].
	Authenticate(ctx context.Context, ticket []byte) (s access.Subject, reply []byte, err error)
}

// Continue is the error of a negotiation that is not over.
type Continue struct{ Reply []byte }

func (*Continue) Error() string { return "the negotiation needs another round" }

// Roles resolves role names.
type Roles interface {
	// Permissions returns what somebody with these roles may do. As long as it is
	// the same, it is [access.Permissions.Same].
	Permissions(ctx context.Context, names []string) (access.Permissions, error)
	// Standing returns what Permissions has returned, and what tells whether it would
	// return the same now; nil if that is not known.
	Standing(names []string) (access.Permissions, func() (bool, error))
}

// APIKeys knows the keys that tokens were made with.
type APIKeys interface {
	// Holder returns the caller that a key stands for, or fault.Unauthenticated
	// once it is invalidated, has expired or is gone.
	Holder(ctx context.Context, id string) (*access.Caller, error)
}

// Options holds the settings of section 2 of spec/tokens.md.
type Options struct {
	Enabled       bool
	Timeout       time.Duration // life of an access token
	PurgeInterval time.Duration // between two runs of the purge
	PurgeTimeout  time.Duration // of one run; 0 or less: none
	KeepFamily    bool          // the late reuse of a refresh token is logged, and revokes nothing
	CacheTTL      time.Duration // of a verified token, after its last use; it bounds memory. 0 keeps nothing
	CacheMax      int           // tokens
	Now           func() time.Time
	Lease         func() error // as of cache.Options
	Log           *slog.Logger // for the reuse of refresh tokens
}

// What nobody can configure (spec/tokens.md 5).
const (
	refreshLife  = 24 * time.Hour
	replayWindow = 30 * time.Second // in which a used refresh token leads to the same pair; also how far clocks may differ
	retention    = 24 * time.Hour   // of a record, from its creation
)

// Service is the token domain. It owns the cache of loaded tokens, because it
// is also what makes an entry in that cache wrong.
type Service struct {
	store   Store
	users   Users
	tickets Tickets
	roles   Roles
	keys    APIKeys
	o       Options
	tokens  *cache.Cache[*loaded]
	holders *cache.Cache[*holder] // by digest, so no entry can become wrong
	issued  atomic.Bool           // a token is known to have been issued once

	invalidated, purged atomic.Uint64 // since the start
}

// Stats tells what a service has done since it was made.
type Stats struct {
	Invalidated uint64 // access and refresh tokens that somebody asked to end
	Purged      uint64 // pairs of them
	Cache       cache.Stats
}

// Stats returns those of now.
func (s *Service) Stats() Stats {
	return Stats{s.invalidated.Load(), s.purged.Load(), s.tokens.Stats()}
}

// maxHolders bounds the identities in memory. Most tokens share a few.
const maxHolders = 10_000

// New returns the service over a store. tickets is nil without a Kerberos realm.
func New(store Store, users Users, tickets Tickets, roles Roles, keys APIKeys, o Options) *Service {
	return &Service{
		store: store, users: users, tickets: tickets, roles: roles, keys: keys, o: o,
		tokens:  cache.New[*loaded](cache.Options{Max: o.CacheMax, TTL: o.CacheTTL, Now: o.Now, Lease: o.Lease}),
		holders: cache.New[*holder](cache.Options{Max: maxHolders, TTL: o.CacheTTL, Now: o.Now}),
	}
}

const actions = "cluster:admin/xpack/security/token/"

func (s *Service) disabled() error {
	if s.o.Enabled {
		return nil
	}
	f := fault.New(fault.Disabled, "security tokens are switched off by [xpack.security.authc.token.enabled]")
	f.Fields = []fault.Field{{Name: "disabled.feature", Value: "security_tokens"}}
	return f
}

// holder returns an identity in memory.
func (s *Service) holder(ctx context.Context, snapshot Snapshot) (*holder, error) {
	name := hex.EncodeToString(snapshot.Digest[:])
	if e := s.holders.Get(name); e != nil {
		return e.Value, nil
	}
	e, err := s.holders.Fill(ctx, name, func(context.Context, string) (*holder, error) {
		i, err := snapshot.identity()
		c := i.caller(access.ByToken)
		return &holder{subject: c.Subject, by: c.By}, err
	})
	if err != nil {
		return nil, err
	}
	return e.Value, nil
}

// kill ends the cached tokens with the given access hashes.
func (s *Service) kill(hashes []Hash) {
	keys := make([]string, len(hashes))
	for i, h := range hashes {
		keys[i] = string(h[:])
	}
	s.tokens.Kill(keys...)
}

// Ended has the tokens with these access hashes, or all that are in memory if
// there are none, looked up anew: somebody else has invalidated them.
func (s *Service) Ended(hashes []Hash) {
	if len(hashes) == 0 {
		s.tokens.Flush()
		return
	}
	s.kill(hashes)
	s.invalidated.Add(uint64(len(hashes)))
}

// Forget is [Service.Ended] for what another node has done; hashes are bytes here.
func (s *Service) Forget(hashes []string) {
	if len(hashes) == 0 {
		s.tokens.Flush()
		return
	}
	s.tokens.Kill(hashes...)
}

// ForgetOwner is [Service.Forget] for the tokens that act as a username of a realm;
// "" is any.
func (s *Service) ForgetOwner(username, realm string) {
	s.tokens.KillWhere(func(t *loaded) bool {
		return (username == "" || t.username == username) && (realm == "" || t.realm == realm)
	})
}

// ForgetIf is [Service.Forget] for the tokens whose access hashes it is true of.
func (s *Service) ForgetIf(named func(hash string) bool) {
	s.tokens.KillWhere(func(t *loaded) bool { return named(t.key) })
}

// uncertain clears the cache if a failed write may have happened all the same,
// and returns err. The kinds that say "surely not" leave it alone.
func (s *Service) uncertain(err error) error {
	switch fault.KindOf(err) {
	case fault.Internal, fault.Unknown:
		s.tokens.Flush()
	}
	return err
}

// Purge removes the tokens whose time is over, now and then at every interval,
// until ctx ends. Failures of a run go to report; the next run tries again.
func (s *Service) Purge(ctx context.Context, report func(removed int, err error)) error {
	tick := time.NewTicker(s.o.PurgeInterval)
	defer tick.Stop()
	for {
		if n, err := s.purge(ctx); n > 0 || err != nil && ctx.Err() == nil {
			report(n, err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// purgeBatch bounds how long one step of a purge holds up other writes.
const purgeBatch = 1000

func (s *Service) purge(ctx context.Context) (removed int, err error) {
	if s.o.PurgeTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.o.PurgeTimeout)
		defer cancel()
	}
	before := s.o.Now().Add(-retention)
	for {
		hashes, err := s.store.PurgeTokens(ctx, before, purgeBatch)
		if err != nil {
			return removed, s.uncertain(err)
		}
		s.kill(hashes)
		removed += len(hashes)
		s.purged.Add(uint64(len(hashes)))
		if len(hashes) < purgeBatch {
			return removed, nil
		}
	}
}

func isNotFound(err error) bool { return fault.KindOf(err) == fault.NotFound }
