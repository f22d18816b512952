package apikey

import (
	"context"
	"strings"

	"latchkey/internal/access"
	"latchkey/internal/fault"
)

// GrantRequest describes a key to make for somebody else, whose credentials
// the caller presents (spec/api-keys.md 2.3).
type GrantRequest struct {
	Type        string // "password" or "access_token"
	Username    string
	Password    string
	AccessToken string
	ClientAuth  *ClientAuth // nil: client_authentication was not given
	RunAs       string
	Key         CreateRequest
}

// ClientAuth is how a client proves itself beside a signed token.
type ClientAuth struct{ Scheme, Value string }

// Grant makes a key that belongs to the grantee, or to whom the grantee runs as.
// Credentials that do not verify are fault.Forbidden, so that nobody takes them
// for the caller's own.
func (s *Service) Grant(ctx context.Context, by *access.Caller, req GrantRequest) (Created, error) {
	assigned, p := req.Key.check()
	p = append(p, req.problems()...)
	if err := p.Err(fault.Invalid); err != nil {
		return Created{}, err
	}
	if err := by.Authorize(access.Request{Action: actions + "grant"}); err != nil {
		return Created{}, err
	}
	if err := s.disabled(); err != nil {
		return Created{}, err
	}
	grantee, err := s.grantee(ctx, req)
	if err != nil {
		return Created{}, err
	}
	c, err := s.issueTo(ctx, grantee, assigned, req.Key)
	if err != nil {
		return Created{}, err
	}
	// Who was cut off while the key was made must not get it.
	if _, err := s.grantee(ctx, req); fault.KindOf(err) == fault.Forbidden {
		return Created{}, err
	} else if err != nil {
		return Created{}, fault.Wrap(err, fault.Unknown, "it is not known whether the credentials of the grant still hold")
	}
	return c, nil
}

func (r GrantRequest) problems() (p fault.Problems) {
	present := func(name, value string) {
		if value != "" {
			p.Add("[%s] must not be given with grant_type [%s]", name, r.Type)
		}
	}
	required := func(name, value string) {
		if value == "" {
			p.Add("[%s] is required with grant_type [%s]", name, r.Type)
		}
	}
	switch r.Type {
	case "password":
		required("username", r.Username)
		required("password", r.Password)
		present("access_token", r.AccessToken)
		if r.ClientAuth != nil {
			present("client_authentication", "given")
		}
	case "access_token":
		required("access_token", r.AccessToken)
		present("username", r.Username)
		present("password", r.Password)
		if c := r.ClientAuth; c != nil && !strings.EqualFold(c.Scheme, "SharedSecret") {
			p.Add("[client_authentication] must have the scheme [SharedSecret]")
		} else if c != nil && c.Value == "" {
			p.Add("[client_authentication] must have a value")
		}
	case "":
		p.Add("[grant_type] is required")
	default:
		p.Add("[grant_type] must be [password] or [access_token], but is [%s]", r.Type)
	}
	return p
}

// runAsRequest is a right of everybody, once the run-as itself is allowed.
var runAsRequest = access.Request{Action: "cluster:admin/xpack/security/user/authenticate", Self: true}

// grantee returns who becomes the owner.
func (s *Service) grantee(ctx context.Context, req GrantRequest) (*access.Subject, error) {
	failed := fault.New(fault.Forbidden, "the credentials of the grant could not be authenticated")
	holder, err := s.holderOf(ctx, req)
	if fault.KindOf(err) == fault.Unauthenticated {
		return nil, failed.Because(err)
	}
	if err != nil {
		return nil, err
	}
	u := holder.Subject
	switch {
	case req.RunAs == "":
		return &u, nil
	case !s.o.RunAs:
		return nil, fault.New(fault.Status, "[run_as] cannot be used: it is switched off by [xpack.security.authc.run_as.enabled]")
	case holder.IgnoresRunAs():
		return nil, fault.New(fault.Status, "[run_as] cannot be used with the credentials of the grant: they run as nobody else")
	}
	if holder.Type == access.ByRealm {
		if u.Permissions, err = s.roles.Permissions(ctx, u.Roles); err != nil {
			return nil, err
		}
	}
	target, err := s.users.Lookup(ctx, req.RunAs)
	caller := access.Caller{Subject: target, Type: access.ByRealm, By: &u}
	if isNotFound(err) {
		caller.Username, caller.RunAsUnknown, err = req.RunAs, true, nil
	}
	if fault.KindOf(err) == fault.Unauthenticated {
		if !u.Permissions.MayRunAs(req.RunAs) { // that the target is disabled is for those who may run as it
			caller.Username, caller.RunAsUnknown = req.RunAs, true
			return nil, caller.Authorize(runAsRequest)
		}
		return nil, failed.Because(err)
	}
	if err != nil {
		return nil, err
	}
	return &caller.Subject, caller.Authorize(runAsRequest)
}

// holderOf returns who presents the credentials of a grant. The permissions of
// who presents a password or a signed token are not filled in.
func (s *Service) holderOf(ctx context.Context, req GrantRequest) (*access.Caller, error) {
	if req.Type == "access_token" {
		if s.signed != nil {
			var secret string
			if req.ClientAuth != nil {
				secret = req.ClientAuth.Value
			}
			if u, mine, err := s.signed.AuthenticateBearer(ctx, req.AccessToken, secret); mine {
				return &access.Caller{Subject: u, Type: access.ByRealm}, err
			}
		}
		if s.tokens == nil {
			return nil, fault.New(fault.Unauthenticated, "access tokens are switched off")
		}
		c, err := s.tokens.Verify(ctx, req.AccessToken)
		if fault.KindOf(err) == fault.Unauthenticated {
			err = fault.Wrap(err, fault.Unauthenticated, "the access token is invalid or has expired")
		}
		return c, err
	}
	u, err := s.users.Authenticate(ctx, req.Username, req.Password)
	return &access.Caller{Subject: u, Type: access.ByRealm}, err
}
