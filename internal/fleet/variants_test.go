package fleet

import "time"

// variant is a way to get the protocol wrong. They are made of what surrounds a
// node here, so that its code has no part in them.
type variant string

const (
	sound       variant = ""
	noLease     variant = "no check of the lease"
	noDead      variant = "no look at whether the entry has died"
	deadFirst   variant = "a look at whether the entry has died before the lease is checked"
	noTombs     variant = "entries of loads that were overtaken are kept"
	byNumber    variant = "loads that compare the number of the revision alone"
	anyStore    variant = "loads from any store"
	giveUp      variant = "a barrier that gives up after 50 ms"
	leaseFirst  variant = "the lease is set before the log is read"
	lateStart   variant = "the lease counts from the answer"
	leaseOfJoin variant = "a join is a lease"
	noFence     variant = "a lease that should be over is not fenced"
	noChain     variant = "records without names"
	ackByNumber variant = "acknowledgements of numbers"
	ownSpans    variant = "everybody takes its own lease for as long as all others"
	ownLongest  variant = "who goes by time alone goes by its own lease"
	sequence    variant = "revisions from a sequence"
	noRepeat    variant = "who finds the work done does not wait"
	blindRepeat variant = "who finds the work done takes it for safe"
	async       variant = "a store that confirms what its standby does not have"
	wildClocks  variant = "clocks that run faster and slower than is allowed for"
	frozen      variant = "clocks that stand still for longer than is allowed for"
)

// variants says in which schedules each of them shows.
var variants = []struct {
	variant
	in kind
}{
	{noLease, anything}, {noDead, anything}, {deadFirst, anything}, {noTombs, anything},
	{byNumber, failovers}, {anyStore, failovers}, {giveUp, anything},
	{leaseFirst, ignorant}, {lateStart, anything}, {leaseOfJoin, anything},
	{noFence, returning}, {noChain, failovers}, {ackByNumber, failovers}, {sequence, anything},
	{ownSpans, settings}, {ownLongest, settings},
	{noRepeat, anything}, {blindRepeat, failovers},
	{async, failovers}, {wildClocks, stalls}, {frozen, stalls},
}

// renewed is called when the node's store has confirmed a renewal that was begun at sent.
func (h *host) renewed(sent time.Duration) {
	switch h.sim.broken {
	case leaseFirst:
		h.node.lease.extend(sent + leaseLength)
	case lateStart:
		h.begun, h.confirmed = sent, h.Now()
	}
}

// restart lets a lease that was just set count from when it was confirmed.
func (h *host) restart() {
	if h.confirmed != 0 && h.node.lease.deadline.Load() == int64(h.begun+leaseLength) {
		h.node.lease.extend(h.confirmed + leaseLength)
		h.confirmed = 0
	}
}
