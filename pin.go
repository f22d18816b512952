package latchkey

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"net"
	"net/url"
	"strings"
)

// ErrFingerprint is found in the error of a call where no certificate of the
// server has the fingerprint of [WithCertificateFingerprint].
var ErrFingerprint = errors.New("no certificate of the server has the expected fingerprint")

func parseFingerprint(text string) ([]byte, error) {
	sum, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(text), ":", ""))
	if err != nil || len(sum) != sha256.Size {
		return nil, errors.New("a certificate fingerprint is 64 hexadecimal digits, the SHA-256 of the certificate")
	}
	return sum, nil
}

// pinCertificate makes c accept only what pin stands for. Without authorities in
// c the pin is all that is trusted. The addresses are those that c is for.
func pinCertificate(c *tls.Config, pin []byte, addresses []string) {
	c.InsecureSkipVerify = c.RootCAs == nil // what is verified instead follows
	c.VerifyConnection = func(state tls.ConnectionState) error {
		for i, cert := range state.PeerCertificates {
			if sum := sha256.Sum256(cert.Raw); !bytes.Equal(sum[:], pin) {
				continue
			}
			if i == 0 { // the handshake proved that the server holds its key
				return nil
			}
			// Anyone can send an authority's certificate along: it must have signed this server's.
			err := signedBy(cert, state, addresses)
			if err != nil {
				err = &tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates, Err: err}
			}
			return err
		}
		return ErrFingerprint
	}
}

// signedBy verifies the server's certificate and the name that it is reached by.
func signedBy(authority *x509.Certificate, state tls.ConnectionState, addresses []string) error {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(authority)
	for _, cert := range state.PeerCertificates[1:] {
		between.AddCert(cert)
	}
	leaf := state.PeerCertificates[0]
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, DNSName: state.ServerName}); err != nil {
		return err
	}
	if state.ServerName != "" {
		return nil
	}
	// TLS names no server that is reached by its IP, so it is one of ours.
	var err error
	for _, a := range addresses {
		u, parsed := url.Parse(a)
		if parsed != nil || net.ParseIP(u.Hostname()) == nil {
			continue
		}
		if err = leaf.VerifyHostname(u.Hostname()); err == nil {
			return nil
		}
	}
	return err
}
