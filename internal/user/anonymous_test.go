package user_test

import (
	"slices"
	"testing"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/user"
)

func anonymous(o *user.Options) {
	o.Anonymous, o.AnonymousRoles = "guest", []string{"visitor", "viewer"}
}

func TestAnonymousUser(t *testing.T) {
	store := open(t)
	before := newService(t, store, nil)
	put(t, before, "guest", "password") // while the name was ordinary
	put(t, before, "u", "password", "viewer", "writer")
	if _, ok := before.Anonymous(); ok {
		t.Error("there is an anonymous user without roles")
	}

	s := newService(t, store, anonymous)
	a, ok := s.Anonymous()
	if !ok || a.Username != "guest" || a.Realm != access.AnonymousRealm || !slices.Equal(a.Roles, []string{"visitor", "viewer"}) || string(a.Metadata) != `{"_reserved":true}` {
		t.Errorf("Anonymous = %+v, %t", a, ok)
	}
	if u := logsIn(t, s, "u", "password", true); !slices.Equal(u.Roles, []string{"viewer", "writer", "visitor"}) {
		t.Errorf("u has the roles %q; want the anonymous ones, too", u.Roles)
	}
	logsIn(t, s, "guest", "password", false)
	if _, err := s.Lookup(t.Context(), "guest"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("Lookup of the anonymous user: %v; want NotFound", err)
	}
	users, err := s.Get(t.Context(), admin, []string{"guest", "u"})
	if err != nil || len(users) != 2 || !slices.Equal(users[0].Roles, []string{"visitor", "viewer"}) || !slices.Equal(users[1].Roles, []string{"viewer", "writer"}) {
		t.Errorf("Get = %+v, %v; want the anonymous user, and u with what was assigned", users, err)
	}
}

// No call of the API changes the anonymous user.
func TestAnonymousUserCannotBeChanged(t *testing.T) {
	s := newService(t, open(t), anonymous)
	_, put := s.Put(t.Context(), admin, user.Draft{Username: "guest", Password: password(t, "password"), Roles: []string{}, Enabled: true})
	_, del := s.Delete(t.Context(), admin, "guest")
	for what, got := range map[string]struct {
		err  error
		kind fault.Kind
	}{
		"put":      {put, fault.Invalid},
		"delete":   {del, fault.Argument},
		"enable":   {s.SetEnabled(t.Context(), admin, "guest", true), fault.Argument},
		"disable":  {s.SetEnabled(t.Context(), admin, "guest", false), fault.Argument},
		"password": {s.ChangePassword(t.Context(), admin, "guest", password(t, "password")), fault.Invalid},
	} {
		if fault.KindOf(got.err) != got.kind {
			t.Errorf("%s: %v; want kind %d", what, got.err, got.kind)
		}
	}
	for _, taken := range []string{"elastic", "_system"} {
		if _, err := user.New(user.Options{Store: open(t), Anonymous: taken, AnonymousRoles: []string{"x"}}); err == nil {
			t.Errorf("the anonymous user may be called %s", taken)
		}
	}
}
