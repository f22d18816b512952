package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"latchkey/internal/config"
	"latchkey/internal/sqlstore"
)

// Copy puts the store at from into the one at to, or goes on with that. Either is
// "sqlite:" and the path of a file, or the URL of a database; "" is the file in the
// data folder, and the database of the settings. The folder of a file has to be
// free, and nobody may write to the database.
func Copy(ctx context.Context, cfg *config.Config, from, to string, told sqlstore.Progress, log *slog.Logger) (err error) {
	if from == "" {
		from = sqliteScheme + filepath.Join(cfg.DataDir, storeFile)
	}
	if to == "" {
		to = cfg.StoreURL.Reveal()
	}
	if path, ok := strings.CutPrefix(from, sqliteScheme); ok {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("there is no store to copy: %w", err)
		}
		if copied, ok := strings.CutPrefix(to, sqliteScheme); ok && absolute(filepath.Dir(copied)) == absolute(filepath.Dir(path)) {
			return errors.New("the store and its copy lie in one folder, which is held by one process for one store: give the copy a folder of its own")
		}
	}
	original, done, err := openAny(ctx, from, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	other, done2, err := openAny(ctx, to, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done2()) }()
	return sqlstore.Copy(ctx, original, other, told)
}

const sqliteScheme = "sqlite:"

// openAny opens a store and, of a file, holds its folder. done ends both.
func openAny(ctx context.Context, name string, log *slog.Logger) (_ *sqlstore.DB, done func() error, err error) {
	path, ok := strings.CutPrefix(name, sqliteScheme)
	switch {
	case strings.HasPrefix(name, "postgres://"), strings.HasPrefix(name, "postgresql://"):
		db, err := sqlstore.OpenPostgres(ctx, name)
		if err != nil {
			return nil, nil, err
		}
		return db, db.Close, nil
	case !ok || path == "":
		return nil, nil, errors.New("a store is written sqlite:PATH or postgres://USER:PASSWORD@HOST:5432/DATABASE?sslmode=verify-full; one that is left out is that of the settings")
	}
	folder, err := hold(filepath.Dir(path))
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, folder.release())
		}
	}()
	if err := folder.guard(log); err != nil {
		return nil, nil, err
	}
	db, err := sqlstore.OpenSQLite(ctx, path)
	if err != nil {
		return nil, nil, err
	}
	return db, func() error { return errors.Join(db.Close(), folder.release()) }, nil
}
