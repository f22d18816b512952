package token

import (
	"context"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/secret"
)

// Leaked tells about a token that was found somewhere.
type Leaked struct {
	Username, Realm string // whom it acts as
	Off             bool   // it was invalidated before
}

// Identify returns what is known of a token that would be good, had nobody
// invalidated it; known is false for one that has expired, or is none.
func (s *Service) Identify(ctx context.Context, text string) (_ Leaked, known bool, err error) {
	if !s.o.Enabled {
		return Leaked{}, false, nil
	}
	var r Record
	var end, off time.Time
	switch {
	case secret.IsAccessToken(text):
		r, err = s.store.Token(ctx, secret.HashToken(text))
		end, off = r.ExpiresAt, r.AccessOffAt
	case secret.IsRefreshToken(text):
		r, err = s.store.RefreshToken(ctx, secret.HashToken(text))
		end, off = r.CreatedAt.Add(refreshLife), r.RefreshOffAt
	default:
		return Leaked{}, false, nil
	}
	if isNotFound(err) {
		return Leaked{}, false, nil
	}
	return Leaked{r.Username, r.Realm, !off.IsZero()}, err == nil && !s.o.Now().After(end), err
}

// MayInvalidate returns nil if the caller may invalidate tokens.
func (s *Service) MayInvalidate(by *access.Caller) error {
	if err := by.Authorize(access.Request{Action: actions + "invalidate"}); err != nil {
		return err
	}
	return s.disabled()
}
