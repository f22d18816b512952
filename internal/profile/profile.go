// Package profile keeps what applications want to know of a user beside the
// account (spec/identity.md 8): one profile for each user of each realm, made when
// the user is first activated, with labels and data that applications write.
package profile

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/xcontent"
)

// Owner is whose profile it is. There is one for each.
type Owner struct {
	Username string
	Realm    string // name of the realm
}

// uid returns the name of an owner's profile: the same one for ever.
func (o Owner) uid() string {
	sum := sha256.Sum256([]byte(o.Realm + "\x00" + o.Username)) // no name has a NUL
	return "u_" + base64.RawURLEncoding.EncodeToString(sum[:]) + "_0"
}

// Profile is a profile as stored.
type Profile struct {
	UID string
	Owner
	Roles    []string // as of the last activation, as are the name and the address
	FullName *string
	Email    *string
	Enabled  bool
	SyncedAt time.Time       // of the last activation
	Labels   json.RawMessage // a JSON object
	Data     json.RawMessage // a JSON object
	Version  int             // of changes, from 0
}

// Store keeps profiles. Every method is one atomic change or one consistent read;
// times are kept to the millisecond. An error of a change is fault.Unknown if the
// change may have been made, and any other only if it was not.
type Store interface {
	// ActivateProfile adds p. Where there is a profile of that UID it is enabled and
	// gets p's owner, roles, names and time, keeps its labels and data, and has its
	// version raised by one. It returns what is stored then.
	ActivateProfile(ctx context.Context, p Profile) (Profile, error)
	// Profiles returns those of the given UIDs that exist, in order of UID.
	Profiles(ctx context.Context, uids []string) ([]Profile, error)
	// EnabledProfiles returns all enabled profiles, in order of UID.
	EnabledProfiles(ctx context.Context) ([]Profile, error)
	// ChangeProfile has change decide what becomes of a profile, and stores that
	// with a version raised by one, as one act. An error of change is returned and
	// changes nothing. An unknown UID is fault.NotFound. change must not wait for
	// anything; UID and owner stay as they are.
	ChangeProfile(ctx context.Context, uid string, change func(*Profile) error) error
}

// Users proves who holds a password.
type Users interface {
	Authenticate(ctx context.Context, username, password string) (access.Subject, error)
}

// Tokens proves who holds an access token.
type Tokens interface {
	Verify(ctx context.Context, text string) (*access.Caller, error)
}

// Roles resolves role names.
type Roles interface {
	Permissions(ctx context.Context, names []string) (access.Permissions, error)
}

// Service is the profiles. It is safe for concurrent use.
type Service struct {
	store  Store
	users  Users
	tokens Tokens // nil: no token is accepted
	roles  Roles
	now    func() time.Time
}

// New returns the service over a store. tokens is nil where there are none.
func New(store Store, users Users, tokens Tokens, roles Roles, now func() time.Time) *Service {
	return &Service{store: store, users: users, tokens: tokens, roles: roles, now: now}
}

const actions = "cluster:admin/xpack/security/profile/"

// Filter chooses of a profile's data: paths of members, with dots between them,
// in which * stands for any text. A path chooses all below it; none chooses nothing.
type Filter []string

// Apply returns what f chooses of data.
func (f Filter) Apply(data json.RawMessage) (json.RawMessage, error) {
	if len(f) == 0 {
		return json.RawMessage("{}"), nil
	}
	v, err := xcontent.ParseOwn(data)
	if err != nil {
		return nil, err
	}
	return f.choose(v, "").JSON(), nil
}
