package pattern

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// naive says where a match that starts at i in s can end: the meaning of a
// regular expression written down a second time, without automata.
type naive func(s string, i int) []int

func seq(a, b naive) naive {
	return func(s string, i int) (ends []int) {
		for _, j := range a(s, i) {
			ends = append(ends, b(s, j)...)
		}
		return slices.Compact(slices.Sorted(slices.Values(ends)))
	}
}

func either(a, b naive) naive {
	return func(s string, i int) []int {
		return slices.Compact(slices.Sorted(slices.Values(append(a(s, i), b(s, i)...))))
	}
}

func star(a naive) naive {
	return func(s string, i int) []int {
		ends := []int{i}
		for k := 0; k < len(ends); k++ {
			for _, j := range a(s, ends[k]) {
				if !slices.Contains(ends, j) {
					ends = append(ends, j)
				}
			}
		}
		return ends
	}
}

func filter(keep func(s string, i, j int) bool) naive {
	return func(s string, i int) (ends []int) {
		for j := i; j <= len(s); j++ {
			if keep(s, i, j) {
				ends = append(ends, j)
			}
		}
		return ends
	}
}

var empty = filter(func(_ string, i, j int) bool { return i == j })

type expression struct {
	text string
	ends naive
}

func expressions() *rapid.Generator[expression] {
	return rapid.Custom(func(t *rapid.T) expression { return draw(t, 4) })
}

func draw(t *rapid.T, depth int) expression {
	kind := rapid.IntRange(0, 10).Draw(t, "kind")
	if depth == 0 {
		kind %= 4
	}
	char := func(in string) naive {
		return filter(func(s string, i, j int) bool { return j == i+1 && strings.Contains(in, s[i:j]) })
	}
	switch kind {
	case 0:
		return expression{"a", char("a")}
	case 1:
		return expression{"[^a]", char("bc")}
	case 2:
		return expression{".", char("abc")}
	case 3:
		return expression{"()", empty}
	}
	a := draw(t, depth-1)
	at := "(" + a.text + ")"
	switch kind {
	case 4:
		return expression{at + "*", star(a.ends)}
	case 5:
		return expression{at + "?", either(a.ends, empty)}
	case 6:
		n, more := rapid.IntRange(0, 2).Draw(t, "min"), rapid.IntRange(0, 2).Draw(t, "more")
		ends := empty
		for range n {
			ends = seq(ends, a.ends)
		}
		for range more {
			ends = seq(ends, either(a.ends, empty))
		}
		return expression{fmt.Sprintf("%s{%d,%d}", at, n, n+more), ends}
	case 7:
		return expression{"~" + at, filter(func(s string, i, j int) bool { return !slices.Contains(a.ends(s, i), j) })}
	}
	b := draw(t, depth-1)
	bt := "(" + b.text + ")"
	switch kind {
	case 8:
		return expression{at + bt, seq(a.ends, b.ends)}
	case 9:
		return expression{a.text + "|" + bt, either(a.ends, b.ends)}
	default:
		return expression{at + "&" + bt, filter(func(s string, i, j int) bool {
			return slices.Contains(a.ends(s, i), j) && slices.Contains(b.ends(s, i), j)
		})}
	}
}

func TestMatchesAgreesWithANaiveMatcher(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := expressions().Draw(t, "expression")
		l, err := Parse("/" + e.text + "/")
		if err != nil {
			t.Fatalf("Parse(%q): %v", e.text, err)
		}
		for _, s := range words(4) {
			if got, want := l.Matches(s), slices.Contains(e.ends(s, 0), len(s)); got != want {
				t.Fatalf("%q matches %q: %v; want %v", e.text, s, got, want)
			}
		}
	})
}

func TestIncludesAgreesWithSampledStrings(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		wild := rapid.StringMatching(`[ab*?]{0,5}`)
		a, errA := Parse(wild.Draw(t, "a"))
		b, errB := Parse(wild.Draw(t, "b"))
		included, errI := NewCompiler().Includes(a, b)
		union, errU := NewCompiler().Union(a, b)
		same, errS := NewCompiler().Includes(a, union)
		if errA != nil || errB != nil || errI != nil || errU != nil || errS != nil {
			t.Fatal(errA, errB, errI, errU, errS)
		}
		if included != same {
			t.Fatalf("a includes b: %v, but a includes a|b: %v", included, same)
		}
		outside := false
		for _, s := range words(6) { // longer than any pattern, so a difference shows
			outside = outside || b.Matches(s) && !a.Matches(s)
		}
		if included == outside {
			t.Fatalf("a includes b: %v, a string of b outside of a: %v", included, outside)
		}
	})
}

func TestMatcherAgreesWithTheAutomaton(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`[abc*?\\]{0,7}`).Draw(t, "pattern")
		m, err1 := NewCompiler().Matcher(pattern)
		l, err2 := Parse(pattern)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		for _, s := range append(words(4), `\`, "*", "?", `a\`, "a*b", "b?") {
			if m.Matches(s) != l.Matches(s) {
				t.Fatalf("%q on %q: matcher %v, automaton %v", pattern, s, m.Matches(s), l.Matches(s))
			}
		}
	})
}

func TestIntervalsAgreeWithCounting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		width := rapid.IntRange(0, 4).Draw(t, "width") // 0: as many digits as it takes
		low, high := rapid.IntRange(0, 1200).Draw(t, "low"), rapid.IntRange(0, 1200).Draw(t, "high")
		a, b := fmt.Sprintf("%0*d", width, low), fmt.Sprintf("%0*d", width, high)
		l, err := Parse("/<" + a + "-" + b + ">/")
		if err != nil {
			t.Fatal(err)
		}
		for n := range 1300 {
			want := n >= min(low, high) && n <= max(low, high)
			s := fmt.Sprint(n)
			if len(a) == len(b) {
				s = fmt.Sprintf("%0*d", len(a), n)
			}
			if l.Matches(s) != want {
				t.Fatalf("<%s-%s> matches %s: %v; want %v", a, b, s, !want, want)
			}
		}
	})
}

// words returns every string over abc that is at most n characters long.
func words(n int) []string {
	all, last := []string{""}, []string{""}
	for range n {
		var next []string
		for _, w := range last {
			next = append(next, w+"a", w+"b", w+"c")
		}
		all, last = append(all, next...), next
	}
	return all
}
