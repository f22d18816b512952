package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
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
	return errors.Join(s.compare(lk, "", request, func(int64) []byte { return request }), lk.stop())
}

// uncached does the same with so many keys that hardly any is in the cache, and
// compares with a handler that does nothing but read them, too.
func uncached(s *setup) error {
	data := filepath.Join(s.dir, "uncached")
	lk, _, err := startLatchkey(s.binary, data)
	if err != nil {
		return err
	}
	headers, err := manyKeys(lk.addr, s.keys/10)
	if err := errors.Join(err, lk.stop()); err != nil {
		return err
	}
	file := filepath.Join(s.dir, "uncached-copy.db")
	if err := copyFile(file, filepath.Join(data, "latchkey.db")); err != nil {
		return err
	}
	if lk, _, err = startLatchkey(s.binary, data, "xpack.security.authc.api_key.cache.max_keys=500"); err != nil {
		return err
	}
	requests := make([][]byte, len(headers))
	for i, h := range headers {
		requests[i] = get(authenticate, h)
	}
	rand.Shuffle(len(requests), func(i, j int) { requests[i], requests[j] = requests[j], requests[i] })
	return errors.Join(s.compare(lk, file, requests[0], func(i int64) []byte { return requests[i%int64(len(requests))] }), lk.stop())
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
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

// compare has a node and the bare handler answer, in turns, and, if a file with the
// keys is given, a handler that only reads them.
func (s *setup) compare(lk *server, file string, first []byte, request func(int64) []byte) error {
	body, err := once(lk.addr, first)
	if err != nil {
		return err
	}
	bare, err := startSelf("bare", string(body))
	if err != nil {
		return err
	}
	defer bare.kill()
	servers := []*server{bare, lk}
	if file != "" {
		reads, err := startSelf("bare-lookup", file, string(body))
		if err != nil {
			return err
		}
		defer reads.kill()
		servers = append(servers, reads)
	}
	for _, conns := range []int{8, 64} {
		loads := make([]load, len(servers))
		ratios := make([][]float64, len(servers))
		for range s.rounds {
			for i, server := range servers {
				what := request
				if server == bare {
					what = func(int64) []byte { return first }
				}
				if loads[i], err = drive(server.addr, conns, s.d, 0, 200, what); err != nil {
					return err
				}
				ratios[i] = append(ratios[i], loads[i].perSecond/loads[0].perSecond)
			}
		}
		fmt.Printf("  %2d connections  bare %s\n", conns, loads[0])
		for i, name := range []string{"bare", "latchkey", "only reads"}[:len(servers)] {
			if i > 0 {
				fmt.Printf("            %10s  %s  ratio %.2f (median of %d: %.2f)\n", name, loads[i], median(ratios[i]), s.rounds, ratios[i])
			}
		}
	}
	return nil
}
