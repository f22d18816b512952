package pki

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/token"
)

const actionDelegate = "cluster:admin/xpack/security/delegate_pki"

// longest is how many certificates a chain has at most.
const longest = 20

// Tokens makes what users log in with.
type Tokens interface {
	// Login makes tokens that act as somebody, for a client.
	Login(ctx context.Context, by *access.Caller, l token.Login) (token.Granted, error)
}

// Service gives access tokens to those who were shown certificates. It is safe
// for concurrent use.
type Service struct {
	realms []*Realm
	tokens Tokens
	// everybody adds the roles that all have who log in.
	everybody func([]string) []string
}

// NewService returns a Service. The realms are in their order.
func NewService(realms []*Realm, tokens Tokens, everybody func([]string) []string) *Service {
	return &Service{realms, tokens, everybody}
}

// ReadChain reads certificates, each the standard Base64 of its DER form. Texts
// that are none are fault.Malformed.
func ReadChain(texts []string) ([]*x509.Certificate, error) {
	var chain []*x509.Certificate
	for i, text := range texts[:min(len(texts), longest+1)] { // those beyond are too many, whatever they are
		der, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, fault.New(fault.Malformed, "[delegate_pki_request] failed to parse field [x509_certificate_chain]: certificate %d is not Base64", i+1)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fault.New(fault.Malformed, "[delegate_pki_request] failed to parse field [x509_certificate_chain]: certificate %d is no X.509 certificate in DER form", i+1)
		}
		chain = append(chain, c)
	}
	return chain, nil
}

// Authenticate makes an access token that acts as the owner of a chain, whose
// first certificate is the owner's, and each further one that of the issuer of
// the one before. It cannot be refreshed. A chain that no realm accepts is
// fault.Unauthenticated.
func (s *Service) Authenticate(ctx context.Context, by *access.Caller, chain []*x509.Certificate) (token.Granted, error) {
	if err := check(chain).Err(fault.Invalid); err != nil {
		return token.Granted{}, err
	}
	if err := by.Authorize(access.Request{Action: actionDelegate}); err != nil {
		return token.Granted{}, err
	}
	var err error = fault.New(fault.NotFound, "no realm takes certificates from others")
	for _, r := range s.realms {
		var u access.Subject
		if u, err = r.AuthenticateDelegated(ctx, chain, by.Subject); err == nil {
			u.Roles = s.everybody(u.Roles)
			return s.tokens.Login(ctx, by, token.Login{Subject: u, AccessOnly: true})
		}
		if kind := fault.KindOf(err); kind != fault.NotFound && kind != fault.Unauthenticated {
			return token.Granted{}, err
		}
	}
	return token.Granted{}, fault.Wrap(err, fault.Unauthenticated, "unable to authenticate the certificate chain for action [%s]", actionDelegate)
}

// check looks at names alone: signatures are for those to check who may ask.
func check(chain []*x509.Certificate) fault.Problems {
	var p fault.Problems
	switch {
	case len(chain) == 0:
		p.Add("[x509_certificate_chain] is required and must not be empty")
	case len(chain) > longest:
		p.Add("[x509_certificate_chain] must not have more than %d certificates", longest)
	}
	for i := range len(chain) - 1 {
		if !bytes.Equal(chain[i].RawIssuer, chain[i+1].RawSubject) {
			p.Add("[x509_certificate_chain] must be ordered, and certificate %d is not that of the issuer of certificate %d", i+2, i+1)
			break
		}
	}
	return p
}
