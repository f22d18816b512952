package access

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"latchkey/internal/fault"
	"latchkey/internal/pattern"
)

// Role is what a set of descriptors allows together: the union of what each of
// them grants. It is immutable to its users and safe for concurrent use; keep
// one and use it often, since it remembers its decisions.
type Role struct {
	cluster   []*grant
	held      func() *held // of cluster
	runAs     func() []pattern.Matcher
	workflows []string // not empty: nothing outside of them is allowed

	decisions atomic.Pointer[map[decision]bool]
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
	r := &Role{}
	var runAs [][]string
	known := map[string]bool{}
	for _, d := range ds {
		runAs = append(runAs, d.RunAs)
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
	r.held = sync.OnceValue(func() *held { return hold(r.cluster) })
	r.runAs = sync.OnceValue(func() (matchers []pattern.Matcher) { // few roles are ever asked
		for _, patterns := range runAs {
			c := pattern.NewCompiler() // as generous as the one that parsed d
			for _, p := range patterns {
				if m, err := c.Matcher(p); err == nil {
					matchers = append(matchers, m)
				}
			}
		}
		return matchers
	})
	return r
}

// allows reports whether r grants the request, workflows aside.
func (r *Role) allows(req Request) bool {
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
	return slices.ContainsFunc(r.cluster, func(h *grant) bool { return h.name == g.name }) || r.held().includes(g.actions, work)
}

func (r *Role) mayRunAs(username string) bool {
	return slices.ContainsFunc(r.runAs(), func(m pattern.Matcher) bool { return m.Matches(username) })
}

// restricted returns why a role with workflows allows nothing here, or nil. The
// only workflow there is searches, which is not what this service does.
func (r *Role) restricted() error {
	if len(r.workflows) == 0 {
		return nil
	}
	return fault.New(fault.Restricted, "access is restricted to the workflows %s, and this request belongs to none of them", list(r.workflows))
}
