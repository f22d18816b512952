package sqlstore

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"latchkey/internal/apikey"
)

// everyReader runs f with each connection that reads.
func everyReader(t *testing.T, db *DB, f func(k conn)) {
	t.Helper()
	var all []conn
	for range db.readers.size {
		k, err := db.readers.take(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, k)
	}
	for _, k := range all {
		f(k)
		db.readers.put(k)
	}
}

// A connection that goes on with the transaction of the read before sees all of
// which anybody was told.
func TestReadersSeeEveryCommit(t *testing.T) {
	db := openTest(t)
	for i := range 20 {
		want := fmt.Sprint(i)
		if err := db.write(t.Context(), func(tx *Tx) error {
			_, err := tx.exec(`INSERT INTO meta (name, value) VALUES ('n', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value`, want)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		everyReader(t, db, func(k conn) {
			for range 2 {
				got := ""
				err := first(read(t.Context(), k, `SELECT value FROM meta WHERE name = 'n'`, point, nil, func() {})).Scan(&got)
				if err != nil || got != want {
					t.Errorf("a reader saw %q, %v; want %q", got, err, want)
				}
			}
		})
		if k, err := db.APIKeys(t.Context(), apikey.Selector{}, time.Now()); len(k) != 0 || err != nil { // a read of another kind, by one of them
			t.Errorf("keys %v, %v", k, err)
		}
	}
}

// Readers that nobody uses do not hold up what keeps the log of the file small.
func TestTheLogStaysSmallBesideReaders(t *testing.T) {
	path := filepath.Join(t.TempDir(), "latchkey.db")
	db, err := OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	everyReader(t, db, func(k conn) {
		var n int
		if err := first(read(t.Context(), k, `SELECT count(*) FROM meta`, point, nil, func() {})).Scan(&n); err != nil {
			t.Fatal(err)
		}
	})
	const mega = 1 << 20
	for i := range 64 {
		body := make([]byte, mega)
		copy(body, fmt.Sprint(i))
		set := apikey.RoleSet{Digest: sha256.Sum256(body), Body: body}
		k := apikey.Key{ID: fmt.Sprint("k", i), Type: apikey.REST, Metadata: []byte(`{}`), Owner: apikey.Owner{Metadata: []byte(`{}`)}, Roles: set.Digest}
		if err := db.InsertAPIKey(t.Context(), k, set); err != nil {
			t.Fatal(err)
		}
	}
	log, err := os.Stat(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	if log.Size() > 32*mega {
		t.Errorf("the log has %d MiB after 64 MiB were written; want about 16", log.Size()/mega)
	}
}
