package node

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"github.com/youmark/pkcs8"
	"software.sslmate.com/src/go-pkcs12"

	"latchkey/internal/config"
)

const sslPrefix = "xpack.security.http.ssl."

// identity is who the node shows itself as.
type identity struct {
	chain  []*x509.Certificate // what clients are sent, the node's own first
	others []*x509.Certificate // beside it in a keystore, in no order
	key    crypto.Signer
}

func (id identity) certificate() tls.Certificate {
	cert := tls.Certificate{PrivateKey: id.key, Leaf: id.chain[0]}
	for _, c := range id.chain {
		cert.Certificate = append(cert.Certificate, c.Raw)
	}
	return cert
}

func readIdentity(cfg config.TLS, files tlsFiles) (identity, error) {
	var id identity
	if path := cfg.Keystore.Path; path != "" {
		wrong := func(err error) (identity, error) { return id, wrongFile("keystore.path", path, err) }
		content, err := files.content(path)
		if err != nil {
			return wrong(err)
		}
		key, cert, others, err := pkcs12.DecodeChain(content, cfg.Keystore.Password.Reveal())
		if err != nil {
			return wrong(storeProblem(err))
		}
		id.chain, id.others = []*x509.Certificate{cert}, others
		if id.key, err = signer(key, cert); err != nil {
			return wrong(err)
		}
		return id, nil
	}
	chain, err := files.pemCertificates("certificate", cfg.Certificate)
	if err != nil {
		return id, err
	}
	id.chain = chain
	content, err := files.content(cfg.Key)
	if err != nil {
		return id, wrongFile("key", cfg.Key, err)
	}
	key, err := parseKey(content, cfg.KeyPassphrase.Reveal())
	if err == nil {
		id.key, err = signer(key, chain[0])
	}
	if err != nil {
		return id, wrongFile("key", cfg.Key, err)
	}
	return id, nil
}

// signer is key, if it is the one of cert.
func signer(key any, cert *x509.Certificate) (crypto.Signer, error) {
	s, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("holds a key of a kind that cannot serve TLS (%T)", key)
	}
	public, ok := s.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(cert.PublicKey) {
		return nil, errors.New("holds the key of another certificate; the node's own certificate stands first in its file")
	}
	return s, nil
}

func readAuthorities(cfg config.TLS, files tlsFiles) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for _, path := range cfg.CertificateAuthorities {
		certs, err := files.pemCertificates("certificate_authorities", path)
		if err != nil {
			return nil, err
		}
		all = append(all, certs...)
	}
	path := cfg.Truststore.Path
	if path == "" {
		return all, nil
	}
	content, err := files.content(path)
	if err != nil {
		return nil, wrongFile("truststore.path", path, err)
	}
	password := cfg.Truststore.Password.Reveal()
	certs, err := pkcs12.DecodeTrustStore(content, password)
	if err != nil { // one file may serve as keystore and truststore
		if _, _, others, chainErr := pkcs12.DecodeChain(content, password); chainErr == nil {
			certs, err = others, nil
		}
	}
	if err != nil {
		return nil, wrongFile("truststore.path", path, storeProblem(err))
	}
	if len(certs) == 0 {
		return nil, wrongFile("truststore.path", path, errors.New("holds no certificate of an authority"))
	}
	return append(all, certs...), nil
}

func storeProblem(err error) error {
	if errors.Is(err, pkcs12.ErrIncorrectPassword) {
		return errors.New("does not open with this password")
	}
	return fmt.Errorf("cannot be read as PKCS#12: %w; PEM files are the other way to give certificates", err)
}

// pemCertificates reads the certificates of a file, of which there is at least one.
func (f tlsFiles) pemCertificates(setting, path string) ([]*x509.Certificate, error) {
	rest, err := f.content(path)
	if err != nil {
		return nil, wrongFile(setting, path, err)
	}
	var certs []*x509.Certificate
	for block, rest := pem.Decode(rest); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, wrongFile(setting, path, fmt.Errorf("holds a certificate that cannot be read: %w", err))
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, wrongFile(setting, path, errors.New("holds no certificate in PEM form"))
	}
	return certs, nil
}

// parseKey reads the first private key of a PEM file: PKCS#8, PKCS#1 or SEC 1,
// as it is or encrypted.
func parseKey(content []byte, passphrase string) (any, error) {
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		encrypted := block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != ""
		if encrypted && passphrase == "" {
			return nil, errors.New("holds an encrypted key; give its passphrase in secure_key_passphrase")
		}
		der := block.Bytes
		if encrypted && block.Type != "ENCRYPTED PRIVATE KEY" {
			var err error
			//lint:ignore SA1019 a weak form that certificate tools still write; the key's strength is the operator's choice
			if der, err = x509.DecryptPEMBlock(block, []byte(passphrase)); err != nil {
				return nil, errors.New("does not open with this passphrase")
			}
		}
		switch block.Type {
		case "ENCRYPTED PRIVATE KEY":
			key, err := pkcs8.ParsePKCS8PrivateKey(der, []byte(passphrase))
			if err != nil {
				return nil, fmt.Errorf("does not open with this passphrase, or is encrypted in an unusual way: %w", err)
			}
			return key, nil
		case "PRIVATE KEY":
			return x509.ParsePKCS8PrivateKey(der)
		case "RSA PRIVATE KEY":
			return x509.ParsePKCS1PrivateKey(der)
		case "EC PRIVATE KEY":
			return x509.ParseECPrivateKey(der)
		}
	}
	return nil, errors.New("holds no private key in PEM form")
}

func (f tlsFiles) content(path string) ([]byte, error) {
	file := f[path]
	if p, ok := errors.AsType[*os.PathError](file.err); ok {
		return nil, fmt.Errorf("cannot be read: %w", p.Err)
	}
	return file.content, file.err
}

// wrongFile says which file is wrong; what the setting's name begins with is for
// the caller to add.
func wrongFile(setting, path string, err error) error {
	return fmt.Errorf("%s: the file %s %w", setting, path, err)
}
