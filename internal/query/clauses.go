package query

import (
	"errors"
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
)

// parser reads one query. late is the first thing in it that nobody may ask,
// though it can be read.
type parser struct {
	schema  Schema
	now     time.Time
	clauses int
	late    error
}

// refuse notes why a query is not run. What it is then does not matter.
func (p *parser) refuse(format string, args ...any) {
	if p.late == nil {
		p.late = fault.New(fault.Argument, format, args...)
	}
}

var kinds map[string]func(p *parser, v xcontent.Value, depth int) (test, error)

func init() { // it refers to itself
	kinds = map[string]func(p *parser, v xcontent.Value, depth int) (test, error){
		"match_all": func(p *parser, v xcontent.Value, _ int) (test, error) {
			return everything, read("match_all", v, xcontent.Fields{})
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
func (p *parser) query(v xcontent.Value, depth int) (test, error) {
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
		return nothing, nil
	}
	return nil, parsing(m.Line, m.Col, "unknown query ["+m.Name+"]"+xcontent.DidYouMean(m.Name, kinds))
}

func parsing(line, col int32, reason string) error {
	return fault.New(fault.Parsing, "[%d:%d] %s", line, col, reason)
}

// read is [xcontent.Value.Read] for the body of a query, which may always have a
// boost and a name: they change nothing here.
func read(parser string, v xcontent.Value, fields xcontent.Fields) error {
	fields["boost"], fields["_name"] = scalar, scalar
	err := v.Read(parser, fields)
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Kind == fault.Malformed {
		inQuery := *f
		inQuery.Kind = fault.Parsing
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

func (p *parser) boolean(v xcontent.Value, depth int) (test, error) {
	var must, should, mustNot []test
	var inner error
	several := func(to *[]test) func(xcontent.Value) error {
		return func(v xcontent.Value) error {
			each := v.Items
			if v.Kind != xcontent.Array {
				each = []xcontent.Value{v}
			}
			for _, q := range each {
				t, err := p.query(q, depth+1)
				if err != nil {
					inner = err
					return nil
				}
				*to = append(*to, t)
			}
			return nil
		}
	}
	var least *xcontent.Value
	err := read("bool", v, aside(xcontent.Fields{
		"must": several(&must), "filter": several(&must), "should": several(&should), "must_not": several(&mustNot),
		"minimum_should_match": func(v xcontent.Value) error { least = &v; return scalar(v) },
	}, "adjust_pure_negative"))
	if err == nil {
		err = inner
	}
	if err != nil {
		return nil, err
	}
	enough := 0
	if len(must) == 0 && len(should) > 0 {
		enough = 1
	}
	if least != nil {
		if enough, err = atLeast(*least, len(should)); err != nil {
			return nil, err
		}
	}
	return func(d Document) bool {
		for _, t := range must {
			if !t(d) {
				return false
			}
		}
		for _, t := range mustNot {
			if t(d) {
				return false
			}
		}
		return enoughMatch(should, d, enough)
	}, nil
}

func enoughMatch(tests []test, d Document, enough int) bool {
	for _, t := range tests {
		if enough <= 0 {
			break
		}
		if t(d) {
			enough--
		}
	}
	return enough <= 0
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

func (p *parser) ids(v xcontent.Value, _ int) (test, error) {
	wanted := map[string]bool{}
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
			wanted[item.Text] = true
		}
		return nil
	}})
	if err == nil && !given {
		err = parsing(v.Line, v.Col, "[ids] needs [values]")
	}
	return func(d Document) bool { return wanted[d.ID()] }, err
}

// field returns the field of a name; one that nobody may ask about is refused.
func (p *parser) field(name string) Field {
	f, ok := p.schema.find(name)
	if !ok {
		p.refuse("field [%s] is not allowed in a query", name)
	}
	return f
}

// about reads {field: value} or {field: {key: value, option: ...}}.
func (p *parser) about(parser, key string, v xcontent.Value, options xcontent.Fields) (name string, value xcontent.Value, err error) {
	if v.Kind != xcontent.Object || len(v.Members) != 1 {
		return "", value, parsing(v.Line, v.Col, "["+parser+"] must be an object with one field")
	}
	m := v.Members[0]
	if m.Value.Kind != xcontent.Object {
		if err := scalar(m.Value); err != nil {
			return "", value, parsing(m.Value.Line, m.Value.Col, "["+parser+"] field ["+m.Name+"] "+err.Error())
		}
		return m.Name, m.Value, nil
	}
	given := func(v xcontent.Value) error { return toScalar(&value)(v) }
	options[key] = given
	if parser == "wildcard" {
		options["wildcard"] = given
	}
	if err := read(parser, m.Value, options); err != nil {
		return "", value, err
	}
	if value.Kind == xcontent.Null {
		return "", value, parsing(m.Value.Line, m.Value.Col, "["+parser+"] needs a ["+key+"] for field ["+m.Name+"]")
	}
	return m.Name, value, nil
}

// holds tests whether one of a field's values is good.
func holds(name string, good func(string) bool) test {
	return func(d Document) bool { return slices.ContainsFunc(d.Values(name), good) }
}

// equal tests values for being v, by the rules of the field's type.
func (p *parser) equal(f Field, v xcontent.Value, fold bool) (func(string) bool, error) {
	switch f.Type {
	case Date:
		from, to, err := p.instant(v, "", time.UTC)
		return func(s string) bool { at := millis(s); return from <= at && at <= to }, err
	case Boolean:
		want := v.Text
		if want == "" {
			want = "false"
		}
		if want != "true" && want != "false" {
			return nil, fault.New(fault.Argument, "field [%s] is [true] or [false], and never [%s]", f.Name, want)
		}
		return func(s string) bool { return s == want }, nil
	}
	if fold {
		return func(s string) bool { return strings.EqualFold(s, v.Text) }, nil
	}
	return func(s string) bool { return s == v.Text }, nil
}

// or takes the place of a test that a value makes impossible.
func (p *parser) or(good func(string) bool, err error) func(string) bool {
	if err != nil {
		if p.late == nil {
			p.late = err
		}
		return func(string) bool { return false }
	}
	return good
}

func (p *parser) term(v xcontent.Value, _ int) (test, error) {
	fold := false
	name, value, err := p.about("term", "value", v, xcontent.Fields{"case_insensitive": xcontent.ToBool(&fold)})
	if err != nil {
		return nil, err
	}
	return holds(name, p.or(p.equal(p.field(name), value, fold))), nil
}

// match is term: no field is split into words.
func (p *parser) match(v xcontent.Value, _ int) (test, error) {
	none := ""
	name, value, err := p.about("match", "query", v, aside(xcontent.Fields{
		"fuzziness": func(v xcontent.Value) error {
			p.refuse("[fuzziness] is not supported in this context")
			return scalar(v)
		},
		"zero_terms_query": xcontent.ToString(&none),
	}, "operator", "analyzer", "minimum_should_match", "lenient", "prefix_length", "max_expansions", "fuzzy_transpositions", "fuzzy_rewrite",
		"auto_generate_synonyms_phrase_query"))
	if err != nil {
		return nil, err
	}
	return holds(name, p.or(p.equal(p.field(name), value, false))), nil
}

func (p *parser) terms(v xcontent.Value, _ int) (test, error) {
	if v.Kind != xcontent.Object {
		return nil, parsing(v.Line, v.Col, "[terms] must be an object")
	}
	var of *xcontent.Member
	for _, m := range v.Members {
		switch {
		case m.Name == "boost" || m.Name == "_name":
		case of != nil:
			return nil, parsing(m.Line, m.Col, "[terms] takes one field, but there are ["+of.Name+"] and ["+m.Name+"]")
		default:
			of = &m
		}
	}
	switch {
	case of == nil:
		return nil, parsing(v.Line, v.Col, "[terms] needs a field")
	case of.Value.Kind == xcontent.Object:
		p.refuse("[terms] with a lookup is not supported in this context")
		return nothing, nil
	case of.Value.Kind != xcontent.Array:
		return nil, parsing(of.Value.Line, of.Value.Col, "[terms] field ["+of.Name+"] must be an array of values")
	case len(of.Value.Items) > maxTerms:
		return nil, fault.New(fault.Argument, "[terms] takes at most [%d] values", maxTerms)
	}
	f := p.field(of.Name)
	texts := map[string]bool{}
	var dates []func(string) bool
	for _, item := range of.Value.Items {
		if err := scalar(item); err != nil {
			return nil, parsing(item.Line, item.Col, "[terms] field ["+of.Name+"] "+err.Error())
		}
		if f.Type == Keyword || f.Type == Flat {
			texts[item.Text] = true
			continue
		}
		if dates = append(dates, p.or(p.equal(f, item, false))); len(dates) > maxClauses {
			return nil, fault.New(fault.Argument, "[terms] takes at most [%d] values of field [%s]", maxClauses, of.Name)
		}
	}
	return holds(of.Name, func(s string) bool {
		return texts[s] || slices.ContainsFunc(dates, func(is func(string) bool) bool { return is(s) })
	}), nil
}

// texts returns the field of a name, if its values are texts; others are refused.
func (p *parser) texts(query, name string) {
	if f := p.field(name); f.Type == Boolean || f.Type == Date {
		p.refuse("[%s] is not supported on field [%s], which is no text", query, name)
	}
}

func (p *parser) prefix(v xcontent.Value, _ int) (test, error) {
	fold := false
	name, value, err := p.about("prefix", "value", v, aside(xcontent.Fields{"case_insensitive": xcontent.ToBool(&fold)}, "rewrite"))
	if err != nil {
		return nil, err
	}
	p.texts("prefix", name)
	return holds(name, begins(value.Text, fold)), nil
}

func begins(with string, fold bool) func(string) bool {
	if fold {
		with = strings.ToLower(with)
		return func(s string) bool { return strings.HasPrefix(strings.ToLower(s), with) }
	}
	return func(s string) bool { return strings.HasPrefix(s, with) }
}

func (p *parser) wildcard(v xcontent.Value, _ int) (test, error) {
	fold := false
	name, value, err := p.about("wildcard", "value", v, aside(xcontent.Fields{"case_insensitive": xcontent.ToBool(&fold)}, "rewrite"))
	if err != nil {
		return nil, err
	}
	p.texts("wildcard", name)
	text := value.Text
	if len(text) > maxPattern {
		return nil, fault.New(fault.Argument, "a pattern may have at most [%d] bytes", maxPattern)
	}
	if fold {
		text = strings.ToLower(text)
	}
	is := pattern.Wildcards(text)
	return holds(name, func(s string) bool {
		if fold {
			s = strings.ToLower(s)
		}
		return is.Matches(s)
	}), nil
}

func (p *parser) exists(v xcontent.Value, _ int) (test, error) {
	name := ""
	if err := read("exists", v, xcontent.Fields{"field": xcontent.ToString(&name)}); err != nil {
		return nil, err
	}
	if name == "" {
		return nil, parsing(v.Line, v.Col, "[exists] needs a [field]")
	}
	p.field(name)
	return holds(name, func(string) bool { return true }), nil
}

func (p *parser) ranged(v xcontent.Value, _ int) (test, error) {
	if v.Kind != xcontent.Object || len(v.Members) != 1 {
		return nil, parsing(v.Line, v.Col, "[range] must be an object with one field")
	}
	name := v.Members[0].Name
	var low, high xcontent.Value
	includeLow, includeHigh := true, true
	format, zone := "", ""
	bound := func(to *xcontent.Value, include *bool, including bool) func(xcontent.Value) error {
		return func(v xcontent.Value) error {
			*to, *include = v, including
			if v.Kind == xcontent.Null {
				return nil
			}
			return scalar(v)
		}
	}
	open := func(to *xcontent.Value) func(xcontent.Value) error {
		return func(v xcontent.Value) error { *to = v; return nil }
	}
	err := read("range", v.Members[0].Value, xcontent.Fields{
		"gte": bound(&low, &includeLow, true), "gt": bound(&low, &includeLow, false), "from": open(&low),
		"lte": bound(&high, &includeHigh, true), "lt": bound(&high, &includeHigh, false), "to": open(&high),
		"include_lower": xcontent.ToBool(&includeLow), "include_upper": xcontent.ToBool(&includeHigh),
		"format": xcontent.ToString(&format), "time_zone": xcontent.ToString(&zone),
		"relation": func(xcontent.Value) error {
			p.refuse("[range] with a [relation] is not supported in this context")
			return nil
		},
	})
	if err != nil {
		return nil, err
	}
	if f := p.field(name); f.Type == Date {
		return holds(name, p.or(p.between(low, high, includeLow, includeHigh, format, zone))), nil
	}
	return holds(name, func(s string) bool {
		return (low.Kind == xcontent.Null || s > low.Text || includeLow && s == low.Text) &&
			(high.Kind == xcontent.Null || s < high.Text || includeHigh && s == high.Text)
	}), nil
}
