package access

import (
	"maps"
	"slices"
	"sync/atomic"

	"latchkey/internal/fault"
	"latchkey/internal/pattern"
)

// Role is what a set of descriptors allows together: the union of what each of
// them grants. It is immutable to its users and safe for concurrent use; keep
// one and use it often, since it remembers its decisions.
type Role struct {
	of        []Descriptor
	cluster   []*grant
	workflows []string // not empty: nothing outside of them is allowed

	decisions atomic.Pointer[map[decision]bool]
	current   atomic.Pointer[engine] // nil until somebody asks more
}

type decision struct {
	action string
	own    bool
}

// maxDecisions bounds what a Role remembers. There are fewer actions than that.
const maxDecisions = 512

// NewRole returns the union of ds; of none it allows nothing. It expects
// descriptors whose [Descriptor.Problems] are none: a privilege or a pattern that
// cannot be understood grants nothing.
func NewRole(ds ...Descriptor) *Role {
	r := &Role{of: ds}
	known := map[string]bool{}
	for _, d := range ds {
		for _, p := range d.Cluster {
			g, err := clusterGrant(p)
			if err != nil || known[g.name] {
				continue
			}
			known[g.name] = true
			r.cluster = append(r.cluster, g)
		}
		r.workflows = append(r.workflows, d.Workflows...)
	}
	return r
}

// holdCluster compiles what r grants unconditionally of the cluster.
func (r *Role) holdCluster() *held {
	var patterns []string
	var named []pattern.Language
	for _, g := range r.cluster {
		switch {
		case g.conditional():
		case g.pattern != "":
			patterns = append(patterns, g.pattern)
		default:
			named = append(named, g.actions)
		}
	}
	return hold(patterns, named, holdEffort())
}

// allows reports whether r grants the request, workflows aside.
func (r *Role) allows(req Request) bool {
	return r.allowsAction(req) || r.allowsGlobally(req)
}

func (r *Role) allowsAction(req Request) bool {
	d := decision{req.Action, req.Own}
	known := r.decisions.Load()
	if known != nil {
		if allowed, ok := (*known)[d]; ok {
			return allowed
		}
	}
	allowed := slices.ContainsFunc(r.cluster, func(g *grant) bool { return g.allows(req) })
	r.remember(known, d, allowed)
	return allowed
}

// remember adds a decision to those known. Of two at once one may be lost; it is
// made again when it is needed.
func (r *Role) remember(known *map[decision]bool, d decision, allowed bool) {
	more := map[decision]bool{}
	if known != nil {
		if len(*known) >= maxDecisions {
			return
		}
		more = maps.Clone(*known)
	}
	more[d] = allowed
	r.decisions.CompareAndSwap(known, &more)
}

// implies reports whether r allows every request that g allows. What depends on
// the request implies nothing but itself, not even none: the access-level order,
// which puts manage_own_api_key first, says so.
func (r *Role) implies(g *grant, work *effort) bool {
	return slices.ContainsFunc(r.cluster, func(h *grant) bool { return h.name == g.name }) || r.engine().cluster().includes(g.actions, work)
}

func (r *Role) mayRunAs(username string) bool {
	return slices.ContainsFunc(r.engine().runAs(), func(m pattern.Matcher) bool { return m.Matches(username) })
}

// restricted returns why a role with workflows allows nothing here, or nil. The
// only workflow there is searches, which is not what this service does.
func (r *Role) restricted() error {
	if len(r.workflows) == 0 {
		return nil
	}
	return fault.New(fault.Restricted, "access is restricted to the workflows %s, and this request belongs to none of them", list(r.workflows))
}
