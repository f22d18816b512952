// Package querytest makes up documents and the bodies of searches, for tests that
// compare who understands the query language. Everything is small and drawn from
// few values, so that searches find something.
package querytest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"pgregory.net/rapid"

	"latchkey/internal/query"
)

// Words are the texts that documents and searches are made of.
var Words = []string{"a", "b", "A", "ab", "ab c", "abc-2", "Äb", "ß", "b*a", "10", "9", "true", "2", "", "x_y", "50%"}

// Times are the dates that documents and searches are made of, in epoch milliseconds.
var Times = []int64{-5, 0, 1, 1000, 86_399_999, 86_400_000, 1_700_000_000_000, 1_700_000_000_001, 1_700_086_400_000}

// Paths are the paths below a field that is [query.Flat].
var Paths = []string{"k", "k.l", "n", "k.l.m"}

// Document is a document over a schema; it implements [query.Document].
type Document struct {
	Name    string              // its id
	Texts   map[string][]string // by field
	Numbers map[string]int64    // by field: dates, and 0 or 1 for booleans
	Objects map[string]string   // by field, JSON
	Types   map[string]query.Type
}

// ID implements [query.Document].
func (d Document) ID() string { return d.Name }

// Cell implements [query.Document].
func (d Document) Cell(field string) query.Cell {
	n, ok := d.Numbers[field]
	switch {
	case d.Types[field] == query.Flat:
		return query.Object(d.Objects[field])
	case d.Types[field] == query.Keyword:
		return query.Texts(d.Texts[field])
	case !ok:
		return query.Cell{}
	case d.Types[field] == query.Boolean:
		return query.Is(n == 1)
	}
	return query.At(n)
}

// Documents draws up to most documents over a schema, with the ids id0, id1 and so
// on. Texts have up to values of them.
func Documents(s query.Schema, most, values int) *rapid.Generator[[]Document] {
	return rapid.Custom(func(t *rapid.T) []Document {
		docs := make([]Document, rapid.IntRange(0, most).Draw(t, "documents"))
		for i := range docs {
			docs[i] = document(t, s, "id"+strconv.Itoa(i), values)
		}
		return docs
	})
}

func document(t *rapid.T, s query.Schema, id string, values int) Document {
	d := Document{id, map[string][]string{}, map[string]int64{}, map[string]string{}, map[string]query.Type{}}
	for _, f := range s {
		d.Types[f.Name] = f.Type
		if rapid.IntRange(0, 3).Draw(t, "absent") == 0 {
			continue
		}
		switch f.Type {
		case query.Date:
			d.Numbers[f.Name] = rapid.SampledFrom(Times).Draw(t, f.Name)
		case query.Boolean:
			d.Numbers[f.Name] = rapid.Int64Range(0, 1).Draw(t, f.Name)
		case query.Flat:
			d.Objects[f.Name] = Object().Draw(t, f.Name)
		default:
			d.Texts[f.Name] = rapid.SliceOfN(rapid.SampledFrom(Words), 1, values).Draw(t, f.Name)
		}
	}
	return d
}

// Object draws a JSON object whose leaves are at [Paths].
func Object() *rapid.Generator[string] {
	leaf := rapid.Custom(func(t *rapid.T) any {
		word := rapid.SampledFrom(Words).Draw(t, "leaf")
		switch rapid.IntRange(0, 5).Draw(t, "kind of leaf") {
		case 0:
			return []any{word, rapid.SampledFrom(Words).Draw(t, "another")}
		case 1:
			return rapid.IntRange(0, 10).Draw(t, "number")
		case 2:
			return rapid.Bool().Draw(t, "boolean")
		case 3:
			return nil
		}
		return word
	})
	return rapid.Custom(func(t *rapid.T) string {
		object := map[string]any{}
		for _, path := range rapid.SliceOfNDistinct(rapid.SampledFrom(Paths), 0, len(Paths), rapid.ID).Draw(t, "paths") {
			at := object
			names := strings.Split(path, ".")
			for _, name := range names[:len(names)-1] {
				below, ok := at[name].(map[string]any)
				if !ok {
					below = map[string]any{}
					at[name] = below
				}
				at = below
			}
			at[names[len(names)-1]] = leaf.Draw(t, path)
		}
		return encode(object)
	})
}

func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// Options say what bodies may hold.
type Options struct {
	Aggregations bool
	DocOrder     bool // sort by [query.DocOrder], too
}

// Body draws the body of a search over a schema. It can be read, and nothing in it
// is refused.
func Body(s query.Schema, o Options) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		g := generator{t, s}
		body := map[string]any{}
		if g.often("query") {
			body["query"] = g.query(3)
		}
		if g.often("size") {
			body["size"] = rapid.IntRange(0, 5).Draw(t, "size")
		}
		if g.often("sort") {
			g.sort(body, o.DocOrder)
		}
		if _, paged := body["search_after"]; !paged && g.often("from") {
			body["from"] = rapid.IntRange(0, 3).Draw(t, "from")
		}
		if o.Aggregations && g.often("aggs") {
			body["aggs"] = g.aggregations(3)
		}
		return encode(body)
	})
}

type generator struct {
	t *rapid.T
	s query.Schema
}

func (g generator) often(what string) bool { return rapid.IntRange(0, 2).Draw(g.t, what) > 0 }

func (g generator) pick(names ...string) string {
	return rapid.SampledFrom(names).Draw(g.t, "choice")
}

func (g generator) word() string { return rapid.SampledFrom(Words).Draw(g.t, "word") }

// field draws a field of one of the types, and its name or one below it.
func (g generator) field(types ...query.Type) (query.Field, string) {
	var some []query.Field
	for _, f := range g.s {
		if slices.Contains(types, f.Type) {
			some = append(some, f)
		}
	}
	f := rapid.SampledFrom(some).Draw(g.t, "field")
	name := f.Name
	if f.Type == query.Flat && g.often("path") {
		name += "." + rapid.SampledFrom(Paths).Draw(g.t, "path")
	}
	return f, name
}

// value draws a value of a field.
func (g generator) value(f query.Field) any {
	switch f.Type {
	case query.Date:
		at := rapid.SampledFrom(Times).Draw(g.t, "time") + rapid.Int64Range(-1, 1).Draw(g.t, "off")
		if g.often("text") {
			return at
		}
		return strconv.FormatInt(at, 10)
	case query.Boolean:
		return rapid.Bool().Draw(g.t, "flag")
	}
	return g.word()
}

var (
	texts = []query.Type{query.Keyword, query.Flat}
	every = []query.Type{query.Keyword, query.Flat, query.Date, query.Boolean}
)

// ids draws ids, of which most documents have one.
func (g generator) ids() []string {
	ids := []string{}
	for _, n := range rapid.SliceOfN(rapid.IntRange(0, 30), 0, 4).Draw(g.t, "ids") {
		ids = append(ids, fmt.Sprint("id", n))
	}
	return ids
}

func (g generator) query(depth int) map[string]any {
	kinds := []string{"term", "term", "terms", "prefix", "wildcard", "range", "range", "exists", "match", "ids", "match_all", "simple_query_string"}
	if depth > 0 {
		kinds = append(kinds, "bool", "bool", "bool")
	}
	kind := g.pick(kinds...)
	return map[string]any{kind: g.clause(kind, depth)}
}

func (g generator) clause(kind string, depth int) any {
	fold := rapid.Bool().Draw(g.t, "fold")
	switch kind {
	case "bool":
		clause := map[string]any{}
		for _, part := range []string{"must", "filter", "should", "must_not"} {
			list := []any{}
			for range rapid.IntRange(0, 2).Draw(g.t, part) {
				list = append(list, g.query(depth-1))
			}
			clause[part] = list
		}
		if g.pick("", "", "minimum") != "" {
			clause["minimum_should_match"] = rapid.SampledFrom([]any{0, 1, 2, 3, -1, "50%", "-50%", "1<2"}).Draw(g.t, "minimum")
		}
		return clause
	case "ids":
		return map[string]any{"values": g.ids()}
	case "match_all":
		return map[string]any{}
	case "exists":
		_, name := g.field(every...)
		return map[string]any{"field": name}
	case "terms":
		f, name := g.field(every...)
		values := []any{}
		for range rapid.IntRange(0, 3).Draw(g.t, "values") {
			values = append(values, g.value(f))
		}
		return map[string]any{name: values}
	case "prefix":
		_, name := g.field(texts...)
		return map[string]any{name: map[string]any{"value": g.word(), "case_insensitive": fold}}
	case "wildcard":
		_, name := g.field(texts...)
		pattern := g.pick("*", "a*", "*b*", "?", "??", "*-2", "A*", `b\*a`, `*\_*`, "", "*b?", "x_y", "50%", "5*%", "Ä*", "[a]*")
		return map[string]any{name: map[string]any{"value": pattern, "case_insensitive": fold}}
	case "range":
		f, name := g.field(every...)
		clause := map[string]any{}
		if g.often("low") {
			clause[g.pick("gte", "gt")] = g.value(f)
		}
		if g.often("high") {
			clause[g.pick("lte", "lt")] = g.value(f)
		}
		return map[string]any{name: clause}
	case "simple_query_string":
		words := []string{}
		for range rapid.IntRange(0, 4).Draw(g.t, "words") {
			words = append(words, g.pick("a", "b*", "-ab", "+", "|", "(a b)", "ab~1", `"ab c"`, "true", "1000"))
		}
		clause := map[string]any{"query": strings.Join(words, " "), "default_operator": g.pick("and", "or")}
		if g.often("fields") {
			_, name := g.field(every...)
			clause["fields"] = []string{name}
		}
		return clause
	}
	f, name := g.field(every...) // term and match
	if kind == "match" {
		return map[string]any{name: g.value(f)}
	}
	return map[string]any{name: map[string]any{"value": g.value(f), "case_insensitive": fold}}
}

func (g generator) sort(body map[string]any, docOrder bool) {
	var keys, after []any
	for range rapid.IntRange(1, 3).Draw(g.t, "keys") {
		f, name := g.field(every...)
		if f.Unsorted {
			continue
		}
		if docOrder && g.pick("", "", "", query.DocOrder) != "" {
			keys, after = append(keys, query.DocOrder), append(after, rapid.IntRange(-1, 20).Draw(g.t, "place"))
			continue
		}
		with := map[string]any{"order": g.pick("asc", "desc")}
		if missing := g.pick("", "", "_first", "_last", "value"); missing == "value" {
			with["missing"] = g.value(f)
		} else if missing != "" {
			with["missing"] = missing
		}
		if mode := g.pick("", "min", "max"); mode != "" {
			with["mode"] = mode
		}
		keys, after = append(keys, map[string]any{name: with}), append(after, g.value(f))
		if g.pick("", "", "", "null") != "" {
			after[len(after)-1] = nil
		}
	}
	if len(keys) == 0 {
		return
	}
	body["sort"] = keys
	if g.pick("", "after") != "" {
		body["search_after"] = after
	}
}

func (g generator) aggregations(depth int) map[string]any {
	all := map[string]any{}
	for i := range rapid.IntRange(1, 2).Draw(g.t, "aggregations") {
		all[fmt.Sprint("agg", i)] = g.aggregation(depth)
	}
	return all
}

func (g generator) aggregation(depth int) map[string]any {
	kind := g.pick("terms", "terms", "range", "date_range", "missing", "cardinality", "value_count", "composite", "filter", "filters")
	one := map[string]any{}
	if depth > 0 && kind != "cardinality" && kind != "value_count" && g.often("below") {
		one["aggs"] = g.aggregations(depth - 1)
	}
	types := every
	switch kind {
	case "filter":
		one[kind] = g.query(1)
		return one
	case "filters":
		var queries any = []any{g.query(1), g.query(1)}
		if g.often("named") {
			queries = map[string]any{"x": g.query(1), "y": g.query(1)}
		}
		one[kind] = map[string]any{"filters": queries, "other_bucket": rapid.Bool().Draw(g.t, "other")}
		return one
	case "composite":
		one[kind] = g.composite()
		return one
	case "range", "date_range":
		types = []query.Type{query.Date}
	}
	f, name := g.field(types...)
	with := map[string]any{"field": name}
	if g.pick("", "", "missing") != "" {
		with["missing"] = g.value(f)
	}
	switch kind {
	case "terms":
		if g.often("size") {
			with["size"] = rapid.IntRange(1, 4).Draw(g.t, "size")
		}
		if g.often("order") {
			with["order"] = map[string]any{g.pick("_count", "_key"): g.pick("asc", "desc")}
		}
		if g.often("least") {
			with["min_doc_count"] = rapid.IntRange(0, 3).Draw(g.t, "least")
		}
		if choice := g.pick("", "", "include", "exclude"); choice != "" {
			with[choice] = []any{g.value(f), g.value(f)}
		}
	case "range", "date_range":
		spans := []any{}
		for range rapid.IntRange(1, 3).Draw(g.t, "ranges") {
			span := map[string]any{}
			if g.often("from") {
				span["from"] = g.value(f)
			}
			if g.often("to") {
				span["to"] = g.value(f)
			}
			spans = append(spans, span)
		}
		with["ranges"] = spans
	}
	one[kind] = with
	return one
}

func (g generator) composite() map[string]any {
	sources, after := []any{}, map[string]any{}
	for i := range rapid.IntRange(1, 2).Draw(g.t, "sources") {
		f, name := g.field(every...)
		source := fmt.Sprint("s", i)
		sources = append(sources, map[string]any{source: map[string]any{"terms": map[string]any{
			"field": name, "order": g.pick("asc", "desc"), "missing_bucket": rapid.Bool().Draw(g.t, "bare"), "missing_order": g.pick("default", "first", "last"),
		}}})
		after[source] = g.value(f)
	}
	with := map[string]any{"sources": sources, "size": rapid.IntRange(1, 4).Draw(g.t, "size")}
	if g.often("after") {
		with["after"] = after
	}
	return with
}
