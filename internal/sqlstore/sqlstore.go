// Package sqlstore keeps latchkey's records in SQL. It implements the Store of
// every domain room and leaves all rules to them.
//
// The SQL is one text for all engines. Times are epoch milliseconds, which is
// what the wire uses and what no engine can reinterpret.
package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/pressly/goose/v3"

	"latchkey/internal/fault"
)

//go:embed migrations
var migrations embed.FS

// DB is an open store.
type DB struct {
	dialect
	readers *sql.DB

	mu    sync.Mutex // guards the life of reads
	reads map[string]*sql.Stmt

	*writer
}

// OpenSQLite opens or creates the database file at path and brings its schema
// up to date. The caller makes sure that no other process has it open.
func OpenSQLite(ctx context.Context, path string) (*DB, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) // SQLite would create it readable for everyone
	if err != nil {
		return nil, sqliteDialect.explain(path, err)
	}
	if err := f.Close(); err != nil {
		return nil, sqliteDialect.explain(path, err)
	}
	// Pragmas go in the DSN: run once on the pool, they would bind one
	// connection of many. A commit is on the disk when it returns
	// (synchronous=FULL); checkpoints are rare, since they double the writing.
	file := "file:" + (&url.URL{Path: path}).EscapedPath()
	const common = "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)"
	w, err := sql.Open("sqlite", file+common+"&_pragma=wal_autocheckpoint(4000)&_pragma=cache_size(-24000)")
	if err != nil {
		return nil, err
	}
	w.SetMaxOpenConns(1)
	if err := migrate(ctx, w, goose.DialectSQLite3, "migrations/sqlite"); err != nil {
		return nil, errors.Join(sqliteDialect.explain(path, err), w.Close())
	}
	r, err := sql.Open("sqlite", file+common+"&_pragma=query_only(1)&_pragma=cache_size(-4000)")
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	readers := max(4, runtime.GOMAXPROCS(0)) // each has a page cache of its own
	r.SetMaxOpenConns(readers)
	r.SetMaxIdleConns(readers)
	wr, err := newWriter(ctx, w, &sqliteDialect)
	if err != nil {
		return nil, errors.Join(sqliteDialect.explain(path, err), r.Close(), w.Close())
	}
	return &DB{dialect: sqliteDialect, readers: r, reads: make(map[string]*sql.Stmt), writer: wr}, nil
}

// migrate runs the migrations that the database does not have yet. It refuses
// a database that a later release has changed.
func migrate(ctx context.Context, db *sql.DB, engine goose.Dialect, folder string) error {
	files, err := fs.Sub(migrations, folder)
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(engine, db, files)
	if err != nil {
		return err
	}
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return err
	}
	if have > want {
		return fmt.Errorf("its schema is version %d, and this release knows only %d: use the release that wrote it, or a later one", have, want)
	}
	_, err = p.Up(ctx)
	return err
}

// Close waits for the writes that have begun and closes the store.
func (d *DB) Close() error {
	return errors.Join(d.readers.Close(), d.writer.close())
}

// query runs a read. Its text is a constant: statements are prepared once and kept.
func (d *DB) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	stmt, err := d.prepared(ctx, query)
	if err != nil {
		return nil, d.classify(err)
	}
	rows, err := stmt.QueryContext(ctx, args...)
	return rows, d.classify(err)
}

// queryOnce runs a read whose text was assembled for this one request.
func (d *DB) queryOnce(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	rows, err := d.readers.QueryContext(ctx, d.bind(query), args...)
	return rows, d.classify(err)
}

// get scans the only row of a read into dest; sql.ErrNoRows if there is none.
func (d *DB) get(ctx context.Context, query string, args []any, dest ...any) error {
	row, err := d.row(ctx, query, args...)
	if err != nil {
		return err
	}
	return d.classify(row.Scan(dest...))
}

// row reads one row by its key. Such a read takes microseconds: the driver and
// database/sql would each start a goroutine to watch a context that can end, so
// it is looked at before and not during the read.
func (d *DB) row(ctx context.Context, query string, args ...any) (*sql.Row, error) {
	if err := ctx.Err(); err != nil {
		return nil, d.classify(err)
	}
	stmt, err := d.prepared(ctx, query)
	if err != nil {
		return nil, d.classify(err)
	}
	return stmt.QueryRowContext(context.WithoutCancel(ctx), args...), nil
}

func (d *DB) prepared(ctx context.Context, query string) (*sql.Stmt, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if stmt, ok := d.reads[query]; ok {
		return stmt, nil
	}
	stmt, err := d.readers.PrepareContext(ctx, d.bind(query))
	if err == nil {
		d.reads[query] = stmt
	}
	return stmt, err
}

// Meta returns a value that belongs to the store as a whole, such as its
// cluster UUID; fault.NotFound if it was never set.
func (d *DB) Meta(ctx context.Context, name string) (string, error) {
	var value string
	err := d.get(ctx, `SELECT value FROM meta WHERE name = $1`, []any{name}, &value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", fault.New(fault.NotFound, "[%s] was never set", name)
	}
	return value, err
}

// InitMeta sets a value unless it is set already, and returns the one that holds.
func (d *DB) InitMeta(ctx context.Context, name, value string) (string, error) {
	err := d.write(ctx, func(tx *Tx) error {
		if _, err := tx.exec(`INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`, name, value); err != nil {
			return err
		}
		return tx.row(`SELECT value FROM meta WHERE name = $1`, name).Scan(&value)
	})
	return value, err
}

func millis(t time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: t.UnixMilli(), Valid: !t.IsZero()}
}

func fromMillis(n sql.NullInt64) time.Time {
	if !n.Valid {
		return time.Time{}
	}
	return time.UnixMilli(n.Int64).UTC()
}
