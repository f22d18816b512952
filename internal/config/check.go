package config

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

const ssl = "xpack.security.http.ssl."

// check looks at settings together, and completes those that follow from others.
func (l *loader) check(c *Config, given layer) {
	_, chosen := given["http.compression"]
	if !chosen {
		c.HTTP.Compression = !c.TLS.Enabled
	}
	if !c.Reserved.BootstrapPassword.IsZero() && !c.Reserved.PasswordHash.IsZero() {
		c.Warnings = append(c.Warnings, "autoconfiguration.password_hash has no effect beside bootstrap.password")
	}
	l.checkRealm(realm, &c.Native.Name, given)
	l.checkRealm(kerberosRealm, &c.Kerberos.Name, given)
	l.checkRealms(c, given)
	l.checkKerberos(c, given)
	l.checkTLS(&c.TLS, given)
	l.checkFleet(c, given)
	c.TLS.locate(c.Dir)
}

// checkRealm finds the name of the one realm of its kind. Until it has one from
// the operator it has that of the preset.
func (l *loader) checkRealm(of string, name *string, given layer) {
	preset := *name
	for _, full := range slices.Sorted(maps.Keys(given)) {
		if !strings.HasPrefix(full, strings.TrimSuffix(of, "*.")) {
			continue
		}
		_, star := find(full)
		switch {
		case star == *name:
		case strings.HasPrefix(star, "_"):
			l.mistakes = append(l.mistakes, given[full].origin+": "+full+": names of realms that begin with an underscore are latchkey's own")
		case *name != preset:
			l.mistakes = append(l.mistakes, given[full].origin+": "+full+": there is one "+realmType(of)+" realm, and it is called "+*name+" already")
		default:
			*name = star
		}
	}
}

func (l *loader) checkTLS(t *TLS, given layer) {
	complain := func(name, problem string) {
		l.mistakes = append(l.mistakes, strings.TrimPrefix(given[ssl+name].origin+": ", ": ")+ssl+name+": "+problem)
	}
	has := func(name string) bool { _, ok := given[ssl+name]; return ok }

	for _, old := range []string{"key_passphrase", "keystore.password", "truststore.password"} {
		path, last := "", old
		if i := strings.LastIndex(old, "."); i >= 0 {
			path, last = old[:i+1], old[i+1:]
		}
		if has(old) && has(path+"secure_"+last) {
			complain(old, "is the older name of "+ssl+path+"secure_"+last+", which is given too; keep one")
		}
	}
	if has("certificate") && has("keystore.path") {
		complain("keystore.path", "cannot stand beside certificate; write one of the two")
	}
	if has("certificate") != has("key") {
		present, absent := "certificate", "key"
		if has("key") {
			present, absent = absent, present
		}
		complain(present, "needs "+ssl+absent+" beside it")
	}
	if has("certificate_authorities") && has("truststore.path") {
		complain("truststore.path", "cannot stand beside certificate_authorities; write one of the two")
	}
	if t.ClientAuthentication != ClientNone && len(t.CertificateAuthorities) == 0 && t.Truststore.Path == "" {
		complain("client_authentication", "needs certificate_authorities or truststore.path, against which client certificates are checked")
	}
	if !has("enabled") {
		if i := slices.IndexFunc([]string{"certificate", "key", "keystore.path"}, has); i >= 0 {
			complain("enabled", "is not given, while other settings of TLS are; write true or false")
		}
	}
	if t.Enabled && !has("certificate") && !has("key") && !has("keystore.path") {
		complain("enabled", "needs a certificate; write "+ssl+"certificate and "+ssl+"key, or "+ssl+"keystore.path")
	}
}

// locate reads relative paths as Elasticsearch does: from the settings' folder.
func (t *TLS) locate(dir string) {
	paths := []*string{&t.Certificate, &t.Key, &t.Keystore.Path, &t.Truststore.Path}
	for i := range t.CertificateAuthorities {
		paths = append(paths, &t.CertificateAuthorities[i])
	}
	for _, p := range paths {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
}
