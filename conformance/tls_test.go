package conformance

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/elastic/go-elasticsearch/v9"
)

// authority makes a certificate authority and a certificate of it for
// 127.0.0.1, writes certificate and key to files, and returns the SHA-256 of the
// authority's certificate and that certificate in PEM.
func authority(t *testing.T) (fingerprint string, ca []byte, caFile, certFile, keyFile string) {
	t.Helper()
	folder := t.TempDir()
	caKey, leafKey := ecKey(t), ecKey(t)
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "conformance authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "latchkey"},
		NotBefore: root.NotBefore, NotAfter: root.NotAfter,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, &caKey.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, root, &leafKey.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(leafKey)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	caFile = write("ca.pem", "CERTIFICATE", rootDER)
	certFile = write("cert.pem", "CERTIFICATE", leafDER)
	keyFile = write("key.pem", "PRIVATE KEY", keyDER)
	sum := sha256.Sum256(rootDER)
	return hex.EncodeToString(sum[:]), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rootDER}), caFile, certFile, keyFile
}

func ecKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestClientsOverTLS(t *testing.T) { onEach(t, clientsOverTLS) }

func clientsOverTLS(t *testing.T) {
	fingerprint, ca, caFile, certFile, keyFile := authority(t)
	const ssl = "xpack.security.http.ssl."
	s := startFor(t, ssl+"enabled=true", ssl+"certificate="+certFile, ssl+"key="+keyFile, ssl+"certificate_authorities="+caFile)
	if !strings.HasPrefix(s.url, "https://") {
		t.Fatalf("the server listens on %s", s.url)
	}
	goClient := func(t *testing.T, trust elasticsearch.Option) *elasticsearch.TypedClient {
		return typedOf(t, s, elasticsearch.WithBasicAuth("elastic", password), trust)
	}
	t.Run("a Go client that holds the authority's certificate is served", func(t *testing.T) {
		if _, err := goClient(t, elasticsearch.WithCACert(ca)).Info().Do(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Run("HT-57 a Go client that pins the authority is served", func(t *testing.T) {
		client := goClient(t, elasticsearch.WithCertificateFingerprint(fingerprint))
		if me, err := client.Security.Authenticate().Do(t.Context()); err != nil || me.Username != "elastic" {
			t.Errorf("got %+v, %v", me, err)
		}
	})
	t.Run("HT-57 a Go client that pins another authority does not talk to the server", func(t *testing.T) {
		client := goClient(t, elasticsearch.WithCertificateFingerprint(strings.Repeat("ab", sha256.Size)))
		if _, err := client.Info().Do(t.Context()); err == nil || !strings.Contains(err.Error(), "fingerprint mismatch") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("HT-57 JavaScript 9", func(t *testing.T) {
		runNode(t, s, append(node9(), "LATCHKEY_CA_FINGERPRINT="+fingerprint), "js/tls.test.js")
	})
	t.Run("HT-57 JavaScript 8", func(t *testing.T) {
		runNode(t, s, append(node8(), "LATCHKEY_CA_FINGERPRINT="+fingerprint), "js/tls.test.js")
	})
	t.Run("HT-57 JavaScript 7.17", func(t *testing.T) {
		runNode(t, s, append(node7(), "LATCHKEY_CA_FINGERPRINT="+fingerprint), "js/tls.test.js")
	})
	for _, major := range []string{"9", "8"} {
		t.Run("HT-57 Python "+major, func(t *testing.T) {
			runPython(t, s, major, []string{"LATCHKEY_CA_FINGERPRINT=" + fingerprint}, "pinning")
		})
	}
}
