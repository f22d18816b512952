package apikey_test

import (
	"context"
	"encoding/base64"
	"hash/crc32"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/apikey"
	"latchkey/internal/fault"
	"latchkey/internal/secret"
	"latchkey/internal/sqlstore"
)

// house stands for the rooms of users and roles: everybody holds the roles
// they name, and each role is one cluster privilege of that name.
type house struct{}

func (house) Authenticate(context.Context, string, string) (access.Subject, error) {
	return access.Subject{}, fault.New(fault.Unauthenticated, "nobody is known here")
}

func (house) Lookup(context.Context, string) (access.Subject, error) {
	return access.Subject{}, fault.New(fault.NotFound, "nobody is known here")
}

func descriptors(names []string) access.Descriptors {
	ds := access.Descriptors{}
	for _, n := range names {
		ds[n] = access.Descriptor{Cluster: []string{n}}
	}
	return ds
}

func (house) Snapshot(_ context.Context, names []string) (access.RoleSet, error) {
	return descriptors(names).RoleSet(), nil
}

func (house) Permissions(_ context.Context, names []string) (access.Permissions, error) {
	roles := slices.Collect(maps.Values(descriptors(names)))
	return access.NewPermissions(names, nil, access.NewRole(roles...)), nil
}

func caller(t testing.TB, username string, roles ...string) *access.Caller {
	t.Helper()
	p, err := house{}.Permissions(t.Context(), roles)
	if err != nil {
		t.Fatal(err)
	}
	return &access.Caller{Type: access.ByRealm, Subject: access.Subject{
		Username: username, Roles: roles, Realm: access.Realm{Name: "default_native", Type: "native"}, Permissions: p}}
}

func openStore(t testing.TB) *sqlstore.DB {
	t.Helper()
	db, err := sqlstore.OpenSQLite(context.Background(), filepath.Join(t.TempDir(), "latchkey.db"))
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

func newService(store apikey.Store, change ...func(*apikey.Options)) *apikey.Service {
	o := apikey.Options{Enabled: true, CacheTTL: time.Hour, CacheMax: 1000, DocumentTTL: time.Hour,
		PurgeInterval: time.Hour, Retention: time.Hour, Now: time.Now}
	for _, f := range change {
		f(&o)
	}
	return apikey.New(store, house{}, house{}, o)
}

func create(t testing.TB, s *apikey.Service, by *access.Caller, name string) apikey.Created {
	t.Helper()
	made, err := s.Create(t.Context(), by, apikey.CreateRequest{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// AK-4 AK-5: the forms of id, secret and encoded.
func TestFormsOfAKey(t *testing.T) {
	s, by := newService(openStore(t)), caller(t, "u", "manage_own_api_key")
	id, form := regexp.MustCompile(`^[A-Za-z0-9_-]{20}$`), regexp.MustCompile(`^lk_[A-Za-z0-9_-]{28}$`)
	for range 50 {
		k := create(t, s, by, "n")
		if !id.MatchString(k.ID) || !form.MatchString(k.Secret) {
			t.Fatalf("id %q, secret %q", k.ID, k.Secret)
		}
		sum := crc32.ChecksumIEEE([]byte(k.ID + k.Secret[3:25]))
		want := base64.RawURLEncoding.EncodeToString([]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)})
		if k.Secret[25:] != want {
			t.Errorf("checksum of %s is %s; want %s", k.Secret, k.Secret[25:], want)
		}
		if k.Encoded != base64.StdEncoding.EncodeToString([]byte(k.ID+":"+k.Secret)) || k.Encoded[28:32] != "bGtf" || len(k.Encoded) != 72 {
			t.Errorf("encoded of %s is %s", k.ID, k.Encoded)
		}
	}
}

func TestExpiration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, by := newService(openStore(t)), caller(t, "u", "manage_own_api_key")
		tests := []struct {
			name string
			d    time.Duration
			want time.Duration
		}{
			{"AK-6: a day", 24 * time.Hour, 24 * time.Hour},
			{"AK-7: part seconds are dropped", 1500 * time.Millisecond, time.Second},
			{"AK-8: less than a second", time.Millisecond, 0},
			{"nothing", 0, 0},
			{"less than nothing", -1, 0},
		}
		for _, tt := range tests {
			now := time.Now()
			k, err := s.Create(t.Context(), by, apikey.CreateRequest{Name: "n", Expiration: &tt.d})
			if err != nil || !k.ExpiresAt.Equal(now.Add(tt.want)) {
				t.Fatalf("%s: expires at %v, %v; want %v", tt.name, k.ExpiresAt, err, now.Add(tt.want))
			}
			shown, err := s.Get(t.Context(), by, apikey.GetRequest{ID: k.ID, Owner: true})
			if err != nil || len(shown) != 1 || !shown[0].ExpiresAt.Equal(k.ExpiresAt) {
				t.Errorf("%s: get shows %v, %v; want %v", tt.name, shown, err, k.ExpiresAt)
			}
			if tt.want > 0 {
				if _, err := s.Verify(t.Context(), k.ID, k.Secret); err != nil {
					t.Errorf("%s: before it expires: %v", tt.name, err)
				}
				time.Sleep(tt.want - time.Nanosecond)
				if _, err := s.Verify(t.Context(), k.ID, k.Secret); err != nil {
					t.Errorf("%s: just before it expires: %v", tt.name, err)
				}
				time.Sleep(time.Nanosecond)
			}
			_, err = s.Verify(t.Context(), k.ID, k.Secret)
			if f, ok := err.(*fault.Error); !ok || f.Detail != "API key: api key is expired" {
				t.Errorf("%s: once it has expired: %v", tt.name, err)
			}
		}
	})
}

func TestLengthOfNames(t *testing.T) {
	s, by := newService(openStore(t)), caller(t, "u", "manage_own_api_key")
	tests := []struct {
		name  string
		value string
		ok    bool
	}{
		{"AK-14: 256 characters", strings.Repeat("n", 256), true},
		{"AK-14: 257 characters", strings.Repeat("n", 257), false},
		{"256 of two bytes each", strings.Repeat("é", 256), true},
		{"128 beyond the basic plane, which count twice", strings.Repeat("😀", 128), true},
		{"129 beyond the basic plane", strings.Repeat("😀", 129), false},
	}
	for _, tt := range tests {
		_, err := s.Create(t.Context(), by, apikey.CreateRequest{Name: tt.value})
		if (err == nil) != tt.ok || err != nil && fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v; want allowed %t", tt.name, err, tt.ok)
		}
	}
}

// AK-134: what expired or was invalidated is gone after the retention period
// and one interval, with no other call; what is younger stays.
func TestPurgeByTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := openStore(t)
		s := newService(store, func(o *apikey.Options) { o.Retention, o.PurgeInterval = 7*24*time.Hour, time.Hour })
		by := caller(t, "u", "manage_api_key")
		soon := 2 * time.Hour
		expiring, err := s.Create(t.Context(), by, apikey.CreateRequest{Name: "expires", Expiration: &soon})
		if err != nil {
			t.Fatal(err)
		}
		ended, live := create(t, s, by, "ended"), create(t, s, by, "live")
		if _, err := s.Invalidate(t.Context(), by, apikey.InvalidateRequest{IDs: []string{ended.ID}}); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			done <- s.Purge(ctx, func(n int, err error) {
				if err != nil {
					t.Error(err)
				}
			})
		}()
		there := func() []string {
			keys, err := s.Get(t.Context(), by, apikey.GetRequest{})
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, k := range keys {
				names = append(names, k.Name)
			}
			slices.Sort(names)
			return names
		}
		time.Sleep(7*24*time.Hour - time.Minute)
		synctest.Wait()
		if got := there(); !slices.Equal(got, []string{"ended", "expires", "live"}) {
			t.Errorf("within the retention period: %v", got)
		}
		time.Sleep(time.Hour + time.Minute) // ended is old enough, and a run has passed
		synctest.Wait()
		if got := there(); !slices.Equal(got, []string{"expires", "live"}) {
			t.Errorf("after the retention period of the one that was invalidated: %v", got)
		}
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if got := there(); !slices.Equal(got, []string{"live"}) {
			t.Errorf("after the retention period of the one that expired: %v", got)
		}
		for _, k := range []apikey.Created{expiring, ended} {
			if _, err := s.Verify(t.Context(), k.ID, k.Secret); err == nil || !strings.Contains(err.(*fault.Error).Detail, "unable to find apikey with id") {
				t.Errorf("%s after the purge: %v; want not found", k.Name, err)
			}
		}
		if _, err := s.Verify(t.Context(), live.ID, live.Secret); err != nil {
			t.Errorf("the live key: %v", err)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// AK-135: keys whose secrets were stored in other ways verify all the same,
// and the slow hash is asked once for each secret.
func TestOtherStoredForms(t *testing.T) {
	store := openStore(t)
	s, by := newService(store), caller(t, "u", "manage_own_api_key")
	for _, algorithm := range []string{"pbkdf2", "pbkdf2_stretch_1000", "bcrypt4"} {
		h, err := secret.NewHasher(algorithm)
		if err != nil {
			t.Fatal(err)
		}
		hash, err := h.Hash(t.Context(), "older-secret")
		if err != nil {
			t.Fatal(err)
		}
		made := create(t, s, by, "n")
		k, err := store.APIKey(t.Context(), made.ID)
		if err != nil {
			t.Fatal(err)
		}
		k.ID, k.Hash = "older-"+algorithm, hash
		if err := store.InsertAPIKey(t.Context(), k); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if c, err := s.Verify(t.Context(), k.ID, "older-secret"); err != nil || c.APIKey.ID != k.ID {
				t.Errorf("%s: %v", algorithm, err)
			}
			if _, err := s.Verify(t.Context(), k.ID, "wrong-secret"); fault.KindOf(err) != fault.Unauthenticated {
				t.Errorf("%s with a wrong secret: %v", algorithm, err)
			}
		}
	}
}

// A store that loses its answer has perhaps done the work.
type lostAnswer struct {
	*sqlstore.DB
	lose error
}

func (l *lostAnswer) InvalidateAPIKeys(ctx context.Context, sel apikey.Selector, restOnly bool, at time.Time, _ func([]string)) (apikey.Invalidated, error) {
	if _, err := l.DB.InvalidateAPIKeys(ctx, sel, restOnly, at, func([]string) {}); err != nil {
		return apikey.Invalidated{}, err
	}
	return apikey.Invalidated{}, l.lose
}

func (l *lostAnswer) UpdateAPIKeys(ctx context.Context, sel apikey.Selector, sets []apikey.RoleSet, judge func(*apikey.Key) bool, _ func([]string)) error {
	if err := l.DB.UpdateAPIKeys(ctx, sel, sets, judge, func([]string) {}); err != nil {
		return err
	}
	return l.lose
}

// An error does not prove that nothing happened, so a cached key is read again.
func TestInvalidateWithLostAnswer(t *testing.T) {
	for _, lost := range []error{context.DeadlineExceeded, fault.New(fault.Unknown, "not confirmed")} {
		store := &lostAnswer{DB: openStore(t), lose: lost}
		s, by := newService(store), caller(t, "u", "manage_api_key")
		k := create(t, s, by, "n")
		if _, err := s.Verify(t.Context(), k.ID, k.Secret); err != nil { // warms the cache
			t.Fatal(err)
		}
		if _, err := s.Invalidate(t.Context(), by, apikey.InvalidateRequest{Username: "u"}); err == nil {
			t.Fatal("Invalidate = nil; want the store's error")
		}
		if _, err := s.Verify(t.Context(), k.ID, k.Secret); fault.KindOf(err) != fault.Unauthenticated {
			t.Errorf("after %v: Verify = %v; want Unauthenticated", lost, err)
		}
	}
}

// HT-60: a refusal that clients repeat by themselves has left nothing behind.
func TestRefusedCreateLeavesNothing(t *testing.T) {
	store := openStore(t)
	s, by := newService(store), caller(t, "u", "manage_own_api_key")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Create(ctx, by, apikey.CreateRequest{Name: "n"})
	if fault.KindOf(err) != fault.Unavailable {
		t.Errorf("create with a cancelled context: %v; want Unavailable", err)
	}
	if keys, err := store.APIKeys(t.Context(), apikey.Selector{}, time.Time{}); err != nil || len(keys) != 0 {
		t.Errorf("there are %d keys, %v; want none", len(keys), err)
	}
}

func TestSwitchedOff(t *testing.T) {
	s := newService(openStore(t), func(o *apikey.Options) { o.Enabled = false })
	by := caller(t, "u", "manage_api_key")
	_, create := s.Create(t.Context(), by, apikey.CreateRequest{Name: "n"})
	_, get := s.Get(t.Context(), by, apikey.GetRequest{})
	_, invalidate := s.Invalidate(t.Context(), by, apikey.InvalidateRequest{Owner: true})
	_, update := s.Update(t.Context(), by, "id", apikey.UpdateRequest{})
	_, updateAll := s.UpdateAll(t.Context(), by, []string{"id"}, apikey.UpdateRequest{})
	for name, err := range map[string]error{"create": create, "get": get, "invalidate": invalidate, "update": update, "bulk update": updateAll} {
		f, ok := err.(*fault.Error)
		if !ok || f.Kind != fault.Disabled || len(f.Fields) != 1 || f.Fields[0].Name != "disabled.feature" || f.Fields[0].Value != "api_keys" {
			t.Errorf("%s = %#v; want Disabled with disabled.feature api_keys", name, err)
		}
	}
}

// What a key vouches for ends when the key does, and where there are no keys.
func TestHolder(t *testing.T) {
	store := openStore(t)
	s, by := newService(store), caller(t, "u", "manage_api_key")
	k := create(t, s, by, "n")
	verified, err := s.Verify(t.Context(), k.ID, k.Secret)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := s.Holder(t.Context(), k.ID); err != nil || *c.APIKey != *verified.APIKey || c.Username != "u" || !c.Permissions.Same(verified.Permissions) {
		t.Errorf("Holder = %+v, %v; want the caller of the key", c, err)
	}
	off := newService(store, func(o *apikey.Options) { o.Enabled = false })
	_, switchedOff := off.Holder(t.Context(), k.ID)
	_, unknown := s.Holder(t.Context(), "unknown")
	if _, err := s.Invalidate(t.Context(), by, apikey.InvalidateRequest{IDs: []string{k.ID}}); err != nil {
		t.Fatal(err)
	}
	_, invalidated := s.Holder(t.Context(), k.ID)
	for what, err := range map[string]error{"switched off": switchedOff, "unknown": unknown, "invalidated": invalidated} {
		if fault.KindOf(err) != fault.Unauthenticated {
			t.Errorf("%s: %v; want Unauthenticated", what, err)
		}
	}
}

// AK-101 AK-102: manage_api_key reaches REST keys only, manage_security both.
func TestCrossClusterKeys(t *testing.T) {
	store := openStore(t)
	s, keys, security := newService(store), caller(t, "a", "manage_api_key"), caller(t, "s", "manage_security")
	rest := create(t, s, keys, "rest")
	k, err := store.APIKey(t.Context(), rest.ID)
	if err != nil {
		t.Fatal(err)
	}
	k.ID, k.Type, k.LimitedBy = "cross", apikey.CrossCluster, apikey.Digest{}
	if err := store.InsertAPIKey(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	both := apikey.InvalidateRequest{IDs: []string{rest.ID, "cross"}}
	got, err := s.Invalidate(t.Context(), keys, both)
	if err != nil || !slices.Equal(got.IDs, []string{rest.ID}) || !slices.Equal(got.NotReached, []string{"cross"}) {
		t.Errorf("with manage_api_key: %+v, %v", got, err)
	}
	got, err = s.Invalidate(t.Context(), security, both)
	if err != nil || !slices.Equal(got.IDs, []string{"cross"}) || !slices.Equal(got.Before, []string{rest.ID}) || got.NotReached != nil {
		t.Errorf("with manage_security: %+v, %v", got, err)
	}
}

func BenchmarkVerifyCached(b *testing.B) {
	s, by := newService(openStore(b)), caller(b, "u", "manage_own_api_key")
	k := create(b, s, by, "n")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Verify(b.Context(), k.ID, k.Secret); err != nil {
			b.Fatal(err)
		}
	}
}

// runner knows one user, who may run as everybody.
type runner struct{ house }

func (runner) Authenticate(context.Context, string, string) (access.Subject, error) {
	return access.Subject{Username: "runner", Realm: access.Realm{Name: "default_native", Type: "native"}}, nil
}

func (runner) Lookup(_ context.Context, username string) (access.Subject, error) {
	return access.Subject{Username: username, Realm: access.Realm{Name: "default_native", Type: "native"}}, nil
}

func (runner) Permissions(context.Context, []string) (access.Permissions, error) {
	return access.NewPermissions(nil, nil, access.NewRole(access.Descriptor{RunAs: []string{"*"}})), nil
}

// A grant is a run-as like any other: where those are switched off, it names nobody else.
func TestGrantWithRunAs(t *testing.T) {
	for _, on := range []bool{true, false} {
		store := openStore(t)
		s := apikey.New(store, runner{}, runner{}, apikey.Options{Enabled: true, RunAs: on, Now: time.Now})
		made, err := s.Grant(t.Context(), caller(t, "g", "grant_api_key"), apikey.GrantRequest{
			Type: "password", Username: "runner", Password: "x", RunAs: "target", Key: apikey.CreateRequest{Name: "n"}})
		if !on {
			if fault.KindOf(err) != fault.Status {
				t.Errorf("with run-as switched off: %v; want Status", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if k, err := store.APIKey(t.Context(), made.ID); err != nil || k.Owner.Username != "target" {
			t.Errorf("the key belongs to %q, %v; want target", k.Owner.Username, err)
		}
	}
}

// leaving is a user who can be cut off, and a store in which it happens just
// before a key is added.
type leaving struct {
	*sqlstore.DB
	runner
	gone, target *bool
	leaves       func()
}

func (l leaving) Authenticate(ctx context.Context, username, password string) (access.Subject, error) {
	if *l.gone {
		return access.Subject{}, fault.New(fault.Unauthenticated, "disabled")
	}
	return l.runner.Authenticate(ctx, username, password)
}

func (l leaving) Lookup(ctx context.Context, username string) (access.Subject, error) {
	if *l.target {
		return access.Subject{}, fault.New(fault.NotFound, "deleted")
	}
	return l.runner.Lookup(ctx, username)
}

func (l leaving) InsertAPIKey(ctx context.Context, k apikey.Key, sets ...apikey.RoleSet) error {
	l.leaves()
	return l.DB.InsertAPIKey(ctx, k, sets...)
}

// Who is cut off while a key is granted to them does not get it: the key came after
// the revocation that should have taken it.
func TestGrantToOneWhoIsCutOffMeanwhile(t *testing.T) {
	for name, runAs := range map[string]string{"the grantee": "", "who is run as": "target"} {
		var gone, target bool
		l := leaving{DB: openStore(t), gone: &gone, target: &target, leaves: func() { gone, target = runAs == "", runAs != "" }}
		s := apikey.New(l, l, l, apikey.Options{Enabled: true, RunAs: true, Now: time.Now})
		made, err := s.Grant(t.Context(), caller(t, "g", "grant_api_key"), apikey.GrantRequest{
			Type: "password", Username: "runner", Password: "x", RunAs: runAs, Key: apikey.CreateRequest{Name: "n"}})
		if fault.KindOf(err) != fault.Forbidden || made.Secret != "" {
			t.Errorf("%s: %+v, %v; want fault.Forbidden", name, made, err)
		}
	}
}

// AK-123: what is held in memory of a key is gone once the cache was cleared.
// The store is changed behind the service's back, so that memory and store differ.
func TestClearCache(t *testing.T) {
	for _, tt := range []struct {
		name    string
		ids     func(id string) []string
		cleared bool
	}{
		{"the key by its id", func(id string) []string { return []string{"unknown", id} }, true},
		{"all by a star", func(string) []string { return []string{"*"} }, true},
		{"all by name", func(string) []string { return []string{"_all"} }, true},
		{"another key", func(string) []string { return []string{"unknown"} }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			store := openStore(t)
			s, by := newService(store), caller(t, "s", "manage_security")
			k := create(t, s, by, "n")
			if _, err := s.Verify(t.Context(), k.ID, k.Secret); err != nil { // warms the cache
				t.Fatal(err)
			}
			if _, err := store.InvalidateAPIKeys(t.Context(), apikey.Selector{IDs: []string{k.ID}}, false, time.Now(), func([]string) {}); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Verify(t.Context(), k.ID, k.Secret); err != nil {
				t.Fatalf("the key was not served from memory: %v", err)
			}
			if err := s.ClearCache(t.Context(), by, tt.ids(k.ID)); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Verify(t.Context(), k.ID, k.Secret); (err != nil) != tt.cleared {
				t.Errorf("after the cache was cleared: %v; want refused %t", err, tt.cleared)
			}
		})
	}
}
