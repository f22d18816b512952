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
	"time"

	"github.com/pressly/goose/v3"

	"latchkey/internal/fault"
)

//go:embed migrations
var migrations embed.FS

// DB is an open store.
type DB struct {
	dialect
	readers  *pool
	keys     *keyTable
	searches chan struct{} // bounds how many readers are searching, so that some are left to those who authenticate
	nodes    *FleetStore   // nil: no other node can have the store
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
	// A commit is on the disk when it returns (synchronous=FULL); checkpoints are
	// rare, since they double the writing.
	file := "file:" + (&url.URL{Path: path}).EscapedPath()
	if err := migrateSQLite(ctx, file); err != nil {
		return nil, sqliteDialect.explain(path, err)
	}
	commits := &commits{rest: func() {}}
	w, err := openConn(file, commits, "synchronous = FULL", "foreign_keys = 1", "wal_autocheckpoint = 4000", "cache_size = -4000")
	if err != nil {
		return nil, sqliteDialect.explain(path, err)
	}
	// Each has a page cache of its own. The kernel has the pages as well: larger ones were no faster.
	readers := max(4, runtime.GOMAXPROCS(0))
	r, err := openPool(readers, func() (conn, error) { return openConn(file, commits, "query_only = 1", "cache_size = -1000") })
	if err != nil {
		return nil, errors.Join(sqliteDialect.explain(path, err), w.close())
	}
	commits.rest = r.rest
	return newDB(sqliteDialect, r, w), nil
}

// newDB returns a store over connections that belong to it from now on.
func newDB(d dialect, r *pool, w conn) *DB {
	keys := newKeyTable()
	return &DB{dialect: d, readers: r, writer: newWriter(w, &d, keys, r), keys: keys, searches: make(chan struct{}, r.size/2)}
}

// migrateSQLite brings a file up to date. The WAL it is set to stays with the file.
func migrateSQLite(ctx context.Context, file string) error {
	const pragmas = "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)"
	db, err := sql.Open("sqlite", file+pragmas) // in the DSN: run once on the pool, they would bind one connection of many
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	return errors.Join(migrate(ctx, db, goose.DialectSQLite3, "migrations/sqlite"), db.Close())
}

// migrate runs the migrations that the database does not have yet. It refuses
// a database that a later release has changed, unless that release has left room
// for this one, so that the nodes of a fleet can be replaced one after the other.
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
	if have > want && engine == goose.DialectPostgres {
		if floor, err := schemaFloor(ctx, db); err != nil || want >= floor {
			return err
		}
	}
	if have > want {
		return fmt.Errorf("its schema is version %d, and this release knows only %d: use the release that wrote it, or a later one", have, want)
	}
	_, err = p.Up(ctx)
	return err
}

// Close waits for the reads and writes that have begun and closes the store.
func (d *DB) Close() error {
	d.keys.stop()
	err := errors.Join(d.readers.close(), d.writer.close())
	if d.nodes != nil {
		err = errors.Join(err, d.nodes.conns.close())
	}
	return err
}

// query runs a read. Its text is a constant: statements are prepared once and kept.
func (d *DB) query(ctx context.Context, query string, args ...any) (*rows, error) {
	r, err := d.read(ctx, query, kept, args)
	return r, d.classify(err)
}

// queryOnce runs a read whose text was assembled for this one request.
func (d *DB) queryOnce(ctx context.Context, query string, args ...any) (*rows, error) {
	r, err := d.read(ctx, query, once, args)
	return r, d.classify(err)
}

func (d *DB) read(ctx context.Context, query string, u use, args []any) (*rows, error) {
	k, err := d.readers.take(ctx)
	if err != nil {
		return nil, err
	}
	return read(ctx, k, query, u, args, func() { d.readers.put(k) })
}

// get scans the only row of a read into dest; sql.ErrNoRows if there is none.
func (d *DB) get(ctx context.Context, query string, args []any, dest ...any) error {
	return d.classify(d.row(ctx, query, args...).Scan(dest...))
}

// row reads one row by its key; the caller scans it.
func (d *DB) row(ctx context.Context, query string, args ...any) row {
	if err := ctx.Err(); err != nil {
		return row{err: err}
	}
	return first(d.read(ctx, query, point, args))
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
