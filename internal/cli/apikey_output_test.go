package cli

import (
	"testing"
	"time"
)

func TestAway(t *testing.T) {
	now := time.UnixMilli(1_000_000_000_000)
	tests := map[time.Duration]string{
		0: "in 0s", 90 * time.Second: "in 90s", 2 * time.Minute: "in 2m", 150 * time.Minute: "in 3h", 47 * time.Hour: "in 47h",
		48 * time.Hour: "in 2d", 400 * 24 * time.Hour: "in 400d", -time.Second: "1s ago", -36 * time.Hour: "36h ago",
	}
	for d, want := range tests {
		if got := away(now, now.Add(d).UnixMilli()); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}

// The server takes numbers up to a million.
func TestMathSpan(t *testing.T) {
	tests := map[time.Duration]string{
		time.Millisecond: "1s", time.Second: "1s", 1500 * time.Millisecond: "2s", 30 * time.Hour: "108000s",
		1_000_000 * time.Second: "1000000s", 30 * 24 * time.Hour: "43200m", 100 * 365 * 24 * time.Hour: "876000h",
	}
	for d, want := range tests {
		if got := mathSpan(d); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}

func TestTablesAreAlignedOnTheScreen(t *testing.T) {
	got := string(tableText([][]string{{"NAME", "X"}, {"日本語", "wide"}, {"e\u0301", "one"}, {"a\tb", ""}}))
	if want := "NAME      X\n日本語    wide\ne\u0301         one\na\\u0009b\n"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
