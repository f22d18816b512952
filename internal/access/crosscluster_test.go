package access

import (
	"fmt"
	"strings"
	"testing"

	"latchkey/internal/fault"
	"latchkey/internal/xcontent"
)

func parseAccess(t testing.TB, text string) (CrossClusterAccess, error) {
	t.Helper()
	v, err := xcontent.ParseJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return ParseCrossClusterAccess(v)
}

// What a key carries is the translation of its access, from which the access is
// shown; what is shown is the same access again.
func TestCrossClusterAccess(t *testing.T) {
	const search, replication = `"privileges":["read","read_cross_cluster","view_index_metadata"],`, `"privileges":["cross_cluster_replication","cross_cluster_replication_internal"],`
	tests := []struct {
		name, in string
		cluster  string // of the descriptor
		indices  string // of the descriptor; without the privileges it is what is shown
	}{
		{"search", `{"search":[{"names":"logs-*"}]}`, `["cross_cluster_search","monitor_enrich"]`,
			`[{"names":["logs-*"],` + search + `"allow_restricted_indices":false}]`},
		{"replication", `{"replication":[{"names":["a","b"],"allow_restricted_indices":true}]}`, `["cross_cluster_replication"]`,
			`[{"names":["a","b"],` + replication + `"allow_restricted_indices":true}]`},
		{"both, the other way round", `{"replication":[{"names":["r"]}],"search":[{"names":["s"],"query":null},{"names":["s"]}]}`,
			`["cross_cluster_search","monitor_enrich","cross_cluster_replication"]`,
			`[{"names":["s"],` + search + `"allow_restricted_indices":false},{"names":["s"],` + search + `"allow_restricted_indices":false},` +
				`{"names":["r"],` + replication + `"allow_restricted_indices":false}]`},
		{"a search of some documents and fields, beside an empty list", `{"search":[{"names":["a"],"query":{"term": {"k":1.50}},"field_security":{"grant":["*"],"except":["x"]}}],"replication":[]}`,
			`["cross_cluster_search","monitor_enrich"]`,
			`[{"names":["a"],` + search + `"field_security":{"grant":["*"],"except":["x"]},"query":"{\"term\":{\"k\":1.50}}","allow_restricted_indices":false}]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, err := parseAccess(t, tt.in)
			if err != nil {
				t.Fatal(err)
			}
			set, problems := a.Descriptors().Checked()
			want := `{"cross_cluster":` + strings.Replace(strings.Replace(emptyNormalForm, `"cluster":[]`, `"cluster":`+tt.cluster, 1), `"indices":[]`, `"indices":`+tt.indices, 1) + `}`
			if string(set.Body) != want || len(problems) > 0 {
				t.Errorf("stored as %s, %q\nwant      %s", set.Body, problems, want)
			}
			stored, err := DecodeDescriptors(set.Body)
			if err != nil {
				t.Fatal(err)
			}
			shown := string(stored.CrossClusterAccess().JSON())
			again, err := parseAccess(t, shown)
			if err != nil || again.Descriptors().RoleSet().Digest != set.Digest {
				t.Errorf("%s, read again, is stored as %s, %v", shown, again.Descriptors().RoleSet().Body, err)
			}
			entries := strings.NewReplacer(search, "", replication, "").Replace(tt.indices)
			if flat := strings.NewReplacer(`{"search":`, "", `{"replication":`, "", `],"replication":[`, ",").Replace(strings.TrimSuffix(shown, "}")); flat != entries {
				t.Errorf("shown as %s\nwant the entries %s", shown, entries)
			}
		})
	}
}

func TestCrossClusterAccessRefuses(t *testing.T) {
	const entry = `{"names":["a"]`
	tests := []struct {
		name, in string
		kind     fault.Kind
		cause    fault.Kind // of what is shown below it, if anything is
		part     string
	}{
		{"no object", `[]`, fault.Malformed, 0, "expected an object"},
		{"AK-118 nothing", `{}`, fault.Argument, 0, "must have entries"},
		{"AK-118 an empty list", `{"search":[]}`, fault.Argument, 0, "must have entries"},
		{"two empty lists", `{"search":[],"replication":[]}`, fault.Argument, 0, "must have entries"},
		{"an unknown member", `{"searches":[]}`, fault.Malformed, 0, "[searches] did you mean [search]?"},
		{"a list that is none", `{"search":` + entry + `}}`, fault.Malformed, 0, "[search] must be an array of objects"},
		{"null for a list", `{"replication":null}`, fault.Malformed, 0, "[replication] must be an array of objects"},
		{"privileges", `{"search":[` + entry + `,"privileges":["read"]}]}`, fault.Malformed, fault.Structure, "unexpected field [privileges] of [access]"},
		{"an entry without names", `{"replication":[{}]}`, fault.Malformed, fault.Structure, "missing required field [names]"},
		{"an entry with an empty list of names", `{"search":[{"names":[]}]}`, fault.Malformed, fault.Structure, "field [names]"},
		{"a pattern that is none", `{"search":[{"names":["/a"]}]}`, fault.Argument, 0, "pattern [/a]"},
		{"a query that a role cannot have", `{"search":[` + entry + `,"query":{"has_child":{}}}]}`, fault.Malformed, fault.Argument, "has_child"},
		{"AK-118 a query on replication", `{"replication":[` + entry + `,"query":{"match_all":{}}}]}`, fault.Argument, 0, "[replication]"},
		{"fields on replication", `{"search":[` + entry + `}],"replication":[` + entry + `},` + entry + `,"field_security":{"grant":["a"]}}]}`, fault.Argument, 0, "[replication]"},
		{"AK-118 a query on search beside replication", `{"search":[` + entry + `,"query":"{}"}],"replication":[` + entry + `}]}`, fault.Argument, 0, "[search]"},
		{"fields on search beside replication", `{"search":[` + entry + `,"field_security":{"grant":["a"]}}],"replication":[` + entry + `}]}`, fault.Argument, 0, "[search]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parseAccess(t, tt.in)
			f, ok := err.(*fault.Error)
			if !ok || f.Kind != tt.kind || (f.Shown != nil) != (tt.cause != 0) || !strings.Contains(err.Error(), tt.part) {
				t.Fatalf("ParseCrossClusterAccess(%s) = %v; want kind %v and %q", tt.in, err, tt.kind, tt.part)
			}
			if f.Shown != nil && f.Shown.Kind != tt.cause {
				t.Errorf("the cause is of kind %v; want %v", f.Shown.Kind, tt.cause)
			}
		})
	}
	many := `{"search":[` + strings.Repeat(entry+"},", maxEntries) + entry + `}]}`
	if _, err := parseAccess(t, many); fault.KindOf(err) != fault.Argument {
		t.Errorf("%d entries: %v; want fault.Argument", maxEntries+1, err)
	}
	costly := `{"replication":[` + strings.TrimSuffix(strings.Repeat(fmt.Sprintf(`{"names":["*a%s"]},`, strings.Repeat("?", 10)), 2000), ",") + `]}`
	if _, err := parseAccess(t, costly); fault.KindOf(err) != fault.Argument || !strings.Contains(err.Error(), "too complex") {
		t.Errorf("2000 costly patterns: %v; want them refused as too complex", err)
	}
}

func FuzzParseCrossClusterAccess(f *testing.F) {
	f.Add([]byte(`{"search":[{"names":"/a|b/","field_security":{"grant":["*"],"except":["a"]},"query":{"bool":{"must":[]}}}]}`))
	f.Add([]byte(`{"search":[{"names":["a"]}],"replication":[{"names":["b*"],"allow_restricted_indices":true}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := xcontent.ParseJSON(b)
		if err != nil {
			return
		}
		a, err := ParseCrossClusterAccess(v)
		if err != nil {
			if fault.KindOf(err) == fault.Internal {
				t.Fatalf("ParseCrossClusterAccess(%q) = %v; want a fault", b, err)
			}
			return
		}
		set := a.Descriptors().RoleSet()
		stored, err := DecodeDescriptors(set.Body)
		if err != nil {
			t.Fatalf("%q was stored as %s, which does not read back: %v", b, set.Body, err)
		}
		again, err := parseAccess(t, string(stored.CrossClusterAccess().JSON()))
		if err != nil || again.Descriptors().RoleSet().Digest != set.Digest {
			t.Fatalf("%q is shown as %s, which is another access: %v", b, stored.CrossClusterAccess().JSON(), err)
		}
	})
}
