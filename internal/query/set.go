package query

import "math/bits"

// set is a set of small numbers.
type set []uint64

func newSet(n int) set { return make(set, (n+63)/64) }

func (s set) add(i uint32)      { s[i/64] |= 1 << (i % 64) }
func (s set) drop(i uint32)     { s[i/64] &^= 1 << (i % 64) }
func (s set) has(i uint32) bool { return s[i/64]>>(i%64)&1 != 0 }

// fill makes s the set of the first n numbers.
func (s set) fill(n int) {
	for i := range s {
		s[i] = ^uint64(0)
	}
	if n%64 != 0 {
		s[len(s)-1] = 1<<(n%64) - 1
	}
}

func (s set) and(other set) {
	for i, w := range other {
		s[i] &= w
	}
}

func (s set) minus(other set) {
	for i, w := range other {
		s[i] &^= w
	}
}

func (s set) count() int {
	n := 0
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

// keep drops the numbers that are not good.
func (s set) keep(good func(i uint32) bool) {
	for at, w := range s {
		for rest := w; rest != 0; rest &= rest - 1 {
			if i := bits.TrailingZeros64(rest); !good(uint32(64*at + i)) {
				w &^= 1 << i
			}
		}
		s[at] = w
	}
}

// all yields the numbers in order.
func (s set) all(yield func(i uint32) bool) {
	for at, w := range s {
		for ; w != 0; w &= w - 1 {
			if !yield(uint32(64*at + bits.TrailingZeros64(w))) {
				return
			}
		}
	}
}
