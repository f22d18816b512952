package user

import (
	"context"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/secret"
)

// ChangePassword sets the password of a user, whom username names or, if it is
// empty, who makes the request. Nobody needs a privilege for the own password,
// if it is what they proved themselves with: by's realm is reserved or native
// and no token or key stands between. A change without a password is
// fault.Invalid, an unknown user fault.Refused, and the latter only for those
// who may change it.
func (s *Service) ChangePassword(ctx context.Context, by *access.Caller, username string, p Password) error {
	if username == "" {
		username = by.Username
	}
	if p.IsZero() {
		return fault.Problems{"one of [password] and [password_hash] must be given"}.Err(fault.Invalid)
	}
	self := username == by.Username && by.Type == access.ByRealm && s.manages(by)
	if err := by.Authorize(access.Request{Action: actionChangePassword, Self: self}); err != nil {
		return err
	}
	if s.isAnonymous(username) {
		return fault.Problems{"user [" + username + "] is anonymous and has no password"}.Err(fault.Invalid)
	}
	err := s.SetPassword(ctx, username, p)
	if fault.KindOf(err) != fault.NotFound {
		return err
	}
	if s.elsewhere != nil {
		if u, err := s.elsewhere.Lookup(ctx, username); err == nil {
			return fault.Problems{"user [" + username + "] belongs to the realm [" + u.Realm.Name + "], whose users are not managed here"}.Err(fault.Refused)
		}
	}
	return fault.Problems{"user [" + username + "] does not exist, so its password cannot be changed"}.Err(fault.Refused)
}

// SetPassword sets the password of a reserved or native user in the name of
// the operator, who needs no privilege. An unknown user is fault.NotFound.
func (s *Service) SetPassword(ctx context.Context, username string, p Password) error {
	hash, err := p.stored(ctx, s.hasher)
	if err != nil {
		return err
	}
	if s.isReserved(username) {
		err = s.store.SetReservedUserPassword(ctx, username, hash)
	} else {
		err = s.store.SetUserPassword(ctx, username, hash)
	}
	s.cache.Kill(username) // whatever the error: the commit may have reached the disk
	return err
}

// Bootstrap makes a password for elastic if the configuration gives none and
// none is stored, and returns it, so that the operator can be told once. Only
// its hash is kept. The empty secret means that nothing was made. A password of
// the configuration counts before the one made here, and one set through the
// API before both.
func (s *Service) Bootstrap(ctx context.Context) (secret.Secret, error) {
	if s.reservedOff || !s.bootstrap.IsZero() || s.autoconf != "" {
		return secret.Secret{}, nil
	}
	state, err := s.store.ReservedUser(ctx, Elastic)
	if err == nil && state.Hash != "" {
		return secret.Secret{}, nil
	}
	if err != nil && fault.KindOf(err) != fault.NotFound {
		return secret.Secret{}, err
	}
	password := secret.GeneratePassword()
	hash, err := s.hasher.Hash(ctx, password)
	if err != nil {
		return secret.Secret{}, err
	}
	made, err := s.store.InitReservedUserPassword(ctx, Elastic, hash, true)
	s.cache.Kill(Elastic)
	if err != nil || !made {
		return secret.Secret{}, err
	}
	return secret.Of(password), nil
}
