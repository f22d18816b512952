// Package realm is the chain of realms: who somebody is, is asked of one realm
// after the other. What the realms are, and how they know it, is for their rooms.
package realm

import (
	"context"
	"crypto/x509"
	"errors"

	"latchkey/internal/access"
)

// A Realm knows who somebody is. What it can judge is in the further interfaces
// that it has. Subjects come without permissions and are shared: nobody changes
// them. A realm adds no roles of anonymous access: the [Chain] does.
type Realm interface {
	// Identity is the realm's name and type. It does not change.
	Identity() access.Realm
}

// Passwords is a realm of users who have passwords.
type Passwords interface {
	Realm
	// Authenticate returns who holds a password. fault.NotFound and
	// fault.Unauthenticated pass the question on: the first says that no user was
	// found and so no slow comparison made, the second that the password is wrong.
	// fault.Unavailable passes it on, too, and is reported if nobody else accepts.
	// Any other error, and [ErrDisabled], ends the search.
	Authenticate(ctx context.Context, username, password string) (access.Subject, error)
}

// Lookups is a realm whose users can be found by name alone: to run as, and to
// lend their roles to users of other realms.
type Lookups interface {
	Realm
	// Lookup returns a user; fault.NotFound passes the question on, any other
	// error ends the search: whom a name means does not depend on an outage.
	// A disabled user is fault.Unauthenticated.
	Lookup(ctx context.Context, username string) (access.Subject, error)
}

// Bearers is a realm of signed tokens.
type Bearers interface {
	Realm
	// AuthenticateBearer judges a token. clientSecret is what the client says to
	// prove itself, "" if nothing. A text that cannot be a token of this realm is
	// not mine, and the next realm is asked; so it is after fault.Unauthenticated.
	AuthenticateBearer(ctx context.Context, token, clientSecret string) (s access.Subject, mine bool, err error)
}

// Certificates is a realm of those who show a certificate.
type Certificates interface {
	Realm
	// AuthenticateCertificate judges the chain that the TLS layer has verified,
	// the client's own certificate first. fault.Unauthenticated and fault.NotFound
	// pass the question on.
	AuthenticateCertificate(ctx context.Context, chain []*x509.Certificate) (access.Subject, error)
}

// Owner is a realm that has some names for itself: nobody of such a name is
// looked for in another realm, whatever this one answers.
type Owner interface {
	Realm
	Owns(username string) bool
}

// Cacher is a realm that keeps something of its users in memory.
type Cacher interface {
	Realm
	// Forget drops what is kept of the named users, or of all if names is empty.
	Forget(usernames []string)
}

// ErrDisabled is the cause of the fault.Unauthenticated about a user who holds
// the right password and is disabled: no namesake in another realm is asked for.
var ErrDisabled = errors.New("the user is disabled")
