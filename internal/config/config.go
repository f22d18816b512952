// Package config turns the settings file, the environment and the command line
// into one checked [Config]. Settings carry Elasticsearch's names; which of
// them exist, with default, unit and effect, is one table (settings.go), from
// which the values are read and the documentation is printed.
//
// It reads the files that settings stand in. Files that settings point to
// (certificates, keys) are read by those who use them.
package config

import (
	"log/slog"
	"time"

	"latchkey/internal/secret"
)

// Config is what a node runs with. [Load] makes one; every value in it has been
// checked. It may be logged: secrets in it do not print.
type Config struct {
	Dir     string // the folder of latchkey.yml; it need not exist
	File    string // the settings file that was read; "" if there is none
	DataDir string // path.data, as given: relative to the working directory
	// StoreURL is the PostgreSQL database of the store, postgres://...; zero means the file in DataDir.
	StoreURL    secret.Secret
	Fleet       Fleet
	ClusterName string
	NodeName    string
	// Version is the Elasticsearch release that clients are told they speak to, such as "9.5.1".
	Version string
	// ShutdownTimeout bounds how long a stopping node waits for requests under way.
	ShutdownTimeout time.Duration
	Log             Log
	HTTP            HTTP
	TLS             TLS
	// PasswordHashing names the algorithm for new passwords (secret.NewHasher).
	PasswordHashing string
	RunAs           bool // whether es-security-runas-user counts; else it is ignored
	Reserved        Reserved
	Native          Native
	Kerberos        Kerberos
	Realms          []*Realm // those of other types, in their order
	Anonymous       Anonymous
	APIKey          APIKey
	Token           Token
	ServiceToken    ServiceToken
	// Warnings are sentences for the operator, to be logged once at the start.
	Warnings []string
}

// Fleet is how the nodes that share a store keep in step. It says nothing where the
// store is a file.
type Fleet struct {
	Address   string        // host:port at which other nodes reach this one; "" means nowhere
	Secret    secret.Secret // that the nodes share; given if Address is
	Lease     time.Duration // how long credentials are accepted from memory without the store
	Grace     time.Duration // for how long after that
	ReadIndex bool          // whether each request asks the store what was revoked
}

// Log says what is logged, and how.
type Log struct {
	Level slog.Level
	JSON  bool // one JSON object a line; else key=value text
}

// HTTP is the listener and its limits. Sizes are bytes.
type HTTP struct {
	Hosts          []string // where to listen, as given; [HTTP.Addresses] resolves them
	Ports          Ports
	PublishHost    string // the host that sniffing clients are told; "" means the address bound
	PublishPort    int    // 0 means the port bound
	MaxContent     int64  // of a body, after decompression
	MaxHeader      int    // of all headers together
	MaxInitialLine int
	Compression    bool // whether answers are compressed for clients that ask for it
	DetailedErrors bool // whether error_trace is allowed
}

// Ports is a range of ports, of which the first free one is taken. Both ends
// are 0 when the system shall choose.
type Ports struct{ First, Last int }

// TLS is xpack.security.http.ssl. Paths are absolute, or relative to the
// working directory. When it is enabled, either Certificate and Key or Keystore
// is set, and when client certificates are asked for, there is something to
// check them against.
type TLS struct {
	Enabled                bool
	Certificate, Key       string
	KeyPassphrase          secret.Secret
	Keystore               Keystore
	CertificateAuthorities []string
	Truststore             Keystore
	ClientAuthentication   ClientAuthentication
	MinVersion, MaxVersion uint16   // of crypto/tls
	CipherSuites           []uint16 // for TLS 1.2; nil means Go's choice
}

// Keystore is a PKCS#12 file. An empty path means that there is none.
type Keystore struct {
	Path     string
	Password secret.Secret
}

// ClientAuthentication says whether clients show certificates.
type ClientAuthentication string

const (
	ClientNone     ClientAuthentication = "none"
	ClientOptional ClientAuthentication = "optional" // what is shown must verify
	ClientRequired ClientAuthentication = "required"
)

// Reserved is the realm of the built-in users.
type Reserved struct {
	Enabled bool
	// BootstrapPassword is the password of elastic until one was set through the API.
	BootstrapPassword secret.Secret
	// PasswordHash takes the place of a BootstrapPassword that is not given.
	PasswordHash secret.Secret
}

// Native is the realm of the users that the API manages.
type Native struct {
	Name     string
	Enabled  bool
	Order    int           // realms are asked in ascending order
	LoginsOK bool          // false: the realm serves look-ups only
	CacheTTL time.Duration // bounds how long a proven password skips the slow hash; 0 switches the cache off
	MaxUsers int           // cached at most
}

// Anonymous is who makes the requests that bring no credential. Without roles
// there is no such user.
type Anonymous struct {
	Username  string
	Roles     []string
	Forbidden bool // a refusal is 403; else 401
}

// APIKey is xpack.security.authc.api_key.
type APIKey struct {
	Enabled         bool
	CacheTTL        time.Duration // since the last use; 0 switches both caches off
	MaxKeys         int           // cached at most
	DocCacheTTL     time.Duration // since the read; 0 switches the cache of key documents off
	DeleteInterval  time.Duration // between two purges
	DeleteTimeout   time.Duration // of one purge; 0 means none
	RetentionPeriod time.Duration // that a dead key stays readable
	Policies        []KeyPolicy   // by role
	ExpiryNotice    time.Duration // before its expiry, for which a key expires soon; 0 means never
	// ExpiryWebhook is the URL that is told of keys that expire soon; "" means none.
	ExpiryWebhook              secret.Secret
	ExpiryWebhookAuthorization secret.Secret // of such calls
}

// Token is xpack.security.authc.token.
type Token struct {
	Enabled            bool
	Timeout            time.Duration // the life of an access token
	DeleteInterval     time.Duration // between two purges
	DeleteTimeout      time.Duration // of one purge; 0 means none
	ReuseRevokesFamily bool          // a refresh token that is used again too late ends all that descends from it
}

// ServiceToken is xpack.security.authc.service_token, and service_token_hashing.
type ServiceToken struct {
	Hashing   string        // the algorithm for new tokens (secret.NewHasher)
	CacheTTL  time.Duration // since the last use; 0 switches the cache off
	MaxTokens int           // cached at most
}
