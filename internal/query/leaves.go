package query

import (
	"slices"
	"strings"
	"time"

	"latchkey/internal/fault"
	"latchkey/internal/xcontent"
)

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

// leaf returns the Node of a test that was read, unless err says that it cannot be.
func (p *parser) leaf(f Field, name string, t Test, err error) Node {
	if err != nil && p.late == nil {
		p.late = err
	}
	if err != nil || f.Name == "" { // nobody may ask about it
		return None{}
	}
	return Leaf{f, name, t}
}

// equal tests values for being v, by the rules of the field's type.
func (p *parser) equal(f Field, v xcontent.Value, fold bool) (Test, error) {
	switch f.Type {
	case Date:
		from, to, err := p.instant(v, "", time.UTC)
		return instants([][2]int64{{from, to}}), err
	case Boolean:
		want := v.Text
		if want == "" {
			want = "false"
		}
		if want != "true" && want != "false" {
			return nil, fault.New(fault.Argument, "field [%s] is [true] or [false], and never [%s]", f.Name, want)
		}
		return OneOf{Texts: []string{want}}, nil
	}
	return OneOf{Texts: []string{v.Text}, Fold: fold}, nil
}

func (p *parser) term(v xcontent.Value, _ int) (Node, error) {
	fold := false
	name, value, err := p.about("term", "value", v, xcontent.Fields{"case_insensitive": xcontent.ToBool(&fold)})
	if err != nil {
		return nil, err
	}
	f := p.field(name)
	t, err := p.equal(f, value, fold)
	return p.leaf(f, name, t, err), nil
}

// match is term: no field is split into words.
func (p *parser) match(v xcontent.Value, _ int) (Node, error) {
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
	f := p.field(name)
	t, err := p.equal(f, value, false)
	return p.leaf(f, name, t, err), nil
}

func (p *parser) terms(v xcontent.Value, _ int) (Node, error) {
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
		return None{}, nil
	case of.Value.Kind != xcontent.Array:
		return nil, parsing(of.Value.Line, of.Value.Col, "[terms] field ["+of.Name+"] must be an array of values")
	case len(of.Value.Items) > maxTerms:
		return nil, fault.New(fault.Argument, "[terms] takes at most [%d] values", maxTerms)
	}
	f := p.field(of.Name)
	texts := []string{}
	var spans [][2]int64
	for _, item := range of.Value.Items {
		if err := scalar(item); err != nil {
			return nil, parsing(item.Line, item.Col, "[terms] field ["+of.Name+"] "+err.Error())
		}
		t, err := p.equal(f, item, false)
		if err != nil {
			return p.leaf(f, of.Name, nil, err), nil
		}
		switch t := t.(type) {
		case OneOf:
			texts = append(texts, t.Texts...)
		case Instants:
			spans = append(spans, t.Spans...)
		}
		if len(spans) > maxClauses {
			return nil, fault.New(fault.Argument, "[terms] takes at most [%d] values of field [%s]", maxClauses, of.Name)
		}
	}
	if f.Type == Date {
		return p.leaf(f, of.Name, instants(spans), nil), nil
	}
	return p.leaf(f, of.Name, oneOf(texts), nil), nil
}

// texts returns the field of a name whose values are texts; others are refused.
func (p *parser) texts(query, name string) Field {
	f := p.field(name)
	if f.Type == Boolean || f.Type == Date {
		p.refuse("[%s] is not supported on field [%s], which is no text", query, name)
	}
	return f
}

func (p *parser) prefix(v xcontent.Value, _ int) (Node, error) {
	fold := false
	name, value, err := p.about("prefix", "value", v, aside(xcontent.Fields{"case_insensitive": xcontent.ToBool(&fold)}, "rewrite"))
	if err != nil {
		return nil, err
	}
	return p.leaf(p.texts("prefix", name), name, Prefix{value.Text, fold}, nil), nil
}

func (p *parser) wildcard(v xcontent.Value, _ int) (Node, error) {
	fold := false
	name, value, err := p.about("wildcard", "value", v, aside(xcontent.Fields{"case_insensitive": xcontent.ToBool(&fold)}, "rewrite"))
	if err != nil {
		return nil, err
	}
	f := p.texts("wildcard", name)
	text := value.Text
	if len(text) > maxPattern {
		return nil, fault.New(fault.Argument, "a pattern may have at most [%d] bytes", maxPattern)
	}
	if fold {
		text = strings.ToLower(text)
	}
	return p.leaf(f, name, Wildcard{text, fold}, nil), nil
}

func (p *parser) exists(v xcontent.Value, _ int) (Node, error) {
	name := ""
	if err := read("exists", v, xcontent.Fields{"field": xcontent.ToString(&name)}); err != nil {
		return nil, err
	}
	if name == "" {
		return nil, parsing(v.Line, v.Col, "[exists] needs a [field]")
	}
	return p.leaf(p.field(name), name, Exists{}, nil), nil
}

func (p *parser) ranged(v xcontent.Value, _ int) (Node, error) {
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
	f := p.field(name)
	if f.Type == Date {
		t, err := p.between(low, high, includeLow, includeHigh, format, zone)
		return p.leaf(f, name, t, err), nil
	}
	t := Between{ExcludeLow: !includeLow, ExcludeHigh: !includeHigh}
	if low.Kind != xcontent.Null {
		t.Low = &low.Text
	}
	if high.Kind != xcontent.Null {
		t.High = &high.Text
	}
	if f.Type == Boolean {
		return p.leaf(f, name, oneOf(slices.DeleteFunc([]string{"false", "true"}, func(s string) bool { return !textTest(nil, t)(s) })), nil), nil
	}
	return p.leaf(f, name, t, nil), nil
}
