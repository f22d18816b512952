package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgtype"
)

// pgConn is a connection to PostgreSQL. It is made at its first use, and anew
// where it was lost; not within a transaction, which is lost with it.
//
// Statements go to the server with their arguments, without a name, and leave
// nothing behind in it: so they also pass through a pooler that gives each
// transaction another connection.
type pgConn struct {
	config *pgconn.Config
	pg     *pgconn.PgConn // nil: there is none yet
	inTx   bool
	warned string // by the server, since the last statement began
}

// The settings of a transaction that writes. It reads what is committed when a
// statement begins. One that waits for the lock of another gives up after a while,
// and one whose node has fallen asleep does not keep the others waiting.
const pgBegin = `BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL lock_timeout = '10s'; SET LOCAL idle_in_transaction_session_timeout = '30s'`

// The settings of a transaction in which several reads see the same.
const pgSnapshot = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY`

const (
	pgConnectTimeout = 5 * time.Second  // for each host, unless the URL has a connect_timeout
	pgSilence        = 30 * time.Second // a server that says nothing for so long is lost
	pgCancelTimeout  = time.Second      // for a read that was given up, before its connection is
)

// lost is an error of the connection, and not of a statement.
type lost struct {
	error
	connecting bool // it could not be made
	unsent     bool // it was gone before the commit, which is void
}

func (l *lost) Unwrap() error { return l.error }

// Error is one line, which that of the driver is not.
func (l *lost) Error() string { return strings.Join(strings.Fields(l.error.Error()), " ") }

// told classes an error of the driver: the server has told it, or it is lost.
func told(err error) error {
	if _, ok := errors.AsType[*pgconn.PgError](err); ok || err == nil {
		return err
	}
	return &lost{error: err}
}

// newPGReader returns a connection whose reads end with the context of their caller.
func newPGReader(config *pgconn.Config) *pgConn {
	k := &pgConn{config: config.Copy()}
	k.config.DialFunc = pgDial
	k.config.BuildContextWatcherHandler = func(pg *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: pg, DeadlineDelay: pgCancelTimeout}
	}
	return k
}

// newPGWriter returns a connection that tells of warnings, and whose statements
// nobody cancels.
func newPGWriter(config *pgconn.Config) *pgConn {
	k := &pgConn{config: config.Copy()}
	// A connection that is lost has the driver send a request to cancel what runs on it. That would make a commit
	// count that waits for a standby, on this server alone. So a writer's connection is the only one it may open.
	k.config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if ctx.Value(connecting{}) == nil {
			return nil, errors.New("a write is not cancelled")
		}
		return pgDial(ctx, network, address)
	}
	k.config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		if pgSeverity((*pgconn.PgError)(n)) == "WARNING" {
			k.warned = n.Message
		}
	}
	return k
}

// connecting marks the context of a connection in the making.
type connecting struct{}

func (k *pgConn) connect(ctx context.Context) error {
	if k.pg != nil && !k.pg.IsClosed() {
		return nil
	}
	if k.inTx {
		return &lost{error: errors.New("the connection was lost within the transaction")}
	}
	pg, err := pgconn.ConnectConfig(context.WithValue(ctx, connecting{}, true), k.config)
	if err != nil {
		return &lost{error: err, connecting: true}
	}
	k.pg = pg
	return nil
}

func (k *pgConn) rest() {}

func (k *pgConn) settle() {}

func (k *pgConn) close() error {
	if k.pg == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), pgCancelTimeout)
	defer cancel()
	_ = k.pg.Close(ctx) // a server that is gone cannot be told
	return nil
}

// plain runs statements without arguments and returns the tag of the last one.
func (k *pgConn) plain(ctx context.Context, statements string) (string, error) {
	k.warned = ""
	all, err := k.pg.Exec(ctx, statements).ReadAll()
	if err != nil || len(all) == 0 {
		return "", told(err)
	}
	return all[len(all)-1].CommandTag.String(), nil
}

func (k *pgConn) begin() error { return k.start(context.Background(), pgBegin) }

func (k *pgConn) snapshot(ctx context.Context) error { return given(ctx, k.start(ctx, pgSnapshot)) }

// start starts a transaction by the given statements.
func (k *pgConn) start(ctx context.Context, statements string) error {
	for again := true; ; again = false {
		if err := k.connect(ctx); err != nil {
			return err
		}
		_, err := k.plain(ctx, statements)
		if err == nil {
			k.inTx = true
			return nil
		}
		gone := pgGone(err)
		_ = k.close()        // half of it may have begun
		if !again || !gone { // it may have been lost long ago
			return err
		}
	}
}

// commit ends the transaction. A warning is no success: whoever has waited in vain
// for a standby is told so, and the change counts on this server alone.
func (k *pgConn) commit() error {
	if k.pg.IsClosed() {
		return &lost{error: errors.New("the connection was lost before the commit"), unsent: true}
	}
	tag, err := k.plain(context.Background(), "COMMIT")
	switch {
	case err != nil:
		return err
	case tag != "COMMIT":
		return &pgconn.PgError{Severity: "ERROR", Code: pgFailedTransaction, Message: "the transaction had failed"}
	case k.warned != "":
		return fmt.Errorf("the server has committed with a warning: %s", k.warned)
	}
	k.inTx = false
	return nil
}

const pgFailedTransaction = "25P02"

func (k *pgConn) rollback() {
	k.inTx = false
	if k.pg.IsClosed() {
		return
	}
	if _, err := k.plain(context.Background(), "ROLLBACK"); err != nil {
		_ = k.close()
	}
}

func (k *pgConn) exec(query string, _ use, args []any) (result, error) {
	r, err := k.run(context.Background(), query, args)
	if err != nil {
		return 0, err
	}
	for r.NextRow() {
	}
	tag, err := r.Close()
	return result(tag.RowsAffected()), told(err)
}

// query gets as far as the first row, so that a connection that was lost while
// nobody used it is noticed in time to make another one.
func (k *pgConn) query(ctx context.Context, query string, _ use, args []any) (cursor, error) {
	for again := !k.inTx; ; again = false {
		r, err := k.run(ctx, query, args)
		if err != nil {
			return nil, err
		}
		c := &pgCursor{r: r, waiting: true}
		if c.more = r.NextRow(); c.more {
			return c, nil
		}
		if _, err = r.Close(); err == nil {
			return c, nil
		}
		if err = told(err); !again || ctx.Err() != nil || !pgGone(err) {
			return nil, err
		}
	}
}

func (k *pgConn) run(ctx context.Context, query string, args []any) (*pgconn.ResultReader, error) {
	values, formats, err := pgValues(args)
	if err != nil {
		return nil, err
	}
	if err := k.connect(ctx); err != nil {
		return nil, err
	}
	return k.pg.ExecParams(ctx, query, values, nil, formats, []int16{pgtype.BinaryFormatCode}), nil
}

// pgCursor is the answer to a query, one row ahead at its beginning.
type pgCursor struct {
	r             *pgconn.ResultReader
	waiting, more bool // the first row was asked for already, and whether it came
}

func (c *pgCursor) step() (bool, error) {
	if c.waiting {
		c.waiting = false
	} else if c.more {
		c.more = c.r.NextRow()
	}
	if c.more {
		return true, nil
	}
	_, err := c.r.Close()
	return false, told(err)
}

func (c *pgCursor) end() { _, _ = c.r.Close() } // what stopped it was told by its steps

func (c *pgCursor) scan(dest []any) error {
	fields, values := c.r.FieldDescriptions(), c.r.Values()
	if len(values) != len(dest) {
		return fmt.Errorf("the query has %d columns, and %d were asked for", len(values), len(dest))
	}
	for i, d := range dest {
		if err := (pgColumn{values[i], fields[i].DataTypeOID}).scan(d); err != nil {
			return fmt.Errorf("column %d (%s): %w", i, fields[i].Name, err)
		}
	}
	return nil
}

// pgDial connects to a server that is given up when it says nothing for a while:
// no context of a caller ends a write.
func pgDial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &impatient{Conn: c}, nil
}

var errSilent = fmt.Errorf("the server has said nothing for %v", pgSilence)

// impatient is a connection on which nobody waits for long. A deadline that the
// driver sets comes first.
type impatient struct {
	net.Conn
	mu       sync.Mutex
	deadline time.Time
}

func (c *impatient) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	return c.Conn.SetDeadline(t)
}

// limit sets how long the next read may take and reports whether that is ours.
func (c *impatient) limit() (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.deadline.IsZero() {
		return false, nil
	}
	return true, c.SetReadDeadline(time.Now().Add(pgSilence))
}

func (c *impatient) Read(b []byte) (int, error) {
	ours, err := c.limit()
	if err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(b)
	if late, ok := errors.AsType[net.Error](err); ours && ok && late.Timeout() {
		if still, _ := c.limit(); still {
			err = errSilent // no timeout, after which the driver would go on
		}
	}
	return n, err
}
