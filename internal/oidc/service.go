package oidc

import (
	"context"
	"net/url"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/token"
)

// Tokens makes and ends what users log in with.
type Tokens interface {
	// Login makes tokens that act as somebody, for a client.
	Login(ctx context.Context, by *access.Caller, l token.Login) (token.Granted, error)
	// Logout ends the login that an access token of a realm of the given type came from.
	Logout(ctx context.Context, realmType, accessToken, refreshToken string) (token.Ended, error)
}

const actions = "cluster:admin/xpack/security/oidc/"

// Service is all realms of this type. It is safe for concurrent use.
type Service struct {
	realms []*Realm
	tokens Tokens
	// everybody adds the roles that all have who log in.
	everybody func([]string) []string
}

// NewService returns a Service. The realms are in their order.
func NewService(realms []*Realm, tokens Tokens, everybody func([]string) []string) *Service {
	return &Service{realms, tokens, everybody}
}

// PrepareRequest asks where a user goes to log in: of a realm by its name, or of
// the one whose provider is Issuer. An empty text is absent.
type PrepareRequest struct{ Realm, Issuer, LoginHint, State, Nonce string }

// Prepare returns where a user goes to log in.
func (s *Service) Prepare(by *access.Caller, req PrepareRequest) (Prepared, error) {
	var p fault.Problems
	switch {
	case req.Realm == "" && req.Issuer == "":
		p.Add("one of [realm] and [iss] is required")
	case req.Realm != "" && req.Issuer != "":
		p.Add("only one of [realm] and [iss] can be given")
	}
	if err := p.Err(fault.Invalid); err != nil {
		return Prepared{}, err
	}
	if err := by.Authorize(access.Request{Action: actions + "prepare"}); err != nil {
		return Prepared{}, err
	}
	var found []*Realm
	for _, r := range s.realms {
		if r.Identity().Name == req.Realm || r.Issuer() == req.Issuer {
			found = append(found, r)
		}
	}
	switch {
	case len(found) == 1:
		return found[0].prepare(req.State, req.Nonce, req.LoginHint), nil
	case req.Realm != "":
		return Prepared{}, fault.New(fault.Argument, "there is no OpenID Connect realm [%s]", req.Realm)
	case len(found) == 0:
		return Prepared{}, fault.New(fault.Argument, "there is no OpenID Connect realm whose issuer is [%s]", req.Issuer)
	}
	return Prepared{}, fault.New(fault.Argument, "there are several OpenID Connect realms whose issuer is [%s]; give [realm]", req.Issuer)
}

// AuthenticateRequest is what a user came back with: the whole address that the
// provider sent the browser to, and what the login began with.
type AuthenticateRequest struct {
	RedirectURI, State, Nonce string
	Realm                     string // "": that of the address
}

// Authenticate makes tokens of who logged in at a provider. What proves nothing is
// fault.Unauthenticated, and its cause is in the log alone.
func (s *Service) Authenticate(ctx context.Context, by *access.Caller, req AuthenticateRequest) (token.Granted, error) {
	var p fault.Problems
	for _, f := range []struct{ name, value string }{{"state", req.State}, {"nonce", req.Nonce}, {"redirect_uri", req.RedirectURI}} {
		if f.value == "" {
			p.Add("[%s] is required and must not be empty", f.name)
		}
	}
	if err := p.Err(fault.Invalid); err != nil {
		return token.Granted{}, err
	}
	action := actions + "authenticate"
	if err := by.Authorize(access.Request{Action: action}); err != nil {
		return token.Granted{}, err
	}
	came, err := url.Parse(req.RedirectURI)
	if err != nil {
		return token.Granted{}, fault.New(fault.Argument, "[redirect_uri] is no address") // the text holds secrets
	}
	err = fault.New(fault.Unauthenticated, "no OpenID Connect realm has users return to this address")
	for _, r := range s.realms {
		if req.Realm != "" && req.Realm != r.Identity().Name || !r.mine(came) {
			continue
		}
		var u access.Subject
		var idToken string
		if u, idToken, err = r.authenticate(ctx, came, req.State, req.Nonce); err == nil {
			u.Roles = s.everybody(u.Roles)
			return s.tokens.Login(ctx, by, token.Login{Subject: u, Session: idToken})
		}
		if fault.KindOf(err) != fault.Unauthenticated {
			return token.Granted{}, err
		}
		r.o.Log.InfoContext(ctx, "a login was refused", "realm", r.Identity().Name, "err", err)
		if r.o.ResponseType == Code {
			break // what was shown to one provider is not for another
		}
	}
	return token.Granted{}, fault.Wrap(err, fault.Unauthenticated, "unable to authenticate with OpenID Connect for action [%s]", action)
}

// Logout ends a login of one of the realms, and returns where the user goes to log
// out of the provider; "" if there is no such place.
func (s *Service) Logout(ctx context.Context, by *access.Caller, accessToken, refreshToken string) (string, error) {
	var p fault.Problems
	if accessToken == "" {
		p.Add("[token] is required and must not be empty")
	}
	if err := p.Err(fault.Invalid); err != nil {
		return "", err
	}
	if err := by.Authorize(access.Request{Action: actions + "logout"}); err != nil {
		return "", err
	}
	ended, err := s.tokens.Logout(ctx, Type, accessToken, refreshToken)
	if err != nil {
		return "", err
	}
	for _, r := range s.realms {
		if r.Identity() == ended.Realm {
			return r.logout(ended.Session), nil
		}
	}
	return "", nil // the realm is not configured any more
}
