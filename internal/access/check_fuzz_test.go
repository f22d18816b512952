package access

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"latchkey/internal/fault"
)

// naive is a matcher that is slow and plain: it tries everything.
func naive(pattern, s string) bool {
	if len(pattern) > 1 && pattern[0] == '/' { // of the kind that randomPattern makes
		return regexp.MustCompile(`^(?s:` + pattern[1:len(pattern)-1] + `)$`).MatchString(s)
	}
	if pattern == "" {
		return s == ""
	}
	switch pattern[0] {
	case '*':
		return naive(pattern[1:], s) || s != "" && naive(pattern, s[1:])
	case '?':
		return s != "" && naive(pattern[1:], s[1:])
	case '\\':
		if len(pattern) > 1 {
			pattern = pattern[1:]
		}
	}
	return s != "" && s[0] == pattern[0] && naive(pattern[1:], s[1:])
}

// universe is every text of up to four of four characters, and some that are
// restricted or nearly so.
var universe = func() []string {
	all := []string{""}
	for from, length := 0, 0; length < 4; length++ {
		to := len(all)
		for _, s := range all[from:to] {
			for _, c := range "abz*" {
				all = append(all, s+string(c))
			}
		}
		from = to
	}
	short := all[:1+4+16]
	for _, name := range append([]string{"a", "securit", "t"}, restrictedBeginnings...) {
		for _, s := range short {
			all = append(all, "."+name+s)
		}
	}
	return all
}()

func randomPattern(r *rand.Rand) string {
	var b strings.Builder
	if r.IntN(5) == 0 {
		b.WriteByte('/')
		for range 1 + r.IntN(2) {
			b.WriteString([]string{"a", "b", "(a|b)", "(ab|z)*", "[az]?", ".*", "a+"}[r.IntN(7)])
		}
		return b.String() + "/"
	}
	if r.IntN(6) == 0 {
		b.WriteString([]string{".security", ".", ".t", ".sec"}[r.IntN(4)])
	}
	for range r.IntN(4) {
		b.WriteString([]string{"a", "b", "*", "?", "a", "*", `\*`}[r.IntN(7)])
	}
	return b.String()
}

func randomEntries(r *rand.Rand, sets [][]string) []IndexEntry {
	var entries []IndexEntry
	for range 1 + r.IntN(4) {
		e := IndexEntry{Privileges: sets[r.IntN(len(sets))], AllowRestricted: r.IntN(2) == 0}
		for range 1 + r.IntN(3) {
			e.Names = append(e.Names, randomPattern(r))
		}
		entries = append(entries, e)
	}
	return entries
}

// A check agrees with trying every text of a universe: it says yes if and only if no
// text of the pattern is outside of what one set of privileges reaches.
func checkAgainstUniverse(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 7))
	entries := randomEntries(r, [][]string{{"read"}})
	wanted, restricted := randomPattern(r), r.IntN(2) == 0
	got := may(t, holding(entries...), wanted, "read", restricted)
	literal := !strings.ContainsAny(wanted, `*?\/`)
	want, some := true, false
	for _, s := range universe {
		isRestricted := restrictedIndices().Matches(s)
		if !naive(wanted, s) || isRestricted && !restricted && !literal {
			continue
		}
		some = true
		covered := false
		for _, e := range entries {
			for _, name := range e.Names {
				covered = covered || (e.AllowRestricted || !isRestricted) && naive(name, s)
			}
		}
		if want = want && covered; !want {
			break
		}
	}
	if got && !want || !got && want && some {
		t.Errorf("seed %d: read on %q (restricted: %v) against %+v = %v; a text of the universe says %v", seed, wanted, restricted, entries, got, want)
	}
}

func TestChecksAgainstUniverse(t *testing.T) {
	for seed := range uint64(400) {
		checkAgainstUniverse(t, seed)
	}
}

func FuzzCheckAgainstUniverse(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(checkAgainstUniverse)
}

// FuzzCheck asks about any text at all: an answer, or a clear refusal.
func FuzzCheck(f *testing.F) {
	for _, s := range []string{"*", "/a|b/", `a\`, "", ".security*", "/~(a.*)&<1-9>/", "/((((a{1,30}){1,30}){1,30}){1,30})/", "ü?"} {
		f.Add(s, "read", "a*")
		f.Add("a", s, s)
	}
	f.Fuzz(func(t *testing.T, name, privilege, granted string) {
		p := NewPermissions(nil, nil, NewRole(Descriptor{
			Indices:      []IndexEntry{{Names: []string{granted}, Privileges: []string{"read", privilege}}},
			Applications: []ApplicationEntry{{"*", []string{granted}, []string{granted}}},
		}))
		got, err := p.Check(Check{
			Indices:      []IndexCheck{{[]string{name, granted}, []string{"read"}, true}, {[]string{name}, []string{privilege}, false}},
			Applications: []ApplicationEntry{{"app", []string{privilege}, []string{name}}},
		}, map[string]*Application{"app": NewApplication(map[string][]string{"a": {privilege}})})
		if err != nil && (fault.KindOf(err) != fault.Argument || len(err.Error()) > 20_000) {
			t.Errorf("Check = %v", err)
		}
		if err == nil && len(got.Index) == 0 {
			t.Errorf("Check = %+v", got)
		}
	})
}
