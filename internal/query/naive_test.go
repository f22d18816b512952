package query_test

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"pgregory.net/rapid"

	"latchkey/internal/pattern"
	"latchkey/internal/query"
	"latchkey/internal/query/querytest"
	"latchkey/internal/xcontent"
)

// naive answers searches document by document, and aggregations from their JSON.
type naive struct {
	t      *rapid.T
	schema query.Schema
	now    time.Time
	docs   []querytest.Document // all that matched
}

func (n naive) field(name string) query.Field {
	for _, f := range n.schema {
		if name == f.Name || strings.HasPrefix(name, f.Name+".") {
			return f
		}
	}
	n.t.Fatalf("there is no field %s", name)
	return query.Field{}
}

// values returns the different values of a document, sorted as their type is.
func (n naive) values(d querytest.Document, name string) []string {
	f := n.field(name)
	number, ok := d.Numbers[f.Name]
	var all []string
	switch {
	case f.Type == query.Flat && d.Objects[f.Name] != "":
		v, err := xcontent.ParseOwn([]byte(d.Objects[f.Name]))
		if err != nil {
			n.t.Fatal(err)
		}
		all = query.Leaves(v, strings.TrimPrefix(strings.TrimPrefix(name, f.Name), "."))
	case f.Type == query.Keyword:
		all = slices.Clone(d.Texts[f.Name])
	case ok && f.Type == query.Date:
		all = []string{strconv.FormatInt(number, 10)}
	case ok:
		all = []string{strconv.FormatBool(number == 1)}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (n naive) matches(d querytest.Document, node query.Node) bool {
	switch node := node.(type) {
	case query.All:
		return true
	case query.IDs:
		return slices.Contains(node, d.Name)
	case query.Leaf:
		return slices.ContainsFunc(n.values(d, node.Name), func(s string) bool { return passes(s, node.Test) })
	case query.Bool:
		is := func(sub query.Node) bool { return n.matches(d, sub) }
		some := 0
		for _, sub := range node.Should {
			if is(sub) {
				some++
			}
		}
		return !slices.ContainsFunc(node.Must, func(sub query.Node) bool { return !is(sub) }) && !slices.ContainsFunc(node.MustNot, is) && some >= node.Enough
	}
	return false
}

func passes(s string, test query.Test) bool {
	switch test := test.(type) {
	case query.OneOf:
		return slices.ContainsFunc(test.Texts, func(text string) bool { return s == text || test.Fold && strings.EqualFold(s, text) })
	case query.Prefix:
		return strings.HasPrefix(s, test.Text) || test.Fold && strings.HasPrefix(strings.ToLower(s), strings.ToLower(test.Text))
	case query.Wildcard:
		if test.Fold {
			s = strings.ToLower(s)
		}
		return pattern.Wildcards(test.Pattern).Matches(s)
	case query.Between:
		low, high := test.Low == nil, test.High == nil
		if !low {
			low = *test.Low < s || *test.Low == s && !test.ExcludeLow
		}
		if !high {
			high = s < *test.High || s == *test.High && !test.ExcludeHigh
		}
		return low && high
	case query.Near:
		return xcontent.EditDistance(s, test.Text) <= test.Edits
	case query.Instants:
		at, err := strconv.ParseInt(s, 10, 64)
		return err == nil && slices.ContainsFunc(test.Spans, func(span [2]int64) bool { return span[0] <= at && at <= span[1] })
	}
	return true
}

// page returns the ids that are shown, and what they are sorted by.
func (n naive) page(r *query.Request) []string {
	type hit struct {
		line string
		by   []query.Value
	}
	var hits []hit
	for i, d := range n.docs {
		h := hit{line: d.Name}
		var shown []xcontent.Value
		for _, k := range r.Sort() {
			v := query.Value{Number: int64(i)}
			if k.Name != query.DocOrder {
				v = n.sortValue(d, k)
			}
			h.by = append(h.by, v)
			shown = append(shown, k.Show(v))
		}
		if shown != nil {
			h.line += string(xcontent.Value{Kind: xcontent.Array, Items: shown}.JSON())
		}
		if r.After() == nil || compare(r, h.by, r.After()) > 0 {
			hits = append(hits, h)
		}
	}
	slices.SortStableFunc(hits, func(a, b hit) int { return compare(r, a.by, b.by) })
	lines := []string{}
	for i, h := range hits {
		if i >= r.From && i < r.From+r.Size {
			lines = append(lines, h.line)
		}
	}
	return lines
}

func compare(r *query.Request, a, b []query.Value) int {
	for i, k := range r.Sort() {
		if c := k.Compare(a[i], b[i]); c != 0 {
			return c
		}
	}
	return 0
}

func (n naive) sortValue(d querytest.Document, k query.SortKey) query.Value {
	all := n.values(d, k.Name)
	if len(all) == 0 {
		return k.Missing()
	}
	best := all[0]
	if k.Max {
		best = all[len(all)-1]
	}
	switch k.Field.Type {
	case query.Date:
		at, _ := strconv.ParseInt(best, 10, 64)
		return query.Value{Number: at}
	case query.Boolean:
		return query.Value{Number: int64(cmp.Compare(best, "false"))}
	}
	return query.Value{Text: best}
}
