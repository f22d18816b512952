package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"latchkey/internal/secret"
	"latchkey/internal/sqlstore/pgtest"
)

// startPostgres starts a private PostgreSQL as an operator would have it, where a
// commit is on the disk once it is answered. The caller stops it.
func startPostgres() (*pgtest.Server, error) {
	s, err := pgtest.Start("fsync=on", "synchronous_commit=on", "full_page_writes=on", "shared_buffers=1GB", "effective_cache_size=4GB",
		"max_wal_size=4GB", "deadlock_timeout=1s", "autovacuum=on")
	if errors.Is(err, exec.ErrNotFound) {
		return nil, errors.New("there is no PostgreSQL here; scripts/prepare installs it")
	}
	return s, err
}

// newStore returns the URL of a store with nothing but its tables, in a schema of its own.
func (s *setup) newStore(db *pgtest.Server, name string) (string, error) {
	c, err := pgx.Connect(context.Background(), db.URL(nil))
	if err != nil {
		return "", err
	}
	_, err = c.Exec(context.Background(), "CREATE SCHEMA "+name)
	if err := errors.Join(err, c.Close(context.Background())); err != nil {
		return "", err
	}
	store := db.URL(url.Values{"search_path": {name}})
	if out, err := exec.Command(s.binary, "migrate", "-E", "latchkey.store.url="+store).CombinedOutput(); err != nil {
		return "", fmt.Errorf("migrate: %w: %s", err, out)
	}
	return store, nil
}

// keyColumns are those of [keyRow], and then what is the same of all its keys.
var keyColumns = []string{"id", "name", "username", "realm", "realm_type", "hash", "created_at", "roles", "limited_by", "type", "metadata", "owner_metadata"}

func wholeKeyRow(name, username, realm string, digest []byte) []any {
	return append(keyRow(name, username, realm, digest), "rest", "{}", `{"_reserved":true}`)
}

// copyRows puts n rows into tables of a store, and leaves it as the server's own
// upkeep would after a while.
func copyRows(store string, into func(c *pgx.Conn) error) error {
	c, err := pgx.Connect(context.Background(), store)
	if err != nil {
		return err
	}
	err = into(c)
	if err == nil {
		_, err = c.Exec(context.Background(), "VACUUM ANALYZE")
	}
	if err == nil {
		_, err = c.Exec(context.Background(), "CHECKPOINT")
	}
	return errors.Join(err, c.Close(context.Background()))
}

// fillPostgres is [fill] for a store with nodes.
func fillPostgres(store string, n int, mass []int) error {
	return copyRows(store, func(c *pgx.Conn) error {
		var digest []byte
		if err := c.QueryRow(context.Background(), `SELECT digest FROM role_sets LIMIT 1`).Scan(&digest); err != nil {
			return err
		}
		owner := owners(n, mass)
		_, err := c.CopyFrom(context.Background(), pgx.Identifier{"api_keys"}, keyColumns, pgx.CopyFromSlice(n, func(i int) ([]any, error) {
			return wholeKeyRow(fmt.Sprint("key-", i), owner(i), "default_native", digest), nil
		}))
		return err
	})
}

// plainStore is what PostgreSQL can do by itself: one connection, and one message
// for each transaction, which holds all that waits.
type plainStore struct{ conn *pgx.Conn }

func openPlain(store string) (*plainStore, error) {
	c, err := pgx.Connect(context.Background(), store)
	return &plainStore{c}, err
}

func (p *plainStore) close() error { return p.conn.Close(context.Background()) }

// create inserts n keys.
func (p *plainStore) create(n int) error {
	marks := make([]string, len(keyColumns))
	for i := range marks {
		marks[i] = fmt.Sprint("$", i+1)
	}
	insert := `INSERT INTO api_keys (` + strings.Join(keyColumns, ",") + `) VALUES (` + strings.Join(marks, ",") + `)`
	b, digest := &pgx.Batch{}, make([]byte, 32)
	for range n {
		b.Queue(insert, wholeKeyRow("a key for the bench", "elastic", "reserved", digest)...)
	}
	return p.conn.SendBatch(context.Background(), b).Close()
}

// revoke marks n keys as invalidated, and notes them in the log.
func (p *plainStore) revoke(n int) error {
	b, body := &pgx.Batch{}, []byte(nil)
	for range n {
		id := secret.NewKeyID(time.Now())
		b.Queue(`INSERT INTO invalidated_keys (key_id, invalidated_at) VALUES ($1, $2) ON CONFLICT (key_id) DO NOTHING`, id, time.Now().UnixMilli())
		body = append(body, id...)
	}
	b.Queue(`UPDATE lk_rev SET rev = rev + 1, prev = uid, uid = $1`, rand.Text())
	b.Queue(`INSERT INTO lk_log (rev, uid, prev, kind, body) SELECT rev, uid, prev, 'api_keys', $1 FROM lk_rev`, body)
	return p.conn.SendBatch(context.Background(), b).Close()
}
