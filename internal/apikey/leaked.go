package apikey

import (
	"context"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/secret"
)

// Credential is an id and a secret that were found somewhere.
type Credential struct{ ID, Secret string }

// MayInvalidate returns nil if the caller may invalidate the keys of everybody,
// as [Service.Invalidate] goes by ids; of cross-cluster keys it says nothing.
func (s *Service) MayInvalidate(by *access.Caller) error {
	if err := by.Authorize(access.Request{Action: actions + "invalidate"}); err != nil {
		return err
	}
	return s.disabled()
}

// Identify returns the keys whose secrets are among the given credentials, each
// once: also those that have expired or were invalidated, and those of clusters. It
// leaves what is in memory as it is, since nobody logs in.
func (s *Service) Identify(ctx context.Context, found []Credential) ([]Key, error) {
	ids := make([]string, 0, len(found))
	secrets := make(map[string][]string, len(found))
	for _, c := range found {
		if secret.DamagedKey(c.ID, c.Secret) {
			continue
		}
		if secrets[c.ID] == nil {
			ids = append(ids, c.ID)
		}
		secrets[c.ID] = append(secrets[c.ID], c.Secret)
	}
	if len(ids) == 0 {
		return nil, nil
	}
	keys, err := s.store.APIKeys(ctx, Selector{IDs: ids}, time.Time{})
	if err != nil {
		return nil, err
	}
	var theirs []Key
	for _, k := range keys {
		for _, text := range secrets[k.ID] {
			ok, err := s.made(ctx, &k, text)
			if err != nil {
				return nil, err
			}
			if ok {
				theirs = append(theirs, k)
				break
			}
		}
	}
	return theirs, nil
}

// made reports whether a text is a secret of k, whatever has become of k.
func (s *Service) made(ctx context.Context, k *Key, text string) (bool, error) {
	ok, err := secret.Verify(ctx, k.Hash, text)
	if ok || err != nil || k.OldHash == "" || !s.o.Now().Before(k.OldUntil) {
		return ok, err
	}
	return secret.Verify(ctx, k.OldHash, text)
}
