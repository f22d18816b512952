package token

import (
	"context"
	"unique"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/secret"
)

// loaded is a token whose access half was not invalidated when it was read.
type loaded struct {
	key             string // in the cache
	expiresAt       int64  // nanoseconds since the epoch
	holder          *holder
	username, realm string // as of [Record]
}

// Verify returns the caller whom an access token acts as. One that has expired or
// was invalidated is fault.Unauthenticated with a challenge that says so; one that
// is unknown, or any other text, is fault.Unauthenticated without (spec/tokens.md
// 9.2). A store that cannot answer is fault.Unavailable. The caller is shared and
// must not be changed.
func (s *Service) Verify(ctx context.Context, text string) (*access.Caller, error) {
	if !s.o.Enabled || !secret.IsAccessToken(text) {
		return nil, unknown()
	}
	hash := secret.HashToken(text)
	key := string(hash[:])
	for range 3 {
		var c *access.Caller
		var refused error
		_, alive, err := s.tokens.Judge(ctx, key, func(ctx context.Context, key string) (*loaded, error) { return s.load(ctx, key, hash) }, func(t *loaded) {
			if s.o.Now().UnixNano() > t.expiresAt {
				refused = over()
				return
			}
			c, refused = s.acting(ctx, t.holder) // what its roles are may have to be read, which gives a revocation time to arrive
		})
		switch {
		case refused != nil:
			return nil, refused
		case err != nil:
			return nil, err
		case alive:
			return c, nil
		}
	}
	return nil, fault.New(fault.Unavailable, "the access token keeps changing; repeat the request")
}

// Again returns what tells the caller of a token that Verify has just accepted, as
// long as the token is in memory; then it tells nothing. nil if it is not.
func (s *Service) Again(text string) func(context.Context) (*access.Caller, error) {
	if !s.o.Enabled || !secret.IsAccessToken(text) {
		return nil
	}
	hash := secret.HashToken(text)
	key := string(hash[:])
	e := s.tokens.Peek(key)
	if e == nil {
		return nil
	}
	c, stands := s.standing(e.Value.holder)
	if stands == nil {
		return nil
	}
	return func(context.Context) (*access.Caller, error) {
		if s.o.Now().UnixNano() > e.Value.expiresAt {
			return nil, nil
		}
		if same, err := stands(); err != nil || !same {
			return nil, err
		}
		alive, err := s.tokens.TrustAgain(key, e)
		if err != nil || !alive {
			return nil, err
		}
		return c, nil
	}
}

func (s *Service) load(ctx context.Context, key string, hash Hash) (*loaded, error) {
	r, err := s.store.Token(ctx, hash)
	switch {
	case isNotFound(err):
		return nil, unknown()
	case err != nil:
		return nil, err
	case !r.AccessOffAt.IsZero():
		return nil, over()
	}
	h, err := s.holder(ctx, r.Identity)
	if err != nil {
		return nil, err
	}
	// Owners have many tokens: their names are held once.
	return &loaded{key, r.ExpiresAt.UnixNano(), h, unique.Make(r.Username).Value(), unique.Make(r.Realm).Value()}, nil
}

// acting returns the caller that an identity stands for at this moment: its
// roles' definitions and its API key are as they are now. As long as they stay
// the same, so does the caller.
func (s *Service) acting(ctx context.Context, h *holder) (*access.Caller, error) {
	subject, err := s.permissions(ctx, &h.subject)
	if err != nil {
		return nil, err
	}
	var by access.Permissions
	if h.by != nil {
		if by, err = s.permissions(ctx, h.by); err != nil {
			return nil, err
		}
	}
	if c := h.acting.Load(); c != nil && c.Permissions.Same(subject) && (c.By == nil || c.By.Permissions.Same(by)) {
		return c, nil
	}
	c := &access.Caller{Subject: h.subject, Type: access.ByToken}
	c.Permissions = subject
	if h.by != nil {
		runner := *h.by
		runner.Permissions = by
		c.By = &runner
	}
	h.acting.Store(c)
	return c, nil
}

// standing returns the caller that acting has returned, and what tells whether it
// would return the same now; nil for whom it takes more than a look at roles.
func (s *Service) standing(h *holder) (*access.Caller, func() (bool, error)) {
	c := h.acting.Load()
	if c == nil || h.by != nil || h.subject.APIKey != nil {
		return nil, nil
	}
	permissions, stands := s.roles.Standing(h.subject.Roles)
	if stands == nil || !c.Permissions.Same(permissions) {
		return nil, nil
	}
	return c, stands
}

// permissions are those of a subject now. A token dies with the API key that it
// was made with.
func (s *Service) permissions(ctx context.Context, u *access.Subject) (access.Permissions, error) {
	if u.APIKey == nil {
		return s.roles.Permissions(ctx, u.Roles)
	}
	key, err := s.keys.Holder(ctx, u.APIKey.ID)
	if fault.KindOf(err) == fault.Unauthenticated {
		return access.Permissions{}, over()
	}
	if err != nil {
		return access.Permissions{}, err
	}
	return key.Permissions, nil
}

// over refuses a token that was one.
func over() error {
	return &fault.Error{
		Kind:       fault.Unauthenticated,
		Reason:     "the access token has expired",
		Challenges: []string{`Bearer realm="security", error="invalid_token", error_description="The access token expired"`},
	}
}

func unknown() error {
	return &fault.Error{
		Kind:   fault.Unauthenticated,
		Reason: "unable to authenticate with provided credentials and anonymous access is not allowed for this request",
		Detail: "oauth2 token: invalid token",
	}
}
