package access

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"latchkey/internal/fault"
	"latchkey/internal/xcontent"
)

func parseText(t testing.TB, text string, forKey bool) (Descriptor, error) {
	t.Helper()
	v, err := xcontent.ParseJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return ParseDescriptor("r", v, forKey)
}

const emptyNormalForm = `{"cluster":[],"indices":[],"applications":[],"run_as":[],"metadata":{},"transient_metadata":{"enabled":true}}`

// with is the normal form of a descriptor that has only one field.
func with(field, content string) string {
	order := []string{"cluster", "global", "indices", "applications", "run_as", "metadata", "transient_metadata", "remote_indices", "remote_cluster", "restriction", "description"}
	content = `"` + field + `":` + content
	if strings.Contains(emptyNormalForm, `"`+field+`":`) {
		for _, empty := range []string{"[]", "{}"} {
			if out := strings.Replace(emptyNormalForm, `"`+field+`":`+empty, content, 1); out != emptyNormalForm {
				return out
			}
		}
	}
	for _, after := range order[slices.Index(order, field)+1:] {
		if at := strings.Index(emptyNormalForm, `"`+after+`":`); at >= 0 {
			return emptyNormalForm[:at] + content + "," + emptyNormalForm[at:]
		}
	}
	return strings.TrimSuffix(emptyNormalForm, "}") + "," + content + "}"
}

func TestNormalForm(t *testing.T) {
	tests := []struct {
		name string
		in   string
		want string
	}{
		{"an empty descriptor", `{}`, emptyNormalForm},
		{"null stands for no list", `{"cluster":null,"run_as":null}`, emptyNormalForm},
		{"ID-44 one name becomes a list", `{"indices":[{"names":"*","privileges":["read"]}]}`,
			with("indices", `[{"names":["*"],"privileges":["read"],"allow_restricted_indices":false}]`)},
		{"ID-45 AK-25 index is another name of indices", `{"index":[{"names":["a"],"privileges":["read"]}]}`,
			with("indices", `[{"names":["a"],"privileges":["read"],"allow_restricted_indices":false}]`)},
		{"ID-45 application is another name of applications", `{"application":[{"application":"app","privileges":["read"],"resources":["*"]}]}`,
			with("applications", `[{"application":"app","privileges":["read"],"resources":["*"]}]`)},
		{"ID-46 AK-26 a query object becomes compact text", `{"indices":[{"names":["a"],"privileges":["read"],"query":{"term": {"k": "v"}}}]}`,
			with("indices", `[{"names":["a"],"privileges":["read"],"query":"{\"term\":{\"k\":\"v\"}}","allow_restricted_indices":false}]`)},
		{"a query text stays as it is, and an empty one or null is none", `{"indices":[{"names":["a"],"privileges":["read"],"query":"{ \"match_all\": {} }"},
			{"names":["b"],"privileges":["read"],"query":""},{"names":["c"],"privileges":["read"],"query":null}]}`,
			with("indices", `[{"names":["a"],"privileges":["read"],"query":"{ \"match_all\": {} }","allow_restricted_indices":false},`+
				`{"names":["b"],"privileges":["read"],"allow_restricted_indices":false},{"names":["c"],"privileges":["read"],"allow_restricted_indices":false}]`)},
		{"field security in full", `{"indices":[{"names":["a"],"privileges":["READ"],"field_security":{"except":["x","y.*"],"grant":["*"]},"allow_restricted_indices":true,"transient_metadata":{}}]}`,
			with("indices", `[{"names":["a"],"privileges":["READ"],"field_security":{"grant":["*"],"except":["x","y.*"]},"allow_restricted_indices":true}]`)},
		{"ID-53 transient metadata and type are dropped", `{"transient_metadata":{"enabled":false,"x":1},"type":"role"}`, emptyNormalForm},
		{"metadata is kept to the letter", `{"metadata":{"b":1.50,"a":{"_x":null}}}`, with("metadata", `{"b":1.50,"a":{"_x":null}}`)},
		{"one category of global brings the others", `{"global":{"application":{"manage":{"applications":["kibana-*"]}}}}`,
			with("global", `{"application":{"manage":{"applications":["kibana-*"]}},"profile":{},"role":{}}`)},
		{"all of global, in an array of objects", `{"global":[{"role":{"manage":{"indices":[{"names":["a*"],"privileges":["read"]}]}}},{"profile":{"write":{"applications":["k*"]}},"data_source":[{"x":1}]}]}`,
			with("global", `{"application":{},"profile":{"write":{"applications":["k*"]}},"role":{"manage":{"indices":[{"names":["a*"],"privileges":["read"]}]}},"data_source":[{"x":1}]}`)},
		{"an empty global counts as absent", `{"global":[]}`, emptyNormalForm},
		{"empty categories count as absent", `{"global":{"application":{},"role":{}}}`, emptyNormalForm},
		{"remote indices", `{"remote_indices":[{"clusters":["c*"],"names":["a"],"privileges":["read"]}]}`,
			with("remote_indices", `[{"names":["a"],"privileges":["read"],"allow_restricted_indices":false,"clusters":["c*"]}]`)},
		{"remote clusters", `{"remote_cluster":[{"clusters":["c"],"privileges":["monitor_enrich"]}]}`,
			with("remote_cluster", `[{"privileges":["monitor_enrich"],"clusters":["c"]}]`)},
		{"no remote clusters", `{"remote_cluster":[]}`, emptyNormalForm},
		{"an empty restriction is none", `{"restriction":{}}`, emptyNormalForm},
		{"ID-51 a restriction", `{"restriction":{"workflows":["search_application_query"]}}`, with("restriction", `{"workflows":["search_application_query"]}`)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := parseText(t, tt.in, true)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(d.JSON()); got != tt.want {
				t.Errorf("JSON = %s\nwant   %s", got, tt.want)
			}
			if p := d.Problems("r"); len(p) > 0 {
				t.Errorf("Problems = %q; want none", p)
			}
			again, err := DecodeDescriptors(Descriptors{"r": d}.Canonical())
			if err != nil || string(again["r"].JSON()) != tt.want {
				t.Errorf("stored and read again: %s, %v", again["r"].JSON(), err)
			}
		})
	}
}

func TestParseDescriptorRefuses(t *testing.T) {
	const inIndex = `{"indices":[{"names":["a"],"privileges":["read"],`
	tests := []struct {
		name string
		in   string
		kind fault.Kind
		part string // of the sentence
	}{
		{"no object", `[]`, fault.Structure, "failed to parse role [r]. the content must be an object"},
		{"an unknown field", `{"clusters":[]}`, fault.Structure, "failed to parse role [r]. unexpected field [clusters] did you mean [cluster]?"},
		{"AK-21 a description", `{"description":"x"}`, fault.Structure, "unexpected field [description]"},
		{"a bare string for a list", `{"cluster":"all"}`, fault.Structure, "field [cluster] must be a string array"},
		{"null in a list", `{"run_as":[null]}`, fault.Structure, "field [run_as]"},
		{"both names of a field", `{"index":[],"indices":[]}`, fault.Structure, "only one of them"},
		{"null for indices", `{"indices":null}`, fault.Structure, "field [indices]"},
		{"an index entry that is no object", `{"indices":["a"]}`, fault.Structure, "of [indices]"},
		{"AK-24 an index entry without names", `{"indices":[{"privileges":["read"]}]}`, fault.Structure, "missing required field [names]"},
		{"AK-24 an index entry without privileges", `{"indices":[{"names":["a"]}]}`, fault.Structure, "missing required field [privileges]"},
		{"AK-24 an index entry with an empty list of names", `{"indices":[{"names":[],"privileges":["read"]}]}`, fault.Structure, "field [names]"},
		{"null for names", `{"indices":[{"names":null,"privileges":["read"]}]}`, fault.Structure, "field [names]"},
		{"null for index privileges", `{"indices":[{"names":["a"],"privileges":null}]}`, fault.Structure, "missing required field [privileges]"},
		{"no index privilege at all", `{"indices":[{"names":["a"],"privileges":[]}]}`, fault.Structure, "at least one privilege"},
		{"the old form of field security", inIndex + `"fields":["x"]}]}`, fault.Structure, "[field_security]"},
		{"what only answers carry", inIndex + `"implicitly_granted":true}]}`, fault.Structure, "unexpected field [implicitly_granted]"},
		{"text for a boolean", inIndex + `"allow_restricted_indices":"true"}]}`, fault.Structure, "must be a boolean"},
		{"ID-47 except without grant", inIndex + `"field_security":{"except":["x"]}}]}`, fault.Structure, "needs [grant]"},
		{"ID-47 except that grant does not cover", inIndex + `"field_security":{"grant":["a*"],"except":["ab","b"]}}]}`, fault.Structure, "must be among those of [grant] [a*]"},
		{"ID-47 empty field security", inIndex + `"field_security":{}}]}`, fault.Structure, "must have [grant]"},
		{"null for grant", inIndex + `"field_security":{"grant":null}}]}`, fault.Structure, "field [grant]"},
		{"an unknown field of field security", inIndex + `"field_security":{"grant":["a"],"deny":["a"]}}]}`, fault.Structure, "unexpected field [deny]"},
		{"a number for a query", inIndex + `"query":7}]}`, fault.Structure, "field [query]"},
		{"a query text that is no JSON", inIndex + `"query":"{"}]}`, fault.Structure, "[query]"},
		{"a query text that is no object", inIndex + `"query":"[]"}]}`, fault.Structure, "must hold an object"},
		{"an index name that is no pattern", `{"indices":[{"names":["/a"],"privileges":["read"]}]}`, fault.Argument, "pattern [/a]"},
		{"a run-as that is no pattern", `{"run_as":["/"]}`, fault.Argument, "pattern [/]"},
		{"a pattern that is too complex", `{"run_as":["/(a|b)*a(a|b){40}/"]}`, fault.Argument, "too complex"},
		{"an application entry without resources", `{"applications":[{"application":"app","privileges":["x"]}]}`, fault.Malformed, "missing required field [resources]"},
		{"an unknown field of an application entry", `{"applications":[{"application":"app","privileges":["x"],"resources":["*"],"x":1}]}`, fault.Malformed, "unknown field [x]"},
		{"an application entry without any privilege", `{"applications":[{"application":"app","privileges":[],"resources":["*"]}]}`, fault.Malformed, "must not be empty"},
		{"an unknown category of global", `{"global":{"x":{}}}`, fault.Malformed, "[global] unknown field [x]"},
		{"an unknown act of a category", `{"global":{"application":{"read":{}}}}`, fault.Malformed, "[application] unknown field [read]"},
		{"an act without its object", `{"global":{"profile":{"write":{}}}}`, fault.Malformed, "missing required field [applications]"},
		{"a category given twice", `{"global":[{"role":{}},{"role":{}}]}`, fault.Malformed, "given twice"},
		{"an unknown index privilege in global", `{"global":{"role":{"manage":{"indices":[{"names":["a"],"privileges":["foobar"]}]}}}}`, fault.Malformed, "unknown index privilege [foobar]"},
		{"remote indices without clusters", `{"remote_indices":[{"names":["a"],"privileges":["read"]}]}`, fault.Structure, "missing required field [clusters]"},
		{"remote indices of no cluster", `{"remote_indices":[{"names":["a"],"privileges":["read"],"clusters":[]}]}`, fault.Structure, "at least one cluster"},
		{"remote clusters without privileges", `{"remote_cluster":[{"clusters":["c"]}]}`, fault.Structure, "missing required field [privileges]"},
		{"remote clusters without clusters", `{"remote_cluster":[{"privileges":["monitor_stats"]}]}`, fault.Structure, "missing required field [clusters]"},
		{"an empty entry of remote clusters", `{"remote_cluster":[{}]}`, fault.Argument, "[remote_cluster]"},
		{"null for workflows", `{"restriction":{"workflows":null}}`, fault.Structure, "field [workflows]"},
		{"no workflow", `{"restriction":{"workflows":[]}}`, fault.Structure, "at least one of [workflows]"},
		{"an unknown field of the restriction", `{"restriction":{"x":1}}`, fault.Structure, "unexpected field [x]"},
		{"metadata that is no object", `{"metadata":[]}`, fault.Structure, "field [metadata]"},
		{"a type that is no scalar", `{"type":{}}`, fault.Structure, "field [type]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parseText(t, tt.in, true)
			if fault.KindOf(err) != tt.kind || err == nil || !strings.Contains(err.Error(), tt.part) {
				t.Errorf("ParseDescriptor = %v (%v)\nwant kind %v and %q", err, fault.KindOf(err), tt.kind, tt.part)
			}
		})
	}
}

func TestWhatOnlyRolesMayHave(t *testing.T) {
	if _, err := parseText(t, `{"restriction":{"workflows":["search_application_query"]}}`, false); fault.KindOf(err) != fault.Structure ||
		!strings.Contains(err.Error(), "unexpected field [restriction]") {
		t.Errorf("ID-51 a role with a restriction: %v; want fault.Structure", err)
	}
	d, err := parseText(t, `{"description":"x"}`, false)
	if err != nil || d.Description != "x" || d.WithoutDescription().Description != "" || d.IsEmpty() || !d.WithoutDescription().IsEmpty() {
		t.Errorf("a role with a description: %+v, %v", d, err)
	}
	if want := with("description", `"x"`); string(d.JSON()) != want {
		t.Errorf("JSON = %s\nwant   %s", d.JSON(), want)
	}
}

func TestProblems(t *testing.T) {
	const key, role = true, false
	tests := []struct {
		name   string
		in     string
		forKey bool
		want   []string // a part of each problem; none: no problem
	}{
		{"AK-22 ID-48 an unknown cluster privilege", `{"cluster":["x"]}`, key, []string{"unknown cluster privilege [x]"}},
		{"ID-49 raw patterns", `{"cluster":["cluster:monitor/main"],"indices":[{"names":["a"],"privileges":["indices:data/read/*"]}]}`, role, nil},
		{"ID-50 upper case", `{"cluster":["ALL"],"indices":[{"names":["a"],"privileges":["ALL"]}]}`, role, nil},
		{"AK-23 the same index privilege twice, in a key", `{"indices":[{"names":["a"],"privileges":["read","read"]}]}`, key, []string{"[read] is named more than once"}},
		{"the same index privilege twice, in a role", `{"indices":[{"names":["a"],"privileges":["read","read"]}]}`, role, nil},
		{"an unknown index privilege", `{"indices":[{"names":["a"],"privileges":["x"]}]}`, role, []string{"unknown index privilege [x]"}},
		{"an index action as a cluster privilege", `{"cluster":["indices:data/read/*"]}`, role, []string{"unknown cluster privilege [indices:data/read/*]"}},
		{"ID-52 monitor on a remote cluster", `{"remote_cluster":[{"clusters":["c"],"privileges":["monitor"]}]}`, role, []string{"cannot grant [monitor]. Its privileges are [monitor_enrich,monitor_stats]"}},
		{"ID-52 monitor_enrich on a remote cluster", `{"remote_cluster":[{"clusters":["c"],"privileges":["monitor_enrich"]}]}`, role, nil},
		{"empty remote aliases", `{"remote_cluster":[{"clusters":[""],"privileges":["monitor_stats"]}],"remote_indices":[{"clusters":["a",""],"names":["x"],"privileges":["read"]}]}`, role,
			[]string{"[remote_indices] names a remote cluster with an empty alias", "[remote_cluster] names a remote cluster with an empty alias"}},
		{"a bad application and a bad privilege of it", `{"applications":[{"application":"App","privileges":["a b"],"resources":["*"]}]}`, role,
			[]string{"application name [App]", "application privilege [a b]"}},
		{"reserved metadata", `{"metadata":{"_x":1}}`, role, []string{"[_x]"}},
		{"AK-28 an unknown workflow", `{"restriction":{"workflows":["x"]}}`, key, []string{"unknown workflow [x]"}},
		{"ID-54 a description of 1000 characters", `{"description":"` + strings.Repeat("ü", 1000) + `"}`, role, nil},
		{"ID-54 a description of 1001 characters", `{"description":"` + strings.Repeat("a", 1001) + `"}`, role, []string{"1001 characters"}},
		{"several problems at once", `{"cluster":["x","y"],"metadata":{"_x":1}}`, key, []string{"[x]", "[y]", "[_x]"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := parseText(t, tt.in, tt.forKey)
			if err != nil {
				t.Fatal(err)
			}
			got := d.Problems("r")
			ok := len(got) == len(tt.want)
			for i := range min(len(got), len(tt.want)) {
				ok = ok && strings.Contains(got[i], tt.want[i])
			}
			if !ok {
				t.Errorf("Problems = %q\nwant %q", got, tt.want)
			}
		})
	}
	if got := (Descriptor{Cluster: slices.Repeat([]string{"x"}, 1000)}).Problems("r"); len(got) != maxProblems+1 || !strings.Contains(got[maxProblems], "further") {
		t.Errorf("of 1000 problems %d are told; want %d and that there are more", len(got), maxProblems)
	}
	if got := (Descriptor{}).Problems(" r"); len(got) != 1 || !strings.Contains(got[0], "role name [ r]") {
		t.Errorf("Problems of a bad name = %q", got)
	}
}

// What the patterns of one request may cost does not grow with their number.
func TestPatternsOfOneRequestShareOneBound(t *testing.T) {
	costly := "*a" + strings.Repeat("?", 10)
	descriptors := []string{
		`{"run_as":["` + costly + `"]}`, `{"cluster":["cluster:` + costly + `"]}`,
		`{"indices":[{"names":["` + costly + `"],"privileges":["read"]}]}`,
		`{"indices":[{"names":["a"],"privileges":["indices:` + costly + `"]}]}`,
		`{"indices":[{"names":["a"],"privileges":["read"],"field_security":{"grant":["` + costly + `"],"except":["a0123456789"]}}]}`,
		`{"applications":[{"application":"app","privileges":["x"],"resources":["` + costly + `"]}]}`,
	}
	for _, in := range descriptors {
		v, err := xcontent.ParseJSON([]byte(in))
		if err != nil {
			t.Fatal(err)
		}
		p := NewParser(true)
		for i := 0; err == nil && i < 2000; i++ {
			_, err = p.Parse("r", v)
		}
		if err == nil || !strings.Contains(err.Error(), "too complex") {
			t.Errorf("2000 times %s: %v; want it refused as too complex", in, err)
		}
	}
	var names []string
	for i := range 900 {
		names = append(names, fmt.Sprint("cluster:", i, costly))
	}
	if _, err := user("x", "monitor").Permissions.HasClusters(names...); fault.KindOf(err) != fault.Argument {
		t.Errorf("900 costly privileges to check: %v; want fault.Argument", err)
	}
}

func TestRoleQuery(t *testing.T) {
	const lookup = `{"terms":{"f":{"index":"i","id":"1","path":"p"}}}`
	tests := []struct {
		name, query string
		part        string
	}{
		{"ID-56 terms lookup", lookup, "terms query with terms lookup isn't supported as part of a role query"},
		{"ID-56 terms lookup inside bool", `{"bool":{"filter":[{"term":{"a":1}},{"bool":{"must_not":` + lookup + `}}]}}`, "terms lookup"},
		{"terms lookup in the filter of a function", `{"function_score":{"query":{"match_all":{}},"functions":[{"filter":` + lookup + `}]}}`, "terms lookup"},
		{"has_child", `{"has_child":{"type":"x","query":{"match_all":{}}}}`, "has_child"},
		{"has_parent inside constant_score", `{"constant_score":{"filter":{"has_parent":{}}}}`, "has_parent"},
		{"percolate", `{"percolate":{}}`, "percolate"},
		{"an indexed shape", `{"geo_shape":{"f":{"indexed_shape":{"id":"x"}}}}`, "indexed shapes"},
		{"plain terms", `{"terms":{"f":["a","b"],"boost":2}}`, ""},
		{"a field called terms", `{"term":{"terms":{"value":"x"}}}`, ""},
		{"a field called has_child", `{"term":{"has_child":"x"}}`, ""},
		{"a template", `{"template":{"source":` + lookup + `}}`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			quoted := xcontent.Value{Kind: xcontent.String, Text: tt.query}
			for _, q := range []string{tt.query, string(quoted.JSON())} {
				_, err := parseText(t, `{"indices":[{"names":["a"],"privileges":["read"],"query":`+q+`}]}`, false)
				if tt.part == "" && err != nil || tt.part != "" && (fault.KindOf(err) != fault.Argument || !strings.Contains(err.Error(), tt.part)) {
					t.Errorf("query %s: %v; want %q", q, err, tt.part)
				}
			}
		})
	}
}

func TestCanonical(t *testing.T) {
	a, err1 := parseText(t, `{"cluster":["monitor"]}`, true)
	b, err2 := parseText(t, `{"run_as":["x"],"index":[]}`, true)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	got := string(Descriptors{"b": b, "a": a, "é\"": {}}.Canonical())
	want := `{"a":` + string(a.JSON()) + `,"b":` + string(b.JSON()) + `,"é\"":` + emptyNormalForm + `}`
	if got != want {
		t.Errorf("Canonical = %s\nwant %s", got, want)
	}
	for _, bad := range []string{"", "[]", `{"a":{"x":1}}`, `{"a":1}`} {
		if ds, err := DecodeDescriptors([]byte(bad)); err == nil || fault.KindOf(err) != fault.Internal {
			t.Errorf("DecodeDescriptors(%q) = %v, %v; want an internal error", bad, ds, err)
		}
	}
}

func TestIsEmptyAndRestricted(t *testing.T) {
	for in, empty := range map[string]bool{
		`{}`: true, `{"cluster":[],"metadata":{},"transient_metadata":{"x":1},"global":{}}`: true,
		`{"cluster":["none"]}`: false, `{"metadata":{"a":1}}`: false, `{"run_as":["x"]}`: false,
		`{"global":{"application":{"manage":{"applications":["x"]}}}}`: false,
		`{"restriction":{"workflows":["search_application_query"]}}`:   false,
	} {
		d, err := parseText(t, in, true)
		if err != nil || d.IsEmpty() != empty || d.Restricted() != strings.Contains(in, "workflows") {
			t.Errorf("%s: empty %v, restricted %v, %v; want empty %v", in, d.IsEmpty(), d.Restricted(), err, empty)
		}
	}
}

func FuzzParseDescriptor(f *testing.F) {
	f.Add([]byte(`{"cluster":["all"],"indices":[{"names":"/a|b/","privileges":["read"],"field_security":{"grant":["*"],"except":["a"]},"query":{"bool":{"must":[]}}}]}`))
	f.Add([]byte(`{"global":[{"role":{"manage":{"indices":[{"names":["a"],"privileges":["read"]}]}}}],"remote_cluster":[{"clusters":["a"],"privileges":["monitor_stats"]}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := xcontent.ParseJSON(b)
		if err != nil {
			return
		}
		d, err := ParseDescriptor("r", v, true)
		if err != nil {
			if fault.KindOf(err) == fault.Internal {
				t.Fatalf("ParseDescriptor(%q) = %v; want a fault", b, err)
			}
			return
		}
		d.Problems("r")
		again, err := DecodeDescriptors(Descriptors{"r": d}.Canonical())
		if err != nil || string(again["r"].JSON()) != string(d.JSON()) {
			t.Fatalf("%q was stored as %s, which does not read back: %v", b, d.JSON(), err)
		}
	})
}
