package query

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"latchkey/internal/fault"
	"latchkey/internal/xcontent"
)

var schema = Schema{
	{Name: "name"}, {Name: "tags"}, {Name: "on", Type: Boolean}, {Name: "at", Type: Date}, {Name: "metadata", Type: Flat}, {Name: "secret", Unsorted: true},
}

// thing is a document by the names of its fields.
type thing struct {
	id       string
	fields   map[string][]string
	metadata string
}

func (d thing) ID() string { return d.id }

func (d thing) Cell(field string) Cell {
	values := d.fields[field]
	switch {
	case field == "metadata":
		return Object(d.metadata)
	case len(values) > 0 && field == "on":
		return Is(values[0] == "true")
	case len(values) > 0 && field == "at":
		at, err := strconv.ParseInt(values[0], 10, 64)
		if err != nil {
			panic(err)
		}
		return At(at)
	}
	return Texts(values)
}

// noon is what now means; the things were made on the days before it.
var noon = time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)

func ago(days int) string { return strconv.FormatInt(noon.AddDate(0, 0, -days).UnixMilli(), 10) }

var things = []thing{
	{"1", map[string][]string{"name": {"alpha"}, "tags": {"red", "blue"}, "on": {"true"}, "at": {ago(0)}, "secret": {"s"}}, `{"n":1.5,"deep":{"x":["a","b"]},"a.b":"dotted"}`},
	{"2", map[string][]string{"name": {"Beta two"}, "tags": {"green"}, "on": {"false"}, "at": {ago(1)}}, `{"n":10,"ok":true,"none":null}`},
	{"3", map[string][]string{"name": {"gamma"}, "at": {ago(31)}}, `{}`},
	{"4", map[string][]string{"name": {"alphabet"}, "tags": {"red"}, "on": {"true"}}, `{"n":"9"}`},
}

func parseJSON(body string) (xcontent.Value, error) { return xcontent.ParseJSON([]byte(body)) }

func readBody(t testing.TB, body string) (*Request, error) {
	t.Helper()
	v, err := parseJSON(body)
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return ParseWithAggregations(v, schema, noon)
}

func run(t testing.TB, body string) (Found[thing], error) {
	t.Helper()
	r, err := readBody(t, body)
	if err != nil {
		return Found[thing]{}, err
	}
	if err := r.Problems().Err(fault.Invalid); err != nil {
		return Found[thing]{}, err
	}
	return Run(t.Context(), r, schema, things)
}

func TestQueries(t *testing.T) {
	for _, tt := range []struct{ name, query, want string }{
		{"all", `{"match_all":{"boost":2,"_name":"x"}}`, "1 2 3 4"},
		{"ids", `{"ids":{"values":["3","1","x"]}}`, "1 3"},
		{"ids as one text", `{"ids":{"values":"2"}}`, "2"},
		{"term", `{"term":{"name":"alpha"}}`, "1"},
		{"term with letter case", `{"term":{"name":{"value":"ALPHA"}}}`, ""},
		{"term without letter case", `{"term":{"name":{"value":"ALPHA","case_insensitive":true}}}`, "1"},
		{"term on one of many values", `{"term":{"tags":"red"}}`, "1 4"},
		{"term on a boolean", `{"term":{"on":true}}`, "1 4"},
		{"term on a boolean as text", `{"term":{"on":"false"}}`, "2"},
		{"term on a date", `{"term":{"at":` + ago(1) + `}}`, "2"},
		{"term below an object: numbers are texts", `{"term":{"metadata.n":1.5}}`, "1"},
		{"term on a boolean below an object", `{"term":{"metadata.ok":true}}`, "2"},
		{"term on any leaf", `{"term":{"metadata":"b"}}`, "1"},
		{"term in an array below an object", `{"term":{"metadata.deep.x":"b"}}`, "1"},
		{"term on a key with a dot", `{"term":{"metadata.a.b":"dotted"}}`, "1"},
		{"terms", `{"terms":{"name":["alpha","gamma",1],"boost":1}}`, "1 3"},
		{"terms on dates", `{"terms":{"at":["now",` + ago(31) + `]}}`, "1 3"},
		{"no terms", `{"terms":{"name":[]}}`, ""},
		{"match is a term", `{"match":{"name":{"query":"Beta two","operator":"and"}}}`, "2"},
		{"match is no word", `{"match":{"name":"Beta"}}`, ""},
		{"prefix", `{"prefix":{"name":"alpha"}}`, "1 4"},
		{"prefix without letter case", `{"prefix":{"name":{"value":"bE","case_insensitive":true}}}`, "2"},
		{"wildcard", `{"wildcard":{"name":"*a?p*"}}`, "1 4"},
		{"wildcard by its other name", `{"wildcard":{"name":{"wildcard":"g*","rewrite":"constant_score"}}}`, "3"},
		{"wildcard without letter case", `{"wildcard":{"name":{"value":"B* T?O","case_insensitive":true}}}`, "2"},
		{"exists", `{"exists":{"field":"tags"}}`, "1 2 4"},
		{"exists below an object", `{"exists":{"field":"metadata.n"}}`, "1 2 4"},
		{"null does not exist", `{"exists":{"field":"metadata.none"}}`, ""},
		{"an object is no leaf", `{"exists":{"field":"metadata.deep"}}`, ""},
		{"range of texts", `{"range":{"name":{"gte":"alpha","lt":"gamma"}}}`, "1 4"},
		{"range below an object is of texts", `{"range":{"metadata.n":{"gt":"1","lte":"10"}}}`, "1 2"},
		{"range by its old names", `{"range":{"name":{"from":"alpha","to":"alphabet","include_lower":false,"include_upper":true}}}`, "4"},
		{"range of dates", `{"range":{"at":{"gte":"now-1d","lte":"now"}}}`, "1 2"},
		{"a rounded bound takes its whole day in", `{"range":{"at":{"gte":"now-1d/d","lte":"now-1d/d"}}}`, "2"},
		{"a rounded bound leaves its whole day out", `{"range":{"at":{"gt":"now-1d/d"}}}`, "1"},
		{"a month back ends in February", `{"range":{"at":{"lt":"now-1M"}}}`, ""},
		{"and a day further", `{"range":{"at":{"lte":"now-31d"}}}`, "3"},
		{"range with a format", `{"range":{"at":{"gte":"2026-03-30","lte":"2026-03-30","format":"yyyy-MM-dd"}}}`, "2"},
		{"range with a time zone", `{"range":{"at":{"gte":"2026-03-31T14:00","format":"strict_date_optional_time","time_zone":"+02:00"}}}`, "1"},
		{"range with math on a date", `{"range":{"at":{"gte":"2026-03-29||+1d","lt":"2026-03-31","format":"date"}}}`, "2"},
		{"range without bounds", `{"range":{"at":{"gte":null}}}`, "1 2 3"},
		{"bool", `{"bool":{"must":{"prefix":{"name":"alpha"}},"filter":[{"term":{"on":true}}],"must_not":[{"term":{"tags":"blue"}}]}}`, "4"},
		{"should alone is needed", `{"bool":{"should":[{"term":{"name":"gamma"}},{"term":{"tags":"green"}}]}}`, "2 3"},
		{"should beside must is not needed", `{"bool":{"must":{"term":{"tags":"red"}},"should":{"term":{"tags":"blue"}}}}`, "1 4"},
		{"unless it is asked for", `{"bool":{"must":{"term":{"tags":"red"}},"should":{"term":{"tags":"blue"}},"minimum_should_match":1}}`, "1"},
		{"all but one", `{"bool":{"should":[{"term":{"tags":"red"}},{"term":{"tags":"blue"}},{"term":{"tags":"x"}}],"minimum_should_match":"-1"}}`, "1"},
		{"a percentage", `{"bool":{"should":[{"term":{"tags":"red"}},{"term":{"tags":"blue"}}],"minimum_should_match":"50%"}}`, "1 4"},
		{"conditions", `{"bool":{"should":[{"term":{"tags":"red"}},{"term":{"tags":"x"}},{"term":{"on":true}}],"minimum_should_match":"2<66%"}}`, "1 4"},
		{"more than there are", `{"bool":{"should":[{"match_all":{}}],"minimum_should_match":2}}`, ""},
		{"nothing but must_not", `{"bool":{"must_not":{"exists":{"field":"on"}}}}`, "3"},
		{"an empty bool", `{"bool":{}}`, "1 2 3 4"},
		{"simple", `{"simple_query_string":{"query":"gamma green"}}`, "2 3"},
		{"simple, and", `{"simple_query_string":{"query":"red + blue"}}`, "1"},
		{"simple, all by default", `{"simple_query_string":{"query":"red blue","default_operator":"AND"}}`, "1"},
		{"simple, or", `{"simple_query_string":{"query":"gamma | green","default_operator":"and"}}`, "2 3"},
		{"simple, not", `{"simple_query_string":{"query":"red + -blue"}}`, "4"},
		{"simple, phrase", `{"simple_query_string":{"query":"\"Beta two\""}}`, "2"},
		{"simple, beginning", `{"simple_query_string":{"query":"alph*","fields":["name^2"]}}`, "1 4"},
		{"simple, nearly", `{"simple_query_string":{"query":"gomma~1","fields":["na*"]}}`, "3"},
		{"simple, parentheses", `{"simple_query_string":{"query":"(alpha | alphabet) + -blue"}}`, "4"},
		{"simple, escaped", `{"simple_query_string":{"query":"Beta\\ two"}}`, "2"},
		{"simple, most of the words", `{"simple_query_string":{"query":"red blue x","minimum_should_match":"2"}}`, "1"},
		{"simple, no operators", `{"simple_query_string":{"query":"alph*","flags":"NONE"}}`, ""},
		{"simple, below an object", `{"simple_query_string":{"query":"a","fields":["metadata.deep.x"]}}`, "1"},
		{"simple, fields that nobody may ask about", `{"simple_query_string":{"query":"alpha","fields":["hash","x*"]}}`, ""},
		{"simple, nothing", `{"simple_query_string":{"query":" + | ) -( "}}`, ""},
		{"simple, unclosed", `{"simple_query_string":{"query":"((\"alpha"}}`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found, err := run(t, `{"query":`+tt.query+`}`)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, h := range found.Page {
				got = append(got, h.Document.id)
				if h.Sort != nil {
					t.Errorf("hit %s has sort values, and nothing was sorted", h.Document.id)
				}
			}
			if g := strings.Join(got, " "); g != tt.want || found.Total != len(got) {
				t.Errorf("%s finds [%s], total %d; want [%s]", tt.query, g, found.Total, tt.want)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	deep := strings.Repeat(`{"bool":{"must":`, 40) + `{"match_all":{}}` + strings.Repeat(`}}`, 40)
	wide := `{"bool":{"should":[` + strings.TrimSuffix(strings.Repeat(`{"match_all":{}},`, 2000), ",") + `]}}`
	for _, tt := range []struct {
		name, body string
		want       fault.Kind
	}{
		{"a body that is no object", `[]`, fault.Malformed},
		{"an unknown member", `{"quary":{}}`, fault.Malformed},
		{"an empty query", `{"query":{}}`, fault.Argument},
		{"a query that is no object", `{"query":"x"}`, fault.Parsing},
		{"two queries at once", `{"query":{"match_all":{},"term":{}}}`, fault.Parsing},
		{"an unknown query", `{"query":{"trem":{"name":"a"}}}`, fault.Parsing},
		{"a query of another context", `{"query":{"fuzzy":{"name":"a"}}}`, fault.Argument},
		{"one deep inside", `{"query":{"bool":{"must":[{"bool":{"filter":{"script":{}}}}]}}}`, fault.Argument},
		{"an unknown query deep inside", `{"query":{"bool":{"must":[{"nope":{}}]}}}`, fault.Parsing},
		{"an unknown field", `{"query":{"term":{"hash":"a"}}}`, fault.Argument},
		{"a pattern of fields", `{"query":{"term":{"metadata.*":"a"}}}`, fault.Argument},
		{"an unknown option", `{"query":{"term":{"name":{"value":"a","slop":1}}}}`, fault.Parsing},
		{"a term of null", `{"query":{"term":{"name":null}}}`, fault.Parsing},
		{"a term of many", `{"query":{"term":{"name":["a"]}}}`, fault.Parsing},
		{"a term on two fields", `{"query":{"term":{"name":"a","tags":"b"}}}`, fault.Parsing},
		{"a boolean that is none", `{"query":{"term":{"on":"yes"}}}`, fault.Argument},
		{"a date that is none", `{"query":{"range":{"at":{"gte":"yesterday"}}}}`, fault.Argument},
		{"a date of another format", `{"query":{"range":{"at":{"gte":"2026-01-01"}}}}`, fault.Argument},
		{"an unknown format", `{"query":{"range":{"at":{"gte":"1","format":"zzz"}}}}`, fault.Argument},
		{"an unknown zone", `{"query":{"range":{"at":{"gte":"1","time_zone":"Nowhere"}}}}`, fault.Argument},
		{"date math that is none", `{"query":{"range":{"at":{"gte":"now+1"}}}}`, fault.Argument},
		{"date math too far", `{"query":{"range":{"at":{"gte":"now+99999999999y"}}}}`, fault.Argument},
		{"terms with a lookup", `{"query":{"terms":{"name":{"index":"i","id":"1","path":"p"}}}}`, fault.Argument},
		{"terms on two fields", `{"query":{"terms":{"name":["a"],"tags":["b"]}}}`, fault.Parsing},
		{"a range with a relation", `{"query":{"range":{"name":{"gte":"a","relation":"within"}}}}`, fault.Argument},
		{"a fuzzy match", `{"query":{"match":{"name":{"query":"a","fuzziness":1}}}}`, fault.Argument},
		{"a prefix of a boolean", `{"query":{"prefix":{"on":"t"}}}`, fault.Argument},
		{"a wildcard of a date", `{"query":{"wildcard":{"at":"1*"}}}`, fault.Argument},
		{"a pattern without end", `{"query":{"wildcard":{"name":"` + strings.Repeat("*a", 600) + `"}}}`, fault.Argument},
		{"ids without values", `{"query":{"ids":{}}}`, fault.Parsing},
		{"exists without a field", `{"query":{"exists":{}}}`, fault.Parsing},
		{"a minimum that is none", `{"query":{"bool":{"minimum_should_match":"x"}}}`, fault.Parsing},
		{"queries too deep", `{"query":` + deep + `}`, fault.Argument},
		{"too many queries", `{"query":` + wide + `}`, fault.Argument},
		{"too many words", `{"query":{"simple_query_string":{"query":"` + strings.Repeat("a ", 2000) + `"}}}`, fault.Argument},
		{"parentheses too deep", `{"query":{"simple_query_string":{"query":"` + strings.Repeat("(", 100) + `"}}}`, fault.Argument},
		{"words that turn too often", `{"query":{"simple_query_string":{"query":"` + strings.Repeat("a | b + ", 60) + `"}}}`, fault.Argument},
		{"a negative from", `{"from":-1}`, fault.Invalid},
		{"a negative size", `{"size":-1}`, fault.Invalid},
		{"a size that is no number", `{"size":"ten"}`, fault.Malformed},
		{"a page too deep", `{"from":9995,"size":6}`, fault.Search},
		{"a sort that is a text", `{"sort":"name"}`, fault.Malformed},
		{"a sort in short", `{"sort":[{"name":"desc"}]}`, fault.Malformed},
		{"a sort by two in one", `{"sort":[{"name":{},"tags":{}}]}`, fault.Malformed},
		{"a sort by an unknown field", `{"sort":["hash"]}`, fault.Argument},
		{"a sort by a field that cannot be sorted", `{"sort":["secret"]}`, fault.Argument},
		{"an order that is none", `{"sort":[{"name":{"order":"up"}}]}`, fault.Argument},
		{"a nested sort", `{"sort":[{"name":{"nested":{"path":"x"}}}]}`, fault.Argument},
		{"a format of texts", `{"sort":[{"name":{"format":"date"}}]}`, fault.Argument},
		{"search_after without a sort", `{"search_after":["a"]}`, fault.Argument},
		{"search_after with from", `{"sort":["name"],"from":1,"search_after":["a"]}`, fault.Argument},
		{"search_after of another length", `{"sort":["name"],"search_after":["a","b"]}`, fault.Argument},
		{"search_after of another type", `{"sort":["at"],"search_after":["a"]}`, fault.Argument},
		{"search_after of objects", `{"sort":["at"],"search_after":[{}]}`, fault.Malformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if found, err := run(t, tt.body); err == nil || fault.KindOf(err) != tt.want {
				t.Errorf("found %d, %v; want a fault of kind %d", found.Total, err, tt.want)
			}
		})
	}
}

func TestSorts(t *testing.T) {
	day := func(days int) string { return noon.AddDate(0, 0, -days).Format("2006-01-02T15:04:05.000Z") }
	for _, tt := range []struct{ name, body, want string }{
		{"by name", `{"sort":["name"]}`, `2["Beta two"] 1["alpha"] 4["alphabet"] 3["gamma"]`},
		{"down", `{"sort":[{"name":{"order":"desc"}}]}`, `3["gamma"] 4["alphabet"] 1["alpha"] 2["Beta two"]`},
		{"one object", `{"sort":{"at":{"order":"asc"}},"size":2}`, `3[` + ago(31) + `] 2[` + ago(1) + `]`},
		{"missing dates come last", `{"sort":["at"],"from":3}`, `4[9223372036854775807]`},
		{"also downwards", `{"sort":[{"at":{"order":"desc"}}],"from":3}`, `4[-9223372036854775808]`},
		{"or first", `{"sort":[{"at":{"missing":"_first"}}],"size":1}`, `4[-9223372036854775808]`},
		{"or as told", `{"sort":[{"at":{"missing":` + ago(2) + `}}],"from":1,"size":1}`, `4[` + ago(2) + `]`},
		{"a date with a format", `{"sort":[{"at":{"order":"desc","format":"date_time"}}],"size":1}`, `1["` + day(0) + `"]`},
		{"a date with a pattern", `{"sort":[{"at":{"format":"yyyy/MM/dd HH:mm"}}],"size":1}`, `3["2026/02/28 12:00"]`},
		{"the least of many values, and missing texts last", `{"sort":["tags"]}`, `1["blue"] 2["green"] 4["red"] 3[null]`},
		{"the greatest of many values downwards", `{"sort":[{"tags":{"order":"desc"}},"_doc"]}`, `1["red",0] 4["red",3] 2["green",1] 3[null,2]`},
		{"booleans", `{"sort":["on","name"],"size":3}`, `2[false,"Beta two"] 1[true,"alpha"] 4[true,"alphabet"]`},
		{"below an object, as texts", `{"sort":["metadata.n"],"size":3}`, `1["1.5"] 2["10"] 4["9"]`},
		{"after a text", `{"sort":["name"],"search_after":["alpha"]}`, `4["alphabet"] 3["gamma"]`},
		{"after one of two", `{"sort":["on","name"],"search_after":[true,"alpha"],"size":1}`, `4[true,"alphabet"]`},
		{"after a date as text", `{"sort":["at"],"search_after":["` + ago(1) + `"],"size":1}`, `1[` + ago(0) + `]`},
		{"after a date with a format", `{"sort":[{"at":{"format":"date_time"}}],"search_after":["` + day(1) + `"],"size":1}`, `1["` + day(0) + `"]`},
		{"after what is missing", `{"sort":["tags"],"search_after":[null]}`, ``},
		{"a page beyond the end", `{"sort":["name"],"from":100}`, ``},
		{"no page", `{"size":0}`, ``},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found, err := run(t, tt.body)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, h := range found.Page {
				got = append(got, h.Document.id+string(xcontent.Value{Kind: xcontent.Array, Items: h.Sort}.JSON()))
			}
			if g := strings.Join(got, " "); g != tt.want || found.Total != len(things) {
				t.Errorf("%s gives\n%s of %d; want\n%s", tt.body, g, found.Total, tt.want)
			}
		})
	}
}

// Whatever the keys, pages that follow each other show everything once.
func TestPagesFollowEachOther(t *testing.T) {
	docs := make([]thing, 97)
	for i := range docs {
		d := thing{strconv.Itoa(i), map[string][]string{}, `{}`}
		if i%3 > 0 {
			d.fields["name"] = []string{"n" + strconv.Itoa(i%5)}
		}
		if i%4 > 0 {
			d.fields["at"] = []string{strconv.Itoa(i % 7)}
		}
		if i%2 > 0 {
			d.fields["on"] = []string{strconv.FormatBool(i%8 > 3)}
		}
		docs[i] = d
	}
	for _, keys := range []string{`"_doc"`, `"name","_doc"`, `{"at":{"order":"desc"}},"_doc"`, `{"on":{"missing":"_first"}},{"name":{"order":"desc","missing":"_first"}},"_doc"`} {
		var seen []string
		after := ""
		for range len(docs) {
			r, err := readBody(t, `{"size":10,"sort":[`+keys+`]`+after+`}`)
			if err != nil {
				t.Fatal(err)
			}
			found, err := Run(t.Context(), r, schema, docs)
			if err != nil {
				t.Fatal(err)
			}
			if len(found.Page) == 0 {
				break
			}
			for _, h := range found.Page {
				seen = append(seen, h.Document.id)
				after = `,"search_after":` + string(xcontent.Value{Kind: xcontent.Array, Items: h.Sort}.JSON())
			}
		}
		if n := len(seen); n != len(docs) {
			t.Errorf("sort by %s showed %d of %d", keys, n, len(docs))
		}
		slices.Sort(seen)
		if n := len(slices.Compact(seen)); n != len(docs) {
			t.Errorf("sort by %s showed %d different ones of %d", keys, n, len(docs))
		}
	}
}

func TestASearchEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := readBody(t, `{}`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Run(ctx, r, schema, things); err != context.Canceled {
		t.Errorf("Run = %v; want %v", err, context.Canceled)
	}
}

// FuzzParse reads any body. What it takes can be run, what it aggregates can be shown,
// and everything that it shows to have sorted by is taken again as search_after.
func FuzzParse(f *testing.F) {
	for _, body := range []string{
		`{"query":{"bool":{"must":[{"term":{"name":"a"}}],"should":{"range":{"at":{"gte":"now-1d/d||+1M","format":"yyyy-MM-dd||epoch_second","time_zone":"+01:00"}}},"minimum_should_match":"2<-25% 9<3"}}}`,
		`{"query":{"simple_query_string":{"query":"a+(b|-\"c d\"~2) e* f~1 \\","fields":["na*","metadata.x^3"],"flags":"AND|OR","minimum_should_match":"50%"}},"from":1,"size":"3"}`,
		`{"sort":["_doc",{"at":{"order":"desc","format":"date_time","missing":"_first"}},{"on":{"mode":"max"}}],"search_after":[1,"x",null]}`,
		`{"query":{"terms":{"tags":["a",1,true]}},"sort":{"metadata.n":{"missing":"x"}}}`,
		`{"query":{"wildcard":{"name":{"value":"*\\?a","case_insensitive":"true"}}}}`,
		`{"aggs":{"a":{"terms":{"field":"tags","size":3,"order":[{"b>c.value":"desc"},{"_key":"asc"}],"include":"r.*","missing":"x","min_doc_count":0},"aggs":{"b":{"filter":{"exists":{"field":"at"}},"aggs":{"c":{"cardinality":{"field":"metadata"}}}}}}}}`,
		`{"aggregations":{"a":{"date_range":{"field":"at","format":"yyyy-MM-dd","time_zone":"+01:00","keyed":true,"ranges":[{"from":"now-1d/d","key":"k"},{"to":1.5}]}},"b":{"filters":{"filters":{"x":{"match_all":{}}},"other_bucket_key":"o"},"meta":{}}}}`,
		`{"aggs":{"a":{"composite":{"size":2,"sources":[{"x":{"terms":{"field":"on","missing_bucket":true,"missing_order":"last"}}},{"y":{"terms":{"field":"at","order":"desc","format":"date"}}}],"after":{"x":null,"y":"2026-01-01"}}}}}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		v, err := xcontent.ParseJSON(body)
		if err != nil {
			return
		}
		r, err := ParseWithAggregations(v, schema, noon)
		if err != nil {
			if fault.KindOf(err) == fault.Internal {
				t.Errorf("Parse(%s) = %v, which is no fault", body, err)
			}
			return
		}
		if r.Problems() != nil {
			return
		}
		found, err := tableOf(things).Search(t.Context(), r, All{})
		if err != nil {
			if fault.KindOf(err) == fault.Internal {
				t.Errorf("Search(%s) = %v, which is no fault", body, err)
			}
			return
		}
		if shown := found.Aggregations.Render(true).JSON(); !json.Valid(shown) {
			t.Fatalf("%s shows %s", body, shown)
		}
		for _, h := range found.Hits {
			if h.Sort == nil {
				continue
			}
			values := xcontent.Value{Kind: xcontent.Array, Items: h.Sort}
			if !json.Valid(values.JSON()) {
				t.Fatalf("%s shows %s", body, values.JSON())
			}
			again := v
			again.Members = slices.DeleteFunc(slices.Clone(v.Members), func(m xcontent.Member) bool { return m.Name != "sort" })
			again.Members = append(again.Members, xcontent.Member{Name: "search_after", Value: values})
			if r, err := Parse(again, schema, noon); err != nil || r.late != nil {
				t.Fatal(fmt.Errorf("%s shows %s, which is not taken: %v %v", body, values.JSON(), err, r))
			}
		}
	})
}
