package httpapi

import (
	"context"
	"time"

	"latchkey"
	"latchkey/internal/xcontent"
)

func (s *Server) routeRotation() {
	s.routeNew("POST /_latchkey/api_key/{id}/_rotate", s.rotateAPIKey)
	s.route("POST /_latchkey/api_key/{id}/_end_overlap", s.endOverlap)
}

// POST /_latchkey/api_key/{id}/_rotate
func (s *Server) rotateAPIKey(c *call) (act, error) {
	var overlap time.Duration
	if len(c.content) > 0 {
		body, err := c.body()
		if err != nil {
			return nil, err
		}
		err = body.Read("rotate_api_key_request", xcontent.Fields{"overlap": func(v xcontent.Value) error {
			text, err := v.AsString()
			if err != nil {
				return err
			}
			overlap, err = xcontent.ParseDuration(text, "overlap")
			return err
		}})
		if err != nil {
			return nil, err
		}
	}
	id := c.path("id")
	return func(ctx context.Context) (reply, error) {
		made, err := s.APIKeys.Rotate(ctx, c.by, id, overlap)
		return newKey(made), err
	}, nil
}

// POST /_latchkey/api_key/{id}/_end_overlap
func (s *Server) endOverlap(c *call) (act, error) {
	id := c.path("id")
	return func(ctx context.Context) (reply, error) {
		ended, err := s.APIKeys.EndOverlap(ctx, c.by, id)
		return ok(latchkey.EndOverlapResponse{Ended: ended}), err
	}, nil
}
