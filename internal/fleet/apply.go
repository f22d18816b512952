package fleet

import (
	"errors"
	"slices"
)

var errGap = errors.New("records are missing in between")

// take applies, of records in order, those that come next. errGap or errForked
// says why it stopped.
func (n *Node) take(records []Record) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.takeLocked(records)
}

func (n *Node) takeLocked(records []Record) error {
	for _, r := range records {
		last := n.history.last()
		switch {
		case r.Rev <= last.Rev:
			if n.history.contradicts(r.Mark) {
				return errForked
			}
		case r.Rev > last.Rev+1:
			return errGap
		case r.Prev != last.UID:
			return errForked
		default:
			n.seen.Store(&r.Mark) // before anything dies: a load that begins after it died must have seen why
			n.apply(r)
			n.history.add(r)
			n.head = max(n.head, r.Rev)
			if slices.ContainsFunc(n.barrier.waiters, func(w *waiter) bool { return w.mark == r.Mark }) {
				n.lookNow()
				wake(n.settle)
			}
		}
	}
	return nil
}

// apply has the rooms forget what a record ends.
func (n *Node) apply(r Record) {
	changes, err := r.Changes()
	if err != nil {
		n.o.Flush()
		return
	}
	for _, c := range changes {
		if forget := n.o.Apply[c.Kind]; forget == nil || forget(c.Body) != nil {
			n.o.Flush()
		}
	}
}

// Committed tells the node of a record that its own process has written. It is
// called once the commit was acknowledged, before anybody is answered; the
// answers wait at [Node.Barrier].
func (n *Node) Committed(r Record) {
	n.mu.Lock()
	n.barrier.wanted = max(n.barrier.wanted, r.Rev)
	n.longest = max(n.longest, r.Longest)
	err := n.takeLocked([]Record{r})
	n.mu.Unlock()
	if err != nil {
		wake(n.hurry) // others were quicker: their records come first
	}
	wake(n.settle)
}

// Receive applies what a peer pushes.
func (n *Node) Receive(p Push) Ack {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.takeLocked(p.Records); err != nil {
		wake(n.hurry) // the log has what is missing, and says whose history it is
	}
	a := Ack{Node: n.stay.id, Applied: n.history.last().Rev}
	for _, r := range p.Records {
		if n.history.has(r.Mark) {
			a.Rev = max(a.Rev, r.Rev)
		}
	}
	return a
}
