package apikey_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/apikey"
	"latchkey/internal/fault"
	"latchkey/internal/secret"
	"latchkey/internal/sqlstore"
	"latchkey/internal/xcontent"
)

func TestWhatACloneIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := openStore(t)
		s, owner, cloner := newService(store), caller(t, "u", "manage_own_api_key", "monitor"), caller(t, "v", "manage_own_api_key")
		hour, day, name := time.Hour, 24*time.Hour, "another"
		metadata, err := xcontent.ParseJSON([]byte(`{"z":1.50,"_cloned_from":"nobody","a":null}`))
		if err != nil {
			t.Fatal(err)
		}
		given := xcontent.Value{Kind: xcontent.Object}
		made, err := s.Create(t.Context(), owner, apikey.CreateRequest{Name: "n", Expiration: &day, Roles: access.Descriptors{"r": {Cluster: []string{"monitor"}}}})
		if err != nil {
			t.Fatal(err)
		}
		source, err := store.APIKey(t.Context(), made.ID)
		if err != nil {
			t.Fatal(err)
		}
		source.ID, source.Metadata = "source", metadata.JSON() // as of a clone
		source.Hash = secret.HashRandom("s")
		if err := store.InsertAPIKey(t.Context(), source); err != nil {
			t.Fatal(err)
		}
		time.Sleep(hour)
		copied := `{"z":1.50,"_cloned_from":"source","a":null}`
		tests := []struct {
			name     string
			req      apikey.CloneRequest
			called   string
			expires  time.Time
			metadata string
		}{
			{"all as it was", apikey.CloneRequest{}, "n", source.ExpiresAt, copied},
			{"another name", apikey.CloneRequest{Name: &name}, "another", source.ExpiresAt, copied},
			{"another expiry", apikey.CloneRequest{Expiration: &hour}, "n", time.Now().Add(hour), copied},
			{"no expiry", apikey.CloneRequest{Never: true}, "n", time.Time{}, copied},
			{"other metadata", apikey.CloneRequest{Metadata: given}, "n", source.ExpiresAt, `{"_cloned_from":"source"}`},
		}
		for _, tt := range tests {
			tt.req.Encoded = secret.Encoded("source", "s")
			made, err := s.Clone(t.Context(), cloner, tt.req)
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
				continue
			}
			k, err := store.APIKey(t.Context(), made.ID)
			if err != nil || k.Name != tt.called || made.Name != tt.called || !k.ExpiresAt.Equal(tt.expires) || !made.ExpiresAt.Equal(tt.expires) || string(k.Metadata) != tt.metadata {
				t.Errorf("%s: the clone is %+v, %v; want name %s, expiry %v, metadata %s", tt.name, k, err, tt.called, tt.expires, tt.metadata)
			}
			if k.ID == "source" || k.Hash == source.Hash || k.Type != apikey.REST || k.Roles != source.Roles || k.LimitedBy != source.LimitedBy ||
				k.Owner.Username != "u" || k.Owner.Realm != source.Owner.Realm || !k.CreatedAt.Equal(time.Now()) {
				t.Errorf("%s: the clone is %+v; want what the source is: %+v", tt.name, k, source)
			}
			c, err := s.Verify(t.Context(), made.ID, made.Secret)
			if err != nil || !c.Allows(access.Request{Action: "cluster:monitor/main"}) || c.Allows(access.Request{Action: "cluster:admin/xpack/security/api_key/create", Own: true}) {
				t.Errorf("%s: the clone does not do what its source may: %v", tt.name, err)
			}
		}
	})
}

func TestSourcesThatCannotBeCloned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, all := newService(openStore(t)), caller(t, "s", "manage_security")
		hour := time.Hour
		good, dead, cross := create(t, s, all, "good"), create(t, s, all, "dead"), createCrossCluster(t, s, all, "")
		old, err := s.Create(t.Context(), all, apikey.CreateRequest{Name: "old", Expiration: &hour})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Verify(t.Context(), dead.ID, dead.Secret); err != nil { // warms the cache
			t.Fatal(err)
		}
		if _, err := s.Invalidate(t.Context(), all, apikey.InvalidateRequest{IDs: []string{dead.ID}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(hour)
		damaged := strings.ReplaceAll(good.Secret, good.Secret[3:4], "*")
		tests := []struct {
			name, encoded string
			kind          fault.Kind
			why           string // of what is shown below it, or of the reason
		}{
			{"invalidated", dead.Encoded, fault.Forbidden, "has been invalidated"},
			{"expired", old.Encoded, fault.Forbidden, "expired"},
			{"cross-cluster", cross.Encoded, fault.Forbidden, "has type [cross_cluster]"},
			{"a wrong secret", secret.Encoded(good.ID, "wrong"), fault.Forbidden, "invalid credentials"},
			{"a damaged secret", secret.Encoded(good.ID, damaged), fault.Forbidden, "invalid credentials"},
			{"an unknown key", secret.Encoded("nobody", "s"), fault.Forbidden, "unable to find"},
			{"no Base64", "%%%", fault.Status, "[0x25]"},
			{"no colon", "aWQ=", fault.Status, "a colon"},
			{"nothing", "", fault.Invalid, "[api_key] is required"},
			{"far too long", strings.Repeat("QUFB", 10_000), fault.Invalid, "40000"},
		}
		for _, tt := range tests {
			_, err := s.Clone(t.Context(), all, apikey.CloneRequest{Encoded: tt.encoded})
			f, ok := err.(*fault.Error)
			if !ok || f.Kind != tt.kind || tt.kind == fault.Forbidden && (f.Shown == nil || f.Shown.Kind != fault.Unauthenticated) {
				t.Errorf("%s: %v; want kind %v", tt.name, err, tt.kind)
				continue
			}
			text := f.Reason
			if f.Shown != nil {
				text = f.Shown.Reason + f.Shown.Detail
			}
			if !strings.Contains(text, tt.why) || strings.Contains(err.Error(), good.Secret) {
				t.Errorf("%s: %q; want %q", tt.name, text, tt.why)
			}
		}
	})
}

// inserting is a store that tells before and after it keeps a key, and whose reads
// may fail.
type inserting struct {
	*sqlstore.DB
	before, after func()
	reads         error
}

func (i *inserting) InsertAPIKey(ctx context.Context, k apikey.Key, sets ...apikey.RoleSet) error {
	i.before()
	defer i.after()
	return i.DB.InsertAPIKey(ctx, k, sets...)
}

func (i *inserting) APIKey(ctx context.Context, id string) (apikey.Key, error) {
	if i.reads != nil {
		return apikey.Key{}, i.reads
	}
	return i.DB.APIKey(ctx, id)
}

// Nobody is handed a clone of a key that was invalidated while it was made, however
// late that was, so that no thief gets past the end of a stolen key.
func TestACloneDoesNotOutliveAnInvalidationOfItsSource(t *testing.T) {
	nothing := func() {}
	for _, tt := range []struct {
		name string
		when func(i *inserting) *func()
	}{
		{"before the clone is kept", func(i *inserting) *func() { return &i.before }},
		{"after the clone is kept", func(i *inserting) *func() { return &i.after }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			store := &inserting{DB: openStore(t), before: nothing, after: nothing}
			s, owner, thief := newService(store), caller(t, "u", "manage_own_api_key"), caller(t, "v", "manage_own_api_key")
			k := create(t, s, owner, "n")
			if _, err := s.Clone(t.Context(), thief, apikey.CloneRequest{Encoded: k.Encoded}); err != nil { // warms the cache
				t.Fatal(err)
			}
			*tt.when(store) = func() {
				done, err := s.Invalidate(t.Context(), owner, apikey.InvalidateRequest{Owner: true, IDs: []string{k.ID}})
				if err != nil || len(done.IDs) != 1 {
					t.Errorf("invalidated %v, %v", done.IDs, err)
				}
			}
			made, err := s.Clone(t.Context(), thief, apikey.CloneRequest{Encoded: k.Encoded})
			f, ok := err.(*fault.Error)
			if !ok || f.Kind != fault.Forbidden || f.Shown == nil || !strings.Contains(f.Shown.Detail, "has been invalidated") || made != (apikey.Created{}) {
				t.Errorf("the clone is %+v, %v; want none, and why", made, err)
			}
		})
	}
}

// Where it cannot be seen whether the source still holds, the outcome is open, and
// no secret is handed out.
func TestACloneWhoseSourceCannotBeSeenAgain(t *testing.T) {
	store := &inserting{DB: openStore(t), before: func() {}, after: func() {}}
	s := newService(store, func(o *apikey.Options) { o.CacheTTL = 0 })
	owner := caller(t, "u", "manage_own_api_key")
	k := create(t, s, owner, "n")
	store.after = func() { store.reads = fault.New(fault.Unavailable, "the store is away") }
	made, err := s.Clone(t.Context(), owner, apikey.CloneRequest{Encoded: k.Encoded})
	if fault.KindOf(err) != fault.Unknown || made != (apikey.Created{}) {
		t.Errorf("the clone is %+v, %v; want none, and an open outcome", made, err)
	}
	store.after, store.reads = func() {}, errors.New("disk on fire")
	if _, err := s.Clone(t.Context(), owner, apikey.CloneRequest{Encoded: k.Encoded}); err == nil || fault.KindOf(err) == fault.Forbidden {
		t.Errorf("a store that cannot be read: %v; want its error", err)
	}
}

// A policy for a role counts for the clones of keys whose owner had it.
func TestClonesKeepThePolicies(t *testing.T) {
	store := openStore(t)
	loose, day := newService(store), 24*time.Hour
	strict := newService(store, func(o *apikey.Options) { o.Policies = []apikey.Policy{{Role: "monitor", MaxLifetime: day}} })
	k, free := create(t, loose, caller(t, "u", "monitor", "manage_own_api_key"), "n"), create(t, loose, caller(t, "v", "manage_own_api_key"), "n")
	by := caller(t, "v", "manage_own_api_key")
	for _, tt := range []struct {
		name string
		req  apikey.CloneRequest
		want fault.Kind
	}{
		{"no expiry", apikey.CloneRequest{Encoded: k.Encoded}, fault.Invalid},
		{"a short life", apikey.CloneRequest{Encoded: k.Encoded, Expiration: &day}, 0},
		{"no expiry, for another owner", apikey.CloneRequest{Encoded: free.Encoded}, 0},
	} {
		if _, err := strict.Clone(t.Context(), by, tt.req); (err == nil) != (tt.want == 0) || err != nil && fault.KindOf(err) != tt.want {
			t.Errorf("%s: %v; want kind %v", tt.name, err, tt.want)
		}
	}
}
