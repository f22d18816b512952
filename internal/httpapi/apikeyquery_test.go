package httpapi

import (
	"fmt"
	"strings"
	"testing"
)

// Whatever is too much is refused, and the next search is served.
func TestHostileSearches(t *testing.T) {
	const head = "POST /_security/_query/api_key\nAuthorization: Basic dTp1LXBhc3N3b3Jk\n\n"
	list := func(n int, item string) string { return strings.TrimSuffix(strings.Repeat(item+",", n), ",") }
	nested := func(n int, open, inner, close string) string {
		return strings.Repeat(open, n) + inner + strings.Repeat(close, n)
	}
	tests := []struct{ name, body string }{
		{"queries in queries", `{"query":` + nested(40, `{"bool":{"must":`, `{"match_all":{}}`, `}}`) + `}`},
		{"arrays in arrays", `{"query":` + nested(10_000, `[`, ``, `]`) + `}`},
		{"objects without an end", strings.Repeat(`{"query":{"bool":{"must":[`, 5000)},
		{"many terms", `{"query":{"terms":{"name":[` + list(70_000, `1`) + `]}}}`},
		{"a million terms", `{"query":{"terms":{"name":[` + list(1_000_000, `1`) + `]}}}`},
		{"many clauses", `{"query":{"bool":{"should":[` + list(5000, `{"term":{"name":"x"}}`) + `]}}}`},
		{"many dates", `{"query":{"terms":{"creation":[` + list(5000, `1`) + `]}}}`},
		{"a long pattern", `{"query":{"wildcard":{"name":"` + strings.Repeat("*a", 5000) + `"}}}`},
		{"a long query string", `{"query":{"simple_query_string":{"query":"` + strings.Repeat("a* ", 5000) + `"}}}`},
		{"a query string of parentheses", `{"query":{"simple_query_string":{"query":"` + nested(5000, "(", "a", ")") + `"}}}`},
		{"many keys to sort by", `{"sort":[` + list(5000, `"name"`) + `]}`},
		{"a size beyond numbers", `{"size":99999999999999999999999}`},
		{"a size beyond the window", `{"size":1000000}`},
		{"a place beyond the window", `{"from":2147483647,"size":2147483647}`},
		{"date math without an end", `{"query":{"range":{"creation":{"gte":"now` + strings.Repeat("+1d", 50_000) + `"}}}}`},
		{"date math beyond time", `{"query":{"range":{"creation":{"gte":"now+9223372036854775807y"}}}}`},
		{"a format without an end", `{"query":{"range":{"creation":{"gte":"1","format":"` + strings.Repeat("yyyy||", 5000) + `q"}}}}`},
		{"aggregations in aggregations", `{"aggs":` + nested(50, `{"x":{"filter":{"match_all":{}},"aggs":`, `{}`, `}}`) + `}`},
		{"many aggregations", `{"aggs":{` + numbered(5000, `"a%d":{"terms":{"field":"name"}}`) + `}}`},
		{"many filters", `{"aggs":{"x":{"filters":{"filters":[` + list(5000, `{"match_all":{}}`) + `]}}}}`},
		{"many ranges", `{"aggs":{"x":{"date_range":{"field":"creation","ranges":[` + list(50_000, `{"from":1}`) + `]}}}}`},
		{"many sources", `{"aggs":{"x":{"composite":{"sources":[` + numbered(5000, `{"s%d":{"terms":{"field":"name"}}}`) + `]}}}}`},
		{"buckets in buckets", `{"aggs":` + nested(2, `{"x":{"filters":{"filters":[`+list(300, `{"match_all":{}}`)+`]},"aggs":`, `{"n":{"value_count":{"field":"name"}}}`, `}}`) + `}`},
		{"a pattern that explodes", `{"aggs":{"x":{"terms":{"field":"name","include":"(((a{1,100}){1,100}){1,100}){1,100}"}}}}`},
		{"no buckets", `{"aggs":{"x":{"terms":{"field":"name","size":0}}}}`},
		{"less than no buckets", `{"aggs":{"x":{"terms":{"field":"name","size":-5}}}}`},
		{"no number of buckets", `{"aggs":{"x":{"terms":{"field":"name","size":"many"}}}}`},
		{"an aggregation without a name", `{"aggs":{"":{"terms":{"field":"name"}}}}`},
		{"an aggregation whose name is no name", `{"aggs":{"a>b[c]":{"terms":{"field":"name"}}}}`},
	}
	w := startServer(t, newServices(t, false)).dial(t)
	w.expect("POST /_security/api_key\nAuthorization: Basic dTp1LXBhc3N3b3Jk\n\n"+`{"name":"n","metadata":{"`+strings.Repeat("a", 1000)+`":"`+strings.Repeat("a", 10_000)+`"}}`, 200)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w.t = t
			w.expect(head+tt.body, 400, `"status":400`, `"type":"`)
			w.expect(head+`{"size":0}`, 200, `{"total":1,"count":0,"api_keys":[]}`)
		})
	}
	t.Run("texts that only look hostile", func(t *testing.T) {
		w.t = t
		for _, text := range []string{`'; DROP TABLE api_keys; --`, `%`, `_`, `\u0000`, `\ud83d\ude00`, `*?*?*?*?*?*?*?*?*?*?*?*?x`, `[a-z]`, `$1`, `\"`, `\\`, `\\*`} {
			for _, query := range []string{`{"term":{"name":"%s"}}`, `{"prefix":{"name":"%s"}}`, `{"wildcard":{"name":"%s"}}`, `{"term":{"metadata.%s":"x"}}`,
				`{"range":{"name":{"gt":"z%s"}}}`, `{"ids":{"values":["%s"]}}`, `{"simple_query_string":{"query":"%s","fields":["name"]}}`} {
				if strings.Contains(text, "*") && strings.Contains(query, "metadata") {
					continue // no name of a field
				}
				w.expect(head+`{"query":`+fmt.Sprintf(query, text)+`}`, 200, `{"total":0,"count":0,"api_keys":[]}`)
			}
		}
	})
	if n := w.expect(head+`{"query":{"wildcard":{"metadata":"`+strings.Repeat("*a", 400)+`*b"}}}`, 200); !strings.Contains(n.body, `"total":0`) {
		t.Errorf("a pattern of many stars finds %s", n.body)
	}
}

// numbered is n items with commas between, each with its number in place of %d.
func numbered(n int, item string) string {
	items := make([]string, n)
	for i := range items {
		items[i] = fmt.Sprintf(item, i)
	}
	return strings.Join(items, ",")
}
