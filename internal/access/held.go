package access

import (
	"slices"
	"strings"

	"latchkey/internal/pattern"
)

// held is a union of patterns and languages in the forms in which it can be
// compared with another language. It is made when somebody asks, which few roles see.
type held struct {
	beginnings []string           // of patterns that are only text before a star
	languages  []pattern.Language // those given, and of all other patterns
	united     *pattern.Language  // all of it; nil if that is more than can be kept
}

// maxUnited bounds the text of patterns that are united: some thousand of them.
const maxUnited = 64 << 10 // bytes

// hold compiles patterns, to be held beside languages. Its bounds do not grow with
// their number: for a role that is absurd a pattern may be left out of languages,
// or united be nil.
func hold(patterns []string, languages []pattern.Language, work *effort) *held {
	h := &held{languages: slices.Clone(languages)}
	var plainly []pattern.Language // what beginnings stand for
	length := 0
	for _, p := range patterns {
		var l pattern.Language
		compile := func(c *pattern.Compiler) (err error) {
			l, err = c.Parse(p)
			return err
		}
		text, isPrefix := pattern.Prefix(p)
		if isPrefix {
			h.beginnings = append(h.beginnings, text)
		}
		_, isText := pattern.Literal(p)
		if length += len(p); (isPrefix || isText) && length > maxUnited || !work.try(compile) {
			continue
		}
		if isPrefix {
			plainly = append(plainly, l)
		} else {
			h.languages = append(h.languages, l)
		}
	}
	if length > maxUnited {
		return h
	}
	work.try(func(c *pattern.Compiler) error {
		u, err := c.Union(slices.Concat(plainly, h.languages)...)
		if err == nil {
			h.united = &u
		}
		return err
	})
	return h
}

// holdEffort is what a part of a role may cost before it is asked anything.
func holdEffort() *effort { return &effort{left: 8} }

// size is about how many bytes h takes.
func (h *held) size() int {
	n := 100
	for _, b := range h.beginnings {
		n += 16 + len(b)
	}
	for _, l := range h.languages {
		n += 8 + l.Size()
	}
	if h.united != nil {
		n += h.united.Size()
	}
	return n
}

// includes reports whether all of wanted is held. It looks at each part alone
// where all of them together are too much to look at.
func (h *held) includes(wanted pattern.Language, work *effort) bool {
	if wanted.Empty() {
		return len(h.beginnings)+len(h.languages) > 0
	}
	start := wanted.Beginning()
	if slices.ContainsFunc(h.beginnings, func(b string) bool { return strings.HasPrefix(start, b) }) {
		return true
	}
	within := func(wide pattern.Language) (included, known bool) {
		known = work.try(func(c *pattern.Compiler) (err error) {
			included, err = c.Includes(wide, wanted)
			return err
		})
		return included, known
	}
	if h.united != nil {
		if included, known := within(*h.united); known {
			return included
		}
	}
	return slices.ContainsFunc(h.languages, func(l pattern.Language) bool {
		included, known := within(l)
		return included && known
	})
}

// effort bounds work of which each part may fail without the others.
type effort struct {
	left     int // compilers that may still be used up
	compiler *pattern.Compiler
	steps    int  // of comparing texts, that may still be taken
	spent    bool // something was left undone because there was nothing left at all
}

// try reports whether part was done. If what was left for it did not suffice, it
// is tried once more with a compiler of its own.
func (e *effort) try(part func(*pattern.Compiler) error) bool {
	for {
		fresh := e.compiler == nil
		if fresh {
			if e.left--; e.left < 0 {
				e.spent = true
				return false
			}
			e.compiler = pattern.NewSmallCompiler()
		}
		if part(e.compiler) == nil {
			return true
		}
		if e.compiler = nil; fresh {
			return false
		}
	}
}

// walk takes n steps and reports whether they were left.
func (e *effort) walk(n int) bool {
	if e.steps -= n; e.steps < 0 {
		e.spent = true
	}
	return !e.spent
}
