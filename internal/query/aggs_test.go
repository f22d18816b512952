package query

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"latchkey/internal/fault"
)

// tableOf returns a table of things.
func tableOf(docs []thing) *Table {
	t := NewTable(schema, len(docs))
	for _, d := range docs {
		var cells []Cell
		for _, f := range schema {
			cells = append(cells, d.Cell(f.Name))
		}
		t.Add(d.id, 1, cells...)
	}
	return t
}

func search(t testing.TB, body string, visible Node) (Result, error) {
	t.Helper()
	r, err := readBody(t, body)
	if err != nil {
		return Result{}, err
	}
	return tableOf(things).Search(t.Context(), r, visible)
}

func TestAggregations(t *testing.T) {
	day := func(days int) string { return noon.AddDate(0, 0, -days).Format("2006-01-02") }
	for _, tt := range []struct{ name, aggs, want string }{
		{"terms, by count and then by key", `{"x":{"terms":{"field":"tags"}}}`,
			`{"sterms#x":{"doc_count_error_upper_bound":0,"sum_other_doc_count":0,"buckets":[{"key":"red","doc_count":2},{"key":"blue","doc_count":1},{"key":"green","doc_count":1}]}}`},
		{"terms, some of them", `{"x":{"terms":{"field":"tags","size":1,"shard_size":5,"execution_hint":"map","collect_mode":"breadth_first"}}}`,
			`{"sterms#x":{"doc_count_error_upper_bound":0,"sum_other_doc_count":2,"buckets":[{"key":"red","doc_count":2}]}}`},
		{"terms by key", `{"x":{"terms":{"field":"tags","order":{"_key":"desc"},"size":2}}}`,
			`{"sterms#x":{"doc_count_error_upper_bound":0,"sum_other_doc_count":1,"buckets":[{"key":"red","doc_count":2},{"key":"green","doc_count":1}]}}`},
		{"terms by two things", `{"x":{"terms":{"field":"tags","order":[{"_count":"asc"},{"_key":"desc"}],"size":2}}}`,
			`{"sterms#x":{"doc_count_error_upper_bound":0,"sum_other_doc_count":2,"buckets":[{"key":"green","doc_count":1},{"key":"blue","doc_count":1}]}}`},
		{"terms by a metric", `{"x":{"terms":{"field":"tags","size":1,"order":{"n":"desc"}},"aggs":{"n":{"cardinality":{"field":"metadata.n"}}}}}`,
			`{"sterms#x":{"doc_count_error_upper_bound":0,"sum_other_doc_count":2,"buckets":[{"key":"red","doc_count":2,"cardinality#n":{"value":2}}]}}`},
		{"terms by a metric below a filter", `{"x":{"terms":{"field":"tags","size":2,"order":{"f>n.value":"asc"}},"aggs":{"f":{"filter":{"term":{"on":true}},"aggs":{"n":{"value_count":{"field":"name"}}}}}}}`,
			`{"sterms#x":{"doc_count_error_upper_bound":0,"sum_other_doc_count":2,"buckets":[{"key":"green","doc_count":1,"filter#f":{"doc_count":0,"value_count#n":{"value":0}}},{"key":"blue","doc_count":1,"filter#f":{"doc_count":1,"value_count#n":{"value":1}}}]}}`},
		{"terms by the count of a filter", `{"x":{"terms":{"field":"tags","size":1,"order":{"f>_count":"asc"}},"aggs":{"f":{"missing":{"field":"at"}}}}}`,
			`{"sterms#x":{"doc_count_error_upper_bound":0,"sum_other_doc_count":3,"buckets":[{"key":"blue","doc_count":1,"missing#f":{"doc_count":0}}]}}`},
		{"terms that are frequent enough", `{"x":{"terms":{"field":"tags","min_doc_count":2,"show_term_doc_count_error":true}}}`,
			`{"sterms#x":{"doc_count_error_upper_bound":0,"sum_other_doc_count":2,"buckets":[{"key":"red","doc_count":2,"doc_count_error_upper_bound":0}]}}`},
		{"terms of what is found elsewhere", `{"f":{"filter":{"ids":{"values":["2"]}},"aggs":{"x":{"terms":{"field":"tags","min_doc_count":0}}}}}`,
			`{"filter#f":{"doc_count":1,"sterms#x":{"doc_count_error_upper_bound":0,"sum_other_doc_count":0,"buckets":[{"key":"green","doc_count":1},{"key":"blue","doc_count":0},{"key":"red","doc_count":0}]}}}`},
		{"terms with a stand-in", `{"x":{"terms":{"field":"tags","missing":"none","include":["none","red"]}}}`,
			`{"sterms#x":{"doc_count_error_upper_bound":0,"sum_other_doc_count":0,"buckets":[{"key":"red","doc_count":2},{"key":"none","doc_count":1}]}}`},
		{"terms by regular expressions", `{"x":{"terms":{"field":"tags","include":".*e.*","exclude":"r..|x"}}}`,
			`{"sterms#x":{"doc_count_error_upper_bound":0,"sum_other_doc_count":0,"buckets":[{"key":"blue","doc_count":1},{"key":"green","doc_count":1}]}}`},
		{"terms of dates", `{"x":{"terms":{"field":"at","size":1,"order":{"_key":"asc"},"format":"date"}}}`,
			`{"lterms#x":{"doc_count_error_upper_bound":0,"sum_other_doc_count":2,"buckets":[{"key":` + ago(31) + `,"key_as_string":"` + day(31) + `","doc_count":1}]}}`},
		{"terms of some dates", `{"x":{"terms":{"field":"at","include":["now-1d"]}}}`,
			`{"lterms#x":{"doc_count_error_upper_bound":0,"sum_other_doc_count":0,"buckets":[{"key":` + ago(1) + `,"key_as_string":"` + ago(1) + `","doc_count":1}]}}`},
		{"terms of booleans", `{"x":{"terms":{"field":"on"}}}`,
			`{"lterms#x":{"doc_count_error_upper_bound":0,"sum_other_doc_count":0,"buckets":[{"key":1,"key_as_string":"true","doc_count":2},{"key":0,"key_as_string":"false","doc_count":1}]}}`},
		{"terms below an object", `{"x":{"terms":{"field":"metadata.deep.x"}}}`,
			`{"sterms#x":{"doc_count_error_upper_bound":0,"sum_other_doc_count":0,"buckets":[{"key":"a","doc_count":1},{"key":"b","doc_count":1}]}}`},
		{"terms of nothing", `{"x":{"terms":{"field":"metadata.nothing"}}}`, `{"sterms#x":{"doc_count_error_upper_bound":0,"sum_other_doc_count":0,"buckets":[]}}`},
		{"missing", `{"x":{"missing":{"field":"tags"},"meta":{"by":"me"},"aggs":{"n":{"terms":{"field":"name"}}}}}`,
			`{"missing#x":{"meta":{"by":"me"},"doc_count":1,"sterms#n":{"doc_count_error_upper_bound":0,"sum_other_doc_count":0,"buckets":[{"key":"gamma","doc_count":1}]}}}`},
		{"cardinality", `{"x":{"cardinality":{"field":"tags","precision_threshold":10}}}`, `{"cardinality#x":{"value":3}}`},
		{"cardinality with a stand-in", `{"x":{"cardinality":{"field":"tags","missing":"red"}},"y":{"cardinality":{"field":"tags","missing":"x"}}}`, `{"cardinality#x":{"value":3},"cardinality#y":{"value":4}}`},
		{"value_count", `{"x":{"value_count":{"field":"tags"}}}`, `{"value_count#x":{"value":4}}`},
		{"filter", `{"x":{"filter":{"prefix":{"name":"alpha"}}}}`, `{"filter#x":{"doc_count":2}}`},
		{"filters with names", `{"x":{"filters":{"filters":{"z":{"term":{"tags":"red"}},"y":{"match_all":{}}},"other_bucket_key":"rest"}}}`,
			`{"filters#x":{"buckets":{"y":{"doc_count":4},"z":{"doc_count":2},"rest":{"doc_count":0}}}}`},
		{"filters with names in a list", `{"x":{"filters":{"keyed":false,"other_bucket":true,"filters":{"z":{"term":{"tags":"red"}}}}}}`,
			`{"filters#x":{"buckets":[{"key":"z","doc_count":2},{"key":"_other_","doc_count":2}]}}`},
		{"filters without names", `{"x":{"filters":{"filters":[{"term":{"tags":"red"}},{"term":{"on":false}}],"other_bucket":true},"aggregations":{"n":{"cardinality":{"field":"name"}}}}}`,
			`{"filters#x":{"buckets":[{"doc_count":2,"cardinality#n":{"value":2}},{"doc_count":1,"cardinality#n":{"value":1}},{"doc_count":1,"cardinality#n":{"value":1}}]}}`},
		{"range", `{"x":{"range":{"field":"at","ranges":[{"from":` + ago(1) + `},{"to":` + ago(1) + `,"key":"old"}]}}}`,
			`{"range#x":{"buckets":[{"key":"old","to":` + double(1) + `,"to_as_string":"` + ago(1) + `","doc_count":1},{"key":"` + ago(1) + `-*","from":` + double(1) + `,"from_as_string":"` + ago(1) + `","doc_count":2}]}}`},
		{"range of booleans", `{"x":{"range":{"field":"on","keyed":true,"ranges":[{"from":0.5}]}}}`, `{"range#x":{"buckets":{"0.5-*":{"from":0.5,"doc_count":2}}}}`},
		{"date_range", `{"x":{"date_range":{"field":"at","format":"yyyy-MM-dd","ranges":[{"from":"now-1d/d","to":"now/d"},{"from":"2026-03-31"}]}}}`,
			`{"date_range#x":{"buckets":[{"key":"2026-03-30-2026-03-31","from":1.7748288E12,"from_as_string":"2026-03-30","to":1.7749152E12,"to_as_string":"2026-03-31","doc_count":1},` +
				`{"key":"2026-03-31-*","from":1.7749152E12,"from_as_string":"2026-03-31","doc_count":1}]}}`},
		{"date_range with a zone and a stand-in", `{"x":{"date_range":{"field":"at","format":"date","time_zone":"+12:00","missing":"1970-01-01","keyed":true,"ranges":[{"key":"k","to":"1970-01-02"}]}}}`,
			`{"date_range#x":{"buckets":{"k":{"to":4.32E7,"to_as_string":"1970-01-02","doc_count":1}}}}`},
		{"composite", `{"x":{"composite":{"size":2,"sources":[{"t":{"terms":{"field":"tags","order":"desc"}}},{"n":{"terms":{"field":"name"}}}]}}}`,
			`{"composite#x":{"after_key":{"t":"red","n":"alphabet"},"buckets":[{"key":{"t":"red","n":"alpha"},"doc_count":1},{"key":{"t":"red","n":"alphabet"},"doc_count":1}]}}`},
		{"composite, the next page", `{"x":{"composite":{"size":2,"after":{"t":"red","n":"alphabet"},"sources":[{"t":{"terms":{"field":"tags","order":"desc"}}},{"n":{"terms":{"field":"name"}}}]}}}`,
			`{"composite#x":{"after_key":{"t":"blue","n":"alpha"},"buckets":[{"key":{"t":"green","n":"Beta two"},"doc_count":1},{"key":{"t":"blue","n":"alpha"},"doc_count":1}]}}`},
		{"composite, behind the end", `{"x":{"composite":{"after":{"t":"z"},"sources":[{"t":{"terms":{"field":"tags"}}}]}}}`, `{"composite#x":{"buckets":[]}}`},
		{"composite with what is missing", `{"x":{"composite":{"sources":[{"o":{"terms":{"field":"on","missing_bucket":true}}}]},"aggs":{"n":{"value_count":{"field":"at"}}}}}`,
			`{"composite#x":{"after_key":{"o":true},"buckets":[{"key":{"o":null},"doc_count":1,"value_count#n":{"value":1}},{"key":{"o":false},"doc_count":1,"value_count#n":{"value":1}},{"key":{"o":true},"doc_count":2,"value_count#n":{"value":1}}]}}`},
		{"composite, behind what is missing", `{"x":{"composite":{"size":1,"after":{"o":null},"sources":[{"o":{"terms":{"field":"on","missing_bucket":true}}}]}}}`,
			`{"composite#x":{"after_key":{"o":false},"buckets":[{"key":{"o":false},"doc_count":1}]}}`},
		{"composite of dates", `{"x":{"composite":{"size":1,"sources":[{"d":{"terms":{"field":"at","format":"date"}}},{"m":{"terms":{"field":"at"}}}]}}}`,
			`{"composite#x":{"after_key":{"d":"` + day(31) + `","m":` + ago(31) + `},"buckets":[{"key":{"d":"` + day(31) + `","m":` + ago(31) + `},"doc_count":1}]}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			result, err := search(t, `{"size":0,"aggs":`+tt.aggs+`}`, All{})
			if err != nil {
				t.Fatal(err)
			}
			if got := string(result.Aggregations.Render(true).JSON()); got != tt.want {
				t.Errorf("%s gives\n%s; want\n%s", tt.aggs, got, tt.want)
			}
		})
	}
}

// double is ago as Java writes a double.
func double(days int) string { return float(float64(noon.AddDate(0, 0, -days).UnixMilli())) }

func TestNamesAreTypedOnlyWhenAsked(t *testing.T) {
	result, err := search(t, `{"aggs":{"x":{"missing":{"field":"tags"},"aggs":{"y":{"value_count":{"field":"name"}}}}}}`, All{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(result.Aggregations.Render(false).JSON()), `{"x":{"doc_count":1,"y":{"value":1}}}`; got != want {
		t.Errorf("Render gives %s; want %s", got, want)
	}
}

// AK-85: there is nothing to aggregate.
func TestNothingFoundHasNoAggregations(t *testing.T) {
	result, err := search(t, `{"query":{"ids":{"values":[]}},"aggs":{"x":{"missing":{"field":"tags"}}}}`, All{})
	if err != nil || result.Total != 0 || result.Aggregations != nil {
		t.Errorf("Search = %+v, %v; want neither documents nor aggregations", result, err)
	}
}

// Whatever is asked for, only what is visible is counted.
func TestNothingEscapesVisibility(t *testing.T) {
	visible := IDs{"2", "3"}
	for _, tt := range []struct{ body, total, want string }{
		{`{"x":{"terms":{"field":"name","min_doc_count":0}}}`, "2", `"buckets":[{"key":"Beta two","doc_count":1},{"key":"gamma","doc_count":1}]`},
		{`{"x":{"filter":{"ids":{"values":["1"]}}}}`, "2", `{"x":{"doc_count":0}}`},
		{`{"x":{"filter":{"bool":{"must_not":{"match_all":{}}}},"aggs":{"y":{"terms":{"field":"tags","min_doc_count":0}}}}}`, "2", `"buckets":[{"key":"green","doc_count":0}]`},
		{`{"x":{"filters":{"filters":[{"ids":{"values":["1"]}}],"other_bucket":true}}}`, "2", `{"x":{"buckets":[{"doc_count":0},{"doc_count":2}]}}`},
		{`{"x":{"missing":{"field":"at"}}}`, "2", `{"x":{"doc_count":0}}`},
		{`{"x":{"cardinality":{"field":"name"}}}`, "2", `{"x":{"value":2}}`},
		{`{"x":{"value_count":{"field":"metadata"}}}`, "2", `{"x":{"value":2}}`},
		{`{"x":{"composite":{"sources":[{"n":{"terms":{"field":"secret","missing_bucket":true}}}]}}}`, "2", `{"x":{"after_key":{"n":null},"buckets":[{"key":{"n":null},"doc_count":2}]}}`},
		{`{"x":{"date_range":{"field":"at","missing":0,"ranges":[{"to":"now+1d","key":"k"}]}}}`, "2", `"doc_count":2`},
	} {
		result, err := search(t, `{"aggs":`+tt.body+`}`, visible)
		if err != nil {
			t.Fatal(err)
		}
		got := string(result.Aggregations.Render(false).JSON())
		if total := fmt.Sprint(result.Total); total != tt.total || !strings.Contains(got, tt.want) {
			t.Errorf("%s gives %s of %s; want %s of %s", tt.body, got, total, tt.want, tt.total)
		}
	}
}

func TestRefusedAggregations(t *testing.T) {
	deep := strings.Repeat(`{"x":{"missing":{"field":"name"},"aggs":`, 12) + `{}` + strings.Repeat(`}}`, 12)
	var many, filters []string
	for i := range 300 {
		many = append(many, fmt.Sprintf(`"x%d":{"missing":{"field":"name"}}`, i))
		filters = append(filters, `{"match_all":{}}`)
	}
	for _, tt := range []struct {
		name, aggs string
		want       fault.Kind
	}{
		{"no object", `[]`, fault.Parsing},
		{"an aggregation that is no object", `{"x":[]}`, fault.Parsing},
		{"a name with a bracket", `{"x[0]":{"missing":{"field":"name"}}}`, fault.Parsing},
		{"no name", `{"":{"missing":{"field":"name"}}}`, fault.Parsing},
		{"no type", `{"x":{"meta":{}}}`, fault.Parsing},
		{"two types", `{"x":{"missing":{"field":"name"},"terms":{"field":"name"}}}`, fault.Parsing},
		{"an unknown type", `{"x":{"trems":{"field":"name"}}}`, fault.Parsing},
		{"meta that is no object", `{"x":{"missing":{"field":"name"},"meta":1}}`, fault.Parsing},
		{"global", `{"x":{"global":{}}}`, fault.Argument},
		{"a histogram", `{"x":{"date_histogram":{"field":"at","calendar_interval":"day"}}}`, fault.Argument},
		{"a pipeline", `{"x":{"terms":{"field":"name"},"aggs":{"y":{"bucket_sort":{}}}}}`, fault.Argument},
		{"a script", `{"x":{"terms":{"script":{"source":"1"}}}}`, fault.Argument},
		{"no field", `{"x":{"terms":{}}}`, fault.Argument},
		{"an unknown field", `{"x":{"terms":{"field":"hash"}}}`, fault.Argument},
		{"a pattern of fields", `{"x":{"terms":{"field":"metadata.*"}}}`, fault.Argument},
		{"an unknown field in a filter", `{"x":{"filter":{"term":{"hash":"x"}}}}`, fault.Argument},
		{"an unknown field deep below", `{"x":{"terms":{"field":"name"},"aggs":{"y":{"filters":{"filters":[{"bool":{"must_not":{"exists":{"field":"hash"}}}}]}}}}}`, fault.Argument},
		{"an unknown query in a filter", `{"x":{"filter":{"trem":{}}}}`, fault.Parsing},
		{"an unknown option", `{"x":{"terms":{"field":"name","nope":1}}}`, fault.Malformed},
		{"an unknown option of a range", `{"x":{"range":{"field":"at","ranges":[{"mask":"x"}]}}}`, fault.Malformed},
		{"a size of 0", `{"x":{"terms":{"field":"name","size":0}}}`, fault.Argument},
		{"a negative minimum", `{"x":{"terms":{"field":"name","min_doc_count":-1}}}`, fault.Argument},
		{"an order that is none", `{"x":{"terms":{"field":"name","order":{"_key":"up"}}}}`, fault.Parsing},
		{"an order of two in one", `{"x":{"terms":{"field":"name","order":{"_key":"asc","_count":"asc"}}}}`, fault.Parsing},
		{"an order by nothing", `{"x":{"terms":{"field":"name","order":{"y":"asc"}}}}`, fault.Argument},
		{"an order by many buckets", `{"x":{"terms":{"field":"name","order":{"y":"asc"}},"aggs":{"y":{"terms":{"field":"name"}}}}}`, fault.Argument},
		{"a pattern for dates", `{"x":{"terms":{"field":"at","include":"1.*"}}}`, fault.Argument},
		{"a pattern that is none", `{"x":{"terms":{"field":"name","include":"("}}}`, fault.Argument},
		{"a pattern without end", `{"x":{"terms":{"field":"name","include":"(a|b)*a(a|b){30}"}}}`, fault.Argument},
		{"partitions", `{"x":{"terms":{"field":"name","include":{"partition":0,"num_partitions":2}}}}`, fault.Argument},
		{"a stand-in that is no date", `{"x":{"terms":{"field":"at","missing":"x"}}}`, fault.Argument},
		{"a format of texts", `{"x":{"terms":{"field":"name","format":"date"}}}`, fault.Argument},
		{"an unknown format", `{"x":{"terms":{"field":"at","format":"zzz"}}}`, fault.Argument},
		{"a number with something below", `{"x":{"cardinality":{"field":"name"},"aggs":{"y":{"missing":{"field":"name"}}}}}`, fault.Argument},
		{"a name that the bucket needs", `{"x":{"missing":{"field":"name"},"aggs":{"doc_count":{"missing":{"field":"name"}}}}}`, fault.Argument},
		{"a range of texts", `{"x":{"range":{"field":"name","ranges":[{"from":1}]}}}`, fault.Argument},
		{"a date_range of booleans", `{"x":{"date_range":{"field":"on","ranges":[{"from":1}]}}}`, fault.Argument},
		{"no ranges", `{"x":{"date_range":{"field":"at"}}}`, fault.Argument},
		{"a range of no numbers", `{"x":{"range":{"field":"on","ranges":[{"from":"x"}]}}}`, fault.Argument},
		{"a range of no dates", `{"x":{"date_range":{"field":"at","ranges":[{"from":"x"}]}}}`, fault.Argument},
		{"an unknown zone", `{"x":{"date_range":{"field":"at","time_zone":"x","ranges":[{"from":1}]}}}`, fault.Argument},
		{"no filters", `{"x":{"filters":{"filters":{}}}}`, fault.Argument},
		{"an empty filter", `{"x":{"filter":{}}}`, fault.Argument},
		{"a filter with the name of the others", `{"x":{"filters":{"other_bucket_key":"a","filters":{"a":{"match_all":{}}}}}}`, fault.Argument},
		{"composite without sources", `{"x":{"composite":{}}}`, fault.Argument},
		{"composite of a histogram", `{"x":{"composite":{"sources":[{"h":{"histogram":{"field":"at","interval":1}}}]}}}`, fault.Argument},
		{"composite of something unknown", `{"x":{"composite":{"sources":[{"h":{"trems":{"field":"at"}}}]}}}`, fault.Parsing},
		{"composite of a script", `{"x":{"composite":{"sources":[{"h":{"terms":{"script":"x"}}}]}}}`, fault.Argument},
		{"composite of an unknown field", `{"x":{"composite":{"sources":[{"h":{"terms":{"field":"hash"}}}]}}}`, fault.Argument},
		{"composite of two with one name", `{"x":{"composite":{"sources":[{"h":{"terms":{"field":"name"}}},{"h":{"terms":{"field":"on"}}}]}}}`, fault.Argument},
		{"composite with a size of 0", `{"x":{"composite":{"size":0,"sources":[{"h":{"terms":{"field":"name"}}}]}}}`, fault.Argument},
		{"composite with an order that is none", `{"x":{"composite":{"sources":[{"h":{"terms":{"field":"name","order":"up"}}}]}}}`, fault.Argument},
		{"composite with another missing_order", `{"x":{"composite":{"sources":[{"h":{"terms":{"field":"name","missing_order":"up"}}}]}}}`, fault.Argument},
		{"composite after too little", `{"x":{"composite":{"after":{},"sources":[{"h":{"terms":{"field":"name"}}}]}}}`, fault.Argument},
		{"composite after something else", `{"x":{"composite":{"after":{"g":"a"},"sources":[{"h":{"terms":{"field":"name"}}}]}}}`, fault.Argument},
		{"composite after null", `{"x":{"composite":{"after":{"h":null},"sources":[{"h":{"terms":{"field":"name"}}}]}}}`, fault.Argument},
		{"composite after no object", `{"x":{"composite":{"after":["a"],"sources":[{"h":{"terms":{"field":"name"}}}]}}}`, fault.Parsing},
		{"too deep", deep, fault.Argument},
		{"too many", `{` + strings.Join(many, ",") + `}`, fault.Argument},
		{"too many filters", `{"x":{"filters":{"filters":[` + strings.Join(filters, ",") + `]}}}`, fault.Argument},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if result, err := search(t, `{"aggs":`+tt.aggs+`}`, All{}); err == nil || fault.KindOf(err) != tt.want {
				t.Errorf("found %d, %v; want a fault of kind %d", result.Total, err, tt.want)
			}
		})
	}
	if _, err := search(t, `{"aggs":{},"aggregations":{}}`, All{}); fault.KindOf(err) != fault.Parsing {
		t.Errorf("aggregations given twice = %v; want a fault of kind %d", err, fault.Parsing)
	}
}

// A search of users and roles does not aggregate.
func TestAggregationsAreNotForAll(t *testing.T) {
	v, err := parseJSON(`{"aggs":{}}`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Parse(v, schema, noon); fault.KindOf(err) != fault.Malformed {
		t.Errorf("Parse = %v; want a fault of kind %d", err, fault.Malformed)
	}
}

func TestAggregationsAreBounded(t *testing.T) {
	table := NewTable(schema, 0)
	for i := range 300 {
		table.Add("", 1, Text(fmt.Sprint("name", i)), Texts([]string{fmt.Sprint(i), fmt.Sprint(-i)}), Cell{}, At(int64(i)), Cell{}, Cell{})
	}
	run := func(aggs string) error {
		r, err := readBody(t, `{"size":0,"aggs":`+aggs+`}`)
		if err != nil {
			return err
		}
		_, err = table.Search(t.Context(), r, All{})
		return err
	}
	f, ok := errors.AsType[*fault.Error](run(`{"x":{"composite":{"size":70000,"sources":[{"a":{"terms":{"field":"name"}}}]},"aggs":{"y":{"terms":{"field":"tags","size":1000,"min_doc_count":0}}}}}`))
	if !ok || f.Kind != fault.Search || f.Shown == nil || f.Shown.Kind != fault.Buckets || f.Shown.Fields[0].Value != maxBuckets {
		t.Errorf("too many buckets = %+v; want a fault that says so", f)
	}
	spans := strings.TrimSuffix(strings.Repeat(`{"from":0},`, 250), ",")
	ranges := `"date_range":{"field":"at","ranges":[` + spans + `]}`
	f, ok = errors.AsType[*fault.Error](run(`{"x":{` + ranges + `,"aggs":{"y":{` + ranges + `}}}}`))
	if !ok || f.Kind != fault.Search || f.Shown == nil || f.Shown.Kind != fault.Argument {
		t.Errorf("too much work = %+v; want a fault that says so", f)
	}
}

func TestAggregationsEndWithTheirContext(t *testing.T) {
	r, err := readBody(t, `{"aggs":{"x":{"terms":{"field":"name"}}}}`)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tableOf(things).Aggregate(ctx, r, All{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Aggregate = %v; want %v", err, context.Canceled)
	}
}

// Aggregate looks at what it is told to, not at what the request looks for.
func TestAggregateWithAnotherFilter(t *testing.T) {
	r, err := readBody(t, `{"query":{"ids":{"values":["1"]}},"sort":["at"],"aggs":{"x":{"value_count":{"field":"tags"}},"y":{"filter":{"term":{"metadata.n":"10"}}}}}`)
	if err != nil {
		t.Fatal(err)
	}
	aggs, err := tableOf(things).Aggregate(t.Context(), r, IDs{"2", "3"})
	if got, want := string(aggs.Render(false).JSON()), `{"x":{"value":1},"y":{"doc_count":1}}`; err != nil || got != want {
		t.Errorf("Aggregate = %s, %v; want %s", got, err, want)
	}
	if got, want := fmt.Sprint(r.Fields(), r.AggregatedFields()), "[_id at metadata.n tags] [metadata.n tags]"; got != want {
		t.Errorf("the request reads %s; want %s", got, want)
	}
}

// Many may search a table at once, as long as nobody changes it.
func TestSearchesAtOnce(t *testing.T) {
	table := tableOf(things)
	r, err := readBody(t, `{"query":{"exists":{"field":"name"}},"sort":["metadata.n"],"aggs":{"x":{"terms":{"field":"metadata","missing":"x"},"aggs":{"y":{"filter":{"term":{"tags":"red"}}}}}}}`)
	if err != nil {
		t.Fatal(err)
	}
	var group errgroup.Group
	for range 4 {
		group.Go(func() error {
			result, err := table.Search(t.Context(), r, All{})
			if err == nil && result.Total != len(things) {
				err = fmt.Errorf("found %d of %d", result.Total, len(things))
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
}
