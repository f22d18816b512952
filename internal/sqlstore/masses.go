package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"latchkey/internal/apikey"
	"latchkey/internal/fault"
	"latchkey/internal/token"
)

// A mass of keys or tokens is ended by several acts where there are other writers:
// each has its locks for a moment only, and those who wait at this node get their
// turn in between. All have the same time. If one fails, those before it are done,
// and a repetition does the rest.

// massStep is how many keys, and tokens, one of these acts ends.
const massStep = 10_000

func (tx *Tx) massStep() int {
	if !tx.dialect.others {
		return math.MaxInt // nobody else writes, and what is one act is all or nothing
	}
	return massStep
}

// writeEach is write for several acts, one after the other, as long as there is
// more to do. Once the first has begun the others follow, whoever waits for them.
// Then it waits until no node accepts what any of them has ended. If it has done a
// part it is fault.Unknown.
func (w *writer) writeEach(ctx context.Context, change func(*Tx) (more bool, err error)) error {
	var passed errgroup.Group
	partDone := func(err error) error {
		return fault.Wrap(err, fault.Unknown, "a part of the change was made; repeat the request")
	}
	turn, acts := ctx, 0
	for more := true; more; turn = context.WithoutCancel(ctx) {
		a := &act{done: make(chan struct{}), change: func(tx *Tx) (err error) {
			more, err = change(tx)
			return err
		}}
		if err := w.submit(turn, a); err != nil {
			if acts > 0 {
				err = partDone(err)
			}
			return errors.Join(err, passed.Wait())
		}
		acts++
		passed.Go(func() error { return w.pass(ctx, a) })
	}
	err := passed.Wait()
	if err != nil && acts > 1 {
		err = partDone(err)
	}
	return err
}

// keyMass ends the keys that a selector chooses.
type keyMass struct {
	sel      apikey.Selector
	restOnly bool
	at       time.Time
	changed  func(ids []string)

	// What acts have left that are committed.
	begun, over bool
	live        []string // found by the last look, in order where there are other writers
	done        int      // so many of these
	found       apikey.Invalidated
}

// whose returns whose keys are ended if it is all of them.
func (m *keyMass) whose() owner {
	if len(m.sel.IDs) > 0 || m.sel.Name != "" {
		return owner{} // only some of theirs
	}
	return owner{m.sel.Username, m.sel.Realm}
}

// next ends some of the keys. Where it takes several acts, another look follows, and
// it is over with an act that has looked and has ended all that it found: between two
// acts, whoever holds one of the keys to come may make another. No id comes into
// being later, so those that were chosen by ids need no second look.
func (m *keyMass) next(tx *Tx) (more bool, err error) {
	live, done, found := m.live, m.done, m.found
	look := done == len(live)
	if look {
		if live, found, err = tx.findLive(m.sel, m.restOnly); err != nil {
			return false, err
		}
		done = 0
	}
	step := live[done:]
	step = step[:min(len(step), tx.massStep())]
	ids, err := tx.invalidate(step, m.at)
	if err != nil {
		return false, err
	}
	tx.endedMass(EndedAPIKeys, m.whose(), ids)
	more = done+len(step) < len(live) || !look && len(m.sel.IDs) == 0
	tx.committed(func() {
		if !m.begun {
			m.found = found
		}
		m.begun, m.over = true, !more
		m.live, m.done = live, done+len(step)
		m.found.IDs = append(m.found.IDs, ids...)
		m.changed(ids)
	})
	return more, nil
}

// findLive returns the keys that an invalidation ends, and what else it tells.
func (tx *Tx) findLive(sel apikey.Selector, restOnly bool) (live []string, found apikey.Invalidated, err error) {
	for _, w := range where(sel) {
		if len(sel.IDs) > 0 {
			if err := tx.fates(w, restOnly, &found, &live); err != nil {
				return nil, found, err
			}
			continue
		}
		w.add("invalidated_at IS NULL")
		if restOnly {
			others := w.clone().add("type <> %s", string(apikey.REST))
			if err := tx.texts(&found.NotReached, `SELECT id`+fromKeys+others.String(), others.args...); err != nil {
				return nil, found, err
			}
			w.add("type = %s", string(apikey.REST))
		}
		if err := tx.texts(&live, `SELECT id`+fromKeys+w.String(), w.args...); err != nil {
			return nil, found, err
		}
	}
	if tx.dialect.others {
		slices.Sort(live) // two who mark the same keys do not wait for each other
	}
	return live, found, nil
}

// fates adds the keys that were chosen by their ids to what is live, was invalidated
// before, or is not reached.
func (tx *Tx) fates(w *condition, restOnly bool, found *apikey.Invalidated, live *[]string) error {
	rows, err := tx.queryOnce(`SELECT id, type, EXISTS (SELECT 1 FROM invalidated_keys WHERE key_id = id) FROM api_keys`+w.String(), w.args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id, typ string
		var gone bool
		if err := rows.Scan(&id, &typ, &gone); err != nil {
			return err
		}
		switch {
		case gone:
			found.Before = append(found.Before, id)
		case restOnly && apikey.Type(typ) != apikey.REST:
			found.NotReached = append(found.NotReached, id)
		default:
			*live = append(*live, id)
		}
	}
	return rows.Err()
}

// invalidate marks keys that were found live, and returns those that no other
// writer has marked since then. Where it is this process that does the work, a mass
// of them goes in steps with pauses: whoever authenticates meanwhile finds a
// processor free. Where there are other writers, the ids are in order.
func (tx *Tx) invalidate(ids []string, at time.Time) ([]string, error) {
	var done []string
	size := invalidationStep
	if tx.dialect.others {
		size = maxIDs
	}
	args := make([]any, 0, 1+min(len(ids), size))
	p := tx.newPace()
	for step := range slices.Chunk(ids, size) {
		args = append(args[:0], at.UnixMilli())
		for _, id := range step {
			args = append(args, id)
		}
		var err error
		switch {
		case tx.dialect.others:
			err = tx.texts(&done, invalidateText(len(step))+` ON CONFLICT (key_id) DO NOTHING RETURNING key_id`, args...)
		case len(step) == invalidationStep:
			_, err = tx.exec(invalidateStep, args...)
		case len(step) == 1:
			_, err = tx.exec(invalidateOne, args...)
		default:
			_, err = tx.execOnce(invalidateText(len(step)), args...)
		}
		if err != nil {
			return nil, err
		}
		if len(step) < len(ids) {
			p.step()
		}
	}
	if !tx.dialect.others {
		done = ids
	}
	tx.searchableInvalidated(done, at)
	return done, nil
}

const invalidationStep = 50 // keys, about 100 microseconds of work

// pace has a mass leave the processors to others: whoever works without a rest keeps
// them waiting for whole time slices of the kernel.
type pace struct {
	off   bool      // somebody else does the work, and waits for us
	began time.Time // the step
	owed  time.Duration
}

const (
	minRest, maxRest = 50 * time.Microsecond, 300 * time.Microsecond
	maxDebt          = time.Millisecond
)

// newPace begins the first step of a mass.
func (tx *Tx) newPace() *pace { return &pace{off: tx.dialect.others, began: time.Now()} }

// step ends a step, rests for three times as long as it took, and begins the next one. By
// how much a sleep was longer than it was meant to be, a millisecond where nothing
// else goes on, the following rests are shorter.
func (p *pace) step() {
	if p.off {
		runtime.Gosched()
		return
	}
	now := time.Now()
	p.owed += min(max(3*now.Sub(p.began), minRest), maxRest)
	if p.began = now; p.owed > 0 {
		time.Sleep(p.owed)
		p.began = time.Now()
		p.owed = max(p.owed-p.began.Sub(now), -maxDebt)
	}
}

var invalidateStep, invalidateOne = invalidateText(invalidationStep), invalidateText(1)

func invalidateText(n int) string {
	b := strings.Builder{}
	b.WriteString(`INSERT INTO invalidated_keys (key_id, invalidated_at) VALUES `)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "($%d,$1)", i+2)
	}
	return b.String()
}

// tokenMass ends the tokens of a user, of a realm, or of both.
type tokenMass struct {
	whose   owner
	live    *condition
	at      time.Time
	changed func([]token.Hash)

	// What acts have left that are committed.
	over  bool
	last  int64 // the id of the last token, where they go in order; 0: from the first on
	found token.Halves
}

func newTokenMass(sel token.Selector, at time.Time, changed func([]token.Hash)) *tokenMass {
	live := (&condition{}).add(liveToken, sel.ExpiresFrom.UnixMilli(), sel.CreatedFrom.UnixMilli())
	if sel.Username != "" {
		live.add("username = %s", sel.Username)
	}
	if sel.Realm != "" {
		live.add("realm = %s", sel.Realm)
	}
	return &tokenMass{whose: owner{sel.Username, sel.Realm}, live: live, at: at, changed: changed}
}

// next ends some of the tokens. It is over when an act has looked at all of them:
// between two acts, refreshes make tokens whose ids are in no order.
func (m *tokenMass) next(tx *Tx) (more bool, err error) {
	if err := tx.lockTokens(m.whose.username); err != nil {
		return false, err
	}
	w := m.live.clone()
	if m.last > 0 {
		w.add("id > %s", m.last)
	}
	lock := ""
	if tx.dialect.others {
		lock = fmt.Sprintf(` ORDER BY id LIMIT %d FOR UPDATE`, massStep)
	}
	found, ids, err := tx.switchOff(m.at, m.changed, m.whose, selectHalves+w.String()+lock, w.args...)
	if err != nil {
		return false, err
	}
	var last int64
	if len(ids) >= tx.massStep() {
		last = ids[len(ids)-1].(int64)
	}
	more = last > 0 || m.last > 0
	tx.committed(func() {
		m.over, m.last = !more, last
		m.found.Now += found.Now
		m.found.Before += found.Before
	})
	return more, nil
}
