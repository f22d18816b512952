package authn

import (
	"context"
	"net/http"
	"testing"

	"latchkey/internal/access"
	"latchkey/internal/fault"
)

// signed judges tokens j.*: the good one is for clients that say "secret".
type signed struct{}

func (signed) AuthenticateBearer(_ context.Context, token, clientSecret string) (access.Subject, bool, error) {
	switch {
	case token == "j.down":
		return access.Subject{}, true, fault.New(fault.Unavailable, "no keys")
	case token == "j.good" && clientSecret == "secret":
		return access.Subject{Username: "signer", Roles: []string{"runner"}}, true, nil
	case len(token) > 1 && token[:2] == "j.":
		return access.Subject{}, true, fault.New(fault.Unauthenticated, "a reason that is for the log")
	}
	return access.Subject{}, false, nil
}

func TestSignedTokens(t *testing.T) {
	a := &Authenticator{Signed: signed{}, ServiceTokens: serviceTokens{}, Users: rooms{}, Roles: rooms{}, RunAs: true}
	tests := []struct {
		token, client string
		want          string // the username, or the reason
		kind          fault.Kind
	}{
		{"j.good", "SharedSecret secret", "signer", 0},
		{"j.good", "sharedsecret secret", "signer", 0},
		{"j.good", "", refusedReason, fault.Unauthenticated},
		{"j.good", "secret", refusedReason, fault.Unauthenticated},
		{"j.good", "Basic secret", refusedReason, fault.Unauthenticated},
		{"j.good", "SharedSecret  secret", refusedReason, fault.Unauthenticated},
		{"j.bad", "SharedSecret secret", refusedReason, fault.Unauthenticated},
		{"x.y", "SharedSecret secret", refusedReason, fault.Unauthenticated},
		{"j.down", "", "no keys", fault.Unavailable},
	}
	for _, with := range []Tokens{nil, tokens{}} {
		a.Tokens = with
		for _, tt := range tests {
			c, err := a.Authenticate(t.Context(), http.Header{"Authorization": {"Bearer " + tt.token}, "Es-Client-Authentication": {tt.client}}, nil, "/")
			got := ""
			if f, ok := err.(*fault.Error); ok {
				got = f.Reason
			} else if err == nil {
				got = c.Username
			}
			if got != tt.want || fault.KindOf(err) != tt.kind {
				t.Errorf("%s with %q: %s, %v; want %s", tt.token, tt.client, got, err, tt.want)
			}
		}
	}
	c, err := a.Authenticate(t.Context(), http.Header{"Authorization": {"Bearer j.good"}, "Es-Client-Authentication": {"SharedSecret secret"}, "Es-Security-Runas-User": {"target"}}, nil, "/")
	if err != nil || c.Username != "target" || c.By.Username != "signer" || c.Type != access.ByRealm {
		t.Errorf("run-as: %+v, %v", c, err)
	}
}

const refusedReason = "unable to authenticate with provided credentials and anonymous access is not allowed for this request"
