package profile_test

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/profile"
	"latchkey/internal/sqlstore"
	"latchkey/internal/xcontent"
)

// people logs in everybody whose password is the name; tokens are names, too.
type people struct{ realm access.Realm }

func (p people) Authenticate(_ context.Context, username, password string) (access.Subject, error) {
	if password != username {
		return access.Subject{}, fault.New(fault.Unauthenticated, "wrong")
	}
	return access.Subject{Username: username, Realm: p.realm, Roles: []string{"r"}}, nil
}

func (p people) Verify(_ context.Context, text string) (*access.Caller, error) {
	c := &access.Caller{Subject: access.Subject{Username: text, Realm: p.realm}, Type: access.ByToken}
	switch text {
	case "key":
		c.APIKey = &access.APIKey{ID: "k"}
	case "service":
		c.Service, c.Realm = &access.ServiceAccount{}, access.ServiceAccountRealm
	case "wrong":
		return nil, fault.New(fault.Unauthenticated, "wrong")
	}
	return c, nil
}

type noRoles struct{}

func (noRoles) Permissions(context.Context, []string) (access.Permissions, error) {
	return access.NewPermissions(nil, nil, access.NewRole(access.Descriptor{Cluster: []string{"monitor"}})), nil
}

var admin = &access.Caller{Type: access.ByRealm, Subject: access.Subject{
	Username: "root", Permissions: access.NewPermissions(nil, nil, access.NewRole(access.Descriptor{Cluster: []string{"manage_user_profile"}})),
}}

func newService(t *testing.T, realm string) (*profile.Service, *sqlstore.DB) {
	t.Helper()
	db, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "latchkey.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	p := people{access.Realm{Name: realm, Type: "native"}}
	return profile.New(db, p, p, noRoles{}, time.Now), db
}

func byPassword(name string) profile.Grant {
	return profile.Grant{Type: "password", Username: &name, Password: &name}
}

func byToken(text string) profile.Grant {
	return profile.Grant{Type: "access_token", AccessToken: &text}
}

func activate(t *testing.T, s *profile.Service, g profile.Grant) profile.Profile {
	t.Helper()
	p, err := s.Activate(t.Context(), admin, g)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestUIDsAreOnePerUserOfARealm(t *testing.T) {
	s, db := newService(t, "one")
	first := activate(t, s, byPassword("jo"))
	if again := activate(t, s, byToken("jo")); again.UID != first.UID {
		t.Errorf("uid %s became %s", first.UID, again.UID)
	}
	p := people{access.Realm{Name: "two"}}
	other := activate(t, profile.New(db, p, p, noRoles{}, time.Now), byPassword("jo"))
	if other.UID == first.UID || activate(t, s, byPassword("al")).UID == first.UID {
		t.Error("two users share a uid")
	}
	if !strings.HasPrefix(first.UID, "u_") || !strings.HasSuffix(first.UID, "_0") || len(first.UID) != len("u_")+43+len("_0") {
		t.Errorf("uid %s has not the form of one", first.UID)
	}
	got, err := s.UIDs(t.Context(), []profile.Owner{{Username: "jo", Realm: "two"}, {Username: "nobody", Realm: "one"}, {Username: "jo", Realm: "one"}})
	if err != nil || got[0] != other.UID || got[1] != "" || got[2] != first.UID {
		t.Errorf("UIDs = %q, %v", got, err)
	}
}

func TestWhoCannotBeActivated(t *testing.T) {
	s, db := newService(t, "one")
	wrong := "x"
	for name, tt := range map[string]struct {
		grant profile.Grant
		want  fault.Kind
	}{
		"a wrong password":          {profile.Grant{Type: "password", Username: &wrong, Password: new("y")}, fault.Unauthenticated},
		"a wrong token":             {byToken("wrong"), fault.Unauthenticated},
		"a token of an API key":     {byToken("key"), fault.Argument},
		"a token of a service":      {byToken("service"), fault.Argument},
		"no grant type":             {profile.Grant{}, fault.Invalid},
		"an unknown grant type":     {profile.Grant{Type: "jwt"}, fault.Invalid},
		"an empty password":         {profile.Grant{Type: "password", Username: &wrong, Password: new("")}, fault.Invalid},
		"a password beside a token": {profile.Grant{Type: "access_token", AccessToken: &wrong, Password: &wrong}, fault.Invalid},
	} {
		if p, err := s.Activate(t.Context(), admin, tt.grant); err == nil || fault.KindOf(err) != tt.want {
			t.Errorf("%s: %+v, %v; want a fault of kind %d", name, p, err, tt.want)
		}
	}
	off := profile.New(db, people{}, nil, noRoles{}, time.Now)
	if _, err := off.Activate(t.Context(), admin, byToken("jo")); fault.KindOf(err) != fault.Unauthenticated {
		t.Errorf("a token while tokens are off: %v; want fault.Unauthenticated", err)
	}
}

func TestFilters(t *testing.T) {
	const data = `{"a":{"x":1,"y":{"z":2}},"b":[1],"ab":3}`
	for _, tt := range []struct{ filter, want string }{
		{"", `{}`}, {"*", data}, {"a", `{"a":{"x":1,"y":{"z":2}}}`}, {"a*", `{"a":{"x":1,"y":{"z":2}},"ab":3}`},
		{"a.y", `{"a":{"y":{"z":2}}}`}, {"a.y.z,b", `{"a":{"y":{"z":2}},"b":[1]}`}, {"nosuch", `{}`}, {"b.0", `{}`},
	} {
		var f profile.Filter
		if tt.filter != "" {
			f = strings.Split(tt.filter, ",")
		}
		if got, err := f.Apply(json.RawMessage(data)); err != nil || string(got) != tt.want {
			t.Errorf("%q chooses %s, %v; want %s", tt.filter, got, err, tt.want)
		}
	}
}

// What grows without end by merging is refused, and leaves the profile as it was.
func TestContentIsBounded(t *testing.T) {
	s, _ := newService(t, "one")
	p := activate(t, s, byPassword("jo"))
	half := strings.Repeat("x", 600<<10)
	for i, key := range []string{"a", "b"} {
		v, err := xcontent.ParseJSON([]byte(`{"` + key + `":"` + half + `"}`))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Update(t.Context(), admin, p.UID, profile.Update{Data: v}); (err == nil) != (i == 0) || i == 1 && fault.KindOf(err) != fault.Argument {
			t.Errorf("Update with %s = %v", key, err)
		}
	}
	now, err := s.Get(t.Context(), admin, []string{p.UID})
	if err != nil || len(now) != 1 || now[0].Version != 1 {
		t.Errorf("Get = %d profiles, %v; want the first change alone", len(now), err)
	}
}

func TestDisabledProfilesHoldNothing(t *testing.T) {
	s, _ := newService(t, "one")
	jo, al := activate(t, s, byPassword("jo")), activate(t, s, byPassword("al"))
	if err := s.SetEnabled(t.Context(), admin, al.UID, false); err != nil {
		t.Fatal(err)
	}
	held, err := s.HasPrivileges(t.Context(), admin, []string{al.UID, "u_x", jo.UID, "u_x"}, func(p access.Permissions) (bool, error) { return p.HasCluster("monitor") })
	if err != nil || len(held.Held) != 1 || held.Held[0] != jo.UID || len(held.Unknown) != 1 {
		t.Errorf("HasPrivileges = %+v, %v; want jo, and u_x unknown once", held, err)
	}
	bad := errors.New("bad")
	if _, err := s.HasPrivileges(t.Context(), admin, []string{jo.UID}, func(access.Permissions) (bool, error) { return false, bad }); !errors.Is(err, bad) {
		t.Errorf("HasPrivileges = %v; want %v", err, bad)
	}
}
