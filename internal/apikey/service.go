package apikey

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/cache"
	"latchkey/internal/fault"
)

// Users finds whom a key is granted to.
type Users interface {
	// Authenticate returns the subject that holds a password, without its
	// permissions, or fault.Unauthenticated.
	Authenticate(ctx context.Context, username, password string) (access.Subject, error)
	// Lookup returns a subject by name alone, or fault.NotFound.
	Lookup(ctx context.Context, username string) (access.Subject, error)
}

// Tokens finds whom a key is granted to by an access token.
type Tokens interface {
	// Verify returns the caller that holds a token, or fault.Unauthenticated.
	Verify(ctx context.Context, text string) (*access.Caller, error)
}

// Signed finds whom a key is granted to by a token that somebody else has signed.
type Signed interface {
	// AuthenticateBearer returns who a token is about, without permissions; a text
	// that no realm takes for one of its tokens is not mine.
	AuthenticateBearer(ctx context.Context, token, clientSecret string) (s access.Subject, mine bool, err error)
}

// Roles resolves role names.
type Roles interface {
	// Snapshot returns the descriptors of those names that exist, without
	// their descriptions: what a key keeps of its owner.
	Snapshot(ctx context.Context, names []string) (access.RoleSet, error)
	// Permissions returns what somebody with these roles may do.
	Permissions(ctx context.Context, names []string) (access.Permissions, error)
}

// Options holds the settings of section 7.3 of spec/api-keys.md.
type Options struct {
	Enabled       bool
	RunAs         bool          // a grant may name whom the grantee runs as
	CacheTTL      time.Duration // of a verified key, after its last use; 0 switches both caches off
	CacheMax      int           // keys
	DocumentTTL   time.Duration // of parsed role descriptors, after their last use; 0 switches their cache off
	PurgeInterval time.Duration // between two runs of the purge
	PurgeTimeout  time.Duration // of one run; 0 or less: none
	Retention     time.Duration // how long an expired or invalidated key stays readable
	Policies      []Policy      // all that apply to an owner count
	Notice        time.Duration // how long before its expiry a key is said to expire soon
	Now           func() time.Time
	Lease         func() error // as of cache.Options
}

// Service is the API key domain. It owns the cache of loaded keys, because it
// is also what makes an entry in that cache wrong.
type Service struct {
	store  Store
	users  Users
	roles  Roles
	tokens Tokens // nil: no token is accepted
	signed Signed // nil: no signed one is
	o      Options
	keys   *cache.Cache[*loaded]
	uses   uses
	// By digests and the like, so no entry can become wrong.
	sets   *cache.Cache[*roleSet]
	rights *cache.Cache[access.Permissions]
	owners *cache.Cache[*access.Subject] // by all that they are

	invalidated, purged atomic.Uint64 // keys, since the start
}

// Stats tells what a service has done since it was made.
type Stats struct {
	Invalidated, Purged uint64 // keys
	Cache               cache.Stats
}

// Stats returns those of now.
func (s *Service) Stats() Stats {
	return Stats{s.invalidated.Load(), s.purged.Load(), s.keys.Stats()}
}

// maxRoleSets bounds the role sets in memory, and maxOwners the owners. Most keys share a few.
const (
	maxRoleSets = 10_000
	maxOwners   = 10_000
)

// New returns the service over a store.
func New(store Store, users Users, roles Roles, o Options) *Service {
	documentTTL := o.DocumentTTL
	if o.CacheTTL == 0 {
		documentTTL = 0
	}
	return &Service{
		store: store, users: users, roles: roles, o: o, uses: newUses(),
		keys:   cache.New[*loaded](cache.Options{Max: o.CacheMax, TTL: o.CacheTTL, Now: o.Now, Lease: o.Lease}),
		sets:   cache.New[*roleSet](cache.Options{Max: maxRoleSets, TTL: documentTTL, Now: o.Now}),
		rights: cache.New[access.Permissions](cache.Options{Max: maxRoleSets, TTL: documentTTL, Now: o.Now}),
		owners: cache.New[*access.Subject](cache.Options{Max: maxOwners, TTL: documentTTL, Now: o.Now}),
	}
}

// GrantBy has grants accept the access tokens that t verifies. It comes before
// the first request.
func (s *Service) GrantBy(t Tokens) { s.tokens = t }

// GrantBySigned has grants accept the signed tokens that r judges. It comes
// before the first request.
func (s *Service) GrantBySigned(r Signed) { s.signed = r }

const actions = "cluster:admin/xpack/security/api_key/"

func (s *Service) disabled() error {
	if s.o.Enabled {
		return nil
	}
	f := fault.New(fault.Disabled, "API keys are switched off by [xpack.security.authc.api_key.enabled]")
	f.Fields = []fault.Field{{Name: "disabled.feature", Value: "api_keys"}}
	return f
}

// roleSet is a role set in the forms that requests need.
type roleSet struct {
	descriptors access.Descriptors
	role        *access.Role // nil for an empty set
}

func (s *Service) roleSet(ctx context.Context, digest Digest) (*roleSet, error) {
	name := hex.EncodeToString(digest[:])
	if e := s.sets.Get(name); e != nil {
		return e.Value, nil
	}
	e, err := s.sets.Fill(ctx, name, func(ctx context.Context, name string) (*roleSet, error) {
		body, err := s.store.RoleSet(ctx, digest)
		if err != nil {
			return nil, err
		}
		ds, err := access.DecodeDescriptors(body)
		if err != nil {
			return nil, fmt.Errorf("read role set %s: %w", name, err)
		}
		set := &roleSet{descriptors: ds}
		if len(ds) > 0 {
			set.role = access.NewRole(slices.Collect(maps.Values(ds))...)
		}
		return set, nil
	})
	if err != nil {
		return nil, err
	}
	return e.Value, nil
}

// Ended has the keys of these ids, or all that are in memory if there are none,
// looked up anew: somebody else has invalidated them.
func (s *Service) Ended(ids []string) {
	s.Forget(ids)
	s.invalidated.Add(uint64(len(ids)))
}

// Forget is [Service.Ended] for what another node has done.
func (s *Service) Forget(ids []string) {
	if len(ids) == 0 {
		s.keys.Flush()
		return
	}
	s.keys.Kill(ids...)
}

// ForgetOwner is [Service.Forget] for the keys of a username in a realm; "" is any.
func (s *Service) ForgetOwner(username, realm string) {
	s.keys.KillWhere(func(k *loaded) bool {
		return (username == "" || k.owner.Username == username) && (realm == "" || k.owner.Realm.Name == realm)
	})
}

// ForgetIf is [Service.Forget] for the keys whose ids it is true of.
func (s *Service) ForgetIf(named func(id string) bool) {
	s.keys.KillWhere(func(k *loaded) bool { return named(k.id) })
}

// ClearCache forgets what is held in memory of the given keys, or of all if
// ids holds "*" or "_all", on all nodes. Unknown ids are no error. It needs manage_security.
func (s *Service) ClearCache(ctx context.Context, by *access.Caller, ids []string) error {
	if err := by.Authorize(access.Request{Action: "cluster:admin/xpack/security/cache/clear"}); err != nil {
		return err
	}
	for _, id := range ids {
		if id == "*" || id == "_all" {
			s.keys.Flush()
			s.sets.Flush()
			s.rights.Flush()
			return s.store.ForgetAPIKeys(ctx, nil)
		}
	}
	s.keys.Kill(ids...)
	return s.store.ForgetAPIKeys(ctx, ids)
}

// Purge removes the keys whose retention period is over, now and then at every
// interval, until ctx ends. Failures of a run go to report; the next run tries again.
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
	before := s.o.Now().Add(-s.o.Retention)
	for {
		ids, err := s.store.PurgeAPIKeys(ctx, before, purgeBatch)
		if err != nil {
			s.keys.Flush()
			return removed, err
		}
		s.keys.Kill(ids...)
		removed += len(ids)
		s.purged.Add(uint64(len(ids)))
		if len(ids) < purgeBatch {
			return removed, nil
		}
	}
}

// uncertain clears the cache if a failed write may have happened all the same,
// and returns err. The kinds that say "surely not" leave it alone.
func (s *Service) uncertain(err error) error {
	switch fault.KindOf(err) {
	case fault.Internal, fault.Unknown:
		s.keys.Flush()
	}
	return err
}

func wrongCredentials(detail string, args ...any) error {
	return &fault.Error{
		Kind:   fault.Unauthenticated,
		Reason: "unable to authenticate with provided credentials and anonymous access is not allowed for this request",
		Detail: "API key: " + fmt.Sprintf(detail, args...),
	}
}

func isNotFound(err error) bool {
	f, ok := errors.AsType[*fault.Error](err)
	return ok && f.Kind == fault.NotFound
}
