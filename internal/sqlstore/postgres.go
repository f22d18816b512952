package sqlstore

import (
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

// OpenPostgres opens the store in the database at url, postgres://..., and brings
// its schema up to date. Other processes may have it open.
func OpenPostgres(ctx context.Context, url string) (*DB, error) {
	config, err := postgresConfig(url)
	if err != nil {
		return nil, err
	}
	if err := migratePostgres(ctx, config); err != nil {
		return nil, postgresDialect.explain(address(config), err)
	}
	readers := max(4, 2*runtime.GOMAXPROCS(0)) // they wait for the network more than they work
	r, err := openPool(readers, func() (conn, error) { return newPGReader(&config.Config), nil })
	if err != nil {
		return nil, err
	}
	nodes, err := newFleetStore(&config.Config)
	if err != nil {
		return nil, errors.Join(err, r.close())
	}
	db := newDB(postgresDialect, r, newPGWriter(&config.Config))
	db.nodes = nodes
	return db, nil
}

// MigratePostgres brings the schema of the database at url up to date.
func MigratePostgres(ctx context.Context, url string) error {
	config, err := postgresConfig(url)
	if err != nil {
		return err
	}
	if err := migratePostgres(ctx, config); err != nil {
		return postgresDialect.explain(address(config), err)
	}
	return nil
}

// postgresConfig reads a URL, and the environment variables of PostgreSQL's own
// clients for what it leaves out. No error shows a password.
func postgresConfig(url string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(url)
	if file, ok := errors.AsType[*fs.PathError](err); ok {
		return nil, fmt.Errorf("the URL of the database names a file that cannot be read: %w", file)
	}
	if err != nil { // its text may hold what was meant to be the password
		return nil, errors.New("the URL of the database is not understood; write postgres://USER:PASSWORD@HOST:5432/DATABASE?sslmode=verify-full")
	}
	if config.ValidateConnect == nil { // of several hosts, the one that may be written to
		config.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = pgConnectTimeout
	}
	for name, value := range map[string]string{"application_name": "latchkey", "client_encoding": "UTF8"} {
		if config.RuntimeParams[name] == "" {
			config.RuntimeParams[name] = value
		}
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeExec // nothing stays behind in the server, see pgConn
	return config, nil
}

// InClear reports whether a URL allows that what is kept, and the password of the
// database, cross a network in clear.
func InClear(url string) bool {
	config, err := postgresConfig(url)
	if err != nil {
		return false // nobody connects
	}
	open := func(host string, t *tls.Config) bool {
		ip := net.ParseIP(host)
		return t == nil && !strings.HasPrefix(host, "/") && host != "localhost" && (ip == nil || !ip.IsLoopback())
	}
	return open(config.Host, config.TLSConfig) || slices.ContainsFunc(config.Fallbacks, func(f *pgconn.FallbackConfig) bool { return open(f.Host, f.TLSConfig) })
}

// Address names the database at url for people: where it is, and not who uses it.
// It is "" for a URL that is not understood.
func Address(url string) string {
	config, err := postgresConfig(url)
	if err != nil {
		return ""
	}
	return address(config)
}

// address names a database for people.
func address(config *pgx.ConnConfig) string {
	if strings.HasPrefix(config.Host, "/") {
		return config.Host + "/" + config.Database
	}
	return net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port))) + "/" + config.Database
}

const (
	oldestPostgres = 13
	migrationTries = 6 // of nodes that start at the same time, one makes the tables
)

func migratePostgres(ctx context.Context, config *pgx.ConnConfig) error {
	db := stdlib.OpenDB(*config)
	err := suitable(ctx, db)
	for try := 0; err == nil; try++ {
		err = migrate(ctx, db, goose.DialectPostgres, "migrations/postgres")
		if try == migrationTries || !madeMeanwhile(err) {
			break
		}
		time.Sleep(50 * time.Millisecond << try)
		err = nil
	}
	return errors.Join(err, db.Close())
}

// suitable looks at what no migration can change.
func suitable(ctx context.Context, db *sql.DB) error {
	var version int
	var encoding string
	err := db.QueryRowContext(ctx, `SELECT current_setting('server_version_num')::int / 10000, current_setting('server_encoding')`).Scan(&version, &encoding)
	switch {
	case err != nil:
		return reached(err)
	case version < oldestPostgres:
		return fmt.Errorf("the server is PostgreSQL %d; it has to be %d or newer", version, oldestPostgres)
	case !slices.Contains([]string{"UTF8", "UTF-8"}, strings.ToUpper(encoding)):
		return fmt.Errorf("its encoding is %s; create one with the encoding UTF8", encoding)
	}
	return nil
}

// reached marks that the server was not reached, if that is what the error says.
func reached(err error) error {
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return &lost{error: err, connecting: true}
	}
	return err
}

// madeMeanwhile reports whether a migration failed since another process ran it
// at the same time.
func madeMeanwhile(err error) bool {
	switch pgCode(err) {
	case "23505", "40001", "40P01", "42701", "42710", "42P07", "XX000":
		return true
	}
	return false
}

// schemaFloor returns the oldest schema that a release has to know for its nodes
// to work on this one.
func schemaFloor(ctx context.Context, db *sql.DB) (int64, error) {
	var floor string
	if err := db.QueryRowContext(ctx, `SELECT value FROM meta WHERE name = 'schema_floor'`).Scan(&floor); err != nil {
		return 0, err
	}
	return strconv.ParseInt(floor, 10, 64)
}
