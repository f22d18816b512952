package httpapi

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/apikey"
	"latchkey/internal/application"
	"latchkey/internal/authn"
	"latchkey/internal/leak"
	"latchkey/internal/leaver"
	"latchkey/internal/oidc"
	"latchkey/internal/pattern"
	"latchkey/internal/pki"
	"latchkey/internal/profile"
	"latchkey/internal/realm"
	"latchkey/internal/role"
	"latchkey/internal/rolemapping"
	"latchkey/internal/secret"
	"latchkey/internal/serviceaccount"
	"latchkey/internal/settings"
	"latchkey/internal/sqlstore"
	"latchkey/internal/sqlstore/pgtest"
	"latchkey/internal/token"
	"latchkey/internal/user"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// newServices returns the real rooms over a fresh store that closes with t. It
// knows, beside elastic, whose password is elastic-password:
//
//	user     role      cluster privileges
//	u, v     own       manage_own_api_key
//	a        keys      manage_api_key
//	s        security  manage_security
//	r        reader    read_security
//	g        granter   grant_api_key
//	t        tokens    manage_token
//	nobody   -         none
//	admin    superuser all
//
// The password of x is x-password. The roles are stored, so a test may change
// them. With firstKey, admin has the API key k1, whose secret is k1. The file of
// service tokens holds elastic/kibana/of-file, whose secret is of-file-secret.
func newServices(t testing.TB, firstKey bool) Services {
	return newHouse(t, firstKey).Services
}

// house is Services, and what tests change about them before they are made.
type house struct {
	Services
	ahead     atomic.Int64 // of the real clock is that of the tokens, in nanoseconds
	tokens    token.Options
	kept      func(*sqlstore.DB) token.Store // where the tokens are, if not in the store
	anonymous []string                       // roles
	challenge bool                           // what they do not reach is 401
	policies  []apikey.Policy
	postgres  bool // the store is there
}

func newHouse(t testing.TB, firstKey bool, change ...func(*house)) *house {
	t.Helper()
	ctx := context.Background()                // the context of t ends before its clean-ups
	hasher, err := secret.NewHasher("bcrypt4") // the cheapest: these tests log in all the time
	if err != nil {
		t.Fatal(err)
	}
	h := &house{}
	h.tokens = token.Options{Enabled: true, Timeout: 20 * time.Minute, CacheTTL: time.Hour, CacheMax: 1000, PurgeInterval: time.Hour,
		Now: func() time.Time { return time.Now().Add(time.Duration(h.ahead.Load())) }, Log: slog.New(slog.DiscardHandler)}
	for _, f := range change {
		f(h)
	}
	db, err := h.open(ctx, t)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	users, err := user.New(user.Options{Store: db, Hasher: hasher, Now: time.Now, Anonymous: "_anonymous", AnonymousRoles: h.anonymous,
		Bootstrap: secret.Of("elastic-password"), CacheTTL: time.Hour, CacheMax: 100})
	if err != nil {
		t.Fatal(err)
	}
	roles := role.New(db, time.Now, nil)
	chain := realm.NewChain(realm.Options{Everybody: h.anonymous, Refuse: users.Refuse})
	chain.Add(users.Reserved(), users.Native())
	keys := apikey.New(db, chain, roles, apikey.Options{Enabled: true, RunAs: true, CacheTTL: time.Hour, CacheMax: 1000, DocumentTTL: time.Hour,
		PurgeInterval: time.Hour, Retention: time.Hour, Policies: h.policies, Notice: 7 * 24 * time.Hour, Now: time.Now})
	for name, privilege := range map[string]string{"own": "manage_own_api_key", "keys": "manage_api_key", "security": "manage_security",
		"reader": "read_security", "granter": "grant_api_key", "tokens": "manage_token"} {
		if _, err := db.PutRole(ctx, name, access.Descriptor{Cluster: []string{privilege}}); err != nil {
			t.Fatal(err)
		}
	}
	for name, roles := range map[string][]string{"u": {"own"}, "v": {"own"}, "a": {"keys"}, "s": {"security"}, "r": {"reader"},
		"g": {"granter"}, "t": {"tokens"}, "nobody": {}, "admin": {access.SuperuserName}} {
		hash, err := hasher.Hash(ctx, name+"-password")
		if err != nil {
			t.Fatal(err)
		}
		u := user.User{Username: name, Roles: roles, Metadata: []byte(`{}`), Enabled: true}
		if _, err := db.PutUser(ctx, u, hash); err != nil {
			t.Fatal(err)
		}
	}
	if firstKey {
		insertFirstKey(t, db)
	}
	accounts := newServiceAccounts(t, db)
	kept := token.Store(db)
	if h.kept != nil {
		kept = h.kept(db)
	}
	tokens := token.New(kept, chain, nil, roles, keys, h.tokens)
	keys.GrantBy(authn.Bearers{Services: accounts, Tokens: tokens})
	auth := &authn.Authenticator{APIKeys: keys, Tokens: tokens, ServiceTokens: accounts, Users: chain, Roles: roles, RunAs: true, Challenge: h.challenge}
	if who, ok := users.Anonymous(); ok {
		auth.Anonymous = &who
	}
	users.OnRevoked(user.Ended{Keys: keys.Ended, Tokens: tokens.Ended})
	h.Services = Services{Profiles: profile.New(db, chain, tokens, roles, time.Now), Settings: settings.New(db), Leavers: leaver.New(db, chain, h.tokens.Now), Auth: auth, APIKeys: keys, Tokens: tokens, Users: users, Roles: roles, Realms: chain,
		RoleMappings: rolemapping.New(db, time.Now, nil, slog.New(slog.DiscardHandler)), ServiceAccounts: accounts, Applications: application.New(db, time.Now, nil),
		OIDC: oidc.NewService(nil, tokens, slices.Clone[[]string]), PKI: pki.NewService(nil, tokens, slices.Clone[[]string]),
		Leaks: leak.New(keys, tokens)}
	return h
}

func (h *house) open(ctx context.Context, t testing.TB) (*sqlstore.DB, error) {
	t.Helper()
	if h.postgres {
		return sqlstore.OpenPostgres(ctx, pgtest.URL(t))
	}
	return sqlstore.OpenSQLite(ctx, filepath.Join(t.TempDir(), "latchkey.db"))
}

func newServiceAccounts(t testing.TB, db *sqlstore.DB) *serviceaccount.Service {
	t.Helper()
	hasher, err := secret.NewHasher("pbkdf2_stretch_1000") // the default with fewer rounds
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "service_tokens")
	if err := os.WriteFile(file, []byte("elastic/kibana/of-file:"+secret.HashRandom("of-file-secret")), 0o600); err != nil {
		t.Fatal(err)
	}
	accounts := serviceaccount.New(db, serviceaccount.Options{Hasher: hasher, File: file, CacheTTL: time.Hour, CacheMax: 1000, Now: time.Now})
	if news, err := accounts.ReadFile(); err != nil || news.Tokens != 1 {
		t.Fatalf("ReadFile = %+v, %v", news, err)
	}
	return accounts
}

func insertFirstKey(t testing.TB, db *sqlstore.DB) {
	t.Helper()
	superuser, _ := access.Reserved(access.SuperuserName)
	none, limit := access.Descriptors{}.Canonical(), access.Descriptors{access.SuperuserName: superuser}.Canonical()
	k1 := apikey.Key{ID: "k1", Type: apikey.REST, Name: "first", Hash: secret.HashRandom("k1"), CreatedAt: time.Now(), Metadata: []byte(`{}`),
		Owner: apikey.Owner{Username: "admin", Realm: "default_native", RealmType: "native", Metadata: []byte(`{}`)},
		Roles: sha256.Sum256(none), LimitedBy: sha256.Sum256(limit)}
	err := db.InsertAPIKey(t.Context(), k1, apikey.RoleSet{Digest: k1.Roles, Body: none}, apikey.RoleSet{Digest: k1.LimitedBy, Body: limit})
	if err != nil {
		t.Fatal(err)
	}
}

// policies are those of the files policy_*: for everybody a lifetime of an hour,
// and for the role own the metadata owner and names that begin with app-.
func policies(t testing.TB) []apikey.Policy {
	t.Helper()
	names, err := pattern.Parse("/app-.+/")
	if err != nil {
		t.Fatal(err)
	}
	return []apikey.Policy{
		{Role: apikey.Everybody, MaxLifetime: time.Hour},
		{Role: "own", RequiredMetadata: []string{"owner"}, NamePattern: "app-.+", Names: names},
	}
}
