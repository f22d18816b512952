// Package user holds the people and programs that log in with a password: the
// built-in users of the reserved realm and the stored users of the native
// realm. It says who may change them, checks their passwords and keeps what it
// checked in memory.
//
// It resolves no roles: a [access.Subject] leaves with their names. How users
// are kept is for its [Store], how they look on the wire for others.
package user

import (
	"context"
	"encoding/json"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/secret"
	"latchkey/internal/xcontent"
)

// User is what the API shows of a user.
type User struct {
	Username string
	Roles    []string // as assigned; never nil; a role need not exist
	FullName *string
	Email    *string
	Metadata json.RawMessage // a JSON object
	Enabled  bool
}

// Account is a stored user of the native realm with the hash of the password.
type Account struct {
	User
	Hash string
}

// ReservedState is what is stored about a built-in user. A built-in user of
// whom nothing is stored is enabled and has no password.
type ReservedState struct {
	Hash      string // empty: no password
	Generated bool   // the password was made at the first start, and nobody has set one since
	Enabled   bool
}

// Store keeps users. Every method is one atomic change or one consistent read.
// Usernames differ by letter case. An error of a change is fault.Unknown if the
// change may have been made, and any other only if it was not.
type Store interface {
	// PutUser creates u or replaces it. With an empty hash an existing user
	// keeps its password, and its metadata takes in u.Metadata as
	// [MergeMetadata] says, or becomes {} if u.Metadata is empty; where there is
	// no such user it is fault.NotFound and nothing is stored.
	PutUser(ctx context.Context, u User, hash string) (created bool, err error)
	// User returns a user of the native realm, or fault.NotFound.
	User(ctx context.Context, username string) (Account, error)
	// Users returns those of the named users of the native realm that exist, or
	// all if names is empty, in order of their names.
	Users(ctx context.Context, names []string) ([]User, error)
	// DeleteUser reports whether there was such a user.
	DeleteUser(ctx context.Context, username string) (bool, error)
	// CutOffUser deletes or disables a user, and ends the live keys and tokens of
	// the username in the realm that it is told to end, found or not: all of it or
	// nothing. A built-in user who is disabled is always found. A store that several
	// nodes share ends very many in steps, the user in the first. If it fails after
	// that, it is fault.Unknown, and a repetition does the rest.
	CutOffUser(ctx context.Context, c CutOff) (found bool, _ Revoked, err error)
	// SetUserPassword changes the hash of a user that exists; otherwise fault.NotFound.
	SetUserPassword(ctx context.Context, username, hash string) error
	// SetUserEnabled changes a user that exists; otherwise fault.NotFound.
	SetUserEnabled(ctx context.Context, username string, enabled bool) error

	// ReservedUsers returns what is stored about built-in users, by name.
	ReservedUsers(ctx context.Context) (map[string]ReservedState, error)
	// ReservedUser returns what is stored about one of them, or fault.NotFound.
	ReservedUser(ctx context.Context, username string) (ReservedState, error)
	// SetReservedUserPassword stores a password that somebody has set. Whether
	// the user is enabled does not change.
	SetReservedUserPassword(ctx context.Context, username, hash string) error
	// SetReservedUserEnabled leaves the password as it is.
	SetReservedUserEnabled(ctx context.Context, username string, enabled bool) error
	// InitReservedUserPassword stores hash if nobody has set a password and
	// reports whether it did. A generated hash gives way to one that is not,
	// and never replaces anything.
	InitReservedUserPassword(ctx context.Context, username, hash string, generated bool) (bool, error)
}

// Draft is a user as a request describes it.
type Draft struct {
	Username string
	Password Password // the zero value keeps the password of an existing user
	Roles    []string // nil: not given, which is refused
	FullName *string
	Email    *string
	Metadata xcontent.Value // an object, or null if it was not given
	Enabled  bool
}

// problems are those that are told to everybody, before 403.
func (d Draft) problems() fault.Problems {
	var p fault.Problems
	if d.Roles == nil {
		p.Add("roles are missing; write [] for a user without roles")
	}
	for _, m := range d.Metadata.Members {
		if len(m.Name) > 0 && m.Name[0] == '_' {
			p.Add("metadata keys may not start with [_], but one is [%s]", m.Name)
		}
	}
	return p
}

// nameProblems are those that only someone who may write users is told.
func (s *Service) nameProblems(d Draft) fault.Problems {
	var p fault.Problems
	if text := access.NameProblem("username", d.Username); text != "" {
		p.Add("%s", text)
	}
	if s.isReserved(d.Username) {
		p.Add("user [%s] is reserved and only its password can be changed", d.Username)
	}
	if s.isAnonymous(d.Username) {
		p.Add("user [%s] is anonymous and cannot be changed", d.Username)
	}
	if isInternal(d.Username) {
		p.Add("user [%s] is internal", d.Username)
	}
	for _, r := range d.Roles {
		if text := access.NameProblem("role name", r); text != "" {
			p.Add("%s", text)
		}
	}
	return p
}

// Password is what a request brings: a password, or a hash of one that was
// made elsewhere. The zero value is neither.
type Password struct {
	plain secret.Secret
	hash  string
}

// minPassword counts characters, not bytes.
const minPassword = 6

// NewPassword returns the Password of a request that has a password, a hash, or
// neither; nil is not given. Both together, and a password that is too short,
// are fault.Refused; a hash of no known kind is fault.Argument.
func NewPassword(plain, hash *string) (Password, error) {
	var p fault.Problems
	switch {
	case plain != nil && hash != nil:
		p.Add("only one of [password] and [password_hash] may be given")
		return Password{}, p.Err(fault.Refused)
	case plain != nil:
		if len([]rune(*plain)) < minPassword {
			p.Add("passwords must have at least [%d] characters", minPassword)
			return Password{}, p.Err(fault.Refused)
		}
		return Password{plain: secret.Of(*plain)}, nil
	case hash != nil:
		return Password{hash: *hash}, secret.ValidStored(*hash)
	default:
		return Password{}, nil
	}
}

// IsZero reports whether there is neither a password nor a hash.
func (p Password) IsZero() bool { return p.plain.IsZero() && p.hash == "" }

// stored returns what to store of p: "" if p is zero.
func (p Password) stored(ctx context.Context, h *secret.Hasher) (string, error) {
	if p.plain.IsZero() {
		return p.hash, nil
	}
	return h.Hash(ctx, p.plain.Reveal())
}
