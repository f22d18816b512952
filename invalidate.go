package latchkey

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// KeySelection says which API keys an invalidation ends. It comes from one of
// its constructors; the zero value selects nothing and is refused, as is a blank
// text, which a server would take for "any".
type KeySelection struct {
	ids                   []string
	name, username, realm string
	owner                 bool
	problem               string
}

// ByID selects the key of an id. An id that does not exist is not an error.
func ByID(id string) KeySelection { return ByIDs(id) }

// ByIDs selects the keys of one or more ids. Ids that do not exist are not an error.
func ByIDs(ids ...string) KeySelection {
	s := KeySelection{ids: slices.Clone(ids)}
	if len(ids) == 0 {
		s.problem = "it has no ids"
	}
	for _, id := range ids {
		s.need("id", id)
	}
	return s
}

// ByName selects all keys of a name, whoever owns them. A * at its end stands
// for any text, so that "*" selects every key there is.
func ByName(name string) KeySelection {
	s := KeySelection{name: name}
	s.need("name", name)
	return s
}

// ByRealm selects all keys whose owner is of a realm, as "default_native".
func ByRealm(realm string) KeySelection {
	s := KeySelection{realm: realm}
	s.need("realm", realm)
	return s
}

// ByUser selects all keys of a username, in whatever realm.
func ByUser(username string) KeySelection {
	s := KeySelection{username: username}
	s.need("username", username)
	return s
}

// ByRealmAndUser selects all keys of a user of a realm.
func ByRealmAndUser(realm, username string) KeySelection {
	s := KeySelection{realm: realm, username: username}
	s.need("realm", realm)
	s.need("username", username)
	return s
}

// Owned selects all keys of the caller, who is the owner of the key where an API
// key makes the call.
func Owned() KeySelection { return KeySelection{owner: true} }

// OwnedByIDs selects those of the given keys that the caller owns.
func OwnedByIDs(ids ...string) KeySelection {
	s := ByIDs(ids...)
	s.owner = true
	return s
}

// OwnedByName selects the keys of a name that the caller owns; see [ByName].
func OwnedByName(name string) KeySelection {
	s := ByName(name)
	s.owner = true
	return s
}

func (s *KeySelection) need(what, text string) {
	if strings.TrimSpace(text) == "" {
		s.problem = "its " + what + " is blank"
	}
}

func (s KeySelection) check() error {
	if s.problem == "" && !s.owner && s.ids == nil && s.name == "" && s.username == "" && s.realm == "" {
		s.problem = "it comes from no constructor"
	}
	if s.problem != "" {
		return errors.New("latchkey: the selection of API keys is refused: " + s.problem)
	}
	return nil
}

// MarshalJSON writes the body of DELETE /_security/api_key.
func (s KeySelection) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		IDs      []string `json:"ids,omitempty"`
		Name     string   `json:"name,omitempty"`
		Username string   `json:"username,omitempty"`
		Realm    string   `json:"realm_name,omitempty"`
		Owner    bool     `json:"owner,omitempty"`
	}{s.ids, s.name, s.username, s.realm, s.owner})
}

// InvalidateAPIKeysResponse tells what an invalidation did. Its lists are
// ordered by id.
type InvalidateAPIKeysResponse struct {
	Invalidated           []string       `json:"invalidated_api_keys"`            // by this request
	PreviouslyInvalidated []string       `json:"previously_invalidated_api_keys"` // named by id, and invalidated before
	ErrorCount            int            `json:"error_count"`
	ErrorDetails          []ErrorDetails `json:"error_details,omitempty"` // one for each key that could not be invalidated
}

func (r *InvalidateAPIKeysResponse) missing() string {
	switch {
	case r.Invalidated == nil:
		return "invalidated_api_keys"
	case r.PreviouslyInvalidated == nil:
		return "previously_invalidated_api_keys"
	}
	return ""
}

// InvalidateAPIKeys ends API keys for good. When it returns without an error the
// server refuses them from then on. A selection that matches nothing is not an
// error. Keys that the caller's rights do not reach are told in ErrorDetails.
func (c *Client) InvalidateAPIKeys(ctx context.Context, keys KeySelection) (InvalidateAPIKeysResponse, error) {
	if err := keys.check(); err != nil {
		return InvalidateAPIKeysResponse{}, err
	}
	return call[InvalidateAPIKeysResponse](ctx, c, request{method: http.MethodDelete, path: "/_security/api_key", body: keys})
}

// PreviewInvalidation returns what [Client.InvalidateAPIKeys] would, and ends no
// key. It takes the same rights. Only latchkey knows it.
func (c *Client) PreviewInvalidation(ctx context.Context, keys KeySelection) (InvalidateAPIKeysResponse, error) {
	if err := keys.check(); err != nil {
		return InvalidateAPIKeysResponse{}, err
	}
	return call[InvalidateAPIKeysResponse](ctx, c, request{
		method: http.MethodDelete, path: "/_security/api_key", query: url.Values{"dry_run": {"true"}}, body: keys})
}

// InvalidateAPIKeysAsync is [Client.InvalidateAPIKeys] that returns at once. The
// listener hears of the end in every case: of an end of ctx and of
// [Pending.Cancel] as an [*InterruptedError] on its failure side, and of a
// selection that is refused on the same side.
func (c *Client) InvalidateAPIKeysAsync(ctx context.Context, keys KeySelection, listener Listener[InvalidateAPIKeysResponse]) *Pending[InvalidateAPIKeysResponse] {
	return start(ctx, listener, func(ctx context.Context) (InvalidateAPIKeysResponse, error) { return c.InvalidateAPIKeys(ctx, keys) })
}
