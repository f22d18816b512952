package main

import (
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

func idOf(header string) string {
	plain, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(header, "ApiKey "))
	id, _, _ := strings.Cut(string(plain), ":")
	return id
}

// fill adds keys of made-up users to the store of a stopped node: n of them in
// all, and of the last users as many as mass says.
func fill(path string, n int, mass []int) error {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)&_pragma=cache_size(-64000)")
	if err != nil {
		return err
	}
	defer db.Close()
	var digest []byte
	if err := db.QueryRow(`SELECT digest FROM role_sets LIMIT 1`).Scan(&digest); err != nil {
		return err
	}
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	insert, err := tx.Prepare(insertKey)
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	owner := owners(n, mass)
	for i := range n {
		if _, err := insert.Exec(keyRow(fmt.Sprint("key-", i), owner(i), "default_native", digest)...); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	return tx.Commit()
}

// owners returns who the i-th of n keys belongs to: made-up users, among whom the
// last ones, with as many keys as mass says, are spread, as in life.
func owners(n int, mass []int) func(i int) string {
	var last []string
	for i, m := range mass {
		for range m {
			last = append(last, fmt.Sprint("mass-", i))
		}
	}
	every := n / max(len(last), 1)
	return func(i int) string {
		if every > 0 && i%every == 0 && i/every < len(last) {
			return last[(i/every*7919)%len(last)] // 7919 is prime: it visits each of them once
		}
		return fmt.Sprint("user-", i%5000)
	}
}

// massInvalidation invalidates all keys of one user among a million, while
// other keys authenticate.
func massInvalidation(s *setup) error {
	data := filepath.Join(s.dir, "mass")
	lk, _, err := startLatchkey(s.binary, data)
	if err != nil {
		return err
	}
	headers, err := manyKeys(lk.addr, 1000)
	if err := errors.Join(err, lk.stop()); err != nil {
		return err
	}
	if err := fill(filepath.Join(data, "latchkey.db"), s.keys, s.mass); err != nil {
		return err
	}
	lk, _, err = startLatchkey(s.binary, data)
	if err != nil {
		return err
	}
	defer func() { _ = lk.stop() }()
	return s.invalidateMasses(lk, []*server{lk}, headers)
}

// invalidateMasses has one node invalidate all keys of the users that have so many,
// while others authenticate with the keys whose headers are given.
func (s *setup) invalidateMasses(asked *server, others []*server, headers []string) error {
	requests := make([][]byte, len(headers))
	for i, h := range headers {
		requests[i] = get(authenticate, h)
	}
	request := func(i int64) []byte { return requests[i%int64(len(requests))] }
	if _, err := driveAll(addresses(others), 8, s.d, 0, 200, request); err != nil {
		return err
	}
	if _, err := once(asked.addr, get(authenticate, elastic)); err != nil { // the slow hash of the password is over
		return err
	}
	for i, m := range s.mass {
		body, err := s.amid(asked, others, fmt.Sprintf("%d of %d keys", m, s.keys), call("DELETE", "/_security/api_key", elastic, fmt.Sprintf(`{"username":"mass-%d"}`, i)), request)
		if err != nil {
			return err
		}
		var done struct {
			IDs []string `json:"invalidated_api_keys"`
		}
		if err := json.Unmarshal(body, &done); err != nil {
			return err
		}
		if len(done.IDs) != m {
			return fmt.Errorf("%d keys were invalidated, want %d", len(done.IDs), m)
		}
	}
	return nil
}

// amid sends one request to a server while requests come in at others, prints what
// it did to them and to the memory, and returns its answer.
func (s *setup) amid(asked *server, others []*server, what string, request []byte, requests func(int64) []byte) ([]byte, error) {
	before, _, err := asked.resident()
	if err != nil {
		return nil, err
	}
	usual, err := driveAll(addresses(others), 8, s.d, 0, 200, requests)
	if err != nil {
		return nil, err
	}
	var over atomic.Bool
	var during load
	var loadErr error
	var wg sync.WaitGroup
	wg.Go(func() { during, loadErr = driveUntil(addresses(others), 8, &over, requests) })
	t := time.Now()
	body, err := once(asked.addr, request)
	took := time.Since(t)
	over.Store(true)
	wg.Wait()
	if err := errors.Join(err, loadErr); err != nil {
		return nil, err
	}
	after, most, err := asked.resident()
	if err != nil {
		return nil, err
	}
	fmt.Printf("  %s in %s; memory %.0f MiB before, %.0f after, %.0f at most\n"+
		"    others usually  %s\n    others meanwhile %s (p99 times %.1f)\n",
		what, round(took), before, after, most, usual, during, float64(during.p99)/float64(usual.p99))
	return body, nil
}

// driveUntil is drive until over is set.
func driveUntil(addrs []string, conns int, over *atomic.Bool, request func(int64) []byte) (load, error) {
	return driveAll(addrs, conns, time.Hour, 0, 200, func(i int64) []byte {
		if over.Load() {
			return nil
		}
		return request(i)
	})
}
