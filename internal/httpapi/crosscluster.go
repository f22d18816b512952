package httpapi

import (
	"context"

	"latchkey"
	"latchkey/internal/access"
	"latchkey/internal/apikey"
	"latchkey/internal/fault"
	"latchkey/internal/xcontent"
)

func (s *Server) routeCrossCluster() {
	s.routeNew("POST /_security/cross_cluster/api_key", s.createCrossClusterAPIKey)
	s.route("PUT /_security/cross_cluster/api_key/{id}", s.updateCrossClusterAPIKey)
}

// POST /_security/cross_cluster/api_key
func (s *Server) createCrossClusterAPIKey(c *call) (act, error) {
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	var req apikey.CrossClusterRequest
	err = body.Read("cross_cluster_api_key_request", xcontent.Fields{
		"name":                 xcontent.ToString(&req.Name),
		"expiration":           toExpiration(&req.Expiration),
		"access":               toAccess(&req.Access),
		"metadata":             xcontent.ToObject(&req.Metadata),
		"certificate_identity": toIdentity(&req.CertificateIdentity),
	})
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"name", "access"} {
		if _, given := body.Get(name); !given {
			return nil, fault.New(fault.Argument, "[%s] is required", name)
		}
	}
	return func(ctx context.Context) (reply, error) {
		made, err := s.APIKeys.CreateCrossCluster(ctx, c.by, req)
		return newKey(made), err
	}, nil
}

// PUT /_security/cross_cluster/api_key/{id}
func (s *Server) updateCrossClusterAPIKey(c *call) (act, error) {
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	var req apikey.CrossClusterUpdate
	err = body.Read("update_cross_cluster_api_key_request", xcontent.Fields{
		"expiration": toExpiration(&req.Expiration),
		"access": func(v xcontent.Value) error {
			req.Access = &access.CrossClusterAccess{}
			return toAccess(req.Access)(v)
		},
		"metadata": xcontent.ToObject(&req.Metadata),
		"certificate_identity": func(v xcontent.Value) error {
			req.CertificateIdentity = new(string)
			return toIdentity(req.CertificateIdentity)(v)
		},
	})
	if err != nil {
		return nil, err
	}
	id := c.path("id")
	return func(ctx context.Context) (reply, error) {
		changed, err := s.APIKeys.UpdateCrossCluster(ctx, c.by, id, req)
		return ok(latchkey.UpdateAPIKeyResponse{Updated: changed}), err
	}, nil
}

func toAccess(p *access.CrossClusterAccess) func(xcontent.Value) error {
	return func(v xcontent.Value) (err error) {
		*p, err = access.ParseCrossClusterAccess(v)
		return err
	}
}

// toIdentity reads a certificate identity; null stands for any certificate, which
// is "" in p.
func toIdentity(p *string) func(xcontent.Value) error {
	return func(v xcontent.Value) error {
		if v.Kind == xcontent.String && v.Text == "" {
			return fault.New(fault.Argument, "[certificate_identity] must not be empty; null stands for any certificate")
		}
		return toTextOrNull(p)(v)
	}
}
