package config

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	corp  = "xpack.security.authc.realms.ldap.corp."
	ad    = "xpack.security.authc.realms.active_directory.ad."
	certs = "xpack.security.authc.realms.pki.certs."
)

// theRealm is the one realm of a type.
func theRealm(t *testing.T, c *Config, kind string) *Realm {
	t.Helper()
	i := slices.IndexFunc(c.Realms, func(r *Realm) bool { return r.Type == kind })
	if i < 0 {
		t.Fatalf("there is no realm of type %s: %v", kind, c.Realms)
	}
	return c.Realms[i]
}

func TestDirectories(t *testing.T) {
	dir := t.TempDir()
	c, err := Load(Sources{Dir: dir, Overrides: []string{
		corp + "order=2", corp + "url=ldaps://one.example.org,ldaps://two.example.org:1636", corp + "user_search.base_dn=dc=example,dc=org",
		corp + "bind_dn=cn=search,dc=example,dc=org", corp + "bind_password=bind-secret", corp + "timeout.ldap_search=7s", corp + "ssl.certificate_authorities=ca.pem", corp + "ssl.supported_protocols=TLSv1.3",
		ad + "order=3", ad + "domain_name=ad.example.org", ad + "timeout.tcp_read=3s", ad + "authorization_realms=corp",
		certs + "order=4", certs + "certificate_authorities=/etc/ca.pem", certs + "delegation.enabled=true", certs + "username_rdn_oid=2.5.4.3",
	}})
	if err != nil {
		t.Fatal(err)
	}
	r := theRealm(t, c, "ldap")
	if got := r.Secret("secure_bind_password").Reveal(); got != "bind-secret" {
		t.Errorf("the older name gave %q", got)
	}
	if r.Duration("timeout.response") != 7*time.Second || r.Text("user_search.filter") != "(uid={0})" || r.Text("load_balance.type") != "failover" || r.Duration("cache.ttl") != 20*time.Minute || !r.Bool("follow_referrals") {
		t.Errorf("got %v", r.values)
	}
	if got, want := r.Text("files.role_mapping"), filepath.Join(dir, "role_mapping.yml"); got != want {
		t.Errorf("got the file %q, want %q", got, want)
	}
	tls := r.TLS("ssl.")
	if want := filepath.Join(dir, "ca.pem"); !slices.Equal(tls.CertificateAuthorities, []string{want}) || tls.MinVersion != tls.MaxVersion {
		t.Errorf("got %+v", tls)
	}
	r = theRealm(t, c, "active_directory")
	if !slices.Equal(r.List("url"), []string{"ldap://ad.example.org"}) || r.Text("user_search.base_dn") != "DC=ad,DC=example,DC=org" || r.Text("group_search.base_dn") != "DC=ad,DC=example,DC=org" || r.Duration("timeout.response") != 3*time.Second {
		t.Errorf("got %v", r.values)
	}
	if !slices.ContainsFunc(c.Warnings, func(w string) bool { return strings.Contains(w, "in clear on their way to ldap://ad.example.org") }) || len(c.Warnings) != 1 {
		t.Errorf("got the warnings %q", c.Warnings)
	}
	r = theRealm(t, c, "pki")
	if !slices.Equal(r.TLS("").CertificateAuthorities, []string{"/etc/ca.pem"}) || r.OID("username_rdn_oid").String() != "2.5.4.3" || r.Pattern("username_pattern") != nil {
		t.Errorf("got %v", r.values)
	}
}

func TestTemplatesOfNames(t *testing.T) {
	for _, file := range []string{
		corp + "user_dn_templates: \"uid={0},ou=people,dc=example\"",
		corp + "user_dn_templates: [\"uid={0},ou=people,dc=example\"]",
	} {
		c := mustLoad(t, file+"\n"+corp+"order: 1\n"+corp+"url: ldap://127.0.0.1\n", nil, nil)
		if got := theRealm(t, c, "ldap").List("user_dn_templates"); !slices.Equal(got, []string{"uid={0},ou=people,dc=example"}) {
			t.Errorf("%s: got %q", file, got)
		}
	}
}

func TestMistakesOfDirectories(t *testing.T) {
	base := map[string][]string{
		corp:  {"order=2", "url=ldaps://one", "user_search.base_dn=dc=x"},
		ad:    {"order=3", "domain_name=example.org", "url=ldaps://one"},
		certs: {"order=4", "certificate_authorities=/ca.pem", "delegation.enabled=true"},
	}
	tests := []struct {
		name, realm string
		set         []string // in place of what base has of the same name; "" takes it away
		want        string
	}{
		{"no order", corp, []string{"order="}, corp + "order: must be given"},
		{"no server", corp, []string{"url="}, corp + "url: must be given"},
		{"another protocol", corp, []string{"url=http://one"}, "write it as in ldaps://"},
		{"a password in the address", corp, []string{"url=ldaps://u:p@one"}, "is no server"},
		{"a name in the address", corp, []string{"url=ldaps://one/dc=x"}, "is no server"},
		{"two protocols", corp, []string{"url=ldaps://one,ldap://two"}, corp + "url: mixes"},
		{"several servers for one name", corp, []string{"url=ldaps://one,ldaps://two", "load_balance.type=dns_failover"}, "dns_failover takes one url"},
		{"an unknown choice of server", corp, []string{"load_balance.type=random"}, `"random" is none of failover, round_robin, dns_failover, dns_round_robin`},
		{"nowhere to look", corp, []string{"user_search.base_dn="}, corp + "user_search.base_dn: or user_dn_templates must be given"},
		{"two ways to look", corp, []string{"user_dn_templates=uid={0}"}, "cannot stand beside user_search.base_dn"},
		{"templates and somebody who looks", corp, []string{"user_search.base_dn=", "user_dn_templates=uid={0}", "bind_dn=cn=x", "secure_bind_password=x"}, corp + "bind_dn: has no effect beside user_dn_templates"},
		{"a template without a place", corp, []string{"user_dn_templates=uid=x"}, "has no {0}"},
		{"a filter that is none", corp, []string{"user_search.filter=uid={0}"}, "write it in parentheses"},
		{"a scope that is none", corp, []string{"user_search.scope=tree"}, `"tree" is none of sub_tree, one_level, base`},
		{"no password", corp, []string{"bind_dn=cn=x"}, corp + "secure_bind_password: must be given beside bind_dn"},
		{"a password of nobody", corp, []string{"secure_bind_password=hidden"}, corp + "secure_bind_password: is the password of bind_dn, which is not given"},
		{"two passwords", corp, []string{"bind_dn=cn=x", "secure_bind_password=x", "bind_password=y"}, corp + "bind_password: is the older name of secure_bind_password"},
		{"a key without a certificate", corp, []string{"ssl.key=x"}, "ssl.certificate: and ssl.key are given together"},
		{"a Java truststore", corp, []string{"ssl.truststore.type=jks"}, "a Java keystore (jks) cannot be read"},
		{"an old protocol", corp, []string{"ssl.supported_protocols=TLSv1"}, "is not spoken"},
		{"two lists of authorities", corp, []string{"ssl.truststore.path=x", "ssl.certificate_authorities=y"}, "ssl.truststore.path: cannot stand beside ssl.certificate_authorities"},
		{"an unknown key", corp, []string{"user_search.bas_dn=x"}, `a ldap realm has no "user_search.bas_dn"; did you mean [user_search.base_dn]?`},
		{"no domain", ad, []string{"domain_name="}, ad + "domain_name: must be given"},
		{"roles of a realm without look-ups", corp, []string{"authorization_realms=ad"}, `there is no realm "ad" whose users could be looked up`},
		{"roles of the realm itself", corp, []string{"authorization_realms=corp"}, `there is no realm "corp" whose users could be looked up`},
		{"nobody shows certificates", certs, []string{"delegation.enabled="}, certs + "enabled: needs clients that show certificates"},
		{"nobody is trusted", certs, []string{"certificate_authorities="}, certs + "delegation.enabled: needs certificate_authorities"},
		{"a pattern without a group", certs, []string{"username_pattern=CN=.*"}, "has no group"},
		{"a pattern that is none", certs, []string{"username_pattern=("}, certs + "username_pattern: error parsing regexp"},
		{"a pattern and an attribute", certs, []string{"username_pattern=CN=(.*)", "username_rdn_name=UID"}, "cannot stand beside another way to find the username"},
		{"an attribute that is none", certs, []string{"username_rdn_oid=2.x"}, "is no number of an attribute"},
		{"an attribute of one number", certs, []string{"username_rdn_oid=2"}, "is no number of an attribute"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var set []string
			for realm, lines := range base {
				if realm != tt.realm {
					for _, line := range lines {
						set = append(set, realm+line)
					}
				}
			}
			for _, line := range append(slices.Clone(base[tt.realm]), tt.set...) {
				key, value, _ := strings.Cut(line, "=")
				set = slices.DeleteFunc(set, func(s string) bool { return strings.HasPrefix(s, tt.realm+key+"=") })
				if value != "" {
					set = append(set, tt.realm+line)
				}
			}
			_, err := load(t, "", nil, set)
			if mistakes, ok := errors.AsType[Mistakes](err); !ok || !strings.Contains(mistakes.Error(), tt.want) || strings.Contains(mistakes.Error(), "hidden") {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
	var set []string
	for realm, lines := range base {
		for _, line := range lines {
			set = append(set, realm+line)
		}
	}
	mustLoad(t, "", nil, set)
}
