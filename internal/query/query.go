// Package query is the query language of the field (spec/api-keys.md 4): it reads
// the body of a search, says what is wrong with it, and finds, sorts, pages and
// aggregates the documents of a [Table]. What is searched, and which of its fields
// may be asked about, its callers say.
package query

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"latchkey/internal/fault"
	"latchkey/internal/pattern"
	"latchkey/internal/xcontent"
)

// Type says how the values of a field are compared.
type Type uint8

const (
	Keyword Type = iota // texts, compared as a whole
	Boolean             // true or false
	Date                // epoch milliseconds
	Flat                // a JSON object: the field has the values of all its leaves, field.path those at the path
)

// Field is a field that may be asked about.
type Field struct {
	Name     string
	Type     Type
	Unsorted bool // nobody may sort by it
}

// Schema holds the fields that may be asked about. Whatever it says, [ids] looks
// at the ids of documents, and [DocOrder] is sortable.
type Schema []Field

// find returns the field of a name, which may be a path below a [Flat] one.
func (s Schema) find(name string) (Field, bool) {
	for _, f := range s {
		if name == f.Name || f.Type == Flat && strings.HasPrefix(name, f.Name+".") && !strings.Contains(name, "*") {
			return f, true
		}
	}
	return Field{}, false
}

// Request is a search that was read. It does not change.
type Request struct {
	From, Size int // which part of what is found is shown

	where Node
	sort  []SortKey
	after []Value
	aggs  []*aggregator
	late  error
}

const (
	defaultSize = 10
	maxWindow   = 10_000 // from and size together
)

// Parse reads the body of a search; an empty object, or null, asks for
// everything. What its syntax forbids is fault.Malformed or, inside of the query,
// fault.Parsing. That it asks for something that nobody may ask is told later, by
// [Request.Problems] and [Request.Err]: the caller's right is judged first. Now is
// what date math calls now.
func Parse(body xcontent.Value, s Schema, now time.Time) (*Request, error) {
	return parse(body, s, now, nil)
}

// ParseWithAggregations is [Parse] for searches that may aggregate.
func ParseWithAggregations(body xcontent.Value, s Schema, now time.Time) (*Request, error) {
	return parse(body, s, now, []string{"aggs", "aggregations"})
}

func parse(body xcontent.Value, s Schema, now time.Time, aggregations []string) (*Request, error) {
	r := &Request{where: All{}, Size: defaultSize}
	if body.Kind == xcontent.Null {
		return r, nil
	}
	p := &parser{schema: s, now: now.UTC(), compiler: pattern.NewCompiler()}
	var inner error // of the query or an aggregation; its kind stays as it is
	var after *xcontent.Value
	fields := xcontent.Fields{
		"query": func(v xcontent.Value) (err error) {
			if r.where, err = p.query(v, 0); err != nil {
				inner = cmp.Or(inner, err)
			}
			return nil
		},
		"from":         toCount(&r.From),
		"size":         toCount(&r.Size),
		"sort":         func(v xcontent.Value) (err error) { r.sort, err = p.sort(v); return err },
		"search_after": func(v xcontent.Value) error { after = &v; return needScalars(v) },
	}
	for _, name := range aggregations {
		fields[name] = func(v xcontent.Value) error {
			if err := p.aggregations(v, &r.aggs, 1); err != nil {
				inner = cmp.Or(inner, err)
			}
			return nil
		}
	}
	if err := cmp.Or(body.Read("query_request", fields), inner); err != nil {
		return nil, err
	}
	if after != nil {
		r.after = p.after(*after, r.sort, r.From)
	}
	r.late = p.late
	return r, nil
}

// Where returns which documents the request asks for.
func (r *Request) Where() Node { return r.where }

// Sort returns by what the documents are sorted; by nothing, they keep their order.
func (r *Request) Sort() []SortKey { return r.sort }

// After returns what was sorted by of the last document that is not shown again,
// a value for each key, or nil.
func (r *Request) After() []Value { return r.after }

// Aggregates reports whether the request asks for aggregations.
func (r *Request) Aggregates() bool { return len(r.aggs) > 0 }

// Fields returns the names of all fields, and of paths below them, that the request
// reads, sorted; [IDField] if it reads ids.
func (r *Request) Fields() []string {
	names := map[string]bool{}
	namesIn(r.where, names)
	for _, k := range r.sort {
		if k.Name != DocOrder {
			names[k.Name] = true
		}
	}
	for _, a := range r.aggs {
		a.names(names)
	}
	return slices.Sorted(maps.Keys(names))
}

// AggregatedFields is [Request.Fields] of the aggregations alone.
func (r *Request) AggregatedFields() []string {
	names := map[string]bool{}
	for _, a := range r.aggs {
		a.names(names)
	}
	return slices.Sorted(maps.Keys(names))
}

// toCount reads a whole number, also from a string.
func toCount(to *int) func(xcontent.Value) error {
	return func(v xcontent.Value) error {
		n, err := strconv.ParseInt(v.Text, 10, 32)
		if v.Kind != xcontent.Number && v.Kind != xcontent.String || err != nil {
			return v.Mismatch("a whole number")
		}
		*to = int(n)
		return nil
	}
}

func needScalars(v xcontent.Value) error {
	if v.Kind != xcontent.Array {
		return v.Mismatch("an array of values")
	}
	for _, item := range v.Items {
		if item.Kind == xcontent.Array || item.Kind == xcontent.Object {
			return item.Mismatch("a single value")
		}
	}
	return nil
}

// Problems are those that come before the caller's right is judged.
func (r *Request) Problems() fault.Problems {
	var p fault.Problems
	if r.From < 0 {
		p.Add("[from] must not be negative, but is [%d]", r.From)
	}
	if r.Size < 0 {
		p.Add("[size] must not be negative, but is [%d]", r.Size)
	}
	return p
}

// Err returns why nobody may make the request, or nil: fault.Argument, or
// fault.Search if it pages too deep.
func (r *Request) Err() error {
	if r.late != nil {
		return r.late
	}
	if r.From+r.Size > maxWindow {
		why := fault.New(fault.Argument, "[from] and [size] together must be at most [%d], but are [%d]; use [search_after] to go further", maxWindow, r.From+r.Size)
		return fault.New(fault.Search, "the search failed").Because(why)
	}
	return nil
}
