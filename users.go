package latchkey

import "encoding/json"

// User is a user as GET /_security/user shows it. Passwords never appear.
type User struct {
	Username string          `json:"username"`
	Roles    []string        `json:"roles"` // as assigned; a role need not exist
	FullName *string         `json:"full_name"`
	Email    *string         `json:"email"`
	Metadata json.RawMessage `json:"metadata"` // an object
	Enabled  bool            `json:"enabled"`
}

// GetUsersResponse is the answer to GET /_security/user: users by name. Where
// names were asked for and none exists, it is empty and the status is 404.
type GetUsersResponse map[string]User

// PutUserRequest is the body of PUT /_security/user/{username}. One of Password
// and PasswordHash is needed for a new user; without either, an existing user
// keeps the password. All other fields are written on every call: what is left
// out becomes null, and a user without Enabled is enabled.
type PutUserRequest struct {
	Password     string          `json:"password,omitempty"` // at least 6 characters
	PasswordHash string          `json:"password_hash,omitempty"`
	Roles        []string        `json:"roles"` // required, may be empty
	FullName     *string         `json:"full_name,omitempty"`
	Email        *string         `json:"email,omitempty"`
	Metadata     json.RawMessage `json:"metadata,omitempty"` // an object; no key may start with _
	Enabled      *bool           `json:"enabled,omitempty"`
}

// ChangePasswordRequest is the body of PUT /_security/user/{username}/_password,
// with one of its fields.
type ChangePasswordRequest struct {
	Password     string `json:"password,omitempty"`
	PasswordHash string `json:"password_hash,omitempty"`
}

// CreatedResponse says whether a put made something new.
type CreatedResponse struct {
	Created bool `json:"created"`
}

// FoundResponse says whether there was something to delete. If not, the status is 404.
type FoundResponse struct {
	Found bool `json:"found"`
}

// EmptyResponse is the answer of calls that have nothing to say but that they succeeded.
type EmptyResponse struct{}
