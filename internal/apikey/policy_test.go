package apikey_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/apikey"
	"latchkey/internal/fault"
	"latchkey/internal/pattern"
)

const day = 24 * time.Hour

func withPolicies(t testing.TB) func(*apikey.Options) {
	t.Helper()
	names, err := pattern.Parse("/app-[a-z]+/")
	if err != nil {
		t.Fatal(err)
	}
	return func(o *apikey.Options) {
		o.Policies = []apikey.Policy{
			{Role: apikey.Everybody, MaxLifetime: 90 * day},
			{Role: "monitor", MaxLifetime: 30 * day, RequiredMetadata: []string{"owner", "team"}, NamePattern: "app-[a-z]+", Names: names},
		}
	}
}

const (
	everybodysLife = "the policy for everybody wants an [expiration] that is at most [90d] after the creation"
	monitorsLife   = "the policy for the role [monitor] wants an [expiration] that is at most [30d] after the creation"
	monitorsName   = "the policy for the role [monitor] wants a [name] that matches [app-[a-z]+]"
)

func monitorsMetadata(missing string) string {
	return "the policy for the role [monitor] wants [metadata] with a value for [" + missing + "]"
}

// broken is the reason for which rules are broken; "" for none.
func broken(rules ...string) string {
	var p fault.Problems
	for _, r := range rules {
		p.Add("%s", r)
	}
	if err := p.Err(fault.Invalid); err != nil {
		return err.Error()
	}
	return ""
}

func reasonOf(t testing.TB, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	if fault.KindOf(err) != fault.Invalid {
		t.Fatalf("not a broken rule: %v", err)
	}
	return err.Error()
}

func TestPolicyOfNewKeys(t *testing.T) {
	s := newService(openStore(t), withPolicies(t))
	plain, monitor := caller(t, "u", "manage_own_api_key"), caller(t, "m", "monitor", "manage_own_api_key")
	both := `{"owner":"u","team":1}`
	tests := []struct {
		title      string
		by         *access.Caller
		name       string
		expiration time.Duration // 0: none
		metadata   string
		want       string
	}{
		{"everybody: as long as allowed", plain, "n", 90 * day, `{}`, ""},
		{"everybody: a second longer", plain, "n", 90*day + time.Second, `{}`, broken(everybodysLife)},
		{"everybody: a part of a second longer, which does not count", plain, "n", 90*day + time.Second - 1, `{}`, ""},
		{"everybody: for ever", plain, "n", 0, `{}`, broken(everybodysLife)},
		{"everybody: over at once", plain, "n", -1, `{}`, ""},
		{"a role: all as it should be", monitor, "app-x", 30 * day, both, ""},
		{"a role: both lifetimes count", monitor, "app-x", 91 * day, both, broken(everybodysLife, monitorsLife)},
		{"a role: the shorter lifetime counts", monitor, "app-x", 31 * day, both, broken(monitorsLife)},
		{"a role: everything is wrong", monitor, "x", 0, `{}`, broken(everybodysLife, monitorsName, monitorsLife, monitorsMetadata("owner,team"))},
		{"a role: the pattern is for the whole name", monitor, "my-app-x", day, both, broken(monitorsName)},
		{"a role: no metadata", monitor, "app-x", day, "", broken(monitorsMetadata("owner,team"))},
		{"a role: one is missing", monitor, "app-x", day, `{"team":false}`, broken(monitorsMetadata("owner"))},
		{"a role: what has no value", monitor, "app-x", day, `{"team":null,"owner":""}`, broken(monitorsMetadata("owner,team"))},
		{"a role: further down does not count", monitor, "app-x", day, `{"team":1,"a":{"owner":1}}`, broken(monitorsMetadata("owner"))},
	}
	for _, tt := range tests {
		req := apikey.CreateRequest{Name: tt.name}
		if tt.expiration != 0 {
			req.Expiration = &tt.expiration
		}
		if tt.metadata != "" {
			req.Metadata = metadata(t, tt.metadata)
		}
		_, err := s.Create(t.Context(), tt.by, req)
		if got := reasonOf(t, err); got != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.title, got, tt.want)
		}
	}
}

func TestPolicyOfDerivedKeys(t *testing.T) {
	s := newService(openStore(t), withPolicies(t))
	month := 30 * day
	k, err := s.Create(t.Context(), caller(t, "m", "monitor", "manage_own_api_key"), apikey.CreateRequest{Name: "app-x", Expiration: &month, Metadata: metadata(t, `{"owner":1,"team":1}`)})
	if err != nil {
		t.Fatal(err)
	}
	by, err := s.Verify(t.Context(), k.ID, k.Secret)
	if err != nil {
		t.Fatal(err)
	}
	req := apikey.CreateRequest{Name: "n", Roles: access.Descriptors{"none": {}}}
	_, err = s.Create(t.Context(), by, req)
	if got, want := reasonOf(t, err), broken(everybodysLife); got != want {
		t.Errorf("for ever: got %q; want %q", got, want)
	}
	req.Expiration = &month
	if _, err := s.Create(t.Context(), by, req); err != nil {
		t.Errorf("for a month: %v", err)
	}
}

func TestPolicyOfUpdates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := openStore(t)
		monitor := caller(t, "m", "monitor", "manage_own_api_key")
		old := create(t, newService(store), monitor, "of old")
		s := newService(store, withPolicies(t))
		time.Sleep(10 * day)
		lasts := func(d time.Duration) *time.Duration { return &d }
		tests := []struct {
			title string
			req   apikey.UpdateRequest
			want  string
		}{
			{"what is not given is not judged", apikey.UpdateRequest{Roles: access.Descriptors{"r": {Cluster: []string{"monitor"}}}}, ""},
			{"the rest of the lifetime", apikey.UpdateRequest{Expiration: lasts(20 * day)}, ""},
			{"the lifetime begins with the creation", apikey.UpdateRequest{Expiration: lasts(20*day + time.Second)}, broken(monitorsLife)},
			{"metadata without what is required", apikey.UpdateRequest{Metadata: metadata(t, `{"team":1}`)}, broken(monitorsMetadata("owner"))},
			{"both wrong", apikey.UpdateRequest{Expiration: lasts(100 * day), Metadata: metadata(t, `{}`)}, broken(everybodysLife, monitorsLife, monitorsMetadata("owner,team"))},
			{"metadata with what is required", apikey.UpdateRequest{Metadata: metadata(t, `{"team":1,"owner":{}}`)}, ""},
		}
		for _, tt := range tests {
			before, err := store.APIKey(t.Context(), old.ID)
			if err != nil {
				t.Fatal(err)
			}
			changed, err := s.Update(t.Context(), monitor, old.ID, tt.req)
			if got := reasonOf(t, err); got != tt.want || changed != (tt.want == "") {
				t.Errorf("%s: changed is %v\ngot  %s\nwant %s", tt.title, changed, got, tt.want)
			}
			after, err := store.APIKey(t.Context(), old.ID)
			if err != nil {
				t.Fatal(err)
			}
			if same := after.ExpiresAt.Equal(before.ExpiresAt) && string(after.Metadata) == string(before.Metadata) && after.Roles == before.Roles; same != (tt.want != "") {
				t.Errorf("%s: the key is the same: %v", tt.title, same)
			}
		}

		mine := create(t, newService(store), monitor, "not touched")
		done, err := s.UpdateAll(t.Context(), monitor, []string{old.ID, mine.ID}, apikey.UpdateRequest{Expiration: lasts(25 * day)})
		if err != nil || len(done.Changed) != 1 || done.Changed[0] != mine.ID || len(done.Failed) != 1 || !strings.Contains(done.Failed[0].Err.Reason, monitorsLife) {
			t.Errorf("of many, each is judged by itself: %+v, %v", done, err)
		}
	})
}
