package access

import (
	"slices"
	"strings"
	"sync"

	"latchkey/internal/pattern"
)

// patterns is a union of patterns that is asked what it covers: single texts
// without automata, other patterns as languages. It is safe for concurrent use.
type patterns struct {
	list       []string
	texts      map[string]bool // the patterns, as they are written
	beginnings []string        // of those that are only text before a star
	others     func() []pattern.Matcher
	length     int // of the patterns behind others
	held       func() *held
}

// newPatterns tells charge how much memory it takes, now and later.
func newPatterns(list []string, charge func(bytes int)) *patterns {
	p := &patterns{list: list, texts: make(map[string]bool, len(list))}
	var others []string
	bytes := 200
	for _, text := range list {
		if p.texts[text] {
			continue
		}
		p.texts[text] = true
		bytes += 80
		if _, literal := pattern.Literal(text); literal {
			continue
		}
		if start, ok := pattern.Prefix(text); ok {
			p.beginnings = append(p.beginnings, start)
			continue
		}
		others = append(others, text)
		p.length += len(text)
	}
	charge(bytes)
	p.others = sync.OnceValue(func() (matchers []pattern.Matcher) {
		c, size := pattern.NewCompiler(), 0 // as generous as the one that accepted them
		for _, text := range others {
			if m, err := c.Matcher(text); err == nil {
				matchers = append(matchers, m)
				size += 100 + m.Size()
			}
		}
		charge(size)
		return matchers
	})
	p.held = sync.OnceValue(func() *held {
		h := hold(p.list, nil, holdEffort())
		charge(h.size())
		return h
	})
	return p
}

// matches reports whether p covers a text in which nothing is a wildcard.
func (p *patterns) matches(text string, work *effort) bool {
	if p.texts[text] {
		return true
	}
	if !work.walk(8*len(p.beginnings) + (1+len(text))*p.length) {
		return false
	}
	return slices.ContainsFunc(p.beginnings, func(b string) bool { return strings.HasPrefix(text, b) }) ||
		slices.ContainsFunc(p.others(), func(m pattern.Matcher) bool { return m.Matches(text) })
}

// includes reports whether p covers a language, which is the whole of a pattern or
// a part of it.
func (p *patterns) includes(of string, l pattern.Language, work *effort) bool {
	return l.Empty() || p.texts[of] || work.walk(8*len(p.beginnings)) && p.held().includes(l, work)
}

// covered reports whether sets together cover a pattern. One that is too complex is
// not covered.
func covered(sets []*patterns, text string, work *effort) bool {
	if literal, ok := pattern.Literal(text); ok {
		return slices.ContainsFunc(sets, func(p *patterns) bool { return p.matches(literal, work) })
	}
	if slices.ContainsFunc(sets, func(p *patterns) bool { return p.texts[text] }) {
		return true
	}
	var l pattern.Language
	if !work.try(func(c *pattern.Compiler) (err error) {
		l, err = c.Parse(text)
		return err
	}) {
		return false
	}
	if slices.ContainsFunc(sets, func(p *patterns) bool { return p.includes(text, l, work) }) {
		return true
	}
	if len(sets) < 2 {
		return false
	}
	var all []string
	for _, p := range sets {
		all = append(all, p.list...)
	}
	return hold(all, nil, work).includes(l, work)
}
