package fleet

import (
	"context"
	"errors"
	"slices"
	"time"
)

// simStore is a primary with a standby that follows it. A change is visible at
// once, and reported as done when the standby has it. After a failover the standby
// is the primary, and some hosts speak to the deposed one for a while: they can
// read there what nobody else knows, and none of their changes is ever confirmed.
type simStore struct {
	sim              *sim
	primary, standby *database
	deposed          *database
	era              int           // counts the failovers
	applied          time.Duration // when the standby has applied what it has been sent
	downUntil        time.Duration
	locks            map[string]int // rows of nodes with a renewal under way
	next             int64          // of a sequence, for who counts revisions with one
}

func newSimStore(s *sim) *simStore {
	return &simStore{sim: s, primary: newDatabase(), standby: newDatabase(), locks: map[string]int{}, next: 1}
}

// storeTimeout is when a call of the store is given up.
const storeTimeout = time.Second

var errNoAnswer = errors.New("the store does not answer")

// connection is the store as one host sees it.
type connection struct {
	*simStore
	host *host
}

// arrive carries a call to the store and returns the copy that it reaches.
func (c connection) arrive() (*database, error) {
	c.sim.sleep(c.delay())
	if c.sim.now < c.downUntil || c.sim.now < c.host.cutOff || c.sim.chance(c.sim.storeErrors) {
		c.sim.sleep(storeTimeout)
		return nil, errNoAnswer
	}
	if c.sim.now < c.host.onOld {
		return c.deposed, nil
	}
	return c.primary, nil
}

func (c connection) delay() time.Duration {
	if c.sim.chance(c.sim.late) {
		return c.sim.upTo(2 * storeTimeout)
	}
	return c.sim.upTo(3 * time.Millisecond)
}

// write makes a change, and returns once it is known to last.
func (c connection) write(change func(*database)) error {
	d, err := c.arrive()
	if err != nil {
		return err
	}
	return c.apply(d, change)
}

func (c connection) apply(d *database, change func(*database)) error {
	if d != c.primary {
		change(d) // visible there, and nowhere else
		c.sim.sleep(storeTimeout)
		return errNoAnswer
	}
	era := c.era
	change(d)
	c.applied = max(c.applied, c.sim.now+c.sim.replication())
	c.sim.at(c.applied, func() {
		if c.era == era {
			change(c.standby)
		}
	})
	if c.sim.broken != async {
		c.sim.sleep(c.applied - c.sim.now)
		if c.era != era {
			c.sim.sleep(storeTimeout)
			return errNoAnswer
		}
	}
	return c.answer()
}

// answer carries an answer back.
func (c connection) answer() error {
	c.sim.sleep(c.delay())
	if c.sim.now < c.host.cutOff || c.sim.chance(c.sim.storeErrors) {
		c.sim.sleep(storeTimeout)
		return errNoAnswer
	}
	return nil
}

// replication is how long the standby takes.
func (s *sim) replication() time.Duration {
	if s.chance(s.slowStandby) {
		return s.upTo(500 * time.Millisecond)
	}
	return s.upTo(2 * time.Millisecond)
}

// failover makes the standby the primary.
func (st *simStore) failover() {
	s := st.sim
	st.deposed, st.primary = st.primary, st.standby
	st.standby = st.primary.clone()
	st.era++
	st.applied = s.now
	st.locks = map[string]int{}
	for _, h := range s.hosts {
		if s.chance(0.4) {
			h.onOld = s.now + s.upTo(2*leaseLength)
		} else {
			h.onOld = 0
		}
	}
}

func (c connection) Head(context.Context) (m Mark, err error) {
	d, err := c.arrive()
	if err != nil {
		return m, err
	}
	m = d.head()
	return m, c.answer()
}

func (c connection) Log(_ context.Context, after int64, limit int) (records []Record, err error) {
	d, err := c.arrive()
	if err != nil {
		return nil, err
	}
	records = d.after(after, limit)
	return records, c.answer()
}

func (c connection) Members(_ context.Context, m Mark) (found Membership, err error) {
	d, err := c.arrive()
	if err != nil {
		return found, err
	}
	found = d.membership(m)
	if c.sim.broken == ownSpans {
		for i := range found.Members {
			found.Members[i].Span = c.host.span()
		}
	}
	return found, c.answer()
}

func (c connection) Join(_ context.Context, m Member, replaces string) error {
	err := c.write(func(d *database) { d.join(m, replaces) })
	if err == nil && c.sim.broken == leaseOfJoin {
		c.host.node.lease.extend(c.host.Now() + leaseLength)
	}
	return err
}

func (c connection) Leave(_ context.Context, id string) error {
	return c.write(func(d *database) { d.leave(id) })
}

// Renew takes its snapshot first and changes the row later, with a lock on it in
// between, as an engine does that waits for its standby.
func (c connection) Renew(_ context.Context, id string, applied Mark) (r Renewal, err error) {
	sent := c.host.Now()
	d, err := c.arrive()
	if err != nil {
		return r, err
	}
	r = d.renewal(id, applied)
	c.own(&r.Longest)
	if c.sim.broken == noChain {
		r.Forked = false
	}
	if r.Gone || r.Forked {
		return r, c.answer()
	}
	locks := c.locks
	locks[id]++
	if c.sim.chance(c.sim.slowRenewals) {
		c.sim.sleep(c.sim.upTo(storeTimeout / 2))
	}
	change := func(d *database) { d.renew(id, applied) }
	err = c.apply(d, change)
	locks[id]--
	if err == nil {
		c.host.renewed(sent)
	}
	return r, err
}

func (c connection) Fence(_ context.Context, id string, seq int64) (gone bool, err error) {
	if c.sim.broken == noFence {
		return true, nil
	}
	d, err := c.arrive()
	if err != nil {
		return false, err
	}
	for d == c.primary && c.locks[id] > 0 {
		c.sim.sleep(time.Millisecond)
	}
	err = c.apply(d, func(d *database) {
		ok := d.fence(id, seq)
		gone = gone || ok // of the first copy; the second one comes later
	})
	return gone, err
}

func (c connection) Trim(context.Context, time.Duration) (int, error) { return 0, nil }

// revoke is what a room does, with the record as the last statement of its
// transaction. It returns the record, or the newest one if there was nothing to do.
func (c connection) revoke(keys []string) (r Record, done bool, err error) {
	uid, rev := c.sim.newID(), int64(0)
	switch c.sim.broken {
	case noChain:
		uid = "same"
	case sequence:
		uid, rev = "same", c.next
		c.next++
		c.sim.sleep(c.sim.upTo(100 * time.Millisecond)) // the rest of its transaction
	}
	if c.sim.chance(c.sim.slowCommits) {
		c.sim.sleep(c.sim.upTo(2 * leaseLength)) // waits for a row that another one holds
	}
	d, err := c.arrive()
	if err != nil {
		return r, false, err
	}
	switch {
	case rev != 0:
		err = c.apply(d, func(d *database) { r = d.insert(rev, uid, uid, keys) })
		return r, true, err
	case !slices.ContainsFunc(keys, func(k string) bool { return d.revoked[k] == 0 }):
		return Record{Mark: d.head()}, false, c.answer()
	}
	err = c.apply(d, func(d *database) { r, _ = d.revoke(uid, keys) })
	c.own(&r.Longest)
	return r, true, err
}

// own hides what other nodes have told of their leases.
func (c connection) own(longest *time.Duration) {
	if c.sim.broken == ownSpans || c.sim.broken == ownLongest {
		*longest = c.host.span()
	}
}
