package latchkey

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
)

// Option changes what [New] makes.
type Option func(*settings) error

// settings is what the options say.
type settings struct {
	addresses  []string
	credential Credential
	runAs      string
	opaqueID   string
	userAgent  string
	retries    int
	limit      int64
	anyProduct bool
	client     *http.Client
	transport  http.RoundTripper
	tls        *tls.Config // nil until an option needs it
	pin        []byte
}

// WithAddresses adds further addresses of the same cluster, for when the first
// one fails.
func WithAddresses(addresses ...string) Option {
	return func(s *settings) error {
		s.addresses = append(s.addresses, addresses...)
		return nil
	}
}

// WithCredential sets who makes the calls.
func WithCredential(c Credential) Option {
	return func(s *settings) error {
		s.credential = c
		return nil
	}
}

// WithRunAs makes all calls in the name of a user, as [Client.RunAs] does.
func WithRunAs(username string) Option {
	return func(s *settings) error {
		s.runAs = username
		return nil
	}
}

// WithOpaqueID sends an X-Opaque-Id with all calls, as [Client.Tag] does.
func WithOpaqueID(id string) Option {
	return func(s *settings) error {
		s.opaqueID = id
		return nil
	}
}

// WithUserAgent replaces "latchkey-go" as the User-Agent.
func WithUserAgent(name string) Option {
	return func(s *settings) error {
		s.userAgent = name
		return nil
	}
}

// WithHTTPClient makes all calls through a client of the caller's, who keeps
// closing its connections. Redirects are not followed, unless it has a
// CheckRedirect of its own. Its Timeout counts for each attempt, and shows as a
// [*TransportError].
func WithHTTPClient(c *http.Client) Option {
	return func(s *settings) error {
		if c == nil {
			return errors.New("the HTTP client is nil")
		}
		s.client = c
		return nil
	}
}

// WithTransport makes all calls through a transport of the caller's, who keeps
// closing its connections.
func WithTransport(t http.RoundTripper) Option {
	return func(s *settings) error {
		if t == nil {
			return errors.New("the transport is nil")
		}
		s.transport = t
		return nil
	}
}

// WithRetries sets how often a call is repeated at most; 0 is never.
func WithRetries(n int) Option {
	return func(s *settings) error {
		if n < 0 {
			return fmt.Errorf("a call cannot be repeated %d times", n)
		}
		s.retries = n
		return nil
	}
}

// WithResponseLimit sets how many bytes of an answer are read, 256 MiB by
// default. A longer one is an [*UnreadableError].
func WithResponseLimit(bytes int64) Option {
	return func(s *settings) error {
		if bytes < 1 {
			return fmt.Errorf("no answer fits into %d bytes", bytes)
		}
		s.limit = bytes
		return nil
	}
}

// WithoutProductCheck accepts answers without the header by which a server says
// that it speaks this API: Elasticsearch before 7.14, and what removes headers on the way.
func WithoutProductCheck() Option {
	return func(s *settings) error {
		s.anyProduct = true
		return nil
	}
}

// WithCAFile trusts the certificate authorities of a PEM file instead of those of
// the system. It may be given several times.
func WithCAFile(path string) Option {
	return func(s *settings) error {
		pem, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("read the certificate authorities: %w", err)
		}
		pool := s.needTLS().RootCAs
		if pool == nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(pem) {
			return fmt.Errorf("%s holds no certificate in PEM form", path)
		}
		s.tls.RootCAs = pool
		return nil
	}
}

// WithRootCAs trusts the given certificate authorities instead of those of the
// system. The pool is copied.
func WithRootCAs(pool *x509.CertPool) Option {
	return func(s *settings) error {
		if pool == nil {
			return errors.New("the pool of certificate authorities is nil")
		}
		s.needTLS().RootCAs = pool.Clone()
		return nil
	}
}

// WithCertificateFingerprint accepts a server by the SHA-256 fingerprint of its
// certificate, or of an authority that the server sends along and that signed it:
// 64 hexadecimal digits, with or without colons. Elasticsearch prints such a
// fingerprint when it first starts. Where the pinned certificate is the server's
// own, its names and dates do not count. With certificate authorities given as
// well, both must agree.
func WithCertificateFingerprint(sha256 string) Option {
	return func(s *settings) (err error) {
		s.needTLS()
		s.pin, err = parseFingerprint(sha256)
		return err
	}
}

// WithClientCertificate shows a certificate to servers that ask for one.
func WithClientCertificate(cert tls.Certificate) Option {
	return func(s *settings) error {
		s.needTLS().Certificates = []tls.Certificate{cert}
		return nil
	}
}

func (s *settings) needTLS() *tls.Config {
	if s.tls == nil {
		s.tls = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return s.tls
}

// httpClient is the client to use, and whether its connections are ours.
func (s *settings) httpClient() (*http.Client, bool, error) {
	var c http.Client
	switch {
	case s.client != nil && s.transport != nil:
		return nil, false, errors.New("give WithHTTPClient or WithTransport, not both")
	case s.tls != nil && (s.client != nil || s.transport != nil):
		return nil, false, errors.New("an own HTTP client or transport brings its own settings of TLS; leave the options of TLS out")
	case s.client != nil:
		c = *s.client
	case s.transport != nil:
		c.Transport = s.transport
	default:
		c.Transport = s.newTransport()
	}
	if c.CheckRedirect == nil {
		c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	return &c, s.client == nil && s.transport == nil, nil
}

func (s *settings) newTransport() *http.Transport {
	t, ok := http.DefaultTransport.(*http.Transport)
	if ok {
		t = t.Clone()
	} else { // the program replaced it
		t = &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true}
	}
	t.MaxIdleConnsPerHost = 100 // the default of 2 makes concurrent calls connect all the time
	if s.tls != nil {
		t.TLSClientConfig = s.tls
		if s.pin != nil {
			pinCertificate(t.TLSClientConfig, s.pin, s.addresses)
		}
	}
	return t
}
