package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"latchkey/internal/sqlstore/pgtest"
)

const queryKeys = "/_security/_query/api_key"

// searches are what is measured; a body may have one %s for the name that page 10,000 begins after.
var searches = []struct{ what, body string }{
	{"of one owner, newest first, 100", `{"query":{"term":{"username":"user-7"}},"sort":[{"creation":{"order":"desc"}}],"size":100}`},
	{"of one owner and name, 100", `{"query":{"bool":{"filter":[{"term":{"username":"user-7"}},{"prefix":{"name":"service-1"}}]}},"sort":["name"],"size":100}`},
	{"match_all", `{}`},
	{"ids", `{"query":{"ids":{"values":["query000000000000007","query000000000000008"]}}}`},
	{"term", `{"query":{"term":{"realm_name":"saml"}}}`},
	{"term, case_insensitive", `{"query":{"term":{"name":{"value":"SERVICE-77-2","case_insensitive":true}}}}`},
	{"terms", `{"query":{"terms":{"username":["user-1","user-2","user-3"]}}}`},
	{"match", `{"query":{"match":{"type":"rest"}}}`},
	{"prefix", `{"query":{"prefix":{"name":"service-12"}}}`},
	{"wildcard *-2", `{"query":{"wildcard":{"name":"*-2"}}}`},
	{"wildcard of many parts", `{"query":{"wildcard":{"name":"*e*1*-*2"}}}`},
	{"range of dates", `{"query":{"range":{"creation":{"gte":"now-90d/d","lt":"now"}}}}`},
	{"range of texts", `{"query":{"range":{"name":{"gte":"service-3","lt":"service-6"}}}}`},
	{"exists", `{"query":{"exists":{"field":"expiration"}}}`},
	{"metadata.env", `{"query":{"term":{"metadata.env":"prod"}}}`},
	{"simple_query_string", `{"query":{"simple_query_string":{"query":"prod -test service*","fields":["metadata","name"]}}}`},
	{"bool of all of them", `{"query":{"bool":{"must":[{"term":{"realm_name":"saml"}},{"exists":{"field":"expiration"}}],"must_not":{"term":{"invalidated":true}},
		"should":[{"wildcard":{"name":"*-2"}},{"term":{"metadata.env":"prod"}}],"minimum_should_match":1}}}`},
	{"all by name, 100", `{"sort":["name"],"size":100}`},
	{"all by expiry and name, 100", `{"sort":[{"expiration":{"order":"desc"}},"name"],"size":100}`},
	{"page 10,000 of that by name", `{"sort":["name"],"size":100,"search_after":["%s"]}`},
	{"terms agg of owners", `{"size":0,"aggs":{"a":{"terms":{"field":"username","size":100}}}}`},
	{"terms agg of names", `{"size":0,"aggs":{"a":{"terms":{"field":"name"}}}}`},
	{"terms agg of metadata.team", `{"size":0,"aggs":{"a":{"terms":{"field":"metadata.team"}}}}`},
	{"range agg", `{"size":0,"aggs":{"a":{"range":{"field":"creation","ranges":[{"to":1700000000000},{"from":1700000000000}]}}}}`},
	{"date_range agg", `{"size":0,"aggs":{"a":{"date_range":{"field":"creation","ranges":[{"to":"now-30d/d"},{"from":"now-30d/d"}]}}}}`},
	{"missing agg", `{"size":0,"aggs":{"a":{"missing":{"field":"expiration"}}}}`},
	{"cardinality agg of names", `{"size":0,"aggs":{"a":{"cardinality":{"field":"name"}}}}`},
	{"value_count agg", `{"size":0,"aggs":{"a":{"value_count":{"field":"expiration"}}}}`},
	{"composite agg of owners", `{"size":0,"aggs":{"a":{"composite":{"size":1000,"sources":[{"u":{"terms":{"field":"username"}}},{"r":{"terms":{"field":"realm_name"}}}]}}}}`},
	{"filter agg", `{"size":0,"aggs":{"a":{"filter":{"wildcard":{"name":"*-2"}}}}}`},
	{"filters agg", `{"size":0,"aggs":{"a":{"filters":{"other_bucket":true,"filters":{"x":{"term":{"invalidated":true}},"y":{"exists":{"field":"expiration"}}}}}}}`},
	{"owners, teams, missing expiry", `{"size":0,"aggs":{"a":{"terms":{"field":"username"},"aggs":{"b":{"terms":{"field":"metadata.team"},"aggs":{"c":{"missing":{"field":"expiration"}}}}}}}}`},
	{"realms, owners by cardinality of names", `{"size":0,"aggs":{"a":{"terms":{"field":"realm_name"},"aggs":{"b":{"terms":{"field":"username","order":{"c":"desc"}},"aggs":{"c":{"cardinality":{"field":"name"}}}}}}}}`},
}

// queries searches stores of growing size: first right after a start, when SQL
// answers, then from memory.
func queries(s *setup) error {
	for n := s.keys / 100; n <= s.keys; n *= 10 {
		if err := s.queriesAmong(n); err != nil {
			return err
		}
	}
	return nil
}

func (s *setup) queriesAmong(n int) error {
	data := filepath.Join(s.dir, fmt.Sprint("queries-", n))
	lk, _, err := startLatchkey(s.binary, data)
	if err != nil {
		return err
	}
	_, err = manyKeys(lk.addr, 1) // with a role set
	if err := errors.Join(err, lk.stop()); err != nil {
		return err
	}
	names, err := fillVaried(filepath.Join(data, "latchkey.db"), n)
	if err != nil {
		return err
	}
	if lk, _, err = startLatchkey(s.binary, data); err != nil {
		return err
	}
	defer func() { _ = errors.Join(lk.stop(), os.RemoveAll(data)) }()
	if _, err := once(lk.addr, get(authenticate, elastic)); err != nil { // the slow hash of the password is over
		return err
	}
	before, _, err := lk.resident()
	if err != nil {
		return err
	}
	first, _, err := search(lk, searches[0].body, 1)
	if err != nil {
		return err
	}
	time.Sleep(time.Duration(n/100_000+1) * time.Second) // it loads
	fmt.Printf("  %d keys; the first answer after %s\n", n, round(first))
	if err := s.searchAll(lk, names); err != nil {
		return err
	}
	after, most, err := lk.resident()
	if err != nil {
		return err
	}
	fmt.Printf("    memory %.0f MiB before, %.0f after, %.0f at most\n", before, after, most)
	return nil
}

// pgQueries does the same with a node on PostgreSQL, where SQL answers always.
func pgQueries(s *setup) error {
	db, err := startPostgres()
	if err != nil {
		return err
	}
	defer db.Stop()
	for n := s.keys / 100; n <= s.keys; n *= 10 {
		if err := s.pgQueriesAmong(db, n); err != nil {
			return err
		}
	}
	return nil
}

func (s *setup) pgQueriesAmong(db *pgtest.Server, n int) error {
	name := fmt.Sprint("queries_", n)
	store, err := s.newStore(db, name)
	if err != nil {
		return err
	}
	lk, _, err := startLatchkey(s.binary, filepath.Join(s.dir, name), "latchkey.store.url="+store)
	if err != nil {
		return err
	}
	defer func() { _ = lk.stop() }()
	if _, err := manyKeys(lk.addr, 1); err != nil { // with a role set
		return err
	}
	var names []string
	err = copyRows(store, func(c *pgx.Conn) (err error) {
		names, err = copyVaried(c, n)
		return err
	})
	if err != nil {
		return err
	}
	fmt.Printf("  %d keys\n", n)
	return s.searchAll(lk, names)
}

// searchAll prints how long each search takes in a store whose keys have the given
// names, in order.
func (s *setup) searchAll(lk *server, names []string) error {
	for _, q := range searches {
		body := q.body
		if strings.Contains(body, "%s") {
			body = fmt.Sprintf(body, names[max(0, len(names)-100)-1])
		}
		took, total, err := search(lk, body, 2*s.rounds+1)
		if err != nil {
			return fmt.Errorf("%s: %w", q.what, err)
		}
		fmt.Printf("    %-40s %9s  of %d\n", q.what, round(took), total)
	}
	return nil
}

// search asks several times, unless that takes seconds, and returns the median time and the total.
func search(lk *server, body string, times int) (time.Duration, int, error) {
	c, err := dial(lk.addr)
	if err != nil {
		return 0, 0, err
	}
	defer c.conn.Close()
	var found struct{ Total int }
	var took []float64
	for began := time.Now(); len(took) < times && (len(took) == 0 || time.Since(began) < time.Second); {
		t := time.Now()
		text, err := c.do(call("POST", queryKeys, elastic, body))
		if err != nil {
			return 0, 0, err
		}
		took = append(took, float64(time.Since(t)))
		if err := json.Unmarshal(text, &found); err != nil {
			return 0, 0, err
		}
	}
	return time.Duration(median(took)), found.Total, nil
}

// fillVaried adds n keys that differ to the store of a stopped node, and returns
// their names in order.
func fillVaried(path string, n int) ([]string, error) {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)&_pragma=cache_size(-64000)")
	if err != nil {
		return nil, err
	}
	defer db.Close()
	var digest []byte
	if err := db.QueryRow(`SELECT digest FROM role_sets LIMIT 1`).Scan(&digest); err != nil {
		return nil, err
	}
	tx, err := db.Begin()
	if err != nil {
		return nil, err
	}
	names, err := insertVaried(tx, n, digest)
	if err != nil {
		return nil, errors.Join(err, tx.Rollback())
	}
	slices.Sort(names)
	return names, tx.Commit()
}

func insertVaried(tx *sql.Tx, n int, digest []byte) ([]string, error) {
	insert, err := tx.Prepare(`
		INSERT INTO api_keys (id, name, type, username, realm, hash, created_at, expires_at, roles, limited_by, metadata, realm_type, owner_metadata)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'native', '{}')`)
	if err != nil {
		return nil, err
	}
	invalidate, err := tx.Prepare(`INSERT INTO invalidated_keys (key_id, invalidated_at) VALUES (?, ?)`)
	if err != nil {
		return nil, err
	}
	names := make([]string, n)
	varied := variedKeys(n, digest)
	for i := range n {
		row, invalidated := varied(i)
		names[i] = row[1].(string)
		_, err := insert.Exec(row...)
		if err == nil && invalidated {
			_, err = invalidate.Exec(row[0], time.Now().UnixMilli()) // the purge leaves them alone
		}
		if err != nil {
			return nil, err
		}
	}
	return names, nil
}

// copyVaried is [fillVaried] for PostgreSQL.
func copyVaried(c *pgx.Conn, n int) ([]string, error) {
	ctx := context.Background()
	var digest []byte
	if err := c.QueryRow(ctx, `SELECT digest FROM role_sets LIMIT 1`).Scan(&digest); err != nil {
		return nil, err
	}
	names := make([]string, n)
	varied := variedKeys(n, digest)
	columns := []string{"id", "name", "type", "username", "realm", "hash", "created_at", "expires_at", "roles", "limited_by", "metadata", "realm_type", "owner_metadata"}
	_, err := c.CopyFrom(ctx, pgx.Identifier{"api_keys"}, columns, pgx.CopyFromSlice(n, func(i int) ([]any, error) {
		row, _ := varied(i)
		names[i] = row[1].(string)
		return append(row, "native", "{}"), nil
	}))
	if err != nil {
		return nil, err
	}
	var gone [][]any
	for i := range n {
		if row, invalidated := varied(i); invalidated {
			gone = append(gone, []any{row[0], time.Now().UnixMilli()})
		}
	}
	_, err = c.CopyFrom(ctx, pgx.Identifier{"invalidated_keys"}, []string{"key_id", "invalidated_at"}, pgx.CopyFromRows(gone))
	slices.Sort(names)
	return names, err
}

// variedKeys returns the i-th of n keys that differ: its id, its name and what else
// they do not share, and whether it is invalidated.
func variedKeys(n int, digest []byte) func(i int) (row []any, invalidated bool) {
	realms := []string{"default_native", "saml", "ldap"}
	hash := "{SSHA256}" + strings.Repeat("A", 11) + "=" + strings.Repeat("B", 43) + "="
	year := (365 * 24 * time.Hour).Milliseconds()
	start := time.Now().UnixMilli() - year
	return func(i int) ([]any, bool) {
		created := start + int64(i)*year/int64(n)
		var expires any
		if i%2 == 0 {
			expires = created + year
		}
		typ := "rest"
		if i%100 == 0 {
			typ = "cross_cluster"
		}
		metadata := fmt.Sprintf(`{"env":%q,"team":"team-%d","level":%d}`, []string{"prod", "test", "dev"}[i%3], i%97, i%7)
		return []any{fmt.Sprintf("query%015d", i), fmt.Sprintf("service-%d-%d", i, i%10), typ, fmt.Sprint("user-", i*31%5000), realms[i%3], hash,
			created, expires, digest, digest, metadata}, i%10 == 3
	}
}
