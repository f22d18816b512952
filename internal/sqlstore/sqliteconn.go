package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"zombiezen.com/go/sqlite"
)

// sqliteConn is a connection to SQLite. It keeps the statements whose texts are constants.
type sqliteConn struct {
	c     *sqlite.Conn
	stmts map[string]*statement // by the text with our placeholders

	commits *commits
	open    bool   // a transaction of point reads is under way
	seen    uint64 // the commits when it began
}

// commits are those of all connections to a file. While one is under way, and from
// then on, nobody may read what was before: the count is odd while one is.
type commits struct {
	count atomic.Uint64
	rest  func() // has the connections that nobody uses let go of what they see
}

// openConn opens the file of a store that has its schema.
func openConn(file string, commits *commits, pragmas ...string) (*sqliteConn, error) {
	c, err := sqlite.OpenConn(file, sqlite.OpenReadWrite, sqlite.OpenURI)
	if err != nil {
		return nil, err
	}
	c.SetBusyTimeout(busyTimeout)
	k := &sqliteConn{c: c, stmts: make(map[string]*statement), commits: commits}
	for _, p := range pragmas {
		if _, err := k.exec("PRAGMA "+p, once, nil); err != nil {
			return nil, errors.Join(err, k.close())
		}
	}
	return k, nil
}

const busyTimeout = 5 * time.Second

func (k *sqliteConn) close() error { return k.c.Close() }

func (k *sqliteConn) begin() error {
	_, err := k.exec("BEGIN IMMEDIATE", kept, nil)
	return err
}

func (k *sqliteConn) snapshot(context.Context) error {
	k.rest()
	_, err := k.exec("BEGIN", kept, nil)
	return err
}

// commit has the readers let go of what they see first: what one of them sees could not
// be written back from the log of the file, which would grow.
func (k *sqliteConn) commit() error {
	k.commits.count.Add(1)
	defer k.commits.count.Add(1) // before anybody is told; also of one that may have failed
	k.commits.rest()
	_, err := k.exec("COMMIT", kept, nil)
	return err
}

func (k *sqliteConn) rollback() { _, _ = k.exec("ROLLBACK", kept, nil) }

// statement is a prepared text. It is the cursor of its own rows.
type statement struct {
	stmt        *sqlite.Stmt
	once        bool // to be finalized after its use
	interrupted bool // its connection ends it with the context of a caller
	conn        *sqliteConn
}

func (k *sqliteConn) prepare(query string, u use) (*statement, error) {
	if u == once {
		s, rest, err := k.c.PrepareTransient(numbered(query))
		if err == nil && rest > 0 {
			err = errors.Join(fmt.Errorf("more than one statement: %s", query), s.Finalize())
		}
		return &statement{stmt: s, once: true, conn: k}, err
	}
	if s, ok := k.stmts[query]; ok {
		return s, nil
	}
	stmt, err := k.c.Prepare(numbered(query))
	if err != nil {
		return nil, err
	}
	s := &statement{stmt: stmt, conn: k}
	k.stmts[query] = s
	return s, nil
}

// end makes the statement ready for its next use. What stopped it was told by its steps.
func (s *statement) end() {
	if s.once {
		_ = s.stmt.Finalize()
	} else {
		_ = s.stmt.Reset()
	}
	if s.interrupted {
		s.interrupted = false
		s.conn.c.SetInterrupt(nil)
	}
}

func (k *sqliteConn) exec(query string, u use, args []any) (result, error) {
	s, err := k.prepare(query, u)
	if err != nil {
		return 0, err
	}
	defer s.end()
	if err := s.take(args); err != nil {
		return 0, err
	}
	for {
		more, err := s.step()
		if err != nil {
			return 0, err
		}
		if !more {
			return result(k.c.Changes()), nil
		}
	}
}

// lookOn makes the next point read part of a transaction that stays open until there
// is a commit: to take the locks of the file for each read costs a fifth of it. What
// is read while one is under way is read by itself, so that nobody sees what was
// before when another reader has seen what came after.
func (k *sqliteConn) lookOn() error {
	k.settle()
	if k.open {
		return nil
	}
	now := k.commits.count.Load() // before the transaction begins
	if now%2 == 1 {
		return nil
	}
	if _, err := k.exec("BEGIN", kept, nil); err != nil {
		return err
	}
	k.open, k.seen = true, now
	return nil
}

func (k *sqliteConn) settle() {
	if k.open && k.seen != k.commits.count.Load() {
		k.rest()
	}
}

func (k *sqliteConn) rest() {
	if k.open {
		k.rollback()
		k.open = false
	}
}

// query watches the context of a read that may take long. A short one would
// spend more time on that than on its work.
func (k *sqliteConn) query(ctx context.Context, query string, u use, args []any) (cursor, error) {
	if u == point {
		if err := k.lookOn(); err != nil {
			return nil, err
		}
	} else {
		k.rest()
	}
	watched := u != point && ctx.Done() != nil
	if watched {
		k.c.SetInterrupt(ctx.Done())
	}
	s, err := k.prepare(query, u)
	if err != nil {
		if watched {
			k.c.SetInterrupt(nil)
		}
		return nil, err
	}
	s.interrupted = watched
	if err := s.take(args); err != nil {
		s.end()
		return nil, err
	}
	return s, nil
}

func (s *statement) step() (bool, error) { return s.stmt.Step() }

// take sets the parameters: argument n is $n.
func (s *statement) take(args []any) error {
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

func (s *statement) bind(n int, arg any) bool {
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

func (s *statement) scan(dest []any) error {
	if have := s.stmt.ColumnCount(); have != len(dest) {
		return fmt.Errorf("the query has %d columns, and %d were asked for", have, len(dest))
	}
	for i, d := range dest {
		if err := s.column(i, d); err != nil {
			return fmt.Errorf("column %d (%s): %w", i, s.stmt.ColumnName(i), err)
		}
	}
	return nil
}

func (s *statement) column(i int, dest any) error {
	stmt := s.stmt
	null := stmt.ColumnType(i) == sqlite.TypeNull
	switch d := dest.(type) {
	case **string:
		*d = nil
		if !null {
			text := stmt.ColumnText(i)
			*d = &text
		}
		return nil
	case *[]byte:
		*d = nil
		if !null {
			*d = make([]byte, stmt.ColumnLen(i))
			stmt.ColumnBytes(i, *d)
		}
		return nil
	case *sql.NullInt64:
		*d = sql.NullInt64{Int64: stmt.ColumnInt64(i), Valid: !null}
		return nil
	case *sql.NullBool:
		*d = sql.NullBool{Bool: stmt.ColumnInt64(i) != 0, Valid: !null}
		return nil
	}
	if null {
		return errors.New("is NULL")
	}
	switch d := dest.(type) {
	case *string:
		*d = stmt.ColumnText(i)
	case *json.RawMessage:
		*d = make([]byte, stmt.ColumnLen(i))
		stmt.ColumnBytes(i, *d)
	case *int64:
		*d = stmt.ColumnInt64(i)
	case *int:
		*d = stmt.ColumnInt(i)
	case *bool:
		*d = stmt.ColumnInt64(i) != 0
	default:
		return fmt.Errorf("cannot be read into a %T", dest)
	}
	return nil
}
