package authn

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/token"
)

// rooms stands for the rooms that judge credentials: the user u with the
// password "pa:ss", the disabled user off, the API key k with the secret "s:1".
type rooms struct{ down error }

func (r rooms) Verify(_ context.Context, id, secret string) (*access.Caller, error) {
	if r.down != nil {
		return nil, r.down
	}
	if id != "k" || secret != "s:1" {
		return nil, refused("API key: wrong")
	}
	return &access.Caller{Type: access.ByAPIKey, Subject: access.Subject{Username: "owner", APIKey: &access.APIKey{ID: "k"}}}, nil
}

func (r rooms) Again(id, secret string) Again {
	return func(ctx context.Context) (*access.Caller, error) { return r.Verify(ctx, id, secret) }
}

func (r rooms) Authenticate(_ context.Context, username, password string) (access.Subject, error) {
	if r.down != nil {
		return access.Subject{}, r.down
	}
	if username == "runner" {
		return access.Subject{Username: username, Roles: []string{"runner"}}, nil
	}
	if username != "u" || password != "pa:ss" {
		return access.Subject{}, fault.New(fault.Unauthenticated, "a reason of the realm, as long as it likes")
	}
	return access.Subject{Username: "u"}, nil
}

func (r rooms) Lookup(_ context.Context, username string) (access.Subject, error) {
	switch username {
	case "target":
		return access.Subject{Username: "target"}, nil
	case "off":
		return access.Subject{}, fault.New(fault.Unauthenticated, "disabled")
	default:
		return access.Subject{}, fault.New(fault.NotFound, "no such user")
	}
}

// Permissions gives the role runner, which may run as everybody.
func (rooms) Permissions(_ context.Context, names []string) (access.Permissions, error) {
	if len(names) == 0 {
		return access.Permissions{}, nil
	}
	return access.NewPermissions(names, nil, access.NewRole(access.Descriptor{RunAs: []string{"*"}})), nil
}

// tokens has a token t:x for every user x; those of chained came from a run-as.
type tokens struct{ down error }

func (tokens) Again(string) Again { return nil }

func (t tokens) Verify(_ context.Context, text string) (*access.Caller, error) {
	username, ok := strings.CutPrefix(text, "t:")
	if t.down != nil {
		return nil, t.down
	}
	if !ok {
		return nil, refused("oauth2 token: invalid token")
	}
	c := &access.Caller{Type: access.ByToken, Subject: access.Subject{Username: username}}
	switch username {
	case "nobody":
		c.Realm = access.AnonymousRealm
	case "chained":
		c.By = &access.Subject{Username: "u"}
	}
	return c, nil
}

// serviceTokens knows one token, AAEAAWright.
type serviceTokens struct{}

func (serviceTokens) Verify(_ context.Context, text string) (c *access.Caller, mine bool, err error) {
	secret, mine := strings.CutPrefix(text, "AAEAAW")
	if mine && secret != "right" {
		return nil, true, fault.New(fault.Unauthenticated, "the service account refuses")
	}
	return &access.Caller{Type: access.ByToken, Subject: access.Subject{Username: "elastic/x", Realm: access.ServiceAccountRealm}}, mine, nil
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func TestAuthenticate(t *testing.T) {
	const missing = "missing authentication credentials for REST request [/x?y=1]"
	const general = "unable to authenticate with provided credentials"
	const wrong = "unable to authenticate user "
	tests := []struct {
		name, header string
		user         string // who it is; empty: refused
		reason       string // how the reason begins
		detail       string // what the detail holds
	}{
		{"no header", "", "", missing, ""},
		{"only a scheme", "Basic", "", missing, ""},
		{"only a scheme and a blank", "ApiKey ", "", missing, ""},
		{"an unknown scheme", "Digest abc", "", missing, ""},
		{"a password with a colon", "Basic " + b64("u:pa:ss"), "u", "", ""},
		{"HT-41: a scheme in any case", "bASIC " + b64("u:pa:ss"), "u", "", ""},
		{"HT-40: a wrong password", "Basic " + b64("u:no"), "", wrong + "[u] for REST request [/x?y=1]", ""},
		{"HT-40: an unknown user", "Basic " + b64("v:no"), "", wrong + "[v] for REST request [/x?y=1]", ""},
		{"no colon in Basic", "Basic " + b64("u"), "", "unable to authenticate for REST request [/x?y=1]", ""},
		{"no Base64 in Basic", "Basic !", "", "unable to authenticate for REST request [/x?y=1]", ""},
		{"no UTF-8 in Basic", "Basic " + b64("\xff:\xff"), "", "unable to authenticate for REST request [/x?y=1]", ""},
		{"a key, its secret with a colon", "ApiKey " + b64("k:s:1"), "owner", "", ""},
		{"AK-125: lower case", "apikey " + b64("k:s:1"), "owner", "", ""},
		{"a key without padding", "ApiKey " + strings.TrimRight(b64("k:s:1"), "="), "owner", "", ""},
		{"too much padding", "ApiKey " + b64("k:s:1") + "====", "", general, "wrong length"},
		{"a wrong secret", "ApiKey " + b64("k:s"), "", general, "API key: wrong"},
		{"AK-125: the URL-safe alphabet", "ApiKey ab-_", "", general, "[0x2d]"},
		{"two blanks", "ApiKey  " + b64("k:s:1"), "", general, "[0x20]"},
		{"AK-128: no colon", "ApiKey " + b64("k"), "", general, "API key: the value must be"},
		{"AK-128: no id", "ApiKey " + b64(":s"), "", general, "API key: the value must be"},
		{"a key that is no UTF-8", "ApiKey " + b64("\xff:s"), "", general, "UTF-8"},
		{"a token", "Bearer t:u", "u", "", ""},
		{"TK-57: a token in lower case", "bearer t:u", "u", "", ""},
		{"TK-58: no token", "Bearer ", "", missing, ""},
		{"TK-55: a random text for a token", "Bearer abc", "", general, "oauth2 token: invalid token"},
		{"TK-63: a token of a service account", "Bearer AAEAAWright", "elastic/x", "", ""},
		{"TK-63: a wrong one is not tried as another token", "Bearer AAEAAWwrong", "", "the service account refuses", ""},
	}
	a := &Authenticator{APIKeys: rooms{}, Tokens: tokens{}, ServiceTokens: serviceTokens{}, Users: rooms{}, Roles: rooms{}, RunAs: true}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := a.Authenticate(t.Context(), http.Header{"Authorization": {tt.header}}, nil, "/x?y=1")
			if tt.user != "" {
				if err != nil || c.Username != tt.user {
					t.Errorf("Authenticate = %+v, %v; want %s", c, err, tt.user)
				}
				return
			}
			f, ok := errors.AsType[*fault.Error](err)
			if !ok || f.Kind != fault.Unauthenticated || !strings.HasPrefix(f.Reason, tt.reason) || !strings.Contains(f.Detail, tt.detail) {
				t.Errorf("Authenticate = %+v, %#v; want the reason %q and the detail %q", c, err, tt.reason, tt.detail)
			}
		})
	}
}

func TestRunAs(t *testing.T) {
	tests := []struct {
		name, target string
		by           string
		off          bool
		user         string
		unknown      bool
		refused      bool
	}{
		{"somebody", "target", "u", false, "target", false, false},
		{"ID-16: nobody that exists", "ghost", "u", false, "ghost", true, false},
		{"a disabled user, by who may run as it", "off", "runner", false, "", false, true},
		{"HT-44: a disabled user looks like nobody to others", "off", "u", false, "off", true, false},
		{"no name", "", "u", false, "", false, true},
		{"switched off", "target", "u", true, "u", false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := &Authenticator{APIKeys: rooms{}, Users: rooms{}, Roles: rooms{}, RunAs: !tt.off}
			h := http.Header{"Authorization": {"Basic " + b64(tt.by+":pa:ss")}, "Es-Security-Runas-User": {tt.target}}
			c, err := a.Authenticate(t.Context(), h, nil, "/")
			if tt.refused {
				if fault.KindOf(err) != fault.Unauthenticated {
					t.Errorf("Authenticate = %+v, %v; want Unauthenticated", c, err)
				}
				return
			}
			if err != nil || c.Username != tt.user || c.RunAsUnknown != tt.unknown || (c.By != nil) == tt.off {
				t.Errorf("Authenticate = %+v, %v; want %s, unknown %t", c, err, tt.user, tt.unknown)
			}
		})
	}
}

// Who cannot run as anybody stays who they are (spec/tokens.md 9.4).
func TestRunAsIsIgnored(t *testing.T) {
	nobody := access.Subject{Username: "_anonymous", Realm: access.AnonymousRealm}
	a := &Authenticator{APIKeys: rooms{}, Tokens: tokens{}, ServiceTokens: serviceTokens{}, Users: rooms{}, Roles: rooms{}, RunAs: true, Anonymous: &nobody}
	for header, want := range map[string]string{
		"Bearer t:u":         "target",
		"Bearer t:chained":   "chained",
		"Bearer t:nobody":    "nobody",
		"Bearer AAEAAWright": "elastic/x", // HT-45 ID-17
		"":                   "_anonymous",
	} {
		c, err := a.Authenticate(t.Context(), http.Header{"Authorization": {header}, "Es-Security-Runas-User": {"target"}}, nil, "/")
		if err != nil || c.Username != want {
			t.Errorf("Authenticate(%q) = %+v, %v; want %s", header, c, err, want)
		}
	}
}

// TK-59 HT-47 ID-12 ID-13: nobody becomes anonymous by a credential that is refused.
func TestAnonymous(t *testing.T) {
	nobody := access.Subject{Username: "_anonymous", Realm: access.AnonymousRealm, Roles: []string{"runner"}}
	a := &Authenticator{Tokens: tokens{}, Users: rooms{}, Roles: rooms{}, Anonymous: &nobody}
	for _, header := range []string{"", "Basic", "Bearer ", "Digest abc"} {
		c, err := a.Authenticate(t.Context(), http.Header{"Authorization": {header}}, nil, "/")
		if err != nil || c.Username != "_anonymous" || c.Type != access.ByAnonymous || !c.Permissions.MayRunAs("x") {
			t.Errorf("Authenticate(%q) = %+v, %v; want the anonymous user with the permissions of the roles", header, c, err)
		}
	}
	for _, header := range []string{"Basic " + b64("u:no"), "Basic !", "Bearer abc", "ApiKey " + b64("k:s:1")} { // API keys are switched off
		if c, err := a.Authenticate(t.Context(), http.Header{"Authorization": {header}}, nil, "/"); fault.KindOf(err) != fault.Unauthenticated {
			t.Errorf("Authenticate(%q) = %+v, %v; want Unauthenticated", header, c, err)
		}
	}
}

func TestTokensSwitchedOff(t *testing.T) {
	a := &Authenticator{Users: rooms{}, Roles: rooms{}}
	_, err := a.Authenticate(t.Context(), http.Header{"Authorization": {"Bearer t:u"}}, nil, "/")
	if f, ok := errors.AsType[*fault.Error](err); !ok || f.Kind != fault.Unauthenticated || f.Detail != "oauth2 token: invalid token" {
		t.Errorf("Authenticate = %#v; want the refusal of an unknown token", err)
	}
}

// A store that cannot answer is no wrong credential: the client must not throw it away.
func TestStoreAway(t *testing.T) {
	down := rooms{fault.New(fault.Unavailable, "the store is not available")}
	a := &Authenticator{APIKeys: down, Tokens: tokens(down), Users: down, Roles: down}
	for _, header := range []string{"ApiKey " + b64("k:s:1"), "Basic " + b64("u:pa:ss"), "Bearer t:u"} {
		if _, err := a.Authenticate(t.Context(), http.Header{"Authorization": {header}}, nil, "/"); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("Authenticate(%s) = %v; want Unavailable", header, err)
		}
	}
}

func TestAPIKeysSwitchedOff(t *testing.T) {
	a := &Authenticator{Users: rooms{}, Roles: rooms{}}
	_, err := a.Authenticate(t.Context(), http.Header{"Authorization": {"ApiKey " + b64("k:s:1")}}, nil, "/")
	if err == nil || !strings.HasPrefix(err.Error(), "missing authentication credentials") {
		t.Errorf("Authenticate = %v; want the header to count for nothing", err)
	}
}

func FuzzAuthorization(f *testing.F) {
	for _, s := range []string{"ApiKey " + b64("k:s:1"), "Basic " + b64("u:pa:ss"), "Bearer x", "ApiKey ====", "ApiKey \xff", "Basic Og=="} {
		f.Add(s)
	}
	a := &Authenticator{APIKeys: rooms{}, Tokens: tokens{}, Users: rooms{}, Roles: rooms{}, RunAs: true}
	f.Fuzz(func(t *testing.T, header string) {
		c, err := a.Authenticate(t.Context(), http.Header{"Authorization": {header}}, nil, "/")
		if (c == nil) == (err == nil) || err != nil && fault.KindOf(err) != fault.Unauthenticated {
			t.Errorf("Authenticate(%q) = %v, %v", header, c, err)
		}
	})
}

// tickets knows one ticket, "good", of which the client wants proof; "more" is half a negotiation.
type tickets struct{}

func (tickets) Authenticate(_ context.Context, ticket []byte) (access.Subject, []byte, error) {
	switch string(ticket) {
	case "good":
		return access.Subject{Username: "alice", Roles: []string{"runner"}, Realm: access.Realm{Name: "kerb1", Type: "kerberos"}}, []byte("proof"), nil
	case "more":
		return access.Subject{}, nil, &token.Continue{Reply: []byte("next")}
	case "down":
		return access.Subject{}, nil, fault.New(fault.Unavailable, "the store is away")
	}
	return access.Subject{}, nil, fault.New(fault.Unauthenticated, "a reason of the realm, as long as it likes")
}

func TestNegotiate(t *testing.T) {
	a := &Authenticator{Tickets: tickets{}, Users: rooms{}, Roles: rooms{}, RunAs: true, Anonymous: &access.Subject{Username: "_anonymous"}}
	ask := func(a *Authenticator, header, runAs string) (*access.Caller, error) {
		h := http.Header{"Authorization": {header}}
		if runAs != "" {
			h["Es-Security-Runas-User"] = []string{runAs}
		}
		return a.Authenticate(t.Context(), h, nil, "/x")
	}
	for _, scheme := range []string{"Negotiate ", "nEGOTIATE "} {
		if c, err := ask(a, scheme+b64("good"), ""); err != nil || c.Username != "alice" || c.Type != access.ByRealm || string(*c.TicketReply) != "proof" || !c.Permissions.MayRunAs("x") {
			t.Errorf("got %+v, %v", c, err)
		}
	}
	for runAs, want := range map[string]string{"target": "target", "unknown": "unknown"} {
		if c, err := ask(a, "Negotiate "+b64("good"), runAs); err != nil || c.Username != want || c.By.Username != "alice" || string(*c.TicketReply) != "proof" {
			t.Errorf("run as %s: got %+v, %v", runAs, c, err)
		}
	}
	tests := []struct {
		header     string
		kind       fault.Kind
		reason     string
		challenges []string
	}{
		{"Negotiate " + b64("bad"), fault.Unauthenticated, "unable to authenticate for REST request [/x] with the given Kerberos ticket", nil},
		{"Negotiate !", fault.Unauthenticated, "unable to authenticate for REST request [/x]: the Negotiate credentials must be Base64", nil},
		{"Negotiate " + b64("more"), fault.Unauthenticated, "unable to authenticate for REST request [/x]: the negotiation needs another round", []string{"Negotiate " + b64("next")}},
		{"Negotiate " + b64("down"), fault.Unavailable, "the store is away", nil},
	}
	for _, tt := range tests {
		c, err := ask(a, tt.header, "")
		f, ok := errors.AsType[*fault.Error](err)
		if c != nil || !ok || f.Kind != tt.kind || f.Reason != tt.reason || !slices.Equal(f.Challenges, tt.challenges) {
			t.Errorf("%s: got %+v, %v; want %s", tt.header, c, err, tt.reason)
		}
	}
	if c, err := ask(&Authenticator{Users: rooms{}, Roles: rooms{}, Anonymous: a.Anonymous}, "Negotiate "+b64("good"), ""); err != nil || c.Username != "_anonymous" {
		t.Errorf("without a realm the scheme is none that is known: got %+v, %v", c, err)
	}
}
