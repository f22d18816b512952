// Package ldap is the realms of users that a directory holds: LDAP servers and
// Active Directory. A user proves a password by binding with it; the directory
// tells groups and attributes, and role mappings make roles of them.
//
// The protocol is go-ldap's. Which servers are asked, which connections are kept
// and what is remembered of users is here.
package ldap

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"latchkey/internal/access"
	"latchkey/internal/cache"
	"latchkey/internal/fault"
	"latchkey/internal/rolemapping"
	"latchkey/internal/secret"
)

// Types of the realms, as clients see them.
const (
	Type                = "ldap"
	TypeActiveDirectory = "active_directory"
)

// Scope is how far below its base a search looks.
type Scope string

const (
	SubTree  Scope = "sub_tree"
	OneLevel Scope = "one_level"
	Base     Scope = "base"
)

// Mapper gives roles to users.
type Mapper interface {
	// Roles returns the roles of u. It answers from memory.
	Roles(ctx context.Context, u rolemapping.User) ([]string, error)
}

// FileRoles is the file of roles by distinguished names.
type FileRoles interface {
	// Roles returns the roles that the file gives to any of the names, sorted.
	Roles(dns []string) []string
	// Mentions reports whether the file gives a role to the name.
	Mentions(dn string) bool
}

// Others knows the users of other realms.
type Others interface {
	// LookupIn returns a user of one of the realms, the first that has one of that
	// name; fault.NotFound if none has.
	LookupIn(ctx context.Context, realms []string, username string) (access.Subject, error)
}

// Options says how a [Realm] works. Zero durations are no limit, but for CacheTTL.
type Options struct {
	Name            string
	ActiveDirectory bool
	// LookupOnly lets users be run as and not log in (authentication.enabled: false).
	LookupOnly bool

	URLs         []string // ldap://host:port or ldaps://host:port, of one scheme
	Balance      Balance
	BalanceTTL   time.Duration      // how long the addresses of a name are kept
	TLS          func() *tls.Config // for a new connection; nil is Go's defaults
	Connect      time.Duration
	Response     time.Duration // of one answer
	SearchTime   time.Duration // that the server may take for a search
	Referrals    bool          // are followed
	BindDN       string        // who searches; "" is nobody, or with Active Directory who logs in
	BindPassword secret.Secret
	Pool         Pool

	UserSearch         Search
	UserDNTemplates    []string // in place of UserSearch
	GroupSearch        Search   // with an empty Base (not of Active Directory) there is none, and GroupAttribute counts
	GroupUserAttribute string   // of the user, in place of the DN, for GroupSearch
	GroupAttribute     string   // of the user: the DNs of the groups
	FullNameAttribute  string
	EmailAttribute     string
	Metadata           []string // attributes that become metadata

	// Domain is that of Active Directory, as in example.org. The filters are for
	// who gives user@domain and DOMAIN\user.
	Domain          string
	UPNFilter       string
	DownLevelFilter string

	UnmappedGroupsAsRoles bool
	FileRoles             FileRoles // nil: there is no such file
	Mapper                Mapper
	// AuthorizationRealms names the realms whose users lend their roles. Empty:
	// roles come from the mappings.
	AuthorizationRealms []string
	Others              Others

	CacheTTL time.Duration // bounds how long the directory is not asked again; 0 keeps nothing
	CacheMax int
	Lease    func() error // as of cache.Options
	Now      func() time.Time
	Log      *slog.Logger
}

// Search is where and how something is looked for. Filter has {0} in place of
// what is looked for.
type Search struct {
	Base   string
	Scope  Scope
	Filter string
}

// Pool is about the connections that search.
type Pool struct {
	Size       int  // connections at most; 0 is a new one for each use
	Check      bool // a connection that was idle for CheckEvery is tried before its next use
	CheckEvery time.Duration
	CheckDN    string // the entry that is read; "" is BindDN, or the root
}

// Realm is one directory. It is safe for concurrent use.
type Realm struct {
	o        Options
	id       access.Realm
	searches *pool // connections of who searches
	logins   *pool // connections of whoever logged in last
	users    *cache.Cache[*account]
	checks   singleflight.Group // logins under way: equal ones share one
	forgets  atomic.Uint64      // calls of Forget: a login that began before one is not shared after it
}

// account is what is kept of one user.
type account struct{ state atomic.Pointer[state] }

type state struct {
	person *person
	until  time.Time
	good   *secret.Digest // the password that was proved; nil of a user who was looked up
}

// New returns a realm. It does not ask the directory for anything.
func New(o Options) *Realm {
	r := &Realm{o: o, id: access.Realm{Name: o.Name, Type: Type}}
	if o.ActiveDirectory {
		r.id.Type = TypeActiveDirectory
	}
	servers := &servers{o: &r.o}
	r.searches = newPool(servers, &r.o, func(c *conn) error { return c.login(o.BindDN, o.BindPassword.Reveal()) })
	r.logins = newPool(servers, &r.o, nil)
	r.users = cache.New[*account](cache.Options{Max: o.CacheMax, TTL: o.CacheTTL, Now: o.Now, Lease: o.Lease})
	return r
}

// Close ends the connections. The realm is not used afterwards.
func (r *Realm) Close() {
	r.searches.close()
	r.logins.close()
}

// Identity is the realm's name and type.
func (r *Realm) Identity() access.Realm { return r.id }

// Forget drops what is kept of the named users, or of all if names is empty.
func (r *Realm) Forget(usernames []string) {
	r.forgets.Add(1)
	if len(usernames) == 0 {
		r.users.Flush()
		return
	}
	r.users.Kill(usernames...)
}

// Authenticate returns who holds a password. A name that the directory does not
// have is fault.NotFound, a wrong password fault.Unauthenticated, and a directory
// that cannot be asked fault.Unavailable.
func (r *Realm) Authenticate(ctx context.Context, username, password string) (access.Subject, error) {
	// Servers take a bind without a password for one that proves nothing, and accept it.
	if r.o.LookupOnly || username == "" || password == "" {
		return access.Subject{}, notFound(username)
	}
	e := r.users.Get(username)
	if e != nil {
		if s := e.Value.state.Load(); s.good != nil && s.good.Matches(password) && r.o.Now().Before(s.until) {
			u, known, err := r.remembered(ctx, username, e, s)
			if known || err != nil {
				return u, err
			}
			e = nil
		}
	}
	var s *state
	load := func(ctx context.Context, _ string) (*account, error) {
		p, err := r.prove(ctx, username, password)
		if err != nil {
			return nil, err
		}
		good := secret.NewDigest(password)
		s = &state{p, r.o.Now().Add(r.o.CacheTTL), &good}
		a := &account{}
		a.state.Store(s)
		return a, nil
	}
	return r.settle(ctx, username, e, load, &s)
}

// Lookup returns a user by name alone, or fault.NotFound: also where only those
// who log in can be found.
func (r *Realm) Lookup(ctx context.Context, username string) (access.Subject, error) {
	if username == "" || !r.finds() {
		return access.Subject{}, notFound(username)
	}
	e := r.users.Get(username)
	if e != nil {
		if s := e.Value.state.Load(); r.o.Now().Before(s.until) {
			u, known, err := r.remembered(ctx, username, e, s)
			if known || err != nil {
				return u, err
			}
			e = nil
		}
	}
	var s *state
	load := func(ctx context.Context, _ string) (*account, error) {
		p, err := r.find(ctx, username)
		if err != nil {
			return nil, err
		}
		s = &state{p, r.o.Now().Add(r.o.CacheTTL), nil}
		a := &account{}
		a.state.Store(s)
		return a, nil
	}
	return r.settle(ctx, username, e, load, &s)
}

// remembered returns a user from memory. known is false if the entry has died: the
// directory has to be asked.
func (r *Realm) remembered(ctx context.Context, username string, e *cache.Entry[*account], s *state) (u access.Subject, known bool, err error) {
	u, err = r.subject(ctx, username, s.person)
	alive, lapsed := r.users.Trust(e) // last
	if lapsed != nil {
		return access.Subject{}, false, lapsed
	}
	if !alive {
		return access.Subject{}, false, nil
	}
	return u, true, err
}

// settle asks the directory and keeps the answer: in the entry that there is, as
// long as nobody has killed it, or in a new one. A user who is gone is forgotten.
func (r *Realm) settle(ctx context.Context, username string, e *cache.Entry[*account], load func(context.Context, string) (*account, error), s **state) (access.Subject, error) {
	var err error
	if e != nil {
		if _, err = load(ctx, username); err == nil {
			e.Value.state.Store(*s)
		} else if fault.KindOf(err) == fault.NotFound {
			r.users.Kill(username)
		}
	} else {
		_, err = r.users.Fill(ctx, username, load)
	}
	if err != nil {
		return access.Subject{}, err
	}
	return r.subject(ctx, username, (*s).person)
}

// prove asks the directory whether a password is right. Many clients that begin
// at once with the same password cost one login.
func (r *Realm) prove(ctx context.Context, username, password string) (*person, error) {
	p, err, _ := r.checks.Do(fmt.Sprintf("%d:%d:%s%s", r.forgets.Load(), len(username), username, password), func() (any, error) {
		return r.login(context.WithoutCancel(ctx), username, password) // whoever waits for it as well need not go when ctx does
	})
	if err != nil {
		return nil, err
	}
	return p.(*person), nil
}

func notFound(username string) error {
	return fault.New(fault.NotFound, "user [%s] not found", username)
}

// subject gives a person roles: those that the mappings give now, or those of a
// namesake in another realm.
func (r *Realm) subject(ctx context.Context, username string, p *person) (access.Subject, error) {
	if len(r.o.AuthorizationRealms) > 0 {
		u, err := r.o.Others.LookupIn(ctx, r.o.AuthorizationRealms, username)
		if fault.KindOf(err) == fault.NotFound {
			err = fault.Wrap(err, fault.Unauthenticated, "the user is known, and there is no user [%s] in [%s]", username, strings.Join(r.o.AuthorizationRealms, ","))
		}
		u.Realm = r.id
		return u, err
	}
	roles, err := r.o.Mapper.Roles(ctx, rolemapping.User{Username: username, DN: p.dn, Groups: p.groups, Metadata: p.metadata, Realm: r.id})
	if err != nil {
		return access.Subject{}, err
	}
	return access.Subject{
		Username: username, FullName: p.fullName, Email: p.email, Metadata: p.metadata,
		Roles: r.roles(p, roles), Realm: r.id,
	}, nil
}

// errWrong is the cause of a refusal that may go on to the next realm.
var errWrong = errors.New("the directory does not accept the password")
