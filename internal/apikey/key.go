// Package apikey issues, verifies, lists, updates and invalidates API keys, and clears
// away those whose time is over. It leaves storage to its [Store], the shapes of
// the wire to the edge, and the roles of users to the role room.
package apikey

import (
	"context"
	"encoding/json"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/query"
)

// Type is the kind of a key.
type Type string

const (
	REST         Type = "rest"          // authenticates requests
	CrossCluster Type = "cross_cluster" // for clusters among themselves; never over HTTP
)

// Key is an API key as stored. The secret is not kept, only its hash.
type Key struct {
	ID            string
	Type          Type
	Name          string
	Owner         Owner
	Hash          string    // a stored form of package secret
	OldHash       string    // of the secret before the last rotation, if both were to be good for a time
	OldUntil      time.Time // when that time is over
	CreatedAt     time.Time
	ExpiresAt     time.Time       // zero: never
	InvalidatedAt time.Time       // zero: not invalidated
	Metadata      json.RawMessage // a JSON object, as the client wrote it
	Roles         Digest          // what was assigned; of a CrossCluster key its access
	LimitedBy     Digest          // what the owner held when the key was made or last updated; zero for CrossCluster
	// CertificateIdentity is a regular expression for the subject of the certificate
	// that a cluster shows with a CrossCluster key; "": any.
	CertificateIdentity string
}

// Owner is the creator of a key as of its creation or last update.
type Owner struct {
	Username  string
	Realm     string
	RealmType string
	FullName  *string
	Email     *string
	Metadata  json.RawMessage // a JSON object
}

// RoleSet is a set of role descriptors that many keys may share.
type (
	RoleSet = access.RoleSet
	Digest  = access.Digest
)

// Selector chooses keys. Its conditions are ANDed; empty ones do not restrict.
type Selector struct {
	IDs      []string
	Name     string // exact, or with Prefix what a name begins with
	Prefix   bool
	Username string
	Realm    string
}

// Invalidated tells what an invalidation found. The lists are ordered by id.
type Invalidated struct {
	IDs        []string // changed by it
	Before     []string // named by id, and invalidated before
	NotReached []string // live cross-cluster keys that the selector chose and restOnly left alone
}

// Store is what this package needs from storage. Every method is one atomic
// change or one consistent read; times are kept to the millisecond.
type Store interface {
	// InsertAPIKey adds a key and those of the sets that are not there yet.
	// It returns fault.Conflict if the id is taken.
	InsertAPIKey(ctx context.Context, k Key, sets ...RoleSet) error

	// ForgetAPIKeys has the other nodes look up these keys anew, or all for no ids,
	// before it returns. It changes nothing.
	ForgetAPIKeys(ctx context.Context, ids []string) error

	// APIKey returns the key with the given id, invalidated and expired ones
	// included, or fault.NotFound.
	APIKey(ctx context.Context, id string) (Key, error)

	// APIKeys returns the keys that sel chooses, oldest first, then by id; with
	// activeAt set, only those that are neither invalidated nor expired at that time.
	APIKeys(ctx context.Context, sel Selector, activeAt time.Time) ([]Key, error)

	// QueryAPIKeys finds what r asks for over [Schema] among the keys that visible
	// matches; no other key has any influence on the answer. It sees every change
	// that was answered before. It fails as [query.Table.Search] does.
	QueryAPIKeys(ctx context.Context, r *query.Request, visible query.Node) (KeysFound, error)

	// RoleSet returns the body of a set that a key carries, or fault.NotFound.
	RoleSet(ctx context.Context, digest Digest) ([]byte, error)

	// InvalidateAPIKeys marks every key that sel chooses and that is not
	// invalidated yet as invalidated at the given time; with restOnly, no
	// cross-cluster key. Each key is in the IDs of one call only.
	//
	// changed is called with those ids once the change is durable, and before
	// this call or any later write is answered: whoever learns from a write
	// that a key is invalidated learns it after changed has returned.
	//
	// A store that several nodes share ends very many keys in steps, with a call of
	// changed for each. If it fails after the first, that is fault.Unknown, and a
	// repetition does the rest.
	InvalidateAPIKeys(ctx context.Context, sel Selector, restOnly bool, at time.Time, changed func(ids []string)) (Invalidated, error)

	// UpdateAPIKeys has judge look at each key that sel chooses by id, invalidated
	// and expired ones included, and writes those of which it returns true. Of what
	// judge has changed in a key, its hashes, expiry, metadata, role sets, certificate
	// identity and owner count; its owner's name and realm stay. No key changes
	// between judge and the write. The sets are added if a key is written.
	//
	// What judge said is void if the call fails, and what it last said of a key
	// counts: a store may have to begin again. changed is called as by
	// InvalidateAPIKeys, with the ids of the keys that were written.
	UpdateAPIKeys(ctx context.Context, sel Selector, sets []RoleSet, judge func(k *Key) bool, changed func(ids []string)) error

	// PreviewInvalidation returns what [Store.InvalidateAPIKeys] would find, and
	// changes nothing.
	PreviewInvalidation(ctx context.Context, sel Selector, restOnly bool) (Invalidated, error)

	// NoteAPIKeyUses keeps of each key its latest use. A use that is older than the
	// one that is kept changes nothing, nor does that of a key that is not there.
	NoteAPIKeyUses(ctx context.Context, uses []Use) error

	// APIKeyUses returns the last uses of those of the given keys that were ever
	// used, by id.
	APIKeyUses(ctx context.Context, ids []string) (map[string]Use, error)

	// ExpiringAPIKeys returns the keys that are not invalidated and expire after one
	// time and not after another, in order of expiry, then of id, as many as limit at most.
	ExpiringAPIKeys(ctx context.Context, after, until time.Time, limit int) ([]Key, error)

	// UntoldAPIKeys is ExpiringAPIKeys without the keys that NoteTold was given with
	// the expiry that they have.
	UntoldAPIKeys(ctx context.Context, after, until time.Time, limit int) ([]Key, error)

	// NoteTold remembers that somebody was told when these keys expire. Those that
	// are not there any more are passed over.
	NoteTold(ctx context.Context, keys []Key) error

	// CountAPIKeys counts the keys as of the first time; expiring are those that
	// expire up to the second.
	CountAPIKeys(ctx context.Context, at, until time.Time) (Counts, error)

	// PurgeAPIKeys removes up to limit keys that expired or were invalidated at
	// or before the given time, with their uses, and returns their ids. When it finds
	// fewer, it also removes the role sets that no key carries any more.
	PurgeAPIKeys(ctx context.Context, before time.Time, limit int) ([]string, error)
}
