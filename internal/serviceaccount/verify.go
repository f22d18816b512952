package serviceaccount

import (
	"context"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/secret"
)

// loaded is a token ready to verify a secret against.
type loaded struct {
	caller access.Caller
	hash   string // as stored
	secret secret.Stored
}

// Verify returns the account whose token the value of a Bearer header is. isToken
// is false, and nothing else is told, where the value has not the form of such a
// token; then it may be a credential of another kind. A token that does not verify
// is fault.Unauthenticated, the same whatever is wrong with it. A store that
// cannot answer is fault.Unavailable. The caller is shared and must not be changed.
func (s *Service) Verify(ctx context.Context, value string) (caller *access.Caller, isToken bool, err error) {
	c, ok := decode(value)
	if !ok {
		return nil, false, nil
	}
	caller, err = s.verify(ctx, c)
	return caller, true, err
}

func (s *Service) verify(ctx context.Context, c credential) (*access.Caller, error) {
	a := accounts()[c.account]
	if a == nil || len(c.secret) < minSecret {
		return nil, c.refused()
	}
	if t := s.file.token(c.key); t != nil {
		if ok, err := s.check(ctx, c, t); ok || err != nil {
			return &t.caller, err
		}
	}
	for range 3 {
		var ok bool
		var failed error
		t, alive, err := s.tokens.Judge(ctx, c.key, func(ctx context.Context, _ string) (*loaded, error) { return s.load(ctx, a, c) },
			func(t *loaded) { ok, failed = s.check(ctx, c, t) }) // a slow secret gives a deletion time to arrive
		switch {
		case failed != nil:
			return nil, failed
		case err != nil: // also where it is not ok: it may have been made anew since this node has heard of it
			return nil, err
		case !ok:
			return nil, c.refused()
		case alive:
			return &t.caller, nil
		}
	}
	return nil, fault.New(fault.Unavailable, "the service account token [%s] keeps changing; repeat the request", c.key)
}

func (s *Service) load(ctx context.Context, a *account, c credential) (*loaded, error) {
	t, err := s.store.ServiceToken(ctx, c.account, c.name)
	if fault.KindOf(err) == fault.NotFound {
		return nil, c.refused()
	}
	if err != nil {
		return nil, err
	}
	return newLoaded(a, t.Name, indexToken, t.Hash), nil
}

func newLoaded(a *account, name, kind, hash string) *loaded {
	l := &loaded{caller: a.caller(name, kind), hash: hash}
	l.secret.Set(hash)
	return l
}

// check compares a secret. Many requests that begin at once with the same token
// cost one slow comparison.
func (s *Service) check(ctx context.Context, c credential, t *loaded) (bool, error) {
	if match, known := t.secret.Recall(c.secret); known {
		return match, nil
	}
	match, err, _ := s.checks.Do(t.hash+":"+c.secret, func() (any, error) {
		return t.secret.Matches(context.WithoutCancel(ctx), c.secret) // whoever waits for it as well need not go when ctx does
	})
	return match == true, err
}

func (c credential) refused() error {
	return fault.New(fault.Unauthenticated, "unable to authenticate service account [%s] with token [%s]", c.account, c.name)
}
