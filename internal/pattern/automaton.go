package pattern

import (
	"encoding/binary"
	"slices"
	"unicode/utf8"
)

// edge leads to a state on every character from lo to hi.
type edge struct {
	lo, hi rune
	to     int32
}

const dead = int32(-1) // where a dfa is after a character that it has no edge for

// dfa is a deterministic automaton that starts in state 0. The edges of a state
// are ordered and do not overlap, and from every state an accepting one can be
// reached; the empty language is a nil *dfa.
type dfa struct {
	edges  [][]edge
	accept []bool
}

func (d *dfa) add(edges []edge, accept bool) {
	d.edges, d.accept = append(d.edges, edges), append(d.accept, accept)
}

func (d *dfa) step(at int32, r rune) int32 {
	edges := d.edges[at]
	lo, hi := 0, len(edges)
	for lo < hi {
		switch mid := (lo + hi) / 2; {
		case r < edges[mid].lo:
			hi = mid
		case r > edges[mid].hi:
			lo = mid + 1
		default:
			return edges[mid].to
		}
	}
	return dead
}

func everything() *dfa {
	return &dfa{edges: [][]edge{{{0, utf8.MaxRune, 0}}}, accept: []bool{true}}
}

// budget bounds the work on strangers' patterns: a step is one element of a set
// of states or one edge looked at, so it bounds time and memory alike.
type budget struct{ steps int }

func (b *budget) spend(n int) bool {
	b.steps -= n
	return b.steps >= 0
}

func (b *budget) spent() bool { return b.steps < 0 }

// nfa is an automaton under construction. Once its budget is spent it stops
// growing and what it yields is meaningless, so callers ask budget.spent at the end.
type nfa struct {
	budget *budget
	edges  [][]edge
	eps    [][]int32
}

// frag is a part of an nfa with one way in and one way out.
type frag struct{ in, out int32 }

func (n *nfa) state() int32 {
	if !n.budget.spend(1) || len(n.edges) >= maxStates {
		n.budget.steps = -1
		if len(n.edges) > 0 {
			return 0
		}
	}
	n.edges, n.eps = append(n.edges, nil), append(n.eps, nil)
	return int32(len(n.edges) - 1)
}

func (n *nfa) edge(from int32, lo, hi rune, to int32) {
	if n.budget.spend(1) {
		n.edges[from] = append(n.edges[from], edge{lo, hi, to})
	}
}

func (n *nfa) jump(from, to int32) {
	if n.budget.spend(1) {
		n.eps[from] = append(n.eps[from], to)
	}
}

// join adds f as one more way through whole.
func (n *nfa) join(whole, f frag) {
	n.jump(whole.in, f.in)
	n.jump(f.out, whole.out)
}

// embed copies d into n.
func (n *nfa) embed(d *dfa) frag {
	f := frag{n.state(), n.state()}
	if d == nil {
		return f
	}
	base := int32(len(n.edges))
	for range d.accept {
		n.state()
	}
	for i := range d.accept {
		if n.budget.spent() {
			return f
		}
		for _, e := range d.edges[i] {
			n.edge(base+int32(i), e.lo, e.hi, base+e.to)
		}
		if d.accept[i] {
			n.jump(base+int32(i), f.out)
		}
	}
	n.jump(f.in, base)
	return f
}

// determinize returns the dfa of f, by subset construction.
func (n *nfa) determinize(f frag) *dfa {
	d := &dfa{}
	ids := map[string]int32{}
	var sets [][]int32
	mark, round := make([]int, len(n.edges)), 0
	intern := func(from []int32) int32 {
		round++
		set := n.closure(from, mark, round)
		key := make([]byte, 0, 4*len(set))
		for _, s := range set {
			key = binary.LittleEndian.AppendUint32(key, uint32(s))
		}
		id, ok := ids[string(key)]
		if !ok {
			id = int32(len(sets))
			ids[string(key)] = id
			sets = append(sets, set)
			if len(sets) > maxStates {
				n.budget.steps = -1
			}
		}
		return id
	}
	intern([]int32{f.in})
	for i := 0; i < len(sets); i++ {
		edges := n.split(sets[i], intern)
		if n.budget.spent() {
			return nil
		}
		_, accept := slices.BinarySearch(sets[i], f.out)
		d.add(edges, accept)
	}
	return d.trim()
}

// closure returns, in order, the states that can be reached from those given
// without reading a character.
func (n *nfa) closure(from []int32, mark []int, round int) []int32 {
	var set []int32
	visit := func(s int32) {
		if mark[s] != round {
			mark[s] = round
			set = append(set, s)
		}
	}
	for _, s := range from {
		visit(s)
	}
	for i := 0; i < len(set); i++ {
		for _, s := range n.eps[set[i]] {
			visit(s)
		}
		if !n.budget.spend(1 + len(n.eps[set[i]])) {
			return nil
		}
	}
	slices.Sort(set)
	return set
}

// split cuts the edges of a set of states into ranges that do not overlap, each
// leading to one set.
func (n *nfa) split(set []int32, intern func([]int32) int32) []edge {
	var points []rune // where a range begins; the last one is an end
	for _, s := range set {
		for _, e := range n.edges[s] {
			points = append(points, e.lo, e.hi+1)
		}
	}
	if len(points) == 0 || !n.budget.spend(len(points)) {
		return nil
	}
	slices.Sort(points)
	points = slices.Compact(points)
	targets := make([][]int32, len(points)-1)
	for _, s := range set {
		for _, e := range n.edges[s] {
			i, _ := slices.BinarySearch(points, e.lo)
			for ; points[i] <= e.hi; i++ {
				if !n.budget.spend(1) {
					return nil
				}
				targets[i] = append(targets[i], e.to)
			}
		}
	}
	var out []edge
	for i, t := range targets {
		if len(t) == 0 {
			continue
		}
		next := edge{points[i], points[i+1] - 1, intern(t)}
		if k := len(out) - 1; k >= 0 && out[k].to == next.to && out[k].hi+1 == next.lo {
			out[k].hi = next.hi
			continue
		}
		out = append(out, next)
	}
	return slices.Clip(out)
}

// product runs a and b side by side and keeps the strings that keep accepts; it
// must not keep a string that is not in a.
func product(a, b *dfa, keep func(inA, inB bool) bool, budget *budget) *dfa {
	if a == nil {
		return nil
	}
	type pair struct{ a, b int32 }
	d := &dfa{}
	start := pair{0, 0}
	if b == nil {
		start.b = dead
	}
	ids, pairs := map[pair]int32{start: 0}, []pair{start}
	for i := 0; i < len(pairs); i++ {
		p := pairs[i]
		var out []edge
		follow := func(lo, hi rune, to pair) {
			id, ok := ids[to]
			if !ok {
				id = int32(len(pairs))
				ids[to] = id
				pairs = append(pairs, to)
			}
			out = append(out, edge{lo, hi, id})
		}
		var others []edge
		if p.b != dead {
			others = b.edges[p.b]
		}
		for _, e := range a.edges[p.a] {
			lo := e.lo
			for _, o := range others {
				if o.hi < lo || o.lo > e.hi {
					continue
				}
				if o.lo > lo {
					follow(lo, o.lo-1, pair{e.to, dead})
				}
				follow(max(lo, o.lo), min(e.hi, o.hi), pair{e.to, o.to})
				lo = o.hi + 1
			}
			if lo <= e.hi {
				follow(lo, e.hi, pair{e.to, dead})
			}
			if !budget.spend(1 + len(others)) {
				return nil
			}
		}
		if !budget.spend(1) || len(pairs) > maxStates {
			budget.steps = -1
			return nil
		}
		d.add(out, keep(a.accept[p.a], p.b != dead && b.accept[p.b]))
	}
	return d.trim()
}

// trim removes the states that lead nowhere; nothing may be left.
func (d *dfa) trim() *dfa {
	into := make([][]int32, len(d.accept))
	var live []int32 // found, in order of discovery
	useful := make([]bool, len(d.accept))
	for s, edges := range d.edges {
		for _, e := range edges {
			into[e.to] = append(into[e.to], int32(s))
		}
		if d.accept[s] {
			useful[s] = true
			live = append(live, int32(s))
		}
	}
	for i := 0; i < len(live); i++ {
		for _, s := range into[live[i]] {
			if !useful[s] {
				useful[s] = true
				live = append(live, s)
			}
		}
	}
	if !useful[0] {
		return nil
	}
	if len(live) == len(d.accept) {
		return d
	}
	number, kept := make([]int32, len(d.accept)), int32(0)
	for s := range d.accept {
		if useful[s] {
			number[s] = kept
			kept++
		}
	}
	t := &dfa{}
	for s, edges := range d.edges {
		if !useful[s] {
			continue
		}
		var out []edge
		for _, e := range edges {
			if useful[e.to] {
				out = append(out, edge{e.lo, e.hi, number[e.to]})
			}
		}
		t.add(out, d.accept[s])
	}
	return t
}
