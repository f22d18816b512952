package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"sync"
)

// conn is one connection to an engine, for one user at a time. It has one
// statement under way at a time.
type conn interface {
	begin() error // starts a transaction that may write
	// snapshot starts a transaction whose reads see one state of the store. It ends with rollback.
	snapshot(ctx context.Context) error
	// commit ends the transaction. An error leaves open whether it counts,
	// unless the dialect knows that it was undone.
	commit() error
	// rollback ends a transaction that failed. The engine may have ended it
	// already; either way nothing of it stays, so its error has nothing to tell.
	rollback()
	// exec runs a statement to its end and returns how many rows it changed.
	exec(query string, u use, args []any) (result, error)
	query(ctx context.Context, query string, u use, args []any) (cursor, error)
	rest()   // lets go of what a connection holds on to between two reads
	settle() // rests if there was a commit since
	close() error
}

// use is what the text of a statement is worth keeping for.
type use int

const (
	once  use = iota // assembled for a single use
	kept             // a constant, which is prepared at its first use
	point            // a constant, and a read of one row by its key: the engine has it in microseconds, if it is in this process
)

// result is how many rows a statement changed.
type result int

// cursor is the answer of an engine to a query. end is called once.
type cursor interface {
	step() (more bool, err error)
	scan(dest []any) error
	end()
}

// rows are the answer to a query. They must be closed.
type rows struct {
	ctx     context.Context
	cursor  cursor
	release func()
	err     error
	closed  bool
}

// read runs a query on a connection. release is called after the last use of it.
func read(ctx context.Context, k conn, query string, u use, args []any, release func()) (*rows, error) {
	c, err := k.query(ctx, query, u, args)
	if err != nil {
		release()
		return nil, given(ctx, err)
	}
	return &rows{ctx: ctx, cursor: c, release: release}, nil
}

// given adds to an error that the caller had given up, if that is so.
func given(ctx context.Context, err error) error {
	if gone := ctx.Err(); gone != nil && !errors.Is(err, gone) {
		return errors.Join(gone, err)
	}
	return err
}

// Next goes to the next row and reports whether there is one.
func (r *rows) Next() bool {
	if r.closed || r.err != nil {
		return false
	}
	more, err := r.cursor.step()
	if err != nil {
		r.err = given(r.ctx, err)
	}
	return more && err == nil
}

// Err returns what ended the rows before their time, if anything did.
func (r *rows) Err() error { return r.err }

// Close ends the query. Closing twice does no harm.
func (r *rows) Close() error {
	if !r.closed {
		r.closed = true
		r.cursor.end()
		r.release()
	}
	return nil
}

// Scan copies the columns of the present row to dest: pointers to a text,
// bytes, a number or a truth, or to what may be NULL of these.
func (r *rows) Scan(dest ...any) error { return r.cursor.scan(dest) }

// row is the first row of a query that has one at most.
type row struct {
	rows *rows
	err  error
}

// Scan copies the columns to dest, see [rows.Scan]; sql.ErrNoRows if there is no row.
func (r row) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	defer r.rows.Close()
	if !r.rows.Next() {
		if r.rows.err != nil {
			return r.rows.err
		}
		return sql.ErrNoRows
	}
	if err := r.rows.Scan(dest...); err != nil {
		return err
	}
	for r.rows.Next() { // a statement that changes something does so to its end
	}
	return r.rows.err
}

func first(r *rows, err error) row { return row{r, err} }

// pool holds the connections that read. The one that was used last is the next to be
// taken: what it has in its page cache is needed again, and those that are not needed
// have nothing in theirs.
type pool struct {
	turns chan struct{} // has a value for each connection that is free
	gone  chan struct{} // closed by close
	size  int

	mu   sync.Mutex
	free []conn
}

func openPool(size int, open func() (conn, error)) (*pool, error) {
	p := &pool{turns: make(chan struct{}, size), gone: make(chan struct{}), size: size}
	for range size {
		k, err := open()
		if err != nil {
			return nil, errors.Join(err, p.drain(len(p.free)))
		}
		p.put(k)
	}
	return p, nil
}

var errPoolClosed = errors.New("the store is closed")

// take returns a connection that belongs to the caller until it is put back.
func (p *pool) take(ctx context.Context) (conn, error) {
	select {
	case <-p.gone:
		return nil, errPoolClosed
	default:
	}
	select {
	case <-p.turns:
		return p.pop(), nil
	default:
	}
	select {
	case <-p.turns:
		return p.pop(), nil
	case <-p.gone:
		return nil, errPoolClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// pop is for who has a turn.
func (p *pool) pop() conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.free) - 1
	k := p.free[last]
	p.free = p.free[:last]
	return k
}

func (p *pool) put(k conn) {
	p.mu.Lock()
	k.settle() // under the lock: a commit that has asked all who are free to rest is seen here
	p.free = append(p.free, k)
	p.mu.Unlock()
	p.turns <- struct{}{}
}

// rest has those connections rest that nobody uses just now.
func (p *pool) rest() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range p.free {
		k.rest()
	}
}

// close waits for those who read, and closes the connections.
func (p *pool) close() error {
	close(p.gone)
	return p.drain(p.size)
}

func (p *pool) drain(n int) error {
	var errs []error
	for range n {
		<-p.turns
		errs = append(errs, p.pop().close())
	}
	return errors.Join(errs...)
}
