package sqlstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"latchkey/internal/apikey"
	"latchkey/internal/fault"
	"latchkey/internal/sqlstore/pgtest"
)

func TestATransactionThatGaveWayIsRunAgain(t *testing.T) {
	db := openPostgresTest(t, pgtest.URL(t))
	raise := func(times int) { // a sequence goes on, whatever becomes of the transaction
		if err := db.write(t.Context(), func(tx *Tx) error {
			for _, s := range []string{
				`DROP SEQUENCE IF EXISTS tries`, `CREATE SEQUENCE tries`,
				`CREATE OR REPLACE FUNCTION give_way() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
					IF nextval('tries') <= ` + strconv.Itoa(times) + ` THEN RAISE EXCEPTION 'no' USING ERRCODE = '40001'; END IF;
					RETURN NEW; END $$`,
				`DROP TRIGGER IF EXISTS give_way ON meta`,
				`CREATE TRIGGER give_way BEFORE INSERT ON meta FOR EACH ROW EXECUTE FUNCTION give_way()`,
			} {
				if _, err := tx.execOnce(s); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name  string
		times int
		want  string
		runs  int32
		told  int32
	}{
		{"twice", 2, "done", 3, 1},
		{"all the time", 1000, "unavailable", retries + 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			raise(tt.times)
			var runs, told atomic.Int32
			err := db.write(t.Context(), func(tx *Tx) error {
				runs.Add(1)
				tx.committed(func() { told.Add(1) })
				return note(tt.name)(tx)
			})
			wantKinds(t, []error{err}, tt.want)
			if runs.Load() != tt.runs || told.Load() != tt.told {
				t.Errorf("it ran %d times and was reported %d times, want %d and %d", runs.Load(), told.Load(), tt.runs, tt.told)
			}
		})
	}
}

func TestNeighboursOfATransactionThatGaveWay(t *testing.T) {
	db := openPostgresTest(t, pgtest.URL(t))
	release := busy(t, db)
	var once sync.Once
	killed := func(tx *Tx) (err error) {
		if err := note("killed")(tx); err != nil {
			return err
		}
		once.Do(func() { _, err = tx.execOnce(`SELECT pg_terminate_backend(pg_backend_pid())`) })
		return err
	}
	var errs [3]error
	var all sync.WaitGroup
	for i, act := range []func(*Tx) error{note("first"), killed, func(*Tx) error { return errOwn }} {
		all.Go(func() { errs[i] = db.write(context.Background(), act) })
	}
	release()
	all.Wait()
	wantKinds(t, errs[:], "done", "done", "failed")
	wantRows(t, db, "first", "killed", "schema_floor")
}

// Acts go without savepoints until one of them fails.
func TestAnActThatFailsHalfwayTakesNoNeighbourAlong(t *testing.T) {
	db := openPostgresTest(t, pgtest.URL(t))
	release := busy(t, db)
	half := func(name string, fails func(*Tx) error) func(*Tx) error {
		return func(tx *Tx) error {
			if err := note(name)(tx); err != nil {
				return err
			}
			return fails(tx)
		}
	}
	var errs [4]error
	var all sync.WaitGroup
	for i, act := range []func(*Tx) error{
		note("first"),
		half("refused", func(tx *Tx) error { return note("refused")(tx) }), // by the engine
		half("judged", func(*Tx) error { return errOwn }),
		note("last"),
	} {
		all.Go(func() { errs[i] = db.write(context.Background(), act) })
	}
	for len(db.acts) < len(errs) {
		runtime.Gosched()
	}
	release()
	all.Wait()
	wantKinds(t, errs[:], "done", "failed", "failed", "done")
	wantRows(t, db, "first", "last", "schema_floor")
}

// A key goes without a savepoint, and the engine may refuse it all the same.
func TestAKeyThatTheEngineRefusesTakesNoNeighbourAlong(t *testing.T) {
	db := openPostgresTest(t, pgtest.URL(t))
	release := busy(t, db)
	long := make([]byte, 8<<10) // more than an entry of an index may have, also compressed
	for i := range long {
		long[i] = byte('0' + rand.N(64))
	}
	errs := make([]error, 3)
	var all sync.WaitGroup
	for i, username := range []string{"u", string(long), "v"} {
		all.Go(func() {
			errs[i] = db.InsertAPIKey(context.Background(), apikey.Key{ID: fmt.Sprint(i), Owner: apikey.Owner{Username: username, Metadata: []byte(`{}`)}, Metadata: []byte(`{}`)})
		})
	}
	for len(db.acts) < len(errs) {
		runtime.Gosched()
	}
	release()
	all.Wait()
	wantKinds(t, errs, "done", "failed", "done")
}

// relay stands between a store and its server.
type relay struct {
	listener net.Listener
	server   string
	// atCommit is asked before a COMMIT is passed on: whether to do so, and to end the connection then.
	atCommit func() (pass, cut bool)
	cancels  atomic.Int32 // requests to cancel that have come

	mu      sync.Mutex
	clients []net.Conn
}

// cut ends all connections with the store, and leaves the server's sessions to themselves.
func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.clients {
		_ = c.Close() // it may have ended before
	}
	r.clients = nil
}

func newRelay(t *testing.T, raw string) (*relay, string) {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{listener: l, server: u.Host, atCommit: func() (bool, bool) { return true, false }}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r.mu.Lock()
			r.clients = append(r.clients, c)
			r.mu.Unlock()
			all.Go(func() { r.pass(t, c) })
		}
	})
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		all.Wait()
	})
	u.Host = l.Addr().String()
	return r, u.String()
}

func (r *relay) pass(t *testing.T, client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", r.server)
	if err != nil {
		t.Error(err)
		return
	}
	var back sync.WaitGroup
	defer back.Wait()
	defer server.Close()
	mute, muted := make(chan struct{}), make(chan struct{}) // the answers; and that one was swallowed
	back.Go(func() {
		defer client.Close()
		defer close(muted)
		buffer := make([]byte, 64<<10)
		for {
			n, err := server.Read(buffer)
			select {
			case <-mute:
				return
			default:
			}
			if _, gone := client.Write(buffer[:n]); err != nil || gone != nil {
				return
			}
		}
	})
	buffer := make([]byte, 64<<10)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		if n == 16 && binary.BigEndian.Uint32(buffer[4:]) == 80877102 {
			r.cancels.Add(1)
		}
		pass, cut := true, false
		if bytes.Contains(buffer[:n], []byte("COMMIT\x00")) {
			pass, cut = r.atCommit()
		}
		if cut {
			close(mute)
		}
		if pass {
			if _, err := server.Write(buffer[:n]); err != nil {
				return
			}
		}
		if cut {
			if pass {
				<-muted
			}
			return
		}
	}
}

func TestACommitWhoseAnswerIsLost(t *testing.T) {
	for _, tt := range []struct {
		name string
		pass bool
	}{{"though it counts", true}, {"and it does not count", false}} {
		t.Run(tt.name, func(t *testing.T) {
			direct := pgtest.URL(t)
			r, through := newRelay(t, direct)
			db := openPostgresTest(t, through)
			var cut atomic.Bool
			r.atCommit = func() (bool, bool) {
				if cut.CompareAndSwap(true, false) {
					return tt.pass, true
				}
				return true, false
			}
			cut.Store(true)
			runs := 0
			err := db.write(t.Context(), func(tx *Tx) error {
				runs++
				tx.committed(func() { t.Error("a change that may not count was reported as committed") })
				return note("a")(tx)
			})
			wantKinds(t, []error{err, db.write(t.Context(), note("b"))}, "unknown", "done")
			if tt.pass {
				wantRows(t, db, "a", "b", "schema_floor")
			} else {
				wantRows(t, db, "b", "schema_floor")
			}
			if runs != 1 || r.cancels.Load() != 0 {
				t.Errorf("it ran %d times, and %d cancels were asked for; want once and none", runs, r.cancels.Load())
			}
		})
	}
}

// ownServer is one that no other test uses.
func ownServer(t *testing.T) *pgtest.Server {
	t.Helper()
	pgtest.URL(t) // skips where there is none
	s, err := pgtest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

func queryOne(t *testing.T, s *pgtest.Server, query string) string {
	t.Helper()
	value, err := s.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func TestAServerThatGoesAndComesBack(t *testing.T) {
	s := ownServer(t)
	db := openPostgresTest(t, s.URL(nil))
	wantKinds(t, []error{db.write(t.Context(), note("before"))}, "done")
	for range db.readers.size { // each has a connection, which is lost
		wantRows(t, db, "before", "schema_floor")
	}
	s.Kill()
	wantKinds(t, []error{db.write(t.Context(), note("meanwhile"))}, "unavailable")
	if _, err := db.APIKey(t.Context(), "a"); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("a read without a server: %v", err)
	}
	if err := s.Run(); err != nil {
		t.Fatal(err)
	}
	for range 2 * db.readers.size {
		wantRows(t, db, "before", "schema_floor")
	}
	wantKinds(t, []error{db.write(t.Context(), note("after"))}, "done")
	wantRows(t, db, "after", "before", "schema_floor")
}

func TestAReadThatIsGivenUp(t *testing.T) {
	db := openPostgresTest(t, pgtest.URL(t))
	for range 2 * db.readers.size { // no connection is used up by it
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		r, err := db.queryOnce(ctx, `SELECT 'x' FROM (SELECT pg_sleep(60)) s`)
		if err == nil {
			err = errors.Join(r.Err(), r.Close())
		}
		cancel()
		if fault.KindOf(err) != fault.Unavailable || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want that it was given up", err)
		}
	}
	wantRows(t, db, "schema_floor")
}

func TestAServerThatSaysNothingIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		began := time.Now()
		_, err := (&impatient{Conn: ours}).Read(make([]byte, 1))
		if late, ok := errors.AsType[net.Error](err); !errors.Is(err, errSilent) || ok && late.Timeout() || time.Since(began) != pgSilence {
			t.Errorf("a read ended after %v with %v; want an error that is no timeout after %v", time.Since(began), err, pgSilence)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		c := &impatient{Conn: ours}
		go func() { time.Sleep(time.Second); _ = c.SetDeadline(time.Now().Add(time.Second)) }()
		began := time.Now()
		_, err := c.Read(make([]byte, 1))
		late, ok := errors.AsType[net.Error](err)
		if !ok || !late.Timeout() || time.Since(began) != 2*time.Second {
			t.Errorf("a read with a deadline of the driver ended after %v with %v", time.Since(began), err)
		}
	})
}

func TestADatabaseThatCannotBeUsed(t *testing.T) {
	s := ownServer(t)
	s.Exec(t, `REVOKE CREATE ON SCHEMA public FROM PUBLIC; CREATE USER guest`)
	s.Exec(t, `CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'`)
	right := s.URL(nil)
	for _, tt := range []struct{ name, url, want string }{
		{"no server", strings.Replace(right, strconv.Itoa(s.Port), "1", 1), "[127.0.0.1:1/postgres] cannot be used: the server cannot be reached"},
		{"no database", strings.Replace(right, "/postgres?", "/other?", 1), "/other] cannot be used: it does not exist: create it, with the encoding UTF8"},
		{"no user", strings.Replace(right, "latchkey@", "stranger:Geheim-9@", 1), "cannot be used: the server refuses the user or the password"},
		{"no rights", strings.Replace(right, "latchkey@", "guest@", 1), "cannot be used: its user may not do what is needed"},
		{"another encoding", strings.Replace(right, "/postgres?", "/latin?", 1), "its encoding is LATIN1"},
		{"another scheme", "mysql://u:Geheim-9@h/d", "the URL of the database is not understood"},
		{"a port that is none", "postgres://u:Geheim-9@h:port/d", "the URL of the database is not understood"},
		{"a password with what has a meaning", "postgres://u:Geheim-9%@h/d", "the URL of the database is not understood"},
		{"a file that is missing", "postgres://u:Geheim-9@h/d?sslrootcert=/nowhere/ca.pem&sslmode=verify-full", "names a file that cannot be read: open /nowhere/ca.pem"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			db, err := OpenPostgres(t.Context(), tt.url)
			if err == nil {
				db.Close()
				t.Fatal("it was opened")
			}
			if !strings.Contains(err.Error(), tt.want) || strings.Contains(fmt.Sprintf("%v %+v", err, err), "Geheim") {
				t.Errorf("got %q, want %q and no password", err, tt.want)
			}
		})
	}
}
