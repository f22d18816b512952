package main

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	_ "modernc.org/sqlite"

	"latchkey/internal/secret"
)

// creates compares durable creates with a plain loop that inserts the same row
// into the same table of an SQLite file, as many in a transaction as wait, and with
// that loop behind a handler of net/http. The files are made by latchkey, with the
// tables and indexes of this release.
func creates(s *setup) error {
	for _, clients := range []int{1, 8, 32, 256} {
		var ratios, ofBehind []float64
		var plain, behind, ours load
		for round := range min(s.rounds, 3) {
			var err error
			dir := filepath.Join(s.dir, fmt.Sprintf("create-%d-%d", clients, round))
			if plain, behind, ours, err = s.createEach(dir, clients); err != nil {
				return err
			}
			if err := os.RemoveAll(dir); err != nil {
				return err
			}
			ratios = append(ratios, ours.perSecond/plain.perSecond)
			ofBehind = append(ofBehind, ours.perSecond/behind.perSecond)
		}
		fmt.Printf("  %3d clients        plain inserts %s\n              behind net/http alone %s\n                           latchkey %s\n"+
			"              ratio %.2f; to those behind net/http %.2f\n", clients, plain, behind, ours, median(ratios), median(ofBehind))
	}
	return nil
}

const newKey = `{"name":"a key for the bench","role_descriptors":{"r":{"cluster":["monitor"]}}}`

// createEach has so many clients create keys in each of the three ways.
func (s *setup) createEach(dir string, clients int) (plain, behind, ours load, err error) {
	file, err := newTable(s.binary, filepath.Join(dir, "plain"))
	if err != nil {
		return plain, behind, ours, err
	}
	if plain, err = plainInserts(file, clients, s.d); err != nil {
		return plain, behind, ours, err
	}
	request := call("POST", "/_security/api_key", elastic, newKey)
	lk, _, err := startLatchkey(s.binary, filepath.Join(dir, "ours"))
	if err != nil {
		return plain, behind, ours, err
	}
	answer, err := once(lk.addr, request) // the slow hash of the password is over
	if err == nil {
		ours, err = drive(lk.addr, clients, s.d, 0, 200, func(int64) []byte { return request })
	}
	if err := errors.Join(err, lk.stop()); err != nil {
		return plain, behind, ours, err
	}
	if file, err = newTable(s.binary, filepath.Join(dir, "behind")); err != nil {
		return plain, behind, ours, err
	}
	handler, err := startSelf("bare-insert", file, string(answer))
	if err != nil {
		return plain, behind, ours, err
	}
	defer handler.kill()
	behind, err = drive(handler.addr, clients, s.d, 0, 200, func(int64) []byte { return request })
	return plain, behind, ours, err
}

// newTable has a node make the SQLite file of a data folder, and returns its path.
func newTable(binary, data string) (string, error) {
	lk, _, err := startLatchkey(binary, data)
	if err != nil {
		return "", err
	}
	return filepath.Join(data, "latchkey.db"), lk.stop()
}

// openTable opens the file of a stopped node for inserts of keys.
func openTable(file string) (*sql.DB, *sql.Stmt, error) {
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=synchronous(FULL)&_pragma=wal_autocheckpoint(4000)&_pragma=cache_size(-32000)")
	if err != nil {
		return nil, nil, err
	}
	db.SetMaxOpenConns(1)
	insert, err := db.Prepare(insertKey)
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return db, insert, nil
}

const insertKey = `INSERT INTO api_keys (id, type, name, username, realm, realm_type, hash, created_at, expires_at, roles, limited_by, metadata, owner_metadata)
	VALUES (?, 'rest', ?, ?, ?, ?, ?, ?, NULL, ?, ?, '{}', '{"_reserved":true}')`

// keyRow has an id as latchkey makes them: where in the indexes a row goes is a part of what it costs.
func keyRow(name, username, realm string, digest []byte) []any {
	now := time.Now()
	return []any{secret.NewKeyID(now), name, username, realm, realm,
		"{SSHA256}" + strings.Repeat("A", 11) + "=" + strings.Repeat("B", 43) + "=", now.UnixMilli(), digest, digest}
}

// plainInserts is the loop to measure against: one goroutine inserts what the
// clients hand over.
func plainInserts(file string, clients int, d time.Duration) (load, error) {
	db, insert, err := openTable(file)
	if err != nil {
		return load{}, err
	}
	defer db.Close()
	return grouped(clients, d, func(n int) error { return insertAll(db, insert, n) })
}

// group starts a goroutine that writes, each time as many at once as wait. one has
// it write one more and waits for it; stop ends it.
func group(write func(n int) error) (one func(done chan error) error, stop func()) {
	queue := make(chan chan error, 4096)
	var writer sync.WaitGroup
	writer.Go(func() {
		for first := range queue {
			batch := []chan error{first}
			for more := true; more && len(batch) < 512; {
				select {
				case next, ok := <-queue:
					if more = ok; ok {
						batch = append(batch, next)
					}
				default:
					more = false
				}
			}
			err := write(len(batch))
			for _, done := range batch {
				done <- err
			}
		}
	})
	one = func(done chan error) error {
		queue <- done
		return <-done
	}
	return one, func() { close(queue); writer.Wait() }
}

// grouped has clients wait for a [group].
func grouped(clients int, d time.Duration, write func(n int) error) (load, error) {
	one, stop := group(write)
	defer stop()
	var mu sync.Mutex
	var all []time.Duration
	var failed error
	var wg sync.WaitGroup
	start := time.Now()
	for range clients {
		wg.Go(func() {
			done := make(chan error, 1)
			for t := time.Now(); t.Sub(start) < d; t = time.Now() {
				err := one(done)
				mu.Lock()
				all, failed = append(all, time.Since(t)), errors.Join(failed, err)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return newLoad(all, time.Since(start)), failed
}

func insertAll(db *sql.DB, insert *sql.Stmt, n int) error {
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	stmt := tx.Stmt(insert)
	digest := make([]byte, 32)
	for range n {
		if _, err := stmt.Exec(keyRow("a key for the bench", "elastic", "reserved", digest)...); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	return tx.Commit()
}

// invalidateOne invalidates single keys by id.
func invalidateOne(s *setup) error {
	lk, _, err := startLatchkey(s.binary, filepath.Join(s.dir, "invalidate"))
	if err != nil {
		return err
	}
	for _, run := range []struct{ clients, n int }{{1, 2000}, {32, 20_000}} {
		if s.rounds == 1 {
			run.n /= 10
		}
		headers, err := manyKeys(lk.addr, run.n)
		if err != nil {
			return errors.Join(err, lk.stop())
		}
		requests := make([][]byte, run.n)
		for i, h := range headers {
			if _, err := once(lk.addr, get(authenticate, h)); err != nil { // it is cached
				return errors.Join(err, lk.stop())
			}
			requests[i] = call("DELETE", "/_security/api_key", elastic, `{"ids":["`+idOf(h)+`"]}`)
		}
		got, err := drive(lk.addr, run.clients, 0, int64(run.n), 200, func(i int64) []byte { return requests[i] })
		if err != nil {
			return errors.Join(err, lk.stop())
		}
		fmt.Printf("  %3d clients  %s\n", run.clients, got)
	}
	return lk.stop()
}
