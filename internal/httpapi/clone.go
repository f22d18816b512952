package httpapi

import (
	"context"

	"latchkey/internal/apikey"
	"latchkey/internal/xcontent"
)

// POST or PUT /_security/api_key/clone
func (s *Server) cloneAPIKey(c *call) (act, error) {
	c.query.Refresh()
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	var req apikey.CloneRequest
	err = body.Read("clone_api_key_request", xcontent.Fields{
		"api_key": xcontent.ToString(&req.Encoded),
		"name": func(v xcontent.Value) error {
			req.Name = new(string)
			return xcontent.ToString(req.Name)(v)
		},
		"expiration": func(v xcontent.Value) error {
			if req.Never = v.Kind == xcontent.Null || v.Kind == xcontent.String && v.Text == "-1"; req.Never {
				return nil
			}
			return toExpiration(&req.Expiration)(v)
		},
		"metadata": xcontent.ToObject(&req.Metadata),
	})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (reply, error) {
		made, err := s.APIKeys.Clone(ctx, c.by, req)
		return newKey(made), err
	}, nil
}
