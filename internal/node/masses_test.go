package node

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"latchkey/internal/access"
	"latchkey/internal/apikey"
	"latchkey/internal/config"
	"latchkey/internal/fault"
	"latchkey/internal/fleet"
	"latchkey/internal/fleet/peer"
	"latchkey/internal/sqlstore"
	"latchkey/internal/sqlstore/pgtest"
	"latchkey/internal/token"
	"latchkey/internal/user"
)

// colleague is a node of the store at url, in this process.
func colleague(t *testing.T, url string) *rooms {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(config.Sources{Dir: t.TempDir(), Overrides: []string{"path.data=" + t.TempDir(), "latchkey.store.url=" + url,
		"latchkey.fleet.secret=a secret that all nodes of a fleet share", "latchkey.fleet.address=" + l.Addr().String()}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		t.Fatal(err)
	}
	r, err := open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.db.Close(); err != nil {
			t.Error(err)
		}
	})
	server := httptest.NewUnstartedServer(peer.Handler(cfg.Fleet.Secret, r.fleet.Node))
	if err := server.Listener.Close(); err != nil {
		t.Fatal(err)
	}
	server.Listener = l
	server.Start()
	t.Cleanup(server.Close)
	leave, err := r.fleet.start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(leave)
	return r
}

// somebody is a user who may do everything.
func somebody(username, realm string) *access.Caller {
	all := access.NewPermissions(nil, nil, access.NewRole(access.Descriptor{Cluster: []string{"all"}}))
	return &access.Caller{Type: access.ByRealm, Subject: access.Subject{Username: username, Realm: access.Realm{Name: realm, Type: "native"}, Permissions: all}}
}

// massOf makes n keys, and as many tokens, of one owner. It returns some of them.
func massOf(t *testing.T, url string, at *rooms, by *access.Caller, n int) (ids, tokens []string) {
	t.Helper()
	for range 5 {
		k, err := at.keys.Create(t.Context(), by, apikey.CreateRequest{Name: "of-" + by.Username})
		if err != nil {
			t.Fatal(err)
		}
		g, err := at.tokens.Grant(t.Context(), by, token.GrantRequest{Type: "client_credentials"})
		if err != nil {
			t.Fatal(err)
		}
		ids, tokens = append(ids, k.ID), append(tokens, g.Access)
	}
	db, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(t.Context())
	const copies = `
		INSERT INTO api_keys (id, type, name, username, realm, realm_type, hash, created_at, roles, limited_by, metadata, owner_metadata)
		SELECT id || '-' || i, type, name, username, realm, realm_type, hash, created_at, roles, limited_by, metadata, owner_metadata
		FROM api_keys, generate_series(1, $2::int) i WHERE id = $1`
	if _, err := db.Exec(t.Context(), copies, ids[0], n-len(ids)); err != nil {
		t.Fatal(err)
	}
	const copiesOfTokens = `
		INSERT INTO tokens (created_at, access_hash, access_expires_at, username, realm, identity)
		SELECT t.created_at, sha256((t.id || '-' || i)::bytea), t.access_expires_at, t.username, t.realm, t.identity
		FROM (SELECT * FROM tokens WHERE username = $1 AND realm = $2 ORDER BY id DESC LIMIT 1) t, generate_series(1, $3::int) i`
	if _, err := db.Exec(t.Context(), copiesOfTokens, by.Username, by.Realm.Name, n-len(tokens)); err != nil {
		t.Fatal(err)
	}
	for i := range min(20, n-len(ids)) {
		ids = append(ids, fmt.Sprintf("%s-%d", ids[0], i+1))
	}
	return ids, tokens
}

// wantHeld wants that a node accepts keys and tokens, or that it does not.
func wantHeld(t *testing.T, what string, r *rooms, ids, tokens []string, want bool) {
	t.Helper()
	for _, id := range ids {
		if _, err := r.keys.Holder(t.Context(), id); (err == nil) != want || err != nil && fault.KindOf(err) != fault.Unauthenticated {
			t.Errorf("%s: the key %s: %v, want it accepted: %t", what, id, err, want)
		}
	}
	for _, text := range tokens {
		if _, err := r.tokens.Verify(t.Context(), text); (err == nil) != want || err != nil && fault.KindOf(err) != fault.Unauthenticated {
			t.Errorf("%s: a token: %v, want it accepted: %t", what, err, want)
		}
	}
}

// wantInMemory wants that a node accepts keys and tokens without asking the store.
func wantInMemory(t *testing.T, what string, r *rooms, ids, tokens []string) {
	t.Helper()
	keys, others := r.keys.Stats().Cache.Loads, r.tokens.Stats().Cache.Loads
	wantHeld(t, what, r, ids, tokens, true)
	if k, o := r.keys.Stats().Cache.Loads, r.tokens.Stats().Cache.Loads; k != keys || o != others {
		t.Errorf("%s: %d keys and %d tokens were loaded, want them in memory", what, k-keys, o-others)
	}
}

// A mass is told by as little as it takes, and every node forgets all of it.
func TestMassesOnAllNodes(t *testing.T) {
	url := pgtest.URL(t)
	a, b := colleague(t, url), colleague(t, url)
	admin := somebody("admin", "r")
	const many = 1200 // more than are told one by one
	const owner, filter = sqlstore.OfOwner, sqlstore.InFilter
	if _, err := a.db.PutUser(t.Context(), user.User{Username: "leaver", Enabled: true}, "hash"); err != nil {
		t.Fatal(err)
	}
	invalidate := func(req apikey.InvalidateRequest) func(*testing.T, []string) error {
		return func(t *testing.T, _ []string) error {
			_, err := a.keys.Invalidate(t.Context(), admin, req)
			return err
		}
	}
	endTokens := func(req token.InvalidateRequest) func(*testing.T, []string) error {
		return func(t *testing.T, _ []string) error {
			_, err := a.tokens.Invalidate(t.Context(), admin, req)
			return err
		}
	}
	for _, tt := range []struct {
		name         string
		username     string
		realm        string
		n            int
		end          func(t *testing.T, ids []string) error
		keys, tokens bool     // which of them it ends
		records      []string // kinds
		precise      bool     // it does not touch what is somebody else's
	}{
		{"a few keys of a user", "u1", "r", 30, invalidate(apikey.InvalidateRequest{Username: "u1"}), true, false, []string{sqlstore.EndedAPIKeys}, true},
		{"the keys of a user", "u2", "r", many, invalidate(apikey.InvalidateRequest{Username: "u2"}), true, false, []string{sqlstore.EndedAPIKeys + owner}, true},
		{"the keys of a realm", "u3", "r3", many, invalidate(apikey.InvalidateRequest{Realm: "r3"}), true, false, []string{sqlstore.EndedAPIKeys + owner}, true},
		{"the keys of a user in a realm", "u4", "r", many, invalidate(apikey.InvalidateRequest{Username: "u4", Realm: "r"}), true, false, []string{sqlstore.EndedAPIKeys + owner}, true},
		{"keys by their names", "u5", "r", many, invalidate(apikey.InvalidateRequest{Name: "of-u5*"}), true, false, []string{sqlstore.EndedAPIKeys + filter}, false},
		{"keys by their ids", "u6", "r", many, func(t *testing.T, ids []string) error {
			for i := len(ids); i < many; i++ {
				ids = append(ids, fmt.Sprintf("%s-%d", ids[0], i))
			}
			_, err := a.keys.Invalidate(t.Context(), admin, apikey.InvalidateRequest{IDs: ids})
			return err
		}, true, false, []string{sqlstore.EndedAPIKeys + filter}, false},
		{"keys of a user by their names", "u10", "r", many, func(t *testing.T, _ []string) error {
			_, err := a.keys.Invalidate(t.Context(), somebody("u10", "r"), apikey.InvalidateRequest{Owner: true, Name: "of-u10*"})
			return err
		}, true, false, []string{sqlstore.EndedAPIKeys + filter}, false},
		{"a few tokens of a user", "u7", "r", 30, endTokens(token.InvalidateRequest{Username: "u7"}), false, true, []string{sqlstore.EndedTokens}, true},
		{"the tokens of a user", "u8", "r", many, endTokens(token.InvalidateRequest{Username: "u8"}), false, true, []string{sqlstore.EndedTokens + owner}, true},
		{"the tokens of a realm", "u9", "r9", many, endTokens(token.InvalidateRequest{Realm: "r9"}), false, true, []string{sqlstore.EndedTokens + owner}, true},
		{"what a leaver has", "leaver", "default_native", many, func(t *testing.T, _ []string) error {
			_, _, err := a.users.DeleteAndRevoke(t.Context(), admin, "leaver", user.Credentials{Tokens: true, APIKeys: true})
			return err
		}, true, true, []string{sqlstore.EndedUsers, sqlstore.EndedAPIKeys + owner, sqlstore.EndedTokens + owner, sqlstore.EndedUsers}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			owner := somebody(tt.username, tt.realm)
			ids, tokens := massOf(t, url, a, owner, tt.n)
			others, theirs := massOf(t, url, a, somebody("other-"+tt.username, "elsewhere"), 20)
			for _, r := range []*rooms{a, b} {
				wantHeld(t, "before", r, slices.Concat(ids, others), slices.Concat(tokens, theirs), true)
			}
			before, err := a.db.Fleet().Head(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := tt.end(t, ids); err != nil {
				t.Fatal(err)
			}
			for name, r := range map[string]*rooms{"the same node": a, "the other node": b} {
				wantHeld(t, name, r, ids, nil, !tt.keys)
				wantHeld(t, name, r, nil, tokens, !tt.tokens)
				wantHeld(t, name, r, others, theirs, true)
				if tt.precise {
					wantInMemory(t, name, r, others, theirs)
				}
			}
			records, err := a.db.Fleet().Log(t.Context(), before.Rev, 100)
			if err != nil {
				t.Fatal(err)
			}
			var kinds []string
			for _, r := range records {
				changes, err := r.Changes()
				if err != nil {
					t.Error(err)
				}
				for _, c := range changes {
					kinds = append(kinds, c.Kind)
				}
				if len(r.Body) > 4*many {
					t.Errorf("a record has %d bytes", len(r.Body))
				}
			}
			if !slices.Equal(kinds, tt.records) {
				t.Errorf("the records are of %q, want %q", kinds, tt.records)
			}
			ids, tokens = massOf(t, url, a, owner, 5)
			for _, r := range []*rooms{a, b} {
				wantHeld(t, "afterwards", r, ids, tokens, true)
				wantInMemory(t, "afterwards", r, ids, tokens)
			}
		})
	}
}

// One node ends all keys of a user in several steps, while the other one makes more
// of them and accepts what it may.
func TestAMassWhileOthersWork(t *testing.T) {
	url := pgtest.URL(t)
	a, b := colleague(t, url), colleague(t, url)
	for _, req := range []apikey.InvalidateRequest{{Username: "u"}, {Name: "of-v"}} {
		owner := somebody(cmp.Or(req.Username, "v"), "r")
		ids, _ := massOf(t, url, a, owner, 21_000)
		var over atomic.Bool
		var made []string
		var all sync.WaitGroup
		for i := range 3 {
			all.Go(func() {
				for n := i; !over.Load(); n++ {
					if _, err := b.keys.Holder(context.Background(), ids[n%len(ids)]); err != nil && fault.KindOf(err) != fault.Unauthenticated {
						t.Error(err)
					}
				}
			})
		}
		all.Go(func() {
			for !over.Load() {
				k, err := b.keys.Create(context.Background(), owner, apikey.CreateRequest{Name: "of-" + owner.Username})
				if err != nil {
					t.Error(err)
					return
				}
				made = append(made, k.ID)
				if _, err := b.keys.Holder(context.Background(), k.ID); err != nil && fault.KindOf(err) != fault.Unauthenticated {
					t.Error(err)
				}
			}
		})
		done, err := a.keys.Invalidate(t.Context(), somebody("admin", "r"), req)
		over.Store(true)
		if err != nil {
			t.Error(err)
		}
		wantHeld(t, "after the end", b, ids, nil, false)
		all.Wait()
		var ended, alive []string
		for _, id := range made {
			if _, found := slices.BinarySearch(done.IDs, id); found {
				ended = append(ended, id)
			} else {
				alive = append(alive, id)
			}
		}
		if len(done.IDs) != 21_000+len(ended) {
			t.Errorf("%d keys were ended, want 21000 and %d", len(done.IDs), len(ended))
		}
		for _, r := range []*rooms{a, b} {
			wantHeld(t, "what was made before the end", r, ended, nil, false)
			wantHeld(t, "what was made after it", r, alive, nil, true)
			wantInMemory(t, "what was made after it", r, alive, nil)
		}
	}
}

// What another release has written, and this one does not understand, costs the memory and no more.
func TestAMassThatIsNotUnderstood(t *testing.T) {
	url := pgtest.URL(t)
	r := colleague(t, url)
	for _, tt := range []struct {
		name    string
		kind    string
		body    []byte
		flushes bool
	}{
		{"an owner", "/owner", fleet.EncodeIDs([]string{"u", ""}), false},
		{"an owner of one name", "/owner", fleet.EncodeIDs([]string{"u"}), true},
		{"an owner that is cut off", "/owner", fleet.EncodeIDs([]string{"u", "r"})[:3], true},
		{"a filter", "/filter", fleet.NewFilter([]string{"u"}).Body(), false},
		{"a filter of another version", "/filter", append([]byte{2}, strings.Repeat("x", 20)...), true},
		{"a filter of nothing", "/filter", nil, true},
		{"a kind that is not known", "/later", nil, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ids, tokens := massOf(t, url, r, somebody("other", "r"), 20)
			wantHeld(t, "before", r, ids, tokens, true)
			seen := r.fleet.Seen()
			ack := r.fleet.Receive(fleet.Push{Records: []fleet.Record{{
				Mark: fleet.Mark{Rev: seen.Rev + 1, UID: tt.name}, Prev: seen.UID, Kind: sqlstore.EndedAPIKeys + tt.kind, Body: tt.body,
			}}})
			if ack.Rev != seen.Rev+1 {
				t.Errorf("it was not acknowledged: %+v", ack)
			}
			if left := r.keys.Stats().Cache.Entries; (left == 0) != tt.flushes {
				t.Errorf("%d keys are left in memory, want it to be emptied: %t", left, tt.flushes)
			}
			if err := r.fleet.ReadIndex(t.Context()); err == nil { // the log has no such record
				t.Error("the node did not notice that the store has another history")
			}
			if err := r.fleet.ReadIndex(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}
