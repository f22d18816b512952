package httpapi

import (
	"crypto/x509"
	"net/http"
	"strings"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/fault"
)

// readWhole reads the body of a request, and judges its caller again if that took
// long.
func (s *Server) readWhole(x *exchange, c *call) error {
	began := time.Now()
	if err := s.readBody(x, c); err != nil {
		return err
	}
	expectBody(x.r, false)
	if c.by == nil || time.Since(began) <= promptBody {
		return nil
	}
	err := s.authenticateAgain(x.r, x.uri, c)
	x.by = c.by
	return err
}

// authenticateAgain is for a caller whose body took its time: what was revoked
// meanwhile must not act. A Kerberos ticket is good for one look, and nothing
// here revokes one.
func (s *Server) authenticateAgain(r *http.Request, uri string, c *call) error {
	if showed(r, "Negotiate") {
		return nil
	}
	by, err := s.Auth.Authenticate(r.Context(), r.Header, shown(r), uri)
	if err == nil {
		c.by = by
	}
	return err
}

// stillHolds refuses to hand out a new credential to whoever got it with one that
// was revoked while it was made, or as a user who was cut off meanwhile. Otherwise a
// thief who makes a new one without a pause outlives every revocation: some request
// is always on its way. The new one stays behind, and nobody knows its secret.
func (s *Server) stillHolds(x *exchange) error {
	if showed(x.r, "Negotiate") {
		return nil
	}
	by, err := s.Auth.Authenticate(x.r.Context(), x.r.Header, shown(x.r), x.uri)
	if err == nil && by.RunAsUnknown {
		return by.Authorize(access.Request{Action: "cluster:admin/xpack/security/user/authenticate", Self: true})
	}
	if err != nil && fault.KindOf(err) != fault.Unauthenticated {
		return fault.Wrap(err, fault.Unknown, "it is not known whether the credential of the request still holds")
	}
	return err
}

// showed reports whether the credential of the request is of a scheme.
func showed(r *http.Request, scheme string) bool {
	shown, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.EqualFold(shown, scheme)
}

// shown is the chain of certificates that the client has shown and the listener
// has verified.
func shown(r *http.Request) []*x509.Certificate {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return nil
	}
	return r.TLS.PeerCertificates
}

// checkSecondary judges es-secondary-authorization. A good one changes nothing
// here; a bad one refuses the request (spec/http.md 12.5).
func (s *Server) checkSecondary(x *exchange) error {
	second := x.r.Header["Es-Secondary-Authorization"]
	if len(second) == 0 || second[0] == "" || x.by == nil {
		return nil
	}
	_, err := s.Auth.Authenticate(x.r.Context(), http.Header{"Authorization": second[:1]}, nil, x.uri)
	return err
}
