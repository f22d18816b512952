package access

import (
	"fmt"
	"strings"
)

const maxName = 507 // characters of a username or a role name

// NameProblem returns what is wrong with a username or role name
// (spec/identity.md 2.3), or "". What says which of them it is, as in "username".
func NameProblem(what, name string) string { return NameProblemWithin(what, name, maxName) }

// NameProblemWithin is NameProblem with a limit of its own, in characters.
func NameProblemWithin(what, name string, most int) string {
	plain := !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' })
	if plain && name != "" && len(name) <= most && strings.TrimSpace(name) == name {
		return ""
	}
	return fmt.Sprintf("%s [%s] is not valid. It must have 1 to %d characters, all of them printable Basic Latin (U+0020 to U+007E), "+
		"and must not begin or end with a space", what, shorten(name), most)
}

func shorten(s string) string {
	if len(s) <= 2*maxName {
		return s
	}
	return strings.ToValidUTF8(s[:2*maxName], "") + "..."
}

// indexPrivilegeProblem returns what is wrong with an index privilege, or "". That
// a pattern of action names can be compiled is seen when it is parsed.
func indexPrivilegeProblem(privilege string) string {
	name := strings.ToLower(privilege)
	if _, known := indexLanguages()[name]; known || isIndexActions(name) {
		return ""
	}
	return fmt.Sprintf("unknown index privilege [%s]. It must be one of [%s] or a pattern of action names that starts with [indices:]",
		shorten(privilege), strings.Join(indexPrivilegeNames, ","))
}

func isIndexActions(name string) bool { return strings.HasPrefix(name, "indices:") }

// remotePrivileges are the only cluster privileges that a role can hold on remote clusters.
var remotePrivileges = []string{"monitor_enrich", "monitor_stats"}

// workflows are the only ones that a restriction may name.
var workflows = []string{"search_application_query"}

// applicationProblem returns what is wrong with the application pattern of a
// role (spec/identity.md 4.4), or "".
func applicationProblem(name string) string {
	rest, wild := strings.CutSuffix(name, "*")
	if wild && rest == "" {
		return ""
	}
	bad := func(rule string) string {
		return fmt.Sprintf("application name [%s] is not valid: %s", shorten(name), rule)
	}
	prefix, suffix := rest, ""
	i := strings.IndexAny(rest, "-_")
	if i >= 0 {
		prefix, suffix = rest[:i], rest[i+1:]
	}
	letters := func(r rune) bool { return r < '0' || r > '9' && r < 'A' || r > 'Z' && r < 'a' || r > 'z' }
	switch {
	case prefix == "" || prefix[0] < 'a' || prefix[0] > 'z' || strings.ContainsFunc(prefix, letters):
		return bad("what stands before the first '-' or '_' must be a lower-case letter followed by letters and digits (A-Z, a-z, 0-9)")
	case len(prefix) < 3 && !wild:
		return bad("what stands before the first '-' or '_' must have at least 3 characters")
	case i >= 0 && suffix == "" && !wild:
		return bad("nothing follows the '-' or '_'")
	case strings.ContainsAny(suffix, "\\/*?\"<>|, \t\n\r\v\f"):
		return bad(`a suffix must not contain any of \ / * ? " < > | , or blanks; a wildcard stands at the end only`)
	}
	return ""
}

// applicationPrivilegeProblem returns what is wrong with a privilege of an
// application, which in a role is a name or a pattern of actions, or "".
func applicationPrivilegeProblem(privilege string) string {
	if privilege != "" && !strings.ContainsFunc(privilege, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return ""
	}
	return fmt.Sprintf("application privilege [%s] is not valid: it must consist of printable ASCII characters without blanks", shorten(privilege))
}
