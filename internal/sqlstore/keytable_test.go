package sqlstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"latchkey/internal/apikey"
	"latchkey/internal/query"
)

// everything shows all that can be searched.
const everything = `{"size":10000,"sort":["name","type","username","realm_name","creation","expiration","invalidation","invalidated","metadata","last_used"]}`

// Whatever changes come while the copy is made, dropped, made again and searched,
// in the end it holds what the tables hold.
func TestTheCopyStaysTrue(t *testing.T) {
	db := openTest(t)
	all := request(t, everything)
	var wg, others sync.WaitGroup
	stop := make(chan struct{})
	also := func(act func() error) {
		others.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := act(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	also(func() error { _, err := db.QueryAPIKeys(context.Background(), all, query.All{}); return err })
	also(func() error { db.keys.doubt(); return db.write(context.Background(), func(*Tx) error { return nil }) })
	for w := range 4 {
		wg.Go(func() {
			for i := range 150 {
				if err := changeSomething(db, fmt.Sprintf("%d-%d", w, rand.N(i+1)), fmt.Sprintf("%d-%d", w, i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	others.Wait()
	for range 3 { // and so it is after some more of them, and after none
		r, ok, err := db.keys.search(t.Context(), all, query.All{}, db.loadKeys)
		for ; !ok; r, ok, err = db.keys.search(t.Context(), all, query.All{}, db.loadKeys) {
			if err != nil {
				t.Fatal(err)
			}
			if err := changeSomething(db, "0-0", "0-0"); err != nil {
				t.Fatal(err)
			}
		}
		afresh, errLoad := db.loadKeys(t.Context())
		if errLoad != nil {
			t.Fatal(errLoad)
		}
		want, errWant := afresh.Search(t.Context(), all, query.All{})
		if got, want := shown(r, err), shown(want, errWant); got != want {
			t.Errorf("the copy holds\n%s\nand the tables hold\n%s", got, want)
		}
		db.keys.doubt()
	}
}

// changeSomething makes one change of any kind to an old key, or makes a new one.
func changeSomething(db *DB, id, fresh string) error {
	ctx, at := context.Background(), time.UnixMilli(rand.Int64N(1000))
	switch rand.N(6) {
	case 0:
		_, err := db.InvalidateAPIKeys(ctx, apikey.Selector{IDs: []string{id}}, false, at, func([]string) {})
		return err
	case 1:
		return db.UpdateAPIKeys(ctx, apikey.Selector{IDs: []string{id}}, nil, func(k *apikey.Key) bool {
			k.ExpiresAt, k.Metadata = at, json.RawMessage(fmt.Sprintf(`{"at":%d}`, at.UnixMilli()))
			return true
		}, func([]string) {})
	case 2:
		return db.NoteAPIKeyUses(ctx, []apikey.Use{{KeyID: id, At: at}})
	case 3:
		_, err := db.PurgeAPIKeys(ctx, time.UnixMilli(rand.Int64N(200)), 3)
		return err
	}
	k := apikey.Key{ID: fresh, Type: apikey.REST, Name: fresh, CreatedAt: at, Metadata: json.RawMessage(`{}`), Owner: apikey.Owner{Metadata: json.RawMessage(`{}`)}}
	if err := db.InsertAPIKey(ctx, k); err != nil && fresh != id { // else it may be there
		return err
	}
	return nil
}

// A long search must not hold up the revocation of a leaked key, and the next
// search sees it.
func TestASearchDoesNotHoldUpTheWriter(t *testing.T) {
	db := openTest(t)
	k := apikey.Key{ID: "k", Metadata: json.RawMessage(`{}`), Owner: apikey.Owner{Metadata: json.RawMessage(`{}`)}}
	if err := db.InsertAPIKey(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	waitForCopy(t, db)
	c := db.keys.now()
	if err := c.turns.Acquire(t.Context(), 1); err != nil { // as a search does
		t.Fatal(err)
	}
	if _, err := db.InvalidateAPIKeys(t.Context(), apikey.Selector{IDs: []string{"k"}}, false, time.UnixMilli(1), func([]string) {}); err != nil {
		t.Fatal(err)
	}
	c.turns.Release(1)
	found, err := db.QueryAPIKeys(t.Context(), request(t, `{"query":{"term":{"invalidated":true}}}`), query.All{})
	if err != nil || found.Total != 1 {
		t.Errorf("%d keys are invalidated, %v; want 1", found.Total, err)
	}
}

// Who waits for others that search, or for changes that wait for these, goes when
// nobody waits for the answer any more.
func TestASearchWaitsNoLongerThanItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := copies{keyTable: newKeyTable()}
		defer c.stop()
		c.search(t)
		time.Sleep(2 * time.Second)
		other := c.now().turns
		if err := other.Acquire(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		defer other.Release(1)
		c.change(func(t *query.Table) { t.Remove("k") })
		for range 2 { // it would make the change, or wait until that is made
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, _, err := c.keyTable.search(ctx, request(t, `{}`), query.All{}, nil); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a search that cannot have its turn fails with %v; want the end of its context", err)
			}
		}
	})
}

// copies counts how often a copy of one key is made.
type copies struct {
	*keyTable
	made int
	fail error
}

func (c *copies) search(t *testing.T) (total int, ok bool) {
	t.Helper()
	load := func(ctx context.Context) (*query.Table, error) {
		c.made++
		time.Sleep(time.Second) // it takes its time
		table := query.NewTable(query.Schema{{Name: "name"}}, 1)
		table.Add("k", 1, query.Text("n"))
		return table, errors.Join(c.fail, ctx.Err())
	}
	r, ok, err := c.keyTable.search(t.Context(), request(t, `{}`), query.All{}, load)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	return r.Total, ok
}

func TestACopyIsMadeForASearchAndDroppedWhenNobodySearches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := copies{keyTable: newKeyTable()}
		defer c.stop()
		steps := []struct {
			wait     time.Duration
			ok       bool
			made     int
			happened string
		}{
			{0, false, 1, "the first search begins it"},
			{time.Second / 2, false, 1, "it is being made"},
			{time.Second, true, 1, "it is ready"},
			{keyTableIdle - time.Second, true, 1, "it was searched within the hour"},
			{keyTableIdle - time.Second, true, 1, "and again"},
			{keyTableIdle + time.Second, false, 2, "it was dropped, and is made again"},
			{2 * time.Second, true, 2, "it is ready again"},
		}
		for _, s := range steps {
			time.Sleep(s.wait)
			if _, ok := c.search(t); ok != s.ok || c.made != s.made {
				t.Errorf("%s: it answers: %t, made %d times; want %t, %d", s.happened, ok, c.made, s.ok, s.made)
			}
		}
	})
}

func TestACopyThatCannotBeMadeIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := copies{keyTable: newKeyTable(), fail: errors.New("no disk")}
		defer c.stop()
		c.search(t)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		c.fail = nil
		if _, ok := c.search(t); ok || c.made != 2 {
			t.Errorf("it answers: %t, tried %d times; want not yet, and twice", ok, c.made)
		}
		time.Sleep(2 * time.Second)
		if _, ok := c.search(t); !ok {
			t.Error("the second try has made no copy")
		}
	})
}

func TestChangesDuringTheLoadAreAppliedAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := copies{keyTable: newKeyTable()}
		defer c.stop()
		c.change(func(t *query.Table) { t.Put("too early", query.Text("n")) }) // what is loaded has it
		c.search(t)
		c.change(func(t *query.Table) { t.Put("a", query.Text("n")); t.Put("b", query.Text("n")) })
		c.change(func(t *query.Table) { t.Remove("a") })
		time.Sleep(2 * time.Second)
		if total, ok := c.search(t); !ok || total != 2 {
			t.Errorf("%d keys, %t; want k and b", total, ok)
		}
	})
}

func TestACopyInDoubtIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := copies{keyTable: newKeyTable()}
		defer c.stop()
		c.doubt() // there is none
		for range 2 {
			c.search(t)
			time.Sleep(2 * time.Second)
			if _, ok := c.search(t); !ok {
				t.Error("there is no copy")
			}
			c.doubt()
		}
		c.search(t)
		c.doubt() // while it is made
		time.Sleep(2 * time.Second)
		if _, ok := c.search(t); ok || c.made != 4 {
			t.Errorf("it answers: %t, made %d times; want not yet, 4", ok, c.made)
		}
	})
}

func TestAClosedStoreMakesNoCopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := copies{keyTable: newKeyTable()}
		c.search(t)
		c.stop() // waits for the load
		if _, ok := c.search(t); ok || c.made != 1 {
			t.Errorf("it answers: %t, made %d times; want never, once", ok, c.made)
		}
	})
}

// When a commit is not confirmed, nobody knows whether the copy is true.
func TestAnUnknownOutcomeDropsTheCopy(t *testing.T) {
	db := openTest(t)
	waitForCopy(t, db)
	before := db.keys.now()
	err := db.write(t.Context(), func(tx *Tx) error { // a constraint that is looked at by COMMIT alone
		return errors.Join(
			noResult(tx.exec(`CREATE TABLE IF NOT EXISTS child (name TEXT REFERENCES meta (name) DEFERRABLE INITIALLY DEFERRED)`)),
			noResult(tx.exec(`INSERT INTO child VALUES ('nobody')`)))
	})
	if outcome(err) != "unknown" || db.keys.now() == before {
		t.Errorf("after a commit with the outcome %v, the copy is still there", err)
	}
}
