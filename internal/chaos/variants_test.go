package chaos

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"
)

// The ways in which the patched binary can be wrong.
const (
	noLease     = "no check of the lease"
	givesUp     = "a barrier that gives up after 50 ms"
	noRepeat    = "who finds the work done does not wait"
	leaseFirst  = "the lease is set before the log is read"
	leaseOfJoin = "a join is a lease"
	lateStart   = "the lease counts from the answer, however late it is"
	noDead      = "no look at whether the entry has died"
	deadFirst   = "a look at whether the entry has died before the lease is checked"
	noTombs     = "entries of loads that were overtaken are kept"
	wildClock   = "a clock that goes slower than is allowed for"

	slowSecrets = "secrets that take long to check" // which is not wrong
)

// scene is a play in which a node is to accept a credential whose end was
// acknowledged. It may fail to come about on a machine that has other work.
type scene struct {
	*clients
	t   *testing.T
	ctx context.Context
	k   credential
	e   ending
	far *node // it may have reason to accept it
}

// lost has the far node hear nothing of the end.
func (s *scene) lost() {
	undo := s.far.isolate()
	defer s.undo(undo)
	s.ends(0)
	s.shows(1)
}

// again is lost, and the end is acknowledged to somebody who finds it done.
func (s *scene) again() {
	undo := s.far.isolate()
	defer s.undo(undo)
	var first sync.WaitGroup
	defer first.Wait()
	first.Go(func() { s.ends(0) })
	time.Sleep(lease / 10)
	s.ends(1)
	s.shows(1)
}

// returns has the far node come back when the end was acknowledged, to a store that is slow.
func (s *scene) returns() {
	peers, store := s.far.fromPeers((*link).hold), s.far.store.hold()
	s.ends(0)
	if _, err := s.cluster.store.Primary.Query(`DELETE FROM lk_node WHERE name = 'node2'`); err != nil { // a fence
		s.t.Error(err)
	}
	s.far.store.back.slow(lease / 3)
	s.undo(store)
	s.shows(500)
	s.far.store.back.slow(-lease / 3)
	s.undo(peers)
}

// lateAnswer has the far node hear of its renewal when the end was acknowledged.
func (s *scene) lateAnswer() {
	peers, store := s.far.fromPeers((*link).hold), s.far.store.back.held()
	time.Sleep(lease / 2) // a renewal has reached the store
	s.ends(0)
	s.undo(store)
	s.shows(500)
	s.undo(peers)
}

// slowly has the secret still being checked when the far node comes back.
func (s *scene) slowly() {
	undo := s.far.isolate()
	s.ends(0)
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() { s.present(s.ctx, s.far, s.k, false, patient) })
	}
	time.Sleep(lease / 10)
	s.undo(undo)
	all.Wait()
}

// overtaken has the far node load the credential while it is ended.
func (s *scene) overtaken() {
	id, k, err := (&maker{cluster: s.cluster, ctx: s.ctx, serial: int(s.seen.now())}).key(elastic)
	if err != nil {
		s.t.Fatal(err)
	}
	s.k, s.e = k, end("DELETE", keysPath, `{"ids":["`+id+`"]}`, k)
	undo := s.far.store.back.held()
	var load sync.WaitGroup
	load.Go(func() { s.present(s.ctx, s.far, s.k, false, patient) })
	time.Sleep(lease / 10)
	s.ends(0)
	s.undo(undo)
	load.Wait()
	s.shows(5)
}

// ends has a node end the credential.
func (s *scene) ends(n int) {
	for s.ctx.Err() == nil && s.end(s.ctx, s.cluster.nodes[n], s.e, patient) != accepted {
		pause(s.ctx, lease/100)
	}
}

// shows presents the credential to the far node so many times, or until it knows better.
func (s *scene) shows(times int) {
	for range times {
		if s.present(s.ctx, s.far, s.k, false, usual) == denied {
			return
		}
		pause(s.ctx, lease/50)
	}
}

func (s *scene) undo(f func() error) {
	if err := f(); err != nil {
		s.t.Error(err)
	}
}

func TestTheCheckerSees(t *testing.T) {
	if testing.Short() {
		t.Skip("this takes a while; make test does it")
	}
	t.Parallel()
	_, patched := build(t)
	c := startCluster(t)
	m := &maker{cluster: c}
	// play plays a scene until the checker sees something, or so many times.
	play := func(t *testing.T, plot func(*scene), times int, variant string) (found string) {
		ctx, cancel := context.WithTimeout(t.Context(), lateEnough)
		defer cancel()
		for i, n := range c.nodes {
			environment := []string{variantVariable + "=" + variant}
			if variant == wildClock && i == 2 {
				environment = append(environment, rateVariable+"=0.3")
			}
			if err := n.revive(patched, environment...); err != nil {
				t.Fatal(err)
			}
		}
		m.ctx = ctx
		for range times {
			seen := newHistory()
			id, k, err := m.key(elastic)
			s := &scene{clients: newClients(c, seen), t: t, ctx: ctx, k: k, e: end("DELETE", keysPath, `{"ids":["`+id+`"]}`, k), far: c.nodes[2]}
			if err == nil {
				err = s.warm(ctx, []credential{k})
			}
			if err != nil {
				t.Fatalf("the nodes do not serve: %v", err)
			}
			plot(s)
			for _, v := range seen.check() {
				return seen.excerpt(v)
			}
			if ctx.Err() != nil {
				break
			}
		}
		return ""
	}
	for i, act := range []struct {
		name     string
		play     func(*scene)
		calm     string // what is not wrong
		variants []string
	}{
		{"lost", (*scene).lost, "", []string{noLease, givesUp, wildClock}},
		{"again", (*scene).again, "", []string{noRepeat}},
		{"returns", (*scene).returns, "", []string{leaseFirst, leaseOfJoin}},
		{"late answer", (*scene).lateAnswer, "", []string{lateStart}},
		{"slowly", (*scene).slowly, slowSecrets, []string{noDead, deadFirst}},
		{"overtaken", (*scene).overtaken, "", []string{noTombs}},
	} {
		if i > 0 && *howLong == 0 {
			break // with -for, all are played
		}
		t.Run(act.name, func(t *testing.T) {
			if found := play(t, act.play, 2, act.calm); found != "" {
				t.Fatalf("the sound one is wrong:\n%s", found)
			}
			for _, v := range act.variants {
				began := time.Now()
				found := play(t, act.play, 50, v)
				if !strings.Contains(found, "its end was acknowledged before") {
					t.Errorf("the checker does not see: %s", v)
				}
				t.Logf("%s: seen after %.1fs\n%s", v, time.Since(began).Seconds(), found)
			}
		})
	}
}
