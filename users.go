package latchkey

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
)

// User is a user as GET /_security/user shows it. Passwords never appear.
type User struct {
	Username string          `json:"username"`
	Roles    []string        `json:"roles"` // as assigned; a role need not exist
	FullName *string         `json:"full_name"`
	Email    *string         `json:"email"`
	Metadata json.RawMessage `json:"metadata"` // an object
	Enabled  bool            `json:"enabled"`
	// ProfileUID is the profile of the user, if it was asked for and there is one.
	ProfileUID string `json:"profile_uid,omitempty"`
}

// GetUsersResponse is the answer to GET /_security/user: users by name. Where
// names were asked for and none exists, it is empty and the status is 404.
type GetUsersResponse map[string]User

// PutUserRequest is the body of PUT /_security/user/{username}. One of Password
// and PasswordHash is needed for a new user; without either, an existing user
// keeps the password. All other fields are written on every call: what is left
// out becomes null, and a user without Enabled is enabled. It prints without
// the password.
type PutUserRequest struct {
	Password     string          `json:"password,omitempty"` // at least 6 characters
	PasswordHash string          `json:"password_hash,omitempty"`
	Roles        []string        `json:"roles"` // required, may be empty
	FullName     *string         `json:"full_name,omitempty"`
	Email        *string         `json:"email,omitempty"`
	Metadata     json.RawMessage `json:"metadata,omitempty"` // an object; no key may start with _
	Enabled      *bool           `json:"enabled,omitempty"`
}

func (r PutUserRequest) hidden() any {
	type plain PutUserRequest
	hide(&r.Password)
	hide(&r.PasswordHash)
	return plain(r)
}

// Format prints the request without the password.
func (r PutUserRequest) Format(f fmt.State, verb rune) { printHidden(f, verb, r.hidden()) }

// LogValue is the request without the password.
func (r PutUserRequest) LogValue() slog.Value { return slog.AnyValue(r.hidden()) }

// ChangePasswordRequest is the body of PUT /_security/user/{username}/_password,
// with one of its fields. It prints without them.
type ChangePasswordRequest struct {
	Password     string `json:"password,omitempty"`
	PasswordHash string `json:"password_hash,omitempty"`
}

func (r ChangePasswordRequest) hidden() any {
	type plain ChangePasswordRequest
	hide(&r.Password)
	hide(&r.PasswordHash)
	return plain(r)
}

// Format prints the request without the password.
func (r ChangePasswordRequest) Format(f fmt.State, verb rune) { printHidden(f, verb, r.hidden()) }

// LogValue is the request without the password.
func (r ChangePasswordRequest) LogValue() slog.Value { return slog.AnyValue(r.hidden()) }

// CreatedResponse says whether a put made something new.
type CreatedResponse struct {
	Created bool `json:"created"`
}

// FoundResponse says whether there was something to delete. If not, the status is 404.
type FoundResponse struct {
	Found bool `json:"found"`
}

// RevokedCredentials counts what a user lost together with the account: as far as
// it was to be revoked.
type RevokedCredentials struct {
	Tokens  *int `json:"invalidated_tokens,omitempty"` // halves: an access and a refresh token are two
	APIKeys *int `json:"invalidated_api_keys,omitempty"`
}

// DeleteUserResponse is the answer to a deletion that revokes credentials, too.
type DeleteUserResponse struct {
	Found bool `json:"found"`
	RevokedCredentials
}

// EmptyResponse is the answer of calls that have nothing to say but that they succeeded.
type EmptyResponse struct{}

const usersPath = "/_security/user"

// PutUser makes a user or replaces one, and reports whether the user is new.
func (c *Client) PutUser(ctx context.Context, username string, req PutUserRequest) (created bool, err error) {
	if err := needName("username", username); err != nil {
		return false, err
	}
	if req.Roles == nil {
		req.Roles = []string{} // the member is required
	}
	got, err := call[CreatedResponse](ctx, c, request{method: http.MethodPut, path: under(usersPath, username), body: req})
	return got.Created, err
}

// GetUsers returns users by name: those of the given names that exist, or all
// for no names. That there are none is no error.
func (c *Client) GetUsers(ctx context.Context, usernames ...string) (GetUsersResponse, error) {
	r := request{method: http.MethodGet, path: usersPath, mayMiss: true}
	if len(usernames) > 0 {
		r.path = under(usersPath, usernames...)
	}
	for _, name := range usernames {
		if err := needName("username", name); err != nil {
			return nil, err
		}
	}
	return call[GetUsersResponse](ctx, c, r)
}

// DeleteUser reports whether there was such a user. API keys of the user go on
// working; see [Client.DeleteUserAndRevoke].
func (c *Client) DeleteUser(ctx context.Context, username string) (found bool, err error) {
	if err := needName("username", username); err != nil {
		return false, err
	}
	got, err := call[FoundResponse](ctx, c, request{method: http.MethodDelete, path: under(usersPath, username), mayMiss: true})
	return got.Found, err
}

// ChangePassword sets the password of a user; the empty username stands for the
// caller. The old password is refused from then on.
func (c *Client) ChangePassword(ctx context.Context, username string, req ChangePasswordRequest) error {
	path := usersPath
	if username != "" {
		path = under(usersPath, username)
	}
	_, err := call[EmptyResponse](ctx, c, request{method: http.MethodPut, path: path + "/_password", body: req})
	return err
}

// EnableUser lets a user log in again.
func (c *Client) EnableUser(ctx context.Context, username string) error {
	return c.switchUser(ctx, username, "/_enable")
}

// DisableUser keeps a user from logging in. API keys of the user go on working; see
// [Client.DisableUserAndRevoke].
func (c *Client) DisableUser(ctx context.Context, username string) error {
	return c.switchUser(ctx, username, "/_disable")
}

// Revoke chooses what a user loses together with the account. It is an addition of
// latchkey: other servers refuse it.
type Revoke struct{ Tokens, APIKeys bool }

func (r Revoke) query() (url.Values, error) {
	if !r.Tokens && !r.APIKeys {
		return nil, errors.New("latchkey: nothing is chosen to be revoked")
	}
	q := url.Values{}
	if r.Tokens {
		q.Set("invalidate_tokens", "true")
	}
	if r.APIKeys {
		q.Set("invalidate_api_keys", "true")
	}
	return q, nil
}

// DeleteUserAndRevoke deletes a user and, in the same act, invalidates what the user
// holds. It does the latter also for a user who is gone already.
func (c *Client) DeleteUserAndRevoke(ctx context.Context, username string, revoke Revoke) (DeleteUserResponse, error) {
	if err := needName("username", username); err != nil {
		return DeleteUserResponse{}, err
	}
	query, err := revoke.query()
	if err != nil {
		return DeleteUserResponse{}, err
	}
	return call[DeleteUserResponse](ctx, c, request{method: http.MethodDelete, path: under(usersPath, username), query: query, mayMiss: true})
}

// DisableUserAndRevoke disables a user and, in the same act, invalidates what the user holds.
func (c *Client) DisableUserAndRevoke(ctx context.Context, username string, revoke Revoke) (RevokedCredentials, error) {
	if err := needName("username", username); err != nil {
		return RevokedCredentials{}, err
	}
	query, err := revoke.query()
	if err != nil {
		return RevokedCredentials{}, err
	}
	return call[RevokedCredentials](ctx, c, request{method: http.MethodPut, path: under(usersPath, username) + "/_disable", query: query})
}

func (c *Client) switchUser(ctx context.Context, username, act string) error {
	if err := needName("username", username); err != nil {
		return err
	}
	_, err := call[EmptyResponse](ctx, c, request{method: http.MethodPut, path: under(usersPath, username) + act})
	return err
}
