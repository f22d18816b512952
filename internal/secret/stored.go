package secret

import (
	"context"
	"sync/atomic"
)

// Stored is a stored form that is compared again and again. It remembers the
// last secrets that it accepted and refused, so that a slow form judges either
// once. It is safe for concurrent use.
type Stored struct {
	digest Digest
	slow   *slowForm // in place of digest, if the form is no salted SHA-256
}

type slowForm struct {
	form         string
	right, wrong atomic.Pointer[Digest]
}

// Set makes s the given form. It is called once, before anybody else sees s.
func (s *Stored) Set(form string) {
	var fast bool
	if s.digest, fast = ParseDigest(form); !fast {
		s.slow = &slowForm{form: form}
	}
}

// Recall is [Stored.Matches] as far as it takes no time; known is false where
// only a slow comparison can tell.
func (s *Stored) Recall(secret string) (match, known bool) {
	if s.slow == nil {
		return s.digest.Matches(secret), true
	}
	if d := s.slow.right.Load(); d != nil && d.Matches(secret) {
		return true, true
	}
	if d := s.slow.wrong.Load(); d != nil && d.Matches(secret) {
		return false, true
	}
	return false, false
}

// Matches is [Verify] for s.
func (s *Stored) Matches(ctx context.Context, secret string) (bool, error) {
	if match, known := s.Recall(secret); known {
		return match, nil
	}
	match, err := Verify(ctx, s.slow.form, secret)
	if err != nil {
		return false, err
	}
	d := NewDigest(secret)
	if match {
		s.slow.right.Store(&d)
	} else {
		s.slow.wrong.Store(&d)
	}
	return match, nil
}
