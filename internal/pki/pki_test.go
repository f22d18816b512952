package pki_test

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"testing"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/pki"
	"latchkey/internal/pki/pkitest"
	"latchkey/internal/rolemapping"
)

// must returns a function that ends the test with an error.
func must(t testing.TB) func(*pkitest.Certificate, error) *pkitest.Certificate {
	return func(c *pkitest.Certificate, err error) *pkitest.Certificate {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
}

type mapper struct {
	asked []rolemapping.User
	err   error
}

func (m *mapper) Roles(_ context.Context, u rolemapping.User) ([]string, error) {
	m.asked = append(m.asked, u)
	return []string{"mapped"}, m.err
}

type byDN map[string]string

func (b byDN) Roles(dns []string) []string {
	if r := b[dns[0]]; r != "" {
		return []string{r}
	}
	return nil
}

type others struct{}

func (others) LookupIn(_ context.Context, realms []string, username string) (access.Subject, error) {
	if username == "alice" && slices.Equal(realms, []string{"native1"}) {
		return access.Subject{Username: username, Roles: []string{"lent"}, Realm: access.Realm{Name: "native1", Type: "native"}}, nil
	}
	return access.Subject{}, fault.New(fault.NotFound, "user [%s] not found", username)
}

func newRealm(change func(*pki.Options)) *pki.Realm {
	o := pki.Options{Name: "pki1", Mapper: &mapper{}, CacheTTL: time.Hour, CacheMax: 10, Now: time.Now}
	if change != nil {
		change(&o)
	}
	return pki.New(o)
}

func kind(err error) string {
	switch {
	case err == nil:
		return "accepted"
	case fault.KindOf(err) == fault.NotFound:
		return "nobody"
	case fault.KindOf(err) == fault.Unauthenticated:
		return "refused"
	}
	return err.Error()
}

func TestUsernames(t *testing.T) {
	must := must(t)
	ca := must(pkitest.Authority("ca"))
	uid, _ := pki.Attribute("uid")
	email := pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, Value: "a@example.org"}
	byEmail, _ := pki.Attribute("emailAddress")
	tests := []struct {
		name     string
		subject  pkix.Name
		change   func(*pki.Options)
		username string // "": nobody
		dn       string
	}{
		{"the common name", pkix.Name{CommonName: "alice", OrganizationalUnit: []string{"people"}, Organization: []string{"Example"}, Country: []string{"DE"}}, nil, "alice", "CN=alice,OU=people,O=Example,C=DE"},
		{"a comma in it", pkix.Name{CommonName: "Smith, J."}, nil, "Smith, J.", `CN=Smith\, J.`},
		{"every character that means something", pkix.Name{CommonName: ` #a,+"\<>;b `}, nil, ` #a,+"\<>;b `, `CN=\ #a\,\+\"\\\<\>\;b\ `},
		{"a number sign", pkix.Name{CommonName: "#1"}, nil, "#1", `CN=\#1`},
		{"not ASCII", pkix.Name{CommonName: "zoë"}, nil, "zoë", "CN=zoë"},
		{"a common name inside of another part", pkix.Name{CommonName: "alice", Organization: []string{"x,CN=admin"}}, nil, "alice", `CN=alice,O=x\,CN=admin`},
		{"two, of which the nearer counts", pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "group"}, {Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "alice"}}}, nil, "alice", "CN=alice,CN=group"},
		{"none", pkix.Name{Organization: []string{"Example"}}, nil, "", ""},
		{"a pattern", pkix.Name{CommonName: "alice", OrganizationalUnit: []string{"people"}}, func(o *pki.Options) { o.Username = regexp.MustCompile("OU=(.*?)(?:,|$)") }, "people", "CN=alice,OU=people"},
		{"a pattern that does not match", pkix.Name{CommonName: "alice"}, func(o *pki.Options) { o.Username = regexp.MustCompile("OU=(.*)") }, "", ""},
		{"an attribute", pkix.Name{CommonName: "Alice", ExtraNames: []pkix.AttributeTypeAndValue{{Type: uid, Value: "alice"}}}, func(o *pki.Options) { o.RDN = uid }, "alice", "UID=alice,CN=Alice"},
		{"an attribute without a short name", pkix.Name{CommonName: "Alice", ExtraNames: []pkix.AttributeTypeAndValue{email}}, func(o *pki.Options) { o.RDN = byEmail }, "a@example.org", "1.2.840.113549.1.9.1=#0c0d61406578616d706c652e6f7267,CN=Alice"},
		{"an attribute that is missing", pkix.Name{CommonName: "Alice"}, func(o *pki.Options) { o.RDN = uid }, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := &mapper{}
			r := newRealm(func(o *pki.Options) {
				o.Mapper = m
				if tt.change != nil {
					tt.change(o)
				}
			})
			s, err := r.AuthenticateCertificate(t.Context(), must(ca.Client(tt.subject, nil)).Chain())
			if tt.username == "" {
				if kind(err) != "nobody" {
					t.Errorf("got %+v, %v", s, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var metadata map[string]string
			if err := json.Unmarshal(s.Metadata, &metadata); err != nil {
				t.Fatal(err)
			}
			if s.Username != tt.username || len(metadata) != 1 || metadata["pki_dn"] != tt.dn || !slices.Equal(s.Roles, []string{"mapped"}) || s.Realm != (access.Realm{Name: "pki1", Type: "pki"}) {
				t.Errorf("got %+v, %q; want %q, %q", s, metadata, tt.username, tt.dn)
			}
			if u := m.asked[0]; u.Username != tt.username || u.DN != tt.dn || u.Groups != nil || u.Realm.Name != "pki1" {
				t.Errorf("the mappings were asked about %+v", u)
			}
		})
	}
}

func TestTrust(t *testing.T) {
	must := must(t)
	ca, foreign := must(pkitest.Authority("ca")), must(pkitest.Authority("ca"))
	between := must(ca.Authority("between"))
	alice := pkix.Name{CommonName: "alice"}
	direct, below := must(ca.Client(alice, nil)), must(between.Client(alice, nil))
	past := must(ca.Client(alice, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }))
	future := must(ca.Client(alice, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }))
	server := must(ca.Client(alice, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }))
	strange := must(foreign.Client(alice, nil))
	tests := []struct {
		name             string
		chain            []*x509.Certificate
		own, fromTheHTTP string // with authorities of the realm, and with what the TLS layer verified
	}{
		{"signed by the authority", direct.Chain(), "accepted", "accepted"},
		{"signed by one below it", below.Chain(), "accepted", "accepted"},
		{"without the link", below.Chain()[:1], "nobody", "accepted"},
		{"signed by another of the same name", strange.Chain(), "nobody", "accepted"},
		{"that of another beside it", []*x509.Certificate{strange.Certificate, foreign.Certificate}, "nobody", "accepted"},
		{"a good one behind it", []*x509.Certificate{strange.Certificate, direct.Certificate}, "nobody", "accepted"},
		{"expired", past.Chain(), "nobody", "nobody"},
		{"not valid yet", future.Chain(), "nobody", "nobody"},
		{"that of a server", server.Chain(), "nobody", "accepted"},
		{"none", nil, "nobody", "nobody"},
	}
	own := newRealm(func(o *pki.Options) { pool := ca.Pool(); o.Authorities = func() *x509.CertPool { return pool } })
	http := newRealm(nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for range 2 { // the second time from memory
				if _, err := own.AuthenticateCertificate(t.Context(), tt.chain); kind(err) != tt.own {
					t.Errorf("with own authorities: %s (%v)", kind(err), err)
				}
				if _, err := http.AuthenticateCertificate(t.Context(), tt.chain); kind(err) != tt.fromTheHTTP {
					t.Errorf("without: %s (%v)", kind(err), err)
				}
			}
		})
	}
}

// A connection may stay open for longer than a certificate is good, and the
// authorities may change meanwhile.
func TestTrustEnds(t *testing.T) {
	must := must(t)
	ca, other := must(pkitest.Authority("ca")), must(pkitest.Authority("other"))
	short := must(ca.Client(pkix.Name{CommonName: "alice"}, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(time.Hour) }))
	now, pool := time.Now(), ca.Pool()
	r := newRealm(func(o *pki.Options) {
		o.Now, o.Authorities = func() time.Time { return now }, func() *x509.CertPool { return pool }
	})
	expect := func(when, want string) {
		t.Helper()
		if _, err := r.AuthenticateCertificate(t.Context(), short.Chain()); kind(err) != want {
			t.Errorf("%s: %s (%v)", when, kind(err), err)
		}
	}
	expect("first", "accepted")
	pool = other.Pool()
	expect("after the authorities changed", "nobody")
	pool = ca.Pool()
	expect("after they changed back", "accepted")
	now = now.Add(2 * time.Hour)
	expect("expired", "nobody")
}

// What another node may have had forgotten is not accepted without a lease, nor by
// a lease that is older than the forgetting.
func TestWhatIsKeptCountsUnderALease(t *testing.T) {
	must := must(t)
	ca := must(pkitest.Authority("ca"))
	alice := must(ca.Client(pkix.Name{CommonName: "alice"}, nil)).Chain()
	var lapsed error
	asks, roles := func() {}, &mapper{}
	r := newRealm(func(o *pki.Options) { o.Mapper, o.Lease = roles, func() error { asks(); return lapsed } })
	judge := func() error {
		_, err := r.AuthenticateCertificate(t.Context(), alice)
		return err
	}
	if err := judge(); err != nil {
		t.Fatal(err)
	}
	lapsed = fault.New(fault.Unavailable, "no lease")
	if err := judge(); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("without a lease: %v", err)
	}
	lapsed, asks, roles.asked = nil, func() { r.Forget(nil) }, nil
	if err := judge(); err != nil || len(roles.asked) != 2 {
		t.Errorf("overtaken by a forgetting: %v after %d looks, want it to be verified once more", err, len(roles.asked))
	}
}

func TestRoles(t *testing.T) {
	must := must(t)
	ca := must(pkitest.Authority("ca"))
	alice, bob := must(ca.Client(pkix.Name{CommonName: "alice"}, nil)).Chain(), must(ca.Client(pkix.Name{CommonName: "bob"}, nil)).Chain()
	file := newRealm(func(o *pki.Options) { o.FileRoles = byDN{"CN=alice": "filed"} })
	if s, err := file.AuthenticateCertificate(t.Context(), alice); err != nil || !slices.Equal(s.Roles, []string{"filed", "mapped"}) {
		t.Errorf("with a file: %q, %v", s.Roles, err)
	}
	lent := newRealm(func(o *pki.Options) { o.AuthorizationRealms, o.Others = []string{"native1"}, others{} })
	if s, err := lent.AuthenticateCertificate(t.Context(), alice); err != nil || !slices.Equal(s.Roles, []string{"lent"}) || s.Realm.Name != "pki1" {
		t.Errorf("of another realm: %+v, %v", s, err)
	}
	if _, err := lent.AuthenticateCertificate(t.Context(), bob); kind(err) != "refused" {
		t.Errorf("unknown to the other realm: %v", err)
	}
	down := errors.New("no disk")
	broken := newRealm(func(o *pki.Options) { o.Mapper = &mapper{err: down} })
	if _, err := broken.AuthenticateCertificate(t.Context(), alice); !errors.Is(err, down) {
		t.Errorf("got %v", err)
	}
}

func TestDelegation(t *testing.T) {
	must := must(t)
	ca, foreign := must(pkitest.Authority("ca")), must(pkitest.Authority("foreign"))
	alice, strange := must(ca.Client(pkix.Name{CommonName: "alice"}, nil)).Chain(), must(foreign.Client(pkix.Name{CommonName: "alice"}, nil)).Chain()
	pool := ca.Pool()
	trusting := func(o *pki.Options) { o.Authorities = func() *x509.CertPool { return pool } }
	by := access.Subject{Username: "proxy", Realm: access.Realm{Name: "native1", Type: "native"}}
	delegating := newRealm(func(o *pki.Options) { trusting(o); o.Delegation = true })
	s, err := delegating.AuthenticateDelegated(t.Context(), alice, by)
	var metadata map[string]string
	if err != nil || json.Unmarshal(s.Metadata, &metadata) != nil || metadata["pki_delegated_by_user"] != "proxy" || metadata["pki_delegated_by_realm"] != "native1" || metadata["pki_dn"] != "CN=alice" {
		t.Errorf("got %+v, %s, %v", s, s.Metadata, err)
	}
	if s, err := delegating.AuthenticateCertificate(t.Context(), alice); err != nil || string(s.Metadata) != `{"pki_dn":"CN=alice"}` {
		t.Errorf("who shows it by themselves is taken for delegated: %s, %v", s.Metadata, err)
	}
	if _, err := delegating.AuthenticateDelegated(t.Context(), strange, by); kind(err) != "nobody" {
		t.Errorf("of an authority that nobody trusts: %v", err)
	}
	for name, r := range map[string]*pki.Realm{
		"switched off": newRealm(trusting), "without authorities": newRealm(func(o *pki.Options) { o.Delegation = true }),
	} {
		if _, err := r.AuthenticateDelegated(t.Context(), alice, by); kind(err) != "nobody" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzSubject(f *testing.F) {
	ca, err := pkitest.Authority("ca")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(ca.RawSubject)
	f.Add([]byte{0x30, 0x00})
	f.Add([]byte{0x30, 0x0b, 0x31, 0x09, 0x30, 0x07, 0x06, 0x03, 0x55, 0x04, 0x03, 0x0c, 0x00})
	r := newRealm(nil)
	f.Fuzz(func(t *testing.T, subject []byte) {
		c := &x509.Certificate{Raw: subject, RawSubject: subject, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
		if s, err := r.AuthenticateCertificate(t.Context(), []*x509.Certificate{c}); err == nil && s.Username == "" || err != nil && kind(err) != "nobody" {
			t.Errorf("%x: %+v, %v", subject, s, err)
		}
	})
}
