package token

import (
	"context"
	"encoding/base64"
	"strings"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/secret"
)

// InvalidateRequest names a token, or chooses the active tokens of a user, of a
// realm, or of both. An empty text is absent; so are a blank username and realm.
type InvalidateRequest struct {
	Token        string
	RefreshToken string
	Realm        string
	Username     string
}

// Invalidated counts the halves that an invalidation found.
type Invalidated struct {
	Now    int  // switched off by it
	Before int  // found off
	Found  bool // false only for a request that names a token, if there is none such
}

// Invalidate switches off the halves that req chooses. When it returns, this
// process refuses them (spec/tokens.md 8).
func (s *Service) Invalidate(ctx context.Context, by *access.Caller, req InvalidateRequest) (Invalidated, error) {
	req.Realm, req.Username = blank(req.Realm), blank(req.Username)
	if err := req.check(); err != nil {
		return Invalidated{}, err
	}
	if err := by.Authorize(access.Request{Action: actions + "invalidate"}); err != nil {
		return Invalidated{}, err
	}
	if err := s.disabled(); err != nil {
		return Invalidated{}, err
	}
	now := s.o.Now().Truncate(time.Millisecond)
	sel := Selector{Username: req.Username, Realm: req.Realm, ExpiresFrom: now, CreatedFrom: now.Add(-refreshLife)}
	text := req.Token + req.RefreshToken // one of them is empty
	gone := false                        // with its key: then it counts as off, and is switched off all the same
	switch {
	case text == "":
	case secret.IsAccessToken(req.Token):
		sel.Access = secret.HashToken(req.Token)
		var err error
		if gone, err = s.diedWithItsKey(ctx, sel.Access); err != nil {
			return Invalidated{}, err
		}
	case secret.IsRefreshToken(req.RefreshToken):
		sel.Refresh = secret.HashToken(req.RefreshToken)
	default:
		return Invalidated{}, s.notFound(ctx, text)
	}
	halves, err := s.store.InvalidateTokens(ctx, sel, now, s.kill)
	if err != nil {
		return Invalidated{}, s.uncertain(err)
	}
	if text != "" && halves == (Halves{}) {
		return Invalidated{}, s.notFound(ctx, text)
	}
	s.invalidated.Add(uint64(halves.Now))
	if gone {
		halves = Halves{Before: halves.Now + halves.Before}
	}
	return Invalidated{Now: halves.Now, Before: halves.Before, Found: true}, nil
}

func blank(s string) string {
	if strings.TrimSpace(s) == "" {
		return ""
	}
	return s
}

func (r InvalidateRequest) check() error {
	if r.Token != "" && r.RefreshToken != "" {
		return fault.New(fault.Malformed, "the request cannot be built").
			Because(fault.New(fault.Argument, "only one of [token] and [refresh_token] can be given"))
	}
	single, bulk := r.Token != "" || r.RefreshToken != "", r.Realm != "" || r.Username != ""
	var p fault.Problems
	switch {
	case single && bulk:
		p.Add("a token string must not be given together with [realm_name] or [username]")
		p.Add("a token type must not be given together with [realm_name] or [username]")
	case !single && !bulk:
		p.Add("a token string is required: give [token] or [refresh_token], or choose by [realm_name] or [username]")
	}
	return p.Err(fault.Invalid)
}

// diedWithItsKey reports whether an access token was made with an API key that
// does not hold at this moment. It may hold again: API keys can be switched on,
// and a clock can be set back.
func (s *Service) diedWithItsKey(ctx context.Context, hash Hash) (bool, error) {
	r, err := s.store.Token(ctx, hash)
	if isNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	h, err := s.holder(ctx, r.Identity)
	if err != nil || h.key() == "" {
		return false, err
	}
	_, err = s.keys.Holder(ctx, h.key())
	if fault.KindOf(err) == fault.Unauthenticated {
		return true, nil
	}
	return false, err
}

// notFound is the error for a text that names no token, if it is one: what could
// be a token is refused for as long as no token was ever issued (spec/tokens.md 8.3).
func (s *Service) notFound(ctx context.Context, text string) error {
	if _, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "=")); err != nil || s.issued.Load() {
		return nil
	}
	issued, err := s.store.Issued(ctx)
	if err != nil {
		return err
	}
	if !issued {
		return fault.New(fault.Security, "there is nothing to invalidate: no token was ever issued")
	}
	s.issued.Store(true)
	return nil
}
