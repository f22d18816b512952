// Package file is the realm of the users in two files of the operator: users,
// with hashes of passwords, and users_roles. It reads them again when they change,
// and edits them for the command line.
package file

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/singleflight"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/realm"
	"latchkey/internal/secret"
	"latchkey/internal/watch"
)

// Type is the type of the realm, as clients see it.
const Type = "file"

// Names of the files, in the folder of the settings.
const (
	usersFile = "users"
	rolesFile = "users_roles"
)

// Options says how a [Realm] works. All but LookupOnly are required.
type Options struct {
	Name string // of the realm
	Dir  string // the folder of the files
	// Reserved tells the names that other users have and no line may claim.
	Reserved func(username string) bool
	// LookupOnly lets users be run as and not log in.
	LookupOnly bool
}

// Realm knows the users of the files. It is safe for concurrent use.
type Realm struct {
	o        Options
	identity access.Realm
	users    atomic.Pointer[map[string]*account] // what was read together counts together
	checks   singleflight.Group                  // slow comparisons under way: equal ones share one

	// Only Read touches these.
	userFile, roleFile watch.File
	hashes             map[string]string
	roles              map[string][]string
}

var (
	_ realm.Passwords = (*Realm)(nil)
	_ realm.Lookups   = (*Realm)(nil)
)

// account is one user. It does not change: another line makes another account.
type account struct {
	subject access.Subject
	hash    string

	// good recognizes the last password that matched hash without computing hash
	// again. Wrong ones are not remembered: to refuse one faster the second time
	// would tell that there is such a user.
	good *atomic.Pointer[secret.Digest]
}

// New returns a realm without users: [Realm.Read] brings them.
func New(o Options) *Realm {
	r := &Realm{o: o, identity: access.Realm{Name: o.Name, Type: Type}}
	r.userFile.Path, r.roleFile.Path = filepath.Join(o.Dir, usersFile), filepath.Join(o.Dir, rolesFile)
	r.users.Store(&map[string]*account{})
	return r
}

// Identity implements realm.Realm.
func (r *Realm) Identity() access.Realm { return r.identity }

func (r *Realm) account(username string) *account { return (*r.users.Load())[username] }

// Authenticate implements realm.Passwords.
func (r *Realm) Authenticate(ctx context.Context, username, password string) (access.Subject, error) {
	if r.o.LookupOnly {
		return access.Subject{}, unknown(username)
	}
	for range 2 {
		a := r.account(username)
		if a == nil {
			return access.Subject{}, unknown(username)
		}
		match, err := r.matches(ctx, a, password)
		if err != nil {
			return access.Subject{}, err
		}
		if r.account(username) != a {
			continue // the file has changed meanwhile
		}
		if !match {
			return access.Subject{}, fault.New(fault.Unauthenticated, "unable to authenticate user [%s]", username)
		}
		return a.subject, nil
	}
	return access.Subject{}, fault.New(fault.Unavailable, "user [%s] changed while the password was checked", username)
}

// matches compares slowly at most once for all who ask the same at a time.
func (r *Realm) matches(ctx context.Context, a *account, password string) (bool, error) {
	if good := a.good.Load(); good != nil && good.Matches(password) {
		return true, nil
	}
	match, err, _ := r.checks.Do(a.hash+"\x00"+password, func() (any, error) {
		return secret.Verify(context.WithoutCancel(ctx), a.hash, password) // whoever waits for it as well need not go when ctx does
	})
	if match == true && err == nil {
		digest := secret.NewDigest(password)
		a.good.Store(&digest)
	}
	return match == true, err
}

// Lookup implements realm.Lookups.
func (r *Realm) Lookup(_ context.Context, username string) (access.Subject, error) {
	if a := r.account(username); a != nil {
		return a.subject, nil
	}
	return access.Subject{}, unknown(username)
}

func unknown(username string) error {
	return fault.New(fault.NotFound, "user [%s] not found", username)
}

// News tells what changed files hold now.
type News struct {
	Users   int
	Skipped []string // why a line does not count, one sentence each, without any hash
}

// Read takes over the files if one of them has changed since the last look; else
// the news are nil. A file that is not there is empty, and so is one that cannot
// be read, which is an error told once. One goroutine at a time may call it.
func (r *Realm) Read() (*News, error) {
	users, usersChanged, usersErr := r.userFile.Look()
	roles, rolesChanged, rolesErr := r.roleFile.Look()
	if !usersChanged && !rolesChanged {
		return nil, nil
	}
	news := &News{}
	if usersChanged {
		var skipped []string
		r.hashes, skipped = parseUsers(users, r.o.Reserved)
		for _, why := range skipped {
			news.Skipped = append(news.Skipped, usersFile+": "+why)
		}
	}
	if rolesChanged {
		var skipped []string
		r.roles, skipped = parseRoles(roles)
		for _, why := range skipped {
			news.Skipped = append(news.Skipped, rolesFile+": "+why)
		}
	}
	all := make(map[string]*account, len(r.hashes))
	for name, hash := range r.hashes {
		all[name] = r.made(name, hash, r.roles[name])
	}
	r.users.Store(&all)
	news.Users = len(all)
	return news, errors.Join(usersErr, rolesErr)
}

// made is the account of a user; one that has not changed stays as it is, and
// one whose hash has not, what is remembered of the password.
func (r *Realm) made(username, hash string, roles []string) *account {
	was := r.account(username)
	if roles == nil {
		roles = []string{}
	}
	if was != nil && was.hash == hash && slices.Equal(was.subject.Roles, roles) {
		return was
	}
	a := &account{hash: hash, subject: access.Subject{Username: username, Roles: roles, Realm: r.identity}}
	if was != nil && was.hash == hash {
		a.good = was.good
	} else {
		a.good = new(atomic.Pointer[secret.Digest])
	}
	return a
}
