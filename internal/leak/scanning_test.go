package leak

import (
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"latchkey/internal/secret"
)

const scanningPage = "../../docs/scanning.md"

// rules are those that docs/scanning.md has for gitleaks, by id.
func rules(t testing.TB) (byID map[string]*regexp.Regexp, keywords map[string][]string) {
	t.Helper()
	page, err := os.ReadFile(scanningPage)
	if err != nil {
		t.Fatal(err)
	}
	byID, keywords = map[string]*regexp.Regexp{}, map[string][]string{}
	rule := regexp.MustCompile(`(?s)id = "([a-z-]+)"\n.*?regex = '''(.*?)'''\nkeywords = \[(.*?)\]`)
	for _, m := range rule.FindAllStringSubmatch(string(page), -1) {
		byID[m[1]] = regexp.MustCompile(m[2])
		for word := range strings.SplitSeq(m[3], ", ") {
			keywords[m[1]] = append(keywords[m[1]], strings.Trim(word, `"`))
		}
		if !strings.Contains(string(page), "'"+m[2]+"'\n") {
			t.Errorf("the rule %s is another for TruffleHog", m[1])
		}
	}
	if len(byID) != 3 {
		t.Fatalf("%s has %d rules", scanningPage, len(byID))
	}
	return byID, keywords
}

// patterns are those that the page has for GitHub, with what stands before and after.
func patterns(t testing.TB) map[string]*regexp.Regexp {
	t.Helper()
	page, err := os.ReadFile(scanningPage)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]string{"API key": "latchkey-api-key", "secret": "latchkey-api-key-secret", "token": "latchkey-token"}
	byID := map[string]*regexp.Regexp{}
	for _, m := range regexp.MustCompile("(?m)^\\| ([A-Za-z ]+) \\| `(.*)` \\| `(.*)` \\| `(.*)` \\|$").FindAllStringSubmatch(string(page), -1) {
		plain := func(s string) string { return strings.ReplaceAll(s, `\|`, "|") }
		byID[ids[m[1]]] = regexp.MustCompile("(?s)(?:" + plain(m[3]) + ")(" + plain(m[2]) + ")(?:" + plain(m[4]) + ")")
	}
	if len(byID) != len(ids) {
		t.Fatalf("%s has %d patterns for GitHub", scanningPage, len(byID))
	}
	return byID
}

// matched is what a rule finds in a text: its first group, or all of it.
func matched(rule *regexp.Regexp, text string) (found []string) {
	for _, m := range rule.FindAllStringSubmatch(text, -1) {
		found = append(found, m[len(m)-1])
	}
	return found
}

func TestRulesFindEveryCredential(t *testing.T) {
	byID, keywords := rules(t)
	github := patterns(t)
	for range 1000 / len(contexts) {
		k := newKey()
		plain := k.ID + ":" + k.Secret
		for _, context := range contexts {
			access, refresh := secret.NewAccessToken(), secret.NewRefreshToken()
			encoded := secret.Encoded(k.ID, k.Secret)
			for _, tt := range []struct {
				rule, credential string
				want             string // what a match ends with
			}{
				{"latchkey-api-key", encoded, encoded},
				{"latchkey-api-key", url.QueryEscape(encoded), url.QueryEscape(encoded)},
				{"latchkey-api-key", strings.TrimRight(encoded, "="), strings.TrimRight(encoded, "=")},
				{"latchkey-api-key-secret", k.Secret, k.Secret},
				{"latchkey-api-key-secret", plain, plain},
				{"latchkey-api-key-secret", url.QueryEscape(plain), url.QueryEscape(plain)},
				{"latchkey-token", access, access},
				{"latchkey-token", refresh, refresh},
				{"latchkey-token", url.QueryEscape(access), url.QueryEscape(access)},
				{"latchkey-token", strings.ReplaceAll(refresh, "/", `\/`), strings.ReplaceAll(refresh, "/", `\/`)},
			} {
				stuck := strings.HasPrefix(context, "tok") || tt.rule == "latchkey-token" && regexp.MustCompile(`[/+]<c>`).MatchString(context)
				if stuck && tt.rule != "latchkey-api-key" {
					continue // a word that goes on, or longer Base64
				}
				text := strings.ReplaceAll(context, "<c>", tt.credential)
				if found := matched(byID[tt.rule], text); len(found) == 0 || found[0] != tt.want {
					t.Fatalf("%s finds %q in %q; want %q", tt.rule, found, text, tt.want)
				}
				if !slices.ContainsFunc(keywords[tt.rule], func(word string) bool { return strings.Contains(strings.ToLower(text), word) }) {
					t.Fatalf("%q has none of the keywords %v", text, keywords[tt.rule])
				}
				if strings.ContainsAny(tt.credential, `%\`) || strings.Contains(context, `\n`) {
					continue // GitHub's table has the plain forms
				}
				bare := strings.TrimRight(strings.TrimPrefix(tt.credential, k.ID+":"), "=")
				if found := matched(github[tt.rule], text); len(found) == 0 || found[0] != bare {
					t.Fatalf("GitHub's pattern for %s finds %q in %q; want %q", tt.rule, found, text, bare)
				}
			}
		}
	}
}

func TestLookalikesAreNoCredentials(t *testing.T) {
	corpus, err := os.ReadFile("testdata/lookalikes.txt")
	if err != nil {
		t.Fatal(err)
	}
	byID, _ := rules(t)
	for id, rule := range byID {
		if found := matched(rule, string(corpus)); len(found) > 0 {
			t.Errorf("%s finds %q", id, found)
		}
	}
	for id, rule := range patterns(t) {
		if found := matched(rule, string(corpus)); len(found) > 0 {
			t.Errorf("GitHub's pattern for %s finds %q", id, found)
		}
	}
	found, alone := scan(t, strings.NewReader(string(corpus)))
	older := 0
	for _, f := range found {
		if f.Kind != OlderKey {
			t.Errorf("found %v", f)
		}
		older++
	}
	if alone != 0 || older != 60 { // the keys of another Elasticsearch, which only a look-up can tell from older ones of ours
		t.Errorf("%d secrets without an id, %d older keys", alone, older)
	}
}
