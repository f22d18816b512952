package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"latchkey/internal/fault"
	"latchkey/internal/fleet"
)

// writer is the one goroutine that changes the store. What has queued up while
// it was busy shares a transaction (group commit), and every caller is answered
// after the commit is on the disk.
//
// The shared transaction has a context of its own: an engine that is
// interrupted rolls back every neighbour's change as well. Each act is a
// savepoint, so that one that fails takes nobody along. Where others write to
// the same store, a transaction may have to give way to theirs and is run again:
// an act sets what it returns anew each time. So there savepoints are only made
// once an act has failed.
type writer struct {
	tx      Tx
	dialect *dialect
	fleet   *fleet.Node // nil: nobody else has anything of the store in memory
	readers *pool
	acts    chan *act
	done    chan struct{} // closed when run has returned

	mu     sync.RWMutex // held for reading while an act is handed over
	closed bool
}

// readersRest is how often readers let go of what they see where nobody writes: a
// tool from outside may wait to write back the log of the file.
const readersRest = 10 * time.Second

// maxBatch bounds how many acts share a transaction.
const maxBatch = 512

type act struct {
	change  func(*Tx) error
	bare    bool          // see writeFirst
	state   atomic.Uint32 // waiting, claimed or given up
	err     error
	done    chan struct{}
	changes []fleet.Change // what it ends in the memories of nodes
	repeats bool           // it has found something ended already
	mark    fleet.Mark     // of the record that holds the changes, or is no older than the one that ended it
	// committed is called once the act is durable and before anyone in its batch, or later, is answered.
	committed []func()
}

const (
	waiting = iota
	claimed
	givenUp
)

func newWriter(k conn, d *dialect, keys *keyTable, readers *pool) *writer {
	w := &writer{
		dialect: d, readers: readers,
		tx: Tx{
			conn: k, dialect: d, now: time.Now, keys: keys,
			sets:       sharedRows{table: "role_sets", carried: " EXCEPT SELECT roles FROM api_keys EXCEPT SELECT limited_by FROM api_keys"},
			identities: sharedRows{table: "token_identities", carried: " EXCEPT SELECT identity FROM tokens"},
		},
		acts: make(chan *act, maxBatch), done: make(chan struct{}),
	}
	go w.run() // ends with close, which waits for it
	return w
}

// write runs change as one act: all of it or nothing. A nil error means that
// it is on the disk. fault.Unknown means that it may be; any other error means
// that it is not. The context is obeyed until the act has begun: after that the
// outcome is near, and worth more than an early answer.
func (w *writer) write(ctx context.Context, change func(*Tx) error) error {
	return w.perform(ctx, &act{change: change, done: make(chan struct{})})
}

// writeFirst is write for a change of which only the first statement can be
// refused, by a fault that no error of the engine has led to: it needs no savepoint,
// which costs as much as its work. Any other error of it ends the shared transaction.
func (w *writer) writeFirst(ctx context.Context, change func(*Tx) error) error {
	return w.perform(ctx, &act{change: change, bare: true, done: make(chan struct{})})
}

func (w *writer) perform(ctx context.Context, a *act) error {
	if err := w.submit(ctx, a); err != nil {
		return err
	}
	return w.pass(ctx, a)
}

// submit returns once an act is committed.
func (w *writer) submit(ctx context.Context, a *act) error {
	if err := ctx.Err(); err != nil {
		return w.dialect.classify(err)
	}
	w.mu.RLock()
	if w.closed {
		w.mu.RUnlock()
		return fault.New(fault.Unavailable, "the store is closed")
	}
	select {
	case w.acts <- a:
		w.mu.RUnlock()
	case <-ctx.Done():
		w.mu.RUnlock()
		return w.dialect.classify(ctx.Err())
	}
	select {
	case <-a.done:
	case <-ctx.Done():
		if a.state.CompareAndSwap(waiting, givenUp) {
			return w.dialect.classify(ctx.Err())
		}
		<-a.done // it is being written, so its outcome is near
	}
	return w.dialect.classify(a.err)
}

func (w *writer) run() {
	defer close(w.done)
	idle := time.NewTicker(readersRest)
	defer idle.Stop()
	for {
		var first *act
		select {
		case a, ok := <-w.acts:
			if !ok {
				return
			}
			first = a
		case <-idle.C:
			w.readers.rest()
			continue
		}
		runtime.Gosched() // who is about to hand over an act does so now, and shares the commit
		batch := []*act{first}
	gather:
		for len(batch) < maxBatch {
			select {
			case a, ok := <-w.acts:
				if !ok {
					break gather
				}
				batch = append(batch, a)
			default:
				break gather
			}
		}
		w.commit(batch)
	}
}

// commit runs a batch in one transaction and answers everyone in it.
func (w *writer) commit(batch []*act) {
	live := batch[:0]
	for _, a := range batch {
		if a.state.CompareAndSwap(waiting, claimed) {
			live = append(live, a)
		}
	}
	if len(live) == 0 {
		return
	}
	savepoints := !w.dialect.others // there each of them is a journey to the server, and a transaction can be run again
	written, err := w.transact(live, savepoints)
	for try := 0; fault.KindOf(err) == fault.Unavailable && try < retries; try++ {
		if errors.Is(err, errSpoilt) {
			savepoints = true
		} else if w.dialect.again(err) {
			time.Sleep(rand.N(firstPause << try))
		} else {
			break
		}
		written, err = w.transact(live, savepoints)
	}
	if fault.KindOf(err) == fault.Unknown {
		w.tx.keys.doubt()
	}
	if err != nil {
		for _, a := range live {
			a.err = err // a verdict of its own rests on what its neighbours did, and that is void
		}
	}
	if err == nil && written != nil && w.fleet != nil {
		w.fleet.Committed(*written)
	}
	for _, a := range live {
		for _, f := range a.committed {
			if a.err == nil {
				f()
			}
		}
	}
	for _, a := range live {
		close(a.done)
	}
}

// A transaction that gave way to another one, or to a failover, is run again, at
// most so often; the pauses are chosen at random below bounds that double.
const (
	retries    = 6
	firstPause = 20 * time.Millisecond
)

// transact returns what it has added to the log, if anything, and what befell the
// whole transaction; what befell one act is in the act.
func (w *writer) transact(live []*act, savepoints bool) (written *fleet.Record, err error) {
	if err := w.tx.conn.begin(); err != nil {
		return nil, notDone(err)
	}
	failed := 0
	for _, a := range live {
		if err := w.attempt(a, len(live) == 1, savepoints); err != nil {
			w.tx.conn.rollback()
			return nil, notDone(err)
		}
		if a.err != nil {
			failed++
		}
	}
	if failed == len(live) {
		w.tx.conn.rollback()
		return nil, nil
	}
	if written, err = w.log(live); err != nil {
		w.tx.conn.rollback()
		return nil, notDone(err)
	}
	if err := w.tx.conn.commit(); err != nil {
		w.tx.conn.rollback()
		if w.dialect.undone(err) {
			return nil, notDone(err)
		}
		return nil, fault.Wrap(err, fault.Unknown, "the store did not confirm the change")
	}
	return written, nil
}

// attempt runs one act inside a savepoint, or, when it is alone or bare, without one.
// It fails if the transaction can no longer be used.
func (w *writer) attempt(a *act, alone, savepoints bool) error {
	if alone || !savepoints || a.bare && !w.dialect.others {
		a.err = a.run(&w.tx)
		switch {
		case a.err == nil:
			return nil
		case w.dialect.again(a.err):
			return a.err
		case alone, a.bare && fault.KindOf(a.err) != fault.Internal:
			return nil
		case w.dialect.others:
			return errors.Join(errSpoilt, a.err)
		}
		return a.err
	}
	if _, err := w.tx.exec("SAVEPOINT act"); err != nil {
		return err
	}
	if a.err = a.run(&w.tx); a.err != nil {
		if w.dialect.again(a.err) {
			return a.err
		}
		if _, err := w.tx.exec("ROLLBACK TO act"); err != nil {
			return errors.Join(a.err, err)
		}
	}
	_, err := w.tx.exec("RELEASE act")
	return err
}

// errSpoilt says that an act without a savepoint has ended the transaction of its
// neighbours. The next time, it fails by itself.
var errSpoilt = errors.New("one change was refused without a savepoint")

func (a *act) run(tx *Tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a change panicked: %v", p)
		}
	}()
	tx.current, a.committed, a.changes, a.repeats = a, nil, nil, false // it may be the second time
	return a.change(tx)
}

func notDone(err error) error {
	return fault.Wrap(err, fault.Unavailable, "the store could not make the change")
}

func (w *writer) close() error {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.acts)
	}
	w.mu.Unlock()
	<-w.done
	return w.tx.conn.close()
}

// Tx is the transaction that an act runs in. No context of a caller reaches its statements.
type Tx struct {
	conn    conn
	dialect *dialect
	now     func() time.Time
	current *act
	keys    *keyTable

	sets        sharedRows // role sets
	identities  sharedRows // of tokens
	tokenIssued bool       // that it is stored is known
	usesStep    string     // the statement that notes so many uses
}

// committed has f called once the current act is durable, before it or any
// later write is answered. It must not write.
func (tx *Tx) committed(f func()) { tx.current.committed = append(tx.current.committed, f) }

// exec runs a statement whose text is a constant.
func (tx *Tx) exec(query string, args ...any) (result, error) {
	return tx.conn.exec(query, kept, args)
}

// execOnce runs a statement whose text was assembled for this one act.
func (tx *Tx) execOnce(query string, args ...any) (result, error) {
	return tx.conn.exec(query, once, args)
}

// row runs a query of one row whose text is a constant. The caller scans it before the next statement.
func (tx *Tx) row(query string, args ...any) row { return first(tx.query(query, args...)) }

// query runs a query whose text is a constant. The caller closes the rows before the next statement.
func (tx *Tx) query(query string, args ...any) (*rows, error) {
	return read(context.Background(), tx.conn, query, kept, args, func() {})
}

// queryOnce runs a query whose text was assembled for this one act.
func (tx *Tx) queryOnce(query string, args ...any) (*rows, error) {
	return read(context.Background(), tx.conn, query, once, args, func() {})
}

type scanner interface{ Scan(dest ...any) error }

// texts appends the only column of a query to dest. Its text may be assembled.
func (tx *Tx) texts(dest *[]string, query string, args ...any) error {
	rows, err := tx.queryOnce(query, args...)
	if err != nil {
		return err
	}
	return scanEach(rows, dest, tx.newPace().step)
}

const manyRows = 500 // between two turns of others, some hundred microseconds of work

// scanTexts appends the only column of rows to dest and closes them.
func scanTexts(rows *rows, dest *[]string) error { return scanEach(rows, dest, runtime.Gosched) }

// scanEach is scanTexts with what is done between many rows, so that a mass of them
// does not keep a processor to itself.
func scanEach(rows *rows, dest *[]string, between func()) error {
	defer rows.Close()
	for rows.Next() {
		if len(*dest)%manyRows == manyRows-1 {
			between()
		}
		var s string
		if err := rows.Scan(&s); err != nil {
			return err
		}
		*dest = append(*dest, s)
	}
	return rows.Err()
}
