package node_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"latchkey/internal/ldap/ldaptest"
	"latchkey/internal/pki/pkitest"
)

func directory(t *testing.T, entries ...ldaptest.Entry) *ldaptest.Server {
	t.Helper()
	s, err := ldaptest.Start(t.TempDir(), "", "", entries...)
	if errors.Is(err, ldaptest.ErrMissing) && os.Getenv("CI") != "true" {
		t.Skip("SKIPPED:", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (a answer) wants(t *testing.T, status int, fields map[string]any) {
	t.Helper()
	if a.status != status {
		t.Errorf("got %d %s; want %d", a.status, a.text, status)
	}
	for name, want := range fields {
		if !reflect.DeepEqual(a.body[name], want) {
			t.Errorf("%s is %v, want %v: %s", name, a.body[name], want, a.text)
		}
	}
}

func TestLDAP(t *testing.T) {
	d := directory(t, ldaptest.Person("alice"), ldaptest.Person("bob"), ldaptest.Group("admins", "alice"))
	conf, data := t.TempDir(), dataFolder(t)
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(conf, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("latchkey.yml", `
xpack.security.authc.realms:
  ldap.corp:
    order: 2
    url: [`+d.URL+`]
    bind_dn: `+ldaptest.Search+`
    user_search: {base_dn: "`+ldaptest.Root+`"}
    metadata: [sn]
`)
	write("role_mapping.yml", "reader: [\"UID=bob, ou=people,dc=example,dc=org\"]\n")
	p := node(t, data, "--config", conf, "-E", "latchkey.log.level=debug",
		"-E", "xpack.security.authc.realms.ldap.corp.secure_bind_password="+ldaptest.Password)
	alice, bob := basic("alice:"+ldaptest.Password), basic("bob:"+ldaptest.Password)
	put := func(path, body string) { t.Helper(); p.want(t, http.StatusOK, "PUT", path, elastic, body, nil) }
	put("/_security/role/admin", `{"cluster":["manage_own_api_key","monitor"],"run_as":["bob"]}`)
	put("/_security/role/reader", `{"cluster":["monitor"]}`)

	corp := map[string]any{"name": "corp", "type": "ldap"}
	group := "cn=admins,ou=groups," + ldaptest.Root
	who := func(credential string, header ...string) answer {
		t.Helper()
		return p.ask(t, "GET", "/_security/_authenticate", credential, "", header...)
	}
	who(alice).wants(t, http.StatusOK, map[string]any{
		"username": "alice", "roles": []any{}, "full_name": "Alice", "email": "alice@example.org", "enabled": true, "authentication_type": "realm",
		"metadata":             map[string]any{"ldap_dn": "uid=alice,ou=people," + ldaptest.Root, "ldap_groups": []any{group}, "sn": "alice"},
		"authentication_realm": corp, "lookup_realm": corp,
	})
	t.Run("a mapping counts from the next request on", func(t *testing.T) {
		health := func(status int, credential string) {
			t.Helper()
			p.ask(t, "GET", "/_cluster/health", credential, "").wants(t, status, nil)
		}
		health(http.StatusForbidden, alice)
		put("/_security/role_mapping/admins", `{"roles":["admin"],"enabled":true,"rules":{"all":[{"field":{"groups":"`+strings.ToUpper(group)+`"}},{"field":{"realm.name":"corp"}}]}}`)
		who(alice).wants(t, http.StatusOK, map[string]any{"roles": []any{"admin"}})
		health(http.StatusOK, alice)
		put("/_security/role_mapping/admins", `{"roles":["admin"],"enabled":false,"rules":{"field":{"groups":"`+group+`"}}}`)
		health(http.StatusForbidden, alice)
		put("/_security/role_mapping/admins", `{"roles":["admin"],"enabled":true,"rules":{"field":{"groups":"*,ou=groups,dc=example,dc=org"}}}`)
		health(http.StatusOK, alice)
		p.want(t, http.StatusOK, "DELETE", "/_security/role_mapping/admins", elastic, "", nil)
		health(http.StatusForbidden, alice)
		put("/_security/role_mapping/admins", `{"roles":["admin"],"enabled":true,"rules":{"field":{"groups":"`+group+`"}}}`)
	})
	who(bob).wants(t, http.StatusOK, map[string]any{"roles": []any{"reader"}}) // by the file
	for _, wrong := range []string{"alice:wrong", "alice:", "carol:x", "*:" + ldaptest.Password, "alice)(uid=*:" + ldaptest.Password} {
		who(basic(wrong)).refuses(t, kerberosChallenges[1:])
	}
	t.Run("run-as", func(t *testing.T) {
		who(alice, "es-security-runas-user", "bob").wants(t, http.StatusOK, map[string]any{"username": "bob", "roles": []any{"reader"}, "lookup_realm": corp})
		who(basic(elastic), "es-security-runas-user", "nobody").wants(t, http.StatusForbidden, nil)
	})
	t.Run("keys and tokens", func(t *testing.T) {
		made := p.ask(t, "POST", "/_security/api_key", alice, `{"name":"k"}`)
		made.wants(t, http.StatusOK, nil)
		encoded, _ := made.body["encoded"].(string)
		who("ApiKey "+encoded).wants(t, http.StatusOK, map[string]any{"username": "alice"})
		got := p.ask(t, "POST", "/_security/oauth2/token", basic(elastic), `{"grant_type":"password","username":"alice","password":"`+ldaptest.Password+`"}`)
		got.wants(t, http.StatusOK, nil)
		token, _ := got.body["access_token"].(string)
		who("Bearer "+token).wants(t, http.StatusOK, map[string]any{"username": "alice", "roles": []any{"admin"}, "authentication_realm": corp})
	})
	t.Run("a namesake of the native realm comes first, and its wrong password is no end", func(t *testing.T) {
		put("/_security/user/alice", `{"password":"native-password","roles":["reader"]}`)
		who(basic("alice:native-password")).wants(t, http.StatusOK, map[string]any{"roles": []any{"reader"}})
		who(alice).wants(t, http.StatusOK, map[string]any{"roles": []any{"admin"}, "authentication_realm": corp})
		p.want(t, http.StatusOK, "DELETE", "/_security/user/alice", elastic, "", nil)
	})
	t.Run("a cleared cache", func(t *testing.T) {
		if err := d.Replace(ldaptest.Person("bob").DN, "userPassword", "new-password"); err != nil {
			t.Fatal(err)
		}
		who(bob).wants(t, http.StatusOK, nil)
		p.want(t, http.StatusOK, "POST", "/_security/realm/corp/_clear_cache?usernames=bob", elastic, "", nil)
		who(bob).refuses(t, kerberosChallenges[1:])
		who(basic("bob:new-password")).wants(t, http.StatusOK, nil)
	})
	t.Run("an outage", func(t *testing.T) {
		if err := d.Stop(); err != nil {
			t.Fatal(err)
		}
		who(alice).wants(t, http.StatusOK, nil) // from memory
		who(basic("carol:x")).wants(t, http.StatusServiceUnavailable, nil)
		who(basic(elastic)).wants(t, http.StatusOK, nil)
	})
	p.stops(t)
	for _, text := range []string{p.err.String(), p.out.String()} {
		if strings.Contains(text, ldaptest.Password) {
			t.Error("a password stands in the output")
		}
	}
	for name, content := range contents(t, data) {
		if strings.Contains(content, ldaptest.Password) {
			t.Errorf("a password stands in %s", name)
		}
	}
}

// The directory stands behind what makes it take the names of Active Directory,
// and behind TLS whose files change.
func TestActiveDirectory(t *testing.T) {
	conf := t.TempDir()
	file := func(name string) string { return filepath.Join(conf, name) }
	ca, err := pkitest.Authority("ca")
	if err != nil {
		t.Fatal(err)
	}
	if err := ca.Write(file("ca.crt"), file("ca.key")); err != nil {
		t.Fatal(err)
	}
	d := directory(t,
		ldaptest.Person("alice", "objectClass", "user", "sAMAccountName", "alice", "userPrincipalName", "alice@example.org", "tokenGroups", "\x01\x02"),
		ldaptest.Group("admins", "alice").With("objectSid", "\x01\x02"))
	dn := ldaptest.Person("alice").DN
	f, err := ldaptest.NewFront(d.Address, map[string]string{"alice@example.org": dn})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const ad = "xpack.security.authc.realms.active_directory.ad."
	p := node(t, dataFolder(t), "--config", conf, "-E", ad+"order=2", "-E", ad+"domain_name=example.org", "-E", ad+"url="+f.URL,
		"-E", ad+"ssl.certificate_authorities=ca.crt", "-E", ad+"unmapped_groups_as_roles=true")
	for _, name := range []string{"alice", "alice@example.org"} {
		p.ask(t, "GET", "/_security/_authenticate", basic(name+":"+ldaptest.Password), "").wants(t, http.StatusOK, map[string]any{
			"username": name, "roles": []any{"admins"}, "authentication_realm": map[string]any{"name": "ad", "type": "active_directory"},
			"metadata": map[string]any{"ldap_dn": dn, "ldap_groups": []any{"cn=admins,ou=groups," + ldaptest.Root}},
		})
		p.ask(t, "GET", "/_security/_authenticate", basic(name+":wrong"), "").refuses(t, kerberosChallenges[1:])
	}
	p.ask(t, "GET", "/_security/_authenticate", basic(elastic), "", "es-security-runas-user", "alice").wants(t, http.StatusForbidden, nil) // nobody looks
}

func TestDirectoriesThatStopTheStart(t *testing.T) {
	const corp, certs = "xpack.security.authc.realms.ldap.corp.", "xpack.security.authc.realms.pki.certs."
	ldap := []string{"-E", corp + "order=2", "-E", corp + "url=ldaps://127.0.0.1", "-E", corp + "user_search.base_dn=dc=x"}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{append(ldap, "-E", corp+"ssl.certificate_authorities=/nowhere"), corp + "ssl.certificate_authorities: the file /nowhere cannot be read"},
		{append(ldap, "-E", corp+"ssl.keystore.path=/nowhere"), corp + "ssl.keystore.path: the file /nowhere cannot be read"},
		{[]string{"-E", certs + "order=2", "-E", certs + "delegation.enabled=true", "-E", certs + "truststore.path=/nowhere"}, certs + "truststore.path: the file /nowhere cannot be read"},
		{[]string{"-E", certs + "order=2", "-E", certs + "delegation.enabled=true", "-E", certs + "certificate_authorities=/dev/null", "-E", certs + "username_rdn_name=shoe"}, certs + `username_rdn_name: "shoe" is unknown`},
	} {
		refuses(t, command(t, nil, serveArgs(dataFolder(t), tt.args...)...), tt.want)
	}
}

func TestPKI(t *testing.T) {
	must := func(c *pkitest.Certificate, err error) *pkitest.Certificate {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	ca, other, foreign := must(pkitest.Authority("ca")), must(pkitest.Authority("other")), must(pkitest.Authority("foreign"))
	conf := t.TempDir()
	file := func(name string) string { return filepath.Join(conf, name) }
	for name, c := range map[string]*pkitest.Certificate{"ca": ca, "other": other, "server": must(ca.Server())} {
		if err := c.Write(file(name+".crt"), file(name+".key")); err != nil {
			t.Fatal(err)
		}
	}
	settings := `
xpack.security.http.ssl:
  enabled: true
  certificate: server.crt
  key: server.key
  certificate_authorities: [ca.crt, other.crt]
  client_authentication: optional
xpack.security.authc.realms.pki.certs:
  order: 3
  certificate_authorities: ca.crt
  delegation.enabled: true
`
	if err := os.WriteFile(file("latchkey.yml"), []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	p := node(t, dataFolder(t), "--config", conf)
	with := func(c *pkitest.Certificate) *process {
		q := *p
		cfg := &tls.Config{RootCAs: ca.Pool()}
		if c != nil {
			shown := c.TLS() // whatever authorities the server names
			cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &shown, nil }
		}
		q.client = &http.Client{Transport: &http.Transport{TLSClientConfig: cfg}}
		t.Cleanup(q.client.CloseIdleConnections)
		return &q
	}
	alice := must(ca.Client(pkix.Name{CommonName: "alice", Organization: []string{"Example"}}, nil))
	nobody := with(nil)
	for path, body := range map[string]string{
		"/_security/role/monitors":         `{"cluster":["monitor"]}`,
		"/_security/role/delegates":        `{"cluster":["delegate_pki"]}`,
		"/_security/user/proxy":            `{"password":"proxy-password","roles":["delegates"]}`,
		"/_security/user/plain":            `{"password":"plain-password","roles":["monitors"]}`,
		"/_security/role_mapping/people":   `{"roles":["monitors"],"enabled":true,"rules":{"field":{"dn":"*,O=example"}}}`,
		"/_security/role_mapping/security": `{"roles":["managers"],"enabled":true,"rules":{"field":{"username":"nobody"}}}`,
		"/_security/role/managers":         `{"cluster":["manage_security"]}`,
		"/_security/user/manager":          `{"password":"manager-password","roles":["managers"]}`,
	} {
		nobody.ask(t, "PUT", path, basic(elastic), body).wants(t, http.StatusOK, nil)
	}
	certs := map[string]any{"name": "certs", "type": "pki"}
	who := func(q *process, credential string, header ...string) answer {
		t.Helper()
		return q.ask(t, "GET", "/_security/_authenticate", credential, "", header...)
	}
	identity := map[string]any{
		"username": "alice", "roles": []any{"monitors"}, "full_name": nil, "email": nil, "metadata": map[string]any{"pki_dn": "CN=alice,O=Example"}, "enabled": true,
		"authentication_realm": certs, "lookup_realm": certs, "authentication_type": "realm",
	}
	shown := with(alice)
	who(shown, "").wants(t, http.StatusOK, identity)
	shown.ask(t, "GET", "/_cluster/health", "", "").wants(t, http.StatusOK, nil)
	who(shown, basic("plain:plain-password")).wants(t, http.StatusOK, map[string]any{"username": "plain"})
	who(shown, basic("plain:wrong")).refuses(t, kerberosChallenges[1:])
	who(shown, "Strange x").wants(t, http.StatusOK, map[string]any{"username": "alice"})
	who(nobody, "").refuses(t, kerberosChallenges[1:])
	who(shown, "", "es-security-runas-user", "plain").wants(t, http.StatusForbidden, nil)
	who(with(must(other.Client(pkix.Name{CommonName: "alice"}, nil))), "").refuses(t, kerberosChallenges[1:]) // the listener trusts it, the realm does not
	stranger := with(must(foreign.Client(pkix.Name{CommonName: "alice"}, nil)))
	if resp, err := stranger.client.Get(p.url + "/"); err == nil {
		t.Errorf("a certificate of an authority that nobody trusts got %s", resp.Status)
		resp.Body.Close()
	}
	nobody.ask(t, "DELETE", "/_security/role_mapping/people", basic(elastic), "").wants(t, http.StatusOK, nil)
	who(shown, "").wants(t, http.StatusOK, map[string]any{"roles": []any{}})
	nobody.ask(t, "PUT", "/_security/role_mapping/people", basic(elastic), `{"roles":["monitors"],"enabled":true,"rules":{"field":{"username":"alice"}}}`).wants(t, http.StatusOK, nil)

	chain := func(certs ...*x509.Certificate) string {
		var texts []string
		for _, c := range certs {
			texts = append(texts, base64.StdEncoding.EncodeToString(c.Raw))
		}
		text, err := json.Marshal(map[string]any{"x509_certificate_chain": texts})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	delegate := func(credential, body string) answer {
		t.Helper()
		return nobody.ask(t, "POST", "/_security/delegate_pki", credential, body)
	}
	proxy := basic("proxy:proxy-password")
	t.Run("delegation", func(t *testing.T) {
		between := must(ca.Authority("between"))
		below := must(between.Client(pkix.Name{CommonName: "alice"}, nil))
		for name, body := range map[string]string{
			"one": chain(alice.Certificate), "with its authority": chain(alice.Certificate, ca.Certificate), "with one between": chain(below.Chain()...),
		} {
			made := delegate(proxy, body)
			made.wants(t, http.StatusOK, map[string]any{"type": "Bearer", "expires_in": 1200.0, "refresh_token": nil})
			auth, _ := made.body["authentication"].(map[string]any)
			metadata, _ := auth["metadata"].(map[string]any)
			if auth["username"] != "alice" || !reflect.DeepEqual(auth["authentication_realm"], certs) || metadata["pki_delegated_by_user"] != "proxy" || metadata["pki_delegated_by_realm"] != "default_native" {
				t.Errorf("%s: %s", name, made.text)
			}
			token, _ := made.body["access_token"].(string)
			who(nobody, "Bearer "+token).wants(t, http.StatusOK, map[string]any{"username": "alice", "roles": []any{"monitors"}, "authentication_type": "token", "metadata": auth["metadata"]})
			invalidated := nobody.ask(t, "DELETE", "/_security/oauth2/token", basic(elastic), `{"token":"`+token+`"}`)
			invalidated.wants(t, http.StatusOK, nil)
			who(nobody, "Bearer "+token).wants(t, http.StatusUnauthorized, nil)
		}
	})
	t.Run("delegation that is refused", func(t *testing.T) {
		good := chain(alice.Certificate)
		many := make([]*x509.Certificate, 21)
		for i := range many {
			many[i] = ca.Certificate
		}
		for _, tt := range []struct {
			name, credential, body string
			status                 int
			says                   string
		}{
			{"no credential", "", good, 401, "missing authentication credentials"},
			{"no privilege", basic("plain:plain-password"), good, 403, "[delegate_pki,all]"},
			{"manage_security is not enough", basic("manager:manager-password"), good, 403, "[delegate_pki,all]"},
			{"a wrong password", basic("proxy:wrong"), good, 401, "proxy"},
			{"no body", proxy, "", 400, "request body is required"},
			{"no chain", proxy, `{}`, 400, "[x509_certificate_chain] is required"},
			{"an empty chain", proxy, `{"x509_certificate_chain":[]}`, 400, "[x509_certificate_chain] is required"},
			{"an empty chain, by who may not", basic("plain:plain-password"), `{"x509_certificate_chain":[]}`, 400, "[x509_certificate_chain] is required"},
			{"no Base64", proxy, `{"x509_certificate_chain":["-"]}`, 400, "certificate 1 is not Base64"},
			{"no certificate", proxy, `{"x509_certificate_chain":["AAAA"]}`, 400, "certificate 1 is no X.509 certificate"},
			{"a number", proxy, `{"x509_certificate_chain":[1]}`, 400, "x509_certificate_chain"},
			{"another field", proxy, `{"chain":[]}`, 400, "unknown field [chain]"},
			{"not in order", proxy, chain(ca.Certificate, alice.Certificate), 400, "must be ordered"},
			{"too long", proxy, chain(many...), 400, "more than 20"},
			{"of another authority", proxy, chain(must(other.Client(pkix.Name{CommonName: "alice"}, nil)).Certificate), 401, "unable to authenticate the certificate chain"},
		} {
			t.Run(tt.name, func(t *testing.T) {
				a := delegate(tt.credential, tt.body)
				a.wants(t, tt.status, nil)
				if !strings.Contains(a.text, tt.says) {
					t.Errorf("got %s, want it to say %q", a.text, tt.says)
				}
			})
		}
	})
}
