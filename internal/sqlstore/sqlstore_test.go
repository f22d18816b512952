package sqlstore

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"latchkey/internal/apikey"
	"latchkey/internal/storetest"
)

func openTest(t testing.TB) *DB {
	t.Helper()
	db, err := OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "latchkey.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func TestSQLite(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Store { return openTest(t) })
}

// A stranger's list of invented ids must not hold up the revocation of a leaked key.
func TestInventedIDsDoNotOccupyTheWriter(t *testing.T) {
	db := openTest(t)
	release, busy := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := db.write(context.Background(), func(*Tx) error { close(busy); <-release; return nil }); err != nil {
			t.Error(err)
		}
	})
	<-busy
	many := make([]string, 50_000)
	for i := range many {
		many[i] = fmt.Sprint("invented", i)
	}
	got, err := db.InvalidateAPIKeys(t.Context(), apikey.Selector{IDs: many}, false, time.Now(), func([]string) {})
	if err != nil || got.IDs != nil {
		t.Errorf("InvalidateAPIKeys = %v, %v; want nothing, while the writer is busy", got, err)
	}
	close(release)
	wg.Wait()
}
