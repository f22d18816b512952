package query_test

import (
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"latchkey/internal/query"
	"latchkey/internal/xcontent"
)

var keys = query.Schema{
	{Name: "name"}, {Name: "type"}, {Name: "username"}, {Name: "realm_name"}, {Name: "creation", Type: query.Date}, {Name: "expiration", Type: query.Date},
	{Name: "invalidation", Type: query.Date}, {Name: "invalidated", Type: query.Boolean}, {Name: "metadata", Type: query.Flat}, {Name: "last_used", Type: query.Date},
}

// million is a table of a million keys of a thousand users.
var million = sync.OnceValue(func() *query.Table {
	const n = 1_000_000
	t := query.NewTable(keys, n)
	at := noon.UnixMilli() - 3*n
	for i := range int64(n) {
		var expires, ended, used query.Cell
		if i%2 == 0 {
			expires = query.At(at + 3*i + 86_400_000*(i%90))
		}
		if i%20 == 0 {
			ended = query.At(at + 4*i)
		}
		if i%3 == 0 {
			used = query.At(at + 5*i)
		}
		t.Add(fmt.Sprintf("%020d", i*7919), 1, query.Text(fmt.Sprint("key-of-app-", i, "-", i%7)), query.Text("rest"), query.Text("user-"+strconv.FormatInt(i*31%1000, 10)),
			query.Text("realm-"+strconv.FormatInt(i%3, 10)), query.At(at+3*i), expires, ended, query.Is(i%20 == 0),
			query.Object(fmt.Sprintf(`{"env":"env-%d","team":{"name":"team-%d"},"n":%d}`, i%5, i%40, i%8)), used)
	}
	return t
})

func BenchmarkSearch(b *testing.B) {
	from := "1774000000000"
	for _, bm := range []struct{ name, body string }{
		{"selective,sorted", `{"size":100,"query":{"term":{"username":"user-5"}},"sort":["name"]}`},
		{"selective,sorted by date", `{"size":100,"query":{"bool":{"filter":[{"term":{"username":"user-5"}},{"term":{"invalidated":false}}]}},"sort":[{"creation":{"order":"desc"}}]}`},
		{"all", `{}`},
		{"term", `{"size":0,"query":{"term":{"username":"user-7"}}}`},
		{"prefix", `{"size":0,"query":{"prefix":{"name":"key-of-app-99"}}}`},
		{"wildcard", `{"size":0,"query":{"wildcard":{"name":"*-2"}}}`},
		{"wildcard,odd", `{"size":0,"query":{"wildcard":{"name":"*-?1*-2"}}}`},
		{"wildcard,fold", `{"size":0,"query":{"wildcard":{"name":{"value":"*APP*-2","case_insensitive":true}}}}`},
		{"range of texts", `{"size":0,"query":{"range":{"name":{"gte":"key-of-app-5"}}}}`},
		{"range of dates", `{"size":0,"query":{"range":{"creation":{"lt":` + from + `}}}}`},
		{"exists", `{"size":0,"query":{"exists":{"field":"expiration"}}}`},
		{"metadata", `{"size":0,"query":{"term":{"metadata.team.name":"team-3"}}}`},
		{"bool", `{"size":0,"query":{"bool":{"must":[{"wildcard":{"name":"*-2"}}],"must_not":[{"exists":{"field":"invalidation"}}],"should":[{"term":{"realm_name":"realm-1"}},{"term":{"metadata.env":"env-3"}},{"term":{"invalidated":false}}],"minimum_should_match":2}}}`},
		{"simple", `{"size":0,"query":{"simple_query_string":{"query":"key-of-app-1* | team-3 | x~1"}}}`},
		{"page 1 by date", `{"size":100,"sort":["creation"]}`},
		{"page 10000 by date", `{"size":100,"sort":["creation"],"search_after":[` + strconv.FormatInt(noon.UnixMilli()-300, 10) + `]}`},
		{"page 1 by name", `{"size":100,"sort":["name"]}`},
		{"page 10000 by name", `{"size":100,"sort":["name"],"search_after":["key-of-app-99999"]}`},
		{"page 1 by name down", `{"size":100,"sort":[{"name":{"order":"desc"}}]}`},
		{"terms of users", `{"size":0,"aggs":{"x":{"terms":{"field":"username"}}}}`},
		{"terms of names", `{"size":0,"aggs":{"x":{"terms":{"field":"name"}}}}`},
		{"terms of dates", `{"size":0,"aggs":{"x":{"terms":{"field":"creation"}}}}`},
		{"terms of metadata", `{"size":0,"aggs":{"x":{"terms":{"field":"metadata.env"}}}}`},
		{"cardinality of names", `{"size":0,"aggs":{"x":{"cardinality":{"field":"name"}}}}`},
		{"cardinality of dates", `{"size":0,"aggs":{"x":{"cardinality":{"field":"creation"}}}}`},
		{"value_count", `{"size":0,"aggs":{"x":{"value_count":{"field":"expiration"}}}}`},
		{"missing", `{"size":0,"aggs":{"x":{"missing":{"field":"expiration"}}}}`},
		{"filters", `{"size":0,"aggs":{"x":{"filters":{"other_bucket":true,"filters":[{"wildcard":{"name":"*-2"}},{"term":{"realm_name":"realm-1"}}]}}}}`},
		{"date_range", `{"size":0,"aggs":{"x":{"date_range":{"field":"creation","ranges":[{"to":` + from + `},{"from":` + from + `},{"from":"now-10m"}]}}}}`},
		{"composite of names", `{"size":0,"aggs":{"x":{"composite":{"size":1000,"sources":[{"n":{"terms":{"field":"name"}}}]}}}}`},
		{"composite", `{"size":0,"aggs":{"x":{"composite":{"size":1000,"sources":[{"u":{"terms":{"field":"username"}}},{"r":{"terms":{"field":"realm_name"}}}]}}}}`},
		{"nested", `{"size":0,"aggs":{"x":{"terms":{"field":"username","size":1000},"aggs":{"y":{"terms":{"field":"realm_name"},"aggs":{"z":{"cardinality":{"field":"metadata.team.name"}}}}}}}}`},
		{"nested, by a metric", `{"size":0,"aggs":{"x":{"terms":{"field":"username","order":{"y":"desc"}},"aggs":{"y":{"cardinality":{"field":"name"}}}}}}`},
		{"nested, date_range", `{"size":0,"aggs":{"x":{"date_range":{"field":"creation","ranges":[{"to":` + from + `},{"from":` + from + `}]},"aggs":{"y":{"terms":{"field":"username"}}}}}}`},
	} {
		b.Run(bm.name, func(b *testing.B) {
			t := million()
			b.ReportAllocs()
			for b.Loop() {
				v, err := xcontent.ParseJSON([]byte(bm.body))
				if err != nil {
					b.Fatal(err)
				}
				r, err := query.ParseWithAggregations(v, keys, noon)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := t.Search(b.Context(), r, query.All{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkTableChange(b *testing.B) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	t := million()
	runtime.GC()
	runtime.ReadMemStats(&after)
	for i := 0; b.Loop(); i++ {
		t.Set(fmt.Sprintf("%020d", i%1_000_000*7919), "invalidated", query.Is(true))
	}
	if grown := int64(after.HeapAlloc - before.HeapAlloc); grown > 0 { // the first time
		b.ReportMetric(float64(grown)/float64(t.Len()), "bytes/key")
	}
}
