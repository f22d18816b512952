package node

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/youmark/pkcs8"
	"software.sslmate.com/src/go-pkcs12"

	"latchkey/internal/config"
	"latchkey/internal/secret"
)

// party is a certificate with its key.
type party struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// sign makes a certificate for name, signed by issuer or, without one, by itself.
func sign(t *testing.T, name string, ca bool, issuer *party) party {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signKey(t, name, ca, issuer, key)
}

func signKey(t *testing.T, name string, ca bool, issuer *party, key crypto.Signer) party {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, DNSNames: []string{"es.example"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2090, 1, 1, 0, 0, 0, 0, time.UTC),
		IsCA: ca, BasicConstraintsValid: true,
	}
	by := party{template, key}
	if issuer != nil {
		by = *issuer
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.cert, key.Public(), by.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return party{cert, key}
}

func certPEM(parties ...party) []byte {
	var b bytes.Buffer
	for _, p := range parties {
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.cert.Raw}))
	}
	return b.Bytes()
}

func keyPEM(t *testing.T, p party) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(p.key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

type files map[string][]byte

func (f files) write(t *testing.T, dir string) {
	t.Helper()
	for name, content := range f {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// pemTLS is server.crt and server.key of dir.
func pemTLS(dir string) config.TLS {
	return config.TLS{
		Certificate: filepath.Join(dir, "server.crt"), Key: filepath.Join(dir, "server.key"),
		ClientAuthentication: config.ClientNone, MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13,
	}
}

// handshake returns what the client saw, and what either side complained about.
func handshake(server, client *tls.Config) (tls.ConnectionState, error) {
	a, b := net.Pipe()
	s, c := tls.Server(a, server), tls.Client(b, client)
	failed := make(chan error, 1)
	go func() {
		err := s.Handshake()
		if err == nil {
			_, err = s.Write([]byte("x"))
		}
		a.Close()
		failed <- err
	}()
	err := c.Handshake()
	if err == nil {
		_, err = c.Read(make([]byte, 1)) // TLS 1.3 tells a refused client certificate with the first read
	}
	b.Close()
	return c.ConnectionState(), errors.Join(err, <-failed)
}

func trusting(cas ...party) *tls.Config {
	pool := x509.NewCertPool()
	for _, ca := range cas {
		pool.AddCert(ca.cert)
	}
	return &tls.Config{RootCAs: pool, ServerName: "es.example"}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestIdentityForms(t *testing.T) {
	ca := sign(t, "CA", true, nil)
	server := sign(t, "server", false, &ca)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rsaServer := signKey(t, "server", false, &ca, rsaKey)
	sec1, err := x509.MarshalECPrivateKey(server.key.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	pkcs8Encrypted, err := pkcs8.MarshalPrivateKey(server.key, []byte("open"), nil)
	if err != nil {
		t.Fatal(err)
	}
	//lint:ignore SA1019 the form that older certificate tools write
	dek, err := x509.EncryptPEMBlock(rand.Reader, "EC PRIVATE KEY", sec1, []byte("open"), x509.PEMCipherAES256)
	if err != nil {
		t.Fatal(err)
	}
	keystore, err := pkcs12.Modern.Encode(server.key, server.cert, []*x509.Certificate{ca.cert}, "open")
	if err != nil {
		t.Fatal(err)
	}
	legacyKeystore, err := pkcs12.Legacy.Encode(server.key, server.cert, []*x509.Certificate{ca.cert}, "open")
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }

	tests := []struct {
		name       string
		crt, key   []byte
		p12        []byte
		passphrase string
		want       string // part of the refusal; "" when a client can connect
	}{
		{"PKCS#8 key", certPEM(server, ca), keyPEM(t, server), nil, "", ""},
		{"SEC 1 key", certPEM(server, ca), block("EC PRIVATE KEY", sec1), nil, "", ""},
		{"PKCS#1 key", certPEM(rsaServer, ca), block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey)), nil, "", ""},
		{"encrypted PKCS#8 key", certPEM(server, ca), block("ENCRYPTED PRIVATE KEY", pkcs8Encrypted), nil, "open", ""},
		{"key encrypted the old way", certPEM(server, ca), pem.EncodeToMemory(dek), nil, "open", ""},
		{"PKCS#12 keystore", nil, nil, keystore, "open", ""},
		{"PKCS#12 keystore encrypted the old way", nil, nil, legacyKeystore, "open", ""},
		{"encrypted key without passphrase", certPEM(server), block("ENCRYPTED PRIVATE KEY", pkcs8Encrypted), nil, "", "ssl.key: the file DIR/server.key holds an encrypted key; give its passphrase in secure_key_passphrase"},
		{"old encrypted key without passphrase", certPEM(server), pem.EncodeToMemory(dek), nil, "", "holds an encrypted key"},
		{"encrypted key with a wrong passphrase", certPEM(server), block("ENCRYPTED PRIVATE KEY", pkcs8Encrypted), nil, "shut", "server.key does not open with this passphrase"},
		{"keystore with a wrong password", nil, nil, keystore, "shut", "ssl.keystore.path: the file DIR/server.p12 does not open with this password"},
		{"keystore that is none", nil, nil, []byte("x"), "open", "ssl.keystore.path: the file DIR/server.p12 cannot be read as PKCS#12"},
		{"key of another certificate", certPEM(server), keyPEM(t, ca), nil, "", "ssl.key: the file DIR/server.key holds the key of another certificate"},
		{"certificate file without a certificate", keyPEM(t, server), keyPEM(t, server), nil, "", "ssl.certificate: the file DIR/server.crt holds no certificate in PEM form"},
		{"damaged certificate", block("CERTIFICATE", []byte("x")), keyPEM(t, server), nil, "", "ssl.certificate: the file DIR/server.crt holds a certificate that cannot be read"},
		{"key file without a key", certPEM(server), certPEM(server), nil, "", "ssl.key: the file DIR/server.key holds no private key in PEM form"},
		{"missing key file", certPEM(server), nil, nil, "", "ssl.key: the file DIR/server.key cannot be read: no such file or directory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			cfg := pemTLS(dir)
			cfg.KeyPassphrase = secret.Of(tt.passphrase)
			for name, content := range (files{"server.crt": tt.crt, "server.key": tt.key, "server.p12": tt.p12}) {
				if content != nil {
					files{name: content}.write(t, dir)
				}
			}
			if tt.p12 != nil {
				cfg.Certificate, cfg.Key = "", ""
				cfg.Keystore = config.Keystore{Path: filepath.Join(dir, "server.p12"), Password: secret.Of(tt.passphrase)}
			}
			c, err := newTLS(cfg, quiet())
			if tt.want != "" {
				if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), dir, "DIR"), tt.want) {
					t.Fatalf("got %v, want a refusal that says %q", err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := handshake(c.config(), trusting(ca)); err != nil {
				t.Errorf("the client got %v, want a connection", err)
			}
		})
	}
}

// Clients that pin an authority compare fingerprints of what the chain shows:
// some only the topmost certificate, some any of them.
func TestTheChainEndsWithTheAuthority(t *testing.T) {
	ca := sign(t, "CA", true, nil)
	middle := sign(t, "middle", true, &ca)
	server := sign(t, "server", false, &middle)
	other := sign(t, "CA", true, nil) // another one of the same name
	alone := sign(t, "alone", false, nil)
	store, err := pkcs12.Modern.EncodeTrustStore([]*x509.Certificate{other.cert, ca.cert, middle.cert}, "open")
	if err != nil {
		t.Fatal(err)
	}
	keystore, err := pkcs12.Modern.Encode(server.key, server.cert, []*x509.Certificate{other.cert, ca.cert, middle.cert}, "open")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		who     party
		crt     []byte
		setup   func(cfg *config.TLS, dir string)
		want    []party
		warning string
	}{
		{"HT-57 the file holds the whole chain", server, certPEM(server, middle, ca), nil, []party{server, middle, ca}, ""},
		{"HT-57 the authority comes from certificate_authorities", server, certPEM(server, middle), func(cfg *config.TLS, dir string) {
			cfg.CertificateAuthorities = []string{filepath.Join(dir, "other.crt"), filepath.Join(dir, "ca.crt")}
		}, []party{server, middle, ca}, ""},
		{"HT-57 all issuers come from the truststore", server, certPEM(server), func(cfg *config.TLS, dir string) {
			cfg.Truststore = config.Keystore{Path: filepath.Join(dir, "trust.p12"), Password: secret.Of("open")}
		}, []party{server, middle, ca}, ""},
		{"HT-57 all issuers come from the keystore, in any order", server, nil, func(cfg *config.TLS, dir string) {
			cfg.Certificate, cfg.Key = "", ""
			cfg.Keystore = config.Keystore{Path: filepath.Join(dir, "key.p12"), Password: secret.Of("open")}
		}, []party{server, middle, ca}, ""},
		{"a certificate that signed itself", alone, certPEM(alone), nil, []party{alone}, ""},
		{"the authority is nowhere", server, certPEM(server, middle), nil, []party{server, middle}, "clients that pin its fingerprint will not connect"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			files{"server.crt": tt.crt, "server.key": keyPEM(t, tt.who), "ca.crt": certPEM(ca), "other.crt": certPEM(other), "trust.p12": store, "key.p12": keystore}.write(t, dir)
			cfg := pemTLS(dir)
			if tt.setup != nil {
				tt.setup(&cfg, dir)
			}
			var logged strings.Builder
			c, err := newTLS(cfg, slog.New(slog.NewTextHandler(&logged, nil)))
			if err != nil {
				t.Fatal(err)
			}
			seen, err := handshake(c.config(), &tls.Config{InsecureSkipVerify: true})
			if err != nil {
				t.Fatal(err)
			}
			var got, want [][sha256.Size]byte
			for _, cert := range seen.PeerCertificates {
				got = append(got, sha256.Sum256(cert.Raw))
			}
			for _, p := range tt.want {
				want = append(want, sha256.Sum256(p.cert.Raw))
			}
			if len(got) != len(want) || got[len(got)-1] != want[len(want)-1] || got[0] != want[0] {
				t.Errorf("got a chain of %d, want %d with the authority on top: %x, want %x", len(got), len(want), got, want)
			}
			if tt.warning == "" && logged.Len() > 0 || !strings.Contains(logged.String(), tt.warning) {
				t.Errorf("got the log %q, want %q", &logged, tt.warning)
			}
		})
	}
}

func TestClientCertificates(t *testing.T) {
	ca, otherCA := sign(t, "CA", true, nil), sign(t, "other CA", true, nil)
	server := sign(t, "server", false, &ca)
	known, unknown := sign(t, "client", false, &ca), sign(t, "client", false, &otherCA)
	// One file with the key and its authority, as certificate tools for Elasticsearch write it.
	both, err := pkcs12.Modern.Encode(server.key, server.cert, []*x509.Certificate{ca.cert}, "open")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		mode config.ClientAuthentication
		by   *party
		ok   bool
	}{
		{"none: a client without one", config.ClientNone, nil, true},
		{"none: any is ignored", config.ClientNone, &unknown, true},
		{"optional: a client without one", config.ClientOptional, nil, true},
		{"optional: one of ours", config.ClientOptional, &known, true},
		{"optional: one of a stranger", config.ClientOptional, &unknown, false},
		{"required: a client without one", config.ClientRequired, nil, false},
		{"required: one of ours", config.ClientRequired, &known, true},
		{"required: one of a stranger", config.ClientRequired, &unknown, false},
	}
	for _, store := range []string{"PEM", "PKCS#12"} {
		for _, tt := range tests {
			t.Run(store+" "+tt.name, func(t *testing.T) {
				dir := t.TempDir()
				files{"server.crt": certPEM(server), "server.key": keyPEM(t, server), "ca.crt": certPEM(ca), "both.p12": both}.write(t, dir)
				cfg := pemTLS(dir)
				cfg.ClientAuthentication = tt.mode
				cfg.CertificateAuthorities = []string{filepath.Join(dir, "ca.crt")}
				if store == "PKCS#12" {
					cfg.CertificateAuthorities = nil
					cfg.Keystore = config.Keystore{Path: filepath.Join(dir, "both.p12"), Password: secret.Of("open")}
					cfg.Truststore = cfg.Keystore
				}
				c, err := newTLS(cfg, quiet())
				if err != nil {
					t.Fatal(err)
				}
				client := trusting(ca)
				if tt.by != nil {
					client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
						return &tls.Certificate{Certificate: [][]byte{tt.by.cert.Raw}, PrivateKey: tt.by.key}, nil
					}
				}
				if _, err := handshake(c.config(), client); (err == nil) != tt.ok {
					t.Errorf("got %v, want the connection made: %v", err, tt.ok)
				}
			})
		}
	}
}

func TestProtocolsAndCipherSuites(t *testing.T) {
	ca := sign(t, "CA", true, nil)
	server := sign(t, "server", false, &ca)
	dir := t.TempDir()
	files{"server.crt": certPEM(server, ca), "server.key": keyPEM(t, server)}.write(t, dir)
	const ours, theirs = tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
	tests := []struct {
		name                 string
		least, most          uint16
		clientMost           uint16
		clientSuites         []uint16
		wantVersion, wantSet uint16 // 0 for a refusal; any
	}{
		{"both versions, a new client", tls.VersionTLS12, tls.VersionTLS13, 0, nil, tls.VersionTLS13, 0},
		{"both versions, an old client", tls.VersionTLS12, tls.VersionTLS13, tls.VersionTLS12, nil, tls.VersionTLS12, ours},
		{"TLS 1.3 only, an old client", tls.VersionTLS13, tls.VersionTLS13, tls.VersionTLS12, nil, 0, 0},
		{"TLS 1.2 only, a new client", tls.VersionTLS12, tls.VersionTLS12, 0, nil, tls.VersionTLS12, ours},
		{"a client with other suites", tls.VersionTLS12, tls.VersionTLS12, 0, []uint16{theirs}, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := pemTLS(dir)
			cfg.MinVersion, cfg.MaxVersion, cfg.CipherSuites = tt.least, tt.most, []uint16{ours}
			c, err := newTLS(cfg, quiet())
			if err != nil {
				t.Fatal(err)
			}
			client := trusting(ca)
			client.MaxVersion, client.CipherSuites = tt.clientMost, tt.clientSuites
			client.NextProtos = []string{"h2", "http/1.1"}
			seen, err := handshake(c.config(), client)
			if (err == nil) != (tt.wantVersion != 0) {
				t.Fatalf("got %v, want a connection: %v", err, tt.wantVersion != 0)
			}
			if err != nil {
				return
			}
			if seen.Version != tt.wantVersion || tt.wantSet != 0 && seen.CipherSuite != tt.wantSet || seen.NegotiatedProtocol != "http/1.1" {
				t.Errorf("got %s, %s, %s", tls.VersionName(seen.Version), tls.CipherSuiteName(seen.CipherSuite), seen.NegotiatedProtocol)
			}
		})
	}
}

// lockedLog is read while the watch may write to it.
type lockedLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestFilesAreReadAgainWhenTheyChange(t *testing.T) {
	ca := sign(t, "CA", true, nil)
	first, second, third := sign(t, "server", false, &ca), sign(t, "server", false, &ca), sign(t, "server", false, &ca)
	dir := t.TempDir()
	files{"server.crt": certPEM(first, ca), "server.key": keyPEM(t, first)}.write(t, dir)

	synctest.Test(t, func(t *testing.T) {
		var logged lockedLog
		c, err := newTLS(pemTLS(dir), slog.New(slog.NewTextHandler(&logged, nil)))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan error, 1)
		go func() { stopped <- c.watch(ctx) }()
		listener := c.config() // one for all connections, as a listener has it

		shows := func(when string, want party, wantErrors int) {
			t.Helper()
			time.Sleep(2 * reloadEvery)
			synctest.Wait()
			seen, err := handshake(listener, trusting(ca))
			if err != nil {
				t.Fatalf("%s: %v", when, err)
			}
			if !seen.PeerCertificates[0].Equal(want.cert) {
				t.Errorf("%s: got another certificate", when)
			}
			if got := strings.Count(logged.String(), "level=ERROR"); got != wantErrors {
				t.Errorf("%s: got %d errors logged, want %d:\n%s", when, got, wantErrors, &logged)
			}
		}
		shows("nothing has changed", first, 0)
		files{"server.crt": certPEM(second, ca)}.write(t, dir)
		shows("the certificate is new and the key is not yet", first, 1)
		shows("what is wrong is logged once", first, 1)
		files{"server.key": keyPEM(t, second)}.write(t, dir)
		shows("both are new", second, 1)
		if err := os.Remove(filepath.Join(dir, "server.key")); err != nil {
			t.Fatal(err)
		}
		shows("the key is gone", second, 2)
		files{"server.crt": certPEM(third, ca), "server.key": keyPEM(t, third)}.write(t, dir)
		shows("both are new again", third, 2)
		if strings.Contains(logged.String(), "PRIVATE KEY") {
			t.Error("a key was logged")
		}
		cancel()
		if err := <-stopped; err != nil {
			t.Errorf("watch ended with %v, want nil when its context ends", err)
		}
	})
}

func TestACertificateOutOfItsTimeIsServedWithAWarning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // it is the year 2000
		ca := sign(t, "CA", true, nil)
		server := sign(t, "server", false, &ca)
		dir := t.TempDir()
		files{"server.crt": certPEM(server, ca), "server.key": keyPEM(t, server)}.write(t, dir)
		time.Sleep(100 * 365 * 24 * time.Hour)
		var logged strings.Builder
		if _, err := newTLS(pemTLS(dir), slog.New(slog.NewTextHandler(&logged, nil))); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(logged.String(), "the TLS certificate is not valid now") {
			t.Errorf("got the log %q, want a warning", &logged)
		}
	})
}
