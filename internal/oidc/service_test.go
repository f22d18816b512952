package oidc_test

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/jwt"
	"latchkey/internal/oidc"
	"latchkey/internal/oidc/optest"
	"latchkey/internal/rolemapping"
	"latchkey/internal/secret"
	"latchkey/internal/token"
)

// tokens remembers who logged in.
type tokens struct{ made []token.Login }

func (k *tokens) Login(_ context.Context, _ *access.Caller, l token.Login) (token.Granted, error) {
	k.made = append(k.made, l)
	return token.Granted{Access: "made"}, nil
}

func (k *tokens) Logout(_ context.Context, realmType, accessToken, _ string) (token.Ended, error) {
	last := k.made[len(k.made)-1]
	if accessToken != "made" || realmType != oidc.Type {
		return token.Ended{}, fault.New(fault.Argument, "none of ours")
	}
	return token.Ended{Realm: last.Subject.Realm, Session: last.Session}, nil
}

// byGroup maps groups to roles of the same name.
type byGroup struct{}

func (byGroup) Roles(_ context.Context, u rolemapping.User) ([]string, error) { return u.Groups, nil }

// may is a caller with cluster privileges.
func may(t *testing.T, privileges ...string) *access.Caller {
	t.Helper()
	c := &access.Caller{Subject: access.Subject{Username: "app", Realm: access.Realm{Name: "native1", Type: "native"}}, Type: access.ByRealm}
	c.Permissions = access.NewPermissions([]string{"r"}, nil, access.NewRole(access.Descriptor{Cluster: privileges}))
	return c
}

// house is one realm, its provider and its service.
type house struct {
	op      *optest.Provider
	o       oidc.Options
	tokens  *tokens
	service *oidc.Service
	log     *bytes.Buffer
}

func open(t *testing.T, change ...func(*oidc.Options)) *house {
	t.Helper()
	op, err := optest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(op.Stop)
	h := &house{op: op, tokens: &tokens{}, log: &bytes.Buffer{}}
	log := slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	h.o = oidc.Options{
		Directory: jwt.Directory{Realm: access.Realm{Name: "oidc1", Type: oidc.Type}, Roles: byGroup{}},
		Verifier: jwt.Verifier{Issuer: op.URL, Audiences: []string{optest.ClientID}, Algorithms: []string{"ES256"}, Skew: time.Minute, Types: []string{"JWT"},
			Public: jwt.PublicKeys(op.URL, jwt.FromURL(op.Client, op.URL+"/keys"), jwt.OfAddress, time.Now, log), Now: time.Now},
		Mapping: jwt.Mapping{Principal: jwt.Claim{Name: "sub"}, Groups: jwt.Claim{Name: "groups"}, Mail: jwt.Claim{Name: "email"}, Name: jwt.Claim{Name: "name"},
			Metadata: func(c string) string { return "oidc(" + c + ")" }},
		ClientID: optest.ClientID, ClientSecret: secret.Of(optest.ClientSecret), AuthMethod: "client_secret_basic", AuthAlgorithm: "HS384",
		ResponseType: oidc.Code, RedirectURI: optest.RedirectURI, PostLogout: optest.AfterLogout, Scopes: []string{"email"},
		Authorization: op.URL + "/authorize?tenant=7", Token: op.URL + "/token", EndSession: op.URL + "/logout",
		HTTP: op.Client, Now: time.Now, Log: log,
	}
	for _, f := range change {
		f(&h.o)
	}
	h.service = oidc.NewService([]*oidc.Realm{oidc.New(h.o)}, h.tokens, func(r []string) []string { return append(r, "everybody") })
	return h
}

// begin prepares a login and has the user log in.
func (h *house) begin(t *testing.T, user string) oidc.AuthenticateRequest {
	t.Helper()
	p, err := h.service.Prepare(may(t, "manage_oidc"), oidc.PrepareRequest{Realm: "oidc1"})
	if err != nil {
		t.Fatal(err)
	}
	back, err := h.op.LogIn(p.Redirect, user)
	if err != nil {
		t.Fatal(err)
	}
	return oidc.AuthenticateRequest{RedirectURI: back, State: p.State, Nonce: p.Nonce}
}

func (h *house) authenticate(t *testing.T, req oidc.AuthenticateRequest) error {
	t.Helper()
	_, err := h.service.Authenticate(t.Context(), may(t, "manage_oidc"), req)
	return err
}

func TestLogInAndOut(t *testing.T) {
	flows := map[string]func(*oidc.Options){
		"code":                            func(*oidc.Options) {},
		"code, the secret in the body":    func(o *oidc.Options) { o.AuthMethod = "client_secret_post" },
		"code, the secret never leaves":   func(o *oidc.Options) { o.AuthMethod = "client_secret_jwt" },
		"an ID token":                     func(o *oidc.Options) { o.ResponseType = oidc.IDToken },
		"an ID token and an access token": func(o *oidc.Options) { o.ResponseType = oidc.IDTokenToken },
	}
	for name, change := range flows {
		t.Run(name, func(t *testing.T) {
			h := open(t, change)
			h.op.AuthMethod = h.o.AuthMethod
			if err := h.authenticate(t, h.begin(t, "alice")); err != nil {
				t.Fatal(err)
			}
			l := h.tokens.made[0]
			s := l.Subject
			if s.Username != "alice" || *s.Email != "alice@example.org" || s.FullName != nil || !slices.Equal(s.Roles, []string{"staff", "alices", "everybody"}) ||
				s.Realm != (access.Realm{Name: "oidc1", Type: "oidc"}) {
				t.Errorf("%+v", s)
			}
			want := `{"oidc(aud)":"latchkey","oidc(email)":"alice@example.org","oidc(groups)":["staff","alices"],"oidc(iss)":"` + h.op.URL + `","oidc(sub)":"alice"}`
			if string(s.Metadata) != want {
				t.Errorf("metadata %s, want %s", s.Metadata, want)
			}
			out, err := h.service.Logout(t.Context(), may(t, "manage_oidc"), "made", "")
			if err != nil {
				t.Fatal(err)
			}
			back, err := h.op.LogIn(out, "")
			if err != nil || !strings.HasPrefix(back, optest.AfterLogout+"?state=") || !slices.Equal(h.op.LoggedOut, []string{"alice"}) {
				t.Errorf("%s, %v; logged out: %v", back, err, h.op.LoggedOut)
			}
		})
	}
}

func TestWhatTheProviderTellsBesideTheIDToken(t *testing.T) {
	h := open(t, func(o *oidc.Options) { o.UserInfo = strings.TrimSuffix(o.Token, "token") + "userinfo" })
	h.op.Info = map[string]any{"name": "Alice", "email": "other@example.org"}
	if err := h.authenticate(t, h.begin(t, "alice")); err != nil {
		t.Fatal(err)
	}
	if s := h.tokens.made[0].Subject; *s.FullName != "Alice" || *s.Email != "alice@example.org" {
		t.Errorf("name %s, e-mail %s; the ID token's claims win", *s.FullName, *s.Email)
	}
	h.op.Info = map[string]any{"sub": "bob"}
	if err := h.authenticate(t, h.begin(t, "alice")); fault.KindOf(err) != fault.Unauthenticated {
		t.Errorf("it tells about somebody else: %v", err)
	}
}

func TestLoginsThatProveNothing(t *testing.T) {
	for _, flow := range []string{oidc.Code, oidc.IDToken, oidc.IDTokenToken} {
		h := open(t, func(o *oidc.Options) { o.ResponseType = flow })
		change := func(name, value string) func(*oidc.AuthenticateRequest) {
			return func(r *oidc.AuthenticateRequest) {
				u, _ := url.Parse(r.RedirectURI)
				text := &u.RawQuery
				if flow != oidc.Code {
					text = &u.Fragment
				}
				q, _ := url.ParseQuery(*text)
				q.Set(name, value)
				u.RawQuery, u.Fragment = "", ""
				mark := map[bool]string{true: "?", false: "#"}[flow == oidc.Code]
				r.RedirectURI = u.String() + mark + q.Encode()
			}
		}
		none := func(*oidc.AuthenticateRequest) {}
		claim := func(name string, value any) func(map[string]any) {
			return func(c map[string]any) {
				if c[name] = value; value == nil {
					delete(c, name)
				}
			}
		}
		proof := map[string]string{oidc.Code: "code", oidc.IDToken: "id_token", oidc.IDTokenToken: "id_token"}[flow]
		tests := []struct {
			name   string
			change func(*oidc.AuthenticateRequest)
			alter  func(map[string]any)
			only   string // the flow, if there is one
		}{
			{"another state", func(r *oidc.AuthenticateRequest) { r.State += "x" }, nil, ""},
			{"another state in the address", change("state", "x"), nil, ""},
			{"another nonce", func(r *oidc.AuthenticateRequest) { r.Nonce += "x" }, nil, ""},
			{"no nonce in the token", none, claim("nonce", nil), ""},
			{"no proof", change(proof, ""), nil, ""},
			{"a proof from somewhere", change(proof, "x.y.z"), nil, ""},
			{"an error beside it", change("error", "access_denied"), nil, ""},
			{"a parameter twice", func(r *oidc.AuthenticateRequest) { r.RedirectURI += "&state=x" }, nil, ""},
			{"another place to return to", func(r *oidc.AuthenticateRequest) {
				r.RedirectURI = strings.Replace(r.RedirectURI, "app.", "evil.", 1)
			}, nil, ""},
			{"another realm", func(r *oidc.AuthenticateRequest) { r.Realm = "oidc2" }, nil, ""},
			{"another client", none, claim("aud", "other"), ""},
			{"several clients, and nobody says which", none, claim("aud", []string{"latchkey", "other"}), ""},
			{"several clients, and it is another", none, func(c map[string]any) { c["aud"], c["azp"] = []string{"latchkey", "other"}, "other" }, ""},
			{"one client, and it is another", none, claim("azp", "other"), ""},
			{"another issuer", none, claim("iss", "https://evil.example.org"), ""},
			{"an ID token that has expired", none, claim("exp", 1), ""},
			{"nobody by name", none, claim("sub", nil), ""},
			{"an access token of another login", none, claim("at_hash", "x"), oidc.Code},
			{"another access token", change("access_token", "x"), nil, oidc.IDTokenToken},
			{"no access token", change("access_token", ""), nil, oidc.IDTokenToken},
			{"an access token that nothing binds", none, claim("at_hash", nil), oidc.IDTokenToken},
		}
		for _, tt := range tests {
			if tt.only != "" && tt.only != flow {
				continue
			}
			h.op.Alter = tt.alter
			req := h.begin(t, "alice")
			tt.change(&req)
			if err := h.authenticate(t, req); fault.KindOf(err) != fault.Unauthenticated || !strings.HasPrefix(err.(*fault.Error).Reason, "unable to authenticate with OpenID Connect") {
				t.Errorf("%s: %s: %v", flow, tt.name, err)
			}
		}
		h.op.Alter = func(c map[string]any) { c["aud"], c["azp"] = []string{"latchkey", "other"}, "latchkey" }
		if err := h.authenticate(t, h.begin(t, "alice")); err != nil {
			t.Errorf("%s: several clients, and it is ours: %v", flow, err)
		}
		if len(h.tokens.made) != 1 {
			t.Errorf("%s: %d logins", flow, len(h.tokens.made))
		}
		for _, hidden := range []string{optest.ClientSecret, "eyJ"} {
			if strings.Contains(h.log.String(), hidden) {
				t.Errorf("%s: the log holds %q", flow, hidden)
			}
		}
	}
}

func TestACodeCountsOnce(t *testing.T) {
	h := open(t)
	req := h.begin(t, "alice")
	if err := h.authenticate(t, req); err != nil {
		t.Fatal(err)
	}
	if err := h.authenticate(t, req); fault.KindOf(err) != fault.Unauthenticated {
		t.Errorf("the second time: %v", err)
	}
	if err := h.authenticate(t, h.begin(t, "nobody")); fault.KindOf(err) != fault.Unauthenticated {
		t.Errorf("a user who does not want to: %v", err)
	}
}

func TestAProviderThatIsOutOfOrder(t *testing.T) {
	h := open(t)
	req := h.begin(t, "alice")
	h.op.Failing = true
	if err := h.authenticate(t, req); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("it fails: %v", err)
	}
	h.op.Stop()
	if err := h.authenticate(t, req); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("it is gone: %v", err)
	}
}

func TestIDTokensSignedWithTheSecret(t *testing.T) {
	h := open(t, func(o *oidc.Options) {
		o.ResponseType = oidc.IDToken
		o.Verifier.Algorithms, o.Verifier.Shared = []string{"HS256"}, jwt.SharedKey(o.ClientSecret.Reveal())
	})
	if err := h.authenticate(t, h.begin(t, "alice")); fault.KindOf(err) != fault.Unauthenticated {
		t.Errorf("a token that is signed otherwise: %v", err)
	}
	h.op.Shared = true
	if err := h.authenticate(t, h.begin(t, "alice")); err != nil {
		t.Error(err)
	}
}

func TestPrepare(t *testing.T) {
	h := open(t)
	p, err := h.service.Prepare(may(t, "manage_oidc"), oidc.PrepareRequest{Issuer: h.op.URL, LoginHint: "a&b", State: "s", Nonce: "n"})
	if err != nil || p.State != "s" || p.Nonce != "n" || p.Realm != "oidc1" {
		t.Fatalf("%+v, %v", p, err)
	}
	u, _ := url.Parse(p.Redirect)
	want := url.Values{"tenant": {"7"}, "scope": {"openid email"}, "response_type": {"code"}, "client_id": {"latchkey"}, "redirect_uri": {optest.RedirectURI},
		"state": {"s"}, "nonce": {"n"}, "login_hint": {"a&b"}}
	if got := u.Query(); !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("got %v, want %v", got, want)
	}
	one, _ := h.service.Prepare(may(t, "manage_oidc"), oidc.PrepareRequest{Realm: "oidc1"})
	two, _ := h.service.Prepare(may(t, "manage_oidc"), oidc.PrepareRequest{Realm: "oidc1"})
	if one.State == two.State || one.Nonce == two.Nonce || one.State == one.Nonce || len(one.State) < 26 {
		t.Errorf("%+v and %+v", one, two)
	}
	twins := oidc.NewService([]*oidc.Realm{oidc.New(h.o), oidc.New(h.o)}, h.tokens, nil)
	for name, tt := range map[string]struct {
		service *oidc.Service
		by      []string
		req     oidc.PrepareRequest
		kind    fault.Kind
	}{
		"nothing":              {h.service, nil, oidc.PrepareRequest{}, fault.Invalid},
		"both":                 {h.service, nil, oidc.PrepareRequest{Realm: "oidc1", Issuer: h.op.URL}, fault.Invalid},
		"no privilege":         {h.service, []string{"manage_token"}, oidc.PrepareRequest{Realm: "oidc1"}, fault.Forbidden},
		"an unknown realm":     {h.service, []string{"manage_oidc"}, oidc.PrepareRequest{Realm: "oidc2"}, fault.Argument},
		"an unknown issuer":    {h.service, []string{"manage_oidc"}, oidc.PrepareRequest{Issuer: "x"}, fault.Argument},
		"an issuer of several": {twins, []string{"manage_oidc"}, oidc.PrepareRequest{Issuer: h.op.URL}, fault.Argument},
	} {
		if _, err := tt.service.Prepare(may(t, tt.by...), tt.req); fault.KindOf(err) != tt.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhoMayAsk(t *testing.T) {
	h := open(t)
	for name, tt := range map[string]struct {
		req  oidc.AuthenticateRequest
		by   []string
		kind fault.Kind
	}{
		"nothing is given": {oidc.AuthenticateRequest{}, nil, fault.Invalid},
		"no privilege":     {oidc.AuthenticateRequest{RedirectURI: "x", State: "s", Nonce: "n"}, []string{"manage_token"}, fault.Forbidden},
		"no address":       {oidc.AuthenticateRequest{RedirectURI: ":", State: "s", Nonce: "n"}, []string{"manage_oidc"}, fault.Argument},
	} {
		if _, err := h.service.Authenticate(t.Context(), may(t, tt.by...), tt.req); fault.KindOf(err) != tt.kind {
			t.Errorf("authenticate: %s: %v", name, err)
		}
	}
	if _, err := h.service.Logout(t.Context(), may(t), "", ""); fault.KindOf(err) != fault.Invalid {
		t.Errorf("logout of nothing: %v", err)
	}
	if _, err := h.service.Logout(t.Context(), may(t, "manage_token"), "made", ""); fault.KindOf(err) != fault.Forbidden {
		t.Errorf("logout without a privilege: %v", err)
	}
}
