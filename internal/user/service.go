package user

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"latchkey/internal/access"
	"latchkey/internal/cache"
	"latchkey/internal/fault"
	"latchkey/internal/secret"
	"latchkey/internal/xcontent"
)

// Actions as refusals name them.
const (
	actionPut            = "cluster:admin/xpack/security/user/put"
	actionGet            = "cluster:admin/xpack/security/user/get"
	actionDelete         = "cluster:admin/xpack/security/user/delete"
	actionChangePassword = "cluster:admin/xpack/security/user/change_password"
	actionSetEnabled     = "cluster:admin/xpack/security/user/set_enabled"
)

// Options says how a [Service] works. Store, Hasher and Now are required.
type Options struct {
	Store  Store
	Hasher *secret.Hasher // for new passwords
	Now    func() time.Time
	Lease  func() error // as of cache.Options

	// Bootstrap is the password of elastic until one was set through the API
	// (bootstrap.password, ELASTIC_PASSWORD); it is never stored.
	Bootstrap secret.Secret
	// AutoconfigurationHash counts where Bootstrap is empty
	// (autoconfiguration.password_hash). The first login with it makes it the
	// password that was set.
	AutoconfigurationHash string
	// ReservedDisabled makes the names of built-in users ordinary
	// (xpack.security.authc.reserved_realm.enabled: false).
	ReservedDisabled bool

	// RealmName is the name of the native realm; empty means default_native.
	RealmName string
	// NativeDisabled takes the native realm out of the chain: its users can be
	// managed and neither log in nor be run as.
	NativeDisabled bool
	// LookupOnly lets native users be run as and not log in
	// (...native.<name>.authentication.enabled: false).
	LookupOnly bool

	// Anonymous is the user of requests without a credential, and AnonymousRoles
	// what they may do, as everybody who logs in. Without roles there is none.
	Anonymous      string
	AnonymousRoles []string

	// CacheTTL and CacheMax bound what is kept of users who logged in or were
	// looked up. The TTL bounds memory: whoever changes a user evicts it before
	// the answer. 0 keeps nothing.
	CacheTTL time.Duration
	CacheMax int
}

// Service is the reserved and the native realm. It is safe for concurrent use.
type Service struct {
	store       Store
	hasher      *secret.Hasher
	reservedOff bool
	native      access.Realm
	nativeOff   bool
	lookupOnly  bool
	bootstrap   secret.Secret
	autoconf    string
	anonymous   User // without roles: there is none
	elsewhere   Directory
	cache       *cache.Cache[*account]
	now         func() time.Time
	ended       Ended

	// Hashes that the start does not wait for.
	bootstrapHash lazyHash // of bootstrap
	decoy         lazyHash // of a password that nobody knows

	checks singleflight.Group // slow comparisons under way: equal ones share one
}

// lazyHash is a slow hash that is computed when it is first needed.
type lazyHash struct {
	mu   sync.Mutex // guards hash, and has everybody wait for the one who computes it
	hash string
}

func (l *lazyHash) of(ctx context.Context, h *secret.Hasher, password string) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hash != "" {
		return l.hash, nil
	}
	hash, err := h.Hash(ctx, password)
	if err == nil {
		l.hash = hash
	}
	return hash, err
}

// New returns a Service. It fails if the hash of the automatic configuration is
// of no kind that a user may have, or the anonymous user has the name of another.
func New(o Options) (*Service, error) {
	s := &Service{
		ended: Ended{func([]string) {}, func([]secret.TokenHash) {}}, now: o.Now,
		store: o.Store, hasher: o.Hasher, reservedOff: o.ReservedDisabled,
		native:    access.Realm{Name: cmp.Or(o.RealmName, "default_native"), Type: nativeType},
		nativeOff: o.NativeDisabled, lookupOnly: o.LookupOnly,
		cache: cache.New[*account](cache.Options{Max: o.CacheMax, TTL: o.CacheTTL, Now: o.Now, Lease: o.Lease}),
	}
	if len(o.AnonymousRoles) > 0 {
		s.anonymous = User{Username: o.Anonymous, Roles: o.AnonymousRoles, Metadata: json.RawMessage(`{"_reserved":true}`), Enabled: true}
		if s.isReserved(o.Anonymous) || isInternal(o.Anonymous) {
			return nil, fmt.Errorf("the anonymous user cannot be called %q, since a built-in user is", o.Anonymous)
		}
	}
	switch {
	case !o.Bootstrap.IsZero():
		s.bootstrap = o.Bootstrap
	case o.AutoconfigurationHash != "":
		if err := secret.ValidStored(o.AutoconfigurationHash); err != nil {
			return nil, err
		}
		s.autoconf = o.AutoconfigurationHash
	}
	return s, nil
}

// Put creates or replaces a native user and reports whether it is new. A Draft
// that breaks a rule is fault.Invalid; missing roles and reserved metadata keys
// are told before by's right is judged, names after it. A new user without a
// password is fault.Refused.
func (s *Service) Put(ctx context.Context, by *access.Caller, d Draft) (created bool, err error) {
	if err := d.problems().Err(fault.Invalid); err != nil {
		return false, err
	}
	if err := by.Authorize(access.Request{Action: actionPut}); err != nil {
		return false, err
	}
	if err := s.nameProblems(d).Err(fault.Invalid); err != nil {
		return false, err
	}
	hash, err := d.Password.stored(ctx, s.hasher)
	if err != nil {
		return false, err
	}
	u := User{Username: d.Username, Roles: d.Roles, FullName: d.FullName, Email: d.Email, Enabled: d.Enabled}
	if d.Metadata.Kind == xcontent.Object {
		u.Metadata = d.Metadata.JSON()
	}
	created, err = s.store.PutUser(ctx, u, hash)
	s.cache.Kill(d.Username) // whatever the error: the commit may have reached the disk
	if fault.KindOf(err) == fault.NotFound {
		return false, fault.Problems{"a password must be given unless an existing user is updated"}.Err(fault.Refused)
	}
	return created, err
}

// Get returns the named users that exist, or all users if names is empty, in
// order of their names.
func (s *Service) Get(ctx context.Context, by *access.Caller, names []string) ([]User, error) {
	if err := by.Authorize(access.Request{Action: actionGet}); err != nil {
		return nil, err
	}
	users := []User{}
	if !s.reservedOff {
		states, err := s.store.ReservedUsers(ctx)
		if err != nil {
			return nil, err
		}
		for _, u := range reserved {
			if state, ok := states[u.Username]; ok {
				u.Enabled = state.Enabled
			}
			if len(names) == 0 || slices.Contains(names, u.Username) {
				users = append(users, u)
			}
		}
	}
	if s.hasAnonymous() && (len(names) == 0 || slices.Contains(names, s.anonymous.Username)) {
		users = append(users, s.anonymous)
	}
	natives, err := s.natives(ctx, names)
	if err != nil {
		return nil, err
	}
	users = append(users, natives...)
	slices.SortFunc(users, func(a, b User) int { return cmp.Compare(a.Username, b.Username) })
	return users, nil
}

// Delete deletes a native user and reports whether there was one. A reserved
// or internal name is fault.Argument.
func (s *Service) Delete(ctx context.Context, by *access.Caller, username string) (bool, error) {
	if err := s.mayDelete(by, username); err != nil {
		return false, err
	}
	found, err := s.store.DeleteUser(ctx, username)
	s.cache.Kill(username)
	return found, err
}

func (s *Service) mayDelete(by *access.Caller, username string) error {
	if err := by.Authorize(access.Request{Action: actionDelete}); err != nil {
		return err
	}
	switch {
	case s.isReserved(username):
		return fault.New(fault.Argument, "user [%s] is reserved and cannot be deleted", username)
	case s.isAnonymous(username):
		return fault.New(fault.Argument, "user [%s] is anonymous and cannot be deleted", username)
	case isInternal(username):
		return fault.New(fault.Argument, "user [%s] is internal", username)
	}
	return nil
}

// SetEnabled enables or disables a reserved or native user. The own name is
// fault.Argument, an unknown user fault.Refused.
func (s *Service) SetEnabled(ctx context.Context, by *access.Caller, username string, enabled bool) error {
	if err := s.maySwitch(by, username); err != nil {
		return err
	}
	var err error
	if s.isReserved(username) {
		err = s.store.SetReservedUserEnabled(ctx, username, enabled)
	} else {
		err = s.store.SetUserEnabled(ctx, username, enabled)
	}
	s.cache.Kill(username)
	if fault.KindOf(err) == fault.NotFound {
		return noSwitch(username)
	}
	return err
}

func (s *Service) maySwitch(by *access.Caller, username string) error {
	if err := by.Authorize(access.Request{Action: actionSetEnabled}); err != nil {
		return err
	}
	if username == by.Username && s.manages(by) {
		return fault.New(fault.Argument, "users may not enable or disable themselves, and [%s] is you", username)
	}
	if s.isAnonymous(username) {
		return fault.New(fault.Argument, "user [%s] is anonymous and can be neither enabled nor disabled", username)
	}
	return nil
}

func noSwitch(username string) error {
	return fault.Problems{"user [" + username + "] does not exist; only existing users can be enabled or disabled"}.Err(fault.Refused)
}

// manages reports whether the effective user of c is one of ours.
func (s *Service) manages(c *access.Caller) bool {
	return c.APIKey == nil && (c.Realm.Type == ReservedRealm.Type || c.Realm.Type == nativeType)
}
