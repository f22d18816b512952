package httpapi

import (
	"context"
	"encoding/base64"
	"time"

	"latchkey"
	"latchkey/internal/token"
	"latchkey/internal/xcontent"
)

func (s *Server) routeTokens() {
	s.routeNew("POST /_security/oauth2/token", s.getToken)
	s.route("DELETE /_security/oauth2/token", s.invalidateTokens)
}

// POST /_security/oauth2/token
func (s *Server) getToken(c *call) (act, error) {
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	var req token.GrantRequest
	err = body.Read("token_request", xcontent.Fields{
		"grant_type":      xcontent.ToString(&req.Type),
		"username":        toPresent(&req.Username),
		"password":        toPresent(&req.Password),
		"kerberos_ticket": toPresent(&req.Ticket),
		"refresh_token":   toPresent(&req.RefreshToken),
		"scope":           toPresent(&req.Scope),
	})
	if err != nil {
		return nil, err
	}
	c.repeatable = req.Type == "refresh_token" // a repetition brings the same tokens
	return func(ctx context.Context) (reply, error) {
		made, err := s.Tokens.Grant(ctx, c.by, req)
		if err != nil {
			return reply{}, err
		}
		answer := latchkey.TokenResponse{
			AccessToken: made.Access, Type: "Bearer", ExpiresIn: int64(made.ExpiresIn / time.Second),
			RefreshToken: made.Refresh, Scope: made.Scope,
			KerberosResponse: base64.StdEncoding.EncodeToString(made.TicketReply),
			Authentication:   identity(made.By),
		}
		return ok(answer), nil
	}, nil
}

// toPresent reads a text, and leaves p nil only where there is none.
func toPresent(p **string) func(xcontent.Value) error {
	return func(v xcontent.Value) error {
		s, err := v.AsString()
		*p = &s
		return err
	}
}

// DELETE /_security/oauth2/token
func (s *Server) invalidateTokens(c *call) (act, error) {
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	var req token.InvalidateRequest
	err = body.Read("invalidate_token", xcontent.Fields{
		"token":         xcontent.ToString(&req.Token),
		"refresh_token": xcontent.ToString(&req.RefreshToken),
		"realm_name":    xcontent.ToString(&req.Realm),
		"username":      xcontent.ToString(&req.Username),
	})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (reply, error) {
		done, err := s.Tokens.Invalidate(ctx, c.by, req)
		return found(done.Found, latchkey.InvalidateTokensResponse{Invalidated: done.Now, PreviouslyInvalidated: done.Before}), err
	}, nil
}
