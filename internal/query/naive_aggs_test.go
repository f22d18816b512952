package query_test

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"

	"latchkey/internal/query"
	"latchkey/internal/query/querytest"
	"latchkey/internal/xcontent"
)

type object = map[string]any

// aggregate answers what the generator of package querytest asks for.
func (n naive) aggregate(aggs object, docs []querytest.Document) object {
	out := object{}
	for name, agg := range aggs {
		below, _ := agg.(object)["aggs"].(object)
		for kind, with := range agg.(object) {
			if kind != "aggs" {
				out[name] = n.one(kind, with.(object), below, docs)
			}
		}
	}
	return out
}

// bucket is a bucket of docs, with what else it shows.
func (n naive) bucket(below object, docs []querytest.Document, members object) object {
	b := n.aggregate(below, docs)
	b["doc_count"] = len(docs)
	for k, v := range members {
		b[k] = v
	}
	return b
}

func (n naive) filter(q any, docs []querytest.Document) []querytest.Document {
	body, _ := json.Marshal(object{"query": q})
	v, err := xcontent.ParseJSON(body)
	if err != nil {
		n.t.Fatal(err)
	}
	r, err := query.Parse(v, n.schema, n.now)
	if err != nil {
		n.t.Fatal(err)
	}
	var some []querytest.Document
	for _, d := range docs {
		if n.matches(d, r.Where()) {
			some = append(some, d)
		}
	}
	return some
}

// plain returns a value of a body as a text.
func plain(v any) string {
	switch v := v.(type) {
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	return v.(string)
}

// compareValues compares values of a field.
func (n naive) compareValues(name string) func(a, b string) int {
	if n.field(name).Type != query.Date {
		return strings.Compare
	}
	return func(a, b string) int {
		x, _ := strconv.ParseInt(a, 10, 64)
		y, _ := strconv.ParseInt(b, 10, 64)
		return cmp.Compare(x, y)
	}
}

func (n naive) one(kind string, with, below object, docs []querytest.Document) object {
	values := func(d querytest.Document) []string {
		name := with["field"].(string)
		all := n.values(d, name)
		if instead, ok := with["missing"]; ok && len(all) == 0 {
			all = []string{plain(instead)}
		}
		return all
	}
	switch kind {
	case "missing":
		return n.bucket(below, slices.DeleteFunc(slices.Clone(docs), func(d querytest.Document) bool { return len(values(d)) > 0 }), nil)
	case "value_count":
		count := 0
		for _, d := range docs {
			count += len(values(d))
		}
		return object{"value": count}
	case "cardinality":
		seen := map[string]bool{}
		for _, d := range docs {
			for _, s := range values(d) {
				seen[s] = true
			}
		}
		return object{"value": len(seen)}
	case "filter":
		return n.bucket(below, n.filter(with, docs), nil)
	case "filters":
		return n.filters(with, below, docs)
	case "terms":
		return n.terms(with, below, docs, values)
	case "composite":
		return n.composite(with, below, docs)
	}
	return n.ranges(with, below, docs, values)
}

func (n naive) filters(with, below object, docs []querytest.Document) object {
	rest := slices.Clone(docs)
	without := func(q any) {
		some := n.filter(q, rest)
		rest = slices.DeleteFunc(rest, func(d querytest.Document) bool {
			return slices.ContainsFunc(some, func(other querytest.Document) bool { return other.Name == d.Name })
		})
	}
	if list, ok := with["filters"].([]any); ok {
		buckets := []any{}
		for _, q := range list {
			buckets = append(buckets, n.bucket(below, n.filter(q, docs), nil))
			without(q)
		}
		if with["other_bucket"] == true {
			buckets = append(buckets, n.bucket(below, rest, nil))
		}
		return object{"buckets": buckets}
	}
	buckets := object{}
	for name, q := range with["filters"].(object) {
		buckets[name] = n.bucket(below, n.filter(q, docs), nil)
		without(q)
	}
	if with["other_bucket"] == true {
		buckets["_other_"] = n.bucket(below, rest, nil)
	}
	return object{"buckets": buckets}
}

func count(v any, otherwise int) int {
	if v == nil {
		return otherwise
	}
	i, _ := strconv.Atoi(plain(v))
	return i
}

func (n naive) terms(with, below object, docs []querytest.Document, values func(querytest.Document) []string) object {
	name := with["field"].(string)
	typ := n.field(name).Type
	by := map[string][]querytest.Document{}
	for _, d := range docs {
		for _, s := range values(d) {
			by[s] = append(by[s], d)
		}
	}
	least := count(with["min_doc_count"], 1)
	if least == 0 {
		for _, d := range n.docs {
			for _, s := range values(d) {
				by[s] = append([]querytest.Document{}, by[s]...)
			}
		}
	}
	listed := func(option string, s string) bool {
		return slices.ContainsFunc(with[option].([]any), func(v any) bool { return plain(v) == s })
	}
	total := 0
	var keys []string
	for s, some := range by {
		if with["include"] != nil && !listed("include", s) || with["exclude"] != nil && listed("exclude", s) {
			continue
		}
		total += len(some)
		if len(some) >= least {
			keys = append(keys, s)
		}
	}
	byKey, byCount := 0, -1
	if order, ok := with["order"].(object); ok {
		sign := map[any]int{"asc": 1, "desc": -1}
		byKey, byCount = sign[order["_key"]], sign[order["_count"]]
	}
	slices.SortFunc(keys, func(a, b string) int {
		c := n.compareValues(name)(a, b)
		return cmp.Or(byCount*cmp.Compare(len(by[a]), len(by[b])), byKey*c, c)
	})
	buckets := []any{}
	for _, s := range keys[:min(len(keys), count(with["size"], 10))] {
		total -= len(by[s])
		members := object{"key": s}
		switch typ {
		case query.Date:
			members = object{"key": json.Number(s), "key_as_string": s}
		case query.Boolean:
			members = object{"key": strings.Compare(s, "false"), "key_as_string": s}
		}
		buckets = append(buckets, n.bucket(below, by[s], members))
	}
	return object{"doc_count_error_upper_bound": 0, "sum_other_doc_count": total, "buckets": buckets}
}

func (n naive) ranges(with, below object, docs []querytest.Document, values func(querytest.Document) []string) object {
	type span struct {
		from, to float64
		members  object
	}
	var spans []span
	for _, v := range with["ranges"].([]any) {
		s := span{math.Inf(-1), math.Inf(1), object{}}
		from, to := "*", "*"
		if bound, ok := v.(object)["from"]; ok {
			from = plain(bound)
			s.from, _ = strconv.ParseFloat(from, 64)
			s.members["from"], s.members["from_as_string"] = s.from, from
		}
		if bound, ok := v.(object)["to"]; ok {
			to = plain(bound)
			s.to, _ = strconv.ParseFloat(to, 64)
			s.members["to"], s.members["to_as_string"] = s.to, to
		}
		s.members["key"] = from + "-" + to
		spans = append(spans, s)
	}
	slices.SortStableFunc(spans, func(a, b span) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to)) })
	buckets := []any{}
	for _, s := range spans {
		var some []querytest.Document
		for _, d := range docs {
			for _, text := range values(d) {
				if at, _ := strconv.ParseFloat(text, 64); s.from <= at && at < s.to {
					some = append(some, d)
				}
			}
		}
		buckets = append(buckets, n.bucket(below, some, s.members))
	}
	return object{"buckets": buckets}
}

func (n naive) composite(with, below object, docs []querytest.Document) object {
	type source struct {
		label, name string
		desc        bool
		bare, last  bool
	}
	var sources []source
	for _, v := range with["sources"].([]any) {
		for label, of := range v.(object) {
			terms := of.(object)["terms"].(object)
			s := source{label: label, name: terms["field"].(string), desc: terms["order"] == "desc", bare: terms["missing_bucket"] == true}
			s.last = terms["missing_order"] == "last" || terms["missing_order"] == "default" && s.desc
			sources = append(sources, s)
		}
	}
	type combination = []*string // null is nil
	compare := func(a, b combination) int {
		for i, s := range sources {
			c := 0
			switch {
			case a[i] == nil && b[i] == nil:
			case a[i] == nil && s.last || b[i] == nil && !s.last:
				c = 1
			case a[i] == nil || b[i] == nil:
				c = -1
			default:
				if c = n.compareValues(s.name)(*a[i], *b[i]); s.desc {
					c = -c
				}
			}
			if c != 0 {
				return c
			}
		}
		return 0
	}
	var all []combination
	var some [][]querytest.Document
	for _, d := range docs {
		combinations := []combination{{}}
		for _, s := range sources {
			var longer []combination
			for _, c := range combinations {
				values := n.values(d, s.name)
				for _, v := range values {
					longer = append(longer, append(slices.Clone(c), &v))
				}
				if len(values) == 0 && s.bare {
					longer = append(longer, append(slices.Clone(c), nil))
				}
			}
			combinations = longer
		}
		for _, c := range combinations {
			at := slices.IndexFunc(all, func(other combination) bool { return compare(c, other) == 0 })
			if at < 0 {
				at = len(all)
				all, some = append(all, c), append(some, nil)
			}
			some[at] = append(some[at], d)
		}
	}
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return compare(all[a], all[b]) })
	if after, ok := with["after"].(object); ok {
		var from combination
		for _, s := range sources {
			text := plain(after[s.label])
			from = append(from, &text)
		}
		order = slices.DeleteFunc(order, func(i int) bool { return compare(all[i], from) <= 0 })
	}
	out := object{"buckets": []any{}}
	for _, i := range order[:min(len(order), count(with["size"], 10))] {
		key := object{}
		for j, s := range sources {
			switch text := all[i][j]; {
			case text == nil:
				key[s.label] = nil
			case n.field(s.name).Type == query.Date:
				key[s.label] = json.Number(*text)
			case n.field(s.name).Type == query.Boolean:
				key[s.label] = *text == "true"
			default:
				key[s.label] = *text
			}
		}
		out["after_key"] = key
		out["buckets"] = append(out["buckets"].([]any), n.bucket(below, some[i], object{"key": key}))
	}
	return out
}
