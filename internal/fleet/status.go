package fleet

import (
	"context"
	"time"

	"latchkey/internal/fault"
)

// Status is how the fleet looks from one node.
type Status struct {
	Node      string        // the ID of this node's row
	Applied   Mark          // how far this node is
	Head      int64         // the newest revision
	LeaseLeft time.Duration // not positive: there is none
	Members   []MemberStatus
}

// MemberStatus is one row. Lag counts the revisions that the node is not known to
// have applied.
type MemberStatus struct {
	Member
	Lag int64
}

// Status reads the rows of the fleet.
func (n *Node) Status(ctx context.Context) (Status, error) {
	n.mu.Lock()
	applied := n.history.last()
	n.mu.Unlock()
	select {
	case n.asking <- struct{}{}:
	case <-ctx.Done():
		return Status{}, fault.Wrap(ctx.Err(), fault.Unavailable, "others ask how the fleet is; repeat the request")
	}
	all, err := n.store.Members(ctx, applied)
	<-n.asking
	if err != nil {
		return Status{}, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	s := Status{Node: n.stay.id, Applied: n.history.last(), LeaseLeft: n.lease.left()}
	s.Head = max(all.Head.Rev, s.Applied.Rev)
	for _, row := range all.Members {
		known := n.barrier.acked(row)
		if row.ID == s.Node {
			known = s.Applied.Rev
		}
		s.Members = append(s.Members, MemberStatus{row, max(0, s.Head-known)})
	}
	return s, nil
}

// Gauges is what can be told without asking the store.
type Gauges struct {
	LeaseLeft time.Duration // not positive: there is none
	Lag       int64         // revisions that are known to exist and not applied
	Waiting   int           // answers at the barrier
}

// Metrics returns what has been counted, and how things stand.
func (n *Node) Metrics() (Counters, Gauges) {
	n.mu.Lock()
	defer n.mu.Unlock()
	c := n.counters
	c.Lapsed = n.lease.lapsed.Load()
	return c, Gauges{n.lease.left(), max(0, n.head-n.history.last().Rev), len(n.barrier.waiters)}
}

// Mark returns the record of a revision that this node remembers, for who knows
// only its number, or fault.NotFound.
func (n *Node) Mark(rev int64) (Mark, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	m, ok := n.history.at(rev)
	if !ok {
		return Mark{}, fault.New(fault.NotFound, "revision [%d] is not one of the last that this node has applied", rev)
	}
	return m, nil
}
