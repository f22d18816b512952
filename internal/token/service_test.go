package token_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/secret"
	"latchkey/internal/sqlstore"
	"latchkey/internal/token"
)

// house stands for the rooms around tokens: every user has the password of that
// name and the role of that name, each role is one cluster privilege of its name
// unless roles says otherwise, and those keys hold that are in keys.
type house struct {
	mu    sync.Mutex
	off   map[string]bool // users who cannot log in
	roles map[string]access.Permissions
	keys  map[string]*access.Caller
	down  error // what Holder answers
}

func newHouse() *house {
	return &house{off: map[string]bool{}, roles: map[string]access.Permissions{}, keys: map[string]*access.Caller{}}
}

func (h *house) Authenticate(_ context.Context, username, password string) (access.Subject, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if password != username || h.off[username] {
		return access.Subject{}, fault.New(fault.Unauthenticated, "a reason of the realm")
	}
	return user(username, "default_native", "native").Subject, nil
}

func (h *house) Permissions(_ context.Context, names []string) (access.Permissions, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := strings.Join(names, ",")
	if _, ok := h.roles[key]; !ok {
		h.roles[key] = permissions(names...)
	}
	return h.roles[key], nil
}

func (h *house) Standing(names []string) (access.Permissions, func() (bool, error)) {
	was, err := h.Permissions(context.Background(), names)
	if err != nil {
		return access.Permissions{}, nil
	}
	return was, func() (bool, error) {
		is, err := h.Permissions(context.Background(), names)
		return err == nil && is.Same(was), err
	}
}

func (h *house) Holder(_ context.Context, id string) (*access.Caller, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.down != nil {
		return nil, h.down
	}
	if c, ok := h.keys[id]; ok {
		return c, nil
	}
	return nil, fault.New(fault.Unauthenticated, "api key [%s] has been invalidated", id)
}

func (h *house) change(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}

func permissions(privileges ...string) access.Permissions {
	return access.NewPermissions(privileges, nil, access.NewRole(access.Descriptor{Cluster: privileges, RunAs: []string{"*"}}))
}

// user is somebody who has one role, of their own name.
func user(username, realm, typ string) *access.Caller {
	mail := username + "@example.org"
	return &access.Caller{Type: access.ByRealm, Subject: access.Subject{
		Username: username, Email: &mail, Metadata: []byte(`{"a":"<&>","n":1.50}`), Roles: []string{username}, Realm: access.Realm{Name: realm, Type: typ}}}
}

// client is a user who may do what makes the wheel of tokens turn.
func client(username string, privileges ...string) *access.Caller {
	c := user(username, "default_native", "native")
	if privileges == nil {
		privileges = []string{"manage_token"}
	}
	c.Permissions = permissions(privileges...)
	return c
}

// apiKey is an API key that belongs to the owner.
func apiKey(id string, privileges ...string) *access.Caller {
	return &access.Caller{Type: access.ByAPIKey, Subject: access.Subject{Username: "owner", Realm: access.Realm{Name: "default_native", Type: "native"},
		APIKey: &access.APIKey{ID: id, Name: "name of " + id}, Permissions: permissions(privileges...)}}
}

type fixture struct {
	*token.Service
	house *house
	store *sqlstore.DB
	path  string
	log   *bytes.Buffer
}

func newFixture(t testing.TB, change ...func(*token.Options)) *fixture {
	t.Helper()
	f := &fixture{house: newHouse(), path: filepath.Join(t.TempDir(), "latchkey.db"), log: &bytes.Buffer{}}
	db, err := sqlstore.OpenSQLite(context.Background(), f.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	f.store = db
	f.Service = f.over(db, change...)
	return f
}

// over returns another service in the same house.
func (f *fixture) over(store token.Store, change ...func(*token.Options)) *token.Service {
	o := token.Options{Enabled: true, Timeout: 20 * time.Minute, PurgeInterval: time.Hour, CacheTTL: time.Hour, CacheMax: 1000,
		Now: time.Now, Log: slog.New(slog.NewTextHandler(f.log, nil))}
	for _, c := range change {
		c(&o)
	}
	return token.New(store, f.house, nil, f.house, f.house, o)
}

func text(s string) *string { return &s }

func passwordGrant(username string) token.GrantRequest {
	return token.GrantRequest{Type: "password", Username: &username, Password: &username}
}

func refreshGrant(refresh string) token.GrantRequest {
	return token.GrantRequest{Type: "refresh_token", RefreshToken: &refresh}
}

var clientCredentials = token.GrantRequest{Type: "client_credentials"}

func (f *fixture) grant(t testing.TB, by *access.Caller, req token.GrantRequest) token.Granted {
	t.Helper()
	g, err := f.Grant(t.Context(), by, req)
	if err != nil {
		t.Fatalf("grant %s: %v", req.Type, err)
	}
	return g
}

func (f *fixture) accepted(t testing.TB, access string) *access.Caller {
	t.Helper()
	c, err := f.Verify(t.Context(), access)
	if err != nil {
		t.Errorf("verify: %v", err)
		return nil
	}
	return c
}

// wantOver checks that a token is refused as one that has ended.
func wantOver(t testing.TB, s *token.Service, access string) {
	t.Helper()
	_, err := s.Verify(t.Context(), access)
	f, ok := err.(*fault.Error)
	want := []string{`Bearer realm="security", error="invalid_token", error_description="The access token expired"`}
	if !ok || f.Kind != fault.Unauthenticated || !slices.Equal(f.Challenges, want) || f.Detail != "" {
		t.Errorf("verify = %#v; want Unauthenticated with the one challenge of an expired token", err)
	}
}

func wantUnknown(t testing.TB, s *token.Service, access string) {
	t.Helper()
	_, err := s.Verify(t.Context(), access)
	f, ok := err.(*fault.Error)
	if !ok || f.Kind != fault.Unauthenticated || f.Challenges != nil || f.Detail != "oauth2 token: invalid token" {
		t.Errorf("verify = %#v; want Unauthenticated with all challenges and [oauth2 token: invalid token]", err)
	}
}

func wantRefusal(t testing.TB, err error, code, description string) {
	t.Helper()
	r, ok := errors.AsType[*token.Refusal](err)
	if !ok || r.Code != code || !strings.Contains(r.Description, description) {
		t.Errorf("%v; want %s with [%s]", err, code, description)
	}
}

func (f *fixture) refused(t testing.TB, by *access.Caller, refresh, description string) {
	t.Helper()
	_, err := f.Grant(t.Context(), by, refreshGrant(refresh))
	wantRefusal(t, err, "invalid_grant", description)
}

func (f *fixture) invalidate(t testing.TB, req token.InvalidateRequest, want token.Invalidated) {
	t.Helper()
	got, err := f.Invalidate(t.Context(), client("admin"), req)
	if err != nil || got != want {
		t.Errorf("invalidate %d/%d characters, user %q, realm %q: %+v, %v; want %+v", len(req.Token), len(req.RefreshToken), req.Username, req.Realm, got, err, want)
	}
}

func TestRulesOfGrants(t *testing.T) {
	f, x, empty := newFixture(t), text("x"), text("")
	const unsupported, invalid = "unsupported_grant_type", "invalid_request"
	tests := []struct {
		name              string
		req               token.GrantRequest
		code, description string
	}{
		{"TK-9: none", token.GrantRequest{}, unsupported, "Validation Failed: 1: [grant_type] must be one of"},
		{"TK-10", token.GrantRequest{Type: "authorization_code"}, unsupported, "[grant_type]"},
		{"letter case", token.GrantRequest{Type: "Password", Username: x, Password: x}, unsupported, "[grant_type]"},
		{"TK-11", token.GrantRequest{Type: "password", Password: x}, invalid, "Validation Failed: 1: [username] is required and must not be empty;"},
		{"TK-12", token.GrantRequest{Type: "password", Username: x, Password: empty}, invalid, "1: [password]"},
		{"both are missing", token.GrantRequest{Type: "password"}, invalid, "1: [username] is required and must not be empty;2: [password]"},
		{"TK-13", token.GrantRequest{Type: "password", Username: x, Password: x, RefreshToken: empty}, unsupported, "1: [refresh_token] must not be given"},
		{"TK-14", token.GrantRequest{Type: "client_credentials", Username: x}, unsupported, "1: [username] must not be given"},
		{"all that client_credentials forbids", token.GrantRequest{Type: "client_credentials", Username: x, Password: x, Ticket: x, RefreshToken: x}, unsupported, "4: [refresh_token]"},
		{"TK-15", token.GrantRequest{Type: "password", Password: x, Ticket: x}, unsupported, "1: [kerberos_ticket] must not be given with the grant_type [password];2: [username] is required"},
		{"refresh without its token", token.GrantRequest{Type: "refresh_token"}, invalid, "1: [refresh_token]"},
		{"refresh with a user", token.GrantRequest{Type: "refresh_token", Username: x, RefreshToken: x}, unsupported, "1: [username]"},
		{"kerberos without a ticket", token.GrantRequest{Type: "_kerberos", Ticket: empty}, invalid, "1: [kerberos_ticket]"},
		{"kerberos with a password", token.GrantRequest{Type: "_kerberos", Ticket: x, Password: empty}, unsupported, "1: [password]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, by := range []*access.Caller{client("c"), client("nobody", "monitor")} { // TK-22: it comes before the privilege
				_, err := f.Grant(t.Context(), by, tt.req)
				wantRefusal(t, err, tt.code, tt.description)
			}
		})
	}
}

func TestWhoMayAsk(t *testing.T) {
	f := newFixture(t)
	refresh := f.grant(t, client("c"), passwordGrant("u")).Refresh
	tests := []struct {
		privilege                   string
		create, refresh, invalidate bool
	}{
		{"monitor", false, false, false}, // TK-21
		{"manage_token", true, true, true},
		{"manage_security", true, true, true}, // TK-23
		{"manage_saml", false, true, true},
		{"delegate_pki", false, false, true},
	}
	for _, tt := range tests {
		by := client("c", tt.privilege)
		check := func(what string, err error, allowed bool) {
			t.Helper()
			if (err == nil) != allowed || !allowed && (fault.KindOf(err) != fault.Forbidden || !strings.Contains(err.Error(), "cluster:admin/xpack/security/token/"+what)) {
				t.Errorf("%s with %s: %v; want allowed %t", what, tt.privilege, err, allowed)
			}
		}
		_, err := f.Grant(t.Context(), by, clientCredentials)
		check("create", err, tt.create)
		_, err = f.Grant(t.Context(), by, passwordGrant("u"))
		check("create", err, tt.create)
		_, err = f.Grant(t.Context(), by, refreshGrant(refresh))
		check("refresh", err, tt.refresh)
		_, err = f.Invalidate(t.Context(), by, token.InvalidateRequest{Username: "nobody"})
		check("invalidate", err, tt.invalidate)
	}
}

func TestWhatAGrantGives(t *testing.T) {
	f := newFixture(t)
	c := client("c")

	made := f.grant(t, c, clientCredentials) // TK-1
	if made.Refresh != "" {
		t.Error("TK-2: client_credentials gives a refresh token")
	}
	if made.ExpiresIn != 20*time.Minute || made.Scope != "" || made.By != c {
		t.Errorf("TK-4, TK-7: %v, scope %q, by %v; want 20m, none, the caller", made.ExpiresIn, made.Scope, made.By)
	}
	req := passwordGrant("u")
	req.Scope = text("x")
	made = f.grant(t, c, req)
	if !secret.IsRefreshToken(made.Refresh) || made.Scope != "full" {
		t.Errorf("TK-3, TK-8: refresh token %t, scope %q; want one, full", made.Refresh != "", made.Scope)
	}
	if made.By.Username != "u" || made.By.Type != access.ByRealm {
		t.Errorf("TK-25: password is shown as %s by %s; want u by realm", made.By.Username, made.By.Type)
	}
	req = refreshGrant(made.Refresh)
	req.Scope = text("")
	made = f.grant(t, c, req)
	if made.By.Username != "u" || made.By.Type != access.ByToken || made.Scope != "full" {
		t.Errorf("TK-25: refresh is shown as %s by %s, scope %q; want u by token, full", made.By.Username, made.By.Type, made.Scope)
	}
	got := f.accepted(t, made.Access)
	want := user("u", "default_native", "native").Subject
	want.Permissions, _ = f.house.Permissions(t.Context(), []string{"u"})
	if diff := cmp.Diff(want, got.Subject, cmp.Comparer(access.Permissions.Same)); diff != "" || got.Type != access.ByToken || got.By != nil {
		t.Errorf("TK-24, TK-26: the token acts by %s as (-want +got)\n%s", got.Type, diff)
	}
	short := f.over(f.store, func(o *token.Options) { o.Timeout = time.Hour })
	if made, err := short.Grant(t.Context(), c, clientCredentials); err != nil || made.ExpiresIn != time.Hour {
		t.Errorf("TK-5: with a timeout of 1h: %v, %v", made.ExpiresIn, err)
	}
}

func TestPasswordGrantRefused(t *testing.T) {
	f := newFixture(t)
	f.house.off["disabled"] = true
	for _, req := range []token.GrantRequest{
		{Type: "password", Username: text("u"), Password: text("wrong")}, // TK-18
		passwordGrant("disabled"), // TK-19
	} {
		for _, s := range []*token.Service{f.Service, f.over(f.store, func(o *token.Options) { o.Enabled = false })} {
			_, err := s.Grant(t.Context(), client("c"), req)
			r, ok := err.(*fault.Error)
			if !ok || r.Kind != fault.Unauthenticated || r.Challenges != nil || r.Reason != "unable to authenticate user ["+*req.Username+"] for action [cluster:admin/xpack/security/token/create]" {
				t.Errorf("%s: %#v; want Unauthenticated, naming the user and the action", *req.Username, err)
			}
		}
	}
}

// TK-65
func TestSwitchedOff(t *testing.T) {
	f := newFixture(t)
	live := f.grant(t, client("c"), passwordGrant("u"))
	off := f.over(f.store, func(o *token.Options) { o.Enabled = false })
	for _, req := range []token.GrantRequest{clientCredentials, passwordGrant("u"), refreshGrant(live.Refresh), {Type: "_kerberos", Ticket: text("!")}} {
		_, err := off.Grant(t.Context(), client("c"), req)
		wantDisabled(t, req.Type, err)
	}
	_, err := off.Invalidate(t.Context(), client("c"), token.InvalidateRequest{Token: live.Access})
	wantDisabled(t, "invalidate", err)
	wantUnknown(t, off, live.Access)
}

func wantDisabled(t *testing.T, what string, err error) {
	t.Helper()
	f, ok := err.(*fault.Error)
	if want := []fault.Field{{Name: "disabled.feature", Value: "security_tokens"}}; !ok || f.Kind != fault.Disabled || !slices.Equal(f.Fields, want) {
		t.Errorf("%s = %#v; want Disabled with %v", what, err, want)
	}
}

// TK-64
func TestServiceAccountsGetNoTokenOfTheirOwn(t *testing.T) {
	f := newFixture(t)
	kibana := client("elastic/kibana")
	kibana.Realm = access.ServiceAccountRealm
	if _, err := f.Grant(t.Context(), kibana, clientCredentials); fault.KindOf(err) != fault.Argument {
		t.Errorf("client_credentials: %v; want Argument", err)
	}
	f.grant(t, kibana, refreshGrant(f.grant(t, kibana, passwordGrant("u")).Refresh))
	runAs := &access.Caller{Type: access.ByToken, Subject: client("u").Subject, By: &kibana.Subject}
	if _, err := f.Grant(t.Context(), runAs, clientCredentials); fault.KindOf(err) != fault.Argument {
		t.Errorf("client_credentials under run-as: %v; want Argument", err)
	}

	key := apiKey("k1", "manage_token") // that the account made is no service account
	key.Username, key.Realm = kibana.Username, access.ServiceAccountRealm
	f.house.keys["k1"] = key
	if c := f.accepted(t, f.grant(t, key, clientCredentials).Access); c == nil || *c.APIKey != *key.APIKey || !c.Permissions.Same(key.Permissions) {
		t.Errorf("the token of the account's API key acts as %+v", c)
	}
}

// tickets is a Kerberos realm that knows three tickets.
type tickets struct{}

func (tickets) Authenticate(_ context.Context, ticket []byte) (access.Subject, []byte, error) {
	switch string(ticket) {
	case "good":
		return user("krb", "kerb1", "kerberos").Subject, []byte("mutual"), nil
	case "more":
		return access.Subject{}, nil, &token.Continue{Reply: []byte("next")}
	}
	return access.Subject{}, nil, &fault.Error{Kind: fault.Unauthenticated, Reason: "no", Challenges: []string{"Negotiate"}}
}

func TestKerberosGrant(t *testing.T) {
	f := newFixture(t)
	o := token.Options{Enabled: true, Timeout: time.Minute, Now: time.Now}
	with := token.New(f.store, f.house, tickets{}, f.house, f.house, o)
	without := token.New(f.store, f.house, nil, f.house, f.house, o)
	grant := func(s *token.Service, ticket string) (token.Granted, error) {
		return s.Grant(t.Context(), client("c"), token.GrantRequest{Type: "_kerberos", Ticket: &ticket})
	}
	made, err := grant(with, "Z29vZA==")
	if err != nil || string(made.TicketReply) != "mutual" || made.Refresh == "" || made.By.Username != "krb" || made.By.Type != access.ByRealm {
		t.Errorf("a good ticket: %+v, %v", made, err)
	}
	if c, err := with.Verify(t.Context(), made.Access); err != nil || c.Realm != (access.Realm{Name: "kerb1", Type: "kerberos"}) {
		t.Errorf("its token: %v, %v", c, err)
	}
	_, err = grant(with, "bW9yZQ==")
	wantRefusal(t, err, "_unauthorized", "bmV4dA==")
	_, err = grant(with, "YmFk")
	if r, ok := err.(*fault.Error); !ok || r.Kind != fault.Unauthenticated || !slices.Equal(r.Challenges, []string{"Negotiate"}) {
		t.Errorf("a bad ticket: %#v; want Unauthenticated with the realm's challenge", err)
	}
	if _, err := grant(with, "not base64"); fault.KindOf(err) != fault.Argument {
		t.Errorf("no Base64: %v; want Argument", err)
	}
	if _, err := grant(without, "Z29vZA=="); fault.KindOf(err) != fault.Unauthenticated {
		t.Errorf("without a realm: %v; want Unauthenticated", err)
	}
}

func TestLifeOfAnAccessToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		made := f.grant(t, client("c"), clientCredentials)
		cold := f.over(f.store)
		time.Sleep(20 * time.Minute)
		f.accepted(t, made.Access)
		time.Sleep(time.Nanosecond)
		wantOver(t, f.Service, made.Access) // TK-54
		wantOver(t, cold, made.Access)
	})
}

func TestWhatIsNoToken(t *testing.T) {
	f := newFixture(t)
	made := f.grant(t, client("c"), passwordGrant("u"))
	last := "A"
	if strings.HasSuffix(made.Access, last) {
		last = "B"
	}
	for _, s := range []string{
		"random", "", "46ToAwMDaWRt", // TK-55
		secret.NewAccessToken(),
		made.Refresh, // TK-56
		made.Access + "=", made.Access[:39] + last,
	} {
		wantUnknown(t, f.Service, s)
	}
}

// TK-60: what becomes of the user has no influence on tokens.
func TestTokensOutliveTheCredential(t *testing.T) {
	f := newFixture(t)
	made := f.grant(t, client("c"), passwordGrant("u"))
	f.house.change(func() { f.house.off["u"] = true })
	f.accepted(t, made.Access)
	f.accepted(t, f.grant(t, client("c"), refreshGrant(made.Refresh)).Access)
}

// TK-61: the names of roles are frozen, what they mean is not.
func TestRolesAreReadLive(t *testing.T) {
	f := newFixture(t)
	made := f.grant(t, client("c"), passwordGrant("u"))
	may := func() bool { return f.accepted(t, made.Access).Allows(access.Request{Action: "cluster:monitor/main"}) }
	if may() {
		t.Fatal("the role u allows something")
	}
	first := f.accepted(t, made.Access)
	if f.accepted(t, made.Access) != first {
		t.Error("while nothing changes, the caller is not the same")
	}
	f.house.change(func() { f.house.roles["u"] = permissions("monitor") })
	if !may() {
		t.Error("a change of the role has no effect")
	}
	f.house.change(func() { f.house.roles["u"] = permissions("manage_token") })
	if may() {
		t.Error("a second change of the role has no effect")
	}
}

// A token that was made under run-as is worth what both may do now.
func TestATokenMadeUnderRunAs(t *testing.T) {
	f := newFixture(t)
	f.house.roles["target"] = permissions("monitor")
	runner, target := client("runner"), client("target")
	made := f.grant(t, &access.Caller{Type: access.ByRealm, Subject: target.Subject, By: &runner.Subject}, clientCredentials)
	if c := f.accepted(t, made.Access); c.Username != "target" || c.By.Username != "runner" || c.Type != access.ByToken {
		t.Errorf("the token acts as %q by %+v, %s", c.Username, c.By, c.Type)
	}
	may := func() bool { return f.accepted(t, made.Access).Allows(access.Request{Action: "cluster:monitor/main"}) }
	if !may() {
		t.Error("it may not do what the target may")
	}
	f.house.change(func() {
		f.house.roles["runner"] = access.NewPermissions(nil, nil, access.NewRole(access.Descriptor{RunAs: []string{"others"}}))
	})
	if may() {
		t.Error("it acts on, though the runner may not run as the target any more")
	}
}

// TK-62
func TestATokenOfAnAPIKey(t *testing.T) {
	f := newFixture(t)
	key := apiKey("k1", "manage_token", "monitor")
	f.house.keys["k1"] = key
	made := f.grant(t, key, clientCredentials)
	ofToken := f.grant(t, f.accepted(t, made.Access), clientCredentials)
	as := key.Subject // the key runs as somebody
	runAs := &access.Caller{Type: access.ByAPIKey, By: &as, Subject: client("target").Subject}
	ofRunAs := f.grant(t, runAs, clientCredentials)
	tokens := []string{made.Access, ofToken.Access, ofRunAs.Access}
	for _, s := range tokens[:2] {
		c := f.accepted(t, s)
		if c.Type != access.ByToken || *c.APIKey != *key.APIKey || c.Username != "owner" || !c.Permissions.Same(key.Permissions) {
			t.Errorf("the token acts as %+v by %s", c.Subject, c.Type)
		}
	}
	if c := f.accepted(t, ofRunAs.Access); c.Username != "target" || *c.By.APIKey != *key.APIKey || !c.By.Permissions.Same(key.Permissions) {
		t.Errorf("under run-as the token acts as %+v by %+v", c.Subject, c.By)
	}

	f.house.change(func() { f.house.down = fault.New(fault.Unavailable, "no store") })
	for _, s := range tokens {
		if _, err := f.Verify(t.Context(), s); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("while keys cannot be read: %v; want Unavailable", err)
		}
		if _, err := f.Invalidate(t.Context(), client("admin"), token.InvalidateRequest{Token: s}); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("invalidate while keys cannot be read: %v; want Unavailable", err)
		}
	}
	f.house.change(func() { f.house.down = nil; delete(f.house.keys, "k1") })
	for _, s := range tokens {
		wantOver(t, f.Service, s)
		wantOver(t, f.over(f.store), s)
		f.invalidate(t, token.InvalidateRequest{Token: s}, token.Invalidated{Before: 1, Found: true})
	}

	f.house.change(func() { f.house.keys["k1"] = key }) // API keys were switched off, say, and are on again
	for _, s := range tokens {
		wantOver(t, f.Service, s)
		f.invalidate(t, token.InvalidateRequest{Token: s}, token.Invalidated{Before: 1, Found: true})
	}
}

// TK-69: of all that is secret, the store keeps none.
func TestNothingSecretIsStoredOrLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		c := client("c")
		password := token.GrantRequest{Type: "password", Username: text("hunter2-but-longer"), Password: text("hunter2-but-longer")}
		*password.Username = "u"
		f.house.off["u"] = true
		if _, err := f.Grant(t.Context(), c, password); err == nil || strings.Contains(err.Error(), *password.Password) {
			t.Errorf("a wrong password: %v", err)
		}
		delete(f.house.off, "u")
		first := f.grant(t, c, passwordGrant("u"))
		second := f.grant(t, c, refreshGrant(first.Refresh))
		time.Sleep(time.Minute)
		f.refused(t, c, first.Refresh, "30 seconds") // it is logged
		if f.log.Len() == 0 {
			t.Error("the reuse was not logged")
		}
		kept := f.log.Bytes()
		for _, name := range []string{f.path, f.path + "-wal"} {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			kept = append(kept, b...)
		}
		if bytes.Contains(kept, []byte(*password.Password)) {
			t.Error("a password is in the store or in the log")
		}
		for _, s := range []string{first.Access, first.Refresh, second.Access, second.Refresh} {
			if bytes.Contains(kept, []byte(s[4:36])) {
				t.Error("a token is in the store or in the log")
			}
			if h := secret.HashToken(s); !bytes.Contains(kept, h[:]) {
				t.Error("the hash of a token is not in the store: this test looks at the wrong place")
			}
		}
	})
}

// TK-68, and its other half: what is a day old is gone after the next run.
func TestPurgeByTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(o *token.Options) { o.CacheTTL = 48 * time.Hour })
		made := f.grant(t, client("c"), passwordGrant("u"))
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		total := 0
		go func() {
			done <- f.Purge(ctx, func(n int, err error) {
				if total += n; err != nil {
					t.Error(err)
				}
			})
		}()
		time.Sleep(24*time.Hour - time.Minute)
		synctest.Wait()
		wantOver(t, f.Service, made.Access)
		f.grant(t, client("c"), refreshGrant(made.Refresh))
		time.Sleep(time.Hour)
		synctest.Wait()
		wantUnknown(t, f.Service, made.Access)
		f.refused(t, client("c"), made.Refresh, "could not be refreshed")
		f.invalidate(t, token.InvalidateRequest{Token: made.Access}, token.Invalidated{})
		stop()
		if err := <-done; err != nil || total != 1 {
			t.Errorf("purged %d tokens, %v; want 1", total, err)
		}
	})
}

func BenchmarkVerifyCached(b *testing.B) {
	f := newFixture(b)
	made := f.grant(b, client("c"), passwordGrant("u"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Verify(b.Context(), made.Access); err != nil {
			b.Fatal(err)
		}
	}
}
