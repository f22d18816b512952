package httpapi

import (
	"bytes"
	"net/http"
	"sync/atomic"
)

// memory bounds what all requests together hold of what their clients sent
// (spec/http.md 1, step 9).
type memory struct {
	limit int64 // bytes
	held  atomic.Int64
}

// bodyMemory is what bodies may take beside one of the greatest length. A body
// that no parser refuses fits, if it is alone.
const bodyMemory = 256 << 20 // bytes

// take reserves n bytes, or nothing if that is too much.
func (m *memory) take(n int64) bool {
	for {
		held := m.held.Load()
		if n > m.limit-held {
			return false
		}
		if m.held.CompareAndSwap(held, held+n) {
			return true
		}
	}
}

// share is what one request holds of a memory. What it reserves is the length
// of its buffer, which grows with the bytes that arrive, and an estimate of the
// tree that is parsed from them.
type share struct {
	of            *memory
	needed, taken int64 // bytes
}

// freeShare is what a request holds without asking, about as much as its
// connection costs anyway: an ordinary request, above all an invalidation, is
// served while others have taken everything.
const freeShare = 32 << 10 // bytes

// take reserves n bytes more until the share is released. A refusal is a 429,
// which clients may repeat: nothing has been done yet.
func (s *share) take(n int64) error {
	s.needed += n
	more := s.needed - freeShare - s.taken
	if more <= 0 {
		return nil
	}
	if !s.of.take(more) {
		return errMemory
	}
	s.taken += more
	return nil
}

// release gives everything back; a second time it does nothing.
func (s *share) release() {
	if s.taken > 0 {
		s.of.held.Add(-s.taken)
		s.taken = 0
	}
}

var errMemory = &failure{status: http.StatusTooManyRequests, typ: "circuit_breaking_exception", hangUp: true,
	reason: "the bodies of requests take too much memory at once; nothing was done, send the request again later"}

// treeSize estimates from above what the tree of a body takes: every value but
// the first follows one of the separators. The parsers refuse what holds more
// than is counted here.
func treeSize(content []byte, f format) int64 {
	count := func(separators string) int64 {
		n := 1
		for i := range len(separators) {
			n += bytes.Count(content, []byte(separators[i:i+1]))
		}
		return int64(n)
	}
	switch f {
	case yamlFormat:
		return min(count(",[{:-?\r\n"), maxYAMLMarks) * yamlMarkSize
	case cborFormat:
		return min(int64(len(content)), maxValues) * valueSize
	default:
		return min(count(",[{"), maxValues) * valueSize
	}
}

const (
	maxValues    = 1_000_000
	valueSize    = 128 // bytes, with the room that a growing slice wastes
	maxYAMLMarks = maxValues / 2
	yamlMarkSize = 512 // bytes: up to three values, and what the library for YAML makes of them first
)
