package httpapi

import (
	"context"
	"time"

	"latchkey"
	"latchkey/internal/oidc"
	"latchkey/internal/xcontent"
)

func (s *Server) routeOIDC() {
	s.route("POST /_security/oidc/prepare", s.prepareOIDC)
	s.routeNew("POST /_security/oidc/authenticate", s.authenticateOIDC)
	s.route("POST /_security/oidc/logout", s.logoutOIDC)
}

// POST /_security/oidc/prepare
func (s *Server) prepareOIDC(c *call) (act, error) {
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	var req oidc.PrepareRequest
	err = body.Read("oidc_prepare_authentication", xcontent.Fields{
		"realm":      xcontent.ToString(&req.Realm),
		"iss":        xcontent.ToString(&req.Issuer),
		"login_hint": xcontent.ToString(&req.LoginHint),
		"state":      xcontent.ToString(&req.State),
		"nonce":      xcontent.ToString(&req.Nonce),
	})
	if err != nil {
		return nil, err
	}
	return func(context.Context) (reply, error) {
		p, err := s.OIDC.Prepare(c.by, req)
		return ok(latchkey.OIDCPrepareResponse{Redirect: p.Redirect, State: p.State, Nonce: p.Nonce, Realm: p.Realm}), err
	}, nil
}

// POST /_security/oidc/authenticate
func (s *Server) authenticateOIDC(c *call) (act, error) {
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	var req oidc.AuthenticateRequest
	err = body.Read("oidc_authn", xcontent.Fields{
		"redirect_uri": xcontent.ToString(&req.RedirectURI),
		"state":        xcontent.ToString(&req.State),
		"nonce":        xcontent.ToString(&req.Nonce),
		"realm":        xcontent.ToString(&req.Realm),
	})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (reply, error) {
		made, err := s.OIDC.Authenticate(ctx, c.by, req)
		if err != nil {
			return reply{}, err
		}
		return ok(latchkey.TokenResponse{
			AccessToken: made.Access, Type: "Bearer", ExpiresIn: int64(made.ExpiresIn / time.Second),
			RefreshToken: made.Refresh, Authentication: identity(made.By),
		}), nil
	}, nil
}

// POST /_security/oidc/logout
func (s *Server) logoutOIDC(c *call) (act, error) {
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	var access, refresh string
	err = body.Read("oidc_logout", xcontent.Fields{
		"token":         xcontent.ToString(&access),
		"refresh_token": xcontent.ToString(&refresh),
	})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (reply, error) {
		redirect, err := s.OIDC.Logout(ctx, c.by, access, refresh)
		var answer latchkey.OIDCLogoutResponse
		if redirect != "" {
			answer.Redirect = &redirect
		}
		return ok(answer), err
	}, nil
}
