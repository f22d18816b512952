package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"latchkey/internal/access"
	"latchkey/internal/fault"
)

// writer is the one goroutine that changes the store. What has queued up while
// it was busy shares a transaction (group commit), and every caller is answered
// after the commit is on the disk.
//
// The shared transaction has a context of its own: an engine that is
// interrupted rolls back every neighbour's change as well. Each act is a
// savepoint, so that one that fails takes nobody along.
type writer struct {
	tx      Tx
	dialect *dialect
	acts    chan *act
	done    chan struct{} // closed when run has returned

	mu     sync.RWMutex // held for reading while an act is handed over
	closed bool
}

// maxBatch bounds how many acts share a transaction.
const maxBatch = 512

type act struct {
	change func(*Tx) error
	bare   bool          // see writeFirst
	state  atomic.Uint32 // waiting, claimed or given up
	err    error
	done   chan struct{}
	// committed is called once the act is durable and before anyone in its batch, or later, is answered.
	committed []func()
}

const (
	waiting = iota
	claimed
	givenUp
)

func newWriter(k *conn, d *dialect, keys *keyTable) *writer {
	w := &writer{
		dialect: d,
		tx:      Tx{conn: k, dialect: d, keys: keys, sets: make(map[access.Digest]bool), identities: make(map[access.Digest]bool)},
		acts:    make(chan *act, maxBatch), done: make(chan struct{}),
	}
	go w.run() // ends with close, which waits for it
	return w
}

// write runs change as one act: all of it or nothing. A nil error means that
// it is on the disk. fault.Unknown means that it may be; any other error means
// that it is not. The context is obeyed until the act has begun: after that the
// outcome is near, and worth more than an early answer.
func (w *writer) write(ctx context.Context, change func(*Tx) error) error {
	return w.submit(ctx, &act{change: change, done: make(chan struct{})})
}

// writeFirst is write for a change of which only the first statement can be
// refused, by a fault: it needs no savepoint, which costs as much as its work. Any
// other error of it ends the shared transaction.
func (w *writer) writeFirst(ctx context.Context, change func(*Tx) error) error {
	return w.submit(ctx, &act{change: change, bare: true, done: make(chan struct{})})
}

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
	for first := range w.acts {
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
	if err := w.transact(live); err != nil {
		if fault.KindOf(err) == fault.Unknown {
			w.tx.keys.doubt()
		}
		for _, a := range live {
			a.err = err // a verdict of its own rests on what its neighbours did, and that is void
		}
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

// transact returns what befell the whole transaction; what befell one act is
// in the act.
func (w *writer) transact(live []*act) error {
	if _, err := w.tx.exec(w.dialect.begin); err != nil {
		return notDone(err)
	}
	failed := 0
	for _, a := range live {
		if err := w.attempt(a, len(live) == 1); err != nil {
			w.rollback()
			return notDone(err)
		}
		if a.err != nil {
			failed++
		}
	}
	if failed == len(live) {
		w.rollback()
		return nil
	}
	if _, err := w.tx.exec("COMMIT"); err != nil {
		w.rollback()
		if w.dialect.full(err) {
			return notDone(err)
		}
		return fault.Wrap(err, fault.Unknown, "the store did not confirm the change")
	}
	return nil
}

// attempt runs one act inside a savepoint, or, when it is alone or bare, without one.
// It fails if the transaction can no longer be used.
func (w *writer) attempt(a *act, alone bool) error {
	if alone || a.bare {
		a.err = a.run(&w.tx)
		if alone || fault.KindOf(a.err) != fault.Internal {
			return nil
		}
		return a.err
	}
	if _, err := w.tx.exec("SAVEPOINT act"); err != nil {
		return err
	}
	if a.err = a.run(&w.tx); a.err != nil {
		if _, err := w.tx.exec("ROLLBACK TO act"); err != nil {
			return errors.Join(a.err, err)
		}
	}
	_, err := w.tx.exec("RELEASE act")
	return err
}

func (a *act) run(tx *Tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a change panicked: %v", p)
		}
	}()
	tx.current = a
	return a.change(tx)
}

// rollback ends a transaction that failed. The engine may have ended it
// already; either way nothing of it stays, so its error has nothing to tell.
func (w *writer) rollback() { _, _ = w.tx.exec("ROLLBACK") }

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
	conn    *conn
	dialect *dialect
	current *act
	keys    *keyTable

	// What is known to be stored.
	sets        map[access.Digest]bool // role sets
	identities  map[access.Digest]bool // of tokens
	tokenIssued bool
}

// committed has f called once the current act is durable, before it or any
// later write is answered. It must not write.
func (tx *Tx) committed(f func()) { tx.current.committed = append(tx.current.committed, f) }

// exec runs a statement whose text is a constant.
func (tx *Tx) exec(query string, args ...any) (result, error) { return tx.conn.kept(query).exec(args) }

// execOnce runs a statement whose text was assembled for this one act.
func (tx *Tx) execOnce(query string, args ...any) (result, error) {
	return tx.conn.once(query).exec(args)
}

// row runs a query of one row whose text is a constant. The caller scans it before the next statement.
func (tx *Tx) row(query string, args ...any) row { return first(tx.query(query, args...)) }

// query runs a query whose text is a constant. The caller closes the rows before the next statement.
func (tx *Tx) query(query string, args ...any) (*rows, error) {
	return tx.conn.kept(query).query(context.Background(), args, func() {})
}

// queryOnce runs a query whose text was assembled for this one act.
func (tx *Tx) queryOnce(query string, args ...any) (*rows, error) {
	return tx.conn.once(query).query(context.Background(), args, func() {})
}

type scanner interface{ Scan(dest ...any) error }

// texts appends the only column of a query to dest. Its text may be assembled.
func (tx *Tx) texts(dest *[]string, query string, args ...any) error {
	rows, err := tx.queryOnce(query, args...)
	if err != nil {
		return err
	}
	return scanTexts(rows, dest)
}

const manyTexts = 200 // rows between two turns of others

// scanTexts appends the only column of rows to dest and closes them.
func scanTexts(rows *rows, dest *[]string) error {
	defer rows.Close()
	for rows.Next() {
		if len(*dest)%manyTexts == manyTexts-1 {
			runtime.Gosched() // a mass of them would keep a processor to itself
		}
		var s string
		if err := rows.Scan(&s); err != nil {
			return err
		}
		*dest = append(*dest, s)
	}
	return rows.Err()
}
