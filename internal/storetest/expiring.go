package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"latchkey/internal/apikey"
)

var expiryRules = []rule{
	{"keys that expire within a time are listed in order of expiry", keysExpiring},
	{"of a key is told once for each expiry that it has", keysTold},
	{"the purge takes what was told of a key", keysToldPurged},
	{"each key is counted as live, invalidated or expired", keysCounted},
}

// until returns a key that expires d after t0.
func until(id string, d time.Duration) apikey.Key {
	k := key(id, "x", "r")
	k.ExpiresAt = t0.Add(d)
	return k
}

func idsOf(keys []apikey.Key) (ids []string) {
	for _, k := range keys {
		ids = append(ids, k.ID)
	}
	return ids
}

func keysExpiring(t *testing.T, s Store) {
	dead := until("dead", time.Minute)
	dead.InvalidatedAt = t0
	insert(t, s, key("forever", "x", "r"), dead, until("now", 0), until("d", time.Hour+time.Millisecond), until("c", time.Hour), until("b", time.Minute), until("a", time.Minute))
	tests := []struct {
		until time.Duration
		limit int
		want  []string
	}{
		{0, 10, nil},
		{time.Minute, 10, []string{"a", "b"}},
		{time.Hour, 10, []string{"a", "b", "c"}},
		{2 * time.Hour, 3, []string{"a", "b", "c"}},
		{2 * time.Hour, 10, []string{"a", "b", "c", "d"}},
	}
	for _, tt := range tests {
		got, err := s.ExpiringAPIKeys(t.Context(), t0, t0.Add(tt.until), tt.limit)
		if err != nil || !slices.Equal(idsOf(got), tt.want) {
			t.Errorf("until %v, %d at most: %v, %v; want %v", tt.until, tt.limit, idsOf(got), err, tt.want)
		}
	}
	got, err := s.ExpiringAPIKeys(t.Context(), t0, t0.Add(time.Minute), 1)
	if diff := cmp.Diff([]apikey.Key{until("a", time.Minute)}, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
}

func keysTold(t *testing.T, s Store) {
	a, b := until("a", time.Minute), until("b", time.Minute)
	insert(t, s, a, b)
	untold := func(want ...string) {
		t.Helper()
		got, err := s.UntoldAPIKeys(t.Context(), t0, t0.Add(time.Hour), 10)
		if err != nil || !slices.Equal(idsOf(got), want) {
			t.Errorf("untold are %v, %v; want %v", idsOf(got), err, want)
		}
	}
	note := func(keys ...apikey.Key) {
		t.Helper()
		if err := s.NoteTold(t.Context(), keys); err != nil {
			t.Fatal(err)
		}
	}
	untold("a", "b")
	note(a, until("unknown", time.Minute))
	untold("b")
	note(a, b)
	untold()
	move := func(d time.Duration) {
		t.Helper()
		err := s.UpdateAPIKeys(t.Context(), apikey.Selector{IDs: []string{"a"}}, nil, func(k *apikey.Key) bool {
			k.ExpiresAt = t0.Add(d)
			return true
		}, func([]string) {})
		if err != nil {
			t.Fatal(err)
		}
	}
	move(2 * time.Minute)
	untold("a")
	note(until("a", time.Minute)) // it was told before the change
	untold("a")
	note(until("a", 2*time.Minute))
	untold()
	move(time.Minute)
	untold("a")
}

func keysToldPurged(t *testing.T, s Store) {
	a := until("a", time.Minute)
	insert(t, s, a)
	if err := s.NoteTold(t.Context(), []apikey.Key{a}); err != nil {
		t.Fatal(err)
	}
	if gone, err := s.PurgeAPIKeys(t.Context(), t0.Add(time.Hour), 10); err != nil || len(gone) != 1 {
		t.Fatalf("purged %v, %v", gone, err)
	}
	insert(t, s, a)
	if got, err := s.UntoldAPIKeys(t.Context(), t0, t0.Add(time.Hour), 10); err != nil || len(got) != 1 {
		t.Errorf("untold are %v, %v; want the new key of the same id", idsOf(got), err)
	}
}

func keysCounted(t *testing.T, s Store) {
	count := func(want apikey.Counts) {
		t.Helper()
		got, err := s.CountAPIKeys(t.Context(), t0, t0.Add(time.Hour))
		if err != nil || got != want {
			t.Errorf("counted %+v, %v; want %+v", got, err, want)
		}
	}
	count(apikey.Counts{})
	dead, both := key("dead", "x", "r"), until("both", 0)
	dead.InvalidatedAt, both.InvalidatedAt = t0, t0
	insert(t, s, key("a", "x", "r"), dead, both, until("expired", 0), until("soon", time.Millisecond), until("just soon", time.Hour), until("later", time.Hour+time.Millisecond))
	count(apikey.Counts{Live: 4, Invalidated: 2, Expired: 1, Expiring: 2})
}
