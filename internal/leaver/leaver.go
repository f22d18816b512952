// Package leaver finds what is still alive of people who are gone: API keys and
// tokens whose owner is disabled, deleted or of a realm that is no more. It changes
// nothing; to revoke what it finds is for others.
package leaver

import (
	"context"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/fault"
)

// Owner is who owns something that is alive, and how much of it.
type Owner struct {
	Username string
	Realm    access.Realm // a token does not tell the type, and then it is empty
	APIKeys  int
	KeyIDs   []string // the first [MaxIDs] of them, in order
	Tokens   int      // pairs of which a half is alive count once
	Reason   Reason   // why the owner is listed
}

// MaxIDs bounds how many keys of one owner are named.
const MaxIDs = 1000

// Reason is why the things of an owner should not be alive.
type Reason string

const (
	Disabled Reason = "disabled"
	Deleted  Reason = "deleted"
	NoRealm  Reason = "unknown_realm"
)

// Live bounds what counts as alive.
type Live struct {
	At            time.Time // keys and access tokens expire after it
	TokensCreated time.Time // refresh tokens were made from then on
}

// Store knows the owners of what is alive.
type Store interface {
	// Owners returns who owns keys and tokens that are alive, by realm and username.
	Owners(ctx context.Context, live Live) ([]Owner, error)
	// OwnerKeys returns the ids of an owner's keys that are alive, in order, as many
	// as limit at most.
	OwnerKeys(ctx context.Context, username, realm string, live Live, limit int) ([]string, error)
}

// Realms is the chain of realms.
type Realms interface {
	// Realms returns who is in the chain.
	Realms() []access.Realm
	// LookupIn returns a user of the named realms: fault.NotFound if there is none,
	// fault.Unauthenticated if the user is disabled.
	LookupIn(ctx context.Context, realms []string, username string) (access.Subject, error)
	// CanLookup reports whether a realm can be asked for users by name alone.
	CanLookup(realm string) bool
}

// Service lists leavers. It is safe for concurrent use.
type Service struct {
	store  Store
	realms Realms
	now    func() time.Time
}

// New returns the service over a store.
func New(store Store, realms Realms, now func() time.Time) *Service {
	return &Service{store, realms, now}
}

// refreshLife is how long a token may be refreshed.
const refreshLife = 24 * time.Hour

// List returns the owners who are gone, with what they have left. Owners whose
// realm can be asked nothing by name alone, and service accounts, are taken to be
// there. It needs the rights to see users and everybody's keys.
func (s *Service) List(ctx context.Context, by *access.Caller) ([]Owner, error) {
	for _, action := range []string{"user/get", "api_key/get"} {
		if err := by.Authorize(access.Request{Action: "cluster:admin/xpack/security/" + action}); err != nil {
			return nil, err
		}
	}
	now := s.now().Truncate(time.Millisecond)
	live := Live{At: now, TokensCreated: now.Add(-refreshLife)}
	owners, err := s.store.Owners(ctx, live)
	if err != nil {
		return nil, err
	}
	gone := []Owner{}
	for _, o := range owners {
		reason, err := s.judge(ctx, o)
		if err != nil {
			return nil, err
		}
		if reason == "" {
			continue
		}
		o.Reason = reason
		if o.APIKeys > 0 {
			if o.KeyIDs, err = s.store.OwnerKeys(ctx, o.Username, o.Realm.Name, live, MaxIDs); err != nil {
				return nil, err
			}
		}
		gone = append(gone, o)
	}
	return gone, nil
}

// judge returns why an owner is gone, or "".
func (s *Service) judge(ctx context.Context, o Owner) (Reason, error) {
	var ask []string // realms that may know the owner
	switch realm := o.Realm.Name; realm {
	case access.ServiceAccountRealm.Name, access.AnonymousRealm.Name:
		return "", nil
	case access.APIKeyRealm.Name: // what a key has made belongs to the owner of that key, of whatever realm
		for _, r := range s.realms.Realms() {
			if !s.realms.CanLookup(r.Name) {
				return "", nil
			}
			ask = append(ask, r.Name)
		}
	default:
		known := false
		for _, r := range s.realms.Realms() {
			known = known || r.Name == realm
		}
		switch {
		case !known:
			return NoRealm, nil
		case !s.realms.CanLookup(realm):
			return "", nil
		}
		ask = []string{realm}
	}
	_, err := s.realms.LookupIn(ctx, ask, o.Username)
	switch fault.KindOf(err) {
	case fault.NotFound:
		return Deleted, nil
	case fault.Unauthenticated:
		return Disabled, nil
	}
	return "", err
}
