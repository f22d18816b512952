package fleet

import "fmt"

// peer is what is known of another node beyond its row.
type peer struct {
	busy   bool  // a push is under way
	failed bool  // the last one was in vain; the next one waits for the next look
	silent bool  // the operator knows that it could not be told
	acked  int64 // it has applied this revision, under the UID that this node knows
	told   int64 // how far it says that it has come
}

// push hands each peer what it lacks of what it should have, with one message
// under way to each. What gathers meanwhile goes into the next.
func (n *Node) push() {
	type message struct {
		to      Member
		records []Record
	}
	var messages []message
	n.mu.Lock()
	b := &n.barrier
	for _, row := range b.rows {
		p := b.peers[row.ID]
		if row.Addr == "" || p == nil || p.busy || p.failed || b.acked(row) >= b.wanted {
			continue
		}
		records := n.history.between(max(b.acked(row), p.told), min(b.wanted, n.history.last().Rev))
		if len(records) > 0 {
			p.busy = true
			messages = append(messages, message{row, records})
		}
	}
	n.counters.Pushes += int64(len(messages))
	n.mu.Unlock()
	for _, m := range messages {
		n.peers.Push(m.to.Addr, Push{m.records}, func(a Ack, err error) { n.pushed(m.to, m.records, a, err) })
	}
}

// pushed takes a peer's answer. The first of several pushes that fail is reported.
func (n *Node) pushed(to Member, records []Record, a Ack, err error) {
	if err == nil && a.Node != to.ID { // another process may answer at the old address
		err = fmt.Errorf("another node answers at %s", to.Addr)
	}
	news := false
	n.mu.Lock()
	if p := n.barrier.peers[to.ID]; p != nil {
		p.busy = false
		before := *p
		if err == nil {
			p.told = max(p.told, a.Applied)
			for _, r := range records {
				if r.Rev == a.Rev && n.history.has(r.Mark) { // it may have forked since
					p.acked = max(p.acked, r.Rev)
				}
			}
		}
		p.failed = *p == before
		if p.failed {
			n.counters.FailedPushes++
		}
		news = err != nil && !p.silent && !n.stopped
		p.silent = err != nil
	}
	n.mu.Unlock()
	if news {
		n.report("another node could not be told what was revoked: who revokes waits until it asks, or until its lease is over", fmt.Errorf("node [%s]: %w", to.Name, err))
	}
	wake(n.settle)
}
