package access

import (
	"slices"
	"strings"

	"latchkey/internal/pattern"
)

// held is what a role grants unconditionally, in the forms in which it can be
// compared with a privilege. It is made when somebody asks, which few roles see.
type held struct {
	beginnings []string           // of action patterns that are only text before a star
	languages  []pattern.Language // of named privileges and all other patterns
	united     *pattern.Language  // of all of it; nil if that is more than can be kept
}

// maxUnited bounds the text of patterns that are united: some thousand of them.
const maxUnited = 64 << 10 // bytes

// hold compiles the grants of a role. Its bounds do not grow with the role, so a
// pattern may be left out of languages, or united be nil, for a role that is absurd.
func hold(grants []*grant) *held {
	h := &held{}
	work := effort{left: 8}
	var plainly []pattern.Language // what beginnings stand for
	length := 0
	for _, g := range grants {
		switch {
		case g.conditional():
			continue
		case g.pattern == "":
			h.languages = append(h.languages, g.actions)
			continue
		}
		var l pattern.Language
		compile := func(c *pattern.Compiler) (err error) {
			l, err = c.Parse(g.pattern)
			return err
		}
		text := strings.TrimRight(g.pattern, "*")
		plain := !strings.ContainsAny(text, `*?\`)
		if plain {
			h.beginnings = append(h.beginnings, text)
		}
		if length += len(text); plain && length > maxUnited || !work.try(compile) {
			continue
		}
		if plain {
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

// includes reports whether all of wanted is held. It looks at each grant alone
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
}

// try reports whether part was done. If what was left for it did not suffice, it
// is tried once more with a compiler of its own.
func (e *effort) try(part func(*pattern.Compiler) error) bool {
	for {
		fresh := e.compiler == nil
		if fresh {
			if e.left--; e.left < 0 {
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
