package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"latchkey/internal/fault"
)

// busy keeps the writer occupied with an act of its own until release is
// called, so that what is written meanwhile queues up.
func busy(t *testing.T, db *DB) (release func()) {
	t.Helper()
	done := make(chan error, 1)
	entered, leave := make(chan struct{}), make(chan struct{})
	go func() {
		done <- db.write(t.Context(), func(*Tx) error {
			close(entered)
			<-leave
			return nil
		})
	}()
	<-entered
	return func() {
		close(leave)
		if err := <-done; err != nil {
			t.Errorf("the act that kept the writer busy: %v", err)
		}
	}
}

// queue starts one write for each change, in order, and returns once all wait
// for the writer. results yields their errors when all are answered.
func queue(ctx context.Context, db *DB, changes ...func(*Tx) error) (results func() []error) {
	errs := make([]error, len(changes))
	var all sync.WaitGroup
	for i, change := range changes {
		all.Go(func() { errs[i] = db.write(ctx, change) })
		synctest.Wait()
	}
	return func() []error {
		all.Wait()
		return errs
	}
}

// note writes a row that stored shows.
func note(name string) func(*Tx) error {
	return func(tx *Tx) error {
		_, err := tx.exec(`INSERT INTO meta (name, value) VALUES ($1, '')`, name)
		return err
	}
}

func stored(t *testing.T, db *DB) []string {
	t.Helper()
	found := []string{}
	r, err := db.query(context.Background(), `SELECT name FROM meta ORDER BY name`)
	if err == nil {
		err = scanTexts(r, &found)
	}
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func wantRows(t *testing.T, db *DB, want ...string) {
	t.Helper()
	if got := stored(t, db); !slices.Equal(got, want) {
		t.Errorf("the store holds %q, want %q", got, want)
	}
}

func wantKinds(t *testing.T, errs []error, want ...string) {
	t.Helper()
	var got []string
	for _, err := range errs {
		got = append(got, outcome(err))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got the outcomes %q, want %q: %v", got, want, errs)
	}
}

func outcome(err error) string {
	if err == nil {
		return "done"
	}
	switch fault.KindOf(err) {
	case fault.Unavailable:
		return "unavailable"
	case fault.Unknown:
		return "unknown"
	case fault.Conflict:
		return "conflict"
	}
	return "failed"
}

var errOwn = errors.New("this act fails")

func TestActsThatQueueUpShareATransaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openTest(t)
		release := busy(t, db)
		var order []string // of the writer's goroutine alone
		var answered atomic.Int32
		acts := make([]func(*Tx) error, 3)
		for i := range acts {
			acts[i] = func(tx *Tx) error {
				order = append(order, fmt.Sprintf("act %d", i))
				if seen := stored(t, db); len(seen) != 0 {
					t.Errorf("while act %d runs, others see %q", i, seen)
				}
				tx.committed(func() {
					time.Sleep(time.Second) // everyone else gets as far as they can
					order = append(order, fmt.Sprintf("committed %d", i))
					if n := answered.Load(); n != 0 {
						t.Errorf("%d callers were answered before act %d was reported", n, i)
					}
					if seen := stored(t, db); len(seen) != len(acts) {
						t.Errorf("when act %d was reported, others see %q", i, seen)
					}
				})
				return note(fmt.Sprintf("row %d", i))(tx)
			}
		}
		var callers sync.WaitGroup
		for _, act := range acts {
			callers.Go(func() {
				if err := db.write(t.Context(), act); err != nil {
					t.Error(err)
				}
				answered.Add(1)
			})
			synctest.Wait()
		}
		release()
		callers.Wait()
		want := []string{"act 0", "act 1", "act 2", "committed 0", "committed 1", "committed 2"}
		if !slices.Equal(order, want) {
			t.Errorf("got %q, want %q", order, want)
		}
	})
}

func TestAnActThatFailsTakesNoNeighbourAlong(t *testing.T) {
	tests := []struct {
		name string
		act  func(*Tx) error // after it wrote a row
	}{
		{"an error of its own", func(*Tx) error { return errOwn }},
		{"an error of the engine", note("first")}, // the row is there already
		{"a panic", func(*Tx) error { panic("at the disco") }},
		{"a panic while rows are open", func(tx *Tx) error {
			r, err := tx.query(`SELECT name FROM meta`)
			if err != nil {
				return err
			}
			defer r.Close()
			r.Next()
			panic("at the disco")
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db := openTest(t)
				release := busy(t, db)
				results := queue(t.Context(), db,
					note("first"),
					func(tx *Tx) error {
						tx.committed(func() { t.Error("the act that failed was reported as committed") })
						if err := note("failed")(tx); err != nil {
							return err
						}
						return tt.act(tx)
					},
					note("last"))
				release()
				wantKinds(t, results(), "done", "failed", "done")
				wantRows(t, db, "first", "last")

				alone := queue(t.Context(), db, func(tx *Tx) error {
					tx.committed(func() { t.Error("the act that failed alone was reported as committed") })
					if err := note("failed")(tx); err != nil {
						return err
					}
					return tt.act(tx)
				})
				wantKinds(t, alone(), "failed")
				wantKinds(t, queue(t.Context(), db, note("after"))(), "done")
				wantRows(t, db, "after", "first", "last")
			})
		})
	}
}

func TestACallerThatGivesUp(t *testing.T) {
	t.Run("while waiting in the queue, and nothing is written", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			db := openTest(t)
			release := busy(t, db)
			ctx, giveUp := context.WithCancel(t.Context())
			given := queue(ctx, db, note("given up"))
			kept := queue(t.Context(), db, note("kept"))
			giveUp()
			wantKinds(t, given(), "unavailable") // answered while the writer is still busy
			release()
			wantKinds(t, kept(), "done")
			wantRows(t, db, "kept")
		})
	})
	t.Run("while the queue is full, and nothing is written", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			db := openTest(t)
			release := busy(t, db)
			var all sync.WaitGroup
			for i := range cap(db.acts) {
				all.Go(func() {
					if err := db.write(t.Context(), note(fmt.Sprintf("%04d", i))); err != nil {
						t.Error(err)
					}
				})
			}
			synctest.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			wantKinds(t, []error{db.write(ctx, note("given up"))}, "unavailable")
			release()
			all.Wait()
			if got := stored(t, db); len(got) != cap(db.acts) || slices.Contains(got, "given up") {
				t.Errorf("the store holds %d rows, want %d and none that was given up", len(got), cap(db.acts))
			}
		})
	})
	t.Run("while the act runs, and learns how it ended", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			db := openTest(t)
			ctx, giveUp := context.WithCancel(t.Context())
			wantKinds(t, queue(ctx, db, func(tx *Tx) error {
				giveUp()
				return note("written")(tx)
			})(), "done")
			ctx, giveUp = context.WithCancel(t.Context())
			wantKinds(t, queue(ctx, db, func(tx *Tx) error {
				giveUp()
				return errors.Join(note("not written")(tx), errOwn)
			})(), "failed")
			wantRows(t, db, "written")
		})
	})
	t.Run("while its transaction is under way, and its neighbours are not harmed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			db := openTest(t)
			release := busy(t, db)
			ctx, giveUp := context.WithCancel(t.Context())
			first := queue(ctx, db, func(tx *Tx) error {
				giveUp()
				return note("first")(tx)
			})
			second := queue(t.Context(), db, note("second"))
			third := queue(ctx, db, note("third")) // claimed with the batch, before its caller gives up
			release()
			wantKinds(t, first(), "done")
			wantKinds(t, second(), "done")
			wantKinds(t, third(), "done")
			wantRows(t, db, "first", "second", "third")
		})
	})
	t.Run("before it began", func(t *testing.T) {
		db := openTest(t)
		ctx, giveUp := context.WithCancel(t.Context())
		giveUp()
		wantKinds(t, []error{db.write(ctx, note("given up"))}, "unavailable")
		wantRows(t, db)
	})
}

func TestCloseWritesWhatHasQueuedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "latchkey.db")
		db, err := OpenSQLite(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		release := busy(t, db)
		queued := queue(t.Context(), db, note("a"), note("b"))
		closed := make(chan error, 1)
		go func() { closed <- db.Close() }()
		synctest.Wait()
		late := queue(t.Context(), db, note("late"))
		wantKinds(t, late(), "unavailable")
		select {
		case err := <-closed:
			t.Errorf("Close returned %v while a change was being written", err)
		default:
		}
		release()
		wantKinds(t, queued(), "done", "done")
		if err := <-closed; err != nil {
			t.Errorf("Close: %v", err)
		}
		wantKinds(t, []error{db.write(t.Context(), note("after"))}, "unavailable")

		if db, err = OpenSQLite(t.Context(), path); err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		wantRows(t, db, "a", "b")
	})
}

func TestATransactionThatTheEngineEnded(t *testing.T) {
	lost := func(tx *Tx) error { // what SQLite does by itself when it runs out of disk or memory within a statement
		_, err := tx.exec("ROLLBACK")
		return errors.Join(err, errOwn)
	}
	t.Run("among neighbours: all learn that nothing was done", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			db := openTest(t)
			release := busy(t, db)
			results := queue(t.Context(), db, note("first"), note("first"), lost, note("last"))
			release()
			wantKinds(t, results(), "unavailable", "unavailable", "unavailable", "unavailable") // the second's conflict was with a row that is not there
			wantRows(t, db)
			wantKinds(t, queue(t.Context(), db, note("after"))(), "done")
			wantRows(t, db, "after")
		})
	})
	t.Run("alone: the act's own error stands", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			db := openTest(t)
			err := db.write(t.Context(), lost)
			if !errors.Is(err, errOwn) {
				t.Errorf("got %v", err)
			}
			wantKinds(t, queue(t.Context(), db, note("after"))(), "done")
			wantRows(t, db, "after")
		})
	})
}

func TestACommitThatFailsHasAnUnknownOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openTest(t)
		broken := func(tx *Tx) error { // a constraint that is looked at by COMMIT alone
			return errors.Join(
				noResult(tx.exec(`CREATE TABLE IF NOT EXISTS child (name TEXT REFERENCES meta (name) DEFERRABLE INITIALLY DEFERRED)`)),
				noResult(tx.exec(`INSERT INTO child VALUES ('nobody')`)))
		}
		reported := func(tx *Tx) error {
			tx.committed(func() { t.Error("a change whose commit failed was reported as committed") })
			return note("with it")(tx)
		}
		release := busy(t, db)
		results := queue(t.Context(), db, reported, broken, func(*Tx) error { return errOwn })
		release()
		wantKinds(t, results(), "unknown", "unknown", "unknown")
		wantKinds(t, queue(t.Context(), db, note("after"))(), "done")
		wantRows(t, db, "after")
	})
}

func noResult[T any](_ T, err error) error { return err }

// The writer's promise is the same however many write at once.
func TestManyWritersAtOnce(t *testing.T) {
	db := openTest(t)
	const writers, each = 16, 40
	var mu sync.Mutex
	var want []string
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			for j := range each {
				name := fmt.Sprintf("%02d-%02d", i, j)
				ctx, cancel := context.WithCancel(t.Context())
				if j%5 == 0 {
					go cancel()
				}
				err := db.write(ctx, func(tx *Tx) error {
					if err := note(name)(tx); err != nil || j%3 != 0 {
						return err
					}
					return errOwn
				})
				cancel()
				switch {
				case err == nil && j%3 == 0, err != nil && j%3 != 0 && (j%5 != 0 || outcome(err) != "unavailable"):
					t.Errorf("%s: got %v", name, err)
				case err == nil:
					mu.Lock()
					want = append(want, name)
					mu.Unlock()
				}
				if err == nil && !slices.Contains(stored(t, db), name) {
					t.Errorf("%s was acknowledged, and is not there", name)
				}
				runtime.Gosched()
			}
		})
	}
	all.Wait()
	slices.Sort(want)
	if got := stored(t, db); !slices.Equal(got, want) {
		t.Errorf("the store holds %d rows, and %d were acknowledged:\n%s\n%s", len(got), len(want), strings.Join(got, " "), strings.Join(want, " "))
	}
}
