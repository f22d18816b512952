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
	runAs     func() []pattern.Language
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
	for _, d := range ds {
		runAs = append(runAs, d.RunAs)
		c := pattern.NewCompiler() // as generous as the one that parsed d
		for _, p := range d.Cluster {
			if g, err := clusterGrant(c, p); err == nil && !slices.Contains(r.cluster, g) {
				r.cluster = append(r.cluster, g)
			}
		}
		r.workflows = append(r.workflows, d.Workflows...)
	}
	r.runAs = sync.OnceValue(func() (languages []pattern.Language) { // few roles are ever asked
		for _, patterns := range runAs {
			c := pattern.NewCompiler()
			for _, p := range patterns {
				if l, err := c.Parse(p); err == nil {
					languages = append(languages, l)
				}
			}
		}
		return languages
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
func (r *Role) implies(c *pattern.Compiler, g *grant) (bool, error) {
	var held []pattern.Language
	for _, h := range r.cluster {
		if h == g || !h.conditional() && h.name == g.name {
			return true, nil
		}
		if !h.conditional() {
			held = append(held, h.actions)
		}
	}
	if len(held) == 0 {
		return false, nil
	}
	all, err := c.Union(held...)
	if err != nil {
		return false, err
	}
	return c.Includes(all, g.actions)
}

func (r *Role) mayRunAs(username string) bool {
	return slices.ContainsFunc(r.runAs(), func(l pattern.Language) bool { return l.Matches(username) })
}

// restricted returns why a role with workflows allows nothing here, or nil. The
// only workflow there is searches, which is not what this service does.
func (r *Role) restricted() error {
	if len(r.workflows) == 0 {
		return nil
	}
	return fault.New(fault.Restricted, "access is restricted to the workflows %s, and this request belongs to none of them", list(r.workflows))
}
