package chaos

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// fault is something that goes wrong, with a node that is chosen for it, and then
// is over.
type fault struct {
	name string
	do   func(*run, *node) (undo func() error, err error)
}

// nodeFaults befall one node, or what it says and hears.
var nodeFaults = []fault{
	{"a node stands still", func(r *run, n *node) (func() error, error) {
		n.signal(syscall.SIGSTOP)
		return func() error { n.signal(syscall.SIGCONT); return nil }, nil
	}},
	{"a node stands still, again and again", func(r *run, n *node) (func() error, error) {
		return repeatedly(func() error {
			n.signal(syscall.SIGSTOP)
			time.Sleep(rand.N(lease))
			n.signal(syscall.SIGCONT)
			time.Sleep(rand.N(lease / 4))
			return nil
		}), nil
	}},
	{"a node is killed", func(r *run, n *node) (func() error, error) {
		n.kill()
		return n.restart, nil
	}},
	{"nodes come and go", func(r *run, n *node) (func() error, error) {
		return repeatedly(func() error {
			if rand.IntN(3) == 0 {
				n.kill()
			} else {
				n.stop()
			}
			return n.restart()
		}), nil
	}},
	{"a node's clock goes fast, as far as is allowed for", func(r *run, n *node) (func() error, error) {
		return n.restart, r.scale(n, "1.01")
	}},
	{"a node's clock goes slow, as far as is allowed for, and it loses everybody", func(r *run, n *node) (func() error, error) {
		err := r.scale(n, "0.99")
		undo := n.isolate()
		return func() error { return errors.Join(undo(), n.restart()) }, err
	}},
	{"a node is held from the store", func(r *run, n *node) (func() error, error) {
		return n.store.hold(), nil
	}},
	{"a node is held from everybody", func(r *run, n *node) (func() error, error) { return n.isolate(), nil }},
	{"what a node sends to the store is held", func(r *run, n *node) (func() error, error) {
		return n.store.there.held(), nil
	}},
	{"what the store sends to a node is held", func(r *run, n *node) (func() error, error) {
		return n.store.back.held(), nil
	}},
	{"what the store sends to a node is held for moments", func(r *run, n *node) (func() error, error) {
		return repeatedly(func() error {
			undo := n.store.back.held()
			time.Sleep(rand.N(lease / 2))
			err := undo()
			time.Sleep(rand.N(lease / 4))
			return err
		}), nil
	}},
	{"a node loses its connections to the store", func(r *run, n *node) (func() error, error) {
		n.store.cut()
		return func() error { n.store.mend(); return nil }, nil
	}},
	{"the store is slow for a node, and its peers are held", func(r *run, n *node) (func() error, error) {
		n.store.slow(lease / 8)
		undo := n.fromPeers((*link).hold)
		return func() error { n.store.slow(-lease / 8); return undo() }, nil
	}},
	{"the store is slow for everybody", func(r *run, _ *node) (func() error, error) {
		for _, n := range r.cluster.nodes {
			n.store.slow(lease / 30)
		}
		return func() error {
			for _, n := range r.cluster.nodes {
				n.store.slow(-lease / 30)
			}
			return nil
		}, nil
	}},
	{"a node is cut off from its peers", func(r *run, n *node) (func() error, error) {
		return n.fromPeers(func(l *link) func() error {
			l.cut()
			return func() error { l.mend(); return nil }
		}), nil
	}},
	{"what peers tell a node is held", func(r *run, n *node) (func() error, error) {
		return n.fromPeers(func(l *link) func() error { return l.there.held() }), nil
	}},
	{"what a node tells its peers is lost on its way back", func(r *run, n *node) (func() error, error) {
		return n.fromPeers(func(l *link) func() error { return l.back.held() }), nil
	}},
	{"peers are slow", func(r *run, n *node) (func() error, error) {
		return n.fromPeers(func(l *link) func() error {
			l.slow(lease / 5)
			return func() error { l.slow(-lease / 5); return nil }
		}), nil
	}},
}

// storeFaults befall the store, and so all nodes. No two of them go together.
var storeFaults = []fault{
	{"the store crashes and comes back", func(r *run, _ *node) (func() error, error) {
		r.cluster.store.Primary.Kill()
		time.Sleep(r.upTo(lease))
		return r.cluster.store.Connect, r.cluster.store.Primary.Run()
	}},
	{"the store is down for longer than a lease", func(r *run, _ *node) (func() error, error) {
		r.cluster.store.Primary.Kill()
		return func() error {
			return errors.Join(r.cluster.store.Primary.Run(), r.cluster.store.Connect())
		}, nil
	}},
	{"somebody is in the middle of ending the same keys, and gives up", func(r *run, _ *node) (func() error, error) {
		var names []string
		for _, e := range r.next {
			names = append(names, "'"+e.of[0].name+"'")
		}
		return r.locks(`INSERT INTO invalidated_keys (key_id, invalidated_at) SELECT id, 0 FROM api_keys WHERE name IN (` + strings.Join(names, ",") + `) ORDER BY id ON CONFLICT DO NOTHING`)
	}},
	{"somebody holds the counter of revisions", func(r *run, _ *node) (func() error, error) {
		return r.locks(`SELECT 1 FROM lk_rev FOR UPDATE`)
	}},
	{"the store takes no connections", func(r *run, _ *node) (func() error, error) {
		err := r.admin(`UPDATE pg_database SET datallowconn = false WHERE datname = 'postgres'`,
			`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'latchkey'`)
		return func() error { return r.admin(`UPDATE pg_database SET datallowconn = true WHERE datname = 'postgres'`) }, err
	}},
	{"no commit gets to the standby, and whoever waits for that is told to wait no longer", func(r *run, _ *node) (func() error, error) {
		s := r.cluster.store
		if err := s.Cut(); err != nil {
			return nil, err
		}
		from := r.seen.now()
		undo := repeatedly(func() error {
			time.Sleep(rand.N(lease / 4))
			_, err := s.Primary.CancelCommits()
			return err
		})
		return func() error {
			err := undo()
			r.seen.wasSilent(from)
			return errors.Join(err, s.Connect())
		}, nil
	}},
}

// failovers are faults after which a cluster is not what it was.
var failovers = []fault{
	{"the store fails over, and a node stays with the old primary", func(r *run, n *node) (func() error, error) {
		return r.failover(n)
	}},
	{"the store fails over after commits that no standby has, and a node stays with the old primary", func(r *run, n *node) (func() error, error) {
		from := r.seen.now()
		err := r.cluster.store.Cut()
		for range 4 {
			time.Sleep(lease / 8)
			_, cancelled := r.cluster.store.Primary.CancelCommits()
			err = errors.Join(err, cancelled)
		}
		undo, failed := r.failover(n)
		return func() error {
			defer r.seen.wasLossy(from)
			return undo()
		}, errors.Join(err, failed)
	}},
}

// failover has the standby take over for all nodes but one, for which it does when
// that is undone.
func (r *run) failover(left *node) (func() error, error) {
	s := r.cluster.store
	err := s.Promote()
	for _, n := range r.cluster.nodes {
		if n != left {
			n.move(s.Standby)
		}
	}
	return func() error {
		left.move(s.Standby)
		return nil
	}, err
}

// upTo returns a random time.
func (r *run) upTo(d time.Duration) time.Duration {
	return time.Duration(r.chance.Int64N(int64(d)))
}

// locks has a transaction hold what a statement locks, and come to nothing.
func (r *run) locks(statement string) (undo func() error, err error) {
	ctx := context.Background()
	for range 10 { // it may lose against others who lock the same
		var c *pgx.Conn
		if c, err = pgx.Connect(ctx, r.cluster.store.Primary.URL(nil)); err != nil {
			return nil, err
		}
		if _, err = c.Exec(ctx, `BEGIN`); err == nil {
			_, err = c.Exec(ctx, statement)
		}
		if err == nil {
			return func() error { return c.Close(ctx) }, nil
		}
		_ = c.Close(ctx) // the error above says more
	}
	return nil, err
}

// admin runs statements beside the database of the nodes.
func (r *run) admin(statements ...string) error {
	ctx := context.Background()
	c, err := pgx.Connect(ctx, strings.Replace(r.cluster.store.Primary.URL(nil), "/postgres?", "/template1?", 1))
	if err != nil {
		return err
	}
	for _, s := range statements {
		_, one := c.Exec(ctx, s)
		err = errors.Join(err, one)
	}
	return errors.Join(err, c.Close(ctx))
}

// repeatedly does something again and again until it is undone.
func repeatedly(do func() error) (undo func() error) {
	over, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-over:
				ended <- nil
				return
			default:
				if err := do(); err != nil {
					ended <- err
					return
				}
			}
		}
	}()
	return func() error {
		close(over)
		return <-ended
	}
}

// restart has the node run as it should.
func (n *node) restart() error {
	b, err := binaries()
	if err != nil {
		return err
	}
	return n.revive(b.sound)
}

// scale has a node run with a clock of another rate, and get to know what is about to be ended.
func (r *run) scale(n *node, rate string) error {
	b, err := binaries()
	if err == nil {
		err = n.revive(b.patched, rateVariable+"="+rate)
	}
	for _, e := range r.next {
		for _, k := range e.of {
			r.clients.present(r.t.Context(), n, k, false, usual)
		}
	}
	return err
}

// revive kills the node and starts it again, as soon as its store lets it start.
func (n *node) revive(binary string, environment ...string) error {
	n.kill()
	for began := time.Now(); ; time.Sleep(lease / 10) {
		if err := n.start(binary, environment...); err == nil || time.Since(began) > startTimeout {
			return err
		}
	}
}

func (w *way) held() (undo func() error) {
	w.hold()
	return func() error { w.release(); return nil }
}

// hold keeps back all that passes, both ways.
func (l *link) hold() (undo func() error) {
	there, back := l.there.held(), l.back.held()
	return func() error { return errors.Join(there(), back()) }
}

func (l *link) slow(by time.Duration) {
	l.there.slow(by)
	l.back.slow(by)
}

// fromPeers does something to all links between the node and its peers.
func (n *node) fromPeers(do func(*link) (undo func() error)) (undo func() error) {
	var all []func() error
	for i, peer := range n.cluster.nodes {
		if peer != n {
			all = append(all, do(&n.peers[i]), do(&peer.peers[n.number]))
		}
	}
	return func() (err error) {
		for _, undo := range all {
			err = errors.Join(err, undo())
		}
		return err
	}
}

// isolate holds all that the node has to do with others, but for its clients.
func (n *node) isolate() (undo func() error) {
	store, peers := n.store.hold(), n.fromPeers((*link).hold)
	return func() error { return errors.Join(store(), peers()) }
}
