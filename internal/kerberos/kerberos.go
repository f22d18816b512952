// Package kerberos is the realm of those who show a Kerberos ticket. It judges
// the tokens of SPNEGO (RFC 4178) in which clients send their tickets, with the
// keys of a keytab, and answers clients that want the service to prove itself, too.
//
// The cryptography of Kerberos is gokrb5's. What gokrb5 leaves out is here: the
// reply of mutual authentication, the realm of the client, and a memory of used
// tickets that holds against replays at the same instant.
package kerberos

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/rolemapping"
	"latchkey/internal/token"
)

// Type is the type of the realm, as clients see it.
const Type = "kerberos"

// skew is how far the clocks of clients and of the KDC may be off.
const skew = 5 * time.Minute

// Users knows the users of other realms.
type Users interface {
	// LookupIn returns a user of the named realms by name alone, without
	// permissions; fault.NotFound if there is none, fault.Unauthenticated if the
	// user is disabled.
	LookupIn(ctx context.Context, realms []string, username string) (access.Subject, error)
	// WithAnonymous adds what everybody may do who logs in.
	WithAnonymous(roles []string) []string
}

// Roles knows which roles the users of this realm have.
type Roles interface {
	Roles(ctx context.Context, u rolemapping.User) ([]string, error)
}

// Options says how a [Realm] works. All but AuthorizationRealms and Debug are required.
type Options struct {
	Name   string // of the realm, as the operator chose it
	Keytab string // the file; it is read again when it changes
	// RemoveRealmName makes alice of alice@EXAMPLE.ORG.
	RemoveRealmName bool
	// AuthorizationRealms names the realms whose users lend their roles: whoever
	// shows a ticket must be a user of the same name there. Empty: Roles says what they are.
	AuthorizationRealms []string
	Users               Users
	Roles               Roles
	Now                 func() time.Time
	Log                 *slog.Logger
	Debug               bool // log why a ticket is refused
}

// Realm judges tickets. It is safe for concurrent use.
type Realm struct {
	o       Options
	keys    *keys
	replays *replays
}

// New returns a realm. It fails if the keytab cannot be used.
func New(o Options) (*Realm, error) {
	keys, err := openKeys(o.Keytab, o.Log)
	if err != nil {
		return nil, err
	}
	return &Realm{o: o, keys: keys, replays: newReplays(o.Now)}, nil
}

// Principals names the services whose keys the keytab holds.
func (r *Realm) Principals() []string { return principals(r.keys.get()) }

// Authenticate judges a SPNEGO token. The subject has no permissions yet. The
// reply proves the service to a client that asks for it, else it is nil. A
// refusal is fault.Unauthenticated, whatever its cause; a client that has to
// send another token is a *token.Continue.
func (r *Realm) Authenticate(ctx context.Context, ticket []byte) (access.Subject, []byte, error) {
	o, err := readOffer(ticket)
	if err != nil {
		return r.refuse(ctx, err)
	}
	if o.token == nil {
		return access.Subject{}, nil, &token.Continue{Reply: o.ask()}
	}
	t, err := r.verify(o.token)
	if err != nil {
		return r.refuse(ctx, err)
	}
	s, err := r.subject(ctx, t.username(r.o.RemoveRealmName))
	if fault.KindOf(err) == fault.Unauthenticated {
		return r.refuse(ctx, err)
	}
	if err != nil || !t.mutual {
		return s, nil, err
	}
	proof, err := t.prove()
	if err != nil {
		return access.Subject{}, nil, fmt.Errorf("answer a Kerberos ticket: %w", err)
	}
	return s, o.accept(proof), nil
}

// refuse tells the client that the ticket does not do, and the operator why, if asked to.
func (r *Realm) refuse(ctx context.Context, why error) (access.Subject, []byte, error) {
	if r.o.Debug {
		r.o.Log.InfoContext(ctx, "a kerberos ticket was refused", "realm", r.o.Name, "err", why)
	}
	return access.Subject{}, nil, fault.Wrap(why, fault.Unauthenticated, "unable to authenticate with the given Kerberos ticket")
}

// Identity is how clients see the realm.
func (r *Realm) Identity() access.Realm { return access.Realm{Name: r.o.Name, Type: Type} }

// subject is who proved to be username: somebody with mapped roles, or, with
// authorization realms, whoever has that name there.
func (r *Realm) subject(ctx context.Context, username string) (access.Subject, error) {
	if len(r.o.AuthorizationRealms) == 0 {
		roles, err := r.o.Roles.Roles(ctx, rolemapping.User{Username: username, Realm: r.Identity()})
		return access.Subject{Username: username, Roles: r.o.Users.WithAnonymous(roles), Realm: r.Identity()}, err
	}
	u, err := r.o.Users.LookupIn(ctx, r.o.AuthorizationRealms, username)
	if fault.KindOf(err) == fault.NotFound {
		err = fault.New(fault.Unauthenticated, "the principal is known, and there is no user [%s] in [%s]", username, strings.Join(r.o.AuthorizationRealms, ","))
	}
	if err != nil {
		return access.Subject{}, err
	}
	u.Realm = r.Identity()
	return u, nil
}
