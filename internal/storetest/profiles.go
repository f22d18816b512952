package storetest

import (
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"latchkey/internal/fault"
	"latchkey/internal/profile"
	"latchkey/internal/settings"
)

var profileRules = []rule{
	{"a profile reads back as written", profileReadsBack},
	{"an activation keeps labels and data, and enables", profileActivatedAgain},
	{"a change of a profile is whole or not at all", profileChanged},
	{"of many changes at once none is lost", profileChangedByMany},
	{"profiles are listed by uid, and disabled ones are left out where it matters", profilesListed},
	{"settings are what the last change left", settingsKept},
}

func sampleProfile(uid string) profile.Profile {
	return profile.Profile{
		UID: uid, Owner: profile.Owner{Username: "Jörg", Realm: "default_native"}, Roles: []string{"b", "a"}, FullName: text(""), Enabled: true,
		SyncedAt: t0, Labels: json.RawMessage(`{"n":1.50}`), Data: json.RawMessage(`{}`),
	}
}

func activate(t *testing.T, s Store, p profile.Profile) profile.Profile {
	t.Helper()
	got, err := s.ActivateProfile(t.Context(), p)
	if err != nil {
		t.Fatalf("ActivateProfile: %v", err)
	}
	return got
}

func wantProfile(t *testing.T, s Store, want profile.Profile) {
	t.Helper()
	got, err := s.Profiles(t.Context(), []string{want.UID})
	if diff := cmp.Diff([]profile.Profile{want}, got); err != nil || diff != "" {
		t.Errorf("Profiles(%s): %v (-want +got)\n%s", want.UID, err, diff)
	}
}

func profileReadsBack(t *testing.T, s Store) {
	want := sampleProfile("u_1")
	if diff := cmp.Diff(want, activate(t, s, want)); diff != "" {
		t.Errorf("ActivateProfile (-want +got)\n%s", diff)
	}
	wantProfile(t, s, want)
}

func profileActivatedAgain(t *testing.T, s Store) {
	first := activate(t, s, sampleProfile("u_1"))
	if err := s.ChangeProfile(t.Context(), "u_1", func(p *profile.Profile) error { p.Enabled = false; return nil }); err != nil {
		t.Fatal(err)
	}
	again := sampleProfile("u_1")
	again.Roles, again.FullName, again.Email, again.SyncedAt = []string{}, nil, text("j@x"), t0.Add(time.Hour)
	again.Labels, again.Data = json.RawMessage(`{}`), json.RawMessage(`{"new":1}`)
	got := activate(t, s, again)
	want := again
	want.Labels, want.Data, want.Version = first.Labels, first.Data, 2
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ActivateProfile (-want +got)\n%s", diff)
	}
	wantProfile(t, s, want)
}

func profileChanged(t *testing.T, s Store) {
	p := activate(t, s, sampleProfile("u_1"))
	refused := errors.New("refused")
	if err := s.ChangeProfile(t.Context(), "u_1", func(p *profile.Profile) error { p.Data = json.RawMessage(`{"x":1}`); return refused }); !errors.Is(err, refused) {
		t.Errorf("ChangeProfile = %v; want what change returned", err)
	}
	wantProfile(t, s, p)
	if err := s.ChangeProfile(t.Context(), "u_1", func(p *profile.Profile) error { p.Data = json.RawMessage(`{"x":1}`); return nil }); err != nil {
		t.Fatal(err)
	}
	p.Data, p.Version = json.RawMessage(`{"x":1}`), 1
	wantProfile(t, s, p)
	if err := s.ChangeProfile(t.Context(), "u_2", func(*profile.Profile) error { return nil }); fault.KindOf(err) != fault.NotFound {
		t.Errorf("ChangeProfile of an unknown one = %v; want fault.NotFound", err)
	}
}

func profileChangedByMany(t *testing.T, s Store) {
	p := activate(t, s, sampleProfile("u_1"))
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			err := s.ChangeProfile(t.Context(), "u_1", func(p *profile.Profile) error { p.Roles = append(p.Roles, "x"); return nil })
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for range 20 {
		p.Roles = append(p.Roles, "x")
	}
	p.Version = 20
	wantProfile(t, s, p)
}

func profilesListed(t *testing.T, s Store) {
	for _, uid := range []string{"c", "a", "b"} {
		activate(t, s, sampleProfile(uid))
	}
	if err := s.ChangeProfile(t.Context(), "b", func(p *profile.Profile) error { p.Enabled = false; return nil }); err != nil {
		t.Fatal(err)
	}
	list := func(all []profile.Profile, err error) []string {
		if err != nil {
			t.Fatal(err)
		}
		uids := []string{}
		for _, p := range all {
			uids = append(uids, p.UID)
		}
		return uids
	}
	for what, got := range map[string][2][]string{
		"named":   {list(s.Profiles(t.Context(), []string{"c", "b", "nobody", "c"})), {"b", "c"}},
		"none":    {list(s.Profiles(t.Context(), nil)), {}},
		"enabled": {list(s.EnabledProfiles(t.Context())), {"a", "c"}},
	} {
		if diff := cmp.Diff(got[1], got[0]); diff != "" {
			t.Errorf("%s (-want +got)\n%s", what, diff)
		}
	}
}

func settingsKept(t *testing.T, s Store) {
	if got, err := s.Settings(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("Settings of an empty store = %v, %v", got, err)
	}
	for _, n := range []string{"1", "2"} {
		if err := s.ChangeSettings(t.Context(), func(all map[string]settings.Index) {
			i := all["security"]
			if n == "1" {
				i.AutoExpandReplicas = text("0-all")
			}
			i.NumberOfReplicas = text(n)
			all["security"] = i
		}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Settings(t.Context())
	want := map[string]settings.Index{"security": {AutoExpandReplicas: text("0-all"), NumberOfReplicas: text("2")}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("Settings: %v (-want +got)\n%s", err, diff)
	}
}
