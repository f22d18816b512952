package fleet

// peer is what is known of another node beyond its row.
type peer struct {
	busy   bool  // a push is under way
	failed bool  // the last one was in vain; the next one waits for the next look
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
		n.peers.Push(m.to.Addr, Push{m.records}, func(a Ack, err error) { n.pushed(m.to.ID, m.records, a, err) })
	}
}

// pushed takes a peer's answer.
func (n *Node) pushed(id string, records []Record, a Ack, err error) {
	n.mu.Lock()
	if p := n.barrier.peers[id]; p != nil {
		p.busy = false
		before := *p
		if err == nil && a.Node == id { // another process may answer at the old address
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
	}
	n.mu.Unlock()
	wake(n.settle)
}
