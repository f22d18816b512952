package query

import (
	"hash/maphash"
	"math/bits"
	"strings"
)

// texts holds many texts without a pointer for each, numbered from 1, and finds the
// number of a text. Texts stay where they are; those that are given out do, too.
type texts struct {
	arena strings.Builder
	bases []uint64 // where in the arena each block of texts begins
	ends  []uint32 // where each text ends, from the base of its block on
	slots []uint32 // open addressing: a number, or 0
	used  int      // slots that are taken
	seed  maphash.Seed
}

const block = 256

func newTexts(room int) *texts {
	t := &texts{ends: make([]uint32, 0, room), seed: maphash.MakeSeed()}
	t.rehash(room)
	return t
}

// count returns the greatest number.
func (t *texts) count() int { return len(t.ends) }

// text returns the text of a number from 1 on.
func (t *texts) text(number uint32) string {
	i := number - 1
	base := t.bases[i/block]
	from := base
	if i%block > 0 {
		from += uint64(t.ends[i-1])
	}
	return t.arena.String()[from : base+uint64(t.ends[i])]
}

// find returns the number of a text, or 0.
func (t *texts) find(s string) uint32 { return t.slots[t.slot(s)] }

// slot returns where the number of s is, or would be.
func (t *texts) slot(s string) int {
	at := t.home(s)
	for t.slots[at] != 0 && t.text(t.slots[at]) != s {
		at = t.after(at)
	}
	return at
}

// home returns where the number of s is, unless another is in its place.
func (t *texts) home(s string) int {
	at, _ := bits.Mul64(maphash.String(t.seed, s), uint64(len(t.slots)))
	return int(at)
}

func (t *texts) after(at int) int {
	if at++; at < len(t.slots) {
		return at
	}
	return 0
}

// intern returns the number of a text, which it adds if it is new.
func (t *texts) intern(s string) uint32 {
	at := t.slot(s)
	if t.slots[at] == 0 {
		t.append(s)
		t.slots[at] = uint32(len(t.ends))
		t.grow()
		return uint32(len(t.ends))
	}
	return t.slots[at]
}

// append adds a text that is not looked for.
func (t *texts) append(s string) {
	if len(t.ends)%block == 0 {
		t.bases = append(t.bases, uint64(t.arena.Len()))
	}
	t.arena.WriteString(s)
	t.ends = append(t.ends, uint32(uint64(t.arena.Len())-t.bases[len(t.bases)-1]))
}

// grow counts a slot that was taken.
func (t *texts) grow() {
	if t.used++; t.used > len(t.slots)/8*7 {
		t.rehash(2 * t.used)
	}
}

// rehash makes room for n texts. At least an eighth of the slots stays free.
func (t *texts) rehash(n int) {
	old := t.slots
	t.slots = make([]uint32, (n/7+2)*8)
	for _, number := range old {
		if number != 0 {
			t.slots[t.slot(t.text(number))] = number
		}
	}
}

// forget makes a text be found no more; its number stays taken. Those behind it
// that its slot has pushed on move up.
func (t *texts) forget(s string) {
	hole := t.slot(s)
	if t.slots[hole] == 0 {
		return
	}
	t.used--
	beyond := func(at, from int) int { return (at - from + len(t.slots)) % len(t.slots) }
	for at := t.after(hole); t.slots[at] != 0; at = t.after(at) {
		if beyond(at, t.home(t.text(t.slots[at]))) >= beyond(at, hole) {
			t.slots[hole] = t.slots[at]
			hole = at
		}
	}
	t.slots[hole] = 0
}
