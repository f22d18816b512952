package httpapi

import (
	"context"
	"crypto/sha256"
	"path/filepath"
	"testing"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/apikey"
	"latchkey/internal/authn"
	"latchkey/internal/role"
	"latchkey/internal/secret"
	"latchkey/internal/sqlstore"
	"latchkey/internal/user"
)

// newServices returns the real rooms over a fresh store that closes with t. It
// knows, beside elastic, whose password is elastic-password:
//
//	user     role      cluster privileges
//	u, v     own       manage_own_api_key
//	a        keys      manage_api_key
//	s        security  manage_security
//	r        reader    read_security
//	g        granter   grant_api_key
//	nobody   -         none
//	admin    superuser all
//
// The password of x is x-password. The roles are stored, so a test may change
// them. With firstKey, admin has the API key k1, whose secret is k1.
func newServices(t testing.TB, firstKey bool) Services {
	t.Helper()
	ctx := context.Background() // the context of t ends before its clean-ups
	db, err := sqlstore.OpenSQLite(ctx, filepath.Join(t.TempDir(), "latchkey.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	hasher, err := secret.NewHasher("bcrypt4") // the cheapest: these tests log in all the time
	if err != nil {
		t.Fatal(err)
	}
	users, err := user.New(user.Options{Store: db, Hasher: hasher, Now: time.Now,
		Bootstrap: secret.Of("elastic-password"), CacheTTL: time.Hour, CacheMax: 100})
	if err != nil {
		t.Fatal(err)
	}
	roles := role.New(db, time.Now)
	keys := apikey.New(db, users, roles, apikey.Options{Enabled: true, RunAs: true, CacheTTL: time.Hour, CacheMax: 1000, DocumentTTL: time.Hour,
		PurgeInterval: time.Hour, Retention: time.Hour, Now: time.Now})
	for name, privilege := range map[string]string{"own": "manage_own_api_key", "keys": "manage_api_key", "security": "manage_security",
		"reader": "read_security", "granter": "grant_api_key"} {
		if _, err := db.PutRole(ctx, name, access.Descriptor{Cluster: []string{privilege}}); err != nil {
			t.Fatal(err)
		}
	}
	for name, roles := range map[string][]string{"u": {"own"}, "v": {"own"}, "a": {"keys"}, "s": {"security"}, "r": {"reader"},
		"g": {"granter"}, "nobody": {}, "admin": {access.SuperuserName}} {
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
	return Services{
		Auth:    &authn.Authenticator{APIKeys: keys, Users: users, Roles: roles, RunAs: true},
		APIKeys: keys, Users: users, Roles: roles,
	}
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
