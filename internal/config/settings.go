package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"latchkey/internal/secret"
	"latchkey/internal/xcontent"
)

// DefaultVersion is the release that clients are told unless the operator says
// otherwise: the one whose behaviour latchkey follows.
const DefaultVersion = "9.5.1"

// setting is one line of the table. A name may hold one "*", which stands for
// the name of a realm, or of the role of a policy.
type setting struct {
	name   string
	preset string // parsed like a value that the operator wrote; "" leaves the field alone
	shown  string // describes a default that preset cannot; "" means preset itself
	kind   string // type, unit and range, for people
	effect string
	set    func(*Config, value) error
}

type section struct {
	title    string
	settings []setting
}

const (
	realms = "xpack.security.authc.realms."
	realm  = realms + "native.*."
)

// realmTypes are the types of realms, by their names in settings.
var realmTypes = []string{"native", "kerberos", fileType, jwtType, oidcType, ldapType, activeDirectoryType, pkiType}

// realmNames are the names of settings of realms, up to their keys.
var realmNames = func() []string {
	names := make([]string, len(realmTypes))
	for i, kind := range realmTypes {
		names[i] = realms + kind + ".*."
	}
	return names
}()

// realmType is the type in one of realmNames.
func realmType(of string) string { return strings.TrimSuffix(strings.TrimPrefix(of, realms), ".*.") }

// sections is every setting that does something, in the order in which it is described.
var sections = []section{
	{"Node", []setting{
		{"path.conf", "", "`config`, else `/etc/latchkey`, whichever exists", "folder",
			"Where `latchkey.yml` lies; the file itself may be missing. The environment variables `LATCHKEY_PATH_CONF` and `ES_PATH_CONF` and the flag `--config` set it too.", setElsewhere},
		{"path.data", "data", "", "folder", "Where everything is kept that must survive; a relative path begins at the working directory. It is made if it is missing, and serves one process at a time.", text(func(c *Config) *string { return &c.DataDir })},
		{"latchkey.store.url", "", "the file `latchkey.db` in `path.data`", "URL, which may hold a secret", "The PostgreSQL database (13 or newer, encoding UTF8) in which everything is kept that nodes share: `postgres://USER:PASSWORD@HOST:5432/DATABASE?sslmode=verify-full`. What the URL leaves out is taken from the variables of PostgreSQL's own clients, such as `PGPASSFILE`. `latchkey copy` moves a store there.", setStoreURL},
		{"latchkey.fleet.address", "", "none: other nodes learn of a revocation when they renew their leases", "host:port", "Where the other nodes of the same store reach the HTTP port of this one, to tell it at once what was revoked. It needs `latchkey.fleet.secret`.", setFleetAddress},
		{"latchkey.fleet.secret", "", "", "secret of 32 characters or more", "What the nodes of a fleet prove to each other that they know. The same on all of them.", setFleetSecret},
		{"latchkey.fleet.lease", "10s", "", "duration, 1s to 60s", "How long a node of a store that is shared accepts credentials while it cannot reach the store. It is also about how long the revocations that are under way wait for a node that was lost.", duration(func(c *Config) *time.Duration { return &c.Fleet.Lease }, from1sTo60s)},
		{"latchkey.fleet.grace", "0s", "", "duration, up to 15m; 0 switches it off", "How much longer than its lease a node that cannot reach the store accepts credentials. Such answers have the header `X-Latchkey-Stale`, and are counted. Revocations wait for a lost node so much longer, too.", duration(func(c *Config) *time.Duration { return &c.Fleet.Grace }, upTo15m)},
		{"latchkey.fleet.consistency", "lease", "", "lease or read_index", "What every request relies on to know what was revoked: the lease of its node, or a question to the store, which needs no clock. A request may ask for the latter with the header `X-Latchkey-Consistency: strict`.", setConsistency},
		{"cluster.name", "latchkey", "", "name without a colon", "Shown to clients.", name(func(c *Config) *string { return &c.ClusterName }, ":")},
		{"node.name", "", "the name of the host", "name", "Shown to clients.", name(func(c *Config) *string { return &c.NodeName }, "")},
		{"latchkey.version.number", DefaultVersion, "", "three numbers, from 7.14.0", "The Elasticsearch release that clients are told they speak to. Some switch features on and off by it.", setVersion},
		{"latchkey.shutdown.timeout", "30s", "", "duration above 0", "How long a stopping node waits for requests under way.", duration(func(c *Config) *time.Duration { return &c.ShutdownTimeout }, aboveZero)},
		{"latchkey.log.level", "info", "", "debug, info, warn or error", "What is logged: this level and what is graver.", setLogLevel},
		{"latchkey.log.format", "text", "", "text or json", "The form of a log line.", setLogFormat},
	}},
	{"HTTP", []setting{
		{"network.host", "", "", "as `http.host`", "Used where `http.host` is not given.", list(func(c *Config) *[]string { return &c.HTTP.Hosts }, hostOK)}, // stands before http.host, which wins
		{"http.host", "127.0.0.1", "", "list of addresses or host names, `_local_`, `_site_`, `_global_`", "Where the node listens. `0.0.0.0` is every IPv4 address of the machine and `::` every IPv6 address; for both, write both. `_local_` is its loopback addresses, `_site_` its private ones, `_global_` its public ones.", list(func(c *Config) *[]string { return &c.HTTP.Hosts }, hostOK)},
		{"http.port", "9200-9300", "", "port or range of ports", "The first free port is taken and printed. `0` lets the system choose.", setPorts},
		{"http.publish_host", "", "the address bound", "address or host name", "What clients are told that ask the node for its addresses (sniffing).", text(func(c *Config) *string { return &c.HTTP.PublishHost })},
		{"http.publish_port", "0", "the port bound", "port", "The port that goes with `http.publish_host`.", number(func(c *Config) *int { return &c.HTTP.PublishPort }, 0, 65535)},
		{"http.max_content_length", "100mb", "", "size, 1b to 2gb", "The largest body of a request, after decompression.", size(func(c *Config, n int64) { c.HTTP.MaxContent = n }, "1b", "2gb")},
		{"http.max_header_size", "16kb", "", "size, 1kb to 1mb", "All headers of a request together.", size(func(c *Config, n int64) { c.HTTP.MaxHeader = int(n) }, "1kb", "1mb")},
		{"http.max_initial_line_length", "4kb", "", "size, 128b to 1mb", "The first line of a request: method, path and query.", size(func(c *Config, n int64) { c.HTTP.MaxInitialLine = int(n) }, "128b", "1mb")},
		{"http.compression", "", "true; false with TLS", "boolean", "Whether answers are compressed for clients that ask for it.", boolean(func(c *Config) *bool { return &c.HTTP.Compression })},
		{"http.detailed_errors.enabled", "true", "", "boolean", "Whether a client may ask for `error_trace`.", boolean(func(c *Config) *bool { return &c.HTTP.DetailedErrors })},
		{"http.cors.enabled", "false", "", "false", "Calls from other web sites are refused.", only(false, "latchkey does not answer calls from other web sites; remove it, and let a proxy add the CORS headers")},
	}},
	{"TLS", []setting{
		{"xpack.security.http.ssl.enabled", "false", "", "boolean", "Whether the node speaks HTTPS. To be said outright when any other setting of this section is given. Relative paths begin at the folder of `latchkey.yml`, wherever they are set; files that change are read again within seconds.", boolean(func(c *Config) *bool { return &c.TLS.Enabled })},
		{"xpack.security.http.ssl.certificate", "", "", "PEM file", "The certificate, followed by those that link it to its authority.", text(func(c *Config) *string { return &c.TLS.Certificate })},
		{"xpack.security.http.ssl.key", "", "", "PEM file", "The private key of the certificate.", text(func(c *Config) *string { return &c.TLS.Key })},
		{"xpack.security.http.ssl.secure_key_passphrase", "", "", "secret", "Opens an encrypted key.", hidden(func(c *Config) *secret.Secret { return &c.TLS.KeyPassphrase })},
		{"xpack.security.http.ssl.key_passphrase", "", "", "secret", "The older name of `secure_key_passphrase`.", hidden(func(c *Config) *secret.Secret { return &c.TLS.KeyPassphrase })},
		{"xpack.security.http.ssl.keystore.path", "", "", "PKCS#12 file", "Certificate and key in one file, in place of the two above.", text(func(c *Config) *string { return &c.TLS.Keystore.Path })},
		{"xpack.security.http.ssl.keystore.secure_password", "", "", "secret", "Opens the keystore.", hidden(func(c *Config) *secret.Secret { return &c.TLS.Keystore.Password })},
		{"xpack.security.http.ssl.keystore.password", "", "", "secret", "The older name of `keystore.secure_password`.", hidden(func(c *Config) *secret.Secret { return &c.TLS.Keystore.Password })},
		{"xpack.security.http.ssl.keystore.type", "PKCS12", "", "PKCS12", "The form of the keystore.", storeType},
		{"xpack.security.http.ssl.certificate_authorities", "", "", "list of PEM files", "The authorities: they complete the chain that clients are sent, and client certificates are checked against them.", list(func(c *Config) *[]string { return &c.TLS.CertificateAuthorities }, nil)},
		{"xpack.security.http.ssl.truststore.path", "", "", "PKCS#12 file", "As `certificate_authorities`.", text(func(c *Config) *string { return &c.TLS.Truststore.Path })},
		{"xpack.security.http.ssl.truststore.secure_password", "", "", "secret", "Opens the truststore.", hidden(func(c *Config) *secret.Secret { return &c.TLS.Truststore.Password })},
		{"xpack.security.http.ssl.truststore.password", "", "", "secret", "The older name of `truststore.secure_password`.", hidden(func(c *Config) *secret.Secret { return &c.TLS.Truststore.Password })},
		{"xpack.security.http.ssl.truststore.type", "PKCS12", "", "PKCS12", "The form of the truststore.", storeType},
		{"xpack.security.http.ssl.client_authentication", "none", "", "none, optional or required", "Whether clients show a certificate. One that is shown must verify.", setClientAuthentication},
		{"xpack.security.http.ssl.verification_mode", "full", "", "full, certificate or none", "How client certificates are checked. `full` and `certificate` are the same for clients, `none` goes with `client_authentication: none` only.", setVerificationMode},
		{"xpack.security.http.ssl.supported_protocols", "TLSv1.3,TLSv1.2", "", "list of TLSv1.2, TLSv1.3", "The protocol versions spoken.", setProtocols},
		{"xpack.security.http.ssl.cipher_suites", "", "the safe ones", "list of names", "The cipher suites of TLS 1.2; those of TLS 1.3 are always on.", setCipherSuites},
	}},
	{"Users", []setting{
		{"xpack.security.enabled", "true", "", "true", "There is no latchkey without security.", only(true, "latchkey is nothing but security and cannot run without it; remove the setting")},
		{"bootstrap.password", "", "without it, one is made and printed once", "secret", "The password of `elastic` until one is set through the API or by `latchkey reset-password`. It is not stored: it counts at every start that has it. The environment variable `ELASTIC_PASSWORD` sets it too.", hidden(func(c *Config) *secret.Secret { return &c.Reserved.BootstrapPassword })},
		{"autoconfiguration.password_hash", "", "", "bcrypt or PBKDF2 hash", "In place of `bootstrap.password`: its hash.", setPasswordHash},
		{"xpack.security.authc.password_hashing.algorithm", "bcrypt", "", "bcrypt, bcrypt4 to bcrypt14, pbkdf2, pbkdf2_N, pbkdf2_stretch, pbkdf2_stretch_N", "How new passwords are stored; N is 1000, 10000, 50000, 100000, 500000 or 1000000 rounds. Passwords that are stored stay as they are.", hashing(func(c *Config) *string { return &c.PasswordHashing })},
		{"xpack.security.authc.run_as.enabled", "true", "", "boolean", "Whether `es-security-runas-user` counts. When false the header is ignored.", boolean(func(c *Config) *bool { return &c.RunAs })},
		{"xpack.security.authc.reserved_realm.enabled", "true", "", "boolean", "Whether the built-in users (`elastic` and its like) exist. When false their names are ordinary ones.", boolean(func(c *Config) *bool { return &c.Reserved.Enabled })},
		{realm + "enabled", "true", "", "boolean", "Whether the realm of the users that the API manages is asked. `*` is the name of the realm, `default_native` unless configured.", boolean(func(c *Config) *bool { return &c.Native.Enabled })},
		{realm + "order", "", "first, after the file realm", "whole number", "Realms are asked in ascending order.", number(func(c *Config) *int { return &c.Native.Order }, -1<<31, 1<<31-1)},
		{realm + "authentication.enabled", "true", "", "boolean", "When false, the realm's users cannot log in and serve as targets of run-as only.", boolean(func(c *Config) *bool { return &c.Native.LoginsOK })},
		{realm + "cache.ttl", "20m", "", "duration; 0 is off", "How long a password that was proven is not hashed again. A change through the API counts at once all the same.", duration(func(c *Config) *time.Duration { return &c.Native.CacheTTL }, zeroIsOff)},
		{realm + "cache.max_users", "100000", "", "whole number above 0", "How many users are cached at most.", number(func(c *Config) *int { return &c.Native.MaxUsers }, 1, 100_000_000)},
		{realm + "cache.hash_algo", "ssha256", "", "name of a hash", "Accepted; the cache holds salted SHA-256 digests, whatever it says.", knownHash("")},
	}},
	{"Users in files", fileSettings},
	{"Kerberos", kerberosSettings},
	{"JSON Web Tokens", jwtSettings},
	{"OpenID Connect", oidcSettings},
	{"LDAP", ldapSettings},
	{"Active Directory", activeDirectorySettings},
	{"Client certificates", pkiSettings},
	{"Anonymous access", []setting{
		{"xpack.security.authc.anonymous.roles", "", "", "list of role names", "What requests without a credential may do; everybody who logs in may do it, too. Without roles, such requests are refused.", list(func(c *Config) *[]string { return &c.Anonymous.Roles }, nil)},
		{"xpack.security.authc.anonymous.username", "_anonymous", "", "name", "Who makes a request without a credential. Nobody else can have the name.", name(func(c *Config) *string { return &c.Anonymous.Username }, "")},
		{"xpack.security.authc.anonymous.authz_exception", "true", "", "boolean", "Whether such a request is refused with 403 where the roles do not reach. When false with 401, so that a browser asks for a password.", boolean(func(c *Config) *bool { return &c.Anonymous.Forbidden })},
	}},
	{"API keys", []setting{
		{"xpack.security.authc.api_key.enabled", "true", "", "boolean", "Whether there are API keys. When false, creating one fails and the header is ignored.", boolean(func(c *Config) *bool { return &c.APIKey.Enabled })},
		{"xpack.security.authc.api_key.hashing.algorithm", "ssha256", "", "ssha256", "How the secrets of new keys are stored. They are random, so that a slow hash would slow the honest only; other names are accepted with a warning.", knownHash("ssha256")},
		{"xpack.security.authc.api_key.cache.ttl", "24h", "", "duration; 0 is off", "How long after its last use a key is kept in memory. `0` switches both caches off.", duration(func(c *Config) *time.Duration { return &c.APIKey.CacheTTL }, zeroIsOff)},
		{"xpack.security.authc.api_key.cache.max_keys", "25000", "", "whole number above 0", "How many keys are kept in memory at most.", number(func(c *Config) *int { return &c.APIKey.MaxKeys }, 1, 100_000_000)},
		{"xpack.security.authc.api_key.cache.hash_algo", "ssha256", "", "name of a hash", "Accepted; the cache holds salted SHA-256 digests, whatever it says.", knownHash("")},
		{"xpack.security.authc.api_key.doc_cache.ttl", "5m", "", "duration, 0 to 15m; 0 is off", "How long after its read the document of a key is kept in memory.", duration(func(c *Config) *time.Duration { return &c.APIKey.DocCacheTTL }, upTo15m)},
		{"xpack.security.authc.api_key.delete.interval", "24h", "", "duration above 0", "The time between two purges of dead keys.", duration(func(c *Config) *time.Duration { return &c.APIKey.DeleteInterval }, aboveZero)},
		{"xpack.security.authc.api_key.delete.timeout", "-1", "", "duration above 0, or -1", "The time that one purge may take; `-1` is no limit.", duration(func(c *Config) *time.Duration { return &c.APIKey.DeleteTimeout }, minusOneIsNone)},
		{"xpack.security.authc.api_key.delete.retention_period", "7d", "", "duration above 0", "How long an invalidated or expired key stays readable before it is purged.", duration(func(c *Config) *time.Duration { return &c.APIKey.RetentionPeriod }, aboveZero)},
	}},
	{"API keys that expire soon", expirySettings},
	{"Policies for API keys", policySettings},
	{"Tokens", []setting{
		{"xpack.security.authc.token.enabled", "true", "", "boolean", "Whether there are access tokens, with TLS and without. When false, getting one fails and none is accepted.", boolean(func(c *Config) *bool { return &c.Token.Enabled })},
		{"xpack.security.authc.token.timeout", "20m", "", "duration, 1s to 1h", "The life of a new access token. A refresh token lives 24 hours.", duration(func(c *Config) *time.Duration { return &c.Token.Timeout }, from1sTo1h)},
		{"xpack.security.authc.token.delete.interval", "30m", "", "duration above 0", "The time between two purges of tokens that are older than 24 hours.", duration(func(c *Config) *time.Duration { return &c.Token.DeleteInterval }, aboveZero)},
		{"xpack.security.authc.token.delete.timeout", "-1", "", "duration above 0, or -1", "The time that one purge may take; `-1` is no limit.", duration(func(c *Config) *time.Duration { return &c.Token.DeleteTimeout }, minusOneIsNone)},
		{"latchkey.token.reuse_revokes_family", "true", "", "boolean", "Whether a refresh token that is used again, later than 30 seconds after its first use, ends all tokens that descend from it. Such a use is logged in any case.", boolean(func(c *Config) *bool { return &c.Token.ReuseRevokesFamily })},
	}},
	{"Service accounts", []setting{
		{"xpack.security.authc.service_token_hashing.algorithm", "pbkdf2_stretch", "", "as `xpack.security.authc.password_hashing.algorithm`", "How the secrets of new tokens of service accounts are stored. Tokens that are stored stay as they are.", hashing(func(c *Config) *string { return &c.ServiceToken.Hashing })},
		{"xpack.security.authc.service_token.cache.ttl", "20m", "", "duration; 0 is off", "How long after its last use such a token is kept in memory. A deletion counts at once all the same.", duration(func(c *Config) *time.Duration { return &c.ServiceToken.CacheTTL }, zeroIsOff)},
		{"xpack.security.authc.service_token.cache.max_tokens", "100000", "", "whole number above 0", "How many such tokens are kept in memory at most.", number(func(c *Config) *int { return &c.ServiceToken.MaxTokens }, 1, 100_000_000)},
	}},
}

// byName holds every setting under its name, those with a "*" too.
var byName = func() map[string]*setting {
	m := map[string]*setting{}
	for _, s := range sections {
		for i := range s.settings {
			m[s.settings[i].name] = &s.settings[i]
		}
	}
	return m
}()

// sectionsOf is for those who are part of the table themselves.
var sectionsOf func() []section

func init() { sectionsOf = func() []section { return sections } }

// find returns the setting that name means and what stands for its "*", the first one.
func find(name string) (s *setting, star string) {
	for _, of := range realmNames {
		if rest, ok := strings.CutPrefix(name, strings.TrimSuffix(of, "*.")); ok {
			star, key, _ := strings.Cut(rest, ".")
			if star == "" || star == "*" {
				return nil, ""
			}
			if s := byName[of+key]; s != nil && !strings.HasSuffix(key, "*") {
				return s, star
			}
			for at := strings.LastIndexByte(key, '.'); at > 0 && at < len(key)-1; at = strings.LastIndexByte(key[:at], '.') {
				if s := byName[of+key[:at]+".*"]; s != nil {
					return s, star
				}
			}
			return nil, star
		}
	}
	if s, role, mine := findPolicy(name); mine {
		return s, role
	}
	if strings.Contains(name, "*") {
		return nil, ""
	}
	return byName[name], ""
}

// unknown is the complaint about a name that is no setting of latchkey.
func unknown(name string) error {
	if why := unbuilt(name); why != "" {
		return fmt.Errorf("%s; remove the setting", why)
	}
	for _, of := range realmNames {
		rest, ok := strings.CutPrefix(name, strings.TrimSuffix(of, "*."))
		if !ok {
			continue
		}
		star, key, found := strings.Cut(rest, ".")
		if !found {
			return fmt.Errorf("a realm has a name; write %s", strings.Replace(of, "*", realmType(of)+"1", 1)+star)
		}
		if star == "" || star == "*" {
			return fmt.Errorf("%q is no name for a realm", star)
		}
		keys := map[string]bool{}
		for known := range byName {
			if k, ok := strings.CutPrefix(known, of); ok {
				keys[k] = true
			}
		}
		return fmt.Errorf("unknown setting; a %s realm has no %q;%s", realmType(of), key, nearest(key, keys))
	}
	return fmt.Errorf("unknown setting;%s", nearest(name, byName))
}

// nearest hints at the names of known that are closest to name, or at the list
// of all if none is close.
func nearest[V any](name string, known map[string]V) string {
	least, near := 2+len(name)/4, []string(nil)
	for k := range known {
		switch d := xcontent.EditDistance(name, k); {
		case d < least:
			least, near = d, []string{k}
		case d == least && near != nil:
			near = append(near, k)
		}
	}
	slices.Sort(near)
	switch len(near) {
	case 0:
		return " `latchkey config` prints those that exist"
	case 1:
		return " did you mean [" + near[0] + "]?"
	}
	return " did you mean any of [" + strings.Join(near, ", ") + "]?"
}

// firstParts are the first parts of our names: an environment variable that
// begins with one of them is meant for us.
var firstParts = func() []string {
	var parts []string
	for name := range byName {
		first, _, _ := strings.Cut(name, ".")
		parts = append(parts, first+".")
	}
	slices.Sort(parts)
	return slices.Compact(parts)
}()
