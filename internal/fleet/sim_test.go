package fleet

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"time"
)

// sim runs a fleet in time of its own. The code of the nodes runs as it is, in
// tasks of which one at a time goes on until it waits: for a clock, for the store
// or for a peer. What happens next is drawn from the seed, so that a schedule that
// breaks something can be run again.
type sim struct {
	*rand.Rand
	profile
	now     time.Duration
	events  events
	serial  int
	current *task
	hosts   []*host
	store   *simStore
	journal journal
	ids     int
	exits   map[Exit]int
	longest time.Duration // wait at a barrier
	span    time.Duration // the longest of any host
}

type event struct {
	at     time.Duration
	serial int // orders what happens at the same time
	do     func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].serial < e[j].serial
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	old := *e
	last := old[len(old)-1]
	*e = old[:len(old)-1]
	return last
}

func (s *sim) at(t time.Duration, do func()) {
	s.serial++
	heap.Push(&s.events, event{max(t, s.now), s.serial, do})
}

func (s *sim) after(d time.Duration, do func()) { s.at(s.now+d, do) }

// run goes on until the given time, and then ends all tasks.
func (s *sim) run(until time.Duration) {
	for len(s.events) > 0 && s.events[0].at <= until {
		e := heap.Pop(&s.events).(event)
		s.now = e.at
		e.do()
	}
	for _, h := range s.hosts {
		h.kill()
	}
}

// upTo returns a random time below d.
func (s *sim) upTo(d time.Duration) time.Duration { return time.Duration(s.Float64() * float64(d)) }

func (s *sim) chance(p float64) bool { return s.Float64() < p }

// host is one process that runs a node, on a clock that is a little off.
type host struct {
	sim      *sim
	name     string
	rate     float64       // seconds on its clock in one second
	offset   time.Duration // of its clock
	length   time.Duration // of its lease
	grace    time.Duration // after that
	paused   time.Duration // until when it stands still
	frozen   time.Duration // for how long its clock has stood still, which it must not
	cutOff   time.Duration // until when it does not reach the store
	deaf     time.Duration // until when no peer reaches it
	onOld    time.Duration // until when it speaks to the deposed primary
	node     *Node
	room     *room
	tasks    []*task
	stop     context.CancelFunc
	dead     bool
	draining bool

	begun, confirmed time.Duration // see lateStart
}

// task is a goroutine of a process.
type task struct {
	host    *host
	next    func() (struct{}, bool)
	end     func()
	yield   func(struct{}) bool
	over    bool
	waiting bool // at Wait
	waits   int  // counts the calls of Wait
	wake    <-chan struct{}
	ctx     context.Context
}

var errKilled = errors.New("the process was killed")

// span is for how long its node accepts after it has asked for its lease.
func (h *host) span() time.Duration { return h.length + h.grace }

func (h *host) spawn(do func()) {
	t := &task{host: h}
	t.next, t.end = iter.Pull(func(yield func(struct{}) bool) {
		defer func() {
			if p := recover(); p != nil && p != errKilled {
				panic(p)
			}
		}()
		t.yield = yield
		do()
	})
	h.tasks = append(h.tasks, t)
	h.sim.after(0, t.resume)
}

// kill ends the process where it stands.
func (h *host) kill() {
	h.dead = true
	h.stop()
	for _, t := range h.tasks {
		t.end()
	}
	h.tasks = nil
}

func (t *task) resume() {
	h := t.host
	s := h.sim
	switch {
	case t.over || h.dead:
		return
	case s.now < h.paused:
		s.at(h.paused, t.resume)
		return
	}
	s.current = t
	_, goesOn := t.next()
	s.current = nil
	if !goesOn {
		t.over = true
		h.tasks = slices.DeleteFunc(h.tasks, func(o *task) bool { return o == t })
	}
	h.poke()
}

// park lets others run until somebody resumes the task.
func (s *sim) park() {
	if !s.current.yield(struct{}{}) {
		panic(errKilled)
	}
}

func (s *sim) sleep(d time.Duration) {
	t := s.current
	s.after(d, t.resume)
	s.park()
}

// poke resumes those tasks of a process whose wait has come to an end.
func (h *host) poke() {
	for _, t := range h.tasks {
		if !t.waiting {
			continue
		}
		ready := t.ctx.Err() != nil
		select {
		case <-t.wake:
			ready = true
		default:
		}
		if ready {
			t.waiting = false
			h.sim.after(h.sim.upTo(100*time.Microsecond), t.resume)
		}
	}
}

// Now and Wait make a host the clock of its node.
func (h *host) Now() time.Duration {
	return h.offset + time.Duration(float64(h.sim.now-h.frozen)*h.rate)
}

func (h *host) Wait(ctx context.Context, d time.Duration, wake <-chan struct{}) error {
	s := h.sim
	h.restart()
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-wake:
		return nil
	default:
	}
	t := s.current
	t.waiting, t.wake, t.ctx = true, wake, ctx
	t.waits++
	if mine := t.waits; d < forever {
		s.after(time.Duration(float64(d)/h.rate)+1, func() {
			if t.waiting && t.waits == mine {
				t.waiting = false
				t.resume()
			}
		})
	}
	s.park()
	return ctx.Err()
}

// Push carries records to a peer and its answer back: late, twice or not at all.
func (h *host) Push(addr string, p Push, done func(Ack, error)) {
	s := h.sim
	answered := false
	answer := func(a Ack, err error) {
		if !answered && !h.dead {
			answered = true
			done(a, err)
			h.poke()
		}
	}
	s.after(time.Second, func() { answer(Ack{}, errors.New("no answer")) })
	for range 1 + s.IntN(2)*s.IntN(2) {
		if s.chance(s.lost) {
			continue
		}
		s.after(s.latency(), func() { s.deliver(addr, p, answer) })
	}
}

func (s *sim) deliver(addr string, p Push, answer func(Ack, error)) {
	i := slices.IndexFunc(s.hosts, func(h *host) bool { return h.name == addr })
	to := s.hosts[i]
	switch {
	case to.dead, s.now < to.deaf:
		return
	case s.now < to.paused:
		s.at(to.paused, func() { s.deliver(addr, p, answer) })
		return
	}
	a := to.node.Receive(p)
	if last := p.Records[len(p.Records)-1].Rev; s.broken == ackByNumber && a.Applied >= last {
		a.Rev = last
	}
	to.poke()
	if !s.chance(s.lost) {
		s.after(s.latency(), func() { answer(a, nil) })
	}
}

// latency is how long a message is under way.
func (s *sim) latency() time.Duration {
	switch {
	case !s.chance(s.late):
		return s.upTo(2 * time.Millisecond)
	case s.chance(0.7):
		return s.upTo(300 * time.Millisecond)
	default:
		return s.upTo(leaseLength)
	}
}

// newID is not random, so that a schedule is the same each time.
func (s *sim) newID() string {
	s.ids++
	return fmt.Sprintf("id-%04d", s.ids)
}
