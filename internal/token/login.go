package token

import (
	"context"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/secret"
)

// Login is somebody whom a realm has authenticated for a client that cannot
// authenticate by itself: the user's browser went another way.
type Login struct {
	Subject access.Subject
	// AccessOnly makes no refresh token.
	AccessOnly bool
	// Session is what the realm wants back when the login ends; "" is nothing. It is
	// kept so that only a holder of one of the tokens, or of those that follow by
	// refreshes, can read it.
	Session string
}

// session is the Session of a login, sealed for the holders of the access and the refresh token.
type session struct {
	Access  []byte `json:"access"`
	Refresh []byte `json:"refresh,omitempty"`
}

// seal returns nil for a text that is empty.
func seal(text, access, refresh string) (*session, error) {
	if text == "" {
		return nil, nil
	}
	var s session
	var err error
	if s.Access, err = secret.Seal(access, text); err == nil && refresh != "" {
		s.Refresh, err = secret.Seal(refresh, text)
	}
	return &s, err
}

// Login makes tokens that act as somebody. Whether by may ask for them is for the
// realm to say. by is the client that can refresh them.
func (s *Service) Login(ctx context.Context, by *access.Caller, l Login) (Granted, error) {
	return s.issue(ctx, by, &access.Caller{Subject: l.Subject, Type: access.ByRealm}, GrantRequest{Type: "login"}, l)
}

// Ended is a login that is over.
type Ended struct {
	Realm   access.Realm
	Session string
}

// Logout ends the login that an access token came from: both halves of its token,
// and the refresh token that is given with it, if it is another one. A login that
// has expired or ended before is no error. A text that is no token of a login of a
// realm of the given type is fault.Argument.
func (s *Service) Logout(ctx context.Context, realmType, accessToken, refreshToken string) (Ended, error) {
	if err := s.disabled(); err != nil {
		return Ended{}, err
	}
	unknown := fault.New(fault.Argument, "[token] is no access token of a realm of type [%s]", realmType)
	if !secret.IsAccessToken(accessToken) {
		return Ended{}, unknown
	}
	if refreshToken != "" && !secret.IsRefreshToken(refreshToken) {
		return Ended{}, fault.New(fault.Argument, "[refresh_token] is no refresh token")
	}
	r, err := s.store.Token(ctx, secret.HashToken(accessToken))
	if isNotFound(err) {
		return Ended{}, unknown
	}
	if err != nil {
		return Ended{}, err
	}
	who, err := r.Identity.identity()
	if err != nil {
		return Ended{}, err
	}
	if who.Subject.RealmType != realmType || who.Creator == nil {
		return Ended{}, unknown
	}
	ended := Ended{Realm: access.Realm{Name: who.Subject.Realm, Type: who.Subject.RealmType}}
	if who.Session != nil {
		if ended.Session, err = secret.Open(accessToken, who.Session.Access); err != nil {
			return Ended{}, err
		}
	}
	halves := []Selector{{Refresh: r.Refresh}, {Access: r.Access}} // the one that makes more tokens goes first
	if other := secret.HashToken(refreshToken); refreshToken != "" && other != r.Refresh {
		halves = append(halves, Selector{Refresh: other})
	}
	now := s.o.Now().Truncate(time.Millisecond)
	for _, half := range halves {
		if _, err := s.store.InvalidateTokens(ctx, half, now, s.kill); err != nil {
			return Ended{}, s.uncertain(err)
		}
	}
	return ended, nil
}
