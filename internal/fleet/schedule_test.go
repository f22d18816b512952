package fleet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	leaseLength = 10 * time.Second
	pauseLength = time.Second
	drift       = 0.01
)

// profile is how much goes wrong in a schedule.
type profile struct {
	broken       variant
	mixed        bool          // nodes have leases of different lengths, and grace
	gap          time.Duration // between two revocations, at most
	early        time.Duration // how long before its end a key is presented
	often        int           // how many times
	lost         float64       // messages between nodes
	late         float64       // messages and calls of the store
	storeErrors  float64       // calls of the store
	slowSecrets  float64       // requests whose secret takes long to check
	slowCommits  float64       // revocations that wait for others
	slowRenewals float64       // renewals that take their time between reading and writing
	slowStandby  float64       // changes that the standby is late with
	// How often, in a schedule.
	pauses, crashes, leaves, outages, cuts, failovers int
}

// horizon is the length of a schedule.
const horizon = 6 * leaseLength

// kind is a kind of schedules: what may go wrong, and how the fleet is used.
type kind struct {
	name  string
	draw  func(s *sim)
	play  func(s *sim)
	exits int // in how many ways answers pass the barrier; 0: it depends
}

var (
	well = kind{"all is well", func(*sim) {}, (*sim).play, 1}

	failovers = kind{"the store fails over again and again", func(s *sim) {
		s.failovers, s.slowStandby = 3+s.IntN(4), 1
		s.gap, s.often = leaseLength/20, 3
		s.lost = []float64{0, 0, 0.3}[s.IntN(3)]
	}, (*sim).play, 3}

	stalls = kind{"nodes stand still, or without the store, for longer than a lease", func(s *sim) {
		s.pauses, s.cuts, s.slowRenewals = 2+s.IntN(6), 1+s.IntN(4), 0.7
		s.gap, s.early, s.often = leaseLength/10, 2*leaseLength, 4
	}, (*sim).play, 3}

	settings = kind{"leases are not as long on all nodes", func(s *sim) {
		s.mixed = true
		s.pauses, s.cuts, s.crashes = s.IntN(4), 1+s.IntN(4), s.IntN(3)
		s.gap, s.early, s.often = leaseLength/10, 2*leaseLength, 4
		s.lost = []float64{0, 0, 0.3, 1}[s.IntN(4)]
	}, (*sim).play, 3}

	returning = kind{"a node comes back to the store while somebody revokes", func(s *sim) {
		s.slowRenewals = 1
	}, (*sim).comeback, 0}

	ignorant = kind{"a node comes back to the store after somebody has revoked", func(*sim) {}, (*sim).ignorance, 1}

	anything = kind{"anything", func(s *sim) {
		some := func(probability float64, most int) int {
			if s.chance(probability) {
				return 1 + s.IntN(most)
			}
			return 0
		}
		s.late, s.slowCommits, s.slowRenewals, s.slowStandby = 0.05, 0.02, 0.1, 0.1
		s.slowSecrets = []float64{0, 0.05, 0.3}[s.IntN(3)]
		s.lost = []float64{0, 0.1, 0.5, 1}[s.IntN(4)]
		s.storeErrors = []float64{0, 0, 0.02, 0.2}[s.IntN(4)]
		s.pauses, s.crashes, s.leaves = some(0.5, 5), some(0.4, 3), some(0.3, 3)
		s.outages, s.cuts, s.failovers = some(0.3, 2), some(0.4, 3), some(0.3, 3)
	}, (*sim).play, 3}
)

// schedule draws a schedule from a seed, plays it and returns what came of it.
func schedule(k kind, seed uint64, broken variant) *sim {
	s := &sim{Rand: rand.New(rand.NewPCG(seed, 1)), exits: map[Exit]int{}}
	s.profile = profile{broken: broken, gap: leaseLength / 2, early: leaseLength / 2, often: 8}
	k.draw(s)
	s.journal.lossy = s.failovers > 0
	k.play(s)
	return s
}

func (s *sim) begin(hosts int) {
	s.store = newSimStore(s)
	for i := range hosts {
		s.start(fmt.Sprintf("node%d", i))
	}
}

func (s *sim) play() {
	s.begin(2 + s.IntN(3))
	s.trouble()
	keys := 0
	for at := s.upTo(leaseLength); at < horizon-2*leaseLength; at += s.upTo(s.gap) {
		some := make([]string, 1+s.IntN(2))
		for i := range some {
			some[i] = fmt.Sprintf("key%d", keys)
			keys++
		}
		s.endOf(some, at)
	}
	s.run(horizon)
}

// comeback has one node without the store for so long that its lease is over and
// others know. It has all records, by pushes, until it reaches the store again and
// its peers do not reach it.
func (s *sim) comeback() {
	s.begin(2)
	away, other := s.hosts[0], s.hosts[1]
	const gone, back = leaseLength / 2, 2 * leaseLength
	s.at(gone/2, func() { s.present("key", away) })
	s.at(gone-time.Second, func() { away.cutOff = back })
	s.at(gone, func() { s.revokeAt(other, []string{"another"}) })
	s.at(back-s.upTo(200*time.Millisecond), func() { away.deaf = horizon })
	s.at(back+s.upTo(2*time.Second), func() { s.revokeAt(other, []string{"key"}) })
	s.run(horizon)
}

// ignorance has one node out of reach for so long that its lease is over, and
// requests that wait for its return.
func (s *sim) ignorance() {
	s.begin(2)
	away, other := s.hosts[0], s.hosts[1]
	const gone, back = leaseLength / 2, 3 * leaseLength
	s.at(gone/2, func() { s.present("key", away) })
	s.at(gone-time.Second, func() { away.cutOff, away.deaf = back, back })
	s.at(gone, func() { s.revokeAt(other, []string{"key"}) })
	for range 200 {
		s.at(back+s.upTo(2*time.Second), func() { s.present("key", away) })
	}
	s.run(horizon)
}

// endOf has keys revoked at a time, and presented everywhere before and after.
func (s *sim) endOf(keys []string, at time.Duration) {
	for _, key := range keys {
		for range s.often {
			s.request(key, at-s.upTo(s.early))
			s.request(key, at+s.upTo(2*leaseLength))
		}
	}
	for i := range 1 + s.IntN(3) { // several may want the same
		s.at(at+time.Duration(i)*s.upTo(time.Second), func() { s.revoke(keys) })
	}
}

// trouble spreads over the schedule what goes wrong.
func (s *sim) trouble() {
	when := func() time.Duration { return s.upTo(horizon) }
	for range s.pauses {
		s.at(when(), func() {
			h, d := s.any(), s.upTo(3*leaseLength)
			still := time.Duration(0) // of its clock
			if s.broken == frozen {
				still = d
			} else if s.chance(0.1) && h.frozen == 0 { // as is allowed for
				d, still = pauseLength, pauseLength
			}
			h.paused = s.now + d
			h.frozen += still
			if s.chance(0.3) {
				h.deaf = h.paused + s.upTo(leaseLength)
			}
		})
	}
	for range s.crashes {
		s.at(when(), func() {
			h := s.any()
			h.kill()
			s.after(s.upTo(leaseLength), func() { s.start(h.name) })
		})
	}
	for range s.leaves {
		s.at(when(), func() { s.leave(s.any()) })
	}
	for range s.outages {
		s.at(when(), func() { s.store.downUntil = s.now + s.upTo(2*leaseLength) })
	}
	for range s.cuts {
		s.at(when(), func() {
			h := s.any()
			h.cutOff = s.now + s.upTo(3*leaseLength)
			if s.chance(0.5) { // comes back to the store, and is out of reach for its peers
				s.at(h.cutOff-s.upTo(100*time.Millisecond), func() { h.deaf = s.now + s.upTo(time.Second) })
			}
		})
	}
	for range s.failovers {
		s.at(when(), s.store.failover)
	}
}

// any returns a process that lives or has crashed and not come back yet.
func (s *sim) any() *host { return s.hosts[s.IntN(len(s.hosts))] }

func (s *sim) start(name string) {
	h := &host{sim: s, name: name, offset: s.upTo(1000 * time.Hour)}
	h.rate = 1 + drift*(2*s.Float64()-1)
	if s.broken == wildClocks {
		h.rate = 0.7 + 0.6*s.Float64()
	}
	h.length = leaseLength
	if s.mixed {
		h.length, h.grace = leaseLength/time.Duration(1+s.IntN(6)), leaseLength/2*time.Duration(s.IntN(2))
	}
	s.span = max(s.span, h.span())
	ctx, stop := context.WithCancel(context.Background())
	h.stop = stop
	h.room = newRoom(h)
	o := Options{
		Name: name, Addr: name, Length: h.length, Grace: h.grace, Drift: drift, Pause: pauseLength, NewID: s.newID,
		Apply: map[string]func([]byte) error{keyKind: h.room.apply}, Flush: h.room.keys.Flush,
		Settled: func(by Exit, after time.Duration) { s.exits[by]++; s.longest = max(s.longest, after) },
	}
	h.node = New(h.connection(), h, h, o)
	for i, old := range s.hosts {
		if old.name == name {
			s.hosts[i] = h
			h.onOld = old.onOld
			h.run(ctx)
			return
		}
	}
	s.hosts = append(s.hosts, h)
	h.run(ctx)
}

func (h *host) connection() connection { return connection{h.sim.store, h} }

func (h *host) run(ctx context.Context) {
	h.spawn(func() { h.node.keep(ctx) })
	h.spawn(func() { h.node.settling(ctx) })
	h.spawn(func() { h.node.looking(ctx) })
}

// leave stops a process in order, and starts another one in its place.
func (s *sim) leave(h *host) {
	if h.dead || h.draining {
		return
	}
	h.draining = true
	s.after(5*time.Second, func() { // for requests under way
		h.stop()
		h.poke()
		s.after(3*storeTimeout, func() {
			if !h.dead {
				h.spawn(func() { _ = h.node.leave(context.Background()) }) // as if it had crashed, if that fails
			}
		})
		s.after(leaseLength, func() {
			if !h.dead {
				h.kill()
				s.start(h.name)
			}
		})
	})
}

// request presents a key to some node at a time.
func (s *sim) request(key string, at time.Duration) {
	s.at(at, func() { s.present(key, s.any()) })
}

func (s *sim) present(key string, h *host) {
	if h.dead || h.draining {
		return
	}
	r := request{key: key, host: h.name, began: s.now, strict: s.chance(0.2)}
	h.spawn(func() {
		r.verdict = unavailable
		if !r.strict || h.node.ReadIndex(context.Background()) == nil {
			r.verdict = h.room.verify(context.Background(), key)
		}
		r.end = s.now
		s.journal.requests = append(s.journal.requests, r)
	})
}

// revoke has some node end keys.
func (s *sim) revoke(keys []string) { s.revokeAt(s.any(), keys) }

// revokeAt has a node end keys. Once that is confirmed, they are presented everywhere.
func (s *sim) revokeAt(h *host, keys []string) {
	if h.dead || h.draining {
		return
	}
	began := s.now
	for _, k := range keys {
		s.journal.revocations = append(s.journal.revocations, revocation{key: k, began: began})
	}
	h.spawn(func() {
		if h.room.revoke(context.Background(), keys) != nil {
			return
		}
		for _, k := range keys {
			s.journal.revocations = append(s.journal.revocations, revocation{k, began, s.now, true})
			for range 4 {
				s.request(k, s.now+1+s.upTo(20*time.Millisecond))
				s.request(k, s.now+1+s.upTo(leaseLength))
			}
		}
	})
}
