package sqlstore

import (
	"context"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"latchkey/internal/apikey"
	"latchkey/internal/fault"
	"latchkey/internal/sqlstore/pgtest"
	"latchkey/internal/storetest"
	"latchkey/internal/token"
)

func openTest(t testing.TB) *DB {
	t.Helper()
	db, err := OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "latchkey.db"))
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

// onBoth runs a test on each engine.
func onBoth(t *testing.T, test func(t *testing.T, db *DB)) {
	t.Run("SQLite", func(t *testing.T) { test(t, openTest(t)) })
	t.Run("PostgreSQL", func(t *testing.T) {
		db := openPostgresTest(t, pgtest.URL(t))
		db.tx.now = hasty()
		test(t, db)
	})
}

func TestSQLite(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Store { return openTest(t) })
	storetest.RunNodes(t, func(t *testing.T) [2]storetest.Store {
		db := openTest(t)
		return [2]storetest.Store{db, db}
	})
}

// A stranger's list of invented ids must not hold up the revocation of a leaked key.
func TestInventedIDsDoNotOccupyTheWriter(t *testing.T) { onBoth(t, inventedIDsDoNotOccupyTheWriter) }

func inventedIDsDoNotOccupyTheWriter(t *testing.T, db *DB) {
	release, busy := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := db.write(context.Background(), func(*Tx) error { close(busy); <-release; return nil }); err != nil {
			t.Error(err)
		}
	})
	<-busy
	many := make([]string, 50_000)
	for i := range many {
		many[i] = fmt.Sprint("invented", i)
	}
	got, err := db.InvalidateAPIKeys(t.Context(), apikey.Selector{IDs: many}, false, time.Now(), func([]string) {})
	if err != nil || got.IDs != nil {
		t.Errorf("InvalidateAPIKeys = %v, %v; want nothing, while the writer is busy", got, err)
	}
	close(release)
	wg.Wait()
}

// Keys are inserted without a savepoint: one whose id is taken leaves nothing
// behind and takes nobody of its transaction along.
func TestARefusedInsertAmongOthers(t *testing.T) { onBoth(t, aRefusedInsertAmongOthers) }

func aRefusedInsertAmongOthers(t *testing.T, db *DB) {
	insert := func(id, set string) error {
		body := []byte(set)
		digest := apikey.Digest(sha256.Sum256(body))
		k := apikey.Key{ID: id, Type: apikey.REST, Name: "n", CreatedAt: time.UnixMilli(1), Metadata: []byte(`{}`),
			Owner: apikey.Owner{Username: "u", Metadata: []byte(`{}`)}, Roles: digest, LimitedBy: digest}
		return db.InsertAPIKey(context.Background(), k, apikey.RoleSet{Digest: digest, Body: body})
	}
	if err := insert("taken", "first"); err != nil {
		t.Fatal(err)
	}
	release, busy := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := db.write(context.Background(), func(*Tx) error { close(busy); <-release; return nil }); err != nil {
			t.Error(err)
		}
	})
	<-busy
	ids := []string{"a", "taken", "b"}
	errs := make([]error, len(ids))
	for i, id := range ids {
		wg.Go(func() { errs[i] = insert(id, "set of "+id) })
	}
	for len(db.acts) < len(ids) { // all of them wait, so they share the next transaction
		runtime.Gosched()
	}
	close(release)
	wg.Wait()
	if errs[0] != nil || fault.KindOf(errs[1]) != fault.Conflict || errs[2] != nil {
		t.Errorf("inserting a, taken and b: %v; want only the second refused", errs)
	}
	for set, want := range map[string]bool{"first": true, "set of a": true, "set of taken": false, "set of b": true} {
		if _, err := db.RoleSet(t.Context(), sha256.Sum256([]byte(set))); (err == nil) != want {
			t.Errorf("the role set [%s]: %v; want it stored %t", set, err, want)
		}
	}
}

func TestThePurgeTakesIdentitiesThatNoTokenCarries(t *testing.T) {
	onBoth(t, thePurgeTakesIdentitiesThatNoTokenCarries)
}

func thePurgeTakesIdentitiesThatNoTokenCarries(t *testing.T, db *DB) {
	for i, who := range []string{"old", "young", "old"} {
		r := token.Record{CreatedAt: time.UnixMilli(1), Access: token.Hash{byte(i)}, Identity: token.Snapshot{Digest: sha256.Sum256([]byte(who)), Body: []byte(who)}}
		if who == "young" {
			r.CreatedAt = time.UnixMilli(2)
		}
		if err := db.InsertToken(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.PurgeTokens(t.Context(), time.UnixMilli(1), 10); err != nil {
		t.Fatal(err)
	}
	rows, err := db.query(t.Context(), `SELECT body FROM token_identities`)
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	if err := scanTexts(rows, &left); err != nil || !slices.Equal(left, []string{"young"}) {
		t.Errorf("the identities are %q, %v; want [young]", left, err)
	}
}

// Whoever shows a used refresh token again and again must not have the writer
// follow the whole of its family each time.
func TestAFamilyIsEndedOnce(t *testing.T) { onBoth(t, aFamilyIsEndedOnce) }

func aFamilyIsEndedOnce(t *testing.T, db *DB) {
	now := time.Now()
	link := func(i int) token.Record {
		return token.Record{CreatedAt: now, ExpiresAt: now, Access: sha256.Sum256(fmt.Append(nil, "access", i)), Refresh: sha256.Sum256(fmt.Append(nil, "refresh", i)),
			Username: "u", Realm: "r", Identity: token.Snapshot{Digest: sha256.Sum256([]byte("{}")), Body: []byte("{}")}}
	}
	if err := db.InsertToken(t.Context(), link(0)); err != nil {
		t.Fatal(err)
	}
	act := func(i int, u token.Use) (told int) {
		t.Helper()
		_, err := db.UseRefreshToken(t.Context(), link(i).Refresh, func(token.Record) token.Use { return u }, func(hashes []token.Hash) { told = len(hashes) })
		if err != nil {
			t.Fatal(err)
		}
		return told
	}
	for i := range 3 {
		next := link(i + 1)
		act(i, token.Use{At: now, Next: &next, Sealed: []byte("sealed")})
	}
	for _, want := range []int{3, 0} {
		if told := act(0, token.Use{At: now, EndFamily: true}); told != want {
			t.Errorf("%d descendants were switched off; want %d", told, want)
		}
	}
	var linked int
	refresh := link(0).Refresh
	if err := db.row(t.Context(), `SELECT count(successor) FROM tokens WHERE refresh_hash = $1`, refresh[:]).Scan(&linked); err != nil || linked != 0 {
		t.Errorf("the way to the descendants is still there: %d, %v", linked, err)
	}
}
