package fleet

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// Filter tells whether a name is one of very many, by two bytes for each of them.
// Of one in some two thousand others it says so as well.
type Filter struct{ body []byte }

// A filter is a bloom filter. Its body is filterVersion, and then its bits; the bits
// of a name are those that probe says. Other releases read it: whatever is changed
// here takes another version.
const (
	filterVersion = 1
	bytesPerName  = 2
	probes        = 11 // which is best for so many bits
)

// NewFilter returns the filter of names. There is at least one.
func NewFilter(names []string) Filter {
	f := Filter{make([]byte, 1+bytesPerName*len(names))}
	f.body[0] = filterVersion
	for _, name := range names {
		for bit := range f.probe(name) {
			f.body[1+bit/8] |= 1 << (bit % 8)
		}
	}
	return f
}

// Body returns the body of a change that ends what the filter has.
func (f Filter) Body() []byte { return f.body }

// ReadFilter is the reverse of [Filter.Body].
func ReadFilter(body []byte) (Filter, error) {
	if len(body) < 2 || body[0] != filterVersion {
		return Filter{}, fmt.Errorf("a filter of %d bytes is not understood", len(body))
	}
	return Filter{body}, nil
}

// Has reports whether name is one of the names, or looks like one.
func (f Filter) Has(name string) bool {
	for bit := range f.probe(name) {
		if f.body[1+bit/8]&(1<<(bit%8)) == 0 {
			return false
		}
	}
	return true
}

// probe yields the bits of a name.
func (f Filter) probe(name string) func(yield func(bit uint64) bool) {
	h := sha256.Sum256([]byte(name))
	at, stride := binary.BigEndian.Uint64(h[:]), binary.BigEndian.Uint64(h[8:])|1
	return func(yield func(uint64) bool) {
		for range probes {
			if !yield(at % (8 * uint64(len(f.body)-1))) {
				return
			}
			at += stride
		}
	}
}
