package httpapi

import (
	"maps"
	"net/url"
	"slices"
	"strings"
)

// route is one registered pattern with its endpoint.
type route struct {
	pattern string   // "DELETE /_security/user/{username}", as registered
	names   []string // of its wildcards, in order
	serve   endpoint
	// makesNew says that a repetition of the request makes a second thing, so
	// that clients must not repeat it after an unknown outcome.
	makesNew bool
	// streams says that the endpoint reads the body by itself, as it comes: it may
	// be of any type and larger than others.
	streams bool
	served  served
}

// router finds the route of a method and a path. A literal segment wins over a
// wildcard, whatever the method: a wildcard is asked only where the literal
// segments lead to no path at all. It matches one segment that is not empty.
type router struct{ root node }

type node struct {
	literals map[string]*node
	wild     *node
	routes   map[string]*route // by method
	reserved bool              // a path without routes that no wildcard may take
}

// add registers a route. A pattern that cannot be reached is a mistake of ours and panics.
func (rt *router) add(r *route) {
	method, path, _ := strings.Cut(r.pattern, " ")
	at, names := rt.node(path)
	if at.reserved || at.routes[method] != nil {
		panic("httpapi: two routes for " + r.pattern)
	}
	if at.routes == nil {
		at.routes = map[string]*route{}
	}
	at.routes[method], r.names = r, names
}

// reserve makes a path unknown that a wildcard would take otherwise.
func (rt *router) reserve(path string) {
	at, _ := rt.node(path)
	at.reserved = true
}

// node returns the node of a pattern's path, made where it is missing, and the
// names of the wildcards on the way.
func (rt *router) node(path string) (at *node, names []string) {
	at = &rt.root
	for seg := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		switch {
		case seg == "": // the root itself
		case seg[0] == '{':
			names = append(names, strings.Trim(seg, "{}"))
			if at.wild == nil {
				at.wild = &node{}
			}
			at = at.wild
		default:
			if at.literals == nil {
				at.literals = map[string]*node{}
			}
			if at.literals[seg] == nil {
				at.literals[seg] = &node{}
			}
			at = at.literals[seg]
		}
	}
	return at, names
}

// find returns the route of a request and what its wildcards matched, or nil.
func (rt *router) find(method string, u *url.URL) (*route, []string) {
	path, raw := routedPath(u)
	n, wild := rt.root.walk(path, raw, nil)
	if n == nil || n.routes[method] == nil {
		return nil, nil
	}
	return n.routes[method], wild
}

// allowed returns the methods that the path of u is registered with, sorted.
func (rt *router) allowed(u *url.URL) []string {
	path, raw := routedPath(u)
	n, _ := rt.root.walk(path, raw, nil)
	if n == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(n.routes))
}

// emptyParts is where empty segments at the end count as absent (spec/identity.md 4.4).
const emptyParts = "_security/privilege/"

// routedPath returns the path without its first and one last slash, and whether
// its segments are still encoded. net/url keeps the encoded form only where it
// matters, that is, when a segment may hold %2F.
func routedPath(u *url.URL) (path string, raw bool) {
	path, raw = u.Path, u.RawPath != ""
	if raw {
		path = u.RawPath
	}
	path, absolute := strings.CutPrefix(path, "/")
	if !absolute {
		return "\x00", false // "*" and the like match nothing
	}
	path = strings.TrimSuffix(path, "/")
	if strings.HasPrefix(path, emptyParts) {
		path = strings.TrimRight(path, "/")
	}
	return path, raw
}

// walk returns the node that rest leads to and what the wildcards on the way
// matched, or nil. Literal segments are tried first.
func (n *node) walk(rest string, raw bool, wild []string) (*node, []string) {
	if rest == "" {
		if n.routes == nil && !n.reserved {
			return nil, nil
		}
		return n, wild
	}
	seg, rest, more := strings.Cut(rest, "/")
	if seg == "" || more && rest == "" { // "a//b", "a//"
		return nil, nil
	}
	if raw {
		s, err := url.PathUnescape(seg)
		if err != nil {
			return nil, nil
		}
		seg = s
	}
	if next := n.literals[seg]; next != nil {
		if found, matched := next.walk(rest, raw, wild); found != nil {
			return found, matched
		}
	}
	if n.wild == nil {
		return nil, nil
	}
	return n.wild.walk(rest, raw, append(wild[:len(wild):len(wild)], seg))
}
