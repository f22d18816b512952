package config

import (
	"crypto/tls"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

const (
	ldapType            = "ldap"
	activeDirectoryType = "active_directory"
)

func init() {
	realmChecks[ldapType] = checkLDAP
	realmChecks[activeDirectoryType] = checkActiveDirectory
}

var ldapSettings = realmSettings(ldapType, slices.Concat([]realmSetting{
	{"url", "", "none; must be given", "list of addresses", "The servers: `ldap://host:port`, or `ldaps://host:port` for TLS, all of one kind. The port may be left out.", asList(directoryOK)},
	{"bind_dn", "", "", "distinguished name", "Who looks for users and groups. Without it, nobody in particular does.", asText},
	{"user_search.base_dn", "", "this or `user_dn_templates` must be given", "distinguished name", "Where users are looked for. Who is found logs in with their own name and password; others can run as them, and lend their roles.", asText},
	{"user_search.scope", "sub_tree", "", "sub_tree, one_level or base", "How far below that.", asScope},
	{"user_search.filter", "(uid={0})", "", "LDAP filter", "Which entry is the user's; `{0}` is the username.", asFilter},
	{"user_dn_templates", "", "", "list of distinguished names", "In place of a search: the names of the entries that a user may have, with `{0}` in place of the username. A name that holds a comma is written in quotes, as an item of a list.", asNames},
	{"user_group_attribute", "memberOf", "", "name of an attribute", "The attribute of the user that names the groups. It counts without `group_search.base_dn`.", asText},
	{"user_full_name_attribute", "cn", "", "name of an attribute", "The full name of the user.", asText},
	{"user_email_attribute", "mail", "", "name of an attribute", "The e-mail address of the user.", asText},
	{"group_search.base_dn", "", "", "distinguished name", "Where groups are looked for.", asText},
	{"group_search.scope", "sub_tree", "", "sub_tree, one_level or base", "How far below that.", asScope},
	{"group_search.filter", "(|(&(objectClass=groupOfNames)(member={0}))(&(objectClass=groupOfUniqueNames)(uniqueMember={0}))(&(objectClass=group)(member={0}))(&(objectClass=posixGroup)(memberUid={0})))", "groups of the usual kinds that have the user as a member", "LDAP filter", "Which groups are the user's; `{0}` is the user's distinguished name, or the value of `group_search.user_attribute`.", asFilter},
	{"group_search.user_attribute", "", "", "name of an attribute", "The attribute of the user that groups name their members by.", asText},
}, directorySettings))

var activeDirectorySettings = realmSettings(activeDirectoryType, slices.Concat([]realmSetting{
	{"domain_name", "", "none; must be given", "name of a domain", "The domain, as in `example.org`. Users log in as `name`, `name@domain` or `DOMAIN\\name`.", asText},
	{"url", "", "`ldap://` and the domain", "list of addresses", "The servers: `ldap://host:port`, or `ldaps://host:port` for TLS, all of one kind. The port may be left out.", asList(directoryOK)},
	{"bind_dn", "", "", "distinguished name or name@domain", "Who looks for users and groups. Without it users look for themselves when they log in; then nobody can run as them, and they lend nobody their roles.", asText},
	{"user_search.base_dn", "", "the domain", "distinguished name", "Where users are looked for.", asText},
	{"user_search.scope", "sub_tree", "", "sub_tree, one_level or base", "How far below that.", asScope},
	{"user_search.filter", "(&(objectClass=user)(|(sAMAccountName={0})(userPrincipalName={1})))", "", "LDAP filter", "Which entry is that of `name`: `{0}` is the name, `{1}` is `name@domain`.", asFilter},
	{"user_search.upn_filter", "(&(objectClass=user)(userPrincipalName={1}))", "", "LDAP filter", "Which entry is that of `name@domain`: `{0}` is the name, `{1}` is all of it.", asFilter},
	{"user_search.down_level_filter", "(&(objectClass=user)(sAMAccountName={0}))", "", "LDAP filter", "Which entry is that of `DOMAIN\\name`: `{0}` is the name.", asFilter},
	{"user_full_name_attribute", "cn", "", "name of an attribute", "The full name of the user.", asText},
	{"user_email_attribute", "mail", "", "name of an attribute", "The e-mail address of the user.", asText},
	{"group_search.base_dn", "", "the domain", "distinguished name", "Where groups are looked for.", asText},
	{"group_search.scope", "sub_tree", "", "sub_tree, one_level or base", "How far below that.", asScope},
}, directorySettings))

// directorySettings are of all realms of directories.
var directorySettings = slices.Concat([]realmSetting{
	{"secure_bind_password", "", "", "secret", "The password of `bind_dn`.", asSecret},
	{"bind_password", "", "", "secret", "The older name of `secure_bind_password`.", asSecret},
	{"user_search.pool.enabled", "true", "", "boolean", "Whether connections are kept for their next use.", asBool},
	{"user_search.pool.size", "20", "", "whole number above 0", "How many connections look for users and groups at most, and how many log users in.", asNumber(1, 10_000)},
	{"user_search.pool.initial_size", "0", "", "whole number", "Accepted without effect: connections are made when they are needed.", asNumber(0, 10_000)},
	{"user_search.pool.health_check.enabled", "true", "", "boolean", "Whether a connection that was idle for long is tried before it is used.", asBool},
	{"user_search.pool.health_check.dn", "", "that of `bind_dn`", "distinguished name", "The entry that is read to try it.", asText},
	{"user_search.pool.health_check.interval", "60s", "", "duration above 0", "What long means.", asDuration(aboveZero)},
	{"metadata", "", "", "list of attributes", "Attributes of the user that become metadata, beside `ldap_dn` and `ldap_groups`.", asList(nil)},
	{"follow_referrals", "true", "", "boolean", "Whether a search goes on at other servers that a server names. They are told the same password, and a server with TLS leads to such with TLS only.", asBool},
	{"load_balance.type", "failover", "", "failover, round_robin, dns_failover or dns_round_robin", "Which server a new connection goes to: the last one that answered, or the next in turn. The latter two take one `url`, and the addresses of its host are the servers.", asOneOf("failover", "round_robin", "dns_failover", "dns_round_robin")},
	{"load_balance.cache_ttl", "1h", "", "duration", "How long such addresses are kept.", asDuration(zeroIsOff)},
	{"timeout.tcp_connect", "5s", "", "duration above 0", "How long a connection may take to open, TLS included.", asDuration(aboveZero)},
	{"timeout.response", "", "that of `timeout.ldap_search`", "duration above 0", "How long a server may take to answer.", asDuration(aboveZero)},
	{"timeout.tcp_read", "", "", "duration above 0", "The older name of `timeout.response`.", asDuration(aboveZero)},
	{"timeout.ldap_search", "5s", "", "duration above 0", "How long a server may take for a search, in whole seconds.", asDuration(aboveZero)},
	{"authentication.enabled", "true", "", "boolean", "When false, the realm's users cannot log in and serve as targets of run-as only.", asBool},
	{"cache.ttl", "20m", "", "duration; 0 is off", "How long the directory is not asked again about a user who logged in or was looked up. Until then a change there may go unnoticed; roles are those of the moment in any case.", asDuration(zeroIsOff)},
	{"cache.max_users", "100000", "", "whole number above 0", "How many users are kept like that.", asNumber(1, 100_000_000)},
	{"cache.hash_algo", "ssha256", "", "name of a hash", "Accepted; the cache holds salted SHA-256 digests, whatever it says.", asText},
	{"unmapped_groups_as_roles", "false", "", "boolean", "Whether the names of groups that the file of `files.role_mapping` does not mention are roles.", asBool},
}, dnSettings, clientTLSSettings)

// dnSettings are of all realms whose users have distinguished names.
var dnSettings = []realmSetting{
	{"files.role_mapping", "role_mapping.yml", "", "YAML file", "Roles, each with the list of distinguished names that have it. They count beside the role mappings of the API. A relative path begins at the folder of `latchkey.yml`; the file need not exist, and is read again when it changes.", asText},
	{"authorization_realms", "", "", "list of names of realms", "Where the roles come from: the user has to have the same name in one of these realms, and has that user's roles, full name, e-mail and metadata. Without it, role mappings say what the user may do.", asList(nil)},
}

// trustSettings say whose certificates count.
var trustSettings = func(prefix string) []realmSetting {
	return []realmSetting{
		{prefix + "certificate_authorities", "", "", "list of PEM files", "Whose certificates are trusted. Relative paths begin at the folder of `latchkey.yml`; files that change are read again.", asList(nil)},
		{prefix + "truststore.path", "", "", "PKCS#12 file", "As `certificate_authorities`.", asText},
		{prefix + "truststore.secure_password", "", "", "secret", "Opens the truststore.", asSecret},
		{prefix + "truststore.password", "", "", "secret", "The older name of `truststore.secure_password`.", asSecret},
		{prefix + "truststore.type", "PKCS12", "", "PKCS12", "The form of the truststore.", asStoreType},
	}
}

// clientTLSSettings are for connections to servers with TLS.
var clientTLSSettings = slices.Concat(trustSettings("ssl."), []realmSetting{
	{"ssl.verification_mode", "full", "", "full, certificate or none", "How the certificate of a server is checked: with the name of the server, without it, or not at all.", asOneOf("full", "certificate", "none")},
	{"ssl.certificate", "", "", "PEM file", "The certificate that is shown to servers which ask for one.", asText},
	{"ssl.key", "", "", "PEM file", "Its private key.", asText},
	{"ssl.secure_key_passphrase", "", "", "secret", "Opens an encrypted key.", asSecret},
	{"ssl.key_passphrase", "", "", "secret", "The older name of `ssl.secure_key_passphrase`.", asSecret},
	{"ssl.keystore.path", "", "", "PKCS#12 file", "Certificate and key in one file.", asText},
	{"ssl.keystore.secure_password", "", "", "secret", "Opens the keystore.", asSecret},
	{"ssl.keystore.password", "", "", "secret", "The older name of `ssl.keystore.secure_password`.", asSecret},
	{"ssl.keystore.type", "PKCS12", "", "PKCS12", "The form of the keystore.", asStoreType},
	{"ssl.supported_protocols", "TLSv1.3,TLSv1.2", "", "list of TLSv1.2, TLSv1.3", "The protocol versions spoken.", asTLS(setProtocols)},
	{"ssl.cipher_suites", "", "the safe ones", "list of names", "The cipher suites of TLS 1.2; those of TLS 1.3 are always on.", asTLS(setCipherSuites)},
})

var asScope = asOneOf("sub_tree", "one_level", "base")

func asStoreType(v value) (any, error) { return v.text, storeType(nil, v) }

func asTLS(set func(*Config, value) error) keep {
	return func(v value) (any, error) {
		var c Config
		err := set(&c, v)
		return c.TLS, err
	}
}

func asFilter(v value) (any, error) {
	s, err := asText(v)
	if err == nil && (!strings.HasPrefix(s.(string), "(") || !strings.HasSuffix(s.(string), ")")) {
		err = fmt.Errorf("%q is no filter; write it in parentheses, as in (uid={0})", s)
	}
	return s, err
}

// asNames takes distinguished names. One text is one name, since names have commas.
func asNames(v value) (any, error) {
	if !v.isList {
		v.items, v.isList = []string{v.text}, true
	}
	return asList(func(s string) error {
		if !strings.Contains(s, "{0}") {
			return fmt.Errorf("%q has no {0}, where the username goes", s)
		}
		return nil
	})(v)
}

func directoryOK(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "ldap" && u.Scheme != "ldaps" || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%q is no server; write it as in ldaps://ldap.example.org:636", s)
	}
	return nil
}

func checkLDAP(k realmCheck) {
	k.need("url")
	switch search, templates := k.r.Has("user_search.base_dn"), k.r.Has("user_dn_templates"); {
	case search && templates:
		k.complain("user_dn_templates", "cannot stand beside user_search.base_dn; write one of the two")
	case !search && !templates:
		k.complain("user_search.base_dn", "or user_dn_templates must be given")
	case templates && k.r.Has("bind_dn"):
		k.complain("bind_dn", "has no effect beside user_dn_templates: users look for their groups themselves; remove one of the two")
	}
	k.checkDirectory()
}

func checkActiveDirectory(k realmCheck) {
	k.need("domain_name")
	domain := k.r.Text("domain_name")
	if !k.r.Has("url") {
		k.r.values["url"] = []string{"ldap://" + domain}
	}
	root := "DC=" + strings.Join(strings.Split(domain, "."), ",DC=")
	for _, key := range []string{"user_search.base_dn", "group_search.base_dn"} {
		if !k.r.Has(key) {
			k.r.values[key] = root
		}
	}
	k.checkDirectory()
}

// checkDirectory looks at what all realms of directories have.
func (k realmCheck) checkDirectory() {
	urls := k.r.List("url")
	for _, u := range urls[min(1, len(urls)):] {
		if strings.HasPrefix(u, "ldaps:") != strings.HasPrefix(urls[0], "ldaps:") {
			k.complain("url", "mixes ldap:// and ldaps://; write one kind only")
			break
		}
	}
	if balance := k.r.Text("load_balance.type"); strings.HasPrefix(balance, "dns_") && len(urls) > 1 {
		k.complain("load_balance.type", "%s takes one url, whose host has several addresses", balance)
	}
	for _, text := range urls {
		if u, err := url.Parse(text); err == nil && u.Scheme == "ldap" && !Loopback(u.Hostname()) {
			k.c.Warnings = append(k.c.Warnings, fmt.Sprintf("passwords of the realm %s cross the network in clear on their way to %s; write ldaps:// if the server speaks TLS", k.r.Name, text))
		}
	}
	k.older("bind_password", "secure_bind_password")
	k.older("timeout.tcp_read", "timeout.response")
	if !k.r.Has("timeout.response") {
		k.r.values["timeout.response"] = k.r.values["timeout.ldap_search"]
	}
	if k.r.Has("secure_bind_password") != k.r.Has("bind_dn") {
		if k.r.Has("bind_dn") {
			k.complain("secure_bind_password", "must be given beside bind_dn: servers take a login without a password for nobody's")
		} else {
			k.complain("secure_bind_password", "is the password of bind_dn, which is not given")
		}
	}
	k.checkFiles()
	k.checkTrust("ssl.")
	k.older("ssl.key_passphrase", "ssl.secure_key_passphrase")
	k.older("ssl.keystore.password", "ssl.keystore.secure_password")
	if k.r.Has("ssl.certificate") != k.r.Has("ssl.key") {
		k.complain("ssl.certificate", "and ssl.key are given together or not at all")
	}
	if k.r.Has("ssl.certificate") && k.r.Has("ssl.keystore.path") {
		k.complain("ssl.keystore.path", "cannot stand beside ssl.certificate; write one of the two")
	}
	k.absolute("ssl.certificate", "ssl.key", "ssl.keystore.path")
}

// finds reports whether users of the realm can be found by name alone.
func (r *Realm) finds() bool {
	return !r.Has("user_dn_templates") && (r.Type != activeDirectoryType || r.Has("bind_dn"))
}

// checkTrust completes [trustSettings].
func (k realmCheck) checkTrust(prefix string) {
	k.older(prefix+"truststore.password", prefix+"truststore.secure_password")
	if k.r.Has(prefix+"certificate_authorities") && k.r.Has(prefix+"truststore.path") {
		k.complain(prefix+"truststore.path", "cannot stand beside %scertificate_authorities; write one of the two", prefix)
	}
	k.absolute(prefix + "truststore.path")
	for i, path := range k.r.List(prefix + "certificate_authorities") {
		k.r.List(prefix + "certificate_authorities")[i] = k.locate(path)
	}
}

func (k realmCheck) checkFiles() {
	k.absolute("files.role_mapping")
}

// absolute has paths begin at the folder of the settings file.
func (k realmCheck) absolute(keys ...string) {
	for _, key := range keys {
		if path := k.r.Text(key); path != "" {
			k.r.values[key] = k.locate(path)
		}
	}
}

// older takes the value of a setting's older name.
func (k realmCheck) older(old, name string) {
	switch {
	case !k.r.Has(old):
	case k.r.Has(name):
		k.complain(old, "is the older name of %s, which is given too; keep one", name)
	default:
		k.r.values[name] = k.r.values[old]
	}
}

// TLS is the settings of connections to servers, or of whom to trust, whose names
// begin with prefix.
func (r *Realm) TLS(prefix string) TLS {
	t := TLS{
		CertificateAuthorities: r.List(prefix + "certificate_authorities"),
		Truststore:             Keystore{r.Text(prefix + "truststore.path"), r.Secret(prefix + "truststore.secure_password")},
		Certificate:            r.Text(prefix + "certificate"), Key: r.Text(prefix + "key"), KeyPassphrase: r.Secret(prefix + "secure_key_passphrase"),
		Keystore:   Keystore{r.Text(prefix + "keystore.path"), r.Secret(prefix + "keystore.secure_password")},
		MinVersion: tls.VersionTLS12,
	}
	if p, ok := r.values[prefix+"supported_protocols"].(TLS); ok {
		t.MinVersion, t.MaxVersion = p.MinVersion, p.MaxVersion
	}
	if p, ok := r.values[prefix+"cipher_suites"].(TLS); ok {
		t.CipherSuites = p.CipherSuites
	}
	return t
}
