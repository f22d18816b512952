package query_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"latchkey/internal/query"
	"latchkey/internal/query/querytest"
	"latchkey/internal/xcontent"
)

var anything = query.Schema{
	{Name: "name"}, {Name: "tags"}, {Name: "on", Type: query.Boolean}, {Name: "at", Type: query.Date}, {Name: "metadata", Type: query.Flat},
}

var noon = time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)

func request(t *rapid.T, body string) *query.Request {
	v, err := xcontent.ParseJSON([]byte(body))
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	r, err := query.ParseWithAggregations(v, anything, noon)
	if err == nil {
		err = r.Err()
	}
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return r
}

func decode(t *rapid.T, text []byte) object {
	var v object
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

// normal makes numbers comparable, however they are written.
func normal(v any) any {
	switch v := v.(type) {
	case object:
		for k := range v {
			v[k] = normal(v[k])
		}
	case []any:
		for i := range v {
			v[i] = normal(v[i])
		}
	case json.Number:
		f, _ := v.Float64()
		return f
	}
	return v
}

func add(table *query.Table, weight uint32, d querytest.Document) {
	table.Add(d.Name, weight, cells(d)...)
}

func cells(d querytest.Document) []query.Cell {
	var all []query.Cell
	for _, f := range anything {
		all = append(all, d.Cell(f.Name))
	}
	return all
}

// agree compares the answer of a table with the naive one. Shown is false if pages are not compared.
func agree(t *rapid.T, table *query.Table, docs []querytest.Document, body string, visible query.Node, shown bool) {
	r := request(t, body)
	n := naive{t: t, schema: anything, now: noon}
	for _, d := range docs {
		if n.matches(d, r.Where()) && n.matches(d, visible) {
			n.docs = append(n.docs, d)
		}
	}
	got, err := table.Search(t.Context(), r, visible)
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	if got.Total != len(n.docs) {
		t.Fatalf("%s finds %d; want %d", body, got.Total, len(n.docs))
	}
	lines := []string{}
	for _, h := range got.Hits {
		line := h.ID
		if h.Sort != nil {
			line += string(xcontent.Value{Kind: xcontent.Array, Items: h.Sort}.JSON())
		}
		lines = append(lines, line)
	}
	if want := n.page(r); shown && !reflect.DeepEqual(lines, want) {
		t.Fatalf("%s shows %q; want %q", body, lines, want)
	}
	aggs, asked := decode(t, []byte(body))["aggs"].(object)
	if !asked || got.Total == 0 {
		if got.Aggregations != nil {
			t.Fatalf("%s has aggregations", body)
		}
		return
	}
	want, err := json.Marshal(n.aggregate(aggs, n.docs))
	if err != nil {
		t.Fatal(err)
	}
	answer := got.Aggregations.Render(false).JSON()
	if !reflect.DeepEqual(normal(decode(t, answer)), normal(decode(t, want))) {
		t.Fatalf("%s answers\n%s; want\n%s", body, answer, want)
	}
}

var someVisible = []query.Node{
	query.All{}, query.IDs{"id1", "id3"}, query.Leaf{Field: anything[0], Name: "name", Test: query.OneOf{Texts: []string{"a", "ab"}}},
}

// What is answered set by set is what would be answered document by document.
func TestTheTableAgreesWithDocuments(t *testing.T) {
	bodies := querytest.Body(anything, querytest.Options{Aggregations: true})
	rapid.Check(t, func(t *rapid.T) {
		docs := querytest.Documents(anything, 20, rapid.IntRange(1, 3).Draw(t, "values")).Draw(t, "docs")
		table := query.NewTable(anything, 0)
		for _, d := range docs {
			add(table, 1, d)
		}
		agree(t, table, docs, bodies.Draw(t, "body"), rapid.SampledFrom(someVisible).Draw(t, "visible"), true)
	})
}

// A row that counts as several documents is as good as these.
func TestRowsHaveWeights(t *testing.T) {
	bodies := querytest.Body(anything, querytest.Options{Aggregations: true})
	rapid.Check(t, func(t *rapid.T) {
		rows := querytest.Documents(anything, 8, 2).Draw(t, "rows")
		var docs []querytest.Document
		table := query.NewTable(anything, 0)
		for _, d := range rows {
			weight := rapid.IntRange(1, 4).Draw(t, "weight")
			add(table, uint32(weight), d)
			for range weight {
				docs = append(docs, d)
			}
		}
		agree(t, table, docs, bodies.Draw(t, "body"), query.All{}, false)
	})
}

// Whatever has been done to a table, it answers as one that was made of what is left.
func TestTablesChange(t *testing.T) {
	bodies := querytest.Body(anything, querytest.Options{Aggregations: true})
	some := querytest.Documents(anything, 20, 2)
	rapid.Check(t, func(t *rapid.T) {
		first := some.Draw(t, "first")
		table := query.NewTable(anything, len(first))
		left := map[string]querytest.Document{}
		var order []string
		put := func(d querytest.Document) {
			if _, known := left[d.Name]; !known {
				order = append(order, d.Name)
			}
			left[d.Name] = d
			table.Put(d.Name, cells(d)...)
		}
		for i := range rapid.SampledFrom([]int{0, 30}).Draw(t, "times") { // enough to be moved together
			for _, d := range first {
				d.Name = fmt.Sprint("more", i, d.Name)
				put(d)
			}
		}
		for _, id := range slices.Clone(order) {
			delete(left, id)
			order = order[1:]
			if !table.Remove(id) || table.Remove(id) {
				t.Fatalf("%s is not removed once", id)
			}
		}
		for _, d := range first {
			put(d)
		}
		for _, d := range some.Draw(t, "changed") {
			put(d)
		}
		for _, d := range some.Draw(t, "other tags") {
			ok := table.Set(d.Name, "tags", d.Cell("tags"))
			if old, known := left[d.Name]; known != ok {
				t.Fatalf("Set %s = %v", d.Name, ok)
			} else if known {
				old.Texts = map[string][]string{"name": old.Texts["name"], "tags": d.Texts["tags"]}
				left[d.Name] = old
			}
		}
		var docs []querytest.Document
		for i, id := range order {
			if rapid.IntRange(0, 3).Draw(t, "removed") == 0 && i%2 == 0 {
				table.Remove(id)
				continue
			}
			docs = append(docs, left[id])
		}
		if table.Len() != len(docs) {
			t.Fatalf("there are %d rows; want %d", table.Len(), len(docs))
		}
		agree(t, table, docs, bodies.Draw(t, "body"), query.All{}, true)
	})
}
