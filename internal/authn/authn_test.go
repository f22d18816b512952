package authn

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"

	"latchkey/internal/access"
	"latchkey/internal/fault"
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
		{"a token, which nobody has yet", "Bearer abc", "", general, "oauth2 token: invalid token"},
	}
	a := &Authenticator{APIKeys: rooms{}, Users: rooms{}, Roles: rooms{}, RunAs: true}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := a.Authenticate(t.Context(), http.Header{"Authorization": {tt.header}}, "/x?y=1")
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
			c, err := a.Authenticate(t.Context(), h, "/")
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

// A store that cannot answer is no wrong credential: the client must not throw it away.
func TestStoreAway(t *testing.T) {
	down := rooms{fault.New(fault.Unavailable, "the store is not available")}
	a := &Authenticator{APIKeys: down, Users: down, Roles: down}
	for _, header := range []string{"ApiKey " + b64("k:s:1"), "Basic " + b64("u:pa:ss")} {
		if _, err := a.Authenticate(t.Context(), http.Header{"Authorization": {header}}, "/"); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("Authenticate(%s) = %v; want Unavailable", header, err)
		}
	}
}

func TestAPIKeysSwitchedOff(t *testing.T) {
	a := &Authenticator{Users: rooms{}, Roles: rooms{}}
	_, err := a.Authenticate(t.Context(), http.Header{"Authorization": {"ApiKey " + b64("k:s:1")}}, "/")
	if err == nil || !strings.HasPrefix(err.Error(), "missing authentication credentials") {
		t.Errorf("Authenticate = %v; want the header to count for nothing", err)
	}
}

func FuzzAuthorization(f *testing.F) {
	for _, s := range []string{"ApiKey " + b64("k:s:1"), "Basic " + b64("u:pa:ss"), "Bearer x", "ApiKey ====", "ApiKey \xff", "Basic Og=="} {
		f.Add(s)
	}
	a := &Authenticator{APIKeys: rooms{}, Users: rooms{}, Roles: rooms{}, RunAs: true}
	f.Fuzz(func(t *testing.T, header string) {
		c, err := a.Authenticate(t.Context(), http.Header{"Authorization": {header}}, "/")
		if (c == nil) == (err == nil) || err != nil && fault.KindOf(err) != fault.Unauthenticated {
			t.Errorf("Authenticate(%q) = %v, %v", header, c, err)
		}
	})
}
