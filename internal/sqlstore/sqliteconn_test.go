package sqlstore

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
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

// until calls f again and again.
func until(stop <-chan struct{}, f func()) {
	for {
		select {
		case <-stop:
			return
		default:
			f()
		}
	}
}

// looks reads a row by its key, and goes on with the transaction of that.
func looks(t *testing.T, k conn) {
	t.Helper()
	var n int
	if err := first(read(t.Context(), k, `SELECT count(*) FROM meta`, point, nil, func() {})).Scan(&n); err != nil {
		t.Fatal(err)
	}
	if !k.(*sqliteConn).open {
		t.Error("a point read has left no transaction open")
	}
}

// Nobody keeps what was before a commit: neither who is not at work then, nor who
// is and comes back, nor, for long, who was the last to read at all.
func TestReadersLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openTest(t)
		commit := func() {
			if _, err := db.InitMeta(t.Context(), fmt.Sprint(time.Now()), "x"); err != nil {
				t.Fatal(err)
			}
		}
		rested := func(when string) {
			t.Helper()
			everyReader(t, db, func(k conn) {
				if k.(*sqliteConn).open {
					t.Errorf("%s a reader holds on to what it has seen", when)
				}
			})
		}
		everyReader(t, db, func(k conn) { looks(t, k) })
		commit()
		rested("after a commit")

		k, err := db.readers.take(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		looks(t, k)
		commit()
		db.readers.put(k)
		rested("after a commit in its absence")

		everyReader(t, db, func(k conn) { looks(t, k) })
		time.Sleep(readersRest + time.Second)
		synctest.Wait()
		rested("long after the last read")
	})
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

// Readers do not hold up what keeps the log of the file small, neither those that
// nobody uses nor those that are busy between the commits and meanwhile.
func TestTheLogStaysSmallBesideReaders(t *testing.T) {
	const mega = 1 << 20
	for name, between := range map[string]func(db *DB, readers *sync.WaitGroup, stop <-chan struct{}) (perWrite func()){
		"at first": func(*DB, *sync.WaitGroup, <-chan struct{}) func() { return func() {} },
		"between writes": func(db *DB, _ *sync.WaitGroup, _ <-chan struct{}) func() {
			return func() { _, _ = db.Meta(t.Context(), "unknown") }
		},
		"all the time": func(db *DB, readers *sync.WaitGroup, stop <-chan struct{}) func() {
			for range 3 {
				readers.Go(func() { until(stop, func() { _, _ = db.Meta(context.Background(), "unknown") }) })
			}
			return func() {}
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "latchkey.db")
			db, err := OpenSQLite(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			everyReader(t, db, func(k conn) { looks(t, k) })
			stop := make(chan struct{})
			var readers sync.WaitGroup
			perWrite := between(db, &readers, stop)
			for i := range 80 {
				body := make([]byte, mega)
				copy(body, fmt.Sprint(i))
				set := apikey.RoleSet{Digest: sha256.Sum256(body), Body: body}
				k := apikey.Key{ID: fmt.Sprint("k", i), Type: apikey.REST, Metadata: []byte(`{}`), Owner: apikey.Owner{Metadata: []byte(`{}`)}, Roles: set.Digest}
				if err := db.InsertAPIKey(t.Context(), k, set); err != nil {
					t.Fatal(err)
				}
				perWrite()
			}
			close(stop)
			readers.Wait()
			log, err := os.Stat(path + "-wal")
			if err != nil {
				t.Fatal(err)
			}
			if log.Size() > 48*mega {
				t.Errorf("the log has %d MiB after 80 MiB were written; want about 16", log.Size()/mega)
			}
		})
	}
}

// What one reader has seen no other one misses later, also not while a commit is
// under way, when it can be seen and nobody was told of it yet.
func TestReadersDoNotGoBack(t *testing.T) {
	db := openTest(t)
	set := func(i int) {
		if err := db.write(context.Background(), func(tx *Tx) error {
			_, err := tx.exec(`INSERT INTO meta (name, value) VALUES ('n', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value`, fmt.Sprint(i))
			return err
		}); err != nil {
			t.Error(err)
		}
	}
	set(0)
	var highest atomic.Int64
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 6 {
		readers.Go(func() {
			until(stop, func() {
				least := highest.Load()
				text, err := db.Meta(context.Background(), "n")
				got, _ := strconv.ParseInt(text, 10, 64)
				if err != nil || got < least {
					t.Errorf("a read saw %d (%v), and another one had seen %d before it", got, err, least)
				}
				for was := least; got > was && !highest.CompareAndSwap(was, got); was = highest.Load() {
				}
			})
		})
	}
	for i := range 300 {
		set(i + 1)
	}
	close(stop)
	readers.Wait()
}
