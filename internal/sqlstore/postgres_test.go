package sqlstore

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"latchkey/internal/apikey"
	"latchkey/internal/fault"
	"latchkey/internal/sqlstore/pgtest"
	"latchkey/internal/storetest"
	"latchkey/internal/token"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// openPostgresTest opens a store as one of the nodes of a URL.
func openPostgresTest(t testing.TB, url string) *DB {
	t.Helper()
	db, err := OpenPostgres(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// hasty is a clock by which so much time passes between two looks at it that no
// shared row is remembered, or spared by a purge.
func hasty() func() time.Time {
	var mu sync.Mutex
	now := time.UnixMilli(0)
	return func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(2 * spared)
		return now
	}
}

func TestPostgres(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Store {
		db := openPostgresTest(t, pgtest.URL(t))
		db.tx.now = hasty()
		return db
	})
}

func TestNodesOnPostgres(t *testing.T) {
	storetest.RunNodes(t, func(t *testing.T) [2]storetest.Store {
		url := pgtest.URL(t)
		return [2]storetest.Store{openPostgresTest(t, url), openPostgresTest(t, url)}
	})
}

func TestNodesThatStartAtTheSameTime(t *testing.T) {
	url := pgtest.URL(t)
	errs := make([]error, 6)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() {
			db, err := OpenPostgres(t.Context(), url)
			if err == nil {
				err = db.Close()
			}
			errs[i] = err
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}

// The nodes of a fleet are replaced one after the other: the first new one
// brings a schema on which the old ones go on.
func TestASchemaOfALaterRelease(t *testing.T) {
	for _, tt := range []struct {
		name, floor, want string
	}{
		{"that leaves room for this one", "8", ""},
		{"that does not", "9000", "its schema is version 9999, and this release knows only"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url := pgtest.URL(t)
			old := openPostgresTest(t, url)
			err := old.write(t.Context(), func(tx *Tx) error {
				return errors.Join(
					noResult(tx.execOnce(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, TRUE)`)),
					noResult(tx.execOnce(`UPDATE meta SET value = $1 WHERE name = 'schema_floor'`, tt.floor)))
			})
			if err != nil {
				t.Fatal(err)
			}
			db, err := OpenPostgres(t.Context(), url)
			if err == nil {
				err = db.Close()
			}
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// While one node purges, another makes keys with sets that it remembers, or that
// nobody carries just then.
func TestThePurgeOfOneNodeSparesWhatAnotherOneCountsOn(t *testing.T) {
	url := pgtest.URL(t)
	maker, purger := openPostgresTest(t, url), openPostgresTest(t, url)
	var mu sync.Mutex
	now := time.UnixMilli(0)
	clock := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(4 * time.Minute)
		return now
	}
	maker.tx.now, purger.tx.now = clock, clock
	done := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			if _, err := purger.PurgeAPIKeys(context.Background(), time.UnixMilli(2), 10); err != nil {
				t.Error(err)
			}
		}
	})
	for i := range 300 {
		body := fmt.Append(nil, "set ", i%3)
		set := apikey.RoleSet{Digest: sha256.Sum256(body), Body: body}
		k := apikey.Key{ID: fmt.Sprint(i), Type: apikey.REST, CreatedAt: time.UnixMilli(1), Metadata: []byte(`{}`), Owner: apikey.Owner{Metadata: []byte(`{}`)}, Roles: set.Digest}
		if err := maker.InsertAPIKey(t.Context(), k, set); err != nil {
			t.Fatal(err)
		}
		if _, err := maker.RoleSet(t.Context(), set.Digest); err != nil {
			t.Fatalf("key %d lacks what it carries: %v", i, err)
		}
		if _, err := maker.InvalidateAPIKeys(t.Context(), apikey.Selector{IDs: []string{k.ID}}, false, time.UnixMilli(2), func([]string) {}); err != nil {
			t.Fatal(err)
		}
	}
	close(done)
	all.Wait()
	for range 30 { // nobody counts on them any more
		clock()
	}
	if _, err := purger.PurgeAPIKeys(t.Context(), time.UnixMilli(2), 1000); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if _, err := maker.RoleSet(t.Context(), sha256.Sum256(fmt.Append(nil, "set ", i))); fault.KindOf(err) != fault.NotFound {
			t.Errorf("a set that nobody carries: %v; want NotFound", err)
		}
	}
}

func TestWhatCrossesANetworkInClear(t *testing.T) {
	for url, want := range map[string]bool{
		"postgres://u:p@db.example/d":                            true, // encrypted if the server likes
		"postgres://u:p@db.example/d?sslmode=disable":            true,
		"postgres://u:p@db.example/d?sslmode=require":            false,
		"postgres://u:p@10.0.0.1,10.0.0.2/d?sslmode=verify-full": false,
		"postgres://u:p@127.0.0.1,db.example/d?sslmode=prefer":   true,
		"postgres://u:p@127.0.0.1/d?sslmode=disable":             false,
		"postgres://u:p@[::1]/d?sslmode=disable":                 false,
		"postgres://u:p@localhost/d?sslmode=disable":             false,
		"postgres://u@/d?host=/run/postgresql":                   false,
		"postgres://u:p@db.example:port/d":                       false,
	} {
		if got := InClear(url); got != want {
			t.Errorf("InClear(%s) = %t, want %t", url, got, want)
		}
	}
}

// The nodes may work as a user who cannot make tables, once somebody else has.
func TestAUserWhoMayOnlyUseTheTables(t *testing.T) {
	s := ownServer(t)
	if err := MigratePostgres(t.Context(), s.URL(nil)); err != nil {
		t.Fatal(err)
	}
	s.Exec(t, `CREATE USER guest; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO guest`)
	db := openPostgresTest(t, strings.Replace(s.URL(nil), "latchkey@", "guest@", 1))
	filled(t, db, 10)
	if _, err := db.InvalidateTokens(t.Context(), token.Selector{Username: "u"}, time.UnixMilli(2), func([]token.Hash) {}); err != nil {
		t.Error(err)
	}
	if _, err := db.PurgeTokens(t.Context(), time.UnixMilli(2), 100); err != nil {
		t.Error(err)
	}
}
