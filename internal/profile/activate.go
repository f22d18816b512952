package profile

import (
	"context"
	"encoding/json"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/fault"
)

// Grant proves whose profile is activated. Nil is absent.
type Grant struct {
	Type        string // password or access_token
	Username    *string
	Password    *string
	AccessToken *string
}

func (g Grant) problems() fault.Problems {
	type field struct {
		name  string
		value *string
	}
	username, password, token := field{"username", g.Username}, field{"password", g.Password}, field{"access_token", g.AccessToken}
	var required, forbidden []field
	var p fault.Problems
	switch g.Type {
	case "password":
		required, forbidden = []field{username, password}, []field{token}
	case "access_token":
		required, forbidden = []field{token}, []field{username, password}
	case "":
		p.Add("[grant_type] is required")
	default:
		p.Add("[grant_type] must be one of [password,access_token]")
	}
	for _, f := range required {
		if f.value == nil || *f.value == "" {
			p.Add("[%s] is required for the grant_type [%s]", f.name, g.Type)
		}
	}
	for _, f := range forbidden {
		if f.value != nil {
			p.Add("[%s] must not be given with the grant_type [%s]", f.name, g.Type)
		}
	}
	return p
}

// Activate makes the profile of whom g proves, or brings it up to date and
// enables it. What proves nobody is fault.Unauthenticated.
func (s *Service) Activate(ctx context.Context, by *access.Caller, g Grant) (Profile, error) {
	if err := g.problems().Err(fault.Invalid); err != nil {
		return Profile{}, err
	}
	const action = actions + "activate"
	if err := by.Authorize(access.Request{Action: action}); err != nil {
		return Profile{}, err
	}
	who, err := s.who(ctx, g)
	if fault.KindOf(err) == fault.Unauthenticated {
		return Profile{}, fault.Wrap(err, fault.Unauthenticated, "unable to authenticate the [%s] that was given for action [%s]", g.Type, action)
	}
	if err != nil {
		return Profile{}, err
	}
	if who.APIKey != nil || who.Service != nil || who.Realm == access.AnonymousRealm {
		return Profile{}, fault.New(fault.Argument, "only users have profiles, and [%s] of realm [%s] is none", who.Username, who.Realm.Name)
	}
	owner := Owner{Username: who.Username, Realm: who.Realm.Name}
	return s.store.ActivateProfile(ctx, Profile{
		UID: owner.uid(), Owner: owner, Roles: append([]string{}, who.Roles...), FullName: who.FullName, Email: who.Email, Enabled: true,
		SyncedAt: s.now().Truncate(time.Millisecond), Labels: json.RawMessage("{}"), Data: json.RawMessage("{}"),
	})
}

func (s *Service) who(ctx context.Context, g Grant) (access.Subject, error) {
	if g.Type == "password" {
		return s.users.Authenticate(ctx, *g.Username, *g.Password)
	}
	if s.tokens == nil {
		return access.Subject{}, fault.New(fault.Unauthenticated, "tokens are switched off")
	}
	c, err := s.tokens.Verify(ctx, *g.AccessToken)
	if err != nil {
		return access.Subject{}, err
	}
	return c.Subject, nil
}
