package rolemapping

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/xcontent"
)

func parse(t testing.TB, text string) xcontent.Value {
	t.Helper()
	v, err := xcontent.ParseJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

var jo = User{
	Username: "jo",
	DN:       "CN=Jo Doe, OU=People ,dc=Example,dc=org",
	Groups:   []string{"cn=Admins,ou=groups,dc=example,dc=org", "Sales"},
	Metadata: json.RawMessage(`{"n":7,"f":1.0,"big":9007199254740993,"yes":true,"nothing":null,"list":["a","b",3],"none":[],"deep":{"x":1},"a.b":"dotted","?":"q"}`),
	Realm:    access.Realm{Name: "ldap1", Type: "ldap"},
}

// ID-90, ID-91, ID-92, ID-93: which rules fit whom.
func TestFits(t *testing.T) {
	tests := []struct {
		rule string
		want bool
	}{
		{`{"any":[]}`, false},
		{`{"all":[]}`, true},
		{`{"field":{"username":"jo"}}`, true},
		{`{"field":{"username":"Jo"}}`, false}, // ID-93
		{`{"field":{"username":["a","jo"]}}`, true},
		{`{"field":{"username":["a","b"]}}`, false}, // ID-91
		{`{"field":{"username":[]}}`, false},
		{`{"field":{"username":"*"}}`, true},
		{`{"field":{"username":"j?"}}`, false}, // a lone ? is an ordinary character
		{`{"field":{"username":"j?*"}}`, true},
		{`{"field":{"username":"/j[aeiou]/"}}`, true},
		{`{"field":{"username":"/j/"}}`, false},
		{`{"field":{"metadata.?":"?"}}`, false},
		{`{"field":{"metadata.?":"q"}}`, true},
		{`{"field":{"username":null}}`, false},
		{`{"field":{"realm.name":"ldap1"}}`, true},
		{`{"field":{"realm.type":"ldap"}}`, false},
		{`{"field":{"realm.type":null}}`, true}, // an unknown field is absent
		{`{"field":{"metadata.n":7}}`, true},
		{`{"field":{"metadata.n":7.9}}`, true}, // numbers of rules are whole
		{`{"field":{"metadata.n":"7"}}`, false},
		{`{"field":{"metadata.f":1}}`, true},
		{`{"field":{"metadata.yes":true}}`, true},
		{`{"field":{"metadata.yes":false}}`, false},
		{`{"field":{"metadata.yes":"true"}}`, false},
		{`{"field":{"metadata.nothing":null}}`, true},
		{`{"field":{"metadata.absent":null}}`, true},
		{`{"field":{"metadata.absent":"*"}}`, false},
		{`{"field":{"metadata.list":"b"}}`, true},
		{`{"field":{"metadata.list":3}}`, true},
		{`{"field":{"metadata.list":null}}`, false},
		{`{"field":{"metadata.none":null}}`, false}, // an empty list never fits
		{`{"field":{"metadata.none":"*"}}`, false},
		{`{"field":{"metadata.deep":"*"}}`, false},
		{`{"field":{"metadata.deep.x":1}}`, false}, // top-level keys alone
		{`{"field":{"metadata.a.b":"dotted"}}`, true},
		{`{"field":{"groups":"CN=ADMINS, ou=Groups,dc=example,DC=org"}}`, true},
		{`{"field":{"groups":"sALES"}}`, true},
		{`{"field":{"groups":"Sale"}}`, false},
		{`{"field":{"groups":"SALE*"}}`, true},
		{`{"field":{"groups":"*,dc=EXAMPLE,dc=org"}}`, true},
		{`{"field":{"groups":"*,ou=groups, dc=example,dc=org"}}`, true},
		{`{"field":{"groups":"*,cn=admins,ou=groups,dc=example,dc=org"}}`, false}, // not below itself
		{`{"field":{"groups":"/CN=ADM.*/"}}`, true},
		{`{"field":{"groups":null}}`, false},
		{`{"field":{"dn":"cn=jo doe,ou=people,dc=example,dc=org"}}`, true},
		{`{"field":{"dn":"*,ou=PEOPLE,dc=example,dc=org"}}`, true},
		{`{"field":{"dn":"*,ou=eople,dc=example,dc=org"}}`, false},
		{`{"field":{"dn":"cn=Jo*"}}`, true},
		{`{"field":{"dn":"cn=max*"}}`, false},
		{`{"all":[{"field":{"username":"jo"}},{"except":{"field":{"metadata.absent":null}}}]}`, false},
		{`{"all":[{"except":{"field":{"metadata.n":null}}}]}`, true}, // ID-92
		{`{"all":[{"except":{"any":[{"field":{"username":"max"}}]}},{"any":[{"field":{"username":"x"}},{"all":[]}]}]}`, true},
	}
	m, err := newModel(jo)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		r, err := ParseRule(parse(t, tt.rule))
		if err != nil {
			t.Errorf("%s: %v", tt.rule, err)
			continue
		}
		if got := r.fits(m); got != tt.want {
			t.Errorf("%s fits jo: %v; want %v", tt.rule, got, tt.want)
		}
	}
}

func TestUsersWithoutMuch(t *testing.T) {
	m, err := newModel(User{Username: "x"})
	if err != nil {
		t.Fatal(err)
	}
	for rule, want := range map[string]bool{
		`{"field":{"dn":null}}`: true, `{"field":{"dn":"*"}}`: false, `{"field":{"groups":null}}`: false, `{"field":{"metadata.x":null}}`: true,
	} {
		r, err := ParseRule(parse(t, rule))
		if err != nil || r.fits(m) != want {
			t.Errorf("%s: %v; want %v", rule, err, want)
		}
	}
}

// ID-90: what is no rule.
func TestBadRules(t *testing.T) {
	many := strings.Repeat(`"x",`, maxRules)
	for name, text := range map[string]string{
		"no object":                   `[]`,
		"no key":                      `{}`,
		"two keys":                    `{"any":[],"all":[]}`,
		"an unknown key":              `{"some":[]}`,
		"except at the top":           `{"except":{"field":{"username":"x"}}}`,
		"except in any":               `{"any":[{"except":{"field":{"username":"x"}}}]}`,
		"except in except":            `{"all":[{"except":{"except":{"all":[]}}}]}`,
		"any is no array":             `{"any":{"field":{"username":"x"}}}`,
		"all is no array":             `{"all":"x"}`,
		"a rule is no object":         `{"all":["x"]}`,
		"field is no object":          `{"field":"username"}`,
		"two fields":                  `{"field":{"a":1,"b":2}}`,
		"no field":                    `{"field":{}}`,
		"an object as value":          `{"field":{"a":{"b":1}}}`,
		"an array in the values":      `{"field":{"a":[["b"]]}}`,
		"a bad regular expression":    `{"field":{"username":"/[/"}}`,
		"one that explodes":           `{"field":{"username":"/(a|b)*a(a|b){200}/"}}`,
		"a number beyond all numbers": `{"field":{"metadata.n":1e400}}`,
		"too many values":             `{"field":{"username":[` + many + `"x"]}}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseRule(parse(t, text))
			if fault.KindOf(err) != fault.Parsing || !strings.HasPrefix(err.Error(), "failed to parse rules expression") {
				t.Errorf("got %v; want fault.Parsing", err)
			}
		})
	}
}

// ID-91: what is shown of rules is read again as the same.
func TestRulesAreShown(t *testing.T) {
	for in, want := range map[string]string{
		`{"field":{"username":["a"]}}`:     `{"field":{"username":"a"}}`,
		`{"field":{"username":["a","b"]}}`: `{"field":{"username":["a","b"]}}`,
		`{"field":{"username":[]}}`:        `{"field":{"username":[]}}`,
		`{"all":[{"any":[]},{"except":{"field":{"metadata.x":[null]}}},{"field":{"metadata.n":1.0}}]}`: `{"all":[{"any":[]},{"except":{"field":{"metadata.x":null}}},{"field":{"metadata.n":1}}]}`,
	} {
		r, err := ParseRule(parse(t, in))
		if err != nil || string(r.JSON()) != want {
			t.Errorf("%s is shown as %s, %v; want %s", in, r.JSON(), err, want)
			continue
		}
		if again, err := ParseRule(parse(t, want)); err != nil || string(again.JSON()) != want {
			t.Errorf("%s read again is %s, %v", want, again.JSON(), err)
		}
	}
}

func TestNormalDN(t *testing.T) {
	for in, want := range map[string]string{
		"CN=Jo, OU=x":         "cn=jo,ou=x",
		"cn=jo,ou=x":          "cn=jo,ou=x",
		`cn=a\2Cb,dc=x`:       `cn=a\,b,dc=x`,
		"cn=b+ou=a,dc=x":      "cn=b+ou=a,dc=x",
		"ou=A+cn=B , dc=x":    "cn=b+ou=a,dc=x",
		"not a name":          "not a name",
		"":                    "",
		"CN=\u00c4,DC=X":      NormalDN("cn=\u00e4,dc=x"),
		"x" + longText + "=1": "x" + longText + "=1",
	} {
		if got := NormalDN(in); got != want {
			t.Errorf("NormalDN(%.50q) = %.50q; want %.50q", in, got, want)
		}
	}
}

var longText = strings.Repeat("a", maxDN)

// ID-89, ID-90: bodies that are refused, and by which kind.
func TestBadBodies(t *testing.T) {
	const rules = `"rules":{"all":[]}`
	for _, tt := range []struct {
		name, body string
		want       string
	}{
		{"no object", `[]`, "must be an object"},
		{"empty", `{}`, "field [roles] is missing"},
		{"no rules", `{"roles":["a"]}`, "field [rules] is missing"},
		{"no enabled", `{"roles":["a"],` + rules + `}`, "field [enabled] is missing"},
		{"enabled as text", `{"roles":["a"],"enabled":"true",` + rules + `}`, "field [enabled] must be a boolean"},
		{"roles as text", `{"roles":"a","enabled":true,` + rules + `}`, "field [roles] must be an array of strings"},
		{"a role that is a number", `{"roles":[1],"enabled":true,` + rules + `}`, "field [roles] must be an array of strings"},
		{"metadata as text", `{"roles":["a"],"enabled":true,"metadata":"x",` + rules + `}`, "field [metadata] must be an object"},
		{"an unknown field", `{"roles":["a"],"enabled":true,"rule":{},` + rules + `}`, "has no field [rule]"},
		{"rules that are none", `{"roles":["a"],"enabled":true,"rules":{"except":{"all":[]}}}`, "field [rules] could not be parsed"},
		{"a template that is none", `{"role_templates":[{"template":{"source":"{{"}}],"enabled":true,` + rules + `}`, "field [role_templates] could not be parsed"},
	} {
		_, err := Parse("m", parse(t, tt.body))
		f, ok := errors.AsType[*fault.Error](err)
		if !ok || f.Kind != fault.Parsing || !strings.Contains(f.Reason, tt.want) || !strings.Contains(f.Reason, "[m]") && tt.want != "x" {
			t.Errorf("%s: %v; want fault.Parsing that says %q", tt.name, err, tt.want)
		}
		if strings.Contains(tt.want, "could not be parsed") && (f.Shown == nil || !strings.Contains(fmt.Sprint(f.Shown), "rules expression") && !strings.Contains(fmt.Sprint(f.Shown), "template")) {
			t.Errorf("%s: the cause is %v", tt.name, f.Shown)
		}
	}
}

func FuzzParseRule(f *testing.F) {
	for _, s := range []string{`{"any":[{"field":{"dn":["*,dc=x","/a.*/",null,7,true]}},{"all":[{"except":{"field":{"groups":"a*"}}}]}]}`, `{"field":{"metadata.x":[]}}`} {
		f.Add(s)
	}
	m, err := newModel(jo)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := xcontent.ParseJSON([]byte(text))
		if err != nil {
			return
		}
		r, err := ParseRule(v)
		if err != nil {
			return
		}
		fits, shown := r.fits(m), r.JSON()
		again, err := ParseRule(parse(t, string(shown)))
		if err != nil || string(again.JSON()) != string(shown) || again.fits(m) != fits {
			t.Errorf("%s is shown as %s, which is read as %v, %v", text, shown, again, err)
		}
	})
}
