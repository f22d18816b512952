package token_test

import (
	"bytes"
	"os"
	"testing"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/token"
)

func alice() access.Subject {
	return access.Subject{Username: "alice", Roles: []string{"monitor"}, Realm: access.Realm{Name: "oidc1", Type: "oidc"}}
}

// logIn makes tokens for the client app.
func (f *fixture) logIn(t *testing.T, session string) token.Granted {
	t.Helper()
	g, err := f.Login(t.Context(), client("app"), token.Login{Subject: alice(), Session: session})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestALoginActsAsItsSubject(t *testing.T) {
	f := newFixture(t)
	g := f.logIn(t, "a session")
	c, err := f.Verify(t.Context(), g.Access)
	if err != nil || c.Username != "alice" || c.Realm.Name != "oidc1" || c.Type != access.ByToken || c.By != nil {
		t.Errorf("%+v, %v", c, err)
	}
	if g.Refresh == "" || g.By.Username != "alice" || g.By.Type != access.ByRealm {
		t.Errorf("%+v", g)
	}
	if _, err := f.Grant(t.Context(), client("other"), token.GrantRequest{Type: "refresh_token", RefreshToken: &g.Refresh}); err == nil {
		t.Error("another client refreshes the token")
	}
	only, err := f.Login(t.Context(), client("app"), token.Login{Subject: alice(), AccessOnly: true})
	if err != nil || only.Refresh != "" {
		t.Errorf("%+v, %v", only, err)
	}
	if _, err := newFixture(t, func(o *token.Options) { o.Enabled = false }).Login(t.Context(), client("app"), token.Login{Subject: alice()}); fault.KindOf(err) != fault.Disabled {
		t.Errorf("with tokens switched off: %v", err)
	}
}

// The session of a login follows its refreshes, and ends with both tokens.
func TestLogoutEndsALogin(t *testing.T) {
	for _, refreshes := range []int{0, 1, 3} {
		f := newFixture(t)
		const session = "an ID token, which is a secret of the user"
		g := f.logIn(t, session)
		for range refreshes {
			var err error
			if g, err = f.Grant(t.Context(), client("app"), token.GrantRequest{Type: "refresh_token", RefreshToken: &g.Refresh}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := f.Verify(t.Context(), g.Access); err != nil { // it is known by heart
			t.Fatal(err)
		}
		for range 2 { // the second time it is over already
			ended, err := f.Logout(t.Context(), "oidc", g.Access, "")
			if err != nil || ended.Session != session || ended.Realm != alice().Realm {
				t.Errorf("%d refreshes: %+v, %v", refreshes, ended, err)
			}
		}
		if _, err := f.Verify(t.Context(), g.Access); fault.KindOf(err) != fault.Unauthenticated {
			t.Errorf("the access token lives on: %v", err)
		}
		if _, err := f.Grant(t.Context(), client("app"), token.GrantRequest{Type: "refresh_token", RefreshToken: &g.Refresh}); err == nil {
			t.Error("the refresh token lives on")
		}
		for _, file := range []string{f.path, f.path + "-wal"} {
			if b, err := os.ReadFile(file); err == nil && bytes.Contains(b, []byte(session)) {
				t.Errorf("%s holds the session in clear", file)
			}
		}
	}
}

func TestLogoutOfOtherTokens(t *testing.T) {
	f := newFixture(t)
	g := f.logIn(t, "")
	other := f.logIn(t, "")
	password := "app"
	native, err := f.Grant(t.Context(), client("app"), token.GrantRequest{Type: "password", Username: &password, Password: &password})
	if err != nil {
		t.Fatal(err)
	}
	holder, err := f.Verify(t.Context(), g.Access)
	if err != nil {
		t.Fatal(err)
	}
	actor := &access.Caller{Subject: holder.Subject, Type: holder.Type}
	actor.Permissions = permissions("manage_token")
	child, err := f.Grant(t.Context(), actor, token.GrantRequest{Type: "client_credentials"})
	if err != nil {
		t.Fatal(err)
	}
	for name, pair := range map[string][2]string{
		"an invented token":          {"x", ""},
		"a refresh token":            {g.Refresh, ""},
		"a token of another realm":   {native.Access, ""},
		"a token that no login made": {child.Access, ""},
		"an invented refresh token":  {g.Access, "x"},
		"an access token beside it":  {g.Access, g.Access},
		"a token of somewhere else":  {newFixture(t).logIn(t, "").Access, ""},
	} {
		if _, err := f.Logout(t.Context(), "oidc", pair[0], pair[1]); fault.KindOf(err) != fault.Argument {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, live := range []string{g.Access, other.Access, native.Access, child.Access} {
		if _, err := f.Verify(t.Context(), live); err != nil {
			t.Errorf("a logout that was refused ended a token: %v", err)
		}
	}
	if ended, err := f.Logout(t.Context(), "oidc", g.Access, other.Refresh); err != nil || ended.Session != "" {
		t.Errorf("%+v, %v", ended, err)
	}
	for _, refresh := range []string{g.Refresh, other.Refresh} {
		if _, err := f.Grant(t.Context(), client("app"), token.GrantRequest{Type: "refresh_token", RefreshToken: &refresh}); err == nil {
			t.Error("a refresh token lives on")
		}
	}
	if _, err := f.Verify(t.Context(), other.Access); err != nil {
		t.Errorf("the access token of another login ended: %v", err)
	}
}
