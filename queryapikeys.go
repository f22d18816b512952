package latchkey

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
)

// QueryAPIKeysRequest is a search of API keys. What the caller may not see is not
// found. The zero value asks for the first ten of all keys.
type QueryAPIKeysRequest struct {
	Query
	// Aggregations tell of all keys that match, by names of the caller's choice, such
	// as {"owners":{"terms":{"field":"username"}}}; since 8.14. With a Size of 0
	// the answer holds nothing else.
	Aggregations   map[string]any `json:"aggs,omitempty"`
	WithLimitedBy  bool           `json:"-"` // since 8.5
	WithProfileUID bool           `json:"-"` // since 8.14
	WithLastUsed   bool           `json:"-"` // latchkey only
}

// QueryAPIKeysResponse is the answer to a search of API keys.
type QueryAPIKeysResponse struct {
	Total   int             `json:"total"` // all that match
	Count   int             `json:"count"` // those on this page
	APIKeys []QueriedAPIKey `json:"api_keys"`
	// Aggregations is an object, by name; absent where nothing matches. See Aggregation.
	Aggregations json.RawMessage `json:"aggregations,omitempty"`
}

// QueriedAPIKey is an API key that a search found.
type QueriedAPIKey struct {
	APIKey
	Sort []json.RawMessage `json:"_sort,omitempty"` // what it was sorted by, if the search sorts
}

func (r *QueryAPIKeysResponse) missing() string {
	if r.APIKeys == nil {
		return "api_keys"
	}
	return ""
}

// Aggregation reads the result of one of the search's aggregations into a value
// of its form, such as a [*Buckets]. Where nothing matched it leaves the value alone.
func (r QueryAPIKeysResponse) Aggregation(name string, into any) error {
	if len(r.Aggregations) == 0 {
		return nil
	}
	var results map[string]json.RawMessage
	if err := json.Unmarshal(r.Aggregations, &results); err != nil {
		return fmt.Errorf("latchkey: read the aggregations: %w", err)
	}
	result, ok := results[name]
	if !ok {
		return fmt.Errorf("latchkey: the answer has no aggregation %s", name)
	}
	if err := json.Unmarshal(result, into); err != nil {
		return fmt.Errorf("latchkey: read the aggregation %s: %w", name, err)
	}
	return nil
}

// Buckets is the result of an aggregation that counts keys by the values of a field.
type Buckets struct {
	Buckets []Bucket `json:"buckets"`
	Others  int      `json:"sum_other_doc_count"` // keys in further buckets
}

// Bucket is how many keys have a value.
type Bucket struct {
	Key   json.RawMessage `json:"key"`
	Text  string          `json:"key_as_string"` // of a date or a boolean
	Count int             `json:"doc_count"`
}

// Name is the value as a text.
func (b Bucket) Name() string {
	if b.Text != "" {
		return b.Text
	}
	var text string
	if json.Unmarshal(b.Key, &text) == nil {
		return text
	}
	return string(b.Key)
}

// QueryAPIKeys searches the API keys that the caller may see: all, or the caller's
// own. Since 7.15.
func (c *Client) QueryAPIKeys(ctx context.Context, req QueryAPIKeysRequest) (QueryAPIKeysResponse, error) {
	query := url.Values{}
	for name, set := range map[string]bool{
		"with_limited_by": req.WithLimitedBy, "with_profile_uid": req.WithProfileUID, "with_last_used": req.WithLastUsed,
	} {
		if set { // older servers refuse those that they do not know
			query.Set(name, "true")
		}
	}
	return call[QueryAPIKeysResponse](ctx, c, request{method: http.MethodPost, path: "/_security/_query/api_key", query: query, body: req})
}

// EveryAPIKey returns all keys that a search finds, the oldest first, and asks for
// them page by page, of a thousand keys if Size is nil. A key that is there from
// the beginning to the end comes exactly once, whatever becomes of others. An error
// is the last that comes. The search has no place, order or aggregations of its own.
func (c *Client) EveryAPIKey(ctx context.Context, req QueryAPIKeysRequest) iter.Seq2[APIKey, error] {
	return func(yield func(APIKey, error) bool) {
		if req.From != 0 || req.Sort != nil || req.SearchAfter != nil || req.Aggregations != nil || req.Size != nil && *req.Size < 1 {
			yield(APIKey{}, errors.New("latchkey: a search for every API key takes a query and the size of its pages"))
			return
		}
		page := req
		page.Sort = []any{"creation"}
		if page.Size == nil {
			page.Size = new(1000)
		}
		var last int64      // creation of the last key
		var latest []string // ids of the keys so far that were created then
		for {
			found, err := c.QueryAPIKeys(ctx, page)
			if err != nil {
				yield(APIKey{}, err)
				return
			}
			for _, k := range found.APIKeys {
				if k.Creation != last {
					last, latest = k.Creation, nil
				}
				latest = append(latest, k.ID)
				if !yield(k.APIKey, nil) {
					return
				}
			}
			if len(found.APIKeys) == 0 {
				return
			}
			// Others of the same millisecond may follow.
			page.SearchAfter = []any{last - 1}
			if page.Query.Query, err = without(req.Query.Query, latest); err != nil {
				yield(APIKey{}, err)
				return
			}
		}
	}
}

// without is a query for what query finds, but for these ids.
func without(query json.RawMessage, ids []string) (json.RawMessage, error) {
	filter := []json.RawMessage{}
	if len(query) > 0 {
		filter = append(filter, query)
	}
	return json.Marshal(map[string]any{"bool": map[string]any{
		"filter":   filter,
		"must_not": map[string]any{"ids": map[string]any{"values": ids}},
	}})
}
