package ldap

import (
	"crypto/tls"
	"path/filepath"
	"strings"
	"testing"

	"latchkey/internal/fault"
	"latchkey/internal/ldap/ldaptest"
	"latchkey/internal/pki/pkitest"
)

func TestTLS(t *testing.T) {
	dir := t.TempDir()
	certificate, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	ca, err := pkitest.Authority("ca")
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := pkitest.Authority("foreign")
	if err != nil {
		t.Fatal(err)
	}
	server, err := ca.Server()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Write(certificate, key); err != nil {
		t.Fatal(err)
	}
	d := directory(t, certificate, key, ldaptest.Person("alice"))
	tests := []struct {
		name string
		url  string
		cfg  *tls.Config
		want fault.Kind
	}{
		{"the right authority", d.TLS, &tls.Config{RootCAs: ca.Pool()}, accepted},
		{"another authority", d.TLS, &tls.Config{RootCAs: foreign.Pool()}, fault.Unavailable},
		{"the authorities of the system", d.TLS, &tls.Config{}, fault.Unavailable},
		{"a name that is not in the certificate", strings.Replace(d.TLS, "localhost", "127.0.0.2", 1), &tls.Config{RootCAs: ca.Pool()}, fault.Unavailable},
		{"nothing is checked", d.TLS, &tls.Config{InsecureSkipVerify: true}, accepted},
		{"TLS where none is spoken", strings.Replace(d.URL, "ldap://", "ldaps://", 1), &tls.Config{RootCAs: ca.Pool()}, fault.Unavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRealm(t, tt.url, func(o *Options) { o.TLS = func() *tls.Config { return tt.cfg } })
			if _, err := r.Authenticate(t.Context(), "alice", ldaptest.Password); kind(err) != tt.want {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
	t.Run("a referral never leads out of TLS", func(t *testing.T) {
		ref := ldaptest.Entry{DN: "ou=there,ou=people," + ldaptest.Root, Attributes: map[string][]string{"objectClass": {"referral", "extensibleObject"}, "ou": {"there"}, "ref": {d.URL + "/uid=alice," + people}}}
		if err := d.Add(ref); err != nil {
			t.Fatal(err)
		}
		base := "ou=there," + people
		plain := newRealm(t, d.URL, func(o *Options) { o.UserSearch.Base = base })
		if _, err := plain.Lookup(t.Context(), "alice"); err != nil {
			t.Error(err)
		}
		secure := newRealm(t, d.TLS, func(o *Options) {
			o.UserSearch.Base, o.TLS = base, func() *tls.Config { return &tls.Config{RootCAs: ca.Pool()} }
		})
		if _, err := secure.Lookup(t.Context(), "alice"); kind(err) != fault.Unavailable || !strings.Contains(err.Error(), "from TLS") {
			t.Errorf("got %v", err)
		}
	})
}
