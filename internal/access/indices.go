package access

import (
	"strings"
	"sync"

	"latchkey/internal/pattern"
)

// mergedIndices is what one or several entries grant on the same names
// (spec/identity.md 3.5). Entries that reach restricted indices stay apart from
// those that do not.
type mergedIndices struct {
	names, privileges []string // sorted; privileges in lower case
	restricted        bool
	clusters          []string         // sorted; of remote indices only
	fields            []*FieldSecurity // none: all fields
	queries           []string         // none: all documents
}

// mergeIndices returns what ds grant on indices, in the order of their entries.
func mergeIndices(ds []Descriptor) []*mergedIndices {
	m := merger{}
	for _, d := range ds {
		for _, e := range d.Indices {
			m.add(e, nil)
		}
	}
	return m.all
}

// mergeRemoteIndices is mergeIndices for those of remote clusters.
func mergeRemoteIndices(ds []Descriptor) []*mergedIndices {
	m := merger{}
	for _, d := range ds {
		for _, e := range d.RemoteIndices {
			m.add(e.IndexEntry, sortedSet(e.Clusters))
		}
	}
	return m.all
}

type merger struct {
	all []*mergedIndices
	by  map[string]*mergedIndices
	// allFields and allDocuments are those with an entry that has no such limit.
	allFields, allDocuments map[*mergedIndices]bool
}

func (m *merger) add(e IndexEntry, clusters []string) {
	privileges := make([]string, len(e.Privileges))
	for i, p := range e.Privileges {
		privileges[i] = strings.ToLower(p)
	}
	privileges = sortedSet(privileges)
	if len(privileges) == 0 || len(privileges) == 1 && privileges[0] == "none" {
		return
	}
	names := sortedSet(e.Names)
	key := setKey(names) + "\x01" + setKey(clusters)
	if e.AllowRestricted {
		key += "\x01"
	}
	if m.by == nil {
		m.by, m.allFields, m.allDocuments = map[string]*mergedIndices{}, map[*mergedIndices]bool{}, map[*mergedIndices]bool{}
	}
	into := m.by[key]
	if into == nil {
		into = &mergedIndices{names: names, restricted: e.AllowRestricted, clusters: clusters}
		m.by[key], m.all = into, append(m.all, into)
	}
	into.privileges = sortedSet(append(into.privileges, privileges...))
	switch {
	case e.FieldSecurity == nil:
		m.allFields[into], into.fields = true, nil
	case !m.allFields[into]:
		into.fields = append(into.fields, e.FieldSecurity)
	}
	switch {
	case e.Query == nil:
		m.allDocuments[into], into.queries = true, nil
	case !m.allDocuments[into]:
		into.queries = append(into.queries, *e.Query)
	}
}

// setKey is a text that only the same sorted set has.
func setKey(sorted []string) string {
	var b strings.Builder
	for _, s := range sorted {
		b.WriteString(s)
		b.WriteByte(0)
	}
	return b.String()
}

// indexGroup is all that a role grants with one set of privileges.
type indexGroup struct {
	privileges []string
	names      *patterns
	restricted *patterns // those of names that reach restricted indices
}

func indexGroups(entries []*mergedIndices, charge func(int)) []*indexGroup {
	type names struct{ all, restricted []string }
	by := map[string]*names{}
	var groups []*indexGroup
	for _, e := range entries {
		key := setKey(e.privileges)
		n := by[key]
		if n == nil {
			n = &names{}
			by[key] = n
			groups = append(groups, &indexGroup{privileges: e.privileges})
		}
		n.all = append(n.all, e.names...)
		if e.restricted {
			n.restricted = append(n.restricted, e.names...)
		}
	}
	for _, g := range groups {
		n := by[setKey(g.privileges)]
		g.names, g.restricted = newPatterns(n.all, charge), newPatterns(n.restricted, charge)
	}
	return groups
}

// indexTarget is the indices that a check is about. What of them is restricted is
// compared with what reaches restricted indices, and the rest with all names: so
// nothing needs to be taken away from what a role holds.
type indexTarget struct {
	text            string
	literal         bool
	inside, outside pattern.Language // of restricted indices; of a literal, unused
	isRestricted    bool             // of a literal
}

func newIndexTarget(text string, restricted bool, c *pattern.Compiler) (t indexTarget, err error) {
	t.text = text
	if name, ok := pattern.Literal(text); ok {
		t.literal, t.isRestricted = true, restrictedIndices().Matches(name)
		return t, nil
	}
	all, err := c.Parse(text)
	if err != nil {
		return t, err
	}
	if start := all.Beginning(); start != "" && start[0] != '.' {
		t.outside = all
		return t, nil
	}
	if t.outside, err = c.Minus(all, restrictedIndices()); err != nil || !restricted {
		return t, err
	}
	t.inside, err = c.Intersect(all, restrictedIndices())
	return t, err
}

// nothing reports whether there are no such indices at all.
func (t indexTarget) nothing() bool { return !t.literal && t.inside.Empty() && t.outside.Empty() }

// covers reports whether g is about all of t.
func (g *indexGroup) covers(t indexTarget, work *effort) bool {
	if t.literal {
		if t.isRestricted {
			return g.restricted.matches(t.text, work)
		}
		return g.names.matches(t.text, work)
	}
	return g.names.includes(t.text, t.outside, work) && g.restricted.includes(t.text, t.inside, work)
}

// covering returns what may be done with all of t: what the groups that cover it
// alone grant together. Nil: nothing.
func (e *engine) covering(t indexTarget, work *effort) *actions {
	groups := e.indices()
	mask, some := make([]byte, (len(groups)+7)/8), false
	if !t.nothing() {
		for i, g := range groups {
			if g.covers(t, work) {
				mask[i/8] |= 1 << (i % 8)
				some = true
			}
		}
	}
	if !some {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	u := e.unions[string(mask)]
	if u == nil {
		var privileges []string
		for i, g := range groups {
			if mask[i/8]&(1<<(i%8)) != 0 {
				privileges = append(privileges, g.privileges...)
			}
		}
		u = newActions(privileges, e.charge)
		if len(e.unions) >= maxUnions {
			clear(e.unions)
		}
		e.unions[string(mask)] = u
		e.charge(len(mask))
	}
	return u
}

// maxUnions bounds the combinations of groups that a role remembers.
const maxUnions = 64

// actions is what may be done with some indices.
type actions struct {
	names map[string]bool // privileges, in lower case
	held  func() *held
}

func newActions(privileges []string, charge func(int)) *actions {
	a := &actions{names: make(map[string]bool, len(privileges))}
	var raw []string
	var named []pattern.Language
	for _, p := range privileges {
		if a.names[p] {
			continue
		}
		a.names[p] = true
		if l, ok := indexLanguages()[p]; ok {
			named = append(named, l)
		} else if isIndexActions(p) {
			raw = append(raw, p+"*")
		}
	}
	charge(100 + 40*len(a.names))
	a.held = sync.OnceValue(func() *held {
		h := hold(raw, named, holdEffort())
		charge(h.size())
		return h
	})
	return a
}

// indexPrivilege is one that is asked about.
type indexPrivilege struct {
	name    string // lower case
	actions pattern.Language
}

// newIndexPrivilege resolves a name, in any letter case, or a pattern of actions;
// it must have no indexPrivilegeProblem.
func newIndexPrivilege(privilege string, c *pattern.Compiler) (p indexPrivilege, err error) {
	p.name = strings.ToLower(privilege)
	if l, ok := indexLanguages()[p.name]; ok {
		p.actions = l
		return p, nil
	}
	p.actions, err = c.Parse(p.name + "*")
	return p, err
}

func (a *actions) include(p indexPrivilege, work *effort) bool {
	return a != nil && (a.names[p.name] || a.names[allIndices] || p.actions.Empty() || a.held().includes(p.actions, work))
}
