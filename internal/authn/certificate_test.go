package authn

import (
	"context"
	"crypto/x509"
	"net/http"
	"strings"
	"testing"

	"latchkey/internal/access"
	"latchkey/internal/fault"
)

// owners knows whose certificates are whose by their serial form.
type owners struct{ err error }

func (o owners) AuthenticateCertificate(_ context.Context, chain []*x509.Certificate) (access.Subject, error) {
	return access.Subject{Username: string(chain[0].Raw), Roles: []string{"runner"}}, o.err
}

func TestCertificates(t *testing.T) {
	shown := []*x509.Certificate{{Raw: []byte("alice")}}
	nobody := &access.Subject{Username: "_anonymous", Realm: access.AnonymousRealm}
	basic := func(credential string) string { return "Basic " + b64(credential) }
	tests := []struct {
		name      string
		header    string
		shown     []*x509.Certificate
		err       error
		anonymous *access.Subject
		want      string // the name, or what the refusal says
	}{
		{"a certificate", "", shown, nil, nil, "alice"},
		{"before anonymous access", "", shown, nil, nobody, "alice"},
		{"a credential goes before it", basic("u:pa:ss"), shown, nil, nil, "u"},
		{"a wrong credential, too", basic("u:x"), shown, nil, nobody, "unable to authenticate user [u]"},
		{"a scheme that nobody knows does not", "Strange x", shown, nil, nil, "alice"},
		{"nor does one without a value", "Basic", shown, nil, nil, "alice"},
		{"that of nobody", "", shown, fault.New(fault.NotFound, "nobody's"), nil, "missing authentication credentials"},
		{"that of nobody, and anonymous access", "", shown, fault.New(fault.NotFound, "nobody's"), nobody, "_anonymous"},
		{"one that is refused", "", shown, fault.New(fault.Unauthenticated, "no such user"), nobody, "unable to authenticate for REST request [/x] with the given certificate"},
		{"a realm that cannot be asked", "", shown, fault.New(fault.Unavailable, "down"), nobody, "down"},
		{"none", "", nil, nil, nil, "missing authentication credentials"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := &Authenticator{APIKeys: rooms{}, Users: rooms{}, Roles: rooms{}, Certificates: owners{tt.err}, Anonymous: tt.anonymous}
			h := http.Header{}
			if tt.header != "" {
				h.Set("Authorization", tt.header)
			}
			c, err := a.Authenticate(t.Context(), h, tt.shown, "/x")
			if err != nil {
				if !strings.HasPrefix(err.Error(), tt.want) {
					t.Errorf("got %v, want %s", err, tt.want)
				}
				return
			}
			if c.Username != tt.want {
				t.Errorf("got %s, want %s", c.Username, tt.want)
			}
		})
	}
	t.Run("run-as", func(t *testing.T) {
		a := &Authenticator{Users: rooms{}, Roles: rooms{}, Certificates: owners{}, RunAs: true}
		c, err := a.Authenticate(t.Context(), http.Header{"Es-Security-Runas-User": {"target"}}, shown, "/x")
		if err != nil || c.Username != "target" || c.By == nil || c.By.Username != "alice" || c.Type != access.ByRealm {
			t.Errorf("got %+v, %v", c, err)
		}
	})
}
