package httpapi

import (
	"context"
	"time"

	"latchkey"
	"latchkey/internal/fault"
	"latchkey/internal/xcontent"
)

func (s *Server) routeExpiring() { s.route("GET /_latchkey/api_key/expiring", s.getExpiringAPIKeys) }

// GET /_latchkey/api_key/expiring
func (s *Server) getExpiringAPIKeys(c *call) (act, error) {
	var within *time.Duration
	if text := c.query.String("within"); text != "" {
		d, err := xcontent.ParseDuration(text, "within")
		if err != nil {
			return nil, err
		}
		if d < 0 {
			return nil, fault.New(fault.Argument, "[within] must not be negative")
		}
		within = &d
	}
	return func(ctx context.Context) (reply, error) {
		soon, err := s.APIKeys.Expiring(ctx, c.by, within)
		if err != nil {
			return reply{}, err
		}
		answer := latchkey.ExpiringAPIKeysResponse{Until: epoch(soon.Until), More: soon.More, APIKeys: make([]latchkey.ExpiringAPIKey, len(soon.Keys))}
		for i, k := range soon.Keys {
			answer.APIKeys[i] = latchkey.ExpiringAPIKey{
				ID: k.ID, Name: k.Name, Type: string(k.Type), Username: k.Owner.Username, Realm: k.Owner.Realm,
				Creation: epoch(k.CreatedAt), Expiration: epoch(k.ExpiresAt), Metadata: k.Metadata,
			}
		}
		return ok(answer), nil
	}, nil
}
