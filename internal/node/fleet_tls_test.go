package node

import (
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"
)

// Nodes go on to reach each other when their certificates, and who signs them, are
// replaced while they run; and nobody else whom a certificate of before names.
func TestPeersFollowTheirFiles(t *testing.T) {
	dir := t.TempDir()
	cfg := pemTLS(dir)
	cfg.CertificateAuthorities = []string{filepath.Join(dir, "ca.crt")}
	use := func(ca party) party {
		t.Helper()
		p := sign(t, "node", false, &ca)
		files{"server.crt": certPEM(p), "server.key": keyPEM(t, p), "ca.crt": certPEM(ca)}.write(t, dir)
		return p
	}
	old, fresh := sign(t, "old", true, nil), sign(t, "fresh", true, nil)
	first := use(old)
	trust, err := peerTLS(cfg, quiet())
	if err != nil {
		t.Fatal(err)
	}
	client := peerClient(trust)
	client.Transport.(*http.Transport).DisableKeepAlives = true // connections that are open stay as they are
	reaches := func(peer, ca party) bool {
		t.Helper()
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.TLS = &tls.Config{
			Certificates: []tls.Certificate{{Certificate: [][]byte{peer.cert.Raw}, PrivateKey: peer.key}},
			ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: trusting(ca).RootCAs,
		}
		s.StartTLS()
		defer s.Close()
		resp, err := client.Get(s.URL)
		if err != nil {
			return false
		}
		return resp.Body.Close() == nil
	}
	if !reaches(first, old) {
		t.Error("a peer with a certificate of the same authority is not reached")
	}
	second := use(fresh)
	trust.looked = time.Time{} // as if the last look were a while ago
	if !reaches(second, fresh) {
		t.Error("a peer is not reached after all certificates were replaced")
	}
	if reaches(first, fresh) {
		t.Error("a peer with a certificate of before is reached")
	}
}
