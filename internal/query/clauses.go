package query

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"latchkey/internal/fault"
	"latchkey/internal/pattern"
	"latchkey/internal/xcontent"
)

// What one search may be made of. Its work is that times the documents.
const (
	maxClauses = 1024   // queries within queries, and words of a query string
	maxDepth   = 30     // of queries within queries
	maxTerms   = 65_536 // of one query
	maxPattern = 1000   // bytes
	maxTurns   = 50     // of query strings: each nests
)

// parser reads one query. late is the first thing in it that nobody may ask,
// though it can be read.
type parser struct {
	schema   Schema
	now      time.Time
	clauses  int
	aggs     int
	filtered int // by aggregations
	turns    int // how often query strings turn from or to and
	late     error

	compiler *pattern.Compiler // of the regular expressions
}

// refuse notes why a query is not run. What it is then does not matter.
func (p *parser) refuse(format string, args ...any) {
	if p.late == nil {
		p.late = fault.New(fault.Argument, format, args...)
	}
}

var kinds map[string]func(p *parser, v xcontent.Value, depth int) (Node, error)

func init() { // it refers to itself
	kinds = map[string]func(p *parser, v xcontent.Value, depth int) (Node, error){
		"match_all": func(p *parser, v xcontent.Value, _ int) (Node, error) {
			return All{}, read("match_all", v, xcontent.Fields{})
		},
		"bool":                (*parser).boolean,
		"ids":                 (*parser).ids,
		"term":                (*parser).term,
		"terms":               (*parser).terms,
		"match":               (*parser).match,
		"prefix":              (*parser).prefix,
		"wildcard":            (*parser).wildcard,
		"range":               (*parser).ranged,
		"exists":              (*parser).exists,
		"simple_query_string": (*parser).simple,
	}
}

// others are queries that exist elsewhere: to name one is no mistake of spelling.
var others = strings.Fields(`boosting combined_fields constant_score dis_max distance_feature function_score fuzzy geo_bounding_box geo_distance
	geo_grid geo_polygon geo_shape has_child has_parent intervals knn kql match_bool_prefix match_none match_phrase match_phrase_prefix more_like_this
	multi_match nested parent_id percolate pinned query_string rank_feature regexp rule script script_score semantic shape span_containing
	span_field_masking span_first span_multi span_near span_not span_or span_term span_within sparse_vector terms_set text_expansion weighted_tokens wrapper`)

// query reads an object whose only member is the query.
func (p *parser) query(v xcontent.Value, depth int) (Node, error) {
	switch {
	case v.Kind != xcontent.Object:
		return nil, parsing(v.Line, v.Col, "a query must be an object")
	case len(v.Members) == 0:
		return nil, fault.New(fault.Argument, "[%d:%d] a query is empty; write {\"match_all\":{}} for everything", v.Line, v.Col)
	case len(v.Members) > 1:
		second := v.Members[1]
		return nil, parsing(second.Line, second.Col, "a query is an object with one member, but after ["+v.Members[0].Name+"] comes ["+second.Name+"]")
	}
	m := v.Members[0]
	read, known := kinds[m.Name]
	p.clauses++
	switch {
	case p.clauses > maxClauses:
		return nil, fault.New(fault.Argument, "a search may have at most [%d] clauses", maxClauses)
	case depth > maxDepth:
		return nil, fault.New(fault.Argument, "queries may be nested at most [%d] deep", maxDepth)
	case known:
		return read(p, m.Value, depth)
	case slices.Contains(others, m.Name):
		p.refuse("query type [%s] is not supported in this context", m.Name)
		return None{}, nil
	}
	return nil, parsing(m.Line, m.Col, "unknown query ["+m.Name+"]"+xcontent.DidYouMean(m.Name, kinds))
}

func parsing(line, col int32, reason string) error {
	f := fault.New(fault.Parsing, "[%d:%d] %s", line, col, reason)
	f.Fields = position(int(line), int(col))
	return f
}

// position tells where a mistake is (spec/http.md 9).
func position(line, col int) []fault.Field {
	return []fault.Field{{Name: "line", Value: line}, {Name: "col", Value: col}}
}

// read is [xcontent.Value.Read] for the body of a query, which may always have a
// boost and a name: they change nothing here.
func read(parser string, v xcontent.Value, fields xcontent.Fields) error {
	fields["boost"], fields["_name"] = scalar, scalar
	err := v.Read(parser, fields)
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Kind == fault.Malformed {
		inQuery := *f
		inQuery.Kind = fault.Parsing
		var line, col int
		if n, _ := fmt.Sscanf(f.Reason, "[%d:%d]", &line, &col); n == 2 {
			inQuery.Fields = position(line, col)
		}
		return &inQuery
	}
	return err
}

func scalar(v xcontent.Value) error {
	if v.Kind == xcontent.Array || v.Kind == xcontent.Object || v.Kind == xcontent.Null {
		return v.Mismatch("a single value")
	}
	return nil
}

func toScalar(to *xcontent.Value) func(xcontent.Value) error {
	return func(v xcontent.Value) error {
		*to = v
		return scalar(v)
	}
}

// aside are options that change nothing here.
func aside(fields xcontent.Fields, names ...string) xcontent.Fields {
	for _, name := range names {
		fields[name] = scalar
	}
	return fields
}

func (p *parser) boolean(v xcontent.Value, depth int) (Node, error) {
	var b Bool
	var inner error
	several := func(to *[]Node) func(xcontent.Value) error {
		return func(v xcontent.Value) error {
			each := v.Items
			if v.Kind != xcontent.Array {
				each = []xcontent.Value{v}
			}
			for _, q := range each {
				n, err := p.query(q, depth+1)
				if err != nil {
					inner = err
					return nil
				}
				*to = append(*to, n)
			}
			return nil
		}
	}
	var least *xcontent.Value
	err := read("bool", v, aside(xcontent.Fields{
		"must": several(&b.Must), "filter": several(&b.Must), "should": several(&b.Should), "must_not": several(&b.MustNot),
		"minimum_should_match": func(v xcontent.Value) error { least = &v; return scalar(v) },
	}, "adjust_pure_negative"))
	if err == nil {
		err = inner
	}
	if err != nil {
		return nil, err
	}
	if len(b.Must) == 0 && len(b.Should) > 0 {
		b.Enough = 1
	}
	if least != nil {
		if b.Enough, err = atLeast(*least, len(b.Should)); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// atLeast reads minimum_should_match for n clauses: 2, -1 (all but one), 75%,
// -25%, or 3<90% for "all up to three, else 90 percent", of which the last that
// applies counts.
func atLeast(v xcontent.Value, n int) (int, error) {
	bad := parsing(v.Line, v.Col, "[minimum_should_match] must be a number, a percentage or conditions of them, but is ["+v.Text+"]")
	text := strings.TrimSpace(v.Text)
	if strings.Contains(text, "<") {
		chosen := n
		for part := range strings.FieldsSeq(text) {
			limit, rest, ok := strings.Cut(part, "<")
			above, err := strconv.Atoi(limit)
			if !ok || err != nil {
				return 0, bad
			}
			if n <= above {
				break
			}
			if chosen, err = atLeast(xcontent.Value{Kind: xcontent.String, Text: rest, Line: v.Line, Col: v.Col}, n); err != nil || strings.Contains(rest, "<") {
				return 0, bad
			}
		}
		return chosen, nil
	}
	number, percent := strings.CutSuffix(text, "%")
	count, err := strconv.ParseInt(number, 10, 32)
	if err != nil {
		return 0, bad
	}
	if percent {
		count = count * int64(n) / 100
	}
	if count < 0 || strings.HasPrefix(number, "-") {
		count += int64(n)
	}
	return int(max(count, 0)), nil
}

func (p *parser) ids(v xcontent.Value, _ int) (Node, error) {
	wanted := []string{}
	given := false
	err := read("ids", v, xcontent.Fields{"values": func(v xcontent.Value) error {
		given = true
		items := v.Items
		if v.Kind != xcontent.Array {
			items = []xcontent.Value{v}
		}
		for _, item := range items {
			if err := scalar(item); err != nil {
				return err
			}
			wanted = append(wanted, item.Text)
		}
		return nil
	}})
	if err == nil && !given {
		err = parsing(v.Line, v.Col, "[ids] needs [values]")
	}
	slices.Sort(wanted)
	return IDs(slices.Compact(wanted)), err
}
