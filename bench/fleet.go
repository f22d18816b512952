package main

import (
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"syscall"
	"time"

	"latchkey/internal/sqlstore/pgtest"
)

// nodes share a store.
type nodes struct {
	*setup
	store string // its URL
	lease time.Duration
	all   []*server
	plain *plainStore // on another store of the same server
}

// fleet measures what several nodes do with one PostgreSQL.
func fleet(s *setup) error {
	db, err := startPostgres()
	if err != nil {
		return err
	}
	defer db.Stop()
	f, err := s.newNodes(db)
	if err != nil {
		return err
	}
	return errors.Join(f.figures(), f.stop())
}

func (s *setup) newNodes(db *pgtest.Server) (*nodes, error) {
	store, err := s.newStore(db, "fleet")
	if err != nil {
		return nil, err
	}
	floor, err := s.newStore(db, "plain")
	if err != nil {
		return nil, err
	}
	plain, err := openPlain(floor)
	if err != nil {
		return nil, err
	}
	f := &nodes{setup: s, store: store, lease: 10 * time.Second, plain: plain}
	if s.rounds == 1 {
		f.lease = 2 * time.Second
	}
	version, err := db.Query("SHOW server_version")
	if err != nil {
		return nil, errors.Join(err, plain.close())
	}
	fmt.Printf("  PostgreSQL %s, leases of %s\n", version, f.lease)
	return f, nil
}

// resize starts nodes, or stops them, until there are n.
func (f *nodes) resize(n int) error {
	var err error
	for len(f.all) > n {
		err = errors.Join(err, f.all[len(f.all)-1].stop())
		f.all = f.all[:len(f.all)-1]
	}
	if err != nil {
		return err
	}
	for i := len(f.all); i < n; i++ {
		addr, err := freeAddress()
		if err != nil {
			return err
		}
		lk, _, err := startLatchkeyAt(addr, f.binary, filepath.Join(f.dir, fmt.Sprint("node-", i)), "latchkey.store.url="+f.store,
			"latchkey.fleet.address="+addr, "latchkey.fleet.secret=what-all-nodes-of-the-bench-share", "latchkey.fleet.lease="+f.lease.String())
		if err != nil {
			return err
		}
		f.all = append(f.all, lk)
		if _, err := once(addr, get(authenticate, elastic)); err != nil { // the slow hash of the password is over
			return err
		}
	}
	return nil
}

func (f *nodes) stop() error { return errors.Join(f.plain.close(), f.resize(0)) }

func (f *nodes) figures() error {
	if err := f.resize(3); err != nil {
		return err
	}
	headers, err := manyKeys(f.all[0].addr, 1000)
	if err != nil {
		return err
	}
	fmt.Println("  cached keys at one of 3 nodes")
	request := get(authenticate, headers[0])
	short := *f.setup
	short.d /= 2
	if err := short.compare(f.all[0], "", request, func(int64) []byte { return request }); err != nil {
		return err
	}
	for _, step := range []func() error{
		f.creates, f.revocations, f.invalidations, f.stopped,
		func() error { return f.resize(10) }, f.invalidations, func() error { return f.resize(3) },
		func() error { return fillPostgres(f.store, f.keys, f.mass) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	fmt.Println("  masses: one of 3 nodes is asked, the others are at the other two")
	return f.invalidateMasses(f.all[0], f.all[1:], headers)
}

// creates makes keys, at one node and at all of them.
func (f *nodes) creates() error {
	request := call("POST", "/_security/api_key", elastic, `{"name":"a key for the bench","role_descriptors":{"r":{"cluster":["monitor"]}}}`)
	return f.beside("create", f.plain.create, func(at []*server, clients int) (load, error) {
		return driveAll(addresses(at), clients, f.d/2, 0, http.StatusOK, func(int64) []byte { return request })
	}, spread{1, 1}, spread{16, 1}, spread{16, 3})
}

// revocations invalidates keys that all nodes have in memory, at one node and at all of them.
func (f *nodes) revocations() error {
	return f.beside("invalidate", f.plain.revoke, func(at []*server, clients int) (load, error) {
		return f.invalidate(at, clients, f.keys/5000*clients)
	}, spread{16, 1}, spread{16, 3})
}

// spread is so many clients at so many nodes.
type spread struct{ clients, nodes int }

// beside compares what nodes do with a plain loop, in turns.
func (f *nodes) beside(what string, plain func(n int) error, ours func(at []*server, clients int) (load, error), spreads ...spread) error {
	for _, of := range spreads {
		var ratios []float64
		var plains, theirs []load
		for range min(f.rounds, 3) {
			l, err := grouped(of.clients, f.d/2, plain)
			if err != nil {
				return err
			}
			plains = append(plains, l)
			if l, err = ours(f.all[:of.nodes], of.clients); err != nil {
				return err
			}
			theirs = append(theirs, l)
			ratios = append(ratios, l.perSecond/plains[len(plains)-1].perSecond)
		}
		fmt.Printf("  %s, %d clients at %d of %d nodes\n               plain %s\n            latchkey %s\n            ratio %.2f (median of %.2f)\n",
			what, of.clients, of.nodes, len(f.all), together(plains), together(theirs), median(ratios), ratios)
	}
	return nil
}

// invalidations are single ones, each after the other, beside the commit that each needs.
func (f *nodes) invalidations() error {
	var plains, ours []load
	for range f.rounds {
		l, err := grouped(1, f.d/4, f.plain.revoke)
		if err != nil {
			return err
		}
		plains = append(plains, l)
		if l, err = f.invalidate(f.all[:1], 1, f.keys/5000); err != nil {
			return err
		}
		ours = append(ours, l)
	}
	plain, all := together(plains), together(ours)
	fmt.Printf("  invalidate one of %d nodes' keys, one after the other\n               plain %s\n            latchkey %s (p50 times %.1f)\n",
		len(f.all), plain, all, float64(all.p50)/float64(plain.p50))
	return nil
}

// doomed makes n keys that every node has in memory, and returns their headers
// and what invalidates each.
func (f *nodes) doomed(n int) (headers []string, requests [][]byte, err error) {
	if headers, err = manyKeys(f.all[0].addr, n); err != nil {
		return nil, nil, err
	}
	for _, h := range headers {
		requests = append(requests, call("DELETE", "/_security/api_key", elastic, `{"ids":["`+idOf(h)+`"]}`))
	}
	return headers, requests, f.everywhere(http.StatusOK, headers)
}

// everywhere has every node answer so to each of the keys.
func (f *nodes) everywhere(want int, headers []string) error {
	for _, lk := range f.all {
		if _, err := drive(lk.addr, 8, 0, int64(len(headers)), want, func(i int64) []byte { return get(authenticate, headers[i]) }); err != nil {
			return err
		}
	}
	return nil
}

// invalidate invalidates n keys, one in each request, after which every node refuses them.
func (f *nodes) invalidate(at []*server, clients, n int) (load, error) {
	headers, requests, err := f.doomed(n)
	if err != nil {
		return load{}, err
	}
	l, err := driveAll(addresses(at), clients, 0, int64(n), http.StatusOK, func(i int64) []byte { return requests[i] })
	if err != nil {
		return load{}, err
	}
	return l, f.everywhere(http.StatusUnauthorized, headers)
}

// stopped invalidates keys while one of the nodes stands still: the first waits
// until the lease of that one is surely over, the others do not.
func (f *nodes) stopped() error {
	n := f.keys / 5000
	headers, requests, err := f.doomed(n)
	if err != nil {
		return err
	}
	still := f.all[len(f.all)-1]
	if err := still.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	t := time.Now()
	_, err = once(f.all[0].addr, requests[0])
	first := time.Since(t)
	var later load
	if err == nil {
		later, err = drive(f.all[0].addr, 1, 0, int64(n-1), http.StatusOK, func(i int64) []byte { return requests[i+1] })
	}
	if err := errors.Join(err, still.cmd.Process.Signal(syscall.SIGCONT)); err != nil {
		return err
	}
	for t = time.Now(); ; time.Sleep(time.Millisecond) { // until it has joined again
		if _, err = once(still.addr, get(authenticate, elastic)); err == nil || time.Since(t) > time.Minute {
			break
		}
	}
	fmt.Printf("  one of %d nodes stopped: the first waits %s\n               later %s\n", len(f.all), round(first), later)
	return errors.Join(err, f.everywhere(http.StatusUnauthorized, headers))
}
