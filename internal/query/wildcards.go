package query

import (
	"strings"
	"unicode/utf8"

	"latchkey/internal/pattern"
)

// wildcards is [pattern.Wildcards] for very many texts: it searches them for what
// stands between the stars, and takes what that costs from w.
func wildcards(w *work, text string) func(string) bool {
	if !utf8.ValidString(text) {
		return pattern.Wildcards(text).Matches
	}
	var stretches []stretch // what stands between the stars; there is one more than stars
	var piece strings.Builder
	now := stretch{}
	cut := func() {
		now.pieces = append(now.pieces, piece.String())
		piece.Reset()
	}
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text):
			i++
			piece.WriteByte(text[i]) // the rest of a long character follows by itself
		case c == '?':
			cut()
		case c == '*':
			cut()
			stretches = append(stretches, now)
			now = stretch{}
		default:
			piece.WriteByte(c)
		}
	}
	cut()
	last := len(stretches)
	stretches = append(stretches, now)
	return func(s string) bool {
		if last == 0 {
			n, ok := stretches[0].begins(w, s)
			return ok && n == len(s)
		}
		n, ok := stretches[0].begins(w, s)
		if !ok {
			return false
		}
		s = s[n:]
		for _, r := range stretches[1:last] {
			if n, ok = r.find(w, s); !ok {
				return false
			}
			s = s[n:]
		}
		return stretches[last].ends(s)
	}
}

// stretch is some pieces of text, with one character that may be any between them.
type stretch struct{ pieces []string }

// begins reports whether s begins with r, and how many bytes that takes.
func (r stretch) begins(w *work, s string) (n int, ok bool) {
	for i, piece := range r.pieces {
		if i > 0 {
			_, size := utf8.DecodeRuneInString(s[n:])
			if size == 0 {
				return 0, false
			}
			n += size
		}
		if !w.spend(1) || !strings.HasPrefix(s[n:], piece) {
			return 0, false
		}
		n += len(piece)
	}
	return n, true
}

// find returns where the first r in s ends.
func (r stretch) find(w *work, s string) (n int, ok bool) {
	for at := 0; ; {
		next := strings.Index(s[at:], r.pieces[0])
		if next < 0 || w.err != nil {
			return 0, false
		}
		at += next
		if n, ok = r.begins(w, s[at:]); ok {
			return at + n, true
		}
		_, size := utf8.DecodeRuneInString(s[at:])
		if size == 0 {
			return 0, false
		}
		at += size
	}
}

// ends reports whether s ends with r.
func (r stretch) ends(s string) bool {
	for i := len(r.pieces) - 1; i >= 0; i-- {
		if !strings.HasSuffix(s, r.pieces[i]) {
			return false
		}
		if s = s[:len(s)-len(r.pieces[i])]; i > 0 {
			_, size := utf8.DecodeLastRuneInString(s)
			if size == 0 {
				return false
			}
			s = s[:len(s)-size]
		}
	}
	return true
}
