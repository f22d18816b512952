package httpapi

import (
	"context"
	"math/bits"
	"strings"

	"latchkey/internal/fault"
	"latchkey/internal/xcontent"
)

// filter is a parsed filter_path (spec/http.md 8).
type filter struct{ include, exclude paths }

// paths are the segments of several paths, one path after the other. In a
// segment * is any run of characters, and "**" stands for any number of levels.
type paths struct {
	segments []segment
	start    places
}

type segment struct {
	text string
	last bool // of its path
}

// places is a set of segments by their index: those that the next name may match.
type places [maxSegments / 64]uint64

const anyDepth = "**"

// What one filter_path may hold. No client sends a tenth of it, and the work
// for each member of an answer grows with it.
const (
	maxPaths    = 64
	maxSegments = 256 // of all paths together
)

// parseFilter reads a filter_path. Too many paths are fault.Argument.
func parseFilter(s string) (filter, error) {
	var f filter
	seen := map[string]bool{}
	for path := range strings.SplitSeq(s, ",") {
		path = strings.TrimSpace(path)
		if seen[path] || path == "" || path == "-" {
			continue
		}
		seen[path] = true
		into, rest := &f.include, path
		if path[0] == '-' {
			into, rest = &f.exclude, path[1:]
		}
		into.add(rest)
		if len(seen) > maxPaths || len(f.include.segments)+len(f.exclude.segments) > maxSegments {
			return filter{}, fault.New(fault.Argument, "[filter_path] can hold %d paths with %d names in all, but holds more", maxPaths, maxSegments)
		}
	}
	f.include.begin()
	f.exclude.begin()
	return f, nil
}

// add splits a path at its dots; \. is a dot within a name.
func (ps *paths) add(path string) {
	first := len(ps.segments)
	var b strings.Builder
	end := func() {
		s := b.String()
		if again := s == anyDepth && len(ps.segments) > first && ps.segments[len(ps.segments)-1].text == anyDepth; !again {
			ps.segments = append(ps.segments, segment{text: s})
		}
		b.Reset()
	}
	for i := 0; i < len(path); i++ {
		switch {
		case path[i] == '\\' && i+1 < len(path) && path[i+1] == '.':
			i++
			b.WriteByte('.')
		case path[i] == '.':
			end()
		default:
			b.WriteByte(path[i])
		}
	}
	end()
	ps.segments[len(ps.segments)-1].last = true
}

// begin finds where the paths start.
func (ps *paths) begin() {
	for i := range ps.segments {
		if i == 0 || ps.segments[i-1].last {
			ps.reach(&ps.start, i)
		}
	}
}

// reach adds segment i to at, and what lies behind a "**" that matches no level.
func (ps *paths) reach(at *places, i int) {
	for {
		at[i/64] |= 1 << (i % 64)
		if s := ps.segments[i]; s.last || s.text != anyDepth {
			return
		}
		i++
	}
}

// step returns where a member called name leads to, and whether a path ends there.
func (ps *paths) step(from *places, name string) (to places, end bool) {
	for word, set := range from {
		for ; set != 0; set &= set - 1 {
			i := word*64 + bits.TrailingZeros64(set)
			switch s := ps.segments[i]; {
			case s.text == anyDepth:
				end = end || s.last
				ps.reach(&to, i)
			case !matchName(s.text, name):
			case s.last:
				end = true
			default:
				ps.reach(&to, i+1)
			}
		}
	}
	return to, end
}

// apply returns what is left of v: {} if nothing is. It stops with the error of
// ctx when that ends.
func (f *filter) apply(ctx context.Context, v xcontent.Value) (xcontent.Value, error) {
	w := filtering{ctx: ctx}
	left := true
	if len(f.exclude.segments) > 0 {
		v, left = w.without(&f.exclude, v, f.exclude.start)
	}
	if len(f.include.segments) > 0 && left {
		v, left = w.only(&f.include, v, f.include.start)
	}
	if !left {
		v = object()
	}
	return v, w.err
}

// filtering is one run of a filter.
type filtering struct {
	ctx   context.Context
	steps int
	err   error
}

// stopped reports whether the run is over before its end.
func (w *filtering) stopped() bool {
	if w.steps++; w.steps%1024 == 0 && w.err == nil {
		w.err = w.ctx.Err()
	}
	return w.err != nil
}

// only keeps what the paths name. Arrays are transparent, and what holds
// nothing that was named is left out.
func (w *filtering) only(ps *paths, v xcontent.Value, at places) (xcontent.Value, bool) {
	switch v.Kind {
	case xcontent.Object:
		kept := object()
		for _, m := range v.Members {
			if w.stopped() {
				break
			}
			next, end := ps.step(&at, m.Name)
			some := end
			if !end && next != (places{}) {
				m.Value, some = w.only(ps, m.Value, next)
			}
			if some {
				kept.Members = append(kept.Members, m)
			}
		}
		return kept, len(kept.Members) > 0
	case xcontent.Array:
		kept := xcontent.Value{Kind: xcontent.Array}
		for _, e := range v.Items {
			if w.stopped() {
				break
			}
			if e, some := w.only(ps, e, at); some {
				kept.Items = append(kept.Items, e)
			}
		}
		return kept, len(kept.Items) > 0
	default:
		return v, false
	}
}

// without drops what the paths name, and what they empty; what was empty
// before stays.
func (w *filtering) without(ps *paths, v xcontent.Value, at places) (xcontent.Value, bool) {
	switch {
	case v.Kind == xcontent.Object && len(v.Members) > 0:
		kept := object()
		for _, m := range v.Members {
			if w.stopped() {
				break
			}
			next, end := ps.step(&at, m.Name)
			some := !end
			if some && next != (places{}) {
				m.Value, some = w.without(ps, m.Value, next)
			}
			if some {
				kept.Members = append(kept.Members, m)
			}
		}
		return kept, len(kept.Members) > 0
	case v.Kind == xcontent.Array && len(v.Items) > 0:
		kept := xcontent.Value{Kind: xcontent.Array}
		for _, e := range v.Items {
			if w.stopped() {
				break
			}
			if e, some := w.without(ps, e, at); some {
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
