package apikey_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"latchkey/internal/access"
	"latchkey/internal/apikey"
	"latchkey/internal/fault"
	"latchkey/internal/query"
	"latchkey/internal/query/querytest"
	"latchkey/internal/sqlstore"
	"latchkey/internal/xcontent"
)

// born is when the first of the keys of these tests was made.
var born = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// keep stores a key with these values. Its times depend on its id.
func keep(t testing.TB, db *sqlstore.DB, id, name, username, realm, metadata string) {
	t.Helper()
	none := access.Descriptors{}.RoleSet()
	at := born.Add(time.Duration(id[len(id)-1]) * time.Hour)
	k := apikey.Key{ID: id, Type: apikey.REST, Name: name, Hash: "h", CreatedAt: at, ExpiresAt: at.Add(time.Hour), Metadata: []byte(metadata),
		Owner: apikey.Owner{Username: username, Realm: realm, RealmType: "native", Metadata: []byte(`{}`)}, Roles: none.Digest, LimitedBy: none.Digest}
	if err := db.InsertAPIKey(t.Context(), k, none); err != nil {
		t.Fatal(err)
	}
}

// tester is a [testing.T] or a [rapid.T].
type tester interface {
	Helper()
	Fatalf(format string, args ...any)
	Context() context.Context
}

// search is what Query answers to a body, as a text: its refusal, or all of its answer.
func search(t tester, s *apikey.Service, by *access.Caller, body string) string {
	t.Helper()
	v, err := xcontent.ParseJSON([]byte(body))
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	r, err := query.ParseWithAggregations(v, apikey.Schema, born)
	if err != nil {
		return "refused: " + err.Error()
	}
	found, err := s.Query(t.Context(), by, apikey.QueryRequest{Search: r})
	if err != nil {
		return "refused: " + err.Error()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d:", found.Total)
	for i, k := range found.Keys {
		fmt.Fprintf(&b, " %s", k.ID)
		for j, v := range found.Sort[i] {
			if r.Sort()[j].Name == query.DocOrder {
				continue // it numbers the keys that there are, as elsewhere
			}
			fmt.Fprintf(&b, "/%s", v.JSON())
		}
	}
	if found.Aggregations != nil {
		fmt.Fprintf(&b, " %s", found.Aggregations.Render(true).JSON())
	}
	return b.String()
}

// attacks are searches that try to learn of keys that the caller does not see:
// f1 and f2, which are called hidden-*, belong to v, or to u of another realm, and
// have the metadata {"secret":...}.
var attacks = []string{
	`{}`,
	`{"query":{"match_all":{}},"size":1}`,
	`{"query":{"ids":{"values":["f1","f2","o1"]}}}`,
	`{"query":{"ids":{"values":["f1"]}}}`,
	`{"query":{"term":{"username":"v"}}}`,
	`{"query":{"term":{"realm_name":"other"}}}`,
	`{"query":{"term":{"name":"hidden-1"}}}`,
	`{"query":{"term":{"metadata.secret":"s1"}}}`,
	`{"query":{"term":{"metadata":{"value":"S1","case_insensitive":true}}}}`,
	`{"query":{"terms":{"username":["u","v"]}}}`,
	`{"query":{"terms":{"creation":["2026-01-04T04:04:05Z"]}}}`,
	`{"query":{"match":{"name":"hidden-1"}}}`,
	`{"query":{"prefix":{"name":"hid"}}}`,
	`{"query":{"prefix":{"name":{"value":"HID","case_insensitive":true}}}}`,
	`{"query":{"wildcard":{"name":"*"}}}`,
	`{"query":{"wildcard":{"username":{"value":"?"}}}}`,
	`{"query":{"wildcard":{"metadata":{"value":"S*","case_insensitive":true}}}}`,
	`{"query":{"range":{"creation":{"gte":0}}}}`,
	`{"query":{"range":{"name":{"gte":"h","lt":"i"}}}}`,
	`{"query":{"range":{"metadata.secret":{"gte":"a"}}}}`,
	`{"query":{"exists":{"field":"metadata.secret"}}}`,
	`{"query":{"simple_query_string":{"query":"hidden-1 s1 v other"}}}`,
	`{"query":{"simple_query_string":{"query":"hidden* | -nothing","fields":["*"]}}}`,
	`{"query":{"bool":{}}}`,
	`{"query":{"bool":{"must_not":{"term":{"username":"u"}}}}}`,
	`{"query":{"bool":{"must_not":{"ids":{"values":["o1","o2","k"]}}}}}`,
	`{"query":{"bool":{"must_not":{"bool":{"must_not":{"match_all":{}}}}}}}`,
	`{"query":{"bool":{"should":[{"match_all":{}},{"term":{"username":"v"}}]}}}`,
	`{"query":{"bool":{"should":[{"term":{"username":"v"}},{"term":{"realm_name":"other"}}],"minimum_should_match":0}}}`,
	`{"query":{"bool":{"should":[{"term":{"username":"v"}},{"term":{"realm_name":"other"}}],"minimum_should_match":-5,"filter":{"match_all":{}}}}}`,
	`{"query":{"bool":{"filter":[{"term":{"username":"v"}},{"term":{"realm_name":"default_native"}}]}}}`,
	`{"sort":["name"]}`,
	`{"sort":[{"name":"desc"}]}`,
	`{"sort":[{"username":{"order":"desc"}},{"name":{"order":"desc"}}]}`,
	`{"sort":["name"],"search_after":["hidden-0"]}`,
	`{"sort":["name"],"search_after":["hidden-1"]}`,
	`{"sort":[{"creation":{"order":"desc","format":"date_time"}}],"size":1}`,
	`{"sort":[{"metadata.secret":{"missing":"s1"}}]}`,
	`{"sort":[{"metadata.secret":{"missing":"_first"}}]}`,
	`{"sort":["_doc"]}`,
	`{"from":1,"size":10}`,
	`{"aggs":{"x":{"terms":{"field":"username"}}}}`,
	`{"aggs":{"x":{"terms":{"field":"username","min_doc_count":0}}}}`,
	`{"aggs":{"x":{"terms":{"field":"name","include":"hidden.*","min_doc_count":0}}}}`,
	`{"aggs":{"x":{"terms":{"field":"metadata.secret","missing":"none"}}}}`,
	`{"aggs":{"x":{"terms":{"field":"metadata","size":1}}}}`,
	`{"aggs":{"x":{"terms":{"field":"creation","size":1,"order":{"_key":"desc"}}}}}`,
	`{"aggs":{"x":{"terms":{"field":"invalidated","min_doc_count":0}}}}`,
	`{"aggs":{"x":{"range":{"field":"creation","ranges":[{"from":0},{"to":0}]}}}}`,
	`{"aggs":{"x":{"date_range":{"field":"creation","ranges":[{"from":"now-10y"},{"to":"now-10y"}]}}}}`,
	`{"aggs":{"x":{"missing":{"field":"invalidation"}}}}`,
	`{"aggs":{"x":{"missing":{"field":"metadata.own"}}}}`,
	`{"aggs":{"x":{"cardinality":{"field":"username"}}}}`,
	`{"aggs":{"x":{"cardinality":{"field":"metadata"}}}}`,
	`{"aggs":{"x":{"value_count":{"field":"name"}}}}`,
	`{"aggs":{"x":{"value_count":{"field":"metadata.secret"}}}}`,
	`{"aggs":{"x":{"composite":{"sources":[{"a":{"terms":{"field":"username"}}},{"b":{"terms":{"field":"name"}}}]}}}}`,
	`{"aggs":{"x":{"composite":{"size":1,"sources":[{"b":{"terms":{"field":"name"}}}],"after":{"b":"hidden-0"}}}}}`,
	`{"aggs":{"x":{"composite":{"sources":[{"b":{"terms":{"field":"metadata.secret","missing_bucket":true}}}]}}}}`,
	`{"aggs":{"x":{"filter":{"term":{"username":"v"}}}}}`,
	`{"aggs":{"x":{"filter":{"bool":{"must_not":{"term":{"username":"u"}}}},"aggs":{"y":{"terms":{"field":"name"}}}}}}`,
	`{"aggs":{"x":{"filter":{"ids":{"values":["f1","f2"]}}}}}`,
	`{"aggs":{"x":{"filters":{"filters":{"a":{"term":{"username":"v"}},"b":{"match_all":{}}}}}}}`,
	`{"aggs":{"x":{"filters":{"other_bucket":true,"filters":[{"term":{"username":"u"}}]}}}}`,
	`{"aggs":{"x":{"filters":{"other_bucket_key":"rest","filters":{"mine":{"term":{"username":"u"}}}},"aggs":{"y":{"terms":{"field":"metadata"}}}}}}`,
	`{"aggs":{"x":{"terms":{"field":"realm_name"},"aggs":{"y":{"missing":{"field":"metadata.own"},"aggs":{"z":{"value_count":{"field":"name"}}}}}}}}`,
	`{"aggs":{"x":{"global":{}}}}`,
	`{"aggs":{"x":{"filter":{"match_all":{}},"aggs":{"y":{"global":{}}}}}}`,
	`{"size":0,"query":{"match_all":{}},"aggs":{"x":{"terms":{"field":"username"},"aggs":{"y":{"cardinality":{"field":"name"}}}}}}`,
}

// Whatever a caller asks, the answer is the one that would be given if there were
// no other keys than those that the caller sees.
func TestNoSearchTellsOfOtherKeys(t *testing.T) {
	const native = "default_native"
	fill := func(all bool, mine ...string) *apikey.Service {
		db := openStore(t)
		foreign := func(id, name, username, realm string) {
			if all {
				keep(t, db, id, name, username, realm, `{"secret":"s`+id[1:]+`"}`)
			}
		}
		foreign("f1", "hidden-1", "v", native)
		for _, id := range mine {
			keep(t, db, id, "own-"+id, "u", native, `{"own":"`+id+`"}`)
		}
		foreign("f2", "hidden-2", "u", "other")
		foreign("f3", "hidden-3", "U", native)
		foreign("f4", "hidden-4", "_es_api_key", "_es_api_key")
		return newService(db)
	}
	ofUser, ofKey := []string{"o1", "o2", "k"}, []string{"k"}
	alone := map[string]*apikey.Service{"u": fill(false, ofUser...), "k": fill(false, ofKey...)}
	everything := fill(true, ofUser...)
	u := caller(t, "u", "manage_own_api_key")
	k := caller(t, "u", "manage_own_api_key")
	k.APIKey = &access.APIKey{ID: "k", Name: "own-k"}
	for name, by := range map[string]*access.Caller{"u": u, "k": k} {
		for round := range 2 { // a store may answer otherwise once it knows what is asked
			for _, body := range attacks {
				want := search(t, alone[name], by, body)
				if got := search(t, everything, by, body); got != want {
					t.Errorf("round %d, %s asks %s\n got %s\nwant %s", round, name, body, got, want)
				}
			}
		}
	}
	if got := search(t, everything, caller(t, "r", "read_security"), `{"size":0}`); got != "7:" {
		t.Errorf("whoever may see all finds %s; want 7", got)
	}
}

// The same of searches and keys that nobody has thought of: own are those of the
// user a in the realm b, and in the second store there are no others.
func TestNoSearchOfAnyKindTellsOfOtherKeys(t *testing.T) {
	shared, alone := openStore(t), openStore(t)
	docs := querytest.Documents(apikey.Schema, 60, 1).Example(1)
	seen := map[bool]int{}
	for i, d := range docs {
		k := madeUp(d, i)
		own := i%3 == 0
		if own {
			k.Owner.Username, k.Owner.Realm = "a", "b"
		}
		own = k.Owner.Username == "a" && k.Owner.Realm == "b"
		seen[own]++
		for _, db := range []*sqlstore.DB{shared, alone} {
			if db == alone && !own {
				continue
			}
			if err := db.InsertAPIKey(t.Context(), k, access.Descriptors{}.RoleSet()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if seen[true] < 5 || seen[false] < 10 {
		t.Fatalf("there are %d own keys, and %d of others", seen[true], seen[false])
	}
	everything, own := newService(shared), newService(alone)
	by := caller(t, "a", "manage_own_api_key")
	by.Realm.Name = "b"
	rapid.Check(t, func(t *rapid.T) {
		body := querytest.Body(apikey.Schema, querytest.Options{Aggregations: true}).Draw(t, "body")
		want := search(t, own, by, body)
		if got := search(t, everything, by, body); got != want {
			t.Fatalf("asked %s\n got %s\nwant %s", body, got, want)
		}
	})
}

// madeUp is a key of a document that was made up.
func madeUp(d querytest.Document, i int) apikey.Key {
	none := access.Descriptors{}.RoleSet()
	text := func(field string) string { return strings.Join(d.Texts[field], "") }
	at := func(field string) time.Time {
		if ms, ok := d.Numbers[field]; ok {
			return time.UnixMilli(ms)
		}
		return time.Time{}
	}
	metadata := d.Objects["metadata"]
	if metadata == "" {
		metadata = "{}"
	}
	return apikey.Key{ID: d.Name, Type: []apikey.Type{apikey.REST, apikey.CrossCluster}[i%2], Name: text("name"), Hash: "h",
		CreatedAt: born.Add(time.Duration(i/4) * time.Second), ExpiresAt: at("expiration"), InvalidatedAt: at("invalidation"), Metadata: []byte(metadata),
		Owner: apikey.Owner{Username: text("username"), Realm: text("realm_name"), Metadata: []byte(`{}`)}, Roles: none.Digest, LimitedBy: none.Digest}
}

func TestQueryIsJudgedInOrder(t *testing.T) {
	s := newService(openStore(t))
	off := newService(openStore(t), func(o *apikey.Options) { o.Enabled = false })
	mine, nobody := caller(t, "u", "manage_own_api_key"), caller(t, "x")
	key := caller(t, "u", "manage_own_api_key")
	key.APIKey = &access.APIKey{ID: "k"}
	reading := caller(t, "u", "read_security")
	reading.APIKey = &access.APIKey{ID: "k"}
	tests := []struct {
		name  string
		s     *apikey.Service
		by    *access.Caller
		body  string
		limit bool
		want  fault.Kind
		ok    bool
	}{
		{"a bad page comes before the right", s, nobody, `{"from":-1}`, false, fault.Invalid, false},
		{"no right at all", s, nobody, `{}`, false, fault.Forbidden, false},
		{"the right comes before what may not be asked", s, nobody, `{"query":{"term":{"roles":"x"}}}`, false, fault.Forbidden, false},
		{"what may not be asked", s, mine, `{"query":{"term":{"roles":"x"}}}`, false, fault.Argument, false},
		{"too deep a page", s, mine, `{"from":10000}`, false, fault.Search, false},
		{"one's own keys", s, mine, `{}`, false, 0, true},
		{"one's own keys with what limits them", s, mine, `{}`, true, 0, true},
		{"a key itself", s, key, `{}`, false, 0, true},
		{"a key with what limits it", s, key, `{}`, true, fault.Forbidden, false},
		{"a key that sees all with what limits them", s, reading, `{}`, true, 0, true},
		{"API keys are off", off, mine, `{}`, false, fault.Disabled, false},
		{"API keys are off, and no right", off, nobody, `{}`, false, fault.Forbidden, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v, err := xcontent.ParseJSON([]byte(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			r, err := query.ParseWithAggregations(v, apikey.Schema, born)
			if err != nil {
				t.Fatal(err)
			}
			_, err = tt.s.Query(t.Context(), tt.by, apikey.QueryRequest{Search: r, WithLimitedBy: tt.limit})
			if tt.ok != (err == nil) || !tt.ok && fault.KindOf(err) != tt.want {
				t.Errorf("err = %v; want ok %v, else kind %v", err, tt.ok, tt.want)
			}
		})
	}
}

// slow is a store whose searches end with their context, or after a time.
type slow struct {
	apikey.Store
	takes time.Duration
}

func (s slow) QueryAPIKeys(ctx context.Context, _ *query.Request, _ query.Node) (apikey.KeysFound, error) {
	select {
	case <-ctx.Done():
		return apikey.KeysFound{}, fmt.Errorf("search: %w", ctx.Err())
	case <-time.After(s.takes):
		return apikey.KeysFound{Total: 7}, nil
	}
}

func TestASearchThatTakesTooLong(t *testing.T) {
	for _, tt := range []struct {
		name         string
		takes, given time.Duration // by the search, by whoever asks
		total        int
		kind         fault.Kind
	}{
		{"it is in time", 9 * time.Second, time.Hour, 7, 0},
		{"it is refused", time.Hour, time.Hour, 0, fault.Search},
		{"the caller gives up first", time.Hour, time.Second, 0, fault.Internal},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, err := query.Parse(xcontent.Value{}, apikey.Schema, born)
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), tt.given)
				defer cancel()
				s := newService(slow{takes: tt.takes})
				found, err := s.Query(ctx, caller(t, "r", "read_security"), apikey.QueryRequest{Search: r})
				if found.Total != tt.total || (err == nil) != (tt.total > 0) || fault.KindOf(err) != tt.kind {
					t.Errorf("found %d, %v; want %d, kind %v", found.Total, err, tt.total, tt.kind)
				}
			})
		})
	}
}
