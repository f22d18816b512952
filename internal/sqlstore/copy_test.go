package sqlstore

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"latchkey/internal/access"
	"latchkey/internal/apikey"
	"latchkey/internal/profile"
	"latchkey/internal/sqlstore/pgtest"
	"latchkey/internal/token"
	"latchkey/internal/user"
)

// filled puts something into every table that a service writes to.
func filled(t *testing.T, db *DB, keys int) {
	t.Helper()
	ctx := t.Context()
	want := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := db.InitMeta(ctx, "cluster_uuid", "the one")
	want(err)
	name := "Jörg \x00"
	for i := range keys {
		set := apikey.RoleSet{Digest: sha256.Sum256(fmt.Append(nil, i%7)), Body: fmt.Append(nil, i%7)}
		k := apikey.Key{ID: fmt.Sprintf("k%05d", i), Type: apikey.REST, Name: "n\xff", CreatedAt: time.UnixMilli(int64(i)).UTC(), Metadata: []byte(`{}`), Roles: set.Digest,
			Owner: apikey.Owner{Username: "u", Realm: "r", Metadata: []byte(`{}`), FullName: &name}}
		if i%3 == 0 {
			k.OldHash, k.OldUntil, k.CertificateIdentity = "old", time.UnixMilli(9).UTC(), "CN=.*"
		}
		if i%5 == 0 {
			k.InvalidatedAt, k.ExpiresAt = time.UnixMilli(7).UTC(), time.UnixMilli(8).UTC()
		}
		want(db.InsertAPIKey(ctx, k, set))
		want(db.InsertToken(ctx, token.Record{CreatedAt: time.UnixMilli(1), Access: sha256.Sum256(fmt.Append(nil, "a", i)), Refresh: sha256.Sum256(fmt.Append(nil, "r", i)), Username: "u",
			Identity: token.Snapshot{Digest: set.Digest, Body: set.Body}}))
	}
	want(db.NoteAPIKeyUses(ctx, []apikey.Use{{KeyID: "k00000", At: time.UnixMilli(3), Address: "::1", Agent: name}}))
	want(db.NoteTold(ctx, []apikey.Key{{ID: "k00000", ExpiresAt: time.UnixMilli(8)}}))
	_, err = db.PutUser(ctx, user.User{Username: "u", Roles: []string{"a"}, Email: &name}, "h")
	want(err)
	want(db.SetReservedUserPassword(ctx, "elastic", "h"))
	_, err = db.PutRole(ctx, "r", access.Descriptor{})
	want(err)
	_, err = db.ActivateProfile(ctx, profile.Profile{UID: "p", Labels: []byte(`{}`), Data: []byte(`{}`)})
	want(err)
}

func tell(string, int64, int64) {}

func TestACopyIsWhole(t *testing.T) {
	file, base := openTest(t), openPostgresTest(t, pgtest.URL(t))
	filled(t, file, 1234)
	last := map[string][2]int64{}
	if err := Copy(t.Context(), file, base, func(table string, done, all int64) { last[table] = [2]int64{done, all} }); err != nil {
		t.Fatal(err)
	}
	for table, want := range map[string]int64{"api_keys": 1234, "tokens": 1234, "api_key_uses": 1, "expiry_notices": 1} {
		if last[table] != [2]int64{want, want} {
			t.Errorf("told of %v of the table %s, want all %d", last[table], table, want)
		}
	}
	if err := base.Whole(t.Context()); err != nil {
		t.Error(err)
	}
	back := openTest(t)
	if err := Copy(t.Context(), base, back, tell); err != nil {
		t.Fatal(err)
	}
	for _, db := range []*DB{base, back} {
		was, err1 := file.APIKeys(t.Context(), apikey.Selector{}, time.Time{})
		is, err2 := db.APIKeys(t.Context(), apikey.Selector{}, time.Time{})
		if diff := cmp.Diff(was, is); err1 != nil || err2 != nil || diff != "" {
			t.Fatalf("%v, %v (-original +copy)\n%s", err1, err2, diff)
		}
		if _, err := db.Token(t.Context(), sha256.Sum256([]byte("a7"))); err != nil {
			t.Error(err)
		}
		if err := db.InsertToken(t.Context(), token.Record{Access: sha256.Sum256([]byte("new")), Identity: token.Snapshot{Body: []byte("{}")}}); err != nil { // its id is free
			t.Error(err)
		}
	}
}

func TestACopyThatWasInterruptedGoesOn(t *testing.T) {
	file, base := openTest(t), openPostgresTest(t, pgtest.URL(t))
	filled(t, file, 1234)
	runs := 0
	for ; ; runs++ {
		ctx, stop := context.WithCancel(t.Context())
		steps := 0
		err := Copy(ctx, file, base, func(string, int64, int64) {
			if steps++; steps == 6 {
				stop()
			}
		})
		stop()
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if err := base.Whole(t.Context()); err == nil || !strings.Contains(err.Error(), "has not been finished") {
			t.Errorf("an unfinished copy: %v", err)
		}
		if runs > 20 {
			t.Fatal("it does not get further")
		}
	}
	if runs < 2 {
		t.Errorf("it was interrupted %d times", runs)
	}
	n, err := base.count(t.Context(), table{name: "api_keys"})
	if err != nil || n != 1234 {
		t.Errorf("the copy has %d keys, %v", n, err)
	}
}

func TestACopyThatIsRefused(t *testing.T) {
	full := openTest(t)
	filled(t, full, 1)
	other := openTest(t)
	if _, err := other.InitMeta(t.Context(), "cluster_uuid", "another"); err != nil {
		t.Fatal(err)
	}
	begun := openTest(t)
	if _, err := begun.beginCopy(t.Context(), full, nil); err != nil {
		t.Fatal(err)
	}
	base := openPostgresTest(t, pgtest.URL(t))
	for _, tt := range []struct {
		name     string
		from, to *DB
		want     string
	}{
		{"into a store in use", full, other, "the store to copy into is not empty"},
		{"of a store that nobody has used", openTest(t), openTest(t), "there is nothing to copy"},
		{"of one that is unfinished", begun, openTest(t), "has not been finished"},
		{"into the copy of another one", other, begun, "is of another store"},
		{"between two databases", base, base, "one side has to be a file"},
	} {
		if err := Copy(t.Context(), tt.from, tt.to, tell); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestACopyThatDiffersIsNoticed(t *testing.T) {
	file, base := openTest(t), openPostgresTest(t, pgtest.URL(t))
	filled(t, file, 3)
	changed := false
	err := Copy(t.Context(), file, base, func(table string, done, all int64) {
		if table == "users" && done == 1 && !changed { // after the keys
			changed = true
			if err := file.write(context.Background(), func(tx *Tx) error {
				return noResult(tx.exec(`UPDATE api_keys SET metadata = '{"new":1}' WHERE id = 'k00001'`))
			}); err != nil {
				t.Error(err)
			}
		}
	})
	if err == nil || !strings.Contains(err.Error(), "the copy of the table api_keys differs") {
		t.Errorf("got %v", err)
	}
	if base.Whole(t.Context()) == nil {
		t.Error("it counts as whole")
	}
}

// The engines have the same tables and columns, but for what each has for itself.
func TestBothEnginesHaveTheSameSchema(t *testing.T) {
	file, base := openTest(t), openPostgresTest(t, pgtest.URL(t))
	tables, err := file.tables(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, tab := range tables {
		if len(tab.key) == 0 {
			t.Errorf("%s has no key", tab.name)
		}
		for _, c := range tab.columns {
			kind := map[string]string{"TEXT": "text", "INTEGER": "bigint", "BLOB": "bytea"}[c.kind]
			want = append(want, tab.name+" "+c.name+" "+kind)
		}
	}
	var got []string
	rows, err := base.queryOnce(t.Context(), `
		SELECT CAST(table_name || ' ' || column_name || ' ' || data_type AS text) FROM information_schema.columns
		WHERE table_schema = current_schema() AND table_name NOT LIKE 'goose%' AND table_name <> 'token_locks' AND table_name NOT LIKE 'lk%' AND column_name <> 'touched_at'
			AND NOT (table_name = 'tokens' AND column_name = 'id')`)
	if err == nil {
		err = scanTexts(rows, &got)
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-SQLite +PostgreSQL)\n%s", err, diff)
	}
}
