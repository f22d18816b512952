package apikey

import (
	"context"
	"slices"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/query"
	"latchkey/internal/xcontent"
)

// Schema holds what API keys are searched by (spec/api-keys.md 4.2).
var Schema = query.Schema{
	{Name: "name"},
	{Name: "type"},
	{Name: "username"},
	{Name: "realm_name"},
	{Name: "creation", Type: query.Date},
	{Name: "expiration", Type: query.Date},
	{Name: "invalidation", Type: query.Date},
	{Name: "invalidated", Type: query.Boolean},
	{Name: "metadata", Type: query.Flat},
	{Name: "last_used", Type: query.Date},
}

// KeyHit is a key that a search has found.
type KeyHit struct {
	Key
	Sort []xcontent.Value // what it was sorted by; nil if the request does not sort
}

// KeysFound is the answer to a search for keys.
type KeysFound struct {
	Total        int // all keys that match
	Hits         []KeyHit
	Aggregations query.Aggregations // nil if nothing matches, or none were asked for
}

// QueryRequest is a search for keys, and what it wants to be told of each.
type QueryRequest struct {
	Search        *query.Request // over [Schema]
	WithLimitedBy bool
	WithLastUsed  bool
}

// Queried is the answer to a search for keys.
type Queried struct {
	Total        int                // all keys that match
	Keys         []Info             // those on the page
	Sort         [][]xcontent.Value // what each of them was sorted by
	Aggregations query.Aggregations // nil if nothing matches, or none were asked for
}

// searchTime bounds what one search takes from others: of a million keys, what is
// sensible takes less than a second.
const searchTime = 10 * time.Second

// Query finds keys among those that the caller may see: all of them, or, where only
// manage_own_api_key allows it, the caller's own; an API key then sees nothing but
// itself (spec/api-keys.md 4.1). A search that nobody may make, or that takes too
// long, is fault.Argument or fault.Search.
func (s *Service) Query(ctx context.Context, by *access.Caller, req QueryRequest) (Queried, error) {
	if err := req.Search.Problems().Err(fault.Invalid); err != nil {
		return Queried{}, err
	}
	visible := query.Node(query.All{})
	if asked := (access.Request{Action: actions + "query"}); !by.Allows(asked) {
		asked.Own = by.APIKey == nil || !req.WithLimitedBy
		if err := by.Authorize(asked); err != nil {
			return Queried{}, err
		}
		visible = ownKeys(by)
	}
	if err := s.disabled(); err != nil {
		return Queried{}, err
	}
	if err := req.Search.Err(); err != nil {
		return Queried{}, err
	}
	if slices.Contains(req.Search.Fields(), "last_used") {
		_ = s.writeUses(ctx) // RecordUses meets the same error, and tells
	}
	limited, cancel := context.WithTimeout(ctx, searchTime)
	defer cancel()
	found, err := s.store.QueryAPIKeys(limited, req.Search, visible)
	switch {
	case err != nil && limited.Err() != nil && ctx.Err() == nil:
		why := fault.New(fault.Argument, "the search takes longer than [%v]; ask for less at once", searchTime)
		return Queried{}, fault.New(fault.Search, "the search failed").Because(why)
	case err != nil:
		return Queried{}, err
	}
	keys := make([]Key, len(found.Hits))
	for i, h := range found.Hits {
		keys[i] = h.Key
	}
	infos, err := s.describe(ctx, keys, req.WithLimitedBy)
	if err == nil && req.WithLastUsed {
		err = s.addUses(ctx, infos)
	}
	if err != nil {
		return Queried{}, err
	}
	out := Queried{Total: found.Total, Keys: infos, Sort: make([][]xcontent.Value, len(infos)), Aggregations: found.Aggregations}
	at := 0
	for i, info := range infos { // in the same order, and some may be left out
		for found.Hits[at].ID != info.ID {
			at++
		}
		out.Sort[i] = found.Hits[at].Sort
	}
	return out, nil
}

// ownKeys matches the keys that manage_own_api_key lets a caller see.
func ownKeys(by *access.Caller) query.Node {
	if by.APIKey != nil {
		return query.IDs{by.APIKey.ID}
	}
	return query.Bool{Must: []query.Node{has("username", by.Username), has("realm_name", by.Realm.Name)}}
}

func has(field, text string) query.Leaf {
	return query.Leaf{Field: query.Field{Name: field}, Name: field, Test: query.OneOf{Texts: []string{text}}}
}
