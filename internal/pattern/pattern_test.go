package pattern

import (
	"strings"
	"testing"

	"latchkey/internal/fault"
)

func TestParse(t *testing.T) {
	tests := []struct {
		pattern string
		in      []string
		out     []string
	}{
		{"", []string{""}, []string{"a"}},
		{"logs-1", []string{"logs-1"}, []string{"logs-", "logs-11", "Logs-1"}},
		{"logs-*", []string{"logs-", "logs-1", "logs-*", "logs-\n"}, []string{"logs", "xlogs-1"}},
		{"*a*b*", []string{"ab", "xaxbx", "aab"}, []string{"ba", ""}},
		{"a?c", []string{"abc", "aéc", "a?c"}, []string{"ac", "abbc"}},
		{`a\*c`, []string{"a*c"}, []string{"abc", `a\*c`}},
		{`a\`, []string{`a\`}, []string{"a"}},
		{"//", []string{""}, []string{"/", "a"}},
		{"/a|b/", []string{"a", "b"}, []string{"ab", "/a/", ""}},
		{"/(ab)*c+d?/", []string{"c", "ababccd"}, []string{"abd", "cdd"}},
		{"/a{2}/", []string{"aa"}, []string{"a", "aaa"}},
		{"/a{2,}/", []string{"aa", "aaaa"}, []string{"a"}},
		{"/a{1,3}/", []string{"a", "aaa"}, []string{"", "aaaa"}},
		{"/[a-cx][^a-c]/", []string{"bd", "x-"}, []string{"da", "ba", "-x"}},
		{`/[\]a-]\-/`, []string{"]-", "a-", "--"}, []string{"b-"}},
		{`/\d\D\w\W\s\S/`, []string{"0a_- x"}, []string{"aa_- x", "0a_-xx"}},
		{`/"a.c"b/`, []string{"a.cb"}, []string{"abcb"}},
		{"/a.c/", []string{"abc", "a\nc", "a😀c"}, []string{"ac"}},
		{"/#/", nil, []string{"", "a", "#"}},
		{"/a#|b/", []string{"b"}, []string{"a", "a#"}},
		{"/a@/", []string{"a", "abc"}, []string{"ba"}},
		{"/a()b/", []string{"ab"}, []string{"a b"}},
		{"/<7-11>/", []string{"7", "9", "10", "11", "007"}, []string{"6", "12", "1", "0012", ""}},
		{"/<07-11>/", []string{"07", "10", "11"}, []string{"7", "12", "007"}},
		{"/<11-9>/", []string{"9", "10"}, []string{"8", "12"}},
		{"/<0-123>/", []string{"0", "5", "99", "100", "123", "00"}, []string{"124", "200"}},
		{"/a~b/", []string{"a", "ac", "abb"}, []string{"ab", "b"}},
		{"/~(a*)/", []string{"b", "ab"}, []string{"", "aa"}},
		{"/.*a&.*b.*/", []string{"ba", "cbca"}, []string{"ab", "a"}},
		{"/a&b|c/", []string{"c"}, []string{"a", "b", ""}},
		// the patterns that the built-in roles need
		{"/~(([.]|ilm-history-).*)/", []string{"logs", "ilm-history"}, []string{".kibana", "ilm-history-5", "."}},
		{"/metrics-(beats|elasticsearch).*/", []string{"metrics-beats-1"}, []string{"metrics-x"}},
	}
	for _, tt := range tests {
		t.Run(tt.pattern, func(t *testing.T) {
			l, err := Parse(tt.pattern)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range tt.in {
				if !l.Matches(s) {
					t.Errorf("%q does not match %q", tt.pattern, s)
				}
			}
			for _, s := range tt.out {
				if l.Matches(s) {
					t.Errorf("%q matches %q", tt.pattern, s)
				}
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, pattern := range []string{
		"/", "/abc", `/a\/`, "/(a/", "/a)/", "/[a/", "/[]/", "/[b-a]/", "/a{2/", "/a{x}/", "/a{3,2}/", "/*a/", "/a||b/", "/a|/",
		"/<1-/", "/<a-b>/", "/<5>/", `/"a/`, "/~/", "/(|a)/", "/a&/", "/[a-\\w]/", `/[\/`,
		strings.Repeat("a", 10_000), "/" + strings.Repeat("(", 3000) + strings.Repeat(")", 3000) + "/",
	} {
		if _, err := Parse(pattern); fault.KindOf(err) != fault.Argument {
			t.Errorf("Parse(%.20q) = %v; want fault.Argument", pattern, err)
		}
	}
}

// Patterns whose automaton would be huge are refused, and soon.
func TestParseIsBounded(t *testing.T) {
	for _, pattern := range []string{
		"*a" + strings.Repeat("?", 40),
		"/(a|b)*a(a|b){40}/",
		"/((a{1000}){1000}){1000}/",
		"/((((){60000}){60000}){60000}){60000}/",
		"/~(.*a.{30})&~(.*b.{30})/",
		"/" + strings.Repeat("(.*a.{9})&", 700) + "b/",
	} {
		if _, err := Parse(pattern); fault.KindOf(err) != fault.Argument {
			t.Errorf("Parse(%.30q) = %v; want fault.Argument", pattern, err)
		}
	}
	costly := "*a" + strings.Repeat("?", 11)
	c := NewCompiler()
	if _, err := c.Parse(costly); err != nil {
		t.Errorf("one costly pattern: %v", err)
	}
	var err error
	for range 1000 {
		if _, err = c.Parse(costly); err != nil {
			break
		}
	}
	if fault.KindOf(err) != fault.Argument {
		t.Errorf("a thousand costly patterns: %v; want fault.Argument", err)
	}
	c = NewCompiler()
	for range 50_000 {
		if _, err := c.Parse("an-index-with-quite-a-long-name-000001"); err != nil {
			t.Fatalf("many plain patterns: %v", err)
		}
	}
}

// An interval takes a few bytes and stands for hundreds of nodes, also where
// nothing is built of it in the end.
func TestIntervalsAreCharged(t *testing.T) {
	for _, unit := range []string{"<0-2147483646>", "<1234567890-2147483646>", "(<1-2147483646>){0}", "(<0000000001-2147483646>){0}"} {
		pattern := "/" + strings.Repeat(unit, 8000/len(unit)) + "/"
		c := NewCompiler()
		var err error
		n := 0
		for ; err == nil && n < 1000; n++ {
			_, err = c.Parse(pattern)
		}
		if fault.KindOf(err) != fault.Argument {
			t.Errorf("%d times %s: %v; want fault.Argument", n, unit, err)
		}
	}
	b := budget{maxSteps} // of reading alone, before anything is built
	if _, err := parseRegexp("(<1-2147483646>){0}", &b); err != nil || b.steps > maxSteps-500 {
		t.Errorf("an interval takes hundreds of nodes, but %d steps were charged: %v", maxSteps-b.steps, err)
	}
	b = budget{100}
	if n, err := parseRegexp("(<1-2147483646>){0}", &b); err == nil {
		t.Errorf("the budget is spent, but the interval became %v", n)
	}
	for pattern, most := range map[string]int{"/<000000000-999999999>/": 12, "/<0-9>/": 3, "/(<0-2147483646>){0}/": 1, "/(a{60000}){0}/": 1, "/(a{60000}){0,0}/": 1} {
		if l := must(t, pattern); len(l.dfa.accept) > most {
			t.Errorf("%s has %d states; want at most %d", pattern, len(l.dfa.accept), most)
		}
	}
}

// All patterns of one Compiler together are bounded by their length.
func TestPlainPatternsAreBoundedTogether(t *testing.T) {
	c := NewCompiler()
	long := strings.Repeat("a", maxLength-1) + "*"
	var err error
	n := 0
	for ; err == nil && n < 1000; n++ {
		_, err = c.Parse(long)
	}
	if fault.KindOf(err) != fault.Argument || !strings.Contains(err.Error(), "together") || c.budget.steps != maxSteps {
		t.Errorf("%d long patterns: %v, %d steps left", n, err, c.budget.steps)
	}
	c = NewCompiler() // stars inside count by their work, of which a body may do only so much
	err = nil
	for n = 0; err == nil && n < 100_000; n++ {
		_, err = c.Parse("logs-*-production-*-eu")
	}
	if fault.KindOf(err) != fault.Argument || n < 1500 {
		t.Errorf("%d patterns with stars inside: %v; want at least 1500 and an end", n, err)
	}
}

func TestQuantifiersSideBySideDoNotNest(t *testing.T) {
	if _, err := Parse("/" + strings.Repeat("a?", 1200) + "/"); err != nil && strings.Contains(err.Error(), "nests") {
		t.Errorf("1200 optional characters: %v", err)
	}
	if _, err := Parse("/a" + strings.Repeat("*", 1200) + "/"); err == nil || !strings.Contains(err.Error(), "nests") {
		t.Errorf("1200 stars on each other: %v; want a refusal", err)
	}
}

func TestBeginning(t *testing.T) {
	for pattern, want := range map[string]string{
		"abc": "abc", "abc*": "abc", "ab?c": "ab", "*": "", "": "", "/#/": "", "/ab(c|d)e/": "ab", "/(abc|abd)/": "ab", "/a|ab/": "a", `a\*b*c`: "a*b",
	} {
		if got := must(t, pattern).Beginning(); got != want {
			t.Errorf("Beginning of %s = %q; want %q", pattern, got, want)
		}
	}
}

func TestIncludes(t *testing.T) {
	tests := []struct {
		wide, narrow string
		want         bool
	}{
		{"*", "logs-*", true},
		{"logs-*", "logs-1", true},
		{"logs-1", "logs-*", false},
		{"logs-*", "logs-*-x", true},
		{"a*", "/(a|b).*/", false},
		{"/(a|b).*/", "a*", true},
		{"a", "/#/", true},
		{"/#/", "a", false},
		{"/~(([.]|ilm-history-).*)/", "logs-*", true},
		{"/~(([.]|ilm-history-).*)/", "*", false},
		{"?*", "*", false},
	}
	for _, tt := range tests {
		wide, narrow := must(t, tt.wide), must(t, tt.narrow)
		if got, err := NewCompiler().Includes(wide, narrow); got != tt.want || err != nil {
			t.Errorf("%q includes %q = %v, %v; want %v", tt.wide, tt.narrow, got, err, tt.want)
		}
	}
}

func TestOperations(t *testing.T) {
	a, b := must(t, "a*"), must(t, "*b")
	both, err1 := a.Intersect(b)
	only, err2 := a.Minus(b)
	not, err3 := a.Complement()
	either, err4 := NewCompiler().Union(a, b)
	parsed, err5 := ParseAll([]string{"a*", "*b"})
	if err1 != nil || err2 != nil || err3 != nil || err4 != nil || err5 != nil {
		t.Fatal(err1, err2, err3, err4, err5)
	}
	for _, s := range []string{"", "a", "b", "ab", "ba", "axb", "xb", "bx"} {
		inA, inB := strings.HasPrefix(s, "a"), strings.HasSuffix(s, "b")
		got := []bool{both.Matches(s), only.Matches(s), not.Matches(s), either.Matches(s), parsed.Matches(s)}
		want := []bool{inA && inB, inA && !inB, !inA, inA || inB, inA || inB}
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("operation %d on %q = %v; want %v", i, s, got[i], want[i])
			}
		}
	}
	var zero Language
	none, err := ParseAll(nil)
	if err != nil || !zero.Empty() || !none.Empty() || none.Matches("") || a.Empty() {
		t.Errorf("the empty language: %v, %v, %v", zero.Empty(), none.Empty(), err)
	}
	if e := Exactly("a*"); !e.Matches("a*") || e.Matches("ab") {
		t.Error("Exactly does not take its string literally")
	}
}

func must(t *testing.T, pattern string) Language {
	t.Helper()
	l, err := Parse(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"a*b?", `\`, "/(a|b)*&~c{2,3}/", "/<1-20>[^a-z]\"x\"@#/", "/\xff/"} {
		f.Add(s, "ab")
	}
	f.Fuzz(func(t *testing.T, pattern, s string) {
		l, err := Parse(pattern)
		if m, bad := NewCompiler().Matcher(pattern); err == nil && (bad != nil || m.Matches(s) != l.Matches(s)) {
			t.Fatalf("%q on %q: the automaton says %v, the matcher %v (%v)", pattern, s, l.Matches(s), m.Matches(s), bad)
		}
		if err != nil {
			if fault.KindOf(err) != fault.Argument {
				t.Fatalf("Parse(%q): %v is no fault.Argument", pattern, err)
			}
			return
		}
		not, err := l.Complement()
		if err == nil && l.Matches(s) == not.Matches(s) {
			t.Fatalf("%q and its complement agree on %q", pattern, s)
		}
	})
}
