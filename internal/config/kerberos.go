package config

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

const kerberosRealm = realms + "kerberos.*."

// Kerberos is xpack.security.authc.realms.kerberos. There is one such realm at most.
type Kerberos struct {
	Enabled             bool // then Name and Keytab are set
	Name                string
	Order               int    // realms are asked in ascending order
	Keytab              string // absolute, or relative to the working directory
	RemoveRealmName     bool   // alice@EXAMPLE.ORG is alice
	AuthorizationRealms []string
	Debug               bool // the log tells why tickets are refused
}

var kerberosSettings = []setting{
	{kerberosRealm + "enabled", "true", "", "boolean", "Whether tickets are accepted. `*` is the name of the realm; any setting of it makes the realm, of which there is one at most.", boolean(func(c *Config) *bool { return &c.Kerberos.Enabled })},
	{kerberosRealm + "order", "", "none; must be given", "whole number", "Realms are asked in ascending order, and no two have the same.", number(func(c *Config) *int { return &c.Kerberos.Order }, -1<<31, 1<<31-1)},
	{kerberosRealm + "keytab.path", "", "none; must be given", "keytab file", "The keys of the service, `HTTP/` and the name by which clients reach it. A relative path begins at the folder of `latchkey.yml`; a file that changes is read again.", text(func(c *Config) *string { return &c.Kerberos.Keytab })},
	{kerberosRealm + "remove_realm_name", "false", "", "boolean", "Whether the user of the principal `alice@EXAMPLE.ORG` is `alice`. When false it is the whole principal.", boolean(func(c *Config) *bool { return &c.Kerberos.RemoveRealmName })},
	{kerberosRealm + "authorization_realms", "", "", "list of names of realms", "Where the roles come from: whoever shows a ticket must be a user of the same name in one of these realms (`reserved`, or the native one), and has that user's roles, full name, e-mail and metadata. Without it, a ticket brings no roles.", list(func(c *Config) *[]string { return &c.Kerberos.AuthorizationRealms }, nil)},
	{kerberosRealm + "krb.debug", "false", "", "boolean", "Whether the log tells why a ticket is refused. Clients are not told.", boolean(func(c *Config) *bool { return &c.Kerberos.Debug })},
	{kerberosRealm + "cache.ttl", "20m", "", "duration; 0 is off", "Accepted without effect: each ticket is judged, and users of other realms are in the caches of those.", duration(func(*Config) *time.Duration { return new(time.Duration) }, zeroIsOff)},
	{kerberosRealm + "cache.max_users", "100000", "", "whole number above 0", "As `cache.ttl`.", number(func(*Config) *int { return new(int) }, 1, 100_000_000)},
}

// checkKerberos completes the Kerberos realm. The native one has its name already.
func (l *loader) checkKerberos(c *Config, given layer) {
	k := &c.Kerberos
	if k.Name == "" {
		*k = Kerberos{}
		return
	}
	complain := func(key, format string, args ...any) {
		name := strings.Replace(kerberosRealm, "*", k.Name, 1) + key
		l.mistakes = append(l.mistakes, strings.TrimPrefix(given[name].origin+": ", ": ")+name+": "+fmt.Sprintf(format, args...))
	}
	has := func(key string) bool { _, ok := given[strings.Replace(kerberosRealm, "*", k.Name, 1)+key]; return ok }
	if !k.Enabled {
		return
	}
	if k.Name == c.Native.Name || k.Name == "reserved" {
		complain("enabled", "another realm is called %s; give this one a name of its own", k.Name)
	}
	native, ordered := given[strings.Replace(realm, "*", c.Native.Name, 1)+"order"]
	switch {
	case !has("order"):
		complain("order", "must be given; write a whole number that no other realm has")
	case ordered && c.Native.Enabled && k.Order == c.Native.Order:
		complain("order", "is that of the native realm, too (%s); write another", native.origin)
	}
	if k.Keytab == "" {
		complain("keytab.path", "must be given; write the file that holds the keys of the service")
	} else if !filepath.IsAbs(k.Keytab) {
		k.Keytab = filepath.Join(c.Dir, k.Keytab)
	}
	l.checkLenders(c, given, "kerberos", k.Name, k.AuthorizationRealms)
}
