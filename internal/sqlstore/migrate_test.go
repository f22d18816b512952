package sqlstore

import (
	"database/sql"
	"errors"
	"io/fs"
	"path/filepath"
	"testing"
	"time"

	"github.com/pressly/goose/v3"

	"latchkey/internal/apikey"
)

// oldStore makes a store with the schema of an earlier version, and runs statements on it.
func oldStore(t *testing.T, version int64, statements ...string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "latchkey.db")
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	files, err := fs.Sub(migrations, "migrations/sqlite")
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files)
	if err == nil {
		_, err = p.UpTo(t.Context(), version)
	}
	for _, s := range statements {
		if err == nil {
			_, err = db.Exec(s)
		}
	}
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAnUpgradeKeepsInvalidations(t *testing.T) {
	const insert = `INSERT INTO api_keys (id, type, name, username, realm, realm_type, hash, created_at, invalidated_at, roles, metadata, owner_metadata)
		VALUES `
	path := oldStore(t, 2,
		insert+`('live', 'rest', 'n', 'u', 'r', 'native', 'h', 1, NULL, x'00', '{}', '{}')`,
		insert+`('dead', 'rest', 'n', 'u', 'r', 'native', 'h', 1, 5000, x'00', '{}', '{}')`)
	db, err := OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for id, want := range map[string]time.Time{"live": {}, "dead": time.UnixMilli(5000)} {
		if k, err := db.APIKey(t.Context(), id); err != nil || !k.InvalidatedAt.Equal(want) {
			t.Errorf("%s: invalidated at %v, %v; want %v", id, k.InvalidatedAt, err, want)
		}
	}
	got, err := db.InvalidateAPIKeys(t.Context(), apikey.Selector{Username: "u"}, false, time.Now(), func([]string) {})
	if err != nil || len(got.IDs) != 1 || got.IDs[0] != "live" {
		t.Errorf("InvalidateAPIKeys = %v, %v; want the live key alone", got, err)
	}
}
