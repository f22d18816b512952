package leak

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"latchkey/internal/access"
	"latchkey/internal/apikey"
	"latchkey/internal/fault"
	"latchkey/internal/secret"
	"latchkey/internal/sqlstore"
	"latchkey/internal/token"
)

// house is the service over a store of its own, and who may do everything.
type house struct {
	*Service
	db    *sqlstore.DB
	admin *access.Caller
}

func newHouse(t testing.TB) house {
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
	keys := apikey.New(db, nil, nil, apikey.Options{Enabled: true, CacheTTL: time.Hour, CacheMax: 100, Now: time.Now})
	tokens := token.New(db, nil, nil, nil, keys, token.Options{Enabled: true, CacheTTL: time.Hour, CacheMax: 100, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	all := access.NewPermissions([]string{"r"}, nil, access.NewRole(access.Descriptor{Cluster: []string{"all"}}))
	return house{New(keys, tokens), db, &access.Caller{Type: access.ByRealm, Subject: access.Subject{Username: "admin", Permissions: all}}}
}

// add stores a key as it may have been brought in, and returns it.
func (h house) add(t testing.TB, change func(*apikey.Key)) apikey.Key {
	t.Helper()
	set := access.Descriptors{}.RoleSet()
	k := apikey.Key{ID: secret.NewKeyID(time.Now()), Type: apikey.REST, Name: "n", Owner: apikey.Owner{Username: "u", Realm: "r", RealmType: "native", Metadata: []byte(`{}`)},
		CreatedAt: time.Now(), Metadata: []byte(`{}`), Roles: set.Digest, LimitedBy: set.Digest}
	change(&k)
	if err := h.db.InsertAPIKey(t.Context(), k, set); err != nil {
		t.Fatal(err)
	}
	return k
}

func (h house) end(t testing.TB, text io.Reader) (*Text, Report) {
	t.Helper()
	found, err := h.Find(t.Context(), h.admin, text)
	if err != nil {
		t.Fatal(err)
	}
	done, err := h.Invalidate(t.Context(), h.admin, found, false)
	if err != nil {
		t.Fatal(err)
	}
	return found, done
}

func TestStatesAndFormsOfKeys(t *testing.T) {
	h := newHouse(t)
	older, err := secret.NewHasher("pbkdf2_1000")
	if err != nil {
		t.Fatal(err)
	}
	slow := func(text string) string {
		form, err := older.Hash(t.Context(), text)
		if err != nil {
			t.Fatal(err)
		}
		return form
	}
	was, is := random(olderSecret), random(olderSecret)
	tests := []struct {
		name, secret string
		change       func(k *apikey.Key)
		want         string // the list
	}{
		{"brought in, with a slow form", is, func(k *apikey.Key) { k.Hash = slow(is) }, "invalidated"},
		{"brought in, with a long id", is, func(k *apikey.Key) { k.ID, k.Hash = random(olderID), slow(is) }, "invalidated"},
		{"another secret", was, func(k *apikey.Key) { k.Hash = slow(is) }, ""},
		{"expired", is, func(k *apikey.Key) { k.Hash, k.ExpiresAt = secret.HashRandom(is), time.Now().Add(-time.Hour) }, "invalidated"},
		{"invalidated", is, func(k *apikey.Key) { k.Hash, k.InvalidatedAt = secret.HashRandom(is), time.Now().Add(-time.Hour) }, "before"},
		{"replaced by a rotation, and still good", was, func(k *apikey.Key) {
			k.Hash, k.OldHash, k.OldUntil = secret.HashRandom(is), secret.HashRandom(was), time.Now().Add(time.Hour)
		}, "invalidated"},
		{"replaced by a rotation, and good no more", was, func(k *apikey.Key) {
			k.Hash, k.OldHash, k.OldUntil = secret.HashRandom(is), secret.HashRandom(was), time.Now().Add(-time.Hour)
		}, ""},
	}
	for _, tt := range tests {
		k := h.add(t, tt.change)
		_, got := h.end(t, strings.NewReader("ApiKey "+secret.Encoded(k.ID, tt.secret)))
		want, shown := Report{}, []Credential{{"api_key", k.ID, "n", "u", "r"}}
		switch tt.want {
		case "invalidated":
			want.Invalidated = shown
		case "before":
			want.Before = shown
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", tt.name, diff)
		}
		after, err := h.db.APIKey(t.Context(), k.ID)
		if err != nil || after.InvalidatedAt.IsZero() != (tt.want == "") {
			t.Errorf("%s: invalidated at %v, %v", tt.name, after.InvalidatedAt, err)
		}
	}
}

func TestGuessesAreBounded(t *testing.T) {
	h := newHouse(t)
	right := random(olderSecret)
	k := h.add(t, func(k *apikey.Key) { k.Hash = secret.HashRandom(right) })
	var text strings.Builder
	for range maxGuesses {
		fmt.Fprintf(&text, "%s:%s\n", k.ID, random(olderSecret))
	}
	fmt.Fprintf(&text, "%s:%s\n%[1]s:%[2]s\n", k.ID, right)
	if found, done := h.end(t, strings.NewReader(text.String())); found.NotChecked != 1 || len(done.Invalidated) != 0 {
		t.Errorf("after too many guesses: %d not checked, %+v", found.NotChecked, done)
	}
	text.Reset()
	for range maxOlder + 5 {
		fmt.Fprintf(&text, "%s:%s\n", random(idLen), random(olderSecret))
	}
	if found, _ := h.end(t, strings.NewReader(text.String())); found.NotChecked != 5 {
		t.Errorf("of too many older keys %d were not checked; want 5", found.NotChecked)
	}
}

func TestATextThatBreaksOffChangesNothing(t *testing.T) {
	h := newHouse(t)
	var text string
	k := h.add(t, func(k *apikey.Key) {
		text = secret.NewKeySecret(k.ID)
		k.Hash = secret.HashRandom(text)
	})
	broken := errors.New("the line is cut")
	_, err := h.Find(t.Context(), h.admin, io.MultiReader(strings.NewReader(secret.Encoded(k.ID, text)+strings.Repeat(" ", 2*chunk)), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) {
		t.Errorf("Find returned %v", err)
	}
	if after, err := h.db.APIKey(t.Context(), k.ID); err != nil || !after.InvalidatedAt.IsZero() {
		t.Errorf("the key was invalidated at %v, %v", after.InvalidatedAt, err)
	}
	if _, err := h.Find(t.Context(), &access.Caller{}, strings.NewReader("x")); fault.KindOf(err) != fault.Forbidden {
		t.Errorf("who may do nothing gets %v", err)
	}
}
