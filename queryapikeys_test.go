package latchkey_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"slices"
	"testing"

	"latchkey"
)

func ExampleClient_QueryAPIKeys() {
	client := newClient()
	defer client.Close()
	newKey(client, "ingest-1")
	newKey(client, "ingest-2")
	newKey(client, "ingest-3")
	found, err := client.QueryAPIKeys(context.Background(), latchkey.QueryAPIKeysRequest{
		Query: latchkey.Query{
			Query: json.RawMessage(`{"bool":{"filter":[{"prefix":{"name":"ingest-"}},{"term":{"invalidated":false}}]}}`),
			Sort:  []any{map[string]any{"name": map[string]any{"order": "desc"}}},
			Size:  new(2),
		},
		Aggregations: map[string]any{"owners": map[string]any{"terms": map[string]any{"field": "username"}}},
	})
	if err != nil {
		log.Panic(err)
	}
	for _, k := range found.APIKeys {
		fmt.Println(k.Name)
	}
	var owners latchkey.Buckets
	if err := found.Aggregation("owners", &owners); err != nil {
		log.Panic(err)
	}
	for _, b := range owners.Buckets {
		fmt.Println(b.Name(), b.Count)
	}
	// Output:
	// ingest-3
	// ingest-2
	// elastic 3
}

func ExampleClient_EveryAPIKey() {
	client := newClient()
	defer client.Close()
	for i := range 3 {
		newKey(client, fmt.Sprint("every-", i))
	}
	mine := latchkey.QueryAPIKeysRequest{Query: latchkey.Query{Query: json.RawMessage(`{"prefix":{"name":"every-"}}`)}}
	for k, err := range client.EveryAPIKey(context.Background(), mine) {
		if err != nil {
			log.Panic(err)
		}
		fmt.Println(k.Name)
	}
	// Unordered output:
	// every-0
	// every-1
	// every-2
}

func TestWhatASearchOfKeysSends(t *testing.T) {
	var got string
	client := newFake(t, func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		got = r.Method + " " + r.URL.RequestURI() + " " + string(body)
		return answering(200, `{"total":0,"count":0,"api_keys":[]}`), err
	})
	q := latchkey.Query{Query: json.RawMessage(`{"match_all":{}}`), Size: new(0), Sort: []any{"name"}, SearchAfter: []any{"a"}}
	tests := []struct {
		name string
		req  latchkey.QueryAPIKeysRequest
		want string
	}{
		{"nothing that older servers refuse", latchkey.QueryAPIKeysRequest{}, `POST /_security/_query/api_key {}`},
		{"a query", latchkey.QueryAPIKeysRequest{Query: q},
			`POST /_security/_query/api_key {"query":{"match_all":{}},"size":0,"sort":["name"],"search_after":["a"]}`},
		{"an aggregation", latchkey.QueryAPIKeysRequest{Aggregations: map[string]any{"x": json.RawMessage(`{"missing":{"field":"name"}}`)}},
			`POST /_security/_query/api_key {"aggs":{"x":{"missing":{"field":"name"}}}}`},
		{"all that can be told of a key", latchkey.QueryAPIKeysRequest{WithLimitedBy: true, WithProfileUID: true, WithLastUsed: true},
			`POST /_security/_query/api_key?with_last_used=true&with_limited_by=true&with_profile_uid=true {}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := client.QueryAPIKeys(t.Context(), tt.req); err != nil || got != tt.want {
				t.Errorf("got %s, %v\nwant %s", got, err, tt.want)
			}
		})
	}
}

func TestAggregation(t *testing.T) {
	answer := latchkey.QueryAPIKeysResponse{Aggregations: json.RawMessage(`{"on":{"sum_other_doc_count":7,"buckets":[
		{"key":1,"key_as_string":"true","doc_count":2},{"key":"jo","doc_count":3},{"key":5,"doc_count":1}]},"n":{"value":4}}`)}
	var on latchkey.Buckets
	if err := answer.Aggregation("on", &on); err != nil || on.Others != 7 || len(on.Buckets) != 3 {
		t.Fatalf("buckets: %+v, %v", on, err)
	}
	for i, want := range []string{"true 2", "jo 3", "5 1"} {
		if got := fmt.Sprint(on.Buckets[i].Name(), " ", on.Buckets[i].Count); got != want {
			t.Errorf("bucket %d is %s; want %s", i, got, want)
		}
	}
	var n struct{ Value int }
	if err := answer.Aggregation("n", &n); err != nil || n.Value != 4 {
		t.Errorf("n = %+v, %v", n, err)
	}
	if err := answer.Aggregation("m", &n); err == nil {
		t.Error("an aggregation that is not there is no error")
	}
	if err := answer.Aggregation("n", &on.Buckets); err == nil {
		t.Error("an aggregation of another form is no error")
	}
	if err := (latchkey.QueryAPIKeysResponse{}).Aggregation("n", &n); err != nil || n.Value != 4 {
		t.Errorf("where nothing matched: %+v, %v", n, err)
	}
	if err := (latchkey.QueryAPIKeysResponse{Aggregations: json.RawMessage(`[]`)}).Aggregation("n", &n); err == nil {
		t.Error("aggregations that are no object are no error")
	}
}

// pages is a server of keys that pages by creation, and remembers what it was asked.
type pages struct {
	keys   []latchkey.APIKey // in order of creation
	asked  []string
	before func(page int) // what happens before it answers
}

func (p *pages) answer(r *http.Request) (*http.Response, error) {
	if p.before != nil {
		p.before(len(p.asked))
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	p.asked = append(p.asked, string(body))
	var q struct {
		Query struct {
			Bool struct {
				MustNot struct{ IDs struct{ Values []string } } `json:"must_not"`
			}
		}
		Size        int
		SearchAfter []int64 `json:"search_after"`
	}
	if err := json.Unmarshal(body, &q); err != nil {
		return nil, err
	}
	page := latchkey.QueryAPIKeysResponse{APIKeys: []latchkey.QueriedAPIKey{}}
	for _, k := range p.keys {
		if len(page.APIKeys) < q.Size && (q.SearchAfter == nil || k.Creation > q.SearchAfter[0]) && !slices.Contains(q.Query.Bool.MustNot.IDs.Values, k.ID) {
			page.APIKeys = append(page.APIKeys, latchkey.QueriedAPIKey{APIKey: k})
		}
	}
	text, err := json.Marshal(page)
	return answering(200, string(text)), err
}

func TestEveryAPIKey(t *testing.T) {
	key := func(id string, creation int64) latchkey.APIKey { return latchkey.APIKey{ID: id, Creation: creation} }
	six := []latchkey.APIKey{key("a", 1), key("b", 2), key("c", 2), key("d", 2), key("e", 3), key("f", 5)}
	const match = `{"match_all":{}}`
	first := latchkey.Query{Query: json.RawMessage(match)}
	collect := func(t *testing.T, p *pages, q latchkey.Query) (ids string) {
		t.Helper()
		for k, err := range newFake(t, p.answer).EveryAPIKey(t.Context(), latchkey.QueryAPIKeysRequest{Query: q}) {
			if err != nil {
				t.Fatal(err)
			}
			ids += k.ID
		}
		return ids
	}
	for size := 1; size < 8; size++ {
		if got := collect(t, &pages{keys: six}, latchkey.Query{Size: &size}); got != "abcdef" {
			t.Errorf("in pages of %d: %s; want abcdef", size, got)
		}
	}
	t.Run("what it asks", func(t *testing.T) {
		p := &pages{keys: six[:1]}
		want := []string{`{"query":` + match + `,"size":1000,"sort":["creation"]}`,
			`{"query":{"bool":{"filter":[` + match + `],"must_not":{"ids":{"values":["a"]}}}},"size":1000,"sort":["creation"],"search_after":[0]}`}
		if got := collect(t, p, first); got != "a" || !slices.Equal(p.asked, want) {
			t.Errorf("%s by\n%q; want\n%q", got, p.asked, want)
		}
	})
	t.Run("keys come and go meanwhile", func(t *testing.T) {
		p := &pages{keys: slices.Clone(six)}
		p.before = func(page int) {
			switch page {
			case 1: // after ab: one of the page before is gone, one comes late
				p.keys = slices.DeleteFunc(p.keys, func(k latchkey.APIKey) bool { return k.ID == "b" })
				p.keys = append(p.keys, key("g", 2))
			case 2:
				p.keys = append(p.keys, key("h", 9))
			}
			slices.SortStableFunc(p.keys, func(a, b latchkey.APIKey) int { return cmp.Compare(a.Creation, b.Creation) })
		}
		if got := collect(t, p, latchkey.Query{Size: new(2)}); got != "abcdgefh" {
			t.Errorf("got %s; want abcdgefh", got)
		}
	})
	t.Run("it can be left", func(t *testing.T) {
		p := &pages{keys: six}
		for range newFake(t, p.answer).EveryAPIKey(t.Context(), latchkey.QueryAPIKeysRequest{Query: latchkey.Query{Size: new(2)}}) {
			break
		}
		if len(p.asked) != 1 {
			t.Errorf("it asked %d times", len(p.asked))
		}
	})
	t.Run("an error ends it", func(t *testing.T) {
		broken := errors.New("broken")
		seen := 0
		fails := newFake(t, func(*http.Request) (*http.Response, error) { return nil, broken }, latchkey.WithRetries(0))
		for _, err := range fails.EveryAPIKey(t.Context(), latchkey.QueryAPIKeysRequest{}) {
			if seen++; !errors.Is(err, broken) {
				t.Errorf("err = %v", err)
			}
		}
		if seen != 1 {
			t.Errorf("it came %d times", seen)
		}
	})
	t.Run("what it does not take", func(t *testing.T) {
		p := &pages{keys: six}
		for _, req := range []latchkey.QueryAPIKeysRequest{
			{Query: latchkey.Query{From: 1}}, {Query: latchkey.Query{Sort: []any{"name"}}}, {Query: latchkey.Query{SearchAfter: []any{1}}},
			{Query: latchkey.Query{Size: new(0)}}, {Aggregations: map[string]any{}},
		} {
			for _, err := range newFake(t, p.answer).EveryAPIKey(t.Context(), req) {
				if err == nil {
					t.Errorf("%+v is taken", req)
				}
			}
		}
		if len(p.asked) > 0 {
			t.Errorf("it asked %q", p.asked)
		}
	})
}
