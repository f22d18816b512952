// Package fleet is what the nodes that share a store owe each other: once a
// change that tightens access has been answered, no node accepts from its memory
// what the change has ended. It keeps the log of such changes in step with each
// node's memory, the lease under which a node may trust that memory, and the
// barrier that an answer waits at.
//
// It knows revisions, nodes and leases, and not what is revoked: the rooms hand
// it opaque changes and are handed those of other nodes. Storage is the [Store]'s,
// and how nodes reach each other the [Peers]'.
//
// No wall clock takes part. Two nodes agree because of three orders that the code
// has to keep: a row of the fleet is committed before its lease is asked for, the
// time of a lease is taken before the question is sent, and the lease is set after
// what it covers was applied.
package fleet

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"time"
)

// Mark is a place in the history of changes: a revision, and the random name of
// the record that took it. A number alone says little: after a failover of the
// store, another record may have it.
type Mark struct {
	Rev int64  `json:"rev"`
	UID string `json:"uid"`
}

// Record is one step of the history.
type Record struct {
	Mark
	Prev string `json:"prev"` // the UID of the revision before
	Kind string `json:"kind"`
	Body []byte `json:"body"` // of what kind, and what it says, is between rooms of the same name

	// Longest is the highest Span of all rows that were there before the record was,
	// for who has written it.
	Longest time.Duration `json:"-"`
}

// Change is what a room tells its like on other nodes.
type Change struct {
	Kind string
	Body []byte
}

// manyChanges is the kind of a record that holds several changes.
const manyChanges = "many"

// Pack returns kind and body of one record that holds all the changes: what is
// committed together takes one revision. There is at least one.
func Pack(changes []Change) (kind string, body []byte) {
	if len(changes) == 1 {
		return changes[0].Kind, changes[0].Body
	}
	for _, c := range changes {
		body = appendBytes(appendBytes(body, []byte(c.Kind)), c.Body)
	}
	return manyChanges, body
}

// Changes returns what was packed.
func (r Record) Changes() ([]Change, error) {
	if r.Kind != manyChanges {
		return []Change{{r.Kind, r.Body}}, nil
	}
	var changes []Change
	for rest := r.Body; len(rest) > 0; {
		var kind, body []byte
		var ok bool
		if kind, rest, ok = cutBytes(rest); ok {
			body, rest, ok = cutBytes(rest)
		}
		if !ok {
			return nil, errors.New("a record of many changes is cut off")
		}
		changes = append(changes, Change{string(kind), body})
	}
	return changes, nil
}

func appendBytes(dest, b []byte) []byte {
	return append(binary.AppendUvarint(dest, uint64(len(b))), b...)
}

func cutBytes(b []byte) (first, rest []byte, ok bool) {
	length, n := binary.Uvarint(b)
	if n <= 0 || length > uint64(len(b)-n) {
		return nil, nil, false
	}
	rest = b[n:]
	return rest[:length:length], rest[length:], true
}

// EncodeIDs returns the body of a change that names things by their ids.
func EncodeIDs(ids []string) []byte {
	var body []byte
	for _, id := range ids {
		body = appendBytes(body, []byte(id))
	}
	return body
}

// DecodeIDs is the reverse of [EncodeIDs].
func DecodeIDs(body []byte) ([]string, error) {
	var ids []string
	for len(body) > 0 {
		id, rest, ok := cutBytes(body)
		if !ok {
			return nil, errors.New("a list of ids is cut off")
		}
		ids, body = append(ids, string(id)), rest
	}
	return ids, nil
}

// Member is a node's row in the store.
type Member struct {
	ID    string        // of one stay in the fleet: random, and never used again
	Name  string        // for people
	Span  time.Duration // for how long after it has asked for its lease it may accept from memory
	Addr  string        // where its peers reach it; empty: nowhere, so that its renewals are its acknowledgements
	Acked int64         // the revision that it had applied when it last renewed its lease
	Seq   int64         // counts its renewals
}

// Renewal is the answer to a node that asks for its lease.
type Renewal struct {
	Head   Mark // the newest record
	Gone   bool // there is no row of the node: it was fenced
	Forked bool // the log does not hold what the node has applied last

	Longest time.Duration // the highest Span of all rows
}

// Membership is who is in the fleet.
type Membership struct {
	Head    Mark
	Holds   bool // the log holds the record that was asked about
	Members []Member
}

// Store keeps the log of changes and the rows of the nodes. Every method is one
// atomic change or one consistent read, and answers within a bound of its own,
// a second or two, if only to say that it cannot tell. A change is reported as
// done only if it will outlive a failover.
//
// The log is written by those who change what is logged, inside of their
// transaction, as its last statements before the commit: they raise the counter
// row and insert the record (the kind and body of [Pack]) under the number that
// they read from it. So numbers have no gaps, and who sees a revision sees all
// before it. The first record, revision 0, is there from the beginning.
type Store interface {
	// Head returns the newest record of the log.
	Head(ctx context.Context) (Mark, error)

	// Log returns up to limit records with a higher revision, in order.
	Log(ctx context.Context, after int64, limit int) ([]Record, error)

	// Join adds the row of a node and removes the one with the ID replaces, if
	// there is one. A repetition changes nothing. While a record is being written,
	// it waits for the commit: who writes one has to know how long to wait for whom.
	Join(ctx context.Context, m Member, replaces string) error

	// Leave removes the row of a node. One that is not there is not an error.
	Leave(ctx context.Context, id string) error

	// Renew notes that a node has applied the log as far as the given record,
	// counts its Seq up, and returns the newest record, all of it only if the node
	// has a row and the log that record. It is a change of the row in any case:
	// a store that cannot be written to grants no lease.
	Renew(ctx context.Context, id string, applied Mark) (Renewal, error)

	// Members returns the rows of all nodes.
	Members(ctx context.Context, applied Mark) (Membership, error)

	// Fence removes the row of a node if its Seq is still the given one, and
	// reports whether it did. It waits for a renewal of that row under way.
	Fence(ctx context.Context, id string, seq int64) (bool, error)

	// Trim removes records that are older than age, except those that a node may
	// still ask for: the newest of all, and those from the lowest Acked on.
	Trim(ctx context.Context, age time.Duration) (removed int, err error)
}

// Push hands records to a peer.
type Push struct {
	Records []Record `json:"records"` // in order, without a gap
}

// Ack is a peer's answer to a push.
type Ack struct {
	Node    string `json:"node"`    // the ID of its row
	Applied int64  `json:"applied"` // how far it has come; says nothing of which history
	Rev     int64  `json:"rev"`     // the highest pushed record that it has applied under the same UID; 0 if none
}

// Peers reaches other nodes.
type Peers interface {
	// Push hands records to the node at addr, and calls done once, with its answer
	// or an error. It does not wait, and does not call done before it returns.
	Push(addr string, p Push, done func(Ack, error))
}

// history is the last records that a node has applied, oldest first. It begins
// with a mark of which the node knows no more, where it has joined.
type history struct {
	records []Record
	whole   int // records from here on have their bodies
	bytes   int // of these
}

const (
	maxRemembered = 1000    // records
	maxBodies     = 4 << 20 // bytes of them
)

func (h *history) start(m Mark) { *h = history{records: []Record{{Mark: m}}, whole: 1} }

func (h *history) last() Mark {
	if len(h.records) == 0 {
		return Mark{}
	}
	return h.records[len(h.records)-1].Mark
}

// add appends the record that follows the last one.
func (h *history) add(r Record) {
	h.records = append(h.records, r)
	h.bytes += len(r.Body)
	for h.bytes > maxBodies {
		h.bytes -= len(h.records[h.whole].Body)
		h.records[h.whole].Body = nil
		h.whole++
	}
	if extra := len(h.records) - maxRemembered; extra >= maxRemembered { // now and then, since it moves all
		for _, r := range h.records[min(h.whole, extra):extra] {
			h.bytes -= len(r.Body)
		}
		h.records = slices.Clone(h.records[extra:])
		h.whole = max(0, h.whole-extra)
	}
}

// at returns the mark of a revision.
func (h *history) at(rev int64) (Mark, bool) {
	if len(h.records) == 0 {
		return Mark{}, false
	}
	i := rev - h.records[0].Rev
	if i < 0 || i >= int64(len(h.records)) {
		return Mark{}, false
	}
	return h.records[i].Mark, true
}

func (h *history) has(m Mark) bool {
	own, ok := h.at(m.Rev)
	return ok && own == m
}

// contradicts reports whether another record has the revision of m.
func (h *history) contradicts(m Mark) bool {
	own, ok := h.at(m.Rev)
	return ok && own != m
}

// between returns records after one revision and up to another, as many as fit
// in a message, or none if the first of them is not remembered.
func (h *history) between(after, upTo int64) []Record {
	if len(h.records) == 0 || after < h.records[0].Rev || upTo > h.last().Rev || after >= upTo {
		return nil
	}
	i, end := int(after+1-h.records[0].Rev), int(upTo+1-h.records[0].Rev)
	if i < h.whole {
		return nil
	}
	size, n := 0, i
	for n < end && (n == i || size+len(h.records[n].Body) <= maxPush) {
		size += len(h.records[n].Body)
		n++
	}
	return slices.Clone(h.records[i:n])
}

// maxPush bounds the bodies in one message, unless a single one is longer.
const maxPush = 1 << 20
