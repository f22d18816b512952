package storetest

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"latchkey/internal/apikey"
	"latchkey/internal/fault"
)

var apiKeyRules = []rule{
	{"a key reads back as written", keyReadsBack},
	{"an unknown key id is NotFound", keyUnknown},
	{"a taken key id is Conflict and changes nothing", keyTaken},
	{"a role set is shared and reads back", roleSets},
	{"a selector ANDs its conditions", keySelectors},
	{"a name prefix is literal and ends where the prefix ends", keyPrefixes},
	{"any text is kept, found and ordered by its bytes", keyTexts},
	{"many ids are chosen as well as few", keyManyIDs},
	{"keys are listed oldest first, then by id", keyOrder},
	{"active keys are neither invalidated nor expired", keyActive},
	{"all keys of one invalidation share one time, and a second one does not move it", keyInvalidation},
	{"keys named by id that were invalidated before are told apart", keyBefore},
	{"cross-cluster keys stay out of reach with restOnly", keyTypes},
	{"usernames differ by case", keyCase},
	{"a key is invalidated by exactly one caller", keyInvalidatedOnce},
	{"whoever learns of an invalidation learns it after changed has returned", keyChangedFirst},
	{"a key made during an invalidation by user is live or invalidated, and the answer says which", keyCreatedMeanwhile},
	{"an update writes what the judge changed and adds the sets", keyUpdated},
	{"an update looks at the keys of its ids and its owner alone", keyUpdateSelector},
	{"an update that changes nothing writes nothing", keyUpdateNothing},
	{"whoever learns of an update learns it after changed has returned", keyUpdateChangedFirst},
	{"an update never undoes an invalidation, nor another update", keyUpdatedMeanwhile},
	{"the purge takes what is old enough and no more", keyPurge},
	{"the purge takes role sets that nobody carries", keyPurgeSets},
	{"the purge takes role sets that an update left, and they can come back", keyPurgeLeftSets},
	{"a cancelled context stops a write before it begins", keyCancelled},
}

func key(id, username, realm string) apikey.Key {
	body := []byte(`{}`)
	return apikey.Key{
		ID: id, Type: apikey.REST, Name: "n-" + id, Hash: "hash of " + id,
		Owner:     apikey.Owner{Username: username, Realm: realm, RealmType: "native", Metadata: json.RawMessage(`{}`)},
		CreatedAt: t0, Metadata: json.RawMessage(`{}`), Roles: sha256.Sum256(body), LimitedBy: sha256.Sum256(body),
	}
}

func insert(t *testing.T, s Store, keys ...apikey.Key) {
	t.Helper()
	for _, k := range keys {
		if err := s.InsertAPIKey(t.Context(), k, apikey.RoleSet{Digest: k.Roles, Body: []byte(`{}`)}); err != nil {
			t.Fatalf("InsertAPIKey(%s): %v", k.ID, err)
		}
	}
}

func invalidate(t *testing.T, s Store, sel apikey.Selector, at time.Time) apikey.Invalidated {
	t.Helper()
	got, err := s.InvalidateAPIKeys(t.Context(), sel, false, at, func([]string) {})
	if err != nil {
		t.Fatalf("InvalidateAPIKeys(%+v): %v", sel, err)
	}
	return got
}

func ids(keys []apikey.Key) []string {
	out := []string{}
	for _, k := range keys {
		out = append(out, k.ID)
	}
	return out
}

func keyReadsBack(t *testing.T, s Store) {
	name, mail := "Jane \"J\" Döe", ""
	full := key("a-_9", "jane", "default_native")
	full.Type, full.Name = apikey.CrossCluster, "näme/%_*"
	full.Owner.FullName, full.Owner.Email, full.Owner.Metadata = &name, &mail, json.RawMessage(`{"n":1.50,"b":[null]}`)
	full.ExpiresAt, full.InvalidatedAt = t0.Add(time.Hour), t0.Add(time.Minute)
	full.OldHash, full.OldUntil = "hash of the secret before", t0.Add(time.Second)
	full.Metadata = json.RawMessage(`{"z":1,"a":{"_x":1e400}}`)
	full.LimitedBy, full.CertificateIdentity = apikey.Digest{}, `CN=(ü|\d+),.*`
	for _, want := range []apikey.Key{full, key("b", "x", "r")} {
		insert(t, s, want)
		got, err := s.APIKey(t.Context(), want.ID)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("APIKey(%s): %v (-want +got)\n%s", want.ID, err, diff)
		}
		list, err := s.APIKeys(t.Context(), apikey.Selector{IDs: []string{want.ID}}, time.Time{})
		if diff := cmp.Diff([]apikey.Key{want}, list); err != nil || diff != "" {
			t.Errorf("APIKeys(%s): %v (-want +got)\n%s", want.ID, err, diff)
		}
	}
}

func keyUnknown(t *testing.T, s Store) {
	insert(t, s, key("a", "x", "r"))
	for _, id := range []string{"nope", "A", "", "a'", "a\x00"} {
		if _, err := s.APIKey(t.Context(), id); fault.KindOf(err) != fault.NotFound {
			t.Errorf("APIKey(%q) = %v; want NotFound", id, err)
		}
	}
}

func keyTaken(t *testing.T, s Store) {
	insert(t, s, key("a", "x", "r"))
	err := s.InsertAPIKey(t.Context(), key("a", "y", "r"), apikey.RoleSet{Digest: sha256.Sum256([]byte("new")), Body: []byte("new")})
	if fault.KindOf(err) != fault.Conflict {
		t.Errorf("second InsertAPIKey(a) = %v; want Conflict", err)
	}
	if k, err := s.APIKey(t.Context(), "a"); err != nil || k.Owner.Username != "x" {
		t.Errorf("the first key is now %+v, %v", k, err)
	}
	if _, err := s.RoleSet(t.Context(), sha256.Sum256([]byte("new"))); fault.KindOf(err) != fault.NotFound {
		t.Errorf("the role set of the refused key: %v; want NotFound", err)
	}
}

func roleSets(t *testing.T, s Store) {
	body := []byte(`{"r":{"cluster":["all"]}}`)
	set := apikey.RoleSet{Digest: sha256.Sum256(body), Body: body}
	for _, id := range []string{"a", "b"} {
		k := key(id, "x", "r")
		k.Roles, k.LimitedBy = set.Digest, set.Digest
		if err := s.InsertAPIKey(t.Context(), k, set, set); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := s.RoleSet(t.Context(), set.Digest); err != nil || string(got) != string(body) {
		t.Errorf("RoleSet = %s, %v; want %s", got, err, body)
	}
	if _, err := s.RoleSet(t.Context(), apikey.Digest{1}); fault.KindOf(err) != fault.NotFound {
		t.Errorf("RoleSet of an unknown digest: %v; want NotFound", err)
	}
}

func keySelectors(t *testing.T, s Store) {
	insert(t, s, key("c", "x", "native"), key("a", "x", "native"), key("b", "x", "file"), key("d", "y", "native"))
	tests := []struct {
		sel  apikey.Selector
		want []string
	}{
		{apikey.Selector{}, []string{"a", "b", "c", "d"}},
		{apikey.Selector{Username: "nobody"}, []string{}},
		{apikey.Selector{Username: "x", Realm: "file"}, []string{"b"}},
		{apikey.Selector{Realm: "native"}, []string{"a", "c", "d"}},
		{apikey.Selector{IDs: []string{"d", "zz"}}, []string{"d"}},
		{apikey.Selector{IDs: []string{"a", "d"}, Username: "x", Realm: "native"}, []string{"a"}},
		{apikey.Selector{Name: "n-b"}, []string{"b"}},
		{apikey.Selector{Name: "n-", Prefix: true, Username: "y"}, []string{"d"}},
		{apikey.Selector{Name: "' OR 1=1 --"}, []string{}},
	}
	for _, tt := range tests {
		got, err := s.APIKeys(t.Context(), tt.sel, time.Time{})
		if diff := cmp.Diff(tt.want, ids(got)); err != nil || diff != "" {
			t.Errorf("APIKeys(%+v): %v (-want +got)\n%s", tt.sel, err, diff)
		}
	}
	for _, tt := range slices.Backward(tests) { // from the narrow to the wide: each finds what is left
		want := []string{}
		for _, id := range tt.want {
			if k, _ := s.APIKey(t.Context(), id); k.InvalidatedAt.IsZero() {
				want = append(want, id)
			}
		}
		if got := invalidate(t, s, tt.sel, t0); !slices.Equal(got.IDs, want) {
			t.Errorf("InvalidateAPIKeys(%+v) = %v; want %v", tt.sel, got.IDs, want)
		}
	}
}

func keyPrefixes(t *testing.T, s Store) {
	names := []string{"app", "app-1", "apq", "ap", "App-1", "app*", "*app", "a%", "a_b", "ab", "日本", "日本語", "日", "\U0010FFFF", "\U0010FFFFx", "\uD7FFx", "\uE000"}
	for i, n := range names {
		k := key(fmt.Sprintf("k%02d", i), "x", "r")
		k.Name = n
		insert(t, s, k)
	}
	tests := []struct {
		prefix string
		want   []string
	}{
		{"app", []string{"app", "app-1", "app*"}},
		{"app*", []string{"app*"}},
		{"a%", []string{"a%"}},
		{"a_", []string{"a_b"}},
		{"日本", []string{"日本", "日本語"}},
		{"\U0010FFFF", []string{"\U0010FFFF", "\U0010FFFFx"}},
		{"\uD7FF", []string{"\uD7FFx"}},
		{"", names},
	}
	for _, tt := range tests {
		got, err := s.APIKeys(t.Context(), apikey.Selector{Name: tt.prefix, Prefix: true}, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		found := []string{}
		for _, k := range got {
			found = append(found, k.Name)
		}
		if !slices.Equal(found, tt.want) {
			t.Errorf("prefix %q found %q; want %q", tt.prefix, found, tt.want)
		}
	}
}

func keyTexts(t *testing.T, s Store) {
	made := 0
	add := func(names ...string) {
		t.Helper()
		for _, n := range names {
			k := key(fmt.Sprintf("k%02d", made), n, "r")
			made++
			k.Name = n
			insert(t, s, k)
			if got, err := s.APIKey(t.Context(), k.ID); err != nil || got.Name != n || got.Owner.Username != n {
				t.Errorf("%q reads back as %q and %q, %v", n, got.Name, got.Owner.Username, err)
			}
		}
		for _, n := range names {
			got, err := s.APIKeys(t.Context(), apikey.Selector{Name: n}, time.Time{})
			if err != nil || len(got) != 1 || got[0].Name != n {
				t.Errorf("the name %q is that of %v, %v; want one key", n, ids(got), err)
			}
		}
	}
	add("\x00", "\x00\x00", "\x01", "\x01\x01", "\x02", "a", "a\x00", "a\x00b", "a\x01", "a\x01\x02", "ab", "é", "e\u0301", "\uFFFD")
	for prefix, want := range map[string]int{"\x00": 2, "\x01": 2, "a": 6, "a\x00": 2, "a\x01": 2, "\uFFFD": 1} {
		got, err := s.APIKeys(t.Context(), apikey.Selector{Name: prefix, Prefix: true}, time.Time{})
		if err != nil || len(got) != want {
			t.Errorf("%d names begin with %q, %v; want %d", len(got), prefix, err, want)
		}
	}
	add("\xff\xfe", "a\xc3", "\x80") // what is no UTF-8 has no order
}

func keyManyIDs(t *testing.T, s Store) {
	insert(t, s, key("a", "x", "r"), key("z", "x", "r"))
	many := []string{"a"}
	for i := range 70_000 {
		many = append(many, fmt.Sprint("n", i))
	}
	many = append(many, "z")
	if got := invalidate(t, s, apikey.Selector{IDs: many}, t0); !slices.Equal(got.IDs, []string{"a", "z"}) {
		t.Errorf("invalidated %v of %d ids; want [a z]", got.IDs, len(many))
	}
}

func keyOrder(t *testing.T, s Store) {
	early := key("z", "x", "r")
	early.CreatedAt = t0.Add(-time.Millisecond)
	insert(t, s, key("b", "x", "r"), early, key("a", "x", "r"))
	got, err := s.APIKeys(t.Context(), apikey.Selector{}, time.Time{})
	if err != nil || !slices.Equal(ids(got), []string{"z", "a", "b"}) {
		t.Errorf("APIKeys = %v, %v; want [z a b]", ids(got), err)
	}
}

func keyActive(t *testing.T, s Store) {
	now, later := key("now", "x", "r"), key("later", "x", "r")
	now.ExpiresAt, later.ExpiresAt = t0, t0.Add(time.Millisecond)
	insert(t, s, key("ever", "x", "r"), now, later, key("gone", "x", "r"))
	invalidate(t, s, apikey.Selector{IDs: []string{"gone"}}, t0)
	got, err := s.APIKeys(t.Context(), apikey.Selector{}, t0)
	if err != nil || !slices.Equal(ids(got), []string{"ever", "later"}) {
		t.Errorf("active at %v: %v, %v; want [ever later]", t0, ids(got), err)
	}
	if got, _ := s.APIKeys(t.Context(), apikey.Selector{IDs: []string{"gone"}}, t0); len(got) != 0 {
		t.Errorf("active by id: %v; want none", ids(got))
	}
}

func keyInvalidation(t *testing.T, s Store) {
	expired := key("old", "x", "r")
	expired.ExpiresAt = t0.Add(-time.Hour)
	insert(t, s, key("a", "x", "r"), key("b", "x", "r"), expired)
	if got := invalidate(t, s, apikey.Selector{Username: "x"}, t0); !slices.Equal(got.IDs, []string{"a", "b", "old"}) {
		t.Errorf("invalidated %v; want [a b old]", got.IDs)
	}
	invalidate(t, s, apikey.Selector{Username: "x"}, t0.Add(time.Hour))
	invalidate(t, s, apikey.Selector{IDs: []string{"a"}}, t0.Add(time.Hour))
	for _, id := range []string{"a", "b", "old"} {
		if k, err := s.APIKey(t.Context(), id); err != nil || !k.InvalidatedAt.Equal(t0) {
			t.Errorf("%s was invalidated at %v, %v; want %v", id, k.InvalidatedAt, err, t0)
		}
	}
}

func keyBefore(t *testing.T, s Store) {
	insert(t, s, key("a", "x", "r"), key("b", "x", "r"), key("c", "y", "r"))
	invalidate(t, s, apikey.Selector{IDs: []string{"a", "c"}}, t0)
	tests := []struct {
		name   string
		sel    apikey.Selector
		before []string
	}{
		{"by user", apikey.Selector{Username: "x"}, nil},
		{"by ids", apikey.Selector{IDs: []string{"c", "a", "zz"}}, []string{"a", "c"}},
		{"by ids of one owner", apikey.Selector{IDs: []string{"c", "a"}, Username: "x", Realm: "r"}, []string{"a"}},
	}
	for _, tt := range tests {
		if got := invalidate(t, s, tt.sel, t0); !slices.Equal(got.Before, tt.before) {
			t.Errorf("%s: before = %v; want %v", tt.name, got.Before, tt.before)
		}
	}
}

func keyTypes(t *testing.T, s Store) {
	cross, done := key("b", "x", "r"), key("c", "x", "r")
	cross.Type, done.Type = apikey.CrossCluster, apikey.CrossCluster
	done.InvalidatedAt = t0
	insert(t, s, key("a", "x", "r"), cross, done)
	sel := apikey.Selector{IDs: []string{"a", "b", "c"}}
	got, err := s.InvalidateAPIKeys(t.Context(), sel, true, t0, func([]string) {})
	want := apikey.Invalidated{IDs: []string{"a"}, Before: []string{"c"}, NotReached: []string{"b"}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("restOnly: %v (-want +got)\n%s", err, diff)
	}
	want = apikey.Invalidated{IDs: []string{"b"}, Before: []string{"a", "c"}}
	if diff := cmp.Diff(want, invalidate(t, s, sel, t0)); diff != "" {
		t.Errorf("all types (-want +got)\n%s", diff)
	}
}

func keyCase(t *testing.T, s Store) {
	insert(t, s, key("A", "Jane", "r"), key("a", "jane", "r"))
	if got := invalidate(t, s, apikey.Selector{Username: "jane"}, t0); !slices.Equal(got.IDs, []string{"a"}) {
		t.Errorf("invalidated %v; want [a]", got.IDs)
	}
}

func keyInvalidatedOnce(t *testing.T, s Store) {
	const keys, callers = 50, 8
	for i := range keys {
		insert(t, s, key(fmt.Sprintf("k%02d", i), "x", "r"))
	}
	var wg sync.WaitGroup
	got := make([]apikey.Invalidated, callers)
	errs := make([]error, callers)
	for i := range callers {
		wg.Go(func() {
			got[i], errs[i] = s.InvalidateAPIKeys(context.Background(), apikey.Selector{Username: "x"}, false, t0, func([]string) {})
		})
	}
	wg.Wait()
	var all []string
	for i := range callers {
		if errs[i] != nil {
			t.Error(errs[i])
		}
		all = append(all, got[i].IDs...)
	}
	slices.Sort(all)
	if len(all) != keys || len(slices.Compact(all)) != keys {
		t.Errorf("%d callers together invalidated %d keys; want %d, each once", callers, len(all), keys)
	}
}

// Two calls race for the same keys: the one that finds them done may be
// answered only when the other has told its process about them.
func keyChangedFirst(t *testing.T, s Store) {
	for round := range 200 {
		id := fmt.Sprint("k", round)
		insert(t, s, key(id, "x", "r"))
		var mu sync.Mutex
		told := false
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				_, err := s.InvalidateAPIKeys(context.Background(), apikey.Selector{IDs: []string{id}}, false, t0, func(ids []string) {
					if len(ids) > 0 {
						time.Sleep(100 * time.Microsecond)
						mu.Lock()
						told = true
						mu.Unlock()
					}
				})
				mu.Lock()
				defer mu.Unlock()
				if err != nil || !told {
					t.Errorf("round %d: answered (%v) before changed had returned", round, err)
				}
			})
		}
		wg.Wait()
	}
}

func keyCreatedMeanwhile(t *testing.T, s Store) {
	const keys = 300
	var wg sync.WaitGroup
	var inserted []string
	wg.Go(func() {
		for i := range keys {
			k := key(fmt.Sprintf("k%03d", i), "x", "r")
			if err := s.InsertAPIKey(context.Background(), k, apikey.RoleSet{Digest: k.Roles, Body: []byte(`{}`)}); err != nil {
				t.Error(err)
			}
			inserted = append(inserted, k.ID)
		}
	})
	var reported []string
	for range 40 {
		reported = append(reported, invalidate(t, s, apikey.Selector{Username: "x"}, t0).IDs...)
	}
	wg.Wait()
	for _, id := range inserted {
		k, err := s.APIKey(t.Context(), id)
		if err != nil || k.InvalidatedAt.IsZero() == slices.Contains(reported, id) {
			t.Fatalf("%s: invalidated at %v (%v), reported %t", id, k.InvalidatedAt, err, slices.Contains(reported, id))
		}
	}
}

func keyCancelled(t *testing.T, s Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.InsertAPIKey(ctx, key("a", "x", "r")); !errors.Is(err, context.Canceled) {
		t.Errorf("InsertAPIKey with a cancelled context = %v; want context.Canceled", err)
	}
	if _, err := s.APIKey(t.Context(), "a"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("the key of the cancelled insert: %v; want NotFound", err)
	}
}
