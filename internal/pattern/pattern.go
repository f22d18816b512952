// Package pattern compiles the patterns of the field (spec/identity.md 0.4) into
// languages over strings, which can be matched, united, intersected, subtracted
// and compared. What a pattern is matched against (action names, index names,
// user names) it leaves to its callers.
package pattern

import (
	"strings"
	"unicode/utf8"

	"latchkey/internal/fault"
)

const (
	maxLength = 8192    // bytes of one pattern
	maxStates = 100_000 // of one automaton, as upstream
	maxSteps  = 1_000_000
)

// Language is a set of strings. It is immutable and safe for concurrent use; the
// zero value is the empty set. Strings are compared character by character
// (Unicode code points), with letter case.
type Language struct{ dfa *dfa }

// Compiler compiles and compares patterns within one bound on time and memory for
// all that it is asked to do, and a little more for each pattern: use one for all
// that one stranger sent. It is not safe for concurrent use.
type Compiler struct{ budget budget }

// NewCompiler returns a Compiler that has done nothing yet.
func NewCompiler() *Compiler { return &Compiler{budget{maxSteps}} }

// Parse compiles one pattern: * stands for any string, ? for any character and \
// takes the next character literally (at the end it stands for itself). Between
// two slashes stands a regular expression in Lucene's syntax that must match the
// whole string. A pattern that is malformed, or too large for the bounds of this
// package, is fault.Argument.
func (c *Compiler) Parse(pattern string) (Language, error) {
	c.budget.steps += 16 * (1 + len(pattern)) // what a plain one takes
	return compile(pattern, &c.budget)
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
func Exactly(s string) Language {
	d := &dfa{accept: make([]bool, 0, len(s)+1)}
	for _, r := range s {
		d.add([]edge{{r, r, int32(len(d.accept) + 1)}}, false)
	}
	d.add(nil, true)
	return Language{d}
}

func compile(pattern string, b *budget) (Language, error) {
	if len(pattern) > maxLength {
		return Language{}, fault.New(fault.Argument, "pattern [%s] is longer than %d bytes", shorten(pattern), maxLength)
	}
	n := &nfa{budget: b}
	var whole frag
	if strings.HasPrefix(pattern, "/") {
		if len(pattern) == 1 || !strings.HasSuffix(pattern, "/") {
			return Language{}, fault.New(fault.Argument, "pattern [%s] starts with '/' and must end with another one", shorten(pattern))
		}
		tree, err := parseRegexp(pattern[1 : len(pattern)-1])
		if err != nil {
			return Language{}, fault.New(fault.Argument, "pattern [%s] is not a regular expression: %s", shorten(pattern), err)
		}
		whole = n.build(tree)
	} else {
		whole = n.wildcard(pattern)
	}
	d := n.determinize(whole)
	if b.spent() {
		return Language{}, fault.New(fault.Argument, "pattern [%s] is too complex", shorten(pattern))
	}
	return Language{d}, nil
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

// Empty reports whether l holds no string at all.
func (l Language) Empty() bool { return l.dfa == nil }

// Minus returns the strings of l that are not in m. It is fault.Argument if that
// takes more work than this package allows.
func (l Language) Minus(m Language) (Language, error) {
	return combine(l, m, minus, &budget{maxSteps})
}

// Intersect returns the strings that are in both, within the bounds of [Language.Minus].
func (l Language) Intersect(m Language) (Language, error) {
	return combine(l, m, func(inL, inM bool) bool { return inL && inM }, &budget{maxSteps})
}

// Complement returns the strings that are not in l, within the bounds of [Language.Minus].
func (l Language) Complement() (Language, error) { return Language{everything()}.Minus(l) }

func minus(inL, inM bool) bool { return inL && !inM }

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
