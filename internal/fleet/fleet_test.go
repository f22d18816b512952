package fleet

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"latchkey/internal/fault"
)

func TestPackedChanges(t *testing.T) {
	tests := [][]Change{
		{{"one", []byte("body")}},
		{{"empty", nil}},
		{{"a", []byte("1")}, {"a", []byte("2")}, {"b", nil}},
		{{"ü", bytes.Repeat([]byte{0}, 300)}, {"", []byte{255}}},
	}
	for _, changes := range tests {
		kind, body := Pack(changes)
		got, err := Record{Kind: kind, Body: body}.Changes()
		if err != nil || !slices.EqualFunc(got, changes, func(a, b Change) bool { return a.Kind == b.Kind && bytes.Equal(a.Body, b.Body) }) {
			t.Errorf("%q became %q, %v", changes, got, err)
		}
	}
}

func FuzzBodies(f *testing.F) {
	f.Add(EncodeIDs([]string{"a", "", "ü"}))
	f.Add([]byte{3, 'a'})
	f.Add([]byte{255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1})
	f.Fuzz(func(t *testing.T, body []byte) {
		if ids, err := DecodeIDs(body); err == nil {
			if again, err := DecodeIDs(EncodeIDs(ids)); err != nil || !slices.Equal(again, ids) {
				t.Errorf("%q became %q, %v", ids, again, err)
			}
		}
		if changes, err := (Record{Kind: manyChanges, Body: body}).Changes(); err == nil && len(changes) > len(body) {
			t.Errorf("%d changes in %d bytes", len(changes), len(body))
		}
	})
}

func TestHistory(t *testing.T) {
	var h history
	if got := h.between(0, 1); h.last() != (Mark{}) || got != nil || h.has(Mark{}) {
		t.Errorf("an empty history holds %v, %v", h.last(), got)
	}
	h.start(Mark{10, "u10"})
	uid := func(rev int64) string { return fmt.Sprint("u", rev) }
	for rev := int64(11); rev <= 5000; rev++ {
		h.add(Record{Mark: Mark{rev, uid(rev)}, Prev: uid(rev - 1), Body: make([]byte, 10_000)})
	}
	if len(h.records) < maxRemembered || len(h.records) > 2*maxRemembered || h.bytes > maxBodies {
		t.Errorf("%d records with %d bytes", len(h.records), h.bytes)
	}
	total := 0
	for i, r := range h.records {
		if total += len(r.Body); (r.Body == nil) != (i < h.whole) {
			t.Fatalf("record %d of %d has %d bytes, and those from %d on are whole", i, len(h.records), len(r.Body), h.whole)
		}
	}
	if total != h.bytes {
		t.Errorf("%d bytes are held, and %d counted", total, h.bytes)
	}
	if !h.has(Mark{4999, "u4999"}) || h.has(Mark{4999, "x"}) || !h.contradicts(Mark{4999, "x"}) || h.contradicts(Mark{10, "x"}) || h.has(Mark{5001, "u5001"}) {
		t.Error("the history does not know what it holds")
	}
	tests := []struct{ after, upTo, first, last int64 }{
		{4999, 5000, 5000, 5000},
		{4990, 4995, 4991, 4995},
		{4700, 5000, 4701, 4700 + maxPush/10_000}, // as many as fit
		{5000, 5000, 0, 0},
		{5001, 5000, 0, 0},
		{4999, 5001, 0, 0}, // not there yet
		{4000, 5000, 0, 0}, // without its body
		{10, 5000, 0, 0},   // forgotten
	}
	for _, tt := range tests {
		got := h.between(tt.after, tt.upTo)
		var first, last int64
		if len(got) > 0 {
			first, last = got[0].Rev, got[len(got)-1].Rev
		}
		if first != tt.first || last != tt.last {
			t.Errorf("between %d and %d: %d to %d, want %d to %d", tt.after, tt.upTo, first, last, tt.first, tt.last)
		}
	}
	h.add(Record{Mark: Mark{5001, "u5001"}, Body: make([]byte, maxBodies+1)})
	h.add(Record{Mark: Mark{5002, "u5002"}, Body: []byte("x")})
	if got := h.between(5001, 5002); len(got) != 1 || h.bytes != 1 {
		t.Errorf("after a record that is too long: %d records, %d bytes", len(got), h.bytes)
	}
}

// stopped is a clock that stands where it is put.
type stopped time.Duration

func (s *stopped) Now() time.Duration { return time.Duration(*s) }

func (*stopped) Wait(context.Context, time.Duration, <-chan struct{}) error { panic("nobody waits") }

func TestLease(t *testing.T) {
	const second = time.Second
	tests := []struct {
		name          string
		grace, until  time.Duration // until 0: there is no lease
		now           time.Duration
		allows, stale bool
	}{
		{"held", 0, 10 * second, 10*second - 1, true, false},
		{"over", 0, 10 * second, 10 * second, false, false},
		{"none", 0, 0, 0, false, false},
		{"held, with grace", 5 * second, 10 * second, 9 * second, true, false},
		{"over, within the grace", 5 * second, 10 * second, 15*second - 1, true, true},
		{"over, as the grace is", 5 * second, 10 * second, 15 * second, false, false},
		{"none, and no grace for it", 5 * second, 0, second, false, false},
	}
	for _, tt := range tests {
		clock := stopped(tt.now)
		l := &Lease{clock: &clock, grace: tt.grace}
		l.extend(tt.until)
		err := l.Check()
		if err == nil != tt.allows || err != nil && fault.KindOf(err) != fault.Unavailable || l.Stale() != tt.stale {
			t.Errorf("%s: %v, stale %t; want allowed %t, stale %t", tt.name, err, l.Stale(), tt.allows, tt.stale)
		}
		l.end()
		if l.Check() == nil {
			t.Errorf("%s: a lease that was given up allows", tt.name)
		}
	}
	if l := Endless(); l.Check() != nil || l.Stale() || l.left() != forever {
		t.Error("an endless lease has ended")
	}
}

func TestBootClock(t *testing.T) {
	c := BootClock()
	before := c.Now()
	woken := make(chan struct{}, 1)
	woken <- struct{}{}
	if err := c.Wait(t.Context(), forever, woken); err != nil || len(woken) != 0 {
		t.Errorf("woken: %v", err)
	}
	if err := c.Wait(t.Context(), time.Nanosecond, nil); err != nil {
		t.Errorf("a nanosecond: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Wait(ctx, forever, nil); err != context.Canceled {
		t.Errorf("cancelled: %v", err)
	}
	if after := c.Now(); after <= before {
		t.Errorf("the clock went from %v to %v", before, after)
	}
}

func BenchmarkLeaseCheck(b *testing.B) {
	l := &Lease{clock: BootClock()}
	l.extend(forever)
	for b.Loop() {
		if l.Check() != nil {
			b.Fatal("over")
		}
	}
}
