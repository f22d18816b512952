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
	"slices"
	"strings"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/token"
)

// Type is the type of the realm, as clients see it.
const Type = "kerberos"

// skew is how far the clocks of clients and of the KDC may be off.
const skew = 5 * time.Minute

// Users knows the users of other realms.
type Users interface {
	// Lookup returns a user by name alone, without permissions; fault.NotFound
	// if there is none, fault.Unauthenticated if the user is disabled.
	Lookup(ctx context.Context, username string) (access.Subject, error)
	// WithAnonymous adds what everybody may do who logs in.
	WithAnonymous(roles []string) []string
}

// Options says how a [Realm] works. All but AuthorizationRealms and Debug are required.
type Options struct {
	Name   string // of the realm, as the operator chose it
	Keytab string // the file; it is read again when it changes
	// RemoveRealmName makes alice of alice@EXAMPLE.ORG.
	RemoveRealmName bool
	// AuthorizationRealms names the realms whose users lend their roles: whoever
	// shows a ticket must be a user of the same name there. Empty: no roles of its own.
	AuthorizationRealms []string
	Users               Users
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

// subject is who proved to be username: somebody without roles of their own, or,
// with authorization realms, whoever has that name there.
func (r *Realm) subject(ctx context.Context, username string) (access.Subject, error) {
	realm := access.Realm{Name: r.o.Name, Type: Type}
	if len(r.o.AuthorizationRealms) == 0 {
		return access.Subject{Username: username, Roles: r.o.Users.WithAnonymous([]string{}), Realm: realm}, nil
	}
	u, err := r.o.Users.Lookup(ctx, username)
	switch {
	case err != nil && fault.KindOf(err) != fault.NotFound:
		return access.Subject{}, err
	case err != nil || !slices.Contains(r.o.AuthorizationRealms, u.Realm.Name):
		return access.Subject{}, fault.New(fault.Unauthenticated, "the principal is known, and there is no user [%s] in [%s]", username, strings.Join(r.o.AuthorizationRealms, ","))
	}
	u.Realm = realm
	return u, nil
}
