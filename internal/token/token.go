// Package token grants access tokens, verifies, refreshes and invalidates them,
// and clears away those whose time is over. It leaves storage to its [Store], the
// shapes of the wire to the edge, and what roles and API keys allow to their rooms.
package token

import (
	"context"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/secret"
)

// Hash is what is kept of a token.
type Hash = secret.TokenHash

// Record is a token as stored: an access half and, unless it was made by
// client_credentials, a refresh half. Neither text is kept.
type Record struct {
	CreatedAt    time.Time
	Access       Hash
	ExpiresAt    time.Time // of the access half; it is valid at that time, and not after it
	AccessOffAt  time.Time // zero: not invalidated
	Refresh      Hash      // zero: there is no refresh half
	RefreshOffAt time.Time // zero: not invalidated
	RefreshedAt  time.Time // zero: the refresh half was not used yet
	Sealed       []byte    // the pair that the use led to, for the holder of the refresh token
	Username     string    // whom it acts as, for invalidation by user and realm
	Realm        string
	Identity     Snapshot
}

// Snapshot is whom a token acts as and who may refresh it, as of its creation,
// for all tokens with the same.
type Snapshot struct {
	Digest access.Digest // of Body
	Body   []byte
}

// Selector chooses one half of one token, or all active tokens of a user, of a
// realm, or of a user in a realm. Active is one whose access half is not off and
// expires no earlier than ExpiresFrom, or whose refresh half is not off and was
// created no earlier than CreatedFrom.
type Selector struct {
	Access, Refresh          Hash // at most one of them; then nothing else counts
	Username, Realm          string
	ExpiresFrom, CreatedFrom time.Time
}

// Halves counts the halves of tokens.
type Halves struct {
	Now    int // switched off by this call
	Before int // chosen, and found off
}

// Use is what becomes of a refresh token that somebody shows. The zero value
// changes nothing.
type Use struct {
	At        time.Time
	Next      *Record // its successor: the first use
	Sealed    []byte  // with Next
	EndFamily bool    // switch off both halves of all its descendants
}

// Store is what this package needs from storage. Every method is one atomic
// change or one consistent read; times are kept to the millisecond.
//
// The functions named changed are called with the access hashes of the tokens of
// which a half was switched off, once the change is durable, and before this call
// or any later write is answered.
type Store interface {
	// InsertToken adds a token.
	InsertToken(ctx context.Context, r Record) error

	// Issued reports whether a token was ever added, purged ones included.
	Issued(ctx context.Context) (bool, error)

	// Token returns the token whose access half has the given hash, whatever its
	// state, or fault.NotFound.
	Token(ctx context.Context, access Hash) (Record, error)

	// RefreshToken is Token for the refresh half.
	RefreshToken(ctx context.Context, refresh Hash) (Record, error)

	// UseRefreshToken has judge decide about the token whose refresh half has the
	// given hash, and does what it says, as one act: of two uses at once, the
	// second is judged on what the first has left. It returns the token as it was
	// judged, or fault.NotFound. judge must not wait for anything; what it last said
	// counts: a store may have to begin again.
	UseRefreshToken(ctx context.Context, refresh Hash, judge func(Record) Use, changed func([]Hash)) (Record, error)

	// InvalidateTokens switches off the halves that sel chooses. A half is
	// switched off by one call only. A store that several nodes share does very many
	// in steps, with a call of changed for each. If it fails after the first, that is
	// fault.Unknown, and a repetition does the rest.
	InvalidateTokens(ctx context.Context, sel Selector, at time.Time, changed func([]Hash)) (Halves, error)

	// PurgeTokens removes up to limit tokens that were created at or before the
	// given time, whatever their state, and returns their access hashes. When it
	// finds fewer, it also removes the snapshots that no token carries any more.
	PurgeTokens(ctx context.Context, before time.Time, limit int) ([]Hash, error)
}
