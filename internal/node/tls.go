package node

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"latchkey/internal/config"
)

// reloadEvery bounds how long a certificate is served after its file was replaced.
const reloadEvery = 5 * time.Second

// certificates is what a TLS listener shows and asks for. It follows its files
// while [certificates.watch] runs.
type certificates struct {
	cfg     config.TLS
	log     *slog.Logger
	current atomic.Pointer[tls.Config]
	seen    [sha256.Size]byte // of the files' contents at the last look; after newTLS only watch touches it
}

// newTLS reads the files that cfg names. Its error names the setting and the
// file that are wrong.
func newTLS(cfg config.TLS, log *slog.Logger) (*certificates, error) {
	c := &certificates{cfg: cfg, log: log}
	if err := c.load(c.read()); err != nil {
		return nil, err
	}
	return c, nil
}

// config is for a listener. Each new connection gets the newest certificate;
// those that are open keep theirs.
func (c *certificates) config() *tls.Config {
	return &tls.Config{
		MinVersion: c.cfg.MinVersion,
		MaxVersion: c.cfg.MaxVersion,
		NextProtos: []string{"http/1.1"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return c.current.Load(), nil
		},
	}
}

// watch takes over files that change, until ctx ends. Files that cannot be used
// are logged once, and the certificate of before stays.
func (c *certificates) watch(ctx context.Context) error {
	tick := time.NewTicker(reloadEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		files := c.read()
		if files.digest() == c.seen {
			continue
		}
		if err := c.load(files); err != nil {
			c.log.ErrorContext(ctx, "the new TLS files cannot be used; the old certificate stays", "err", err)
		} else {
			c.log.InfoContext(ctx, "the TLS files changed and are in use")
		}
	}
}

// load makes what files hold the current certificate, or leaves that as it is.
func (c *certificates) load(files tlsFiles) error {
	c.seen = files.digest()
	identity, err := readIdentity(c.cfg, files)
	if err != nil {
		return fmt.Errorf("%s%w", sslPrefix, err)
	}
	authorities, err := readAuthorities(c.cfg, files)
	if err != nil {
		return fmt.Errorf("%s%w", sslPrefix, err)
	}
	identity.chain = complete(identity.chain, slices.Concat(identity.others, authorities))
	c.warn(identity.chain)

	cfg := &tls.Config{
		MinVersion:   c.cfg.MinVersion,
		MaxVersion:   c.cfg.MaxVersion,
		CipherSuites: c.cfg.CipherSuites,
		NextProtos:   []string{"http/1.1"},
		Certificates: []tls.Certificate{identity.certificate()},
	}
	if c.cfg.ClientAuthentication != config.ClientNone {
		cfg.ClientCAs = x509.NewCertPool()
		for _, ca := range authorities {
			cfg.ClientCAs.AddCert(ca)
		}
		cfg.ClientAuth = tls.VerifyClientCertIfGiven
		if c.cfg.ClientAuthentication == config.ClientRequired {
			cfg.ClientAuth = tls.RequireAndVerifyClientCert
		}
		cfg.SessionTicketsDisabled = true // a resumed session would outlive an authority that was taken away
	}
	c.current.Store(cfg)
	return nil
}

// warn says what clients will stumble over.
func (c *certificates) warn(chain []*x509.Certificate) {
	leaf := chain[0]
	if now := time.Now(); now.After(leaf.NotAfter) || now.Before(leaf.NotBefore) {
		c.log.Warn("the TLS certificate is not valid now", "not_before", leaf.NotBefore, "not_after", leaf.NotAfter)
	}
	if top := chain[len(chain)-1]; !selfSigned(top) {
		c.log.Warn("the certificate of the authority is not at hand, and clients that pin its fingerprint will not connect; "+
			"append it to the certificate file or name it in certificate_authorities", "authority", top.Issuer.String())
	}
}

// complete appends the issuers that chain lacks, up to the authority itself.
// Clients that pin an authority look for it in the chain (spec/http.md 15).
func complete(chain, known []*x509.Certificate) []*x509.Certificate {
	for top := chain[len(chain)-1]; !selfSigned(top); top = chain[len(chain)-1] {
		i := slices.IndexFunc(known, func(ca *x509.Certificate) bool {
			return string(ca.RawSubject) == string(top.RawIssuer) && signed(ca, top) && !slices.ContainsFunc(chain, ca.Equal)
		})
		if i < 0 {
			break
		}
		chain = append(chain, known[i])
	}
	return chain
}

func selfSigned(c *x509.Certificate) bool {
	return string(c.RawSubject) == string(c.RawIssuer) && signed(c, c)
}

func signed(by, c *x509.Certificate) bool {
	return by.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

// tlsFiles is one look at all files: what stands in them, or why they cannot be read.
type tlsFiles map[string]tlsFile

type tlsFile struct {
	content []byte
	err     error
}

func (c *certificates) read() tlsFiles { return readTLSFiles(c.cfg) }

func readTLSFiles(cfg config.TLS) tlsFiles {
	files := tlsFiles{}
	for _, path := range slices.Concat([]string{cfg.Certificate, cfg.Key, cfg.Keystore.Path, cfg.Truststore.Path}, cfg.CertificateAuthorities) {
		if path != "" {
			content, err := os.ReadFile(path)
			files[path] = tlsFile{content, err}
		}
	}
	return files
}

// digest tells two looks apart by what was read. Times and sizes of files would
// miss a replacement within the clock's grain.
func (f tlsFiles) digest() (sum [sha256.Size]byte) {
	h := sha256.New()
	paths := make([]string, 0, len(f))
	for path := range f {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	for _, path := range paths {
		fmt.Fprintf(h, "%q %q %v\n", path, sha256.Sum256(f[path].content), f[path].err)
	}
	h.Sum(sum[:0])
	return sum
}
