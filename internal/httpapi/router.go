package httpapi

import (
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
}

// router finds the route of a method and a path. A literal segment wins over a
// wildcard, unless only the wildcard leads to a route for the method. A
// wildcard matches one segment that is not empty.
type router struct{ root node }

type node struct {
	literals map[string]*node
	wild     *node
	routes   map[string]*route // by method
}

// add registers a route. A pattern that cannot be reached is a mistake of ours and panics.
func (rt *router) add(r *route) {
	method, path, _ := strings.Cut(r.pattern, " ")
	at := &rt.root
	for seg := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		switch {
		case seg == "": // the root itself
		case seg[0] == '{':
			r.names = append(r.names, strings.Trim(seg, "{}"))
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
	if at.routes == nil {
		at.routes = map[string]*route{}
	}
	if at.routes[method] != nil {
		panic("httpapi: two routes for " + r.pattern)
	}
	at.routes[method] = r
}

// find returns the route of a request and what its wildcards matched, or nil.
func (rt *router) find(method string, u *url.URL) (*route, []string) {
	path, raw := routedPath(u)
	var r *route
	var matched []string
	rt.root.walk(path, raw, nil, func(n *node, wild []string) bool {
		r, matched = n.routes[method], wild
		return r != nil
	})
	return r, matched
}

// allowed returns the methods that the path of u is registered with, sorted.
func (rt *router) allowed(u *url.URL) []string {
	var methods []string
	path, raw := routedPath(u)
	rt.root.walk(path, raw, nil, func(n *node, _ []string) bool {
		for m := range n.routes {
			if !slices.Contains(methods, m) {
				methods = append(methods, m)
			}
		}
		return false
	})
	slices.Sort(methods)
	return methods
}

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
	return strings.TrimSuffix(path, "/"), raw
}

// walk calls visit for the nodes that rest leads to, literal segments first,
// until visit returns true.
func (n *node) walk(rest string, raw bool, wild []string, visit func(*node, []string) bool) bool {
	if rest == "" {
		return visit(n, wild)
	}
	seg, rest, more := strings.Cut(rest, "/")
	if seg == "" || more && rest == "" { // "a//b", "a//"
		return false
	}
	if raw {
		s, err := url.PathUnescape(seg)
		if err != nil {
			return false
		}
		seg = s
	}
	if next := n.literals[seg]; next != nil && next.walk(rest, raw, wild, visit) {
		return true
	}
	return n.wild != nil && n.wild.walk(rest, raw, append(wild[:len(wild):len(wild)], seg), visit)
}
