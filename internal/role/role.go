// Package role holds the roles that administrators store, and answers what a
// list of role names allows: the built-in roles and the stored ones, united.
//
// What a role descriptor means is for package access, who has which roles for
// package user.
package role

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/cache"
	"latchkey/internal/fault"
)

// Actions as refusals name them.
const (
	actionPut        = "cluster:admin/xpack/security/role/put"
	actionGet        = "cluster:admin/xpack/security/role/get"
	actionDelete     = "cluster:admin/xpack/security/role/delete"
	actionClearCache = "cluster:admin/xpack/security/roles/cache/clear"
)

// Store keeps roles. Every method is one atomic change or one consistent read.
// Names differ by letter case. An error of a change is fault.Unknown if the
// change may have been made, and any other only if it was not.
type Store interface {
	// PutRole creates the role or replaces it as a whole.
	PutRole(ctx context.Context, name string, d access.Descriptor) (created bool, err error)
	// ForgetRoles has the other nodes look up these roles anew, or all for no names,
	// before it returns. It changes nothing.
	ForgetRoles(ctx context.Context, names []string) error
	// Role returns a role, or fault.NotFound.
	Role(ctx context.Context, name string) (access.Descriptor, error)
	// Roles returns those of the named roles that exist, or all if names is empty.
	Roles(ctx context.Context, names []string) (access.Descriptors, error)
	// DeleteRole reports whether there was such a role.
	DeleteRole(ctx context.Context, name string) (bool, error)
	// PutRoles is PutRole for many as one act: all of them or none. It returns what
	// became of each, in their order: Created, Updated, or Unchanged where the
	// stored descriptor is the same.
	PutRoles(ctx context.Context, roles []Named) ([]Outcome, error)
	// DeleteRoles is DeleteRole for many as one act. It returns the names of those
	// that there were.
	DeleteRoles(ctx context.Context, names []string) ([]string, error)
}

// Service manages stored roles and resolves names to permissions. It is safe
// for concurrent use.
type Service struct {
	store Store
	file  file
	// named holds what a name means, "no such role" included. A write to a role
	// kills its entry.
	named *cache.Cache[named]
	// united holds what a list of names allows, for as long as none of the
	// named entries it was made of is dead.
	united *cache.Cache[united]
}

type named struct {
	descriptor access.Descriptor
	exists     bool
}

type united struct {
	permissions access.Permissions
	snapshot    func() access.RoleSet // computed once, when a key is made
	of          []*cache.Entry[named]
}

// cacheTTL bounds memory alone: whoever changes a role drops it from the cache
// before the answer.
const cacheTTL = time.Hour

// cacheMax counts roles, and lists of roles. The original keeps as many.
const cacheMax = 10_000

// New returns a Service on store; lease is as of cache.Options.
func New(store Store, now func() time.Time, lease func() error) *Service {
	o := cache.Options{Max: cacheMax, TTL: cacheTTL, Now: now, Lease: lease}
	return &Service{store: store, named: cache.New[named](o), united: cache.New[united](o)}
}

// unusable are names that the original does not let anybody give to a role:
// its own, and built-in roles of the past.
var unusable = []string{
	"_system", "_xpack",
	"apm_user", "data_frame_transforms_admin", "data_frame_transforms_user", "kibana_dashboard_only_user",
}

func isReserved(name string) bool {
	_, builtIn := access.Reserved(name)
	return builtIn || slices.Contains(unusable, name)
}

// Put creates or replaces a role and reports whether it is new. What is wrong
// with its name or content is told before by's right is judged: fault.Invalid.
func (s *Service) Put(ctx context.Context, by *access.Caller, name string, d access.Descriptor) (created bool, err error) {
	if err := putProblems(name, d).Err(fault.Invalid); err != nil {
		return false, err
	}
	if err := by.Authorize(access.Request{Action: actionPut, Roles: []access.Descriptor{d}}); err != nil {
		return false, err
	}
	created, err = s.store.PutRole(ctx, name, d)
	s.named.Kill(name) // whatever the error: the commit may have reached the disk
	return created, err
}

func putProblems(name string, d access.Descriptor) fault.Problems {
	var p fault.Problems
	if isReserved(name) {
		p.Add("role [%s] is reserved and may not be used", name)
	}
	return append(p, d.Problems(name)...)
}

// Get returns the named roles that exist, built-in ones included, or all if
// names is empty.
func (s *Service) Get(ctx context.Context, by *access.Caller, names []string) (access.Descriptors, error) {
	if err := by.Authorize(access.Request{Action: actionGet}); err != nil {
		return nil, err
	}
	return s.all(ctx, names)
}

func (s *Service) all(ctx context.Context, names []string) (access.Descriptors, error) {
	found, err := s.store.Roles(ctx, names)
	if err != nil {
		return nil, err
	}
	for _, name := range access.ReservedNames() {
		if d, ok := access.Reserved(name); ok && (len(names) == 0 || slices.Contains(names, name)) {
			found[name] = d
		}
	}
	return found, nil
}

// Delete deletes a stored role and reports whether there was one. A reserved
// name is fault.Argument.
func (s *Service) Delete(ctx context.Context, by *access.Caller, name string) (bool, error) {
	if err := s.mayDelete(ctx, by, actionDelete, name); err != nil {
		return false, err
	}
	if isReserved(name) {
		return false, isBuiltIn(name)
	}
	found, err := s.store.DeleteRole(ctx, name)
	s.named.Kill(name)
	return found, err
}

// mayDelete looks at what the roles are only where it matters.
func (s *Service) mayDelete(ctx context.Context, by *access.Caller, action string, names ...string) error {
	if len(names) == 0 || by.Allows(access.Request{Action: action}) {
		return by.Authorize(access.Request{Action: action})
	}
	stored, err := s.all(ctx, names)
	if err != nil {
		return err
	}
	about := []access.Descriptor{}
	for _, d := range stored {
		about = append(about, d)
	}
	return by.Authorize(access.Request{Action: action, Roles: about})
}

func isBuiltIn(name string) *fault.Error {
	return fault.New(fault.Argument, "role [%s] is reserved and cannot be deleted", name)
}

// ClearCache forgets what is kept of the named roles, or of all for "*", on all nodes.
func (s *Service) ClearCache(ctx context.Context, by *access.Caller, names []string) error {
	if err := by.Authorize(access.Request{Action: actionClearCache}); err != nil {
		return err
	}
	if slices.Contains(names, "*") {
		s.named.Flush()
		return s.store.ForgetRoles(ctx, nil)
	}
	s.named.Kill(names...)
	return s.store.ForgetRoles(ctx, names)
}

// Forget has the roles of these names, or all if there are none, looked up anew: another node
// has changed them.
func (s *Service) Forget(names []string) {
	if len(names) == 0 {
		s.named.Flush()
		return
	}
	s.named.Kill(names...)
}

// Permissions returns what the named roles allow together. Names without a
// role allow nothing and are remembered for refusals. Where superuser is among
// the names, it is the only one that counts.
func (s *Service) Permissions(ctx context.Context, names []string) (access.Permissions, error) {
	u, err := s.together(ctx, names)
	return u.permissions, err
}

// Standing returns what the named roles allow together, and what tells whether they
// still do so, for who holds on to that: without a look at the names. nil if that is
// not in memory.
func (s *Service) Standing(names []string) (access.Permissions, func() (bool, error)) {
	key, ok := unitedBy(effective(names))
	if !ok {
		return access.Permissions{}, nil
	}
	e := s.united.Peek(key)
	if e == nil {
		return access.Permissions{}, nil
	}
	u := e.Value
	return u.permissions, func() (bool, error) { return s.current(u) }
}

// Snapshot returns the roles that names stand for, without those that do not
// exist and without descriptions: what an API key keeps of its owner.
// superuser counts alone, as in [Service.Permissions].
func (s *Service) Snapshot(ctx context.Context, names []string) (access.RoleSet, error) {
	u, err := s.together(ctx, names)
	if err != nil {
		return access.RoleSet{}, err
	}
	return u.snapshot(), nil
}

// together returns what the named roles are when they are united.
func (s *Service) together(ctx context.Context, names []string) (united, error) {
	names = effective(names)
	key, ok := unitedBy(names)
	if !ok {
		return s.unite(ctx, names)
	}
	if e := s.united.Get(key); e != nil {
		switch current, err := s.current(e.Value); {
		case err != nil:
			return united{}, err
		case current:
			return e.Value, nil
		}
		s.united.Kill(key)
	}
	e, err := s.united.Fill(ctx, key, func(ctx context.Context, _ string) (united, error) { return s.unite(ctx, names) })
	if err != nil {
		return united{}, err
	}
	switch current, err := s.current(e.Value); {
	case err != nil:
		return united{}, err
	case current:
		return e.Value, nil
	}
	// A role changes at this moment. What is read now was read after the
	// request came, so it answers for this request; it is not kept.
	return s.unite(ctx, names)
}

// unitedBy is what names are in memory by. No role has a NUL in its name, but what
// mappings and directories name may hold anything: it must not pass for the names on
// both sides of the NUL.
func unitedBy(names []string) (key string, ok bool) {
	key = strings.Join(names, "\x00")
	return key, strings.Count(key, "\x00") < max(len(names), 1)
}

// current reports whether none of the roles has changed since they were united.
func (s *Service) current(u united) (bool, error) {
	for _, e := range u.of {
		if alive, err := s.named.Trust(e); !alive {
			return false, err
		}
	}
	return true, nil
}

func (s *Service) unite(ctx context.Context, names []string) (united, error) {
	var u united
	var found, missing []string
	var descriptors []access.Descriptor
	kept := make(access.Descriptors)
	for _, name := range names {
		e, err := s.resolve(ctx, name)
		if err != nil {
			return united{}, err
		}
		u.of = append(u.of, e)
		if e.Value.exists {
			found, descriptors = append(found, name), append(descriptors, e.Value.descriptor)
			kept[name] = e.Value.descriptor.WithoutDescription()
		} else {
			missing = append(missing, name)
		}
	}
	u.permissions = access.NewPermissions(found, missing, access.NewRole(descriptors...))
	u.snapshot = sync.OnceValue(kept.RoleSet)
	return u, nil
}

// fewNames is how many names are compared without memory of their own.
const fewNames = 64

var superuserAlone = []string{access.SuperuserName}

// effective drops repetitions, and all but superuser where it is present.
func effective(names []string) []string {
	if slices.Contains(names, access.SuperuserName) {
		return superuserAlone
	}
	once := func() []string { return slices.Compact(slices.Sorted(slices.Values(names))) }
	if len(names) > fewNames { // to compare each with each would take seconds for very many
		return once()
	}
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			return once()
		}
	}
	return names
}

func (s *Service) resolve(ctx context.Context, name string) (*cache.Entry[named], error) {
	if e := s.named.Get(name); e != nil {
		return e, nil
	}
	return s.named.Fill(ctx, name, func(ctx context.Context, name string) (named, error) {
		if d, ok := access.Reserved(name); ok {
			return named{d, true}, nil
		}
		if d, ok := s.file.role(name); ok {
			return named{d, true}, nil
		}
		d, err := s.store.Role(ctx, name)
		if fault.KindOf(err) == fault.NotFound {
			return named{}, nil
		}
		return named{d, err == nil}, err
	})
}
