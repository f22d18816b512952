package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"latchkey/internal/config"
	"latchkey/internal/sqlstore"
)

// openStore opens the store of the settings: the database that they name, or the
// file in the data folder, which the caller holds.
func openStore(ctx context.Context, cfg *config.Config, log *slog.Logger) (db *sqlstore.DB, err error) {
	if cfg.StoreURL.IsZero() {
		db, err = sqlstore.OpenSQLite(ctx, filepath.Join(cfg.DataDir, storeFile))
	} else {
		if sqlstore.InClear(cfg.StoreURL.Reveal()) {
			log.Warn("the password of the database and all that is kept there may cross a network in clear: write sslmode=verify-full in latchkey.store.url")
		}
		file := filepath.Join(cfg.DataDir, storeFile)
		if _, err := os.Stat(file); err == nil {
			log.Warn("the store in the data folder is not used any more, since latchkey.store.url names another one; remove it when that has all of it", "file", absolute(file))
		}
		if db, err = sqlstore.OpenPostgres(ctx, cfg.StoreURL.Reveal()); err == nil {
			log.Info("the store is a database", "database", sqlstore.Address(cfg.StoreURL.Reveal()), "fleet_address", cfg.Fleet.Address)
		}
	}
	if err != nil {
		return nil, err
	}
	if err := db.Whole(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// Migrate brings the schema of the store up to date, and makes the store if there
// is none. It may run while nodes of the release before use a database; the data
// folder has to be free.
func Migrate(ctx context.Context, cfg *config.Config, log *slog.Logger) (err error) {
	if !cfg.StoreURL.IsZero() {
		return sqlstore.MigratePostgres(ctx, cfg.StoreURL.Reveal())
	}
	folder, err := hold(cfg.DataDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, folder.release()) }()
	if err := folder.guard(log); err != nil {
		return err
	}
	db, err := openStore(ctx, cfg, log)
	if err != nil {
		return err
	}
	return db.Close()
}

// nodeIDFile holds the id of a node whose store is not its own.
const nodeIDFile = "node.id"

// nodeID returns the id that a node has kept since its first start: with its data,
// and not in a store that other nodes have, too.
func nodeID(ctx context.Context, cfg *config.Config, db *sqlstore.DB) (string, error) {
	if cfg.StoreURL.IsZero() {
		return db.InitMeta(ctx, "node_id", newUUID())
	}
	path := filepath.Join(cfg.DataDir, nodeIDFile)
	text, err := os.ReadFile(path)
	if id := strings.TrimSpace(string(text)); err == nil && id != "" {
		return id, nil
	}
	id := newUUID()
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = os.WriteFile(path, []byte(id+"\n"), 0o600)
	}
	if err != nil {
		return "", fmt.Errorf("keep the id of the node: %w", err)
	}
	return id, nil
}
