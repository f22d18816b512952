package httpapi

import (
	"context"

	"latchkey"
)

func (s *Server) routeLeavers() { s.route("GET /_latchkey/leavers", s.getLeavers) }

// GET /_latchkey/leavers
func (s *Server) getLeavers(c *call) (act, error) {
	return func(ctx context.Context) (reply, error) {
		owners, err := s.Leavers.List(ctx, c.by)
		if err != nil {
			return reply{}, err
		}
		answer := latchkey.LeaversResponse{Leavers: []latchkey.Leaver{}}
		for _, o := range owners {
			answer.Leavers = append(answer.Leavers, latchkey.Leaver{
				Username: o.Username, Realm: o.Realm.Name, Reason: string(o.Reason),
				APIKeys: latchkey.LeaverKeys{Count: o.APIKeys, IDs: append([]string{}, o.KeyIDs...)},
				Tokens:  latchkey.LeaverTokens{Count: o.Tokens},
			})
		}
		return ok(answer), nil
	}, nil
}
