package query_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"latchkey/internal/fault"
	"latchkey/internal/query"
	"latchkey/internal/xcontent"
)

// few is a table of some keys with long values.
func few(values int, object string) *query.Table {
	t := query.NewTable(keys, values)
	for i := range values {
		t.Add(fmt.Sprint(i), 1, query.Text(strings.Repeat("n", 60)+fmt.Sprintf("%04d", i)), query.Cell{}, query.Cell{}, query.Cell{}, query.Cell{}, query.Cell{},
			query.Cell{}, query.Cell{}, query.Object(object), query.Cell{})
	}
	return t
}

func search(t *testing.T, ctx context.Context, table *query.Table, body string) error {
	t.Helper()
	v, err := xcontent.ParseOwn([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	r, err := query.ParseWithAggregations(v, keys, noon)
	if err != nil {
		t.Fatal(err)
	}
	_, err = table.Search(ctx, r, query.All{})
	return err
}

// What a stranger keeps and asks for must not cost a processor or all memory.
func TestOneSearchIsBounded(t *testing.T) {
	long, names := strings.Repeat("a", 200_000), ""
	for i := range 200 {
		names += fmt.Sprintf(`"%d",`, i)
	}
	table := few(1, `{"long":"`+long+`","names":[`+strings.TrimSuffix(names, ",")+`]}`)
	words := few(2000, `{}`)
	nested := func(sub string) string {
		return `{"size":0,"aggs":{"names":{"terms":{"field":"metadata.names","size":200},"aggs":{"sub":` + sub + `}}}}`
	}
	tests := []struct {
		name  string
		table *query.Table
		body  string
	}{
		{"a pattern that fits everywhere for a while", table, `{"query":{"wildcard":{"metadata.long":"*` + strings.Repeat("a?", 490) + `b*"}}}`},
		{"such a pattern in a filter", table, `{"size":0,"aggs":{"f":{"filter":{"wildcard":{"metadata.long":"*` + strings.Repeat("a?", 490) + `b*"}}}}}`},
		{"very many words that are nearly there", words, `{"query":{"simple_query_string":{"query":"` + strings.Repeat(strings.Repeat("m", 64)+"~2 ", 300) + `"}}}`},
		{"a regular expression, in every bucket", table, nested(`{"terms":{"field":"metadata.long","include":"` + strings.Repeat("a", 300) + `.*"}}`)},
		{"a long key, in every bucket", few(1, `{"long":"`+strings.Repeat(long, 5)+`","names":[`+strings.TrimSuffix(names, ",")+`]}`), nested(`{"terms":{"field":"metadata.long"}}`)},
		{"a long key of composite", few(1, `{"long":"`+strings.Repeat(long, 5)+`","names":[`+strings.TrimSuffix(names, ",")+`]}`),
			`{"size":0,"aggs":{"c":{"composite":{"size":200,"sources":[{"n":{"terms":{"field":"metadata.names"}}},{"l":{"terms":{"field":"metadata.long"}}}]}}}}`},
		{"a long meta, in every bucket", table, nested(`{"value_count":{"field":"name"},"meta":{"long":"` + strings.Repeat(long, 5) + `"}}`)},
		{"a long name of a bucket, in every bucket", table, nested(`{"filters":{"filters":{"` + strings.Repeat(long, 5) + `":{"match_all":{}}}}}`)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := search(t, t.Context(), tt.table, tt.body); fault.KindOf(err) != fault.Search {
				t.Errorf("the search fails with %v; want fault.Search", err)
			}
		})
	}
}

// ending is a context that ends after it was looked at some times.
type ending struct {
	context.Context
	looks int
}

func (e *ending) Err() error {
	if e.looks--; e.looks < 0 {
		return context.Canceled
	}
	return nil
}

func TestASearchLooksAtItsContextWithinAClause(t *testing.T) {
	err := search(t, &ending{t.Context(), 4}, few(2000, `{}`), `{"query":{"simple_query_string":{"fields":["name"],"query":"`+strings.Repeat("m", 64)+`~2"}}}`)
	if err != context.Canceled {
		t.Errorf("the search ends with %v; want the end of its context", err)
	}
}
