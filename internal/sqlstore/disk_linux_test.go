package sqlstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"latchkey/internal/apikey"
	"latchkey/internal/fault"
)

// mounted returns a folder that is a small file system of its own.
func mounted(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		if os.Getenv("CI") == "true" || !errors.Is(err, syscall.EPERM) {
			t.Fatalf("mount a small disk: %v", err)
		}
		t.Skip("only root may mount a small disk")
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount the small disk: %v", err)
		}
	})
	return dir
}

// fill writes a file that takes all the room that is left, and returns its path.
func fill(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "ballast")
	err := os.WriteFile(path, make([]byte, 8<<20), 0o600)
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk took 8 MiB: %v", err)
	}
	return path
}

// wideID is so long that to invalidate some dozens of keys takes more room than
// one key does that was refused.
func wideID(i, j int) string { return fmt.Sprintf("k-%d-%03d-", i, j) + strings.Repeat("x", 500) }

func wide(id string) apikey.Key {
	return apikey.Key{
		ID: id, Type: apikey.REST, Name: "n-" + id, Hash: "hash of " + id,
		Owner:     apikey.Owner{Username: "x", Realm: "r", RealmType: "native", Metadata: []byte(`{}`)},
		CreatedAt: time.UnixMilli(1), Metadata: []byte(`{"fill":"` + strings.Repeat("x", 6000) + `"}`),
	}
}

func TestAFullDisk(t *testing.T) {
	disk := mounted(t, "size=2m")
	path := filepath.Join(disk, "latchkey.db")
	db, err := OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	closed := false
	defer func() {
		if !closed {
			db.Close()
		}
	}()

	var mu sync.Mutex
	var written, refused []string
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			for j := 0; ; j++ {
				id := wideID(i, j)
				err := db.InsertAPIKey(t.Context(), wide(id))
				mu.Lock()
				if err == nil {
					written = append(written, id)
				} else {
					refused = append(refused, id)
				}
				mu.Unlock()
				if err != nil {
					if fault.KindOf(err) != fault.Unavailable {
						t.Errorf("on a full disk an insert ended with %v, want fault.Unavailable", err)
					}
					return
				}
			}
		})
	}
	all.Wait()
	ballast := fill(t, disk)
	// A batch was refused as a whole: one key alone may fit still.
	for j := 0; ; j++ {
		id := wideID(9, j)
		if err := db.InsertAPIKey(t.Context(), wide(id)); err != nil {
			refused = append(refused, id)
			break
		}
		written = append(written, id)
	}
	if len(written) < 20 {
		t.Fatalf("only %d keys were written", len(written))
	}

	check := func(when string, live bool, ids []string) {
		t.Helper()
		for _, id := range ids {
			if k, err := db.APIKey(t.Context(), id); err != nil || k.InvalidatedAt.IsZero() != live {
				t.Errorf("%s: key %s, which was acknowledged, reads as %v, %v", when, id, k.InvalidatedAt, err)
			}
		}
	}
	check("while the disk is full", true, written)
	for _, id := range refused {
		if _, err := db.APIKey(t.Context(), id); fault.KindOf(err) != fault.NotFound {
			t.Errorf("key %s, which was surely not written: %v", id, err)
		}
	}
	reported := []string{}
	invalidate := func() error {
		_, err := db.InvalidateAPIKeys(t.Context(), apikey.Selector{Username: "x"}, false, time.Now(), func(ids []string) { reported = ids })
		slices.Sort(reported)
		return err
	}
	if err := invalidate(); fault.KindOf(err) != fault.Unavailable || len(reported) > 0 {
		t.Errorf("an invalidation on a full disk: %v, %d keys were reported; want fault.Unavailable and none", err, len(reported))
	}
	check("after an invalidation on the full disk", true, written)

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT, "size=8m"); err != nil {
		t.Fatal(err)
	}
	for _, id := range refused {
		if err := db.InsertAPIKey(t.Context(), wide(id)); err != nil {
			t.Errorf("insert %s once there is room: %v", id, err)
		}
	}
	written = append(written, refused...)
	check("once there is room", true, written)
	if err := invalidate(); err != nil {
		t.Errorf("an invalidation once there is room: %v", err)
	}
	slices.Sort(written)
	if !slices.Equal(reported, written) {
		t.Errorf("%d keys were reported as invalidated, want %d", len(reported), len(written))
	}

	fill(t, disk)
	closed = true
	if err := db.Close(); err != nil {
		t.Errorf("close on a full disk: %v", err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if db, err = OpenSQLite(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	closed = false
	check("when it is opened again", false, written)
}

func TestANewStoreOnAFullDisk(t *testing.T) {
	disk := mounted(t, "size=256k")
	fill(t, disk)
	db, err := OpenSQLite(t.Context(), filepath.Join(disk, "latchkey.db"))
	if err == nil {
		db.Close()
		t.Fatal("a store was made on a full disk")
	}
	if !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("got %q, want it to say that the disk is full", err)
	}
}

func TestAReadOnlyDisk(t *testing.T) {
	for _, tt := range []struct{ name, stopped string }{
		{"after a clean stop", "cleanly"},
		{"after a crash", "killed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			disk := mounted(t, "size=4m")
			path := filepath.Join(disk, "latchkey.db")
			db, err := OpenSQLite(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			if err := db.InsertAPIKey(t.Context(), wide("a")); err != nil {
				t.Fatal(err)
			}
			var left map[string][]byte
			if tt.stopped == "killed" {
				left = files(t, disk) // as a process that is killed leaves them
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			for name, content := range left {
				if err := os.WriteFile(filepath.Join(disk, name), content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			before := files(t, disk)
			if err := syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, "size=4m"); err != nil {
				t.Fatal(err)
			}
			db, err = OpenSQLite(t.Context(), path)
			if err == nil {
				db.Close()
				t.Fatal("a store was opened on a disk that may only be read")
			}
			if !strings.Contains(err.Error(), "may only be read") || !strings.Contains(err.Error(), path) {
				t.Errorf("got %q, want it to name the file and to say that it may only be read", err)
			}
			sameFiles(t, before, files(t, disk))

			if err := syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT, "size=4m"); err != nil {
				t.Fatal(err)
			}
			if db, err = OpenSQLite(t.Context(), path); err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if _, err := db.APIKey(t.Context(), "a"); err != nil {
				t.Errorf("when it may be written again: %v", err)
			}
		})
	}
}
