package jwt

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"

	"latchkey/internal/fault"
)

const (
	// OfFile and OfAddress are how long keys are used before their source is read
	// again: a key that its issuer has withdrawn is refused after that time, or
	// after the next reading that succeeds.
	OfFile    = 5 * time.Second
	OfAddress = 5 * time.Minute
	// readingGap is the least time between two readings. Tokens with wrong
	// signatures cause a reading, since an issuer signs with new keys at once.
	readingGap = 5 * time.Second

	minRSABits = 2048
)

// Keys are those that tokens are verified with: fixed ones, or a JWK set
// (RFC 7517) whose source is read again when it may have changed. They are safe
// for concurrent use.
type Keys struct {
	read func(context.Context) ([]byte, error) // nil: they are fixed
	now  func() time.Time
	log  *slog.Logger
	from string        // for people
	life time.Duration // OfFile or OfAddress

	held  atomic.Pointer[keySet] // never nil
	tried atomic.Int64           // when the last reading began, in Unix nanoseconds
	turn  chan struct{}          // held by who reads; of one place
}

// keySet is what one reading gave. It does not change.
type keySet struct {
	keys []jose.JSONWebKey
	text []byte
}

// SharedKey is a fixed key for HS256, HS384 and HS512.
func SharedKey(key string) *Keys {
	return fixed(&keySet{keys: []jose.JSONWebKey{{Key: []byte(key)}}})
}

// SharedKeys is the JWK set of such keys that text holds.
func SharedKeys(text string) (*Keys, error) {
	set, err := parseKeys([]byte(text), isShared)
	if err != nil {
		return nil, err
	}
	return fixed(set), nil
}

func fixed(set *keySet) *Keys {
	k := &Keys{}
	k.held.Store(set)
	return k
}

// PublicKeys is the JWK set that read returns. from names its source in the
// log. Nothing is read before the keys are asked for, or [Keys.Read] is called.
func PublicKeys(from string, read func(context.Context) ([]byte, error), life time.Duration, now func() time.Time, log *slog.Logger) *Keys {
	k := &Keys{read: read, life: life, now: now, log: log, from: from, turn: make(chan struct{}, 1)}
	k.held.Store(&keySet{})
	return k
}

// Read reads the source now, and keeps what was held if it fails.
func (k *Keys) Read(ctx context.Context) error {
	if k.read == nil {
		return nil
	}
	k.tried.Store(k.now().UnixNano())
	text, err := k.read(ctx)
	if err == nil && bytes.Equal(text, k.held.Load().text) {
		return nil
	}
	var set *keySet
	if err == nil {
		set, err = parseKeys(text, isPublic)
	}
	if err != nil {
		return fmt.Errorf("read the keys from %s: %w", k.from, err)
	}
	k.held.Store(set)
	return nil
}

// current returns the keys to verify with now. Whoever finds them old reads
// them again; all others go on with what there is.
func (k *Keys) current(ctx context.Context) (*keySet, error) {
	set := k.held.Load()
	if k.read == nil {
		return set, nil
	}
	if len(set.keys) == 0 {
		return k.newer(ctx, set)
	}
	if k.age() < k.life {
		return set, nil
	}
	select {
	case k.turn <- struct{}{}:
		defer k.done()
	default:
		return set, nil
	}
	if k.age() >= k.life {
		if err := k.Read(context.WithoutCancel(ctx)); err != nil { // its client has a timeout of its own
			k.log.WarnContext(ctx, "keys cannot be read again; those that are known stay in use", "err", err)
		}
	}
	return k.held.Load(), nil
}

// newer returns keys that came after the given ones, which have verified
// nothing, or the given ones if there are none. Without any keys at all it is
// fault.Unavailable.
func (k *Keys) newer(ctx context.Context, than *keySet) (*keySet, error) {
	if k.read == nil {
		return than, nil
	}
	select {
	case k.turn <- struct{}{}:
		defer k.done()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	var err error
	if k.held.Load() == than && k.age() >= readingGap {
		if err = k.Read(context.WithoutCancel(ctx)); err != nil {
			k.log.WarnContext(ctx, "keys cannot be read", "err", err)
		}
	}
	set := k.held.Load()
	if len(set.keys) == 0 {
		if err == nil {
			err = errors.New("they could not be read a moment ago")
		}
		return nil, fault.Wrap(err, fault.Unavailable, "the keys that tokens are verified with cannot be read")
	}
	return set, nil
}

func (k *Keys) done() { <-k.turn }

func (k *Keys) age() time.Duration { return k.now().Sub(time.Unix(0, k.tried.Load())) }

// parseKeys reads a JWK set. Keys that are of no use here are left out; at
// least one has to remain.
func parseKeys(text []byte, use func(*jose.JSONWebKey) bool) (*keySet, error) {
	var doc struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, errors.New("it is no JWK set: an object with an array [keys] is expected") // the text may hold secrets
	}
	set := &keySet{text: text}
	for _, raw := range doc.Keys {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(raw) != nil || !use(&key) {
			continue
		}
		set.keys = append(set.keys, key)
	}
	if len(set.keys) == 0 {
		return nil, fmt.Errorf("of the %d keys in the JWK set none can be used", len(doc.Keys))
	}
	return set, nil
}

func isShared(key *jose.JSONWebKey) bool {
	_, ok := key.Key.([]byte)
	return ok
}

// isPublic also takes the public half of a private key.
func isPublic(key *jose.JSONWebKey) bool {
	if isShared(key) {
		return false
	}
	*key = key.Public()
	switch k := key.Key.(type) {
	case *rsa.PublicKey:
		return k.N.BitLen() >= minRSABits
	case *ecdsa.PublicKey:
		return true
	}
	return false
}

// fits reports whether a token with the given algorithm and key id may be
// signed with key. An id counts where both have one.
func fits(key *jose.JSONWebKey, algorithm, id string) bool {
	switch {
	case id != "" && key.KeyID != "" && id != key.KeyID,
		key.Algorithm != "" && key.Algorithm != algorithm,
		key.Use != "" && key.Use != "sig":
		return false
	}
	switch k := key.Key.(type) {
	case *rsa.PublicKey:
		return algorithm[0] == 'R' || algorithm[0] == 'P'
	case *ecdsa.PublicKey:
		return curves[algorithm] == k.Curve.Params().BitSize
	}
	return isShared(key) && algorithm[0] == 'H'
}

// curves holds the size of the curve that each algorithm goes with.
var curves = map[string]int{"ES256": 256, "ES384": 384, "ES512": 521}
