package access

import (
	"fmt"
	"slices"
	"strings"

	"latchkey/internal/pattern"
)

// Application is the privileges that are stored for one application, in the form in
// which they are compared. It is immutable, and a change makes a new one: answers
// are remembered for as long as it is the one that is asked with. A nil one has none.
type Application struct{ privileges map[string]*patterns }

// NewApplication returns an application whose privileges grant the given actions.
func NewApplication(privileges map[string][]string) *Application {
	a := &Application{make(map[string]*patterns, len(privileges))}
	for name, actions := range privileges {
		a.privileges[name] = newPatterns(actions, func(int) {})
	}
	return a
}

// actions returns what a stored privilege grants, or nil.
func (a *Application) actions(privilege string) *patterns {
	if a == nil || !isPrivilegeName(privilege) {
		return nil
	}
	return a.privileges[privilege]
}

// isPrivilegeName reports whether s can be the name of a stored privilege; what
// cannot is a pattern of actions.
func isPrivilegeName(s string) bool {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '.' && r != '-'
	})
}

// ApplicationNameProblem returns what is wrong with the name of an application
// (spec/identity.md 4.4), or "".
func ApplicationNameProblem(name string) string {
	if strings.HasSuffix(name, "*") {
		return fmt.Sprintf("application name [%s] is not valid: a wildcard cannot be part of it here", shorten(name))
	}
	return applicationProblem(name)
}

// ApplicationPatternProblem is [ApplicationNameProblem] where a star may stand at the end.
func ApplicationPatternProblem(name string) string { return applicationProblem(name) }

// PrivilegeNameProblem returns what is wrong with the name of a privilege that is
// to be stored, or "".
func PrivilegeNameProblem(name string) string {
	if isPrivilegeName(name) {
		return ""
	}
	return fmt.Sprintf("application privilege name [%s] is not valid: it must be a lower-case letter followed by letters, digits (A-Z, a-z, 0-9) and any of [_.-]", shorten(name))
}

// ActionProblem returns what is wrong with an action that a stored privilege is to
// grant, or "". That a pattern can be compiled is for [CheckPatterns].
func ActionProblem(action string) string {
	if problem := applicationPrivilegeProblem(action); problem != "" {
		return strings.Replace(problem, "application privilege", "action", 1)
	}
	if !strings.ContainsAny(action, "/*:") {
		return fmt.Sprintf("action [%s] is not valid: it must contain one of [/], [*] and [:]", shorten(action))
	}
	return ""
}

// CheckPatterns refuses patterns that could not be compared later: fault.Argument.
func CheckPatterns(list []string) error {
	c := pattern.NewCompiler()
	for _, p := range list {
		if _, literal := pattern.Literal(p); literal {
			continue
		}
		if _, err := c.Parse(p); err != nil {
			return err
		}
	}
	return nil
}

// MetadataProblem returns what is wrong with metadata that is to be stored, or "".
func MetadataProblem(metadata []byte) string { return metadataProblem(metadata) }

// applicationGrant is what a role grants of one application, or of all that match.
type applicationGrant struct {
	application string // a pattern
	matcher     pattern.Matcher
	privileges  map[string]bool
	names       []string  // those of privileges that may be stored
	raw         *patterns // the others: patterns of actions
	resources   *patterns
}

// mergeApplications returns what ds grant on applications: privileges on the same
// resources are one entry, and then so are resources of the same privileges.
func mergeApplications(ds []Descriptor) []ApplicationEntry {
	var entries []ApplicationEntry
	for _, d := range ds {
		for _, a := range d.Applications {
			entries = append(entries, ApplicationEntry{a.Application, sortedSet(a.Privileges), sortedSet(a.Resources)})
		}
	}
	entries = merged(entries, func(a *ApplicationEntry) (same, united *[]string) { return &a.Resources, &a.Privileges })
	return merged(entries, func(a *ApplicationEntry) (same, united *[]string) { return &a.Privileges, &a.Resources })
}

// merged unites one list of all entries of an application in which the other is the same.
func merged(entries []ApplicationEntry, parts func(*ApplicationEntry) (same, united *[]string)) []ApplicationEntry {
	var out []ApplicationEntry
	at := map[string]int{}
	for _, e := range entries {
		same, more := parts(&e)
		key := e.Application + "\x00" + setKey(*same)
		i, known := at[key]
		if !known {
			at[key] = len(out)
			out = append(out, e)
			continue
		}
		_, into := parts(&out[i])
		*into = append(slices.Clip(*into), *more...)
	}
	for i := range out {
		_, united := parts(&out[i])
		*united = sortedSet(*united)
	}
	return out
}

func applicationGrants(entries []ApplicationEntry, charge func(int)) []*applicationGrant {
	grants := make([]*applicationGrant, len(entries))
	for i, e := range entries {
		g := &applicationGrant{application: e.Application, matcher: pattern.Wildcards(e.Application), privileges: make(map[string]bool, len(e.Privileges))}
		var raw []string
		for _, p := range e.Privileges {
			g.privileges[p] = true
			if isPrivilegeName(p) {
				g.names = append(g.names, p)
			} else {
				raw = append(raw, p)
			}
		}
		charge(300 + 60*len(e.Privileges))
		g.raw, g.resources = newPatterns(raw, charge), newPatterns(e.Resources, charge)
		grants[i] = g
	}
	return grants
}

// grants reports whether g holds a privilege of the application that stored
// describes. One that is stored is held with all of its actions; one that is not
// stored, by who has it by that name, or everything (spec/identity.md 5.1).
func (g *applicationGrant) grants(privilege string, stored *Application, work *effort) bool {
	if g.privileges[privilege] || g.privileges["*"] {
		return true
	}
	wanted := []string{privilege}
	if isPrivilegeName(privilege) {
		actions := stored.actions(privilege)
		if actions == nil {
			return false
		}
		wanted = actions.list
	}
	sets := []*patterns{g.raw}
	for _, name := range g.names {
		if actions := stored.actions(name); actions != nil {
			sets = append(sets, actions)
		}
	}
	for _, action := range wanted {
		if !work.walk(20*(1+len(sets))) || !covered(sets, action, work) {
			return false
		}
	}
	return true
}
