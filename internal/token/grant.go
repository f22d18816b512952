package token

import (
	"context"
	"encoding/base64"
	"errors"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/secret"
)

// GrantRequest asks for a token. A nil text is absent; an empty one counts as
// present.
type GrantRequest struct {
	Type         string // grant_type; "" if absent
	Username     *string
	Password     *string
	Ticket       *string // standard Base64 of a SPNEGO token
	RefreshToken *string
	Scope        *string
}

// Granted is a new token, or that of a refresh that is repeated. It is the only
// time that the texts are shown.
type Granted struct {
	Access      string
	Refresh     string // "" for client_credentials
	ExpiresIn   time.Duration
	Scope       string // "" if the request had none
	TicketReply []byte // for the client of a Kerberos negotiation; may be nil
	// By is whom the token acts as, and how they proved it to this request. It may
	// be the caller itself; else its permissions are not filled in.
	By *access.Caller
}

// Refusal is a grant that is refused in the terms of OAuth2. It is an error.
type Refusal struct {
	Code        string // unsupported_grant_type, invalid_request, invalid_grant or _unauthorized
	Description string // "" only with _unauthorized, if nothing is to be sent back
}

func (r *Refusal) Error() string { return r.Code + ": " + r.Description }

// Grant makes a token, or refreshes one (spec/tokens.md 3). What breaks the rules
// of a grant, and a refresh token that is not accepted, is a *[Refusal]; the
// former is reported before a missing privilege.
func (s *Service) Grant(ctx context.Context, by *access.Caller, req GrantRequest) (Granted, error) {
	if err := req.check(); err != nil {
		return Granted{}, err
	}
	action := actions + "create"
	if req.Type == "refresh_token" {
		action = actions + "refresh"
	}
	if err := by.Authorize(access.Request{Action: action}); err != nil {
		return Granted{}, err
	}
	if req.Type == "password" { // judged even where the service is switched off
		u, err := s.users.Authenticate(ctx, *req.Username, *req.Password)
		if fault.KindOf(err) == fault.Unauthenticated {
			err = fault.Wrap(err, fault.Unauthenticated, "unable to authenticate user [%s] for action [%s]", *req.Username, action)
		}
		if err != nil {
			return Granted{}, err
		}
		g, err := s.issue(ctx, by, &access.Caller{Subject: u, Type: access.ByRealm}, req, Login{})
		if err != nil {
			return Granted{}, err
		}
		// Who was cut off while the token was made must not get it.
		_, err = s.users.Authenticate(ctx, *req.Username, *req.Password)
		switch {
		case fault.KindOf(err) == fault.Unauthenticated:
			return Granted{}, fault.Wrap(err, fault.Unauthenticated, "unable to authenticate user [%s] for action [%s]", *req.Username, action)
		case err != nil:
			return Granted{}, fault.Wrap(err, fault.Unknown, "it is not known whether the password still holds")
		}
		return g, nil
	}
	if err := s.disabled(); err != nil {
		return Granted{}, err
	}
	switch req.Type {
	case "refresh_token":
		return s.refresh(ctx, by, req)
	case "_kerberos":
		return s.kerberos(ctx, by, req, action)
	}
	if isService(&by.Subject) || by.By != nil && isService(by.By) {
		return Granted{}, fault.New(fault.Argument, "a service account cannot use the grant type [client_credentials]")
	}
	return s.issue(ctx, by, by, req, Login{})
}

// isService reports whether s is a service account itself, and not an API key that
// belongs to one.
func isService(s *access.Subject) bool {
	return s.Realm.Type == access.ServiceAccountRealm.Type && s.APIKey == nil
}

func (s *Service) kerberos(ctx context.Context, by *access.Caller, req GrantRequest, action string) (Granted, error) {
	ticket, err := base64.StdEncoding.DecodeString(*req.Ticket)
	if err != nil {
		return Granted{}, fault.New(fault.Argument, "[kerberos_ticket] is not Base64")
	}
	if s.tickets == nil {
		return Granted{}, fault.New(fault.Unauthenticated, "unable to authenticate the kerberos ticket for action [%s]: there is no kerberos realm", action)
	}
	u, reply, err := s.tickets.Authenticate(ctx, ticket)
	if more, ok := errors.AsType[*Continue](err); ok {
		return Granted{}, &Refusal{"_unauthorized", base64.StdEncoding.EncodeToString(more.Reply)}
	}
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Kind == fault.Unauthenticated {
		refused := fault.Wrap(err, fault.Unauthenticated, "unable to authenticate the kerberos ticket for action [%s]", action)
		refused.Challenges = f.Challenges
		return Granted{}, refused
	}
	if err != nil {
		return Granted{}, err
	}
	g, err := s.issue(ctx, by, &access.Caller{Subject: u, Type: access.ByRealm}, req, Login{})
	g.TicketReply = reply
	return g, err
}

// issue makes a token that acts as c. Of l only what is not the subject counts.
func (s *Service) issue(ctx context.Context, by, c *access.Caller, req GrantRequest, l Login) (Granted, error) {
	if err := s.disabled(); err != nil {
		return Granted{}, err
	}
	who := identity{Subject: personOf(&c.Subject)}
	if c.By != nil {
		runner := personOf(c.By)
		who.By = &runner
	}
	g := s.granted(req, c)
	g.Access = secret.NewAccessToken()
	if req.Type != "client_credentials" && !l.AccessOnly {
		g.Refresh, who.Creator = secret.NewRefreshToken(), creatorOf(by)
	}
	var err error
	if who.Session, err = seal(l.Session, g.Access, g.Refresh); err != nil {
		return Granted{}, err
	}
	r := s.record(g, s.o.Now())
	r.Username, r.Realm = c.Username, c.Realm.Name
	if c.APIKey != nil {
		r.Realm = access.APIKeyRealm.Name
	}
	if r.Identity, err = who.snapshot(); err != nil {
		return Granted{}, err
	}
	if err := s.store.InsertToken(ctx, r); err != nil {
		return Granted{}, err
	}
	s.issued.Store(true)
	return g, nil
}

func (s *Service) granted(req GrantRequest, by *access.Caller) Granted {
	g := Granted{ExpiresIn: s.o.Timeout, By: by}
	if req.Scope != nil {
		g.Scope = "full" // whatever it says
	}
	return g
}

// record returns what is kept of a token made at the given time, but for whom it
// acts as.
func (s *Service) record(g Granted, at time.Time) Record {
	at = at.Truncate(time.Millisecond)
	r := Record{CreatedAt: at, Access: secret.HashToken(g.Access), ExpiresAt: at.Add(s.o.Timeout)}
	if g.Refresh != "" {
		r.Refresh = secret.HashToken(g.Refresh)
	}
	return r
}

// check holds the rules of spec/tokens.md 3.3: what a grant forbids, in the order
// of the table there, and then what it lacks.
func (r GrantRequest) check() error {
	type field struct {
		name  string
		value *string
	}
	username, password := field{"username", r.Username}, field{"password", r.Password}
	ticket, refresh := field{"kerberos_ticket", r.Ticket}, field{"refresh_token", r.RefreshToken}
	var forbidden, required []field
	code := "invalid_request"
	var p fault.Problems
	switch r.Type {
	case "password":
		required, forbidden = []field{username, password}, []field{ticket, refresh}
	case "client_credentials":
		forbidden = []field{username, password, ticket, refresh}
	case "refresh_token":
		required, forbidden = []field{refresh}, []field{username, password, ticket}
	case "_kerberos":
		required, forbidden = []field{ticket}, []field{username, password, refresh}
	default:
		code = "unsupported_grant_type"
		p.Add("[grant_type] must be one of [password,client_credentials,refresh_token,_kerberos]")
	}
	for _, f := range forbidden {
		if f.value != nil {
			code = "unsupported_grant_type"
			p.Add("[%s] must not be given with the grant_type [%s]", f.name, r.Type)
		}
	}
	for _, f := range required {
		if f.value == nil || *f.value == "" {
			p.Add("[%s] is required and must not be empty", f.name)
		}
	}
	if err := p.Err(fault.Invalid); err != nil {
		return &Refusal{code, err.Error()}
	}
	return nil
}
