package sqlstore

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"

	"latchkey/internal/apikey"
	"latchkey/internal/fault"
	"latchkey/internal/secret"
	"latchkey/internal/sqlstore/pgtest"
	"latchkey/internal/token"
	"latchkey/internal/user"
)

// plainPostgres returns a connection that does as it is told.
func plainPostgres(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func must(t *testing.T, conn *pgx.Conn, statement string, args ...any) {
	t.Helper()
	if _, err := conn.Exec(context.Background(), statement, args...); err != nil {
		t.Fatal(err)
	}
}

// Keys k000001 ... of the user u, and tokens of u whose ids are from 1000 on.
const (
	massOfKeys = `
		INSERT INTO api_keys (id, type, name, username, realm, realm_type, hash, created_at, roles, metadata, owner_metadata)
		SELECT 'k' || lpad(i::text, 6, '0'), 'rest', 'n', 'u', 'r', 'native', 'h', 0, '', '{}', '{}' FROM generate_series(1, $1::int) i`
	massOfTokens = `
		INSERT INTO tokens (id, created_at, access_hash, access_expires_at, username, realm, identity)
		SELECT 1000 + i, 0, sha256(i::text::bytea), 1000, 'u', 'r', '' FROM generate_series(0, $1::int - 1) i`
)

// endKeys invalidates the keys of the user u, and returns how many each step has ended.
func endKeys(t *testing.T, db *DB, at time.Time, after func(steps int)) (found apikey.Invalidated, steps []int, err error) {
	t.Helper()
	found, err = db.InvalidateAPIKeys(t.Context(), apikey.Selector{Username: "u"}, false, at, func(ids []string) {
		steps = append(steps, len(ids))
		after(len(steps))
	})
	return found, steps, err
}

func TestAMassOfKeysGoesInSteps(t *testing.T) {
	url := pgtest.URL(t)
	db, conn := openPostgresTest(t, url), plainPostgres(t, url)
	const keys = 2*massStep + 50
	must(t, conn, massOfKeys, keys)
	follow(t, db, func() {})
	at := time.UnixMilli(12345)
	found, steps, err := endKeys(t, db, at, func(steps int) {
		if steps == 1 { // somebody else ends one of those to come
			must(t, conn, `INSERT INTO invalidated_keys (key_id, invalidated_at) VALUES ('k015000', 1)`)
		}
	})
	if want := []int{massStep, massStep - 1, 50, 0, 0}; err != nil || !slices.Equal(steps, want) || len(found.IDs) != keys-1 || !slices.IsSorted(found.IDs) {
		t.Errorf("%d keys were ended in steps of %d (%v), want %d", len(found.IDs), steps, err, want)
	}
	var marked int
	if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM invalidated_keys WHERE invalidated_at = 12345`).Scan(&marked); err != nil || marked != keys-1 {
		t.Errorf("%d keys have the time of the call, %v; want %d", marked, err, keys-1)
	}
	var kinds []string
	for _, r := range records(t, db.Fleet())[1:] {
		kinds = append(kinds, r.Kind)
	}
	if want := []string{EndedAPIKeys + OfOwner, EndedAPIKeys + OfOwner, EndedAPIKeys}; !slices.Equal(kinds, want) {
		t.Errorf("the records are of %q, want %q", kinds, want)
	}
	if found, steps, err := endKeys(t, db, at, func(int) {}); err != nil || len(found.IDs) != 0 || !slices.Equal(steps, []int{0, 0}) {
		t.Errorf("a repetition has ended %d keys in steps of %d, %v", len(found.IDs), steps, err)
	}
}

// What a step has done stays if the next one fails, and a repetition does the rest.
func TestAMassOfKeysThatFailsInBetween(t *testing.T) {
	url := pgtest.URL(t)
	db, conn := openPostgresTest(t, url), plainPostgres(t, url)
	must(t, conn, massOfKeys, massStep+50)
	must(t, conn, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not this one'; END $$`)
	must(t, conn, `CREATE TRIGGER refuse BEFORE INSERT ON invalidated_keys FOR EACH ROW WHEN (NEW.key_id = 'k010020') EXECUTE FUNCTION refuse()`)
	_, steps, err := endKeys(t, db, time.UnixMilli(1), func(int) {})
	if !slices.Equal(steps, []int{massStep}) || fault.KindOf(err) != fault.Unknown {
		t.Errorf("steps of %d, %v; want the first one, and that more may have been done", steps, err)
	}
	must(t, conn, `DROP TRIGGER refuse ON invalidated_keys`)
	if found, steps, err := endKeys(t, db, time.UnixMilli(1), func(int) {}); err != nil || len(found.IDs) != 50 || !slices.Equal(steps, []int{50}) {
		t.Errorf("a repetition has ended %d keys in steps of %d, %v; want the last 50", len(found.IDs), steps, err)
	}
}

// Who holds a key that a later step ends can make another one until then. It must
// not outlive the call: nobody else would ever end it.
func TestAMassOfKeysEndsThoseMadeInBetween(t *testing.T) {
	url := pgtest.URL(t)
	db, conn := openPostgresTest(t, url), plainPostgres(t, url)
	must(t, conn, massOfKeys, massStep+50)
	found, steps, err := endKeys(t, db, time.UnixMilli(1), func(steps int) {
		if steps > 2 {
			return
		}
		for _, id := range []string{"a", "z"} { // before and behind all others
			must(t, conn, `INSERT INTO api_keys (id, type, name, username, realm, realm_type, hash, created_at, roles, metadata, owner_metadata)
				VALUES ($1, 'rest', 'n', 'u', 'r', 'native', 'h', 0, '', '{}', '{}')`, fmt.Sprint(id, steps))
		}
	})
	for _, id := range []string{"a1", "z1", "a2", "z2"} {
		if !slices.Contains(found.IDs, id) {
			t.Errorf("%s is not among the %d keys that steps of %d have ended (%v)", id, len(found.IDs), steps, err)
		}
	}
}

// Before another node has forgotten the keys of a user, whoever holds one of them can
// make another there.
func TestTheKeysOfAUserThatAnotherNodeMakesMeanwhile(t *testing.T) {
	url := pgtest.URL(t)
	db, conn := openPostgresTest(t, url), plainPostgres(t, url)
	must(t, conn, massOfKeys, 3)
	follow(t, db, func() {})
	found, steps, err := endKeys(t, db, time.UnixMilli(1), func(steps int) {
		if steps == 1 { // it is committed, and no other node knows of it
			must(t, conn, `INSERT INTO api_keys (id, type, name, username, realm, realm_type, hash, created_at, roles, metadata, owner_metadata)
				VALUES ('late', 'rest', 'n', 'u', 'r', 'native', 'h', 0, '', '{}', '{}')`)
		}
	})
	if want := []string{"k000001", "k000002", "k000003", "late"}; err != nil || !slices.Equal(found.IDs, want) {
		t.Errorf("steps of %d have ended %q (%v), want %q", steps, found.IDs, err, want)
	}
}

// A caller who goes away while a mass is ended leaves no half of it.
func TestAMassOfKeysIsEndedWhoeverWaits(t *testing.T) {
	url := pgtest.URL(t)
	db, conn := openPostgresTest(t, url), plainPostgres(t, url)
	must(t, conn, massOfKeys, massStep+50)
	ctx, cancel := context.WithCancel(t.Context())
	ended := 0
	_, err := db.InvalidateAPIKeys(ctx, apikey.Selector{Username: "u"}, false, time.UnixMilli(1), func(ids []string) {
		ended += len(ids)
		cancel()
	})
	if err != nil || ended != massStep+50 {
		t.Errorf("%d keys were ended, %v", ended, err)
	}
}

// A mass that waits for somebody's lock keeps no other change waiting.
func TestAMassHoldsNobodyUp(t *testing.T) {
	url := pgtest.URL(t)
	db, other, conn, watch := openPostgresTest(t, url), openPostgresTest(t, url), plainPostgres(t, url), plainPostgres(t, url)
	must(t, conn, massOfKeys, massStep+50)
	must(t, conn, `BEGIN`)
	must(t, conn, `INSERT INTO invalidated_keys (key_id, invalidated_at) VALUES ('k009999', 1)`)
	ended := make(chan error)
	go func() {
		_, err := db.InvalidateAPIKeys(context.Background(), apikey.Selector{Username: "u"}, false, time.UnixMilli(1), func([]string) {})
		ended <- err
	}()
	for waiting := 0; waiting == 0; {
		if err := watch.QueryRow(t.Context(), `SELECT count(*) FROM pg_locks l JOIN pg_locks o USING (transactionid) WHERE NOT l.granted AND o.pid = $1`, conn.PgConn().PID()).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := other.PutUser(t.Context(), user.User{Username: "v", Enabled: true}, "hash"); err != nil { // a change with a revision
		t.Error(err)
	}
	must(t, conn, `ROLLBACK`)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// Between two steps a refresh may make a token whose place in the order has passed.
func TestAMassOfTokensGoesInSteps(t *testing.T) {
	url := pgtest.URL(t)
	db, conn := openPostgresTest(t, url), plainPostgres(t, url)
	must(t, conn, massOfTokens, massStep+50)
	var steps []int
	found, err := db.InvalidateTokens(t.Context(), token.Selector{Username: "u", ExpiresFrom: time.UnixMilli(5)}, time.UnixMilli(7), func(hashes []token.Hash) {
		if steps = append(steps, len(hashes)); len(steps) == 1 {
			must(t, conn, `INSERT INTO tokens (id, created_at, access_hash, access_expires_at, username, realm, identity) VALUES (1, 0, sha256('late'), 1000, 'u', 'r', '')`)
		}
	})
	if want := []int{massStep, 50, 1}; err != nil || found != (token.Halves{Now: massStep + 51}) || !slices.Equal(steps, want) {
		t.Errorf("%+v were ended in steps of %d (%v), want %d", found, steps, err, want)
	}
	var alive int
	if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM tokens WHERE access_off_at IS DISTINCT FROM 7`).Scan(&alive); err != nil || alive != 0 {
		t.Errorf("%d tokens have not the time of the call, %v", alive, err)
	}
}

func TestAUserWithMassesIsCutOff(t *testing.T) {
	url := pgtest.URL(t)
	db, conn := openPostgresTest(t, url), plainPostgres(t, url)
	must(t, conn, massOfKeys, 2*massStep+1)
	must(t, conn, massOfTokens, massStep)
	if _, err := db.PutUser(t.Context(), user.User{Username: "u", Enabled: true}, "hash"); err != nil {
		t.Fatal(err)
	}
	var keys, tokens []int
	c := user.CutOff{
		Username: "u", Realm: "r", Credentials: user.Credentials{APIKeys: true, Tokens: true}, At: time.UnixMilli(7),
		Ended: user.Ended{Keys: func(ids []string) { keys = append(keys, len(ids)) }, Tokens: func(hashes []secret.TokenHash) { tokens = append(tokens, len(hashes)) }},
	}
	found, done, err := db.CutOffUser(t.Context(), c)
	if want := (user.Revoked{APIKeys: 2*massStep + 1, Tokens: massStep}); err != nil || !found || done != want {
		t.Errorf("the user was found: %t, and lost %+v (%v), want %+v", found, done, err, want)
	}
	if got, want := fmt.Sprint(keys, tokens), fmt.Sprint([]int{massStep, massStep, 1}, []int{massStep}); got != want {
		t.Errorf("keys and tokens were ended in steps of %s, want %s", got, want)
	}
	if found, done, err := db.CutOffUser(t.Context(), c); err != nil || !found || done != (user.Revoked{}) {
		t.Errorf("a repetition has found %t and %+v, %v", found, done, err)
	}
}

// Two nodes are told at once to end the same: each key and token is ended by one of them.
func TestTwoNodesEndTheSameMass(t *testing.T) {
	url := pgtest.URL(t)
	a, b, conn := openPostgresTest(t, url), openPostgresTest(t, url), plainPostgres(t, url)
	must(t, conn, massOfKeys, 2*massStep+50)
	must(t, conn, massOfTokens, massStep+50)
	var keys, tokens [2]int
	var all sync.WaitGroup
	for i, db := range []*DB{a, b} {
		all.Go(func() {
			done, err := db.InvalidateAPIKeys(context.Background(), apikey.Selector{Username: "u"}, false, time.UnixMilli(1), func([]string) {})
			keys[i] = len(done.IDs)
			if err != nil {
				t.Error(err)
			}
		})
		all.Go(func() {
			halves, err := db.InvalidateTokens(context.Background(), token.Selector{Realm: "r"}, time.UnixMilli(1), func([]token.Hash) {})
			tokens[i] = halves.Now
			if err != nil || halves.Before != 0 {
				t.Errorf("%+v, %v", halves, err)
			}
		})
	}
	all.Wait()
	if keys[0]+keys[1] != 2*massStep+50 || tokens[0]+tokens[1] != massStep+50 {
		t.Errorf("both have ended %d keys and %d tokens, want each of them once", keys, tokens)
	}
}

// A mass rests by how long its steps took, within bounds, less what earlier sleeps
// took too long, and not where somebody else does the work.
func TestPace(t *testing.T) {
	const us = time.Microsecond
	for name, tt := range map[string]struct {
		off               bool
		owed, took, rests time.Duration
	}{
		"a step":                      {took: 60 * us, rests: 180 * us},
		"a short step":                {took: us, rests: minRest},
		"a long step":                 {took: time.Second, rests: maxRest},
		"after a sleep too long":      {owed: -100 * us, took: 60 * us, rests: 80 * us},
		"after one much too long":     {owed: -maxDebt, took: 60 * us},
		"work that is done elsewhere": {off: true, took: 60 * us},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &pace{off: tt.off, owed: tt.owed, began: time.Now()}
				time.Sleep(tt.took)
				began := time.Now()
				p.step()
				if rested := time.Since(began); rested != tt.rests {
					t.Errorf("it rested for %s, want %s", rested, tt.rests)
				}
			})
		})
	}
	for _, others := range []bool{true, false} {
		if tx := (&Tx{dialect: &dialect{others: others}}); tx.newPace().off != others {
			t.Errorf("a mass rests beside other writers, or does not where there are none (%t)", others)
		}
	}
}
