package pattern

import (
	"strings"
	"unicode/utf8"
)

// Matcher answers for one pattern without an automaton of it, unless it is a
// regular expression: it takes no more memory than the pattern itself. Use it for
// patterns that are kept in great number.
type Matcher struct {
	pattern  string
	language *Language // of a regular expression
}

// Matcher returns the Matcher of a pattern within the bounds of [Compiler.Parse],
// though what is no regular expression costs nothing here.
func (c *Compiler) Matcher(pattern string) (Matcher, error) {
	if !strings.HasPrefix(pattern, "/") {
		return Wildcards(pattern), nil
	}
	l, err := c.Parse(pattern)
	return Matcher{pattern, &l}, err
}

// Size returns about how many bytes of memory m takes beside the pattern itself.
func (m Matcher) Size() int {
	if m.language == nil {
		return 0
	}
	return m.language.Size()
}

// Wildcards is the Matcher of a pattern that cannot be a regular expression,
// because of how it begins.
func Wildcards(pattern string) Matcher { return Matcher{pattern: pattern} }

// Matches reports whether s is in the language of the pattern.
func (m Matcher) Matches(s string) bool {
	if m.language != nil {
		return m.language.Matches(s)
	}
	return matchWildcards(m.pattern, s)
}

// matchWildcards goes back to the last star only, since an earlier one could do
// no better. That takes at most len(pattern)*len(s) steps.
func matchWildcards(pattern, s string) bool {
	star, again := -1, 0 // what follows the last star, and where in s it is tried next
	i, j := 0, 0
	for j < len(s) {
		want, wild, size := item(pattern[i:])
		if size > 0 && wild == '*' {
			i += size
			star, again = i, j
			continue
		}
		got, width := utf8.DecodeRuneInString(s[j:])
		if size > 0 && (wild == '?' || got == want) {
			i, j = i+size, j+width
			continue
		}
		if star < 0 {
			return false
		}
		_, width = utf8.DecodeRuneInString(s[again:])
		again += width
		i, j = star, again
	}
	return strings.Trim(pattern[i:], "*") == ""
}

// item reads the first item of a pattern with wildcards: a wild one, or else the
// character that it stands for. Size is 0 at the end.
func item(pattern string) (want rune, wild byte, size int) {
	if pattern == "" {
		return 0, 0, 0
	}
	want, size = utf8.DecodeRuneInString(pattern)
	switch {
	case want == '*' || want == '?':
		return 0, byte(want), size
	case want == '\\' && size < len(pattern):
		next, n := utf8.DecodeRuneInString(pattern[size:])
		return next, 0, size + n
	}
	return want, 0, size
}
