package fault

import (
	"errors"
	"fmt"
	"testing"
)

func TestKindOf(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want Kind
	}{
		{"nil", nil, Internal},
		{"an error nobody classified", errors.New("disk on fire"), Internal},
		{"a fault", New(NotFound, "x"), NotFound},
		{"a fault inside a wrapped error", fmt.Errorf("read: %w", New(Conflict, "x")), Conflict},
		{"the outer of two faults", Wrap(New(Unauthenticated, "inner"), Forbidden, "outer"), Forbidden},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := KindOf(tt.err); got != tt.want {
				t.Errorf("KindOf(%v) = %v; want %v", tt.err, got, tt.want)
			}
		})
	}
}

func TestProblemsAreNumbered(t *testing.T) {
	var p Problems
	if err := p.Err(Invalid); err != nil {
		t.Fatalf("no problem: %v", err)
	}
	p.Add("name is %s", "empty")
	p.Add("too long")
	const want = "Validation Failed: 1: name is empty;2: too long;"
	if err := p.Err(Refused); err == nil || err.Error() != want || KindOf(err) != Refused {
		t.Errorf("Err = %v (%v); want %q", err, KindOf(err), want)
	}
}

// A cause that is no fault must stay out of what the caller sees.
func TestBecauseShowsFaultsOnly(t *testing.T) {
	inner := New(Argument, "bad unit")
	if e := New(Malformed, "outer").Because(inner); e.Shown != inner {
		t.Errorf("Shown = %v; want the inner fault", e.Shown)
	}
	hidden := errors.New("open secret file")
	if e := New(Malformed, "outer").Because(hidden); e.Shown != nil || !errors.Is(e, hidden) {
		t.Errorf("Because(plain error) = %+v; want it hidden but unwrappable", e)
	}
}
