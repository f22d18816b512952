package sqlstore

import (
	"bytes"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"latchkey/internal/apikey"
)

// closedStore makes a store that holds the key "a", closes it, and returns the
// bytes of its file.
func closedStore(t *testing.T, path string) []byte {
	t.Helper()
	db, err := OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	k := apikey.Key{ID: "a", Type: apikey.REST, Hash: "h", Owner: apikey.Owner{Metadata: []byte(`{}`)}, Metadata: []byte(`{}`)}
	if err := errors.Join(db.InsertAPIKey(t.Context(), k), db.Close()); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAFileThatIsNoStoreOfOursIsRefusedAndNotTouched(t *testing.T) {
	good := closedStore(t, filepath.Join(t.TempDir(), "good.db"))
	newer := func(t *testing.T, path string) {
		db, err := sql.Open("sqlite", "file:"+path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = db.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`)
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name    string
		content []byte
		change  func(t *testing.T, path string)
		want    string
	}{
		{"a text", []byte(strings.Repeat("This is a letter and no database.\n", 300)), nil, "it is damaged or no database"},
		{"a short text", []byte("hello\n"), nil, "it is damaged or no database"},
		{"zeroes", make([]byte, len(good)), nil, "it is damaged or no database"},
		{"a store whose first page is damaged", append(bytes.Repeat([]byte{0xA5}, 4096), good[4096:]...), nil, "it is damaged or no database"},
		{"a store whose list of tables is damaged", append(append([]byte{}, good[:100]...), append(bytes.Repeat([]byte{0xA5}, 3996), good[4096:]...)...), nil, "it is damaged or no database"},
		{"a store that was cut off", good[:4096], nil, "it is damaged or no database"},
		{"the store of a later release", good, newer, "its schema is version 9999, and this release knows only"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "latchkey.db")
			if err := os.WriteFile(path, tt.content, 0o600); err != nil {
				t.Fatal(err)
			}
			if tt.change != nil {
				tt.change(t, path)
			}
			before := files(t, dir)
			db, err := OpenSQLite(t.Context(), path)
			if err == nil {
				db.Close()
				t.Fatal("it was opened")
			}
			if !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("got %q, want it to name the file and to say %q", err, tt.want)
			}
			sameFiles(t, before, files(t, dir))
		})
	}
}

func TestAStoreThatCannotBeOpened(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "folder.db"), 0o700); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, path, want string
	}{
		{"its folder is missing", "nowhere/latchkey.db", "no such file or directory"},
		{"it is a folder", "folder.db", "is a directory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(dir, tt.path)
			db, err := OpenSQLite(t.Context(), path)
			if err == nil {
				db.Close()
				t.Fatal("it was opened")
			}
			if !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("got %q, want it to name the file and to say %q", err, tt.want)
			}
			if _, err := os.Stat(filepath.Join(dir, "nowhere")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the missing folder was made: %v", err)
			}
		})
	}
}

func TestAnyPathHoldsAStore(t *testing.T) {
	for _, name := range []string{"with blank.db", "50%.db", "%41.db", "what?.db", "what?mode=memory.db", "a#b.db", "a&b=c;d.db", "a+b.db", "käse 鍵.db", `back\slash.db`, ":memory:", "'quoted\".db", "new\nline.db"} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "in "+name)
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, name)
			closedStore(t, path)
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if info.Size() == 0 || info.Mode().Perm() != 0o600 {
				t.Errorf("the file has %d bytes and mode %v, want the store and 0600", info.Size(), info.Mode())
			}
			if all := files(t, dir); len(all) != 1 {
				t.Errorf("after a clean stop the folder holds %d files, want the store alone", len(all))
			}
			db, err := OpenSQLite(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if _, err := db.APIKey(t.Context(), "a"); err != nil {
				t.Errorf("the key is not found again: %v", err)
			}
			for name := range files(t, dir) {
				info, err := os.Stat(filepath.Join(dir, name))
				if err != nil || info.Mode().Perm() != 0o600 {
					t.Errorf("%q has mode %v, want 0600 (%v)", name, info.Mode(), err)
				}
			}
		})
	}
}

func TestARelativePathHoldsAStore(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, path := range []string{"plain.db", "./dot.db", "a:b.db"} {
		closedStore(t, path)
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// files returns what the files of a folder hold, by name.
func files(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = content
	}
	return all
}

func sameFiles(t *testing.T, before, after map[string][]byte) {
	t.Helper()
	for name, content := range before {
		if got, ok := after[name]; !ok || !bytes.Equal(got, content) {
			t.Errorf("%s had %d bytes and now has %d others (or is gone: %v)", name, len(content), len(got), !ok)
		}
	}
	for name := range after {
		if _, ok := before[name]; !ok {
			t.Errorf("%s was made", name)
		}
	}
}

// An acknowledged change is on the disk only with these, on every connection that writes.
func TestHowConnectionsAreSetUp(t *testing.T) {
	db := openTest(t)
	pragma := func(row interface{ Scan(...any) error }) (value string) {
		t.Helper()
		if err := row.Scan(&value); err != nil {
			t.Error(err)
		}
		return value
	}
	for name, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "query_only": "0", "busy_timeout": "5000"} {
		err := db.write(t.Context(), func(tx *Tx) error {
			if got := pragma(first(tx.queryOnce("PRAGMA " + name))); got != want {
				t.Errorf("the writer has %s = %s, want %s", name, got, want)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	for range db.readers.size { // all of the pool, each held until the end
		conn, err := db.readers.take(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer db.readers.put(conn)
		if got := pragma(first(read(t.Context(), conn, "PRAGMA query_only", once, nil, func() {}))); got != "1" {
			t.Errorf("a reader has query_only = %s, want 1", got)
		}
	}
}
