package user

import (
	"context"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/secret"
)

// Credentials chooses what is taken from a user beside the password.
type Credentials struct{ Tokens, APIKeys bool }

// Revoked counts what was taken: halves of tokens, and keys.
type Revoked struct{ Tokens, APIKeys int }

// CutOff is one act on a user and on what the user holds.
type CutOff struct {
	Username string
	Realm    string // of the user: namesakes in other realms keep theirs
	Reserved bool   // a built-in user
	Delete   bool   // else it is disabled
	Credentials
	RESTOnly bool // cross-cluster keys are left alone
	At       time.Time
	// TokensCreatedFrom bounds the tokens that count as live, as token.Selector has it.
	TokensCreatedFrom time.Time
	// Ended is called with what was revoked once it is durable, and before this call
	// or any later write is answered.
	Ended Ended
	// Changed is called like Ended, whether or not anything was revoked; nil: nobody
	// wants to know.
	Changed func()
}

// Ended hears what became of keys and tokens: of those that are named or, if none
// are, of any.
type Ended struct {
	Keys   func(ids []string)
	Tokens func(hashes []secret.TokenHash)
}

// Actions that to take keys and tokens needs, as refusals name them.
const (
	actionInvalidateKeys   = "cluster:admin/xpack/security/api_key/invalidate"
	actionInvalidateTokens = "cluster:admin/xpack/security/token/invalidate"
)

func (c Credentials) authorize(by *access.Caller) error {
	if c.Tokens {
		if err := by.Authorize(access.Request{Action: actionInvalidateTokens}); err != nil {
			return err
		}
	}
	if c.APIKeys {
		return by.Authorize(access.Request{Action: actionInvalidateKeys})
	}
	return nil
}

// DeleteAndRevoke is [Service.Delete] that takes, in the same act, what the user
// holds. Where there is no such user it takes what one has left behind.
func (s *Service) DeleteAndRevoke(ctx context.Context, by *access.Caller, username string, also Credentials) (found bool, _ Revoked, err error) {
	if err := s.mayDelete(by, username); err != nil {
		return false, Revoked{}, err
	}
	return s.cutOff(ctx, by, CutOff{Username: username, Delete: true, Credentials: also})
}

// DisableAndRevoke is [Service.SetEnabled] with false that takes, in the same act,
// what the user holds.
func (s *Service) DisableAndRevoke(ctx context.Context, by *access.Caller, username string, also Credentials) (Revoked, error) {
	if err := s.maySwitch(by, username); err != nil {
		return Revoked{}, err
	}
	found, done, err := s.cutOff(ctx, by, CutOff{Username: username, Credentials: also})
	if err == nil && !found {
		err = noSwitch(username)
	}
	return done, err
}

// refreshLife is how long a token may be refreshed.
const refreshLife = 24 * time.Hour

func (s *Service) cutOff(ctx context.Context, by *access.Caller, c CutOff) (bool, Revoked, error) {
	if err := c.authorize(by); err != nil {
		return false, Revoked{}, err
	}
	all, err := by.Permissions.HasCluster("manage_security")
	if err != nil {
		return false, Revoked{}, err
	}
	c.RESTOnly = !all
	c.Reserved, c.Realm = s.isReserved(c.Username), s.RealmOf(c.Username).Name
	c.At = s.now().Truncate(time.Millisecond)
	c.TokensCreatedFrom = c.At.Add(-refreshLife)
	c.Ended = s.ended
	c.Changed = func() { s.cache.Kill(c.Username) } // before whoever makes a credential meanwhile is judged once more
	found, done, err := s.store.CutOffUser(ctx, c)
	s.cache.Kill(c.Username)
	switch fault.KindOf(err) {
	case fault.Internal, fault.Unknown:
		if err != nil { // it may have happened all the same
			s.ended.Keys(nil)
			s.ended.Tokens(nil)
		}
	}
	return found, done, err
}

// OnRevoked has what is taken from users told to ended. It comes before the first request.
func (s *Service) OnRevoked(ended Ended) { s.ended = ended }
