// Package leak finds credentials of ours in any text, a log or a paste, and ends
// them. What a text holds is a stranger's: it is looked at in one pass with little
// memory, and what a checksum can tell needs no look-up.
package leak

import (
	"context"
	"crypto/sha256"
	"io"
	"maps"
	"slices"

	"latchkey/internal/access"
	"latchkey/internal/apikey"
	"latchkey/internal/fault"
	"latchkey/internal/token"
)

// Service ends what has leaked. It is safe for concurrent use.
type Service struct {
	keys   *apikey.Service
	tokens *token.Service
}

// New returns the service over those of keys and tokens.
func New(keys *apikey.Service, tokens *token.Service) *Service { return &Service{keys, tokens} }

// Credential is one that was found and that verifies. What was found of it, its
// secret, is not told.
type Credential struct {
	Kind     string // api_key, cross_cluster_api_key, access_token or refresh_token
	ID, Name string // of a key
	Username string // its owner
	Realm    string // of the owner
}

// Text is what a text holds.
type Text struct {
	Bytes      int64
	Alone      int // secrets without an id near them: nobody can tell whose they are
	NotChecked int // what may be keys of older releases, beyond what is looked up for one text
	keys       map[string]apikey.Key
	tokens     map[string]leakedToken
}

type leakedToken struct {
	kind Kind
	token.Leaked
}

func (t leakedToken) shown() Credential {
	kind := "access_token"
	if t.kind == RefreshToken {
		kind = "refresh_token"
	}
	return Credential{Kind: kind, Username: t.Username, Realm: t.Realm}
}

// Report is what became of the credentials in a text: each is in one of the lists.
type Report struct {
	Invalidated []Credential
	Before      []Credential // they had been invalidated
	NotReached  []Credential // the caller may not invalidate them
}

const (
	batch      = 500     // look-ups at once
	maxSeen    = 1 << 16 // credentials of which we know that they were looked up
	maxFound   = 100_000 // credentials that verify
	maxOlder   = 10_000  // keys of older releases to look up
	maxGuesses = 16      // secrets for one id of an older release: the stored form may be slow to compare
)

// Find reads a text to its end and tells what it holds. It changes nothing. It
// needs the right to invalidate everybody's API keys. A text that holds more than
// anybody can have leaked is fault.Argument; an error of text is returned as it is.
func (s *Service) Find(ctx context.Context, by *access.Caller, text io.Reader) (*Text, error) {
	if err := s.keys.MayInvalidate(by); err != nil {
		return nil, err
	}
	counted := &counter{in: text}
	f := finder{service: s, ctx: ctx, seen: map[[sha256.Size]byte]bool{}, guesses: map[string]int{},
		Text: Text{keys: map[string]apikey.Key{}, tokens: map[string]leakedToken{}}}
	alone, err := Scan(counted, f.found)
	if err == nil {
		err = f.lookUp()
	}
	if err != nil {
		return nil, err
	}
	f.Bytes, f.Alone = counted.n, alone
	return &f.Text, nil
}

type counter struct {
	in io.Reader
	n  int64
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.in.Read(b)
	c.n += int64(n)
	return n, err
}

// finder looks up what is found in one text.
type finder struct {
	Text
	service *Service
	ctx     context.Context // of the one call that it serves
	seen    map[[sha256.Size]byte]bool
	pending []apikey.Credential
	guesses map[string]int // of keys of older releases, by id
	older   int
}

func (f *finder) found(c Finding) error {
	if err := f.ctx.Err(); err != nil {
		return err
	}
	digest := sha256.Sum256([]byte(c.ID + ":" + c.Secret))
	if f.seen[digest] {
		return nil
	}
	if len(f.seen) == maxSeen {
		clear(f.seen)
	}
	f.seen[digest] = true
	switch c.Kind {
	case OlderKey:
		if f.older == maxOlder || f.guesses[c.ID] == maxGuesses {
			f.NotChecked++
			return nil
		}
		f.older++
		f.guesses[c.ID]++
	case AccessToken, RefreshToken:
		return f.token(c)
	}
	if f.pending = append(f.pending, apikey.Credential{ID: c.ID, Secret: c.Secret}); len(f.pending) < batch {
		return nil
	}
	return f.lookUp()
}

func (f *finder) token(c Finding) error {
	t, known, err := f.service.tokens.Identify(f.ctx, c.Secret)
	if err != nil || !known {
		return err
	}
	f.tokens[c.Secret] = leakedToken{c.Kind, t}
	return f.room()
}

func (f *finder) lookUp() error {
	keys, err := f.service.keys.Identify(f.ctx, f.pending)
	if err != nil {
		return err
	}
	f.pending = f.pending[:0]
	for _, k := range keys {
		f.keys[k.ID] = k
	}
	return f.room()
}

func (f *finder) room() error {
	if len(f.keys)+len(f.tokens) > maxFound {
		return fault.New(fault.Argument, "the text holds more than [%d] credentials; cut it into parts", maxFound)
	}
	return nil
}

// Invalidate ends what a text holds, as far as the caller may: cross-cluster keys
// and tokens take rights of their own. A dry run is judged alike, and answered as
// if it were none. When Invalidate returns, this process refuses what it ended.
func (s *Service) Invalidate(ctx context.Context, by *access.Caller, t *Text, dryRun bool) (Report, error) {
	var r Report
	if ids := slices.Sorted(maps.Keys(t.keys)); len(ids) > 0 {
		done, err := s.keys.Invalidate(ctx, by, apikey.InvalidateRequest{IDs: ids, DryRun: dryRun})
		if err != nil {
			return Report{}, err
		}
		r.Invalidated, r.Before, r.NotReached = t.shown(done.IDs), t.shown(done.Before), t.shown(done.NotReached)
	}
	allowed := s.tokens.MayInvalidate(by) == nil
	for _, text := range slices.Sorted(maps.Keys(t.tokens)) {
		found := t.tokens[text]
		if !found.Off && allowed && !dryRun {
			req := token.InvalidateRequest{Token: text}
			if found.kind == RefreshToken {
				req = token.InvalidateRequest{RefreshToken: text}
			}
			if _, err := s.tokens.Invalidate(ctx, by, req); err != nil {
				return Report{}, err
			}
		}
		switch {
		case found.Off:
			r.Before = append(r.Before, found.shown())
		case allowed:
			r.Invalidated = append(r.Invalidated, found.shown())
		default:
			r.NotReached = append(r.NotReached, found.shown())
		}
	}
	return r, nil
}

func (t *Text) shown(ids []string) (cs []Credential) {
	for _, id := range ids {
		k := t.keys[id]
		kind := "api_key"
		if k.Type != apikey.REST {
			kind = string(k.Type) + "_api_key"
		}
		cs = append(cs, Credential{kind, id, k.Name, k.Owner.Username, k.Owner.Realm})
	}
	return cs
}
