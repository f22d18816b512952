package config

import (
	"bytes"
	"crypto/tls"
	"flag"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"latchkey/internal/secret"
)

var update = flag.Bool("update", false, "rewrite the tables of docs/operating.md")

// load puts file into a folder of its own and loads it from there.
func TestNothingIsSet(t *testing.T) {
	t.Chdir(t.TempDir())
	c, err := Load(Sources{Environ: []string{"PATH=/bin", "HOME=/root", "npm.config=x", "ELASTIC_PASSWORD=", "ES_SETTING_HTTP_PORT="}})
	if err != nil {
		t.Fatal(err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Dir: "config", DataDir: "data", ClusterName: "latchkey", NodeName: host, Version: DefaultVersion, ShutdownTimeout: 30 * time.Second,
		Fleet: Fleet{Lease: 10 * time.Second},
		HTTP: HTTP{
			Hosts: []string{"127.0.0.1"}, Ports: Ports{9200, 9300}, MaxContent: 100 << 20, MaxHeader: 16 << 10, MaxInitialLine: 4 << 10,
			Compression: true, DetailedErrors: true,
		},
		TLS:             TLS{ClientAuthentication: ClientNone, MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13},
		PasswordHashing: "bcrypt", RunAs: true, Reserved: Reserved{Enabled: true},
		Native: Native{Name: "default_native", Enabled: true, Order: firstOrder + 1, LoginsOK: true, CacheTTL: 20 * time.Minute, MaxUsers: 100_000},
		APIKey: APIKey{
			Enabled: true, CacheTTL: 24 * time.Hour, MaxKeys: 25_000, DocCacheTTL: 5 * time.Minute,
			DeleteInterval: 24 * time.Hour, RetentionPeriod: 7 * 24 * time.Hour, ExpiryNotice: 7 * 24 * time.Hour,
		},
		Anonymous:    Anonymous{Username: "_anonymous", Forbidden: true},
		Token:        Token{Enabled: true, Timeout: 20 * time.Minute, DeleteInterval: 30 * time.Minute, ReuseRevokesFamily: true},
		ServiceToken: ServiceToken{Hashing: "pbkdf2_stretch", CacheTTL: 20 * time.Minute, MaxTokens: 100_000},
	}
	want.Realms = []*Realm{{Type: "file", Name: "default_file", Enabled: true, Order: firstOrder}}
	if got := fmt.Sprintf("%+v", *c); got != fmt.Sprintf("%+v", want) {
		t.Errorf("got  %s\nwant %+v", got, want)
	}
}

func TestValuesOfASetting(t *testing.T) {
	tests := []struct {
		set  string // name=value
		got  func(*Config) any
		want any
	}{
		{"http.host=_local_, [::1],es.example", func(c *Config) any { return strings.Join(c.HTTP.Hosts, "|") }, "_local_|[::1]|es.example"},
		{"http.port=0", func(c *Config) any { return c.HTTP.Ports }, Ports{}},
		{"http.port=9200 - 9205", func(c *Config) any { return c.HTTP.Ports }, Ports{9200, 9205}},
		{"http.max_content_length=2gb", func(c *Config) any { return c.HTTP.MaxContent }, int64(2 << 30)},
		{"http.max_content_length=1B", func(c *Config) any { return c.HTTP.MaxContent }, int64(1)},
		{"http.max_header_size=8k", func(c *Config) any { return c.HTTP.MaxHeader }, 8 << 10},
		{"http.compression=false", func(c *Config) any { return c.HTTP.Compression }, false},
		{"http.cors.enabled=false", func(c *Config) any { return len(c.Warnings) }, 0},
		{"latchkey.version.number=7.14.0", func(c *Config) any { return c.Version }, "7.14.0"},
		{"latchkey.log.level=DEBUG", func(c *Config) any { return c.Log.Level }, slog.LevelDebug},
		{"latchkey.log.format=json", func(c *Config) any { return c.Log.JSON }, true},
		{"xpack.security.authc.password_hashing.algorithm=PBKDF2_stretch_1000", func(c *Config) any { return c.PasswordHashing }, "pbkdf2_stretch_1000"},
		{"xpack.security.authc.api_key.cache.ttl=0", func(c *Config) any { return c.APIKey.CacheTTL }, time.Duration(0)},
		{"xpack.security.authc.api_key.doc_cache.ttl=15m", func(c *Config) any { return c.APIKey.DocCacheTTL }, 15 * time.Minute},
		{"xpack.security.authc.api_key.delete.timeout=-1", func(c *Config) any { return c.APIKey.DeleteTimeout }, time.Duration(0)},
		{"xpack.security.authc.api_key.delete.retention_period=36h", func(c *Config) any { return c.APIKey.RetentionPeriod }, 36 * time.Hour},
		{"xpack.security.authc.realms.native.house.order=3", func(c *Config) any { return fmt.Sprint(c.Native.Name, c.Native.Order) }, "house3"},
		{"xpack.security.authc.realms.native.house.authentication.enabled=false", func(c *Config) any { return c.Native.LoginsOK }, false},
		{"xpack.security.http.ssl.supported_protocols=TLSv1.3", func(c *Config) any { return c.TLS.MinVersion }, uint16(tls.VersionTLS13)},
		{"xpack.security.http.ssl.cipher_suites=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", func(c *Config) any { return c.TLS.CipherSuites[0] }, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256},
		{"xpack.security.authc.token.enabled=false", func(c *Config) any { return c.Token.Enabled }, false},
		{"xpack.security.authc.token.timeout=1s", func(c *Config) any { return c.Token.Timeout }, time.Second}, // TK-6
		{"xpack.security.authc.token.timeout=1h", func(c *Config) any { return c.Token.Timeout }, time.Hour},
		{"xpack.security.authc.token.delete.timeout=-1", func(c *Config) any { return c.Token.DeleteTimeout }, time.Duration(0)},
		{"latchkey.token.reuse_revokes_family=false", func(c *Config) any { return c.Token.ReuseRevokesFamily }, false},
		{"xpack.security.authc.anonymous.roles=a, b", func(c *Config) any { return strings.Join(c.Anonymous.Roles, "|") }, "a|b"},
		{"xpack.security.authc.anonymous.username=guest", func(c *Config) any { return c.Anonymous.Username }, "guest"},
		{"xpack.security.authc.anonymous.authz_exception=false", func(c *Config) any { return c.Anonymous.Forbidden }, false},
		{"xpack.security.authc.service_token_hashing.algorithm=PBKDF2_50000", func(c *Config) any { return c.ServiceToken.Hashing }, "pbkdf2_50000"},
		{"xpack.security.authc.service_token.cache.ttl=0", func(c *Config) any { return c.ServiceToken.CacheTTL }, time.Duration(0)},
		{"xpack.security.authc.service_token.cache.max_tokens=7", func(c *Config) any { return c.ServiceToken.MaxTokens }, 7},
		{"xpack.security.audit.enabled=false", func(c *Config) any { return len(c.Warnings) }, 0},
	}
	for _, tt := range tests {
		t.Run(tt.set, func(t *testing.T) {
			if got := tt.got(mustLoad(t, "", nil, []string{tt.set})); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestMistakes(t *testing.T) {
	tests := []struct {
		set  string // name=value
		want string // what the complaint says
	}{
		{"xpack.security.enabled=false", "latchkey is nothing but security and cannot run without it"},
		{"xpack.security.enabled=no", `"no" is no boolean; write true or false`},
		{"xpack.security.authc.api_key.cache.ttl=5", `"5" has no unit; write 5s or 5m`},
		{"xpack.security.authc.api_key.cache.ttl=5 minutes", "is no duration; write a whole number and a unit (ms, s, m, h, d), as in 30s"},
		{"xpack.security.authc.api_key.cache.ttl=-1", "must not be negative; 0 switches it off"},
		{"xpack.security.authc.api_key.doc_cache.ttl=16m", "must be from 0 to 15m"},
		{"xpack.security.authc.api_key.delete.interval=0", "must be above 0"},
		{"xpack.security.authc.api_key.delete.retention_period=-1", "must be above 0"},
		{"xpack.security.authc.api_key.delete.timeout=0", "or -1 for no limit"},
		{"xpack.security.authc.api_key.cache.max_keys=0", `"0" is no whole number from 1`},
		{"xpack.security.authc.api_key.hashing.algorithm=rot13", `"rot13" is no name of a hash; write ssha256`},
		{"xpack.security.authc.api_keys.enabled=true", "unknown setting; did you mean [xpack.security.authc.api_key.enabled]?"},
		{"http.prot=1", "unknown setting; did you mean [http.port]?"},
		{"xpack.security.http.ssl.truststore.pasword=x", "unknown setting; did you mean [xpack.security.http.ssl.truststore.password]?"},
		{"http.post=1", "unknown setting; did you mean any of [http.host, http.port]?"},
		{"some.thing=1", "unknown setting; `latchkey config` prints those that exist"},
		{"http.port=99999", `"99999" is no port and no range of ports; write 9200 or 9200-9300`},
		{"http.port=9300-9200", "no range of ports"},
		{"http.max_content_length=100", `"100" has no unit; write 100kb or 100mb`},
		{"http.max_content_length=3gb", "must be from 1b to 2gb"},
		{"http.max_content_length=1.5mb", "is no size; write a whole number and a unit (b, kb, mb, gb)"},
		{"http.max_header_size=1b", "must be from 1kb to 1mb"},
		{"http.host=127.0.0.1:9200", "the port is set by http.port"},
		{"http.host=_eth0_", "write an address, a host name, _local_, _site_ or _global_"},
		{"http.host=http://x", "is no address and no host name"},
		{"http.host=,", "has no value; write one, or remove the setting"},
		{"http.cors.enabled=true", "let a proxy add the CORS headers"},
		{"cluster.name=a:b", `may not hold ':'`},
		{"node.name=", "has no value; write one, or remove the setting"},
		{"bootstrap.password=", "has no value; write one, or remove the setting"},
		{"latchkey.version.number=7.13.4", "is older than 7.14.0"},
		{"latchkey.version.number=9.4", "write three numbers, as in 9.5.1"},
		{"latchkey.version.number=9.04.0", "write three numbers, as in 9.5.1"},
		{"latchkey.log.level=loud", `"loud" is none of debug, info, warn, error`},
		{"latchkey.log.format=xml", `"xml" is none of text, json`},
		{"latchkey.shutdown.timeout=0", "must be above 0"},
		{"xpack.security.authc.password_hashing.algorithm=bcrypt15", "unknown hash function [bcrypt15]"},
		{"autoconfiguration.password_hash={SHA}xyz", "must be a bcrypt ($2a$...) or PBKDF2 ({PBKDF2}...) hash"},
		{"autoconfiguration.password_hash= ", "is empty; write a bcrypt or PBKDF2 hash"},
		{"xpack.security.authc.realms.native.order=1", "a realm has a name; write xpack.security.authc.realms.native.native1.order"},
		{"xpack.security.authc.realms.native.n1.cash.ttl=1s", `a native realm has no "cash.ttl"; did you mean [cache.ttl]?`},
		{"xpack.security.authc.realms.native._n1.order=1", "latchkey's own"},
		{"xpack.security.authc.realms.native.*.order=1", `"*" is no name for a realm`},
		{"xpack.security.authc.realms.saml.corp.order=1", "realms of type saml arrive with a later release; remove the setting"},
		{"xpack.security.authc.realms.magic.m1.order=1", `"magic" is no realm type`},
		{"xpack.security.authc.realms.file.f1.order=x", `"x" is no whole number`},
		{"xpack.security.authc.anonymous.role=x", "unknown setting; did you mean [xpack.security.authc.anonymous.roles]?"},
		{"xpack.security.authc.anonymous.roles=", "has no value; write one, or remove the setting"},
		{"xpack.security.authc.token.timeout=0s", `"0s" must be from 1s to 1h`}, // TK-6
		{"xpack.security.authc.token.timeout=61m", `"61m" must be from 1s to 1h`},
		{"xpack.security.authc.token.delete.interval=0", "must be above 0"},
		{"xpack.security.authc.token.delete.timeout=0", "or -1 for no limit"},
		{"xpack.security.http.filter.allow=10.0.0.0/8", "this release is without filtering by address; remove the setting"},
		{"xpack.security.http.ssl.enabled=true", "needs a certificate; write xpack.security.http.ssl.certificate and"},
		{"xpack.security.http.ssl.certificate=x.crt", "needs xpack.security.http.ssl.key beside it"},
		{"xpack.security.http.ssl.key=x.key", "needs xpack.security.http.ssl.certificate beside it"},
		{"xpack.security.http.ssl.keystore.path=x.p12", "xpack.security.http.ssl.enabled: is not given, while other settings of TLS are"},
		{"xpack.security.http.ssl.keystore.type=jks", "convert it with `keytool"},
		{"xpack.security.http.ssl.client_authentication=required", "needs certificate_authorities or truststore.path"},
		{"xpack.security.http.ssl.client_authentication=maybe", `"maybe" is none of none, optional, required`},
		{"xpack.security.http.ssl.supported_protocols=TLSv1.1", `"TLSv1.1" is not spoken; write TLSv1.2, TLSv1.3 or both`},
		{"xpack.security.http.ssl.cipher_suites=TLS_RSA_WITH_RC4_128_SHA", "is unknown or not safe; choose from TLS_"},
		{"=1", `-E: "=1" is no setting; write name=value, as in -E http.port=9200`},
		{"[::1]", `-E: "[::1]" is no setting; write name=value`},
	}
	for _, tt := range tests {
		t.Run(tt.set, func(t *testing.T) {
			_, err := load(t, "", nil, []string{tt.set})
			if err == nil {
				t.Fatalf("got no mistake, want one that says %q", tt.want)
			}
			name, _, isSetting := strings.Cut(tt.set, "=")
			named := strings.HasPrefix(err.Error(), "-E: "+name) || strings.Contains(err.Error(), "ssl.enabled: is not given") || name == "" || !isSetting
			if !strings.Contains(err.Error(), tt.want) || !named {
				t.Errorf("got %q, want it to name the place and to say %q", err, tt.want)
			}
		})
	}
}

func TestSettingsOfASearchEngineAreAcceptedWithOneWarning(t *testing.T) {
	c := mustLoad(t, "bootstrap.memory_lock: true\nxpack.ml.enabled: false\ncluster: {initial_master_nodes: [a, b]}\nhttp.cors: {enabled: false, allow-origin: '*'}",
		[]string{"discovery.type=single-node", "ES_JAVA_OPTS=-Xmx1g", "ES_SETTING_NODE_ROLES=data"}, []string{"xpack.license.self_generated.type=basic"})
	want := "only a search engine needs these settings, and here they have no effect: ES_JAVA_OPTS, bootstrap.memory_lock, cluster.initial_master_nodes, " +
		"discovery.type, http.cors.allow-origin, node.roles, xpack.license.self_generated.type, xpack.ml.enabled"
	if !slices.Equal(c.Warnings, []string{want}) {
		t.Errorf("got %q, want %q", c.Warnings, want)
	}
}

func TestWarnings(t *testing.T) {
	const hash = "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"
	c := mustLoad(t, "", nil, []string{"bootstrap.password=secret1", "autoconfiguration.password_hash=" + hash, "xpack.security.authc.api_key.hashing.algorithm=pbkdf2"})
	want := []string{"new API keys are stored as ssha256; the algorithm pbkdf2 has no effect", "autoconfiguration.password_hash has no effect beside bootstrap.password"}
	slices.Sort(c.Warnings)
	slices.Sort(want)
	if !slices.Equal(c.Warnings, want) {
		t.Errorf("got %q, want %q", c.Warnings, want)
	}
}

func TestTLS(t *testing.T) {
	dir := t.TempDir()
	c, err := Load(Sources{Dir: dir, Overrides: []string{
		"xpack.security.http.ssl.enabled=true", "xpack.security.http.ssl.certificate=certs/http.crt", "xpack.security.http.ssl.key=/etc/http.key",
		"xpack.security.http.ssl.key_passphrase=open", "xpack.security.http.ssl.certificate_authorities=ca1.crt,ca2.crt", "xpack.security.http.ssl.client_authentication=required",
	}})
	if err != nil {
		t.Fatal(err)
	}
	if c.HTTP.Compression {
		t.Error("answers are compressed, want that off with TLS unless it is asked for")
	}
	got := fmt.Sprintf("%+v", c.TLS)
	want := fmt.Sprintf("%+v", TLS{
		Enabled: true, Certificate: filepath.Join(dir, "certs/http.crt"), Key: "/etc/http.key", KeyPassphrase: secret.Of("open"),
		CertificateAuthorities: []string{filepath.Join(dir, "ca1.crt"), filepath.Join(dir, "ca2.crt")},
		ClientAuthentication:   ClientRequired, MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13,
	})
	if got != want || c.TLS.KeyPassphrase.Reveal() != "open" {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestNoSecretIsPrinted(t *testing.T) {
	secrets := []string{"xpack.security.http.ssl.keystore.secure_password", "bootstrap.password", "xpack.security.http.ssl.key_passphrase"}
	var overrides []string
	for _, name := range secrets {
		overrides = append(overrides, name+"=hunter2")
	}
	c := mustLoad(t, "", nil, overrides)
	if printed := fmt.Sprintf("%v %+v %#v", c, c, c); strings.Contains(printed, "hunter2") {
		t.Errorf("a secret shows in %s", printed)
	}
	for _, bad := range []string{"autoconfiguration.password_hash=hunter2", "bootstrap.pasword=hunter2", "xpack.security.authc.realms.ldap.a.secure_bind_password=hunter2"} {
		if _, err := load(t, "", nil, []string{bad}); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, want a complaint that does not show the value", bad, err)
		}
	}
}

func TestAddresses(t *testing.T) {
	own := []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1"), netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("fe80::1"), netip.MustParseAddr("198.51.100.7")}
	tests := []struct {
		hosts string
		want  string
	}{
		{"_local_", "127.0.0.1 ::1"},
		{"_site_", "10.1.2.3"},
		{"_global_", "198.51.100.7"},
		{"_local_,_site_,127.0.0.1", "127.0.0.1 ::1 10.1.2.3"},
		{"127.0.0.1,_local_", "127.0.0.1 ::1"},
		{"[::1],es.example,0.0.0.0", "::1 es.example 0.0.0.0"},
	}
	for _, tt := range tests {
		t.Run(tt.hosts, func(t *testing.T) {
			got, err := resolve(strings.Split(tt.hosts, ","), own)
			if err != nil || strings.Join(got, " ") != tt.want {
				t.Errorf("got %v, %v, want %s", got, err, tt.want)
			}
		})
	}
	if got, err := resolve([]string{"_site_"}, own[:2]); err == nil {
		t.Errorf("got %v, want a refusal when the machine has no such address", got)
	}
	if got, err := (HTTP{Hosts: []string{"_local_"}}).Addresses(); err != nil || !slices.Contains(got, "127.0.0.1") {
		t.Errorf("got %v, %v, want the loopback address of this machine", got, err)
	}
	for host, want := range map[string]bool{"127.0.0.9": true, "::1": true, "[::1]": true, "::ffff:127.0.0.1": true, "localhost": true, "0.0.0.0": false, "10.1.2.3": false, "es.example": false} {
		if got := Loopback(host); got != want {
			t.Errorf("Loopback(%s): got %v, want %v", host, got, want)
		}
	}
}

func TestEverySettingIsDescribed(t *testing.T) {
	var described bytes.Buffer
	if err := Describe(&described); err != nil {
		t.Fatal(err)
	}
	for name, s := range byName {
		if !strings.Contains(described.String(), "\n  "+name+"\n      default: ") {
			t.Errorf("%s is not described", name)
		}
		if s.kind == "" || !strings.HasSuffix(s.effect, ".") {
			t.Errorf("%s: unit and effect have to be said, the latter as sentences", name)
		}
		if isIgnored(name) || unbuilt(name) != "" && !strings.HasPrefix(name, "xpack.security.authc.realms.") {
			t.Errorf("%s does something, and is listed as doing nothing", name)
		}
	}
}

// The tables of docs/operating.md are printed from the settings: -update does it.
func TestOperatingManualHasTheSettings(t *testing.T) {
	const path, begin, end = "../../docs/operating.md", "<!-- settings: printed by the tests of internal/config -->\n", "<!-- end of settings -->\n"
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(content), begin)
	got, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s lacks the marks between which the settings stand", path)
	}
	var want bytes.Buffer
	if err := Markdown(&want); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, []byte(before+begin+want.String()+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if got != want.String() {
		t.Errorf("%s differs from the settings; run go test ./internal/config -update", path)
	}
}
