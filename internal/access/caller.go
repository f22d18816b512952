// Package access says who is calling and what they may do: subjects, role
// descriptors, privileges and the sentence of a refusal. It does no I/O.
package access

import (
	"encoding/json"
	"sync/atomic"
)

// AuthenticationType is how a caller proved who they are, as GET
// /_security/_authenticate shows it (spec/http.md 13).
type AuthenticationType uint8

const (
	ByRealm AuthenticationType = iota + 1
	ByAPIKey
	ByToken
	ByAnonymous
)

var authenticationTypes = [...]string{ByRealm: "realm", ByAPIKey: "api_key", ByToken: "token", ByAnonymous: "anonymous"}

func (t AuthenticationType) String() string { return authenticationTypes[t] }

// Realm names where a subject comes from.
type Realm struct{ Name, Type string }

// APIKeyRealm is the pseudo realm of API keys: what GET _authenticate shows
// for them, and the owner's realm of a key that an API key made.
var APIKeyRealm = Realm{"_es_api_key", "_es_api_key"}

// ServiceAccountRealm is the pseudo realm of service accounts. It owns what they make.
var ServiceAccountRealm = Realm{serviceAccounts, serviceAccounts}

// AnonymousRealm is the pseudo realm of who sends no credential.
var AnonymousRealm = Realm{"__anonymous", "__anonymous"}

// Subject is somebody who proved who they are, or whom such a one runs as.
type Subject struct {
	Username string
	FullName *string
	Email    *string
	Metadata json.RawMessage // a JSON object; empty means {}
	Roles    []string        // as assigned; none for an API key
	// Realm is the realm that holds the user; of an API key the realm of its
	// owner, which decides what it owns.
	Realm       Realm
	APIKey      *APIKey         // set when the subject is an API key
	Service     *ServiceAccount // set when the subject is a service account
	Permissions Permissions
}

// APIKey tells which API key a subject is.
type APIKey struct{ ID, Name string }

// ServiceAccount is what a service account has in place of roles, and the token
// that it showed.
type ServiceAccount struct {
	Snapshot  RoleSet // its one descriptor, as a key that it makes keeps it
	TokenName string
	TokenType string // _service_account_index or _service_account_file
}

// Caller is who makes a request. Its zero value may do nothing.
type Caller struct {
	Subject                    // whose rights count and who owns what is made
	By      *Subject           // who runs as Subject; nil without run-as
	Type    AuthenticationType // how By (or Subject) proved who they are
	// RunAsUnknown is set when By named a user who does not exist: Subject has
	// only that name, and every request is refused as a run-as that is not allowed.
	RunAsUnknown bool
	// Challenged is set when a refusal asks for a credential: it is
	// fault.Unauthenticated then, and not fault.Forbidden.
	Challenged bool
	// TicketReply is for the client that showed a Kerberos ticket with the request:
	// it goes back with the answer. nil: nothing does.
	TicketReply *[]byte
	// NotedIn is the last minute, since the epoch, in which the room of the credential
	// noted that it was used. nil: nothing of that is in memory.
	NotedIn *atomic.Int32

	shown atomic.Pointer[[]byte]
}

// Shown returns what render makes of the caller, and keeps it from the second
// time on: a caller does not change, and that of a cached credential may serve
// many requests, or only one, for which nothing is worth keeping.
func (c *Caller) Shown(render func(*Caller) ([]byte, error)) ([]byte, error) {
	kept := c.shown.Load()
	if kept != nil && kept != &shownOnce {
		return *kept, nil
	}
	b, err := render(c)
	switch {
	case err != nil:
	case kept == nil:
		c.shown.CompareAndSwap(nil, &shownOnce)
	default:
		c.shown.Store(&b)
	}
	return b, err
}

// shownOnce marks a caller that was shown, and not kept.
var shownOnce []byte

// IgnoresRunAs reports whether a wish to run as somebody says nothing of c: of
// who sent no credential, of service accounts, and of who runs as somebody
// already (spec/http.md 12.4).
func (c *Caller) IgnoresRunAs() bool {
	return c.By != nil || c.Realm == AnonymousRealm || c.Realm == ServiceAccountRealm && c.APIKey == nil
}

// Owns reports whether a thing of the given owner is the caller's own
// (spec/api-keys.md 0.4).
func (c *Caller) Owns(username, realm string) bool {
	return c.Username == username && c.Realm.Name == realm
}
