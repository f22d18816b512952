package pattern

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// node is a part of a regular expression.
type node struct {
	op       op
	sub      []*node
	ranges   []edge // of a set; to is unused
	min, max int    // of a repetition; max -1 is no bound
}

type op uint8

const (
	opNothing op = iota // no string, not even the empty one
	opSet               // one character of ranges
	opConcat            // of no parts: the empty string
	opUnion
	opIntersect
	opComplement
	opRepeat
)

func concat(parts ...*node) *node {
	if len(parts) == 1 {
		return parts[0]
	}
	return &node{op: opConcat, sub: parts}
}

func unionOf(parts ...*node) *node { return &node{op: opUnion, sub: parts} }
func repeat(n *node, min, max int) *node {
	return &node{op: opRepeat, sub: []*node{n}, min: min, max: max}
}
func set(lo, hi rune) *node { return &node{op: opSet, ranges: []edge{{lo: lo, hi: hi}}} }
func anyCharacter() *node   { return set(0, utf8.MaxRune) }

// invert returns the characters that are in none of ranges.
func invert(ranges []edge) []edge {
	ranges = slices.SortedFunc(slices.Values(ranges), func(a, b edge) int { return cmp.Compare(a.lo, b.lo) })
	var out []edge
	free := rune(0)
	for _, r := range ranges {
		if r.lo > free {
			out = append(out, edge{lo: free, hi: r.lo - 1})
		}
		free = max(free, r.hi+1)
	}
	if free <= utf8.MaxRune {
		out = append(out, edge{lo: free, hi: utf8.MaxRune})
	}
	return out
}

func pad(n uint64, width int) string { return fmt.Sprintf("%0*d", width, n) }

// between matches the numbers from low to high, which are as many digits long.
func between(low, high string) *node {
	switch {
	case low == high:
		return literal(low)
	case strings.Trim(low, "0") == "" && strings.Trim(high, "9") == "":
		return digits(len(low))
	case low[0] == high[0]:
		return concat(set(rune(low[0]), rune(low[0])), between(low[1:], high[1:]))
	}
	// Below the first digits that differ, each side is bound at one end only, so
	// that of its branches only one goes on.
	rest := len(low) - 1
	first, last := low[0], high[0]
	n := unionOf()
	if strings.Trim(low[1:], "0") != "" {
		n.sub = append(n.sub, concat(literal(low[:1]), between(low[1:], strings.Repeat("9", rest))))
		first++
	}
	if strings.Trim(high[1:], "9") != "" {
		n.sub = append(n.sub, concat(literal(high[:1]), between(strings.Repeat("0", rest), high[1:])))
		last--
	}
	if first <= last {
		n.sub = append(n.sub, concat(set(rune(first), rune(last)), digits(rest)))
	}
	return n
}

// digits matches any n digits.
func digits(n int) *node { return repeat(set('0', '9'), n, n) }

// build adds the automaton of a regular expression to n.
func (n *nfa) build(e *node) frag {
	f := frag{n.state(), n.state()}
	if n.budget.spent() {
		return f
	}
	switch e.op {
	case opSet:
		for _, r := range e.ranges {
			n.edge(f.in, r.lo, r.hi, f.out)
		}
	case opConcat:
		at := f.in
		for _, part := range e.sub {
			p := n.build(part)
			n.jump(at, p.in)
			at = p.out
		}
		n.jump(at, f.out)
	case opUnion:
		for _, part := range e.sub {
			n.join(f, n.build(part))
		}
	case opIntersect:
		d := n.alone(e.sub[0])
		for _, part := range e.sub[1:] {
			d = product(d, n.alone(part), func(inA, inB bool) bool { return inA && inB }, n.budget)
		}
		n.join(f, n.embed(d))
	case opComplement:
		d := product(everything(), n.alone(e.sub[0]), func(_, inB bool) bool { return !inB }, n.budget)
		n.join(f, n.embed(d))
	case opRepeat:
		at := f.in
		for range e.min {
			if n.budget.spent() {
				return f
			}
			p := n.build(e.sub[0])
			n.jump(at, p.in)
			at = p.out
		}
		if e.max < 0 {
			p := n.build(e.sub[0])
			n.jump(p.out, p.in)
			n.jump(at, p.in)
			n.jump(p.out, f.out)
		}
		for range e.max - e.min {
			if n.budget.spent() {
				return f
			}
			n.jump(at, f.out)
			p := n.build(e.sub[0])
			n.jump(at, p.in)
			at = p.out
		}
		n.jump(at, f.out)
	}
	return f
}

// alone returns the dfa of e, on n's budget.
func (n *nfa) alone(e *node) *dfa {
	part := &nfa{budget: n.budget}
	d := part.determinize(part.build(e))
	if n.budget.spent() {
		return nil
	}
	return d
}
