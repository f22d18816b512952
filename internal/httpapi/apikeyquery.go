package httpapi

import (
	"context"
	"time"

	"latchkey"
	"latchkey/internal/apikey"
	"latchkey/internal/profile"
	dsl "latchkey/internal/query"
)

// GET or POST /_security/_query/api_key
func (s *Server) queryAPIKeys(c *call) (act, error) {
	req := apikey.QueryRequest{WithLimitedBy: c.query.Bool("with_limited_by"), WithLastUsed: c.query.Bool("with_last_used")}
	withUID, typed := c.query.Bool("with_profile_uid"), c.query.Bool("typed_keys")
	body, err := c.searchBody()
	if err != nil {
		return nil, err
	}
	if req.Search, err = dsl.ParseWithAggregations(body, apikey.Schema, time.Now()); err != nil {
		return nil, err
	}
	return func(ctx context.Context) (reply, error) {
		found, err := s.APIKeys.Query(ctx, c.by, req)
		if err != nil {
			return reply{}, err
		}
		uids, err := s.ownerProfiles(ctx, found.Keys, withUID)
		if err != nil {
			return reply{}, err
		}
		answer := latchkey.QueryAPIKeysResponse{Total: found.Total, Count: len(found.Keys), APIKeys: make([]latchkey.QueriedAPIKey, len(found.Keys))}
		for i, k := range found.Keys {
			answer.APIKeys[i] = latchkey.QueriedAPIKey{APIKey: c.shownKey(k, uids[i]), Sort: sortValues(found.Sort[i])}
		}
		if found.Aggregations != nil {
			answer.Aggregations = found.Aggregations.Render(typed).JSON()
		}
		return ok(answer), nil
	}, nil
}

// ownerProfiles returns the uids of the profiles of the keys' owners, "" for those
// without one, if they are wanted.
func (s *Server) ownerProfiles(ctx context.Context, keys []apikey.Info, wanted bool) ([]string, error) {
	uids := make([]string, len(keys))
	if !wanted {
		return uids, nil
	}
	at := map[profile.Owner]int{} // many keys have one owner
	var owners []profile.Owner
	for _, k := range keys {
		o := profile.Owner{Username: k.Owner.Username, Realm: k.Owner.Realm}
		if _, known := at[o]; !known {
			at[o] = len(owners)
			owners = append(owners, o)
		}
	}
	byOwner, err := s.Profiles.UIDs(ctx, owners)
	if err != nil {
		return nil, err
	}
	for i, k := range keys {
		uids[i] = byOwner[at[profile.Owner{Username: k.Owner.Username, Realm: k.Owner.Realm}]]
	}
	return uids, nil
}
