package main

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	_ "modernc.org/sqlite"
)

// creates compares durable creates with a plain loop that inserts the same row
// into the same table of an SQLite file, as many in a transaction as wait.
func creates(s *setup) error {
	for _, clients := range []int{1, 8, 32, 256} {
		var ratios []float64
		var ours, theirs load
		for round := range min(s.rounds, 3) {
			var err error
			dir := filepath.Join(s.dir, fmt.Sprintf("create-%d-%d", clients, round))
			if theirs, err = plainInserts(dir+"-plain", clients, s.d); err != nil {
				return err
			}
			lk, _, err := startLatchkey(s.binary, dir)
			if err != nil {
				return err
			}
			if _, err := manyKeys(lk.addr, 1); err != nil { // the slow hash of the password is over
				return errors.Join(err, lk.stop())
			}
			request := call("POST", "/_security/api_key", elastic, `{"name":"a key for the bench","role_descriptors":{"r":{"cluster":["monitor"]}}}`)
			ours, err = drive(lk.addr, clients, s.d, 0, 200, func(int64) []byte { return request })
			if err := errors.Join(err, lk.stop(), os.RemoveAll(dir), os.RemoveAll(dir+"-plain")); err != nil {
				return err
			}
			ratios = append(ratios, ours.perSecond/theirs.perSecond)
		}
		fmt.Printf("  %3d clients  plain inserts %s\n                    latchkey %s\n                    ratio %.2f\n", clients, theirs, ours, median(ratios))
	}
	return nil
}

// openTable opens an SQLite file that has the tables of latchkey.
func openTable(path string) (*sql.DB, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=wal_autocheckpoint(4000)&_pragma=cache_size(-32000)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	text, err := os.ReadFile("../internal/sqlstore/migrations/sqlite/0001_api_keys.sql")
	if err != nil {
		return nil, err
	}
	_, err = db.Exec(string(text))
	return db, err
}

const insertKey = `INSERT INTO api_keys (id, type, name, username, realm, realm_type, hash, created_at, expires_at, roles, limited_by, metadata, owner_metadata)
	VALUES (?, 'rest', ?, ?, ?, ?, ?, ?, NULL, ?, ?, '{}', '{"_reserved":true}')`

var ids atomic.Int64

func keyRow(name, username, realm string, digest []byte) []any {
	n := ids.Add(1)
	return []any{fmt.Sprintf("bench%015d", n), name, username, realm, realm,
		"{SSHA256}" + strings.Repeat("A", 11) + "=" + strings.Repeat("B", 43) + "=", time.Now().UnixMilli(), digest, digest}
}

// plainInserts is the loop to measure against: one goroutine inserts what the
// clients hand over.
func plainInserts(dir string, clients int, d time.Duration) (load, error) {
	db, err := openTable(filepath.Join(dir, "plain.db"))
	if err != nil {
		return load{}, err
	}
	defer db.Close()
	insert, err := db.Prepare(insertKey)
	if err != nil {
		return load{}, err
	}
	return grouped(clients, d, func(n int) error { return insertAll(db, insert, n) })
}

// grouped has clients wait for one goroutine that writes, each time as many at
// once as wait.
func grouped(clients int, d time.Duration, write func(n int) error) (load, error) {
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
	var mu sync.Mutex
	var all []time.Duration
	var failed error
	var wg sync.WaitGroup
	start := time.Now()
	for range clients {
		wg.Go(func() {
			done := make(chan error, 1)
			for t := time.Now(); t.Sub(start) < d; t = time.Now() {
				queue <- done
				err := <-done
				mu.Lock()
				all, failed = append(all, time.Since(t)), errors.Join(failed, err)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(start)
	close(queue)
	writer.Wait()
	return newLoad(all, elapsed), failed
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
