package sqlstore

import (
	"context"
	"encoding/json"
	flags "flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"latchkey/internal/apikey"
	"latchkey/internal/fault"
	"latchkey/internal/query"
	"latchkey/internal/query/querytest"
	"latchkey/internal/xcontent"
)

// searchesPerStore is how many searches are tried on one set of keys.
const searchesPerStore = 40

// SQL, the copy in memory after any changes, and one that is read afresh give the
// same answer to any search. LATCHKEY_QUERY_CASES says how many searches are tried.
func TestSearchesAgree(t *testing.T) { onBoth(t, searchesAgree) }

func searchesAgree(t *testing.T, db *DB) {
	if err := flags.Set("rapid.seed", "0"); err != nil { // another one in every run
		t.Fatal(err)
	}
	cases := 1000
	if n, err := strconv.Atoi(os.Getenv("LATCHKEY_QUERY_CASES")); err == nil {
		cases = n
	}
	if err := flags.Set("rapid.checks", strconv.Itoa(max(1, cases/searchesPerStore))); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) { agreement(rt, db, searchesPerStore) })
}

// agreement tries some searches on keys that are made up and changed.
func agreement(rt *rapid.T, db *DB, searches int) {
	p := property{rt, db}
	p.empty()
	p.change("before", 20)
	if !db.others { // else it keeps none
		waitForCopy(rt, db)
	}
	p.change("after", 20)
	db.groups = rapid.Bool().Draw(rt, "groups")
	afresh, err := db.loadKeys(context.Background())
	if err != nil {
		rt.Fatal(err)
	}
	asked := rapid.SampledFrom([]query.Schema{apikey.Schema, spoken, {{Name: "name"}, {Name: "expiration", Type: query.Date}}}).Draw(rt, "schema")
	for range searches {
		p.compare(querytest.Body(asked, querytest.Options{Aggregations: true}).Draw(rt, "body"), afresh)
	}
}

// The same for the seeds in testdata, of which every one goes a way of its own
// through the evaluator and the compilation to SQL.
func FuzzSearchesAgree(f *testing.F) {
	db := openTest(f)
	f.Fuzz(func(t *testing.T, seed uint64) {
		for name, value := range map[string]string{"rapid.checks": "1", "rapid.seed": strconv.FormatUint(max(seed, 1), 10)} {
			if err := flags.Set(name, value); err != nil {
				t.Fatal(err)
			}
		}
		rapid.Check(t, func(rt *rapid.T) { agreement(rt, db, searchesPerStore/10) })
	})
}

// Whatever the language allows, however wide and deep, engines bear as well.
func TestSQLBearsTheGreatestSearches(t *testing.T) { onBoth(t, sqlBearsTheGreatestSearches) }

func sqlBearsTheGreatestSearches(t *testing.T, db *DB) {
	for _, id := range []string{"id1", "id2"} {
		k := apikey.Key{ID: id, Name: "n-" + id, Metadata: json.RawMessage(`{}`), Owner: apikey.Owner{Metadata: json.RawMessage(`{}`)}}
		if err := db.InsertAPIKey(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
	afresh, err := db.loadKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	list := func(n int, one string) string { // with a number in place of each #
		all := make([]string, n)
		for i := range all {
			all[i] = strings.ReplaceAll(one, "#", strconv.Itoa(i))
		}
		return strings.Join(all, ",")
	}
	for what, body := range map[string]string{
		"clauses": `{"query":{"bool":{"must":[` + list(300, `{"range":{"name":{"gte":"#"}}}`) + `],"must_not":[` + list(300, `{"term":{"name":"x#"}}`) +
			`],"should":[` + list(400, `{"prefix":{"name":"n-"}}`) + `],"minimum_should_match":400}}}`,
		"depth":    `{"query":` + strings.Repeat(`{"bool":{"must_not":`, 30) + `{"term":{"name":"n-id1"}}` + strings.Repeat(`}}`, 30) + `}`,
		"terms":    `{"query":{"terms":{"name":[` + list(30_000, `"x#"`) + `,"n-id1"]}}}`,
		"many ids": `{"query":{"ids":{"values":[` + list(30_000, `"x#"`) + `,"id1"]}}}`,
		"dates":    `{"query":{"terms":{"creation":[` + list(1000, `1#0`) + `]}}}`,
		"pattern":  `{"query":{"wildcard":{"name":"` + strings.Repeat("*?", 400) + `*"}}}`,
		"sort":     `{"sort":[` + list(100, `{"expiration":{"order":"desc"}}`) + `,"name"],"search_after":[` + list(100, `null`) + `,"n-id1"]}`,
	} {
		sameBySQL(t, db, what, body, afresh)
	}
}

// sameBySQL has SQL and a table answer one search.
func sameBySQL(t *testing.T, db *DB, what, body string, afresh *query.Table) {
	t.Helper()
	r := request(t, body)
	want, errWant := afresh.Search(t.Context(), r, query.All{})
	var got query.Result
	err := db.snapshot(t.Context(), func(v view) (err error) {
		got, err = db.searchKeys(v, r, query.All{})
		return err
	})
	if got, want := shown(got, err), shown(want, errWant); got != want {
		t.Errorf("%s: by SQL:\n%s\nof a table:\n%s", what, got, want)
	}
}

// Some characters mean something to an engine, and others are not kept as they are.
func TestSearchesForAnyTextAgree(t *testing.T) { onBoth(t, searchesForAnyTextAgree) }

func searchesForAnyTextAgree(t *testing.T, db *DB) {
	texts := []string{"a", "ab", "a\x00", "a\x00b", "a\x01", "a\x01b", "a\x02b", "\x00", "\x01", "\x01\x01", "a%b", "a_b", `a\b`, `a\`, `\`, "a*b", "a?b", "a[b", "[ab]", "a'b", "äb", "a\U0010FFFFb"}
	for i, name := range texts {
		k := apikey.Key{ID: fmt.Sprint("id", i), Name: name, Metadata: json.RawMessage(`{}`), Owner: apikey.Owner{Metadata: json.RawMessage(`{}`)}}
		if err := db.InsertAPIKey(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
	afresh, err := db.loadKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range append(texts, "a?b", "*b", `a\?b`, `a\*b`, `a\\b`, `*\\`, "??", "*\x00*") {
		quoted, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, body := range []string{
			`{"query":{"term":{"name":#}}}`, `{"query":{"prefix":{"name":#}}}`, `{"query":{"wildcard":{"name":#}}}`,
			`{"query":{"bool":{"must_not":{"wildcard":{"name":#}}}}}`, `{"query":{"range":{"name":{"gt":#}}}}`, `{"query":{"range":{"name":{"lte":#}}}}`,
			`{"sort":["name"],"search_after":[#]}`, `{"sort":[{"name":{"order":"desc"}}],"search_after":[#]}`,
			`{"query":{"prefix":{"name":#}},"aggs":{"names":{"terms":{"field":"name"}}}}`,
		} {
			body = strings.ReplaceAll(body, "#", string(quoted))
			sameBySQL(t, db, body, body, afresh)
		}
	}
}

// All reads of a search see one state, and one that is given up leaves its connection to others.
func TestASnapshotIsOneState(t *testing.T) { onBoth(t, aSnapshotIsOneState) }

func aSnapshotIsOneState(t *testing.T, db *DB) {
	count := func(v view) (n int, err error) {
		err = v.first(`SELECT count(*) FROM api_keys`, nil).Scan(&n)
		return n, err
	}
	for round := range db.readers.size + 1 {
		ctx, giveUp := context.WithCancel(t.Context())
		defer giveUp()
		err := db.snapshot(ctx, func(v view) error {
			before, err := count(v)
			if err != nil {
				return err
			}
			k := apikey.Key{ID: fmt.Sprint("id", round), Metadata: json.RawMessage(`{}`), Owner: apikey.Owner{Metadata: json.RawMessage(`{}`)}}
			if err := db.InsertAPIKey(t.Context(), k); err != nil {
				return err
			}
			if after, err := count(v); err != nil || before != round || after != round {
				t.Errorf("round %d: %d keys, and %d after an insert, %v", round, before, after, err)
			}
			giveUp()
			_, err = count(v)
			return err
		})
		if fault.KindOf(err) != fault.Unavailable {
			t.Errorf("round %d: a search that was given up: %v, want Unavailable", round, err)
		}
	}
}

// spoken are fields of which SQL says what searches mean.
var spoken = query.Schema{{Name: "name"}, {Name: "username"}, {Name: "last_used", Type: query.Date}, {Name: "invalidated", Type: query.Boolean}}

type property struct {
	*rapid.T
	db *DB
}

// empty leaves nothing of the case before.
func (p property) empty() {
	err := p.db.write(context.Background(), func(tx *Tx) error {
		for _, table := range []string{"api_keys", "invalidated_keys", "api_key_uses"} {
			if _, err := tx.execOnce(`DELETE FROM ` + table); err != nil {
				return err
			}
		}
		tx.committed(tx.keys.doubt)
		return nil
	})
	if err != nil {
		p.Fatal(err)
	}
}

// waitForCopy returns once there is a copy in memory.
func waitForCopy(t rapid.TB, db *DB) {
	t.Helper()
	for {
		_, ok, err := db.keys.search(context.Background(), request(t, `{}`), query.All{}, db.loadKeys)
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			return
		}
		runtime.Gosched()
	}
}

func request(t rapid.TB, body string) *query.Request {
	t.Helper()
	v, err := xcontent.ParseJSON([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	r, err := query.ParseWithAggregations(v, apikey.Schema, time.UnixMilli(1_700_000_000_500))
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return r
}

// words are texts that an engine may get wrong.
var words = append([]string{"a\x00b", "\x00", "a\x01", `a\b`, "ab\U0010FFFF", "ab\uFFFD", "[a]*"}, querytest.Words...)

func (p property) word(what string) string { return rapid.SampledFrom(words).Draw(p.T, what) }

func (p property) time(what string) time.Time {
	return time.UnixMilli(rapid.SampledFrom(querytest.Times).Draw(p.T, what)).UTC()
}

func (p property) maybe(what string) time.Time {
	if rapid.Bool().Draw(p.T, "with "+what) {
		return p.time(what)
	}
	return time.Time{}
}

// change makes up to most changes to the store.
func (p property) change(when string, most int) {
	ctx := context.Background()
	for range rapid.IntRange(most/4, most).Draw(p.T, "changes "+when) {
		id := fmt.Sprint("id", rapid.IntRange(0, 15).Draw(p.T, "key"))
		var err error
		switch rapid.SampledFrom([]string{"insert", "insert", "insert", "invalidate", "invalidate some", "update", "use", "purge"}).Draw(p.T, "change") {
		case "insert":
			err = p.db.InsertAPIKey(ctx, apikey.Key{
				ID: id, Type: apikey.Type(p.word("type")), Name: p.word("name"),
				Owner:     apikey.Owner{Username: p.word("username"), Realm: p.word("realm"), Metadata: json.RawMessage(`{}`)},
				CreatedAt: p.time("creation"), ExpiresAt: p.maybe("expiration"), InvalidatedAt: p.maybe("invalidation"),
				Metadata: json.RawMessage(querytest.Object().Draw(p.T, "metadata")),
			})
			if fault.KindOf(err) == fault.Conflict { // it is there already
				err = nil
			}
		case "invalidate":
			_, err = p.db.InvalidateAPIKeys(ctx, apikey.Selector{IDs: []string{id, "nobody"}}, false, p.time("invalidation"), func([]string) {})
		case "invalidate some":
			_, err = p.db.InvalidateAPIKeys(ctx, apikey.Selector{Username: p.word("owner")}, true, p.time("invalidation"), func([]string) {})
		case "update":
			expires, metadata := p.maybe("expiration"), querytest.Object().Draw(p.T, "metadata")
			err = p.db.UpdateAPIKeys(ctx, apikey.Selector{IDs: []string{id}}, nil, func(k *apikey.Key) bool {
				k.ExpiresAt, k.Metadata = expires, json.RawMessage(metadata)
				return true
			}, func([]string) {})
		case "use":
			err = p.db.NoteAPIKeyUses(ctx, []apikey.Use{{KeyID: id, At: p.time("use")}, {KeyID: "nobody", At: p.time("use")}})
		case "purge":
			_, err = p.db.PurgeAPIKeys(ctx, p.time("retention"), 3)
		}
		if err != nil {
			p.Fatal(err)
		}
	}
}

// compare has everybody answer one search.
func (p property) compare(body string, afresh *query.Table) {
	ctx := context.Background()
	r := request(p.T, body)
	visible := query.Node(query.All{})
	if rapid.IntRange(0, 3).Draw(p.T, "narrowed") == 0 {
		visible = query.Leaf{Field: query.Field{Name: "username"}, Name: "username", Test: query.OneOf{Texts: []string{p.word("visible")}}}
	}
	var bySQL query.Result
	errSQL := p.db.snapshot(ctx, func(v view) (err error) {
		bySQL, err = p.db.searchKeys(v, r, visible)
		return err
	})
	byTable, errTable := afresh.Search(ctx, r, visible)
	want := shown(byTable, errTable)
	if got := shown(bySQL, errSQL); got != want {
		p.Fatalf("%s\nby SQL:\n%s\nof a table:\n%s", body, got, want)
	}
	if !p.db.others {
		byCopy, ok, errCopy := p.db.keys.search(ctx, r, visible, p.db.loadKeys)
		if !ok {
			p.Fatal("the copy is gone")
		}
		if got := shown(byCopy, errCopy); got != want {
			p.Fatalf("%s\nof the copy:\n%s\nof a table:\n%s", body, got, want)
		}
	}
	found, err := p.db.QueryAPIKeys(ctx, r, visible)
	if shown(query.Result{Total: found.Total, Aggregations: found.Aggregations, Hits: hitsOf(found)}, err) != want {
		p.Fatalf("%s\nof the store:\n%+v, %v\nof a table:\n%s", body, found, err, want)
	}
}

func hitsOf(found apikey.KeysFound) []query.RowHit {
	var hits []query.RowHit
	for _, h := range found.Hits {
		hits = append(hits, query.RowHit{ID: h.ID, Sort: h.Sort})
	}
	return hits
}

// shown is all that an answer says.
func shown(r query.Result, err error) string {
	if err != nil {
		return "error: " + err.Error()
	}
	text := fmt.Sprintln(r.Total)
	for _, h := range r.Hits {
		text += h.ID + " " + string(xcontent.Value{Kind: xcontent.Array, Items: h.Sort}.JSON()) + "\n"
	}
	if r.Aggregations != nil {
		text += string(r.Aggregations.Render(true).JSON())
	}
	return text
}
