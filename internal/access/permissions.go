package access

import (
	"fmt"
	"slices"
	"strings"

	"latchkey/internal/fault"
	"latchkey/internal/pattern"
)

// Permissions is what a subject may do, and the names of the roles it comes
// from. It is one pointer, so that a hundred thousand keys with the same rights
// hold them once; the zero value allows nothing.
type Permissions struct{ *permissions }

type permissions struct {
	effective []string // sorted
	missing   []string // sorted
	sides     []*Role
}

var nothing permissions

// get is what p points to, for the zero value too.
func (p Permissions) get() *permissions {
	if p.permissions == nil {
		return &nothing
	}
	return p.permissions
}

// NewPermissions returns the permissions that every one of sides grants: one
// side for a user, two for an API key with descriptors of its own. The names of
// the assigned roles that were found and of those that were not are shown in
// refusals; an API key has none.
func NewPermissions(effective, missing []string, sides ...*Role) Permissions {
	return Permissions{&permissions{sortedSet(effective), sortedSet(missing), sides}}
}

// Same reports whether p and q are one and the same result of resolving roles,
// not merely alike.
func (p Permissions) Same(q Permissions) bool { return slices.Equal(p.sides, q.sides) }

func sortedSet(names []string) []string { return slices.Compact(slices.Sorted(slices.Values(names))) }

// Request is what privileges look at.
type Request struct {
	Action string // such as cluster:admin/xpack/security/api_key/get
	// Own says that the request keeps to what manage_own_api_key covers
	// (spec/identity.md 4.2). It matters for getting, querying and invalidating API
	// keys; making and changing them is covered either way, granting never.
	Own bool
	// Self says that the request is one that every subject may make for itself
	// (spec/identity.md 3.5), so that it needs no privilege.
	Self bool
	// What the request is about, for the privileges that look at it (spec/identity.md
	// 4.5): the applications whose privileges it reads or writes, or "*" for all; the
	// top-level keys of a profile that it writes; the roles that it puts or deletes, as
	// they are to be or were.
	Applications []string
	ProfileKeys  []string
	Roles        []Descriptor
}

// HasCluster reports whether p holds everything that a cluster privilege grants.
// A privilege is a name, in any letter case, or a pattern of action names; one
// that is unknown is fault.Argument, whoever asks.
func (p Permissions) HasCluster(privilege string) (bool, error) {
	held, err := p.HasClusters(privilege)
	return held[privilege], err
}

// HasClusters is [Permissions.HasCluster] of each of privileges. A list that a
// stranger sent goes here as a whole, since its patterns share one bound on work;
// beyond that, and beyond a thousand privileges, it is fault.Argument. What p
// itself holds is never the fault of who asks: where its patterns are too complex
// to be compared within another bound, the privilege counts as not held.
func (p Permissions) HasClusters(privileges ...string) (map[string]bool, error) {
	c := pattern.NewCompiler()
	work := effort{left: 40}
	has := make(map[string]bool, min(len(privileges), maxChecked))
	for _, name := range privileges {
		if _, done := has[name]; done {
			continue
		}
		if len(has) == maxChecked {
			return nil, fault.New(fault.Argument, "at most %d cluster privileges can be checked at once", maxChecked)
		}
		g, err := clusterGrant(name)
		if err != nil {
			return nil, err
		}
		if g.pattern != "" {
			if g.actions, err = c.Parse(g.pattern); err != nil {
				return nil, err
			}
		}
		has[name] = p.implies(g, &work)
	}
	return has, nil
}

// maxChecked is more than there are privileges.
const maxChecked = 1000

func (p Permissions) implies(g *grant, work *effort) bool {
	if p.restricted() != nil {
		return false
	}
	return p.every(func(r *Role) bool { return r.implies(g, work) })
}

// MayRunAs reports whether p allows to act as the user of that name. Whether
// there is such a user is not its concern.
func (p Permissions) MayRunAs(username string) bool {
	return p.restricted() == nil && p.every(func(r *Role) bool { return r.mayRunAs(username) })
}

func (p Permissions) every(allowed func(*Role) bool) bool {
	for _, r := range p.get().sides {
		if !allowed(r) {
			return false
		}
	}
	return len(p.get().sides) > 0
}

// restricted returns the first reason why all of p is out of reach here, or nil.
func (p Permissions) restricted() error {
	for _, r := range p.get().sides {
		if err := r.restricted(); err != nil {
			return err
		}
	}
	return nil
}

// Allows is [Caller.Authorize] without the reason.
func (c *Caller) Allows(r Request) bool {
	return c.mayRunAs() && c.Permissions.restricted() == nil &&
		(r.Self || c.Permissions.every(func(side *Role) bool { return side.allows(r) }))
}

func (c *Caller) mayRunAs() bool {
	if c.RunAsUnknown {
		return false
	}
	return c.By == nil || c.By.Permissions.MayRunAs(c.Username)
}

// Authorize returns nil if c may make the request, else fault.Forbidden with the
// sentence of spec/identity.md 9.2; see also Challenged. A run-as that is not allowed is refused
// before the action is looked at.
func (c *Caller) Authorize(r Request) error {
	if c.Allows(r) {
		return nil
	}
	by := &c.Subject
	if c.By != nil {
		by = c.By
	}
	if !c.mayRunAs() {
		return forbidden(by.Permissions, "action [%s] is unauthorized for %s%s, because %s is unauthorized to run as [%s]",
			r.Action, by.who(), by.roles(), by.who(), c.Username)
	}
	who := by.who()
	if c.By != nil {
		who += " run as [" + c.Username + "]"
	}
	refusal := forbidden(c.Permissions, "action [%s] is unauthorized for %s%s%s", r.Action, who, c.roles(), c.Permissions.grantedBy(r))
	if c.Challenged {
		refusal.Kind = fault.Unauthenticated
	}
	return refusal
}

// forbidden shows a workflow restriction as the cause, if there is one.
func forbidden(p Permissions, format string, args ...any) *fault.Error {
	refusal := fault.New(fault.Forbidden, format, args...)
	if why := p.restricted(); why != nil {
		return refusal.Because(why)
	}
	return refusal
}

// serviceAccounts is the name and the type of the realm of service accounts.
const serviceAccounts = "_service_account"

// who names s in a refusal.
func (s *Subject) who() string {
	owner := fmt.Sprintf("user [%s]", s.Username)
	if s.Realm.Type == serviceAccounts {
		owner = fmt.Sprintf("service account [%s]", s.Username)
	}
	if s.APIKey != nil {
		return fmt.Sprintf("API key id [%s] of %s", s.APIKey.ID, owner)
	}
	return owner
}

// roles tells which roles s has, if it is the kind of subject that has roles.
func (s *Subject) roles() string {
	if s.APIKey != nil || s.Realm.Type == serviceAccounts {
		return ""
	}
	p := s.Permissions.get()
	text := " with effective roles " + list(p.effective)
	if len(p.missing) > 0 {
		text += " (assigned roles " + list(p.missing) + " were not found)"
	}
	return text
}

// grantedBy names the privileges that would have helped.
func (p Permissions) grantedBy(r Request) string {
	names := granting(r)
	if len(names) == 0 || p.restricted() != nil {
		return ""
	}
	return ", this action is granted by the cluster privileges " + list(names)
}

func list(names []string) string { return "[" + strings.Join(names, ",") + "]" }
