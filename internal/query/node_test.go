package query

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"latchkey/internal/pattern"
)

func TestWhatQueriesMean(t *testing.T) {
	name, on, at := schema[0], schema[2], schema[3]
	is := func(s string) Node { return Leaf{name, "name", OneOf{Texts: []string{s}}} }
	low := "a"
	for _, tt := range []struct {
		query string
		want  Node
	}{
		{`{"match_all":{}}`, All{}},
		{`{"ids":{"values":["2","1","2"]}}`, IDs{"1", "2"}},
		{`{"term":{"name":{"value":"A","case_insensitive":true}}}`, Leaf{name, "name", OneOf{Texts: []string{"A"}, Fold: true}}},
		{`{"terms":{"name":["b","a","b"]}}`, Leaf{name, "name", OneOf{Texts: []string{"a", "b"}}}},
		{`{"terms":{"at":[7,5,6,1]}}`, Leaf{at, "at", Instants{[][2]int64{{1, 1}, {5, 7}}}}},
		{`{"terms":{"on":["",true]}}`, Leaf{on, "on", OneOf{Texts: []string{"false", "true"}}}},
		{`{"prefix":{"name":"A"}}`, Leaf{name, "name", Prefix{Text: "A"}}},
		{`{"wildcard":{"name":{"value":"A*","case_insensitive":true}}}`, Leaf{name, "name", Wildcard{"a*", true}}},
		{`{"range":{"name":{"gt":"a"}}}`, Leaf{name, "name", Between{Low: &low, ExcludeLow: true}}},
		{`{"range":{"on":{"gt":"false"}}}`, Leaf{on, "on", OneOf{Texts: []string{"true"}}}},
		{`{"range":{"at":{"gt":5}}}`, Leaf{at, "at", Instants{[][2]int64{{6, math.MaxInt64}}}}},
		{`{"range":{"at":{"gt":9,"lt":9}}}`, Leaf{at, "at", Instants{}}},
		{`{"range":{"at":{"gt":9223372036854775807}}}`, Leaf{at, "at", Instants{}}},
		{`{"range":{"at":{"lt":-9223372036854775808}}}`, Leaf{at, "at", Instants{}}},
		{`{"exists":{"field":"metadata.a"}}`, Leaf{schema[4], "metadata.a", Exists{}}},
		{`{"term":{"hash":"a"}}`, None{}},
		{`{"bool":{"filter":{"term":{"name":"a"}},"should":[{"match_all":{}}]}}`, Bool{Must: []Node{is("a")}, Should: []Node{All{}}}},
		{`{"simple_query_string":{"query":"a + b + -c~1","fields":["name"]}}`,
			Bool{Should: []Node{Bool{Must: []Node{is("a"), is("b"), Bool{MustNot: []Node{Leaf{name, "name", Near{"c", 1}}}}}}}, Enough: 1}},
	} {
		r, err := readBody(t, `{"query":`+tt.query+`}`)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Where(); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s means\n%#v; want\n%#v", tt.query, got, tt.want)
		}
	}
}

// Both ways to match a pattern agree.
func TestWildcards(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[abé*?\\]{0,8}`).Draw(t, "pattern")
		s := rapid.StringMatching(`[abé*?\\]{0,8}`).Draw(t, "s")
		if got, want := wildcards(&work{left: math.MaxInt}, text)(s), pattern.Wildcards(text).Matches(s); got != want {
			t.Fatalf("[%s] matches [%s] = %v; want %v", text, s, got, want)
		}
	})
}

// What no row has any more is thrown away, also the paths of objects.
func TestTablesForget(t *testing.T) {
	table := NewTable(schema, 0)
	for i := range 3 {
		table.Put(fmt.Sprint("id", i), Text("first"), Cell{}, Cell{}, Cell{}, Object(`{"first":"a"}`), Cell{})
	}
	for i := range 5000 {
		table.Set("id1", "name", Text(fmt.Sprint("name", i)))
		table.Set("id1", "metadata", Object(fmt.Sprintf(`{"path%d":{"x":["%d","b"]}}`, i, i)))
	}
	for _, c := range table.columns {
		if c.cells != nil && c.cells.count() > 2*block || len(c.paths) > 2*block || len(c.known) > 2*block {
			t.Errorf("column %s holds %d cells, %d paths and %d objects for 3 rows", c.field.Name, c.cells.count(), len(c.paths), len(c.known))
		}
	}
	for body, want := range map[string]string{
		`{"query":{"term":{"metadata.path4999.x":"b"}}}`: "id1",
		`{"query":{"term":{"metadata":"4999"}}}`:         "id1",
		`{"query":{"term":{"metadata.path4998.x":"b"}}}`: "",
		`{"query":{"term":{"metadata.first":"a"}}}`:      "id0 id2",
		`{"query":{"term":{"name":"name4999"}}}`:         "id1",
	} {
		r, err := readBody(t, body)
		if err != nil {
			t.Fatal(err)
		}
		result, err := table.Search(t.Context(), r, All{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, h := range result.Hits {
			got = append(got, h.ID)
		}
		if g := strings.Join(got, " "); g != want {
			t.Errorf("%s finds [%s]; want [%s]", body, g, want)
		}
	}
}

// What is long costs memory once, and no longer than a row has it.
func TestLongObjectsCostNoMoreThanTheyHold(t *testing.T) {
	table := NewTable(schema, 0)
	for i := range 3 {
		table.Put(fmt.Sprint("id", i), Text("x"), Cell{}, Cell{}, Cell{}, Object(`{"short":"a"}`), Cell{})
	}
	members := `"z":1`
	for i := range 1000 {
		members += fmt.Sprintf(`,"m%d":"v%d"`, i, i)
	}
	table.Set("id1", "metadata", Object(`{"`+strings.Repeat("n", 50_000)+`":{`+members+`}}`))
	c := table.columns[4]
	if c.bytes() > 100_000 {
		t.Errorf("1000 members of one long name take %d bytes", c.bytes())
	}
	for _, tt := range []struct {
		field string
		total int
	}{
		{"metadata", 1},
		{"metadata." + strings.Repeat("n", 50_000) + ".m7", 0}, // nobody can ask for so long a path
	} {
		result, err := table.Search(t.Context(), &Request{where: Leaf{schema[4], tt.field, OneOf{Texts: []string{"v7"}}}}, All{})
		if err != nil || result.Total != tt.total {
			t.Errorf("%.20s: %d, %v; want %d", tt.field, result.Total, err, tt.total)
		}
	}
	for i := range 50 {
		table.Set("id1", "metadata", Object(fmt.Sprintf(`{"a":"%d%s"}`, i, strings.Repeat("v", 1<<20))))
	}
	if c := table.columns[4]; c.bytes() > 20<<20 {
		t.Errorf("an object of a megabyte that has changed 50 times takes %d bytes", c.bytes())
	}
}

// A document keeps its number, whatever is removed.
func TestDocumentsKeepTheirNumber(t *testing.T) {
	table := NewTable(Schema{{Name: "name"}}, 0)
	for i := range 1000 {
		table.Put(fmt.Sprint("id", i), Text("x"))
	}
	for i := range 999 {
		table.Remove(fmt.Sprint("id", i))
	}
	table.Put("id5", Text("x"))
	if table.rows > block+1 {
		t.Errorf("there are %d rows for 2 documents", table.rows)
	}
	r, err := readBody(t, `{"sort":["_doc"]}`)
	if err != nil {
		t.Fatal(err)
	}
	result, err := table.Search(t.Context(), r, All{})
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, h := range result.Hits {
		got += h.ID + " " + h.Sort[0].Text + " "
	}
	if want := "id999 999 id5 1000 "; got != want {
		t.Errorf("the documents are %s; want %s", got, want)
	}
}
