package latchkey_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"latchkey"
)

// issued is a certificate with its key.
type issued struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// issue makes a certificate for the given names and IPs, or an authority if
// there are none. Without a signer it signs itself.
func issue(t *testing.T, signer *issued, names ...string) *issued {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "test " + strings.Join(names, ",")},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		BasicConstraintsValid: true, IsCA: len(names) == 0,
	}
	if template.IsCA {
		template.KeyUsage = x509.KeyUsageCertSign
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	parent, signing := template, crypto.Signer(key)
	if signer != nil {
		parent, signing = signer.cert, signer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signing)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &issued{cert, key}
}

func (c *issued) fingerprint() string {
	sum := sha256.Sum256(c.cert.Raw)
	return hex.EncodeToString(sum[:])
}

func (c *issued) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(c.cert)
	return p
}

// with is what a server or client presents: its own certificate and others after it.
func (c *issued) with(others ...*issued) tls.Certificate {
	chain := tls.Certificate{Certificate: [][]byte{c.cert.Raw}, PrivateKey: c.key}
	for _, o := range others {
		chain.Certificate = append(chain.Certificate, o.cert.Raw)
	}
	return chain
}

func (c *issued) write(t *testing.T, dir, name string) (certFile, keyFile string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	for path, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: c.cert.Raw}, keyFile: {Type: "PRIVATE KEY", Bytes: der},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

// serveTLS answers GET / and presents the given certificates. It counts the
// handshakes and the requests.
func serveTLS(t *testing.T, chain tls.Certificate) (port string, greeted, asked *atomic.Int32) {
	t.Helper()
	greeted, asked = new(atomic.Int32), new(atomic.Int32)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		_, _ = io.WriteString(w, `{"cluster_name":"c"}`)
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{chain}, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		greeted.Add(1)
		return nil, nil
	}}
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of the handshakes that fail on purpose
	s.StartTLS()
	t.Cleanup(s.Close)
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port, greeted, asked
}

func TestTrustInServers(t *testing.T) {
	authority, stranger := issue(t, nil), issue(t, nil)
	server, elsewhere := issue(t, authority, "localhost", "127.0.0.1"), issue(t, authority, "example.org", "192.0.2.1")
	alone, impostor := issue(t, nil, "example.org"), issue(t, stranger, "localhost", "127.0.0.1")
	between := &issued{}
	*between = *issue(t, authority)
	deep := issue(t, between, "localhost")

	pin := func(c *issued) []latchkey.Option {
		return []latchkey.Option{latchkey.WithCertificateFingerprint(c.fingerprint())}
	}
	trust := func(c *issued) []latchkey.Option { return []latchkey.Option{latchkey.WithRootCAs(c.pool())} }
	tests := []struct {
		name    string
		host    string
		chain   tls.Certificate
		options []latchkey.Option
		ok      bool
	}{
		{"an authority of the system is needed by default", "localhost", server.with(authority), nil, false},
		{"a given authority", "localhost", server.with(), trust(authority), true},
		{"a given authority, by IP", "127.0.0.1", server.with(), trust(authority), true},
		{"another authority", "localhost", server.with(authority), trust(stranger), false},
		{"a given authority, for another server", "localhost", elsewhere.with(), trust(authority), false},
		{"the server's own certificate is pinned", "localhost", server.with(), pin(server), true},
		{"a pinned certificate of another name", "localhost", alone.with(), pin(alone), true},
		{"the pinned authority comes along", "localhost", server.with(authority), pin(authority), true},
		{"the pinned authority comes along, by IP", "127.0.0.1", server.with(authority), pin(authority), true},
		{"the pinned authority comes behind another", "localhost", deep.with(between, authority), pin(authority), true},
		{"the pinned one is between", "localhost", deep.with(between, authority), pin(between), true},
		{"the pinned authority does not come along", "localhost", server.with(), pin(authority), false},
		{"another fingerprint", "localhost", server.with(authority), pin(stranger), false},
		{"an impostor sends the pinned authority along", "localhost", impostor.with(authority), pin(authority), false},
		{"an impostor sends the pinned certificate along", "localhost", impostor.with(server, authority), pin(server), false},
		{"the pinned authority signed for another server", "localhost", elsewhere.with(authority), pin(authority), false},
		{"the pinned authority signed for another IP", "127.0.0.1", elsewhere.with(authority), pin(authority), false},
		{"authority and pin agree", "localhost", server.with(authority), append(trust(authority), pin(server)...), true},
		{"the authority is right, the pin is not", "localhost", server.with(), append(trust(authority), pin(elsewhere)...), false},
		{"the pin is right, the authority is not", "localhost", server.with(), append(trust(stranger), pin(server)...), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			port, greeted, asked := serveTLS(t, tt.chain)
			c, err := latchkey.New("https://"+tt.host+":"+port, tt.options...)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_, err = c.Info(t.Context())
			if tt.ok {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			e, ok := errors.AsType[*latchkey.TransportError](err)
			if !ok || e.Sent || asked.Load() > 0 || greeted.Load() != 1 {
				t.Errorf("got %v, %d handshakes and %d requests; want a TransportError at the first handshake", err, greeted.Load(), asked.Load())
			}
		})
	}
}

func TestFingerprintsThatAreNone(t *testing.T) {
	sum := strings.Repeat("ab", 32)
	for text, ok := range map[string]bool{
		sum: true, strings.ToUpper(sum): true, strings.TrimSuffix(strings.Repeat("AB:", 32), ":"): true, " " + sum + "\n": true,
		"": false, sum[1:]: false, sum + "ab": false, strings.Repeat("xy", 32): false, strings.Repeat("ab", 20): false,
	} {
		if _, err := latchkey.New("https://localhost", latchkey.WithCertificateFingerprint(text)); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// The whole main job over TLS, to a node that asks for a client certificate.
func TestMainJobOverTLS(t *testing.T) {
	dir := t.TempDir()
	authority := issue(t, nil)
	caFile, _ := authority.write(t, dir, "ca")
	certFile, keyFile := issue(t, authority, "localhost", "127.0.0.1").write(t, dir, "server")
	n, err := startNode("xpack.security.http.ssl.enabled=true", "xpack.security.http.ssl.certificate="+certFile, "xpack.security.http.ssl.key="+keyFile,
		"xpack.security.http.ssl.certificate_authorities="+caFile, "xpack.security.http.ssl.client_authentication=required")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := n.stop(); err != nil {
			t.Error(err)
		}
	}()
	elastic := latchkey.WithCredential(latchkey.Basic("elastic", elasticPassword))
	client, err := latchkey.New(n.address, elastic, latchkey.WithCAFile(caFile), latchkey.WithClientCertificate(issue(t, authority, "a client").with()))
	if err != nil {
		t.Fatal(err)
	}
	mainJob(t, client)
	client.Close()

	nameless, err := latchkey.New(n.address, elastic, latchkey.WithCAFile(caFile), latchkey.WithRetries(0))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := nameless.Info(t.Context()); form(err) != "TransportError" {
		t.Errorf("without a client certificate: got %v, want a TransportError", err)
	}
	nameless.Close()
}
