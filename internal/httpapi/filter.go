package httpapi

import (
	"slices"
	"strings"

	"latchkey/internal/xcontent"
)

// filter is a parsed filter_path (spec/http.md 8).
type filter struct{ include, exclude patterns }

// patterns are paths, each a list of segments; "**" stands for any number of levels.
type patterns [][]string

// place is a point in one of the patterns: the segments before at have been matched.
type place struct{ pattern, at int }

const anyDepth = "**"

func parseFilter(s string) filter {
	var f filter
	seen := map[string]bool{}
	for path := range strings.SplitSeq(s, ",") {
		path = strings.TrimSpace(path)
		if seen[path] || path == "" || path == "-" {
			continue
		}
		seen[path] = true
		if rest, ok := strings.CutPrefix(path, "-"); ok {
			f.exclude = append(f.exclude, segments(rest))
		} else {
			f.include = append(f.include, segments(path))
		}
	}
	return f
}

// segments splits a path at its dots; \. is a dot within a name.
func segments(path string) []string {
	var segs []string
	var b strings.Builder
	add := func() {
		if s := b.String(); s != anyDepth || len(segs) == 0 || segs[len(segs)-1] != anyDepth {
			segs = append(segs, s)
		}
		b.Reset()
	}
	for i := 0; i < len(path); i++ {
		switch {
		case path[i] == '\\' && i+1 < len(path) && path[i+1] == '.':
			i++
			b.WriteByte('.')
		case path[i] == '.':
			add()
		default:
			b.WriteByte(path[i])
		}
	}
	add()
	return segs
}

// apply returns what is left of v: {} if nothing is.
func (f filter) apply(v xcontent.Value) xcontent.Value {
	left := true
	if len(f.exclude) > 0 {
		v, left = f.exclude.without(v, f.exclude.start())
	}
	if len(f.include) > 0 && left {
		v, left = f.include.only(v, f.include.start())
	}
	if !left {
		return object()
	}
	return v
}

func (ps patterns) start() []place {
	var at []place
	for i := range ps {
		at = ps.reach(at, place{i, 0})
	}
	return at
}

// reach adds p to at, and what lies behind a "**" that matches no level.
func (ps patterns) reach(at []place, p place) []place {
	if slices.Contains(at, p) {
		return at
	}
	at = append(at, p)
	if segs := ps[p.pattern]; p.at+1 < len(segs) && segs[p.at] == anyDepth {
		return ps.reach(at, place{p.pattern, p.at + 1})
	}
	return at
}

// step returns where a member called name leads to, and whether a pattern ends there.
func (ps patterns) step(from []place, name string) (to []place, end bool) {
	for _, p := range from {
		segs := ps[p.pattern]
		switch {
		case segs[p.at] == anyDepth:
			end = end || p.at+1 == len(segs)
			to = ps.reach(to, p)
		case matchName(segs[p.at], name):
			if p.at+1 == len(segs) {
				end = true
			} else {
				to = ps.reach(to, place{p.pattern, p.at + 1})
			}
		}
	}
	return to, end
}

// only keeps what the patterns name. Arrays are transparent, and what holds
// nothing that was named is left out.
func (ps patterns) only(v xcontent.Value, at []place) (xcontent.Value, bool) {
	switch v.Kind {
	case xcontent.Object:
		kept := object()
		for _, m := range v.Members {
			next, end := ps.step(at, m.Name)
			some := end
			if !end && len(next) > 0 {
				m.Value, some = ps.only(m.Value, next)
			}
			if some {
				kept.Members = append(kept.Members, m)
			}
		}
		return kept, len(kept.Members) > 0
	case xcontent.Array:
		kept := xcontent.Value{Kind: xcontent.Array}
		for _, e := range v.Items {
			if e, some := ps.only(e, at); some {
				kept.Items = append(kept.Items, e)
			}
		}
		return kept, len(kept.Items) > 0
	default:
		return v, false
	}
}

// without drops what the patterns name, and what they empty; what was empty
// before stays.
func (ps patterns) without(v xcontent.Value, at []place) (xcontent.Value, bool) {
	switch {
	case v.Kind == xcontent.Object && len(v.Members) > 0:
		kept := object()
		for _, m := range v.Members {
			next, end := ps.step(at, m.Name)
			some := !end
			if some && len(next) > 0 {
				m.Value, some = ps.without(m.Value, next)
			}
			if some {
				kept.Members = append(kept.Members, m)
			}
		}
		return kept, len(kept.Members) > 0
	case v.Kind == xcontent.Array && len(v.Items) > 0:
		kept := xcontent.Value{Kind: xcontent.Array}
		for _, e := range v.Items {
			if e, some := ps.without(e, at); some {
				kept.Items = append(kept.Items, e)
			}
		}
		return kept, len(kept.Items) > 0
	default:
		return v, true
	}
}

// matchName matches a name against a segment in which * is any run of characters.
func matchName(pattern, name string) bool {
	first, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == name
	}
	name, ok := strings.CutPrefix(name, first)
	if !ok {
		return false
	}
	for {
		part, more, star := strings.Cut(rest, "*")
		if !star {
			return strings.HasSuffix(name, part)
		}
		i := strings.Index(name, part)
		if i < 0 {
			return false
		}
		name, rest = name[i+len(part):], more
	}
}
