package node

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"testing"
	"time"

	"latchkey/internal/config"
)

func TestTrustInServersFollowsItsFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "ca.crt")
	old, fresh := sign(t, "old", true, nil), sign(t, "fresh", true, nil)
	write := func(content []byte) {
		t.Helper()
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(certPEM(old))
	const corp = "xpack.security.authc.realms.ldap.corp."
	cfg, err := config.Load(config.Sources{Dir: dir, Overrides: []string{corp + "order=1", corp + "url=ldaps://es.example", corp + "user_search.base_dn=dc=x", corp + "ssl.certificate_authorities=ca.crt"}})
	if err != nil {
		t.Fatal(err)
	}
	var corpRealm *config.Realm
	for _, r := range cfg.Realms {
		if r.Type == "ldap" {
			corpRealm = r
		}
	}
	for _, verification := range []string{"full", "certificate", "none"} {
		t.Run(verification, func(t *testing.T) {
			write(certPEM(old))
			f, err := follow(corpRealm.TLS("ssl."), corp+"ssl.", quiet(), func(cfg config.TLS, files tlsFiles) (*tls.Config, error) { return clientTLS(cfg, files, verification) })
			if err != nil {
				t.Fatal(err)
			}
			accepts := func(by party, name string) bool {
				leaf := sign(t, "server", false, &by)
				server := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.cert.Raw}, PrivateKey: leaf.key}}}
				client := f.get().Clone()
				client.ServerName = name
				l, err := tls.Listen("tcp", "127.0.0.1:0", server) // in a pipe, two who write at once wait for ever
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
				go func() {
					if c, err := l.Accept(); err == nil {
						_ = c.(*tls.Conn).Handshake() // the client tells
						_ = c.Close()
					}
				}()
				c, err := tls.Dial("tcp", l.Addr().String(), client)
				if err != nil {
					return false
				}
				_ = c.Close() // the server may be gone
				return true
			}
			expect := func(when string, wantOld, wantFresh bool) {
				t.Helper()
				if verification == "none" {
					wantOld, wantFresh = true, true
				}
				if got := accepts(old, "es.example"); got != wantOld {
					t.Errorf("%s: the old authority is trusted: %v", when, got)
				}
				if got := accepts(fresh, "es.example"); got != wantFresh {
					t.Errorf("%s: the fresh authority is trusted: %v", when, got)
				}
				if got := accepts(old, "another.example"); got != (wantOld && verification != "full") {
					t.Errorf("%s: another name is accepted: %v", when, got)
				}
			}
			expect("first", true, false)
			write(certPEM(fresh))
			f.looked = time.Time{} // as if the last look were a while ago
			expect("after a change", false, true)
			write([]byte("no certificate"))
			f.looked = time.Time{} // as if the last look were a while ago
			expect("after a change that is no use", false, true)
		})
	}
}
