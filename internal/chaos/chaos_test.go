package chaos

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	howLong = flag.Duration("for", 0, "how long the promise is attacked; 0: until every fault was there once")
	seeded  = flag.Uint64("seed", 0, "what chooses the faults; the next cluster, after a failover, has the next one; 0: chance")
)

// What a round takes, beside its preparation.
const (
	troubled  = patience + 3*lease/5 // once all faults are there
	aftermath = lease / 2            // when they are over
)

const lateEnough = 5 * time.Minute // for anything that must come about when no fault is left

func TestThePromise(t *testing.T) {
	if testing.Short() {
		t.Skip("this takes a minute; make test does it")
	}
	t.Parallel()
	seed := *seeded
	if seed == 0 {
		seed = rand.Uint64()
	}
	over := time.Now().Add(*howLong)
	for life := seed; ; life++ {
		t.Run(fmt.Sprintf("seed %d", life), func(t *testing.T) {
			chance := rand.New(rand.NewPCG(life, 0))
			if *howLong == 0 {
				attack(t, chance, everyFault(chance))
			} else {
				attack(t, chance, someFaults(chance, over))
			}
		})
		if t.Failed() || !time.Now().Before(over) {
			return
		}
	}
}

// everyFault returns rounds in which each fault is there once, and at last a failover.
func everyFault(chance *rand.Rand) func() []fault {
	shuffled := func(all []fault) []fault {
		all = slices.Clone(all)
		chance.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		return all
	}
	nodes, stores, last := shuffled(nodeFaults), shuffled(storeFaults), shuffled(failovers)[:1]
	return func() (next []fault) {
		switch {
		case len(stores) > 0 && len(nodes) > 0:
			next = []fault{nodes[0], stores[0]}
			nodes, stores = nodes[1:], stores[1:]
		case len(nodes) > 0:
			next = nodes[:min(2, len(nodes))]
			nodes = nodes[len(next):]
		default:
			next, last = last, nil
		}
		return next
	}
}

// someFaults returns rounds with one or two faults, chosen by chance, until there
// was a failover or the time is over.
func someFaults(chance *rand.Rand, over time.Time) func() []fault {
	failedOver := false
	return func() (next []fault) {
		if failedOver || time.Now().After(over) {
			return nil
		}
		if failedOver = chance.IntN(30) == 0; failedOver {
			return []fault{failovers[chance.IntN(len(failovers))]}
		}
		if chance.IntN(4) > 0 {
			next = append(next, nodeFaults[chance.IntN(len(nodeFaults))])
		}
		if len(next) == 0 || chance.IntN(3) == 0 {
			return append(next, storeFaults[chance.IntN(len(storeFaults))])
		}
		if chance.IntN(2) == 0 {
			next = append(next, nodeFaults[chance.IntN(len(nodeFaults))])
		}
		return next
	}
}

// attack plays rounds of faults on a cluster of its own, until there are none left,
// and checks what the clients have seen.
func attack(t *testing.T, chance *rand.Rand, rounds func() []fault) {
	r := newRun(t, chance)
	for next := rounds(); next != nil; next = rounds() {
		r.round(next)
	}
	r.round(nil)
}

// run is the life of a cluster.
type run struct {
	t         *testing.T
	cluster   *cluster
	seen      *history
	clients   *clients
	maker     *maker
	chance    *rand.Rand
	survivors []credential // nobody ever ends them
	before    []credential // those of the last round, which were ended
	next      []ending     // of this round
	played    []string
}

func newRun(t *testing.T, chance *rand.Rand) *run {
	t.Helper()
	c, seen := startCluster(t), newHistory()
	return &run{
		t: t, cluster: c, seen: seen, clients: newClients(c, seen), maker: &maker{cluster: c}, chance: chance,
	}
}

// round lets some faults loose, of different nodes, while credentials are ended and
// presented everywhere. Each was accepted by all nodes before. Without a fault, all
// ends have to be acknowledged.
func (r *run) round(faults []fault) {
	r.t.Helper()
	name := "no fault is left"
	var names []string
	for _, f := range faults {
		names = append(names, f.name)
	}
	if len(names) > 0 {
		name = strings.Join(names, "; ")
	}
	r.played = append(r.played, name)
	ctx, cancel := context.WithTimeout(r.t.Context(), lateEnough)
	defer cancel()
	r.prepare(ctx)

	var load, ends sync.WaitGroup
	loading, relieve := context.WithCancel(ctx)
	defer load.Wait()
	defer relieve()
	for _, n := range r.cluster.nodes {
		for range 3 {
			load.Go(func() { r.clients.load(loading, n) })
		}
	}
	over := make(chan struct{})
	var undone atomic.Int64
	rush := func(some []ending, within time.Duration) {
		for _, e := range some {
			ends.Go(func() {
				if !r.clients.rush(ctx, e, within, over) {
					undone.Add(1)
				}
			})
		}
	}
	r.chance.Shuffle(len(r.next), func(i, j int) { r.next[i], r.next[j] = r.next[j], r.next[i] })
	early := len(r.next) / 4
	rush(r.next[:early], lease/4)
	undo := r.begin(faults)
	rush(r.next[early:], troubled/2)
	if len(faults) > 0 {
		time.Sleep(troubled)
	}
	undo()
	if len(faults) > 0 {
		time.Sleep(aftermath)
		close(over)
	} else {
		context.AfterFunc(ctx, func() { close(over) })
	}
	ends.Wait()
	relieve()
	load.Wait()
	r.t.Logf("%s\n      %v", name, r.clients.takeFigures())
	if len(faults) == 0 && undone.Load() > 0 {
		r.t.Errorf("with no fault left, %d of %d ends were not acknowledged", undone.Load(), len(r.next))
	}
	r.judge()
}

// prepare makes what this round ends and waits until all nodes know it by heart.
func (r *run) prepare(ctx context.Context) {
	r.t.Helper()
	r.maker.ctx = ctx
	var err error
	r.next, err = r.maker.round()
	for range 2 {
		if err == nil {
			var k credential
			_, k, err = r.maker.key(elastic)
			r.survivors = append(r.survivors, k)
		}
	}
	var all []credential
	for _, e := range r.next {
		all = append(all, e.of...)
	}
	if err == nil {
		err = r.clients.warm(ctx, append(all[:len(all):len(all)], r.survivors...))
	}
	if err != nil {
		r.t.Fatalf("no fault is left, and the nodes do not serve: %v\nplayed: %s", err, strings.Join(r.played, "\n        "))
	}
	r.clients.draw(append(all[:len(all):len(all)], r.survivors...), r.before)
	r.before = all
}

// begin lets faults loose, and returns what ends them.
func (r *run) begin(faults []fault) (undo func()) {
	r.t.Helper()
	var undos []func()
	undo = func() {
		for _, undo := range slices.Backward(undos) {
			undo()
		}
	}
	nodes := r.chance.Perm(fleetSize)
	for i, f := range faults {
		end, err := f.do(r, r.cluster.nodes[nodes[i]])
		if end != nil {
			undos = append(undos, func() {
				if err := end(); err != nil {
					r.t.Errorf("undo that %s: %v", f.name, err)
				}
			})
		}
		if err != nil {
			r.t.Errorf("%s: %v", f.name, err)
		}
	}
	return undo
}

// judge ends the test if something is wrong with what was seen.
func (r *run) judge() {
	r.t.Helper()
	found := r.seen.check()
	for i, v := range found {
		if i == 3 {
			r.t.Errorf("and %d more", len(found)-i)
			break
		}
		r.t.Error(r.seen.excerpt(v))
	}
	for _, odd := range r.clients.odd {
		r.t.Error(odd)
	}
	if r.t.Failed() {
		r.t.Fatalf("played: %s", strings.Join(r.played, "\n        "))
	}
	kept := map[string]bool{}
	for _, k := range append(r.survivors[:len(r.survivors):len(r.survivors)], r.before...) {
		kept[k.name] = true
	}
	r.seen.forget(func(name string) bool { return kept[name] })
}
