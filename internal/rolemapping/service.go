// Package rolemapping gives roles to the users of realms that know none: a
// mapping is a rule about users and the roles of those who fit it
// (spec/identity.md 6). Who a user is, is for the realms, and what a role allows
// for package role.
package rolemapping

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/cache"
	"latchkey/internal/fault"
	"latchkey/internal/xcontent"
)

// Actions as refusals name them.
const (
	actionPut    = "cluster:admin/xpack/security/role_mapping/put"
	actionGet    = "cluster:admin/xpack/security/role_mapping/get"
	actionDelete = "cluster:admin/xpack/security/role_mapping/delete"
)

// Service manages the stored mappings and evaluates them. It is safe for
// concurrent use.
type Service struct {
	store Store
	log   *slog.Logger
	// enabled holds all enabled mappings together: a login asks for all of them.
	// Every write kills the entry.
	enabled *cache.Cache[[]Mapping]
}

// all is the key of the one entry.
const all = "all"

// cacheTTL bounds memory alone: every write drops the entry before the answer.
const cacheTTL = time.Hour

// New returns a Service on store; lease is as of cache.Options. What is wrong with a mapping when it is
// evaluated goes to log.
func New(store Store, now func() time.Time, lease func() error, log *slog.Logger) *Service {
	return &Service{store: store, log: log, enabled: cache.New[[]Mapping](cache.Options{Max: 16, TTL: cacheTTL, Now: now, Lease: lease})}
}

// Put creates or replaces a mapping and reports whether it is new. What is wrong
// with it as a whole is fault.Invalid, and told before by's right is judged.
func (s *Service) Put(ctx context.Context, by *access.Caller, m Mapping) (created bool, err error) {
	if err := m.problems().Err(fault.Invalid); err != nil {
		return false, err
	}
	if err := by.Authorize(access.Request{Action: actionPut}); err != nil {
		return false, err
	}
	created, err = s.store.PutRoleMapping(ctx, m, s.enabled.Flush)
	if err != nil {
		s.enabled.Flush() // the commit may have reached the disk
	}
	return created, err
}

// Forget has all mappings looked up anew: another node has changed some.
func (s *Service) Forget([]string) { s.enabled.Flush() }

// Get returns the named mappings that exist, or all if names is empty, in order
// of their names.
func (s *Service) Get(ctx context.Context, by *access.Caller, names []string) ([]Mapping, error) {
	if err := by.Authorize(access.Request{Action: actionGet}); err != nil {
		return nil, err
	}
	return s.store.RoleMappings(ctx, names)
}

// Delete deletes a mapping and reports whether there was one.
func (s *Service) Delete(ctx context.Context, by *access.Caller, name string) (bool, error) {
	if err := by.Authorize(access.Request{Action: actionDelete}); err != nil {
		return false, err
	}
	found, err := s.store.DeleteRoleMapping(ctx, name, s.enabled.Flush)
	if err != nil {
		s.enabled.Flush() // as for a put
	}
	return found, err
}

// Roles returns the roles of u: those of all enabled mappings whose rules fit,
// sorted, each once. Realms ask with every authentication and keep no answer, so
// that a change of a mapping counts from the next request on; the mappings are
// in memory. A template that cannot be evaluated names no role.
func (s *Service) Roles(ctx context.Context, u User) ([]string, error) {
	m, err := newModel(u)
	if err != nil {
		return nil, err
	}
	e := s.enabled.Get(all)
	if e == nil {
		if e, err = s.enabled.Fill(ctx, all, s.load); err != nil {
			return nil, err
		}
	}
	roles := s.rolesOf(ctx, e.Value, m)
	switch alive, err := s.enabled.Trust(e); { // last
	case err != nil:
		return nil, err
	case alive:
		return roles, nil
	}
	// A mapping changes at this moment. What is read now was read after the
	// request came, so it answers for this request; it is not kept.
	mappings, err := s.load(ctx, all)
	if err != nil {
		return nil, err
	}
	return s.rolesOf(ctx, mappings, m), nil
}

func (s *Service) load(ctx context.Context, _ string) ([]Mapping, error) {
	mappings, err := s.store.RoleMappings(ctx, nil)
	return slices.DeleteFunc(mappings, func(m Mapping) bool { return !m.Enabled }), err
}

func (s *Service) rolesOf(ctx context.Context, mappings []Mapping, u *model) []string {
	roles := []string{}
	var shown xcontent.Value // of u, once a template needs it
	for i := range mappings {
		m := &mappings[i]
		if !m.Rules.fits(u) {
			continue
		}
		roles = append(roles, m.Roles...)
		for j := range m.Templates {
			if shown.Kind == xcontent.Null {
				shown = u.object()
			}
			more, err := m.Templates[j].roles(shown)
			if err != nil {
				s.log.WarnContext(ctx, "a role template names no role", "role_mapping", m.Name, "user", u.user.Username, "err", err)
			}
			roles = append(roles, more...)
		}
	}
	slices.Sort(roles)
	return slices.Compact(roles)
}
