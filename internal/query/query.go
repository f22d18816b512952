// Package query searches in memory by the query language of the field
// (spec/api-keys.md 4): it reads the body of a search, says what is wrong with it,
// and finds, sorts and pages what matches. What is searched, and which of its
// fields may be asked about, its callers say.
package query

import (
	"context"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"latchkey/internal/fault"
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
// at [Document.ID], and _doc is sortable.
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

// Document is one of the things that are searched.
type Document interface {
	ID() string
	// Values returns what a field holds, or nothing: true or false for a
	// [Boolean], decimal epoch milliseconds for a [Date]. The name is one of the
	// schema, or a path below one; see [Leaves].
	Values(field string) []string
}

// Leaves returns the values of an object at a path below it, or of all its
// leaves for the path "". A path names members, with dots between them; arrays are
// as good as each of their elements. Null is no value.
func Leaves(object xcontent.Value, path string) []string {
	return appendLeaves(nil, object, path, path == "")
}

func appendLeaves(to []string, v xcontent.Value, path string, all bool) []string {
	switch v.Kind {
	case xcontent.Object:
		for _, m := range v.Members {
			rest, below := strings.CutPrefix(path, m.Name+".")
			switch {
			case all:
				to = appendLeaves(to, m.Value, "", true)
			case path == m.Name:
				to = appendLeaves(to, m.Value, "", false)
			case below:
				to = appendLeaves(to, m.Value, rest, false)
			}
		}
	case xcontent.Array:
		for _, item := range v.Items {
			to = appendLeaves(to, item, path, all)
		}
	case xcontent.Null:
	default:
		if path == "" {
			to = append(to, v.Text)
		}
	}
	return to
}

// test reports whether a document matches.
type test func(Document) bool

func everything(Document) bool { return true }
func nothing(Document) bool    { return false }

// Request is a search that was read. It does not change.
type Request struct {
	match      test
	sort       []key
	from, size int
	after      []value
	late       error
}

const (
	defaultSize = 10
	maxWindow   = 10_000 // from and size together
)

// Parse reads the body of a search; an empty object, or null, asks for
// everything. What its syntax forbids is fault.Malformed or, inside of the query,
// fault.Parsing. That it asks for something that nobody may ask is told later, by
// [Request.Problems] and [Run]: the caller's right is judged first. Now is what
// date math calls now.
func Parse(body xcontent.Value, s Schema, now time.Time) (*Request, error) {
	r := &Request{match: everything, size: defaultSize}
	if body.Kind == xcontent.Null {
		return r, nil
	}
	p := &parser{schema: s, now: now.UTC()}
	var inner error // of the query; its kind stays as it is
	var after *xcontent.Value
	err := body.Read("query_request", xcontent.Fields{
		"query":        func(v xcontent.Value) error { r.match, inner = p.query(v, 0); return nil },
		"from":         toCount(&r.from),
		"size":         toCount(&r.size),
		"sort":         func(v xcontent.Value) (err error) { r.sort, err = p.sort(v); return err },
		"search_after": func(v xcontent.Value) error { after = &v; return needScalars(v) },
	})
	if err == nil {
		err = inner
	}
	if err != nil {
		return nil, err
	}
	if after != nil {
		r.after = p.after(*after, r.sort, r.from)
	}
	r.late = p.late
	return r, nil
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
	if r.from < 0 {
		p.Add("[from] must not be negative, but is [%d]", r.from)
	}
	if r.size < 0 {
		p.Add("[size] must not be negative, but is [%d]", r.size)
	}
	return p
}

// Hit is a document that was found.
type Hit[D Document] struct {
	Document D
	Sort     []xcontent.Value // what it was sorted by; nil if the request does not sort
}

// Found is the answer to a search.
type Found[D Document] struct {
	Total int // all that match
	Page  []Hit[D]
}

// Run finds those of docs that the request asks for; without a sort they keep
// their order. A request that nobody may make is fault.Argument, one that pages too
// deep fault.Search.
func Run[D Document](ctx context.Context, r *Request, docs []D) (Found[D], error) {
	if r.late != nil {
		return Found[D]{}, r.late
	}
	if r.from+r.size > maxWindow {
		why := fault.New(fault.Argument, "[from] and [size] together must be at most [%d], but are [%d]; use [search_after] to go further", maxWindow, r.from+r.size)
		return Found[D]{}, fault.New(fault.Search, "the search failed").Because(why)
	}
	type match struct {
		doc D
		by  []value
	}
	found := Found[D]{Page: []Hit[D]{}}
	var matches []match
	for i, d := range docs {
		if i%256 == 0 && ctx.Err() != nil {
			return Found[D]{}, ctx.Err()
		}
		if !r.match(d) {
			continue
		}
		found.Total++
		m := match{doc: d}
		for _, k := range r.sort {
			m.by = append(m.by, k.of(d, i))
		}
		if r.after == nil || r.compare(m.by, r.after) > 0 {
			matches = append(matches, m)
		}
	}
	if len(r.sort) > 0 {
		slices.SortStableFunc(matches, func(a, b match) int { return r.compare(a.by, b.by) })
	}
	first := min(r.from, len(matches))
	for _, m := range matches[first:min(first+r.size, len(matches))] {
		hit := Hit[D]{Document: m.doc}
		for i, v := range m.by {
			hit.Sort = append(hit.Sort, r.sort[i].show(v))
		}
		found.Page = append(found.Page, hit)
	}
	return found, nil
}

func (r *Request) compare(a, b []value) int {
	for i, k := range r.sort {
		if c := k.compare(a[i], b[i]); c != 0 {
			return c
		}
	}
	return 0
}

// millis is a stored date. What is none sorts first and is in no range.
func millis(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return math.MinInt64
	}
	return n
}
