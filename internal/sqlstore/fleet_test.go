package sqlstore

import (
	"context"
	"crypto/rand"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"latchkey/internal/apikey"
	"latchkey/internal/fault"
	"latchkey/internal/fleet"
	"latchkey/internal/secret"
	"latchkey/internal/sqlstore/pgtest"
	"latchkey/internal/user"
)

// records returns the whole log.
func records(t *testing.T, s *FleetStore) []fleet.Record {
	t.Helper()
	all, err := s.Log(t.Context(), -1, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestTheLogHasOneChain(t *testing.T) {
	url := pgtest.URL(t)
	a, b := openPostgresTest(t, url), openPostgresTest(t, url)
	const each = 20
	done := make(chan error)
	for i, db := range []*DB{a, b} {
		for j := range each {
			go func() {
				_, err := db.PutUser(t.Context(), user.User{Username: fmt.Sprintf("u%d-%d", i, j), Enabled: true}, "hash")
				done <- err
			}()
		}
	}
	for range 2 * each {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	all, changes := records(t, a.Fleet()), map[string]int{}
	for i, r := range all {
		if r.Rev != int64(i) || i > 0 && r.Prev != all[i-1].UID {
			t.Errorf("record %d is %d after %s, which is no chain", i, r.Rev, r.Prev)
		}
		parts, err := r.Changes()
		if err != nil {
			t.Error(err)
		}
		for _, c := range parts {
			names, err := fleet.DecodeIDs(c.Body)
			if err != nil {
				t.Error(err)
			}
			for _, name := range names {
				changes[c.Kind+" "+name]++
			}
		}
	}
	if len(changes) != 2*each || changes["users u1-3"] != 1 {
		t.Errorf("the log holds %v, want every user once", changes)
	}
	head, err := b.Fleet().Head(t.Context())
	if last := all[len(all)-1].Mark; err != nil || head != last {
		t.Errorf("the newest record is said to be %v (%v), want %v", head, err, last)
	}
}

func TestRowsOfNodes(t *testing.T) {
	db := openPostgresTest(t, pgtest.URL(t))
	s, ctx := db.Fleet(), t.Context()
	first, err := s.Head(ctx)
	if err != nil || first.Rev != 0 || first.UID == "" {
		t.Fatalf("an empty log ends with %v (%v), want a first record", first, err)
	}
	a := fleet.Member{ID: "a", Name: "A", Addr: "http://a", Span: 10*time.Second + 1}
	if r, err := s.Renew(ctx, "a", first); err != nil || !r.Gone {
		t.Errorf("renewed without a row: %v, %v; want gone", r, err)
	}
	for range 2 { // a repetition changes nothing
		if err := s.Join(ctx, a, "old"); err != nil {
			t.Fatal(err)
		}
	}
	a.Span = 10*time.Second + time.Millisecond // never less than it is
	if r, err := s.Renew(ctx, "a", first); err != nil || r != (fleet.Renewal{Head: first, Longest: a.Span}) {
		t.Errorf("renewed: %v, %v", r, err)
	}
	if r, err := s.Renew(ctx, "a", fleet.Mark{Rev: 0, UID: "other"}); err != nil || !r.Forked || r.Gone {
		t.Errorf("renewed with another history: %v, %v; want forked", r, err)
	}
	a.Seq = 1
	want := fleet.Membership{Head: first, Holds: true, Members: []fleet.Member{a}}
	if got, err := s.Members(ctx, first); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("members are %v (%v), want %v", got, err, want)
	}
	if err := s.Join(ctx, fleet.Member{ID: "b"}, "a"); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		id   string
		seq  int64
		want bool
	}{{"a", 1, false}, {"b", 1, false}, {"b", 0, true}, {"b", 0, false}} {
		if got, err := s.Fence(ctx, tt.id, tt.seq); err != nil || got != tt.want {
			t.Errorf("fence %s at %d: %v (%v), want %v", tt.id, tt.seq, got, err, tt.want)
		}
	}
	want = fleet.Membership{Head: first}
	if got, err := s.Members(ctx, fleet.Mark{Rev: 7, UID: "unheard"}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("members are %v (%v), want %v", got, err, want)
	}
}

// Who writes a record learns of the leases that may not know of it: a node joins
// before, and is counted, or after, and knows the record when it has its first lease.
func TestANodeJoinsWhileARecordIsWritten(t *testing.T) {
	url := pgtest.URL(t)
	db := openPostgresTest(t, url)
	s, ctx := db.Fleet(), t.Context()
	other, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close(context.WithoutCancel(ctx))
	tx, err := other.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(ctx, `UPDATE lk_rev SET rev = rev + 1, prev = uid, uid = 'one'`); err != nil {
		t.Fatal(err)
	}
	joined := make(chan error, 1)
	go func() { joined <- s.Join(ctx, fleet.Member{ID: "a", Span: 20 * time.Second}, "") }()
	for waits := false; !waits; {
		select {
		case err := <-joined:
			t.Fatalf("joined (%v) between a record and its commit", err)
		default:
		}
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))`).Scan(&waits); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	<-joined // or given up meanwhile, on a busy machine
	if err := s.Join(ctx, fleet.Member{ID: "a", Span: 20 * time.Second}, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Exec(ctx, `INSERT INTO lk_node (node_id, name, addr, acked_rev, lease_seq) VALUES ('old', '', '', 0, 0)`); err != nil { // as the release before does
		t.Fatal(err)
	}
	all, err := s.Members(ctx, fleet.Mark{})
	if err != nil || len(all.Members) != 2 || all.Members[0].Span != 20*time.Second || all.Members[1].Span != time.Minute {
		t.Errorf("the nodes are %+v (%v), want leases of 20 s and, of one that does not say, a minute", all.Members, err)
	}
	written, err := db.writer.transact([]*act{{change: func(tx *Tx) error { tx.ended(EndedUsers, "u"); return nil }}}, true)
	if err != nil || written == nil || written.Longest != time.Minute {
		t.Errorf("a record is written as %+v (%v), want it to tell of the longest lease", written, err)
	}
}

func TestTrim(t *testing.T) {
	db := openPostgresTest(t, pgtest.URL(t))
	s, ctx := db.Fleet(), t.Context()
	for i := range 5 {
		if _, err := db.PutUser(ctx, user.User{Username: fmt.Sprint("u", i)}, "hash"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Join(ctx, fleet.Member{ID: "a", Acked: 3}, ""); err != nil {
		t.Fatal(err)
	}
	const past = -time.Hour // so that every record is older
	for _, tt := range []struct {
		age  time.Duration
		left int
	}{{time.Hour, 6}, {past, 3}} {
		if _, err := s.Trim(ctx, tt.age); err != nil {
			t.Fatal(err)
		}
		if got := len(records(t, s)); got != tt.left {
			t.Errorf("after what is older than %v went there are %d records, want %d", tt.age, got, tt.left)
		}
	}
	if err := s.Leave(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Trim(ctx, past); err != nil {
		t.Fatal(err)
	}
	if all := records(t, s); len(all) != 1 || all[0].Rev != 5 {
		t.Errorf("without nodes the log is %v, want the newest record", all)
	}
}

func TestTurns(t *testing.T) {
	s := openPostgresTest(t, pgtest.URL(t)).Fleet()
	for i, tt := range []struct {
		task, taker string
		d           time.Duration
		want        bool
	}{
		{"warn", "a", time.Hour, true},
		{"warn", "b", time.Hour, false},
		{"other", "b", time.Hour, true},
		{"warn", "a", 0, true}, // for no longer than now
		{"warn", "b", time.Hour, true},
		{"warn", "a", time.Hour, false},
	} {
		if got, err := s.TakeTurn(t.Context(), tt.task, tt.taker, tt.d); err != nil || got != tt.want {
			t.Errorf("%d: %s takes %s for %v: %v (%v), want %v", i, tt.taker, tt.task, tt.d, got, err, tt.want)
		}
	}
	all := make(chan bool)
	for i := range 20 {
		go func() {
			got, err := s.TakeTurn(context.Background(), "raced", fmt.Sprint(i), time.Hour)
			all <- got && err == nil
		}()
	}
	taken := 0
	for range 20 {
		if <-all {
			taken++
		}
	}
	if taken != 1 {
		t.Errorf("%d of 20 have the same turn", taken)
	}
}

// nobody is the peers of a node whose store nobody else has.
type nobody struct{}

func (nobody) Push(string, fleet.Push, func(fleet.Ack, error)) { panic("there is nobody") }

// follow has a store be that of a node, which runs until the test ends.
func follow(t *testing.T, db *DB, flushed func()) *fleet.Node {
	t.Helper()
	return followFor(t, db, 10*time.Second, flushed)
}

// followFor is follow with leases of a given length.
func followFor(t *testing.T, db *DB, lease time.Duration, flushed func()) *fleet.Node {
	t.Helper()
	n := fleet.New(db.Fleet(), nobody{}, fleet.BootClock(), fleet.Options{
		Length: lease, Drift: .01, NewID: rand.Text, Flush: flushed,
	})
	db.Follow(n)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- n.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	if err := n.ReadIndex(t.Context()); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAChangePassesTheBarrier(t *testing.T) {
	db := openPostgresTest(t, pgtest.URL(t))
	n := follow(t, db, func() {})
	if err := db.InsertAPIKey(t.Context(), apikey.Key{ID: "k", Metadata: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	if got := n.Seen().Rev; got != 0 {
		t.Errorf("a new key is revision %d, want none", got)
	}
	end := func() apikey.Invalidated {
		t.Helper()
		done, err := db.InvalidateAPIKeys(t.Context(), apikey.Selector{IDs: []string{"k"}}, false, time.UnixMilli(1), func([]string) {})
		if err != nil {
			t.Fatal(err)
		}
		return done
	}
	end()
	if got := n.Seen().Rev; got != 1 {
		t.Errorf("an invalidation is revision %d, want 1", got)
	}
	before, _ := n.Metrics()
	if again := end(); len(again.Before) != 1 {
		t.Errorf("a repetition has found %v", again)
	}
	if after, _ := n.Metrics(); after.Renewals == before.Renewals || n.Seen().Rev != 1 {
		t.Errorf("a repetition is revision %d after %d renewals (%d before), want it to read the index alone", n.Seen().Rev, after.Renewals, before.Renewals)
	}
}

// Every node is told what to forget, and nothing of it is changed.
func TestWhatAllNodesForget(t *testing.T) {
	db, ctx := openPostgresTest(t, pgtest.URL(t)), t.Context()
	follow(t, db, func() {})
	for _, tt := range []struct {
		forget func() error
		kind   string
		names  []string // none: all
	}{
		{func() error { return db.ForgetAPIKeys(ctx, []string{"k", "l"}) }, EndedAPIKeys, []string{"k", "l"}},
		{func() error { return db.ForgetAPIKeys(ctx, nil) }, EndedAPIKeys, nil},
		{func() error { return db.ForgetRoles(ctx, []string{"r"}) }, EndedRoles, []string{"r"}},
		{func() error { return db.ForgetServiceTokens(ctx, nil) }, EndedServiceTokens, nil},
		{func() error { return db.ForgetApplicationPrivileges(ctx, []string{"app"}) }, EndedApplicationPrivileges, []string{"app"}},
		{func() error { return db.ForgetLogins(ctx, []string{"ldap1", "pki1"}, []string{"u", "v"}) }, EndedLogins, []string{"ldap1", "pki1", "", "u", "v"}},
		{func() error { return db.ForgetLogins(ctx, []string{"ldap1"}, nil) }, EndedLogins, []string{"ldap1", ""}},
		{func() error { return db.ForgetLogins(ctx, nil, []string{"u"}) }, "", nil}, // of no realm
	} {
		before := records(t, db.Fleet())
		if err := tt.forget(); err != nil {
			t.Error(err)
		}
		after := records(t, db.Fleet())
		if tt.kind == "" {
			if len(after) != len(before) {
				t.Errorf("nothing to forget became %v", after[len(before):])
			}
			continue
		}
		if len(after) != len(before)+1 {
			t.Fatalf("%s %q became %d records", tt.kind, tt.names, len(after)-len(before))
		}
		r := after[len(before)]
		names, err := fleet.DecodeIDs(r.Body)
		if err != nil || r.Kind != tt.kind || !reflect.DeepEqual(names, tt.names) {
			t.Errorf("%s %q became %s %q (%v)", tt.kind, tt.names, r.Kind, names, err)
		}
	}
	if err := openTest(t).ForgetAPIKeys(ctx, nil); err != nil {
		t.Errorf("where there are no other nodes: %v", err)
	}
}

func TestALoadIsAsNewAsWhatWasForgotten(t *testing.T) {
	db := openPostgresTest(t, pgtest.URL(t))
	n := follow(t, db, func() {})
	if _, err := db.PutUser(t.Context(), user.User{Username: "u", Enabled: true}, "hash"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.User(t.Context(), "u"); err != nil {
		t.Fatal(err)
	}
	// What a server that was deposed would have: this node has seen more.
	n.Receive(fleet.Push{Records: []fleet.Record{{Mark: fleet.Mark{Rev: 2, UID: "elsewhere"}, Prev: n.Seen().UID, Kind: EndedUsers, Body: fleet.EncodeIDs([]string{"u"})}}})
	for what, read := range map[string]func() error{
		"a user":          func() error { _, err := db.User(t.Context(), "u"); return err },
		"a reserved user": func() error { _, err := db.ReservedUser(t.Context(), "elastic"); return err },
	} {
		if err := read(); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("the load of %s: %v, want it to be unavailable", what, err)
		}
	}
}

// Another node makes a key for a user after the act has looked for those to end, and
// before it knows of the act.
func TestWhatIsMadeWhileAUserIsCutOff(t *testing.T) {
	url := pgtest.URL(t)
	db, other := openPostgresTest(t, url), openPostgresTest(t, url)
	armed := false
	follow(t, db, func() { // called once the act is committed
		if armed {
			armed = false
			if err := other.InsertAPIKey(context.Background(), apikey.Key{ID: "late", Type: apikey.REST, Owner: apikey.Owner{Username: "u", Realm: "r"}, Metadata: []byte("{}")}); err != nil {
				t.Error(err)
			}
		}
	})
	if _, err := db.PutUser(t.Context(), user.User{Username: "u", Enabled: true}, "hash"); err != nil {
		t.Fatal(err)
	}
	armed = true
	found, done, err := db.CutOffUser(t.Context(), user.CutOff{
		Username: "u", Realm: "r", Credentials: user.Credentials{APIKeys: true}, At: time.UnixMilli(1),
		Ended: user.Ended{Keys: func([]string) {}, Tokens: func([]secret.TokenHash) {}},
	})
	if err != nil || !found || done.APIKeys != 1 {
		t.Errorf("the user was found: %t, and lost %+v (%v); want the late key to be ended", found, done, err)
	}
}
