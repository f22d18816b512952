package apikey

import (
	"context"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/secret"
)

const (
	day        = 24 * time.Hour
	maxOverlap = 30 * day
)

// Rotate gives a key of the caller a new secret. Its id, name, roles and all else
// stay, and so do the tokens that it has made. The secret that it had is good for
// the overlap, though not longer than the key; one that an earlier rotation has
// left ends at once. When Rotate returns, this process goes by that. Who may rotate
// which key is as with [Service.Update], but for the type, which is free.
func (s *Service) Rotate(ctx context.Context, by *access.Caller, id string, overlap time.Duration) (Created, error) {
	var p fault.Problems
	switch {
	case overlap < 0:
		p.Add("[overlap] must not be less than 0")
	case overlap > maxOverlap:
		p.Add("[overlap] must not be more than [%dd]", maxOverlap/day)
	}
	if err := p.Err(fault.Invalid); err != nil {
		return Created{}, err
	}
	made := Created{ID: id, Secret: secret.NewKeySecret(id)}
	made.Encoded = secret.Encoded(id, made.Secret)
	hash := secret.HashRandom(made.Secret)
	_, err := s.changeSecrets(ctx, by, id, func(k *Key, now time.Time) bool {
		made.Name, made.ExpiresAt = k.Name, k.ExpiresAt
		was := k.Hash
		k.Hash, k.OldHash, k.OldUntil = hash, "", time.Time{}
		if overlap > 0 {
			k.OldHash, k.OldUntil = was, now.Add(overlap).Truncate(time.Millisecond)
			if !k.ExpiresAt.IsZero() && k.OldUntil.After(k.ExpiresAt) {
				k.OldUntil = k.ExpiresAt
			}
		}
		made.OverlapUntil = k.OldUntil
		return true
	})
	if err != nil {
		return Created{}, err
	}
	return made, nil
}

// EndOverlap ends the secret that the last rotation of a key of the caller has
// replaced, and reports whether it was still good. When it returns, this process
// refuses that secret.
func (s *Service) EndOverlap(ctx context.Context, by *access.Caller, id string) (ended bool, err error) {
	return s.changeSecrets(ctx, by, id, func(k *Key, now time.Time) bool {
		good := now.Before(k.OldUntil)
		k.OldHash, k.OldUntil = "", time.Time{}
		return good
	})
}

// changeSecrets has change look at a key of the caller that is alive, and writes
// the key if it returns true.
func (s *Service) changeSecrets(ctx context.Context, by *access.Caller, id string, change func(k *Key, now time.Time) bool) (changed bool, err error) {
	if err := s.mayUpdate(by, actions+"update"); err != nil {
		return false, err
	}
	done, err := s.change(ctx, by, []string{id}, nil, func(k *Key, now time.Time) (bool, *fault.Error) {
		if err := unchangeable(k, k.Type, now); err != nil {
			return false, err
		}
		return change(k, now), nil
	})
	return done.one(err)
}
