package authn

import (
	"context"
	"hash/maphash"
	"sync/atomic"

	"latchkey/internal/access"
	"latchkey/internal/secret"
)

// Again tells who holds a credential that was accepted before, as its room would
// tell it now. A nil caller without an error means that it has to be judged anew.
type Again = func(ctx context.Context) (*access.Caller, error)

// memory is what is known of the credential that a connection showed last: clients
// show one and the same with request after request. Then its digest is compared
// and its room asked whether it still stands; nothing is decoded and looked up.
type memory struct {
	seen atomic.Uint64 // of the header that was accepted last, a hash that proves nothing
	last atomic.Pointer[accepted]
}

// accepted is a header that was accepted twice in a row. It is not kept itself.
type accepted struct {
	digest secret.Digest
	again  Again
}

type memoryKey struct{}

// Remembering returns the context of a connection whose requests may be judged by
// what the ones before have shown.
func Remembering(ctx context.Context) context.Context {
	return context.WithValue(ctx, memoryKey{}, new(memory))
}

var headerSeed = maphash.MakeSeed()

// remembered judges a header, by the memory of its connection if that knows it. A
// judge is asked otherwise, and keep for what it may be asked again; nil is nothing.
func remembered(ctx context.Context, header string, judge func() (*access.Caller, error), keep func() Again) (*access.Caller, error) {
	m, _ := ctx.Value(memoryKey{}).(*memory)
	if m == nil {
		return judge()
	}
	hash := maphash.String(headerSeed, header)
	repeated := m.seen.Load() == hash
	if last := m.last.Load(); repeated && last != nil && last.digest.Matches(header) {
		if c, err := last.again(ctx); c != nil || err != nil {
			return c, err
		}
	}
	m.last.Store(nil)
	c, err := judge()
	if err != nil {
		return nil, err
	}
	m.seen.Store(hash)
	if repeated {
		if again := keep(); again != nil {
			m.last.Store(&accepted{secret.NewDigest(header), again})
		}
	}
	return c, nil
}
