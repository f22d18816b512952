package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
)

const authenticate = "/_security/_authenticate"

// createKey makes a key as elastic and returns its header.
func createKey(c *client, name string) (header string, err error) {
	body, err := c.do(call("POST", "/_security/api_key", elastic, `{"name":"`+name+`","role_descriptors":{"r":{"cluster":["monitor"]}}}`))
	if err != nil {
		return "", err
	}
	var key struct{ Encoded string }
	err = json.Unmarshal(body, &key)
	return "ApiKey " + key.Encoded, err
}

// cached compares the authentication of one cached key with a bare handler
// that sends the same bytes, in turns, so that a noisy neighbour hits both.
func cached(s *setup) error {
	lk, _, err := startLatchkey(s.binary, filepath.Join(s.dir, "cached"))
	if err != nil {
		return err
	}
	headers, err := manyKeys(lk.addr, 1)
	if err != nil {
		return errors.Join(err, lk.stop())
	}
	request := get(authenticate, headers[0])
	return errors.Join(s.compare(lk, request, func(int64) []byte { return request }), lk.stop())
}

// uncached does the same with so many keys that hardly any is in the cache.
func uncached(s *setup) error {
	lk, _, err := startLatchkey(s.binary, filepath.Join(s.dir, "uncached"), "xpack.security.authc.api_key.cache.max_keys=500")
	if err != nil {
		return err
	}
	headers, err := manyKeys(lk.addr, s.keys/10)
	if err != nil {
		return errors.Join(err, lk.stop())
	}
	requests := make([][]byte, len(headers))
	for i, h := range headers {
		requests[i] = get(authenticate, h)
	}
	rand.Shuffle(len(requests), func(i, j int) { requests[i], requests[j] = requests[j], requests[i] })
	return errors.Join(s.compare(lk, requests[0], func(i int64) []byte { return requests[i%int64(len(requests))] }), lk.stop())
}

// manyKeys makes n keys and returns their headers.
func manyKeys(addr string, n int) ([]string, error) {
	return many(addr, n, func(c *client, i int) (string, error) { return createKey(c, fmt.Sprint("key-", i)) })
}

// many makes n things over many connections and returns what they are known by.
func many[T any](addr string, n int, one func(c *client, i int) (T, error)) ([]T, error) {
	made := make([]T, n)
	errs := make([]error, 64)
	var wg sync.WaitGroup
	for first := range errs {
		wg.Go(func() {
			c, err := dial(addr)
			if err != nil {
				errs[first] = err
				return
			}
			defer c.conn.Close()
			for i := first; i < n && errs[first] == nil; i += len(errs) {
				made[i], errs[first] = one(c, i)
			}
		})
	}
	wg.Wait()
	return made, errors.Join(errs...)
}

func (s *setup) compare(lk *server, first []byte, request func(int64) []byte) error {
	body, err := once(lk.addr, first)
	if err != nil {
		return err
	}
	bare, err := startBare(body)
	if err != nil {
		return err
	}
	for _, conns := range []int{8, 64} {
		var ours, theirs load
		var ratios []float64
		for range s.rounds {
			if theirs, err = drive(bare.addr, conns, s.d, 0, 200, func(int64) []byte { return first }); err != nil {
				return errors.Join(err, bare.stop())
			}
			if ours, err = drive(lk.addr, conns, s.d, 0, 200, request); err != nil {
				return errors.Join(err, bare.stop())
			}
			ratios = append(ratios, ours.perSecond/theirs.perSecond)
		}
		fmt.Printf("  %2d connections  bare %s\n                latchkey %s\n                ratio %.2f (median of %d: %.2f)\n",
			conns, theirs, ours, median(ratios), s.rounds, ratios)
	}
	_ = bare.stop() // it knows no way to stop but the signal, so its status tells nothing
	return nil
}
