package httpapi

import (
	"context"
	"time"

	"latchkey"
	"latchkey/internal/pki"
	"latchkey/internal/xcontent"
)

func (s *Server) routePKI() {
	s.routeNew("POST /_security/delegate_pki", s.delegatePKI)
}

// POST /_security/delegate_pki
func (s *Server) delegatePKI(c *call) (act, error) {
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	var texts []string
	err = body.Read("delegate_pki_request", xcontent.Fields{"x509_certificate_chain": xcontent.ToStrings(&texts)})
	if err != nil {
		return nil, err
	}
	chain, err := pki.ReadChain(texts)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (reply, error) {
		made, err := s.PKI.Authenticate(ctx, c.by, chain)
		if err != nil {
			return reply{}, err
		}
		return ok(latchkey.TokenResponse{
			AccessToken: made.Access, Type: "Bearer", ExpiresIn: int64(made.ExpiresIn / time.Second), Authentication: identity(made.By),
		}), nil
	}, nil
}
