// Package pattern compiles the patterns of the field (spec/identity.md 0.4) into
// languages over strings, which can be matched, united, intersected, subtracted
// and compared. What a pattern is matched against (action names, index names,
// user names) it leaves to its callers.
package pattern

import (
	"slices"
	"strings"
	"unicode/utf8"

	"latchkey/internal/fault"
)

const (
	maxLength = 8192      // bytes of one pattern
	maxTotal  = 2 << 20   // bytes of all patterns of one Compiler
	maxStates = 100_000   // of one automaton, as upstream
	maxSteps  = 4_000_000 // some 0.1 s; some two thousand usual patterns with stars inside
)

// Language is a set of strings. It is immutable and safe for concurrent use; the
// zero value is the empty set. Strings are compared character by character
// (Unicode code points), with letter case.
type Language struct{ dfa *dfa }

// Compiler compiles and compares patterns within one bound on time and memory for
// all that it is asked to do: use one for all that one stranger sent. Patterns
// that are only text, with or without stars at their end, count by their length
// alone. It is not safe for concurrent use.
type Compiler struct {
	budget budget
	total  int // bytes left
}

// NewCompiler returns a Compiler that has done nothing yet.
func NewCompiler() *Compiler {
	return &Compiler{budget{maxSteps}, maxTotal}
}

// NewSmallCompiler returns a Compiler with a part of the usual bounds, for results
// that are kept for long.
func NewSmallCompiler() *Compiler {
	return &Compiler{budget{maxSteps / 16}, maxTotal / 16}
}

// Parse compiles one pattern: * stands for any string, ? for any character and \
// takes the next character literally (at the end it stands for itself). Between
// two slashes stands a regular expression in Lucene's syntax that must match the
// whole string. A pattern that is malformed, or too large for the bounds of this
// package, is fault.Argument.
func (c *Compiler) Parse(pattern string) (Language, error) {
	if len(pattern) > maxLength {
		return Language{}, fault.New(fault.Argument, "pattern [%s] is longer than %d bytes", shorten(pattern), maxLength)
	}
	if c.total -= 1 + len(pattern); c.total < 0 {
		return Language{}, fault.New(fault.Argument, "these patterns are longer than %d bytes together", maxTotal)
	}
	if text, open, ok := beginning(pattern); ok {
		return Language{straight(text, open)}, nil
	}
	return compile(pattern, &c.budget)
}

// beginning splits a pattern that is only text into that text and whether
// anything may follow, as stars at the end say.
func beginning(pattern string) (text string, open, ok bool) {
	text = strings.TrimRight(pattern, "*")
	return text, len(text) < len(pattern), !strings.HasPrefix(text, "/") && !strings.ContainsAny(text, `*?\`)
}

// straight is the automaton of one string, or (open) of all that begin with it.
func straight(s string, open bool) *dfa {
	n := utf8.RuneCountInString(s)
	d := &dfa{make([][]edge, 0, n+1), make([]bool, 0, n+1)}
	steps := make([]edge, 0, n)
	for _, r := range s {
		steps = append(steps, edge{r, r, int32(len(steps) + 1)})
		d.add(slices.Clip(steps[len(steps)-1:]), false)
	}
	if open {
		d.add([]edge{{0, utf8.MaxRune, int32(n)}}, true)
	} else {
		d.add(nil, true)
	}
	return d
}

// ParseAll compiles the union of patterns.
func (c *Compiler) ParseAll(patterns []string) (Language, error) {
	all := make([]Language, len(patterns))
	for i, p := range patterns {
		var err error
		if all[i], err = c.Parse(p); err != nil {
			return Language{}, err
		}
	}
	return c.Union(all...)
}

// Includes reports whether every string of narrow is in wide.
func (c *Compiler) Includes(wide, narrow Language) (bool, error) {
	rest, err := combine(narrow, wide, minus, &c.budget)
	return rest.Empty(), err
}

// Minus returns the strings of l that are not in m.
func (c *Compiler) Minus(l, m Language) (Language, error) { return combine(l, m, minus, &c.budget) }

// Intersect returns the strings that are in both l and m.
func (c *Compiler) Intersect(l, m Language) (Language, error) {
	return combine(l, m, both, &c.budget)
}

// Union returns the strings that are in any of ls.
func (c *Compiler) Union(ls ...Language) (Language, error) {
	if len(ls) == 1 {
		return ls[0], nil
	}
	n := &nfa{budget: &c.budget}
	whole := frag{n.state(), n.state()}
	for _, l := range ls {
		n.join(whole, n.embed(l.dfa))
	}
	return result(n.determinize(whole), &c.budget)
}

// Parse is [Compiler.Parse] with bounds of its own.
func Parse(pattern string) (Language, error) { return NewCompiler().Parse(pattern) }

// ParseAll is [Compiler.ParseAll] with bounds of its own.
func ParseAll(patterns []string) (Language, error) { return NewCompiler().ParseAll(patterns) }

// Exactly is the language of the one string s.
func Exactly(s string) Language { return Language{straight(s, false)} }

func compile(pattern string, b *budget) (Language, error) {
	n := &nfa{budget: b}
	var whole frag
	if strings.HasPrefix(pattern, "/") {
		if len(pattern) == 1 || !strings.HasSuffix(pattern, "/") {
			return Language{}, fault.New(fault.Argument, "pattern [%s] starts with '/' and must end with another one", shorten(pattern))
		}
		tree, err := parseRegexp(pattern[1:len(pattern)-1], b)
		switch {
		case b.spent():
			return Language{}, tooComplex(pattern)
		case err != nil:
			return Language{}, fault.New(fault.Argument, "pattern [%s] is not a regular expression: %s", shorten(pattern), err)
		}
		whole = n.build(tree)
	} else {
		whole = n.wildcard(pattern)
	}
	d := n.determinize(whole)
	if b.spent() {
		return Language{}, tooComplex(pattern)
	}
	return Language{d}, nil
}

func tooComplex(pattern string) error {
	return fault.New(fault.Argument, "pattern [%s] is too complex", shorten(pattern))
}

// wildcard builds the automaton of a pattern that is no regular expression.
func (n *nfa) wildcard(pattern string) frag {
	f := frag{n.state(), 0}
	at := f.in
	for i := 0; i < len(pattern); {
		r, size := utf8.DecodeRuneInString(pattern[i:])
		i += size
		switch {
		case r == '*':
			n.edge(at, 0, utf8.MaxRune, at)
			continue
		case r == '\\' && i < len(pattern):
			r, size = utf8.DecodeRuneInString(pattern[i:])
			i += size
		case r == '?':
			next := n.state()
			n.edge(at, 0, utf8.MaxRune, next)
			at = next
			continue
		}
		next := n.state()
		n.edge(at, r, r, next)
		at = next
	}
	f.out = at
	return f
}

// Matches reports whether s is in l.
func (l Language) Matches(s string) bool {
	if l.dfa == nil {
		return false
	}
	at := int32(0)
	for _, r := range s {
		if at = l.dfa.step(at, r); at == dead {
			return false
		}
	}
	return l.dfa.accept[at]
}

// Beginning returns the longest text that every string of l begins with; of the
// empty set it is "".
func (l Language) Beginning() string {
	if l.dfa == nil {
		return ""
	}
	var text []rune
	for at := int32(0); ; {
		edges := l.dfa.edges[at]
		if l.dfa.accept[at] || len(edges) != 1 || edges[0].lo != edges[0].hi {
			return string(text)
		}
		text, at = append(text, edges[0].lo), edges[0].to
	}
}

// Size returns about how many bytes of memory l takes.
func (l Language) Size() int {
	if l.dfa == nil {
		return 0
	}
	n := 0
	for _, edges := range l.dfa.edges {
		n += 25 + 12*len(edges) // the header of the edges and the mark of the state, and the edges
	}
	return n
}

// Literal returns the text that a pattern stands for if it has nothing in it that
// stands for anything else.
func Literal(pattern string) (text string, ok bool) {
	text, open, ok := beginning(pattern)
	return text, ok && !open
}

// Prefix returns the text that all strings of a pattern begin with, if they are all
// strings that begin with it.
func Prefix(pattern string) (text string, ok bool) {
	text, open, ok := beginning(pattern)
	return text, ok && open
}

// Empty reports whether l holds no string at all.
func (l Language) Empty() bool { return l.dfa == nil }

// Minus returns the strings of l that are not in m. It is fault.Argument if that
// takes more work than this package allows.
func (l Language) Minus(m Language) (Language, error) {
	return combine(l, m, minus, &budget{maxSteps})
}

// Intersect returns the strings that are in both, within the bounds of [Language.Minus].
func (l Language) Intersect(m Language) (Language, error) {
	return combine(l, m, both, &budget{maxSteps})
}

// Complement returns the strings that are not in l, within the bounds of [Language.Minus].
func (l Language) Complement() (Language, error) { return Language{everything()}.Minus(l) }

func minus(inL, inM bool) bool { return inL && !inM }
func both(inL, inM bool) bool  { return inL && inM }

func combine(l, m Language, keep func(inL, inM bool) bool, b *budget) (Language, error) {
	return result(product(l.dfa, m.dfa, keep, b), b)
}

func result(d *dfa, b *budget) (Language, error) {
	if b.spent() {
		return Language{}, fault.New(fault.Argument, "these patterns are too complex together")
	}
	return Language{d}, nil
}

// shorten keeps a stranger's pattern from filling an error message.
func shorten(s string) string {
	if len(s) <= 200 {
		return s
	}
	return strings.ToValidUTF8(s[:200], "") + "..."
}
