package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"latchkey/internal/apikey"
	"latchkey/internal/fault"
	"latchkey/internal/query"
	"latchkey/internal/xcontent"
)

// A store may answer a first search in another way than those that follow, so
// every rule searches again and again.
var keySearchRules = []rule{
	{"a search finds the keys that match, whole", searchFinds},
	{"a search sorts, and a page begins where the one before ended", searchPages},
	{"a search sees every change that was answered before", searchSeesChanges},
	{"a search sees changes that come while others search", searchAmidChanges},
	{"nothing but the visible keys has any influence on an answer", searchVisible},
	{"a search that nobody may make is refused", searchRefused},
	{"a cancelled context ends a search", searchCancelled},
}

// often is how often a search is repeated.
const often = 5

func searchOf(t *testing.T, body string) *query.Request {
	t.Helper()
	v, err := xcontent.ParseJSON([]byte(body))
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	r, err := query.ParseWithAggregations(v, apikey.Schema, t0)
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return r
}

func search(t *testing.T, s Store, visible query.Node, body string) apikey.KeysFound {
	t.Helper()
	found, err := s.QueryAPIKeys(t.Context(), searchOf(t, body), visible)
	if err != nil {
		t.Fatalf("QueryAPIKeys(%s): %v", body, err)
	}
	return found
}

func hits(found apikey.KeysFound) []string {
	ids := []string{}
	for _, h := range found.Hits {
		ids = append(ids, h.ID)
	}
	return ids
}

func aggregated(found apikey.KeysFound) string {
	if found.Aggregations == nil {
		return ""
	}
	return string(found.Aggregations.Render(true).JSON())
}

// searchable inserts some keys that differ in all that can be searched.
func searchable(t *testing.T, s Store) map[string]apikey.Key {
	t.Helper()
	all := map[string]apikey.Key{}
	for i, id := range []string{"a", "b", "c", "d"} {
		k := key(id, []string{"ann", "bob"}[i%2], []string{"default_native", "saml"}[i/2])
		k.Name, k.CreatedAt = fmt.Sprintf("%s-%d", []string{"app", "Äpp[1]*"}[i%2], i), t0.Add(time.Duration(i)*time.Hour)
		k.Metadata = json.RawMessage(fmt.Sprintf(`{"env":%q,"level":%d,"tags":["t%d",null]}`, []string{"prod", "test"}[i/2], i, i))
		if i%2 == 0 {
			k.ExpiresAt = t0.Add(time.Duration(48-i) * time.Hour)
		}
		all[id] = k
	}
	c := all["c"]
	c.Type = apikey.CrossCluster
	all["c"] = c
	insert(t, s, all["a"], all["b"], all["c"], all["d"])
	invalidate(t, s, apikey.Selector{IDs: []string{"d"}}, t0.Add(5*time.Hour))
	note(t, s, apikey.Use{KeyID: "b", At: t0.Add(6 * time.Hour)})
	d := all["d"]
	d.InvalidatedAt = t0.Add(5 * time.Hour)
	all["d"] = d
	return all
}

func note(t *testing.T, s Store, uses ...apikey.Use) {
	t.Helper()
	if err := s.NoteAPIKeyUses(t.Context(), uses); err != nil {
		t.Fatalf("NoteAPIKeyUses: %v", err)
	}
}

func searchFinds(t *testing.T, s Store) {
	all := searchable(t, s)
	for range often {
		for _, tt := range []struct {
			query string
			want  string // ids, apart by blanks
		}{
			{`{"match_all":{}}`, "a b c d"},
			{`{"ids":{"values":["d","b","nobody"]}}`, "b d"},
			{`{"term":{"name":"app-0"}}`, "a"},
			{`{"term":{"name":"APP-0"}}`, ""},
			{`{"term":{"name":{"value":"APP-0","case_insensitive":true}}}`, "a"},
			{`{"terms":{"username":["ann","nobody"]}}`, "a c"},
			{`{"term":{"type":"cross_cluster"}}`, "c"},
			{`{"term":{"realm_name":"saml"}}`, "c d"},
			{`{"prefix":{"name":"Äpp["}}`, "b d"},
			{`{"wildcard":{"name":"*[1]\\**"}}`, "b d"},
			{`{"wildcard":{"name":"?pp-?"}}`, "a c"},
			{`{"wildcard":{"name":{"value":"äPP*3","case_insensitive":true}}}`, "d"},
			{`{"range":{"name":{"gt":"app-0","lt":"Ä"}}}`, "c"},
			{`{"range":{"creation":{"gte":"2026-01-02T04:04:05.006Z","lt":"2026-01-02T06:04:05.006Z","format":"date_time"}}}`, "b c"},
			{`{"exists":{"field":"expiration"}}`, "a c"},
			{`{"bool":{"must_not":{"range":{"expiration":{"gt":"2026-01-04T02:00:00.000Z","format":"date_time"}}}}}`, "b c d"},
			{`{"term":{"invalidated":true}}`, "d"},
			{`{"term":{"invalidated":"false"}}`, "a b c"},
			{`{"exists":{"field":"invalidation"}}`, "d"},
			{`{"range":{"last_used":{"gte":0}}}`, "b"},
			{`{"term":{"metadata.env":"prod"}}`, "a b"},
			{`{"term":{"metadata":"t2"}}`, "c"},
			{`{"range":{"metadata.level":{"gte":"1","lte":"2"}}}`, "b c"},
			{`{"simple_query_string":{"query":"prod -ann","default_operator":"and"}}`, "b"},
			{`{"bool":{"should":[{"term":{"username":"ann"}},{"term":{"realm_name":"saml"}},{"exists":{"field":"metadata.tags"}}],"minimum_should_match":3}}`, "c"},
			{`{"bool":{"should":[{"term":{"username":"ann"}},{"term":{"realm_name":"saml"}},{"exists":{"field":"expiration"}}],"minimum_should_match":2}}`, "a c"},
			{`{"bool":{"filter":[{"term":{"metadata.env":"test"}}],"must_not":[{"term":{"metadata.level":3}}]}}`, "c"},
			{`{"bool":{"should":[]}}`, "a b c d"},
		} {
			found := search(t, s, query.All{}, `{"query":`+tt.query+`}`)
			got := hits(found)
			slices.Sort(got)
			if want := strings.Fields(tt.want); !slices.Equal(got, want) || found.Total != len(want) {
				t.Errorf("%s: %d keys, %v; want %v", tt.query, found.Total, got, want)
			}
			for _, h := range found.Hits {
				if diff := cmp.Diff(all[h.ID], h.Key); diff != "" || h.Sort != nil {
					t.Errorf("%s: key %s was sorted by %v (-want +got)\n%s", tt.query, h.ID, h.Sort, diff)
				}
			}
		}
	}
}

func searchPages(t *testing.T, s Store) {
	searchable(t, s)
	for _, tt := range []struct{ sort, want string }{
		{`["name"]`, "a c b d"},
		{`[{"username":{"order":"desc"}},{"creation":{"order":"desc"}}]`, "d b c a"},
		{`[{"expiration":{"order":"asc"}},"name"]`, "c a b d"},
		{`[{"expiration":{"missing":"_first"}},"name"]`, "b d c a"},
		{`[{"expiration":{"order":"desc"}},"name"]`, "a c b d"},
		{`["invalidated",{"last_used":{"order":"desc"}},"creation"]`, "b a c d"},
		{`[{"invalidation":{"missing":0}},"_doc"]`, "a b c d"},
		{`[{"metadata.level":{"order":"desc"}}]`, "d c b a"},
		{`["type","realm_name","metadata"]`, "c a b d"},
	} {
		for size := 1; size <= 4; size++ {
			got, after := []string{}, ""
			for range often {
				body := fmt.Sprintf(`{"sort":%s,"size":%d%s}`, tt.sort, size, after)
				found := search(t, s, query.All{}, body)
				if found.Total != 4 || len(found.Hits) > size {
					t.Errorf("%s: %d keys, %v", body, found.Total, hits(found))
				}
				if len(found.Hits) == 0 {
					break
				}
				got = append(got, hits(found)...)
				last := xcontent.Value{Kind: xcontent.Array, Items: found.Hits[len(found.Hits)-1].Sort}
				after = `,"search_after":` + string(last.JSON())
			}
			if want := strings.Fields(tt.want); !slices.Equal(got, want) {
				t.Errorf("sorted by %s in pages of %d: %v; want %v", tt.sort, size, got, want)
			}
			from := search(t, s, query.All{}, fmt.Sprintf(`{"sort":%s,"from":%d,"size":2}`, tt.sort, size))
			if want := strings.Fields(tt.want)[size:min(size+2, 4)]; !slices.Equal(hits(from), want) {
				t.Errorf("sorted by %s from %d on: %v; want %v", tt.sort, size, hits(from), want)
			}
		}
	}
}

func searchSeesChanges(t *testing.T, s Store) {
	const all = `{"sort":["name"],"size":100,"aggs":{"u":{"terms":{"field":"username","order":{"_key":"asc"}},"aggs":{"m":{"missing":{"field":"expiration"}}}}}}`
	search(t, s, query.All{}, all)
	for i := range 20 {
		id := fmt.Sprintf("k%02d", i)
		wants := func(what, asked string, want int) {
			t.Helper()
			if got := search(t, s, query.IDs{id}, `{"query":`+asked+`}`).Total; got != want {
				t.Errorf("%s: %s finds %d of %s; want %d", what, asked, got, id, want)
			}
		}
		insert(t, s, key(id, "u", "r"))
		wants("inserted", `{"term":{"name":"n-`+id+`"}}`, 1)
		_, err := s.InvalidateAPIKeys(t.Context(), apikey.Selector{Name: "n-" + id}, true, t0, func([]string) {})
		if err != nil {
			t.Fatal(err)
		}
		wants("invalidated", `{"bool":{"must":[{"term":{"invalidated":true}},{"exists":{"field":"invalidation"}}]}}`, 1)
		err = s.UpdateAPIKeys(t.Context(), apikey.Selector{IDs: []string{id}}, nil, func(k *apikey.Key) bool {
			k.ExpiresAt, k.Metadata = t0.Add(time.Hour), json.RawMessage(`{"new":"`+id+`"}`)
			return true
		}, func([]string) {})
		if err != nil {
			t.Fatal(err)
		}
		wants("updated", `{"bool":{"must":[{"exists":{"field":"expiration"}},{"term":{"metadata.new":"`+id+`"}}]}}`, 1)
		note(t, s, apikey.Use{KeyID: id, At: t0.Add(2)}, apikey.Use{KeyID: "nobody", At: t0})
		wants("used", `{"range":{"last_used":{"lte":"2026-01-02T03:04:05.006Z","format":"date_time"}}}`, 1)
		if i%2 > 0 {
			continue
		}
		if _, err := s.PurgeAPIKeys(t.Context(), t0, 100); err != nil {
			t.Fatal(err)
		}
		wants("purged", `{"match_all":{}}`, 0)
	}
	// What is left was invalidated after the last purge.
	if got := hits(search(t, s, query.All{}, all)); !slices.Equal(got, []string{"k19"}) {
		t.Errorf("left are %v; want k19", got)
	}
}

func searchAmidChanges(t *testing.T, s Store) {
	const keys, writers = 60, 3
	total := func(r *query.Request) int {
		found, err := s.QueryAPIKeys(context.Background(), r, query.All{})
		if err != nil {
			t.Error(err)
		}
		return found.Total
	}
	stop := make(chan struct{})
	var searchers, wg sync.WaitGroup
	for range 2 {
		all := searchOf(t, `{"sort":["name"],"aggs":{"n":{"terms":{"field":"name","size":100}}}}`)
		searchers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					total(all)
				}
			}
		})
	}
	for w := range writers {
		wants := make([]*query.Request, keys)
		id := func(i int) string { return fmt.Sprintf("%d-%02d", w, i) }
		for i := range wants {
			wants[i] = searchOf(t, fmt.Sprintf(`{"query":{"bool":{"must":[{"ids":{"values":[%q]}},{"term":{"invalidated":%t}}]}}}`, id(i), i%3 == 0))
		}
		wg.Go(func() {
			for i, want := range wants {
				k := key(id(i), "u", "r")
				err := s.InsertAPIKey(context.Background(), k, apikey.RoleSet{Digest: k.Roles, Body: []byte(`{}`)})
				if err == nil && i%3 == 0 {
					_, err = s.InvalidateAPIKeys(context.Background(), apikey.Selector{IDs: []string{k.ID}}, false, t0, func([]string) {})
				}
				if got := total(want); got != 1 || err != nil {
					t.Errorf("%d keys are as key %s was left right before, %v; want 1", got, k.ID, err)
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	searchers.Wait()
	if got := total(searchOf(t, `{"query":{"term":{"invalidated":true}},"size":0}`)); got != writers*keys/3 {
		t.Errorf("%d keys are invalidated in the end; want %d", got, writers*keys/3)
	}
}

func searchVisible(t *testing.T, s Store) {
	searchable(t, s)
	visible := query.Bool{Must: []query.Node{
		query.Leaf{Field: query.Field{Name: "username"}, Name: "username", Test: query.OneOf{Texts: []string{"ann"}}},
		query.Leaf{Field: query.Field{Name: "realm_name"}, Name: "realm_name", Test: query.OneOf{Texts: []string{"saml"}}},
	}}
	for range often {
		for _, body := range []string{
			`{"query":{"match_all":{}}}`,
			`{"query":{"bool":{"must_not":{"term":{"username":"ann"}},"should":{"match_all":{}},"minimum_should_match":0}},"sort":["name"]}`,
			`{"query":{"ids":{"values":["a","b","d"]}}}`,
			`{"query":{"term":{"metadata.env":"prod"}}}`,
			`{"query":{"bool":{"should":[{"term":{"username":"bob"}},{"wildcard":{"name":"*"}}]}},"sort":["_doc"]}`,
		} {
			if got := hits(search(t, s, visible, body)); len(got) > 0 && !slices.Equal(got, []string{"c"}) {
				t.Errorf("%s shows %v; want c at most", body, got)
			}
		}
		found := search(t, s, visible, `{"size":0,"aggs":{
			"all":{"terms":{"field":"username"}},"others":{"filters":{"other_bucket":true,"filters":{"ann":{"term":{"username":"ann"}}}}},
			"bob":{"filter":{"term":{"username":"bob"}}},"ids":{"filter":{"ids":{"values":["a","c"]}}},"env":{"terms":{"field":"metadata.env","min_doc_count":0}},
			"without":{"missing":{"field":"expiration"}}}}`)
		const want = `{"sterms#all":{"doc_count_error_upper_bound":0,"sum_other_doc_count":0,"buckets":[{"key":"ann","doc_count":1}]},` +
			`"filters#others":{"buckets":{"ann":{"doc_count":1},"_other_":{"doc_count":0}}},"filter#bob":{"doc_count":0},"filter#ids":{"doc_count":1},` +
			`"sterms#env":{"doc_count_error_upper_bound":0,"sum_other_doc_count":0,"buckets":[{"key":"test","doc_count":1}]},"missing#without":{"doc_count":0}}`
		if got := aggregated(found); got != want || found.Total != 1 {
			t.Errorf("of %d keys: %s; want of 1 key: %s", found.Total, got, want)
		}
		nothing := search(t, s, query.None{}, `{"aggs":{"all":{"terms":{"field":"username"}}}}`)
		if nothing.Total != 0 || nothing.Hits != nil || nothing.Aggregations != nil {
			t.Errorf("nothing is visible, and this was shown: %+v", nothing)
		}
	}
}

func searchRefused(t *testing.T, s Store) {
	for range often {
		for body, want := range map[string]fault.Kind{
			`{"query":{"term":{"api_key_hash":"x"}}}`:                      fault.Argument,
			`{"sort":["doc_type"]}`:                                        fault.Argument,
			`{"size":0,"aggs":{"a":{"filter":{"term":{"doc_type":"x"}}}}}`: fault.Argument,
			`{"from":9999,"size":2}`:                                       fault.Search,
			`{"sort":["name"],"search_after":["a","b"]}`:                   fault.Argument,
			`{"query":{"fuzzy":{"name":"x"}},"aggs":{"a":{"global":{}}}}`:  fault.Argument,
			`{"query":{"range":{"creation":{"gte":"some day"}}}}`:          fault.Argument,
		} {
			if _, err := s.QueryAPIKeys(t.Context(), searchOf(t, body), query.All{}); fault.KindOf(err) != want {
				t.Errorf("%s: %v; want kind %v", body, err, want)
			}
		}
	}
}

func searchCancelled(t *testing.T, s Store) {
	searchable(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range often {
		if _, err := s.QueryAPIKeys(ctx, searchOf(t, `{}`), query.All{}); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("QueryAPIKeys with a cancelled context: %v; want it unavailable", err)
		}
		search(t, s, query.All{}, `{}`)
	}
}
