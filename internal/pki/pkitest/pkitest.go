// Package pkitest is a certificate authority for tests.
package pkitest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"time"
)

// Certificate is one with its key, and with those that lead to its authority.
type Certificate struct {
	*x509.Certificate
	Key    *ecdsa.PrivateKey
	Issuer *Certificate // nil: it signed itself
}

// Authority makes a certificate that signs others.
func Authority(name string) (*Certificate, error) {
	return issue(nil, &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
}

// Authority makes one that another stands for.
func (c *Certificate) Authority(name string) (*Certificate, error) {
	return issue(c, &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
}

// Server makes a certificate for localhost.
func (c *Certificate) Server() (*Certificate, error) {
	return issue(c, &x509.Certificate{Subject: pkix.Name{CommonName: "server"}, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
}

// Client makes a certificate for a client. Change, if not nil, is made to it.
func (c *Certificate) Client(subject pkix.Name, change func(*x509.Certificate)) (*Certificate, error) {
	t := &x509.Certificate{Subject: subject, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if change != nil {
		change(t)
	}
	return issue(c, t)
}

func issue(by *Certificate, t *x509.Certificate) (*Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	if t.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62)); err != nil {
		return nil, err
	}
	if t.NotBefore.IsZero() {
		t.NotBefore = time.Now().Add(-time.Hour)
	}
	if t.NotAfter.IsZero() {
		t.NotAfter = time.Now().Add(24 * time.Hour)
	}
	parent, signer := t, key
	if by != nil {
		parent, signer = by.Certificate, by.Key
	}
	der, err := x509.CreateCertificate(rand.Reader, t, parent, key.Public(), signer)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &Certificate{cert, key, by}, err
}

// Chain is the certificate and those above it, without the authority that signed itself.
func (c *Certificate) Chain() []*x509.Certificate {
	chain := []*x509.Certificate{c.Certificate}
	for at := c.Issuer; at != nil && at.Issuer != nil; at = at.Issuer {
		chain = append(chain, at.Certificate)
	}
	return chain
}

// Pool is the certificate as an authority.
func (c *Certificate) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(c.Certificate)
	return p
}

// TLS is the chain with its key, as crypto/tls has it.
func (c *Certificate) TLS() tls.Certificate {
	t := tls.Certificate{PrivateKey: c.Key}
	for _, link := range c.Chain() {
		t.Certificate = append(t.Certificate, link.Raw)
	}
	return t
}

// Write puts the chain and the key into PEM files.
func (c *Certificate) Write(certificate, key string) error {
	var text []byte
	for _, link := range c.Chain() {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: link.Raw})...)
	}
	der, err := x509.MarshalPKCS8PrivateKey(c.Key)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(certificate, text, 0o600), os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
}
