package query

import (
	"maps"
	"math"
	"math/bits"
	"slices"
	"strings"

	"latchkey/internal/xcontent"
)

// Node is what a query means, independent of how it was written: [All], [None],
// [Bool], [IDs] or [Leaf]. A [Table] evaluates it; that is its definition, and what
// translates it has to agree. It does not change.
type Node interface{ isNode() }

type (
	// All matches everything.
	All struct{}
	// None matches nothing.
	None struct{}
	// Bool matches what all of Must, none of MustNot and at least Enough of Should match.
	Bool struct {
		Must, MustNot, Should []Node
		Enough                int
	}
	// IDs matches the documents with these ids; it is sorted and has no doubles.
	IDs []string
	// Leaf matches documents of which some value of a field passes a test. Name is
	// the field's, or a path below one that is [Flat]. What has no value passes none.
	Leaf struct {
		Field Field
		Name  string
		Test  Test
	}
)

func (All) isNode()  {}
func (None) isNode() {}
func (Bool) isNode() {}
func (IDs) isNode()  {}
func (Leaf) isNode() {}

// Test judges one value: [Exists], [OneOf], [Prefix], [Wildcard], [Between] and [Near]
// for texts, [Exists] and [Instants] for a [Date], [Exists] and [OneOf] for a [Boolean].
type Test interface{ isTest() }

type (
	// Exists passes every value.
	Exists struct{}
	// OneOf passes the values in Texts, which is sorted and has no doubles. For a
	// [Boolean] these are true and false. With Fold there is one text, and letter
	// case does not count ([strings.EqualFold]).
	OneOf struct {
		Texts []string
		Fold  bool
	}
	// Prefix passes values that begin with Text; with Fold in lower case both ([strings.ToLower]).
	Prefix struct {
		Text string
		Fold bool
	}
	// Wildcard passes values that match a pattern of [pattern.Wildcards], which has
	// at most 1000 bytes; with Fold in lower case both, and Pattern is so already.
	Wildcard struct {
		Pattern string
		Fold    bool
	}
	// Between passes values between two bounds, by their bytes; nil is no bound.
	Between struct {
		Low, High               *string
		ExcludeLow, ExcludeHigh bool
	}
	// Near passes values that are at most Edits away from Text ([xcontent.EditDistance]).
	Near struct {
		Text  string
		Edits int
	}
	// Instants passes dates, in epoch milliseconds, that are in one of the spans.
	// Both ends belong to a span; spans are in order and have gaps between them.
	Instants struct{ Spans [][2]int64 }
)

func (Exists) isTest()   {}
func (OneOf) isTest()    {}
func (Prefix) isTest()   {}
func (Wildcard) isTest() {}
func (Between) isTest()  {}
func (Near) isTest()     {}
func (Instants) isTest() {}

// oneOf returns the test for any of the texts, which it may change.
func oneOf(texts []string) OneOf {
	slices.Sort(texts)
	return OneOf{Texts: slices.Compact(texts)}
}

// instants returns the test for any of the spans, which it may change.
func instants(spans [][2]int64) Instants {
	slices.SortFunc(spans, func(a, b [2]int64) int { return slices.Compare(a[:], b[:]) })
	var apart [][2]int64
	for _, s := range spans {
		last := len(apart) - 1
		switch {
		case s[0] > s[1]:
		case last < 0 || apart[last][1] < math.MaxInt64 && s[0] > apart[last][1]+1:
			apart = append(apart, s)
		default:
			apart[last][1] = max(apart[last][1], s[1])
		}
	}
	return Instants{apart}
}

// bothOf returns a Node that matches what both match.
func bothOf(a, b Node) Node {
	if all, ok := a.(Bool); ok && len(all.Must) > 0 && len(all.MustNot) == 0 && all.Enough <= 0 {
		return Bool{Must: append(slices.Clip(all.Must), b)} // one level, however many words
	}
	return Bool{Must: []Node{a, b}}
}

func anyOf(nodes []Node) Node {
	if len(nodes) == 1 {
		return nodes[0]
	}
	return Bool{Should: nodes, Enough: 1}
}

func noneOf(n Node) Node { return Bool{MustNot: []Node{n}} }

// IDField is how [Request.Fields] names the ids of documents.
const IDField = "_id"

// namesIn adds to names what a Node reads.
func namesIn(n Node, names map[string]bool) {
	switch n := n.(type) {
	case Bool:
		for _, list := range [][]Node{n.Must, n.MustNot, n.Should} {
			for _, sub := range list {
				namesIn(sub, names)
			}
		}
	case IDs:
		names[IDField] = true
	case Leaf:
		names[n.Name] = true
	}
}

// FieldsOf returns what a Node reads, as [Request.Fields] does.
func FieldsOf(n Node) []string {
	names := map[string]bool{}
	namesIn(n, names)
	return slices.Sorted(maps.Keys(names))
}

// textTest returns a test of texts as a function. What it costs beyond a look at the
// text is taken from w.
func textTest(w *work, t Test) func(string) bool {
	switch t := t.(type) {
	case OneOf:
		if t.Fold {
			return func(s string) bool { return strings.EqualFold(s, t.Texts[0]) }
		}
		units := bits.Len(uint(len(t.Texts)))
		return func(s string) bool {
			_, is := slices.BinarySearch(t.Texts, s)
			return w.spend(units) && is
		}
	case Prefix:
		if t.Fold {
			with := strings.ToLower(t.Text)
			return func(s string) bool { return strings.HasPrefix(strings.ToLower(s), with) }
		}
		return func(s string) bool { return strings.HasPrefix(s, t.Text) }
	case Wildcard:
		is := wildcards(w, t.Pattern)
		if t.Fold {
			return func(s string) bool { return is(strings.ToLower(s)) }
		}
		return is
	case Between:
		return func(s string) bool {
			return (t.Low == nil || s > *t.Low || !t.ExcludeLow && s == *t.Low) &&
				(t.High == nil || s < *t.High || !t.ExcludeHigh && s == *t.High)
		}
	case Near:
		return func(s string) bool {
			return max(len(s)-len(t.Text), len(t.Text)-len(s)) <= t.Edits && w.spend(len(s)*len(t.Text)/8) && xcontent.EditDistance(t.Text, s) <= t.Edits
		}
	default:
		return func(string) bool { return true }
	}
}
