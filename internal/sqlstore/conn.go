package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"zombiezen.com/go/sqlite"
)

// conn is one connection to SQLite, for one user at a time. It keeps the
// statements whose texts are constants, and has one under way at a time.
type conn struct {
	c     *sqlite.Conn
	bind  func(query string) string
	stmts map[string]*sqlite.Stmt // by the text before bind
}

// openConn opens the file of a store that has its schema.
func openConn(file string, bind func(string) string, pragmas ...string) (*conn, error) {
	c, err := sqlite.OpenConn(file, sqlite.OpenReadWrite, sqlite.OpenURI)
	if err != nil {
		return nil, err
	}
	c.SetBusyTimeout(busyTimeout)
	k := &conn{c, bind, make(map[string]*sqlite.Stmt)}
	for _, p := range pragmas {
		if _, err := k.once("PRAGMA " + p).exec(nil); err != nil {
			return nil, errors.Join(err, k.close())
		}
	}
	return k, nil
}

const busyTimeout = 5 * time.Second

func (k *conn) close() error { return k.c.Close() }

// statement is a prepared text, or why it could not be prepared.
type statement struct {
	stmt *sqlite.Stmt
	once bool // to be finalized after its use
	conn *conn
	err  error
}

// kept prepares a statement whose text is a constant, at its first use.
func (k *conn) kept(query string) statement {
	s, ok := k.stmts[query]
	if ok {
		return statement{stmt: s, conn: k}
	}
	s, err := k.c.Prepare(k.bind(query))
	if err == nil {
		k.stmts[query] = s
	}
	return statement{stmt: s, conn: k, err: err}
}

// once prepares a statement whose text was assembled for a single use.
func (k *conn) once(query string) statement {
	s, rest, err := k.c.PrepareTransient(k.bind(query))
	if err == nil && rest > 0 {
		err = errors.Join(fmt.Errorf("more than one statement: %s", query), s.Finalize())
	}
	return statement{stmt: s, once: true, conn: k, err: err}
}

// end makes the statement ready for its next use. What stopped it was told by its steps.
func (s statement) end() {
	if s.once {
		_ = s.stmt.Finalize()
		return
	}
	_ = s.stmt.Reset()
}

// exec runs the statement to its end and returns how many rows it changed.
func (s statement) exec(args []any) (result, error) {
	if s.err != nil {
		return 0, s.err
	}
	defer s.end()
	if err := s.take(args); err != nil {
		return 0, err
	}
	for {
		more, err := s.stmt.Step()
		if err != nil {
			return 0, err
		}
		if !more {
			return result(s.conn.c.Changes()), nil
		}
	}
}

// result is how many rows a statement changed.
type result int

// query returns the rows of the statement, which release is called after.
func (s statement) query(ctx context.Context, args []any, release func()) (*rows, error) {
	err := s.err
	if err == nil {
		if err = s.take(args); err != nil {
			s.end()
		}
	}
	if err != nil {
		release()
		return nil, err
	}
	return &rows{ctx: ctx, s: s, release: release}, nil
}

// take sets the parameters: argument n is $n.
func (s statement) take(args []any) error {
	for i, arg := range args {
		if !s.bind(i+1, arg) {
			plain, err := driver.DefaultParameterConverter.ConvertValue(arg) // what has a pointer, a name or a method
			if err != nil || !s.bind(i+1, plain) {
				return fmt.Errorf("parameter $%d is a %T, which is not kept: %w", i+1, arg, err)
			}
		}
	}
	return nil
}

func (s statement) bind(n int, arg any) bool {
	switch v := arg.(type) {
	case nil:
		s.stmt.BindNull(n)
	case string:
		s.stmt.BindText(n, v)
	case int64:
		s.stmt.BindInt64(n, v)
	case int:
		s.stmt.BindInt64(n, int64(v))
	case sql.NullInt64:
		if !v.Valid {
			s.stmt.BindNull(n)
			break
		}
		s.stmt.BindInt64(n, v.Int64)
	case *string:
		if v == nil {
			s.stmt.BindNull(n)
			break
		}
		s.stmt.BindText(n, *v)
	case []byte:
		if v == nil {
			s.stmt.BindNull(n)
			break
		}
		s.stmt.BindBytes(n, v)
	default:
		return false
	}
	return true
}

// rows are the answer to a query. They must be closed.
type rows struct {
	ctx     context.Context
	s       statement
	release func()
	err     error
	closed  bool
}

// Next goes to the next row and reports whether there is one.
func (r *rows) Next() bool {
	if r.closed || r.err != nil {
		return false
	}
	more, err := r.s.stmt.Step()
	if err != nil {
		r.err = err
		if gone := r.ctx.Err(); gone != nil && sqlite.ErrCode(err).ToPrimary() == sqlite.ResultInterrupt {
			r.err = gone
		}
	}
	return more && err == nil
}

// Err returns what ended the rows before their time, if anything did.
func (r *rows) Err() error { return r.err }

// Close ends the query. Closing twice does no harm.
func (r *rows) Close() error {
	if !r.closed {
		r.closed = true
		r.s.end()
		r.release()
	}
	return nil
}

// Scan copies the columns of the present row to dest: pointers to a text,
// bytes, a number or a truth, or to what may be NULL of these.
func (r *rows) Scan(dest ...any) error {
	if have := r.s.stmt.ColumnCount(); have != len(dest) {
		return fmt.Errorf("the query has %d columns, and %d were asked for", have, len(dest))
	}
	for i, d := range dest {
		if err := r.column(i, d); err != nil {
			return fmt.Errorf("column %d (%s): %w", i, r.s.stmt.ColumnName(i), err)
		}
	}
	return nil
}

func (r *rows) column(i int, dest any) error {
	s := r.s.stmt
	null := s.ColumnType(i) == sqlite.TypeNull
	switch d := dest.(type) {
	case **string:
		*d = nil
		if !null {
			text := s.ColumnText(i)
			*d = &text
		}
		return nil
	case *[]byte:
		*d = nil
		if !null {
			*d = make([]byte, s.ColumnLen(i))
			s.ColumnBytes(i, *d)
		}
		return nil
	case *sql.NullInt64:
		*d = sql.NullInt64{Int64: s.ColumnInt64(i), Valid: !null}
		return nil
	case *sql.NullBool:
		*d = sql.NullBool{Bool: s.ColumnInt64(i) != 0, Valid: !null}
		return nil
	}
	if null {
		return errors.New("is NULL")
	}
	switch d := dest.(type) {
	case *string:
		*d = s.ColumnText(i)
	case *json.RawMessage:
		*d = make([]byte, s.ColumnLen(i))
		s.ColumnBytes(i, *d)
	case *int64:
		*d = s.ColumnInt64(i)
	case *int:
		*d = s.ColumnInt(i)
	case *bool:
		*d = s.ColumnInt64(i) != 0
	default:
		return fmt.Errorf("cannot be read into a %T", dest)
	}
	return nil
}

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

// pool holds the connections that read.
type pool struct {
	free chan *conn
	gone chan struct{} // closed by close
	size int
}

func openPool(size int, open func() (*conn, error)) (*pool, error) {
	p := &pool{make(chan *conn, size), make(chan struct{}), size}
	for range size {
		k, err := open()
		if err != nil {
			return nil, errors.Join(err, p.drain(len(p.free)))
		}
		p.free <- k
	}
	return p, nil
}

var errPoolClosed = errors.New("the store is closed")

// take returns a connection that belongs to the caller until it is put back.
func (p *pool) take(ctx context.Context) (*conn, error) {
	select {
	case <-p.gone:
		return nil, errPoolClosed
	default:
	}
	select {
	case k := <-p.free:
		return k, nil
	default:
	}
	select {
	case k := <-p.free:
		return k, nil
	case <-p.gone:
		return nil, errPoolClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pool) put(k *conn) { p.free <- k }

// close waits for those who read, and closes the connections.
func (p *pool) close() error {
	close(p.gone)
	return p.drain(p.size)
}

func (p *pool) drain(n int) error {
	var errs []error
	for range n {
		errs = append(errs, (<-p.free).close())
	}
	return errors.Join(errs...)
}
