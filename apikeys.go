package latchkey

import "encoding/json"

// CreateAPIKeyResponse is the answer of creating or granting an API key, and
// the only one that holds its secret.
type CreateAPIKeyResponse struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	Expiration int64  `json:"expiration,omitempty"` // epoch milliseconds; 0: never
	APIKey     string `json:"api_key"`              // the secret
	Encoded    string `json:"encoded"`              // Base64 of id:api_key, for "Authorization: ApiKey"
}

// APIKey is an API key as get and query show it.
type APIKey struct {
	ID           string          `json:"id"`
	Name         string          `json:"name"`
	Type         string          `json:"type"`                   // rest or cross_cluster
	Creation     int64           `json:"creation"`               // epoch milliseconds
	Expiration   int64           `json:"expiration,omitempty"`   // epoch milliseconds; 0: never
	Invalidated  bool            `json:"invalidated"`            // an expired key is not invalidated
	Invalidation int64           `json:"invalidation,omitempty"` // epoch milliseconds
	Username     string          `json:"username"`               // of the owner
	Realm        string          `json:"realm"`                  // of the owner
	RealmType    string          `json:"realm_type,omitempty"`
	Metadata     json.RawMessage `json:"metadata"` // an object, as the client wrote it
	// RoleDescriptors holds what was assigned, by name; empty: what the owner held.
	RoleDescriptors json.RawMessage `json:"role_descriptors"`
	// LimitedBy is what the owner held when the key was made: one object of
	// descriptors by role name. It is there only on request.
	LimitedBy []json.RawMessage `json:"limited_by,omitempty"`
}

// GetAPIKeysResponse is the answer of getting API keys. With an id that is not
// there it comes with status 404.
type GetAPIKeysResponse struct {
	APIKeys []APIKey `json:"api_keys"`
}

// InvalidateAPIKeysResponse tells what an invalidation did. Its lists are
// ordered by id.
type InvalidateAPIKeysResponse struct {
	Invalidated           []string       `json:"invalidated_api_keys"`            // by this request
	PreviouslyInvalidated []string       `json:"previously_invalidated_api_keys"` // named by id, and invalidated before
	ErrorCount            int            `json:"error_count"`
	ErrorDetails          []ErrorDetails `json:"error_details,omitempty"` // one for each key that could not be invalidated
}

// ErrorDetails is a failure inside an answer that is a success as a whole.
type ErrorDetails struct {
	Type   string `json:"type"`
	Reason string `json:"reason"`
}
