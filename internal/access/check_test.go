package access

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"latchkey/internal/fault"
)

// may is the answer to one question about indices.
func may(t *testing.T, p Permissions, name, privilege string, restricted bool) bool {
	t.Helper()
	got, err := p.Check(Check{Indices: []IndexCheck{{[]string{name}, []string{privilege}, restricted}}}, nil)
	if err != nil {
		t.Fatalf("Check(%s on %s): %v", privilege, name, err)
	}
	if got.Index[name][privilege] != got.All {
		t.Errorf("Check(%s on %s) = %+v; want all of one to be that one", privilege, name, got)
	}
	return got.All
}

// holding is a subject with these index entries.
func holding(entries ...IndexEntry) Permissions {
	return NewPermissions([]string{"r"}, nil, NewRole(Descriptor{Indices: entries}))
}

func superPermissions() Permissions {
	d, _ := Reserved(SuperuserName)
	return NewPermissions([]string{SuperuserName}, nil, NewRole(d))
}

func TestIndexChecks(t *testing.T) {
	super := superPermissions()
	logs1, logs := holding(on("logs-1")("read")), holding(on("logs-*")("read"))
	ab, different := holding(on("a*")("read"), on("b*")("READ", "read")), holding(on("a*")("read"), on("b*")("read", "monitor"))
	restricted := holding(restrictedToo(on(".sec*")("read")), on("*")("write"))
	tests := []struct {
		name       string
		p          Permissions
		index      string
		privilege  string
		restricted bool
		want       bool
	}{
		{"ID-77 superuser", super, "test", "create", false, true},
		{"ID-78 a pattern is more than one name", logs1, "logs-*", "read", false, false},
		{"ID-78 a name is part of a pattern", logs, "logs-1", "read", false, true},
		{"ID-78 a pattern is part of a wider one", logs, "logs-*-x?", "read", false, true},
		{"ID-79 everything that is not restricted", super, "*", "write", false, true},
		{"ID-79 everything, but not to write", super, "*", "write", true, false},
		{"ID-79 everything, to read", super, "*", "read", true, true},
		{"ID-80 two patterns of the same privileges", ab, "/(a|b).*/", "read", false, true},
		{"ID-80 two patterns of different privileges", different, "/(a|b).*/", "read", false, false},
		{"each of them alone", different, "/b.*x/", "monitor", false, true},
		{"more than both", ab, "/(a|b|c).*/", "read", false, false},
		{"a concrete restricted name is not taken away", super, ".security-7", "write", false, false},
		{"nor is it for who may read it", super, ".security-7", "read", false, true},
		{"nothing is left of restricted names", super, ".security-*", "read", false, false},
		{"unless they are asked for", super, ".security-*", "read", true, true},
		{"a dot alone is not restricted", super, ".my-index", "write", false, true},
		{"one entry reaches restricted names", restricted, ".security*", "read", true, true},
		{"another does not", restricted, ".security*", "write", true, false},
		{"what is not restricted of a pattern", restricted, ".*", "write", false, true},
		{"none is held by who is covered at all", logs, "logs-1", "none", false, true},
		{"and by nobody else", logs, "x", "none", false, false},
		{"letter case of privileges", logs, "logs-1", "READ", false, true},
		{"letter case of names", logs, "LOGS-1", "read", false, false},
		{"an action", logs, "logs-1", "indices:data/read/search", false, true},
		{"another action", logs, "logs-1", "indices:data/write/index", false, false},
		{"an action with the star that is understood", holding(on("x")("indices:data/read/sea")), "x", "indices:data/read/search*", false, true},
		{"an escaped star", holding(on(`a\*`)("read")), `a\*`, "read", false, true},
		{"is one name", holding(on(`a\*`)("read")), "ab", "read", false, false},
		{"a regular expression", holding(on("/~(([.]|ilm-history-).*)/")("read")), "abc", "read", false, true},
		{"its complement", holding(on("/~(([.]|ilm-history-).*)/")("read")), ".abc", "read", false, false},
		{"beyond ASCII", holding(on("ü*")("read")), "üb?", "read", false, true},
		{"nothing", NewPermissions(nil, nil, NewRole()), "a", "none", false, false},
		{"the zero value", Permissions{}, "a", "none", false, false},
		{"privileges of several groups count together", holding(on("a*")("read"), on("*")("write")), "abc", "indices:data/*", false, false},
		{"all of them", holding(on("a*")("indices:data/read/*", "indices:data/write/*"), on("ab*")("indices:data/x")), "abc", "write", false, false},
		{"united actions", holding(on("a*")("indices:admin/mapping/auto_put"), on("ab*")("indices:data/write/*")), "abc", "write", false, true},
		{"entries of none are not there", holding(on("a")("none")), "a", "none", false, false},
	}
	for _, tt := range tests {
		for range 2 { // also from memory
			if got := may(t, tt.p, tt.index, tt.privilege, tt.restricted); got != tt.want {
				t.Errorf("%s: %s on %s (restricted: %v) = %v; want %v", tt.name, tt.privilege, tt.index, tt.restricted, got, tt.want)
			}
		}
	}
}

// What one index privilege is known to imply (spec/identity.md 4.3), and what not.
func TestIndexPrivilegesImply(t *testing.T) {
	implied := map[string][]string{
		"all": IndexPrivileges(), "write": {"index", "create", "delete", "create_doc"}, "index": {"create"}, "create": {"create_doc"},
		"manage": {"monitor", "create_index", "delete_index", "view_index_metadata", "maintenance", "manage_ilm", "manage_data_stream_lifecycle",
			"manage_leader_index", "manage_follow_index"},
	}
	for strong, weak := range implied {
		for _, name := range weak {
			if !may(t, holding(on("a")(strong)), "a", name, false) {
				t.Errorf("%s does not imply %s", strong, name)
			}
		}
	}
	for _, no := range [][2]string{{"manage", "read"}, {"manage", "write"}, {"create_doc", "create"}, {"create", "index"}, {"read", "read_cross_cluster"},
		{"read", "read_failure_store"}, {"monitor", "view_index_metadata"}, {"write", "all"}, {"manage", "all"}} {
		if may(t, holding(on("a")(no[0])), "a", no[1], false) {
			t.Errorf("%s implies %s", no[0], no[1])
		}
	}
}

func TestChecksOfBothSides(t *testing.T) {
	assigned, limit := NewRole(Descriptor{Cluster: []string{"monitor", "manage_ilm"}, Indices: []IndexEntry{on("a*")("all")},
		Applications: []ApplicationEntry{{"app", []string{"x", "y"}, []string{"*"}}}}),
		NewRole(Descriptor{Cluster: []string{"monitor"}, Indices: []IndexEntry{on("ab*")("read", "write")},
			Applications: []ApplicationEntry{{"app", []string{"x"}, []string{"r*"}}}})
	p := NewPermissions(nil, nil, assigned, limit)
	got, err := p.Check(Check{
		Cluster:      []string{"monitor", "manage_ilm"},
		Indices:      []IndexCheck{{Names: []string{"ab*", "a*"}, Privileges: []string{"read", "monitor"}}},
		Applications: []ApplicationEntry{{"app", []string{"x", "y"}, []string{"r1", "s"}}},
	}, nil)
	want := Checked{
		Cluster:      map[string]bool{"monitor": true, "manage_ilm": false},
		Index:        map[string]map[string]bool{"ab*": {"read": true, "monitor": false}, "a*": {"read": false, "monitor": false}},
		Applications: map[string]map[string]map[string]bool{"app": {"r1": {"x": true, "y": false}, "s": {"x": false, "y": false}}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("ID-85 Check = %+v, %v\nwant %+v", got, err, want)
	}
	p = NewPermissions(nil, nil, NewRole(Descriptor{Indices: []IndexEntry{on("*")("all")}, Workflows: workflows}))
	if may(t, p, "a", "read", false) {
		t.Error("a key that is kept to workflows holds something here")
	}
}

// The same name in several entries is held if all that is asked for is.
func TestChecksMerge(t *testing.T) {
	p := holding(on(".security*", "a")("read"))
	got, err := p.Check(Check{Indices: []IndexCheck{
		{[]string{"*", "a"}, []string{"read"}, false}, {[]string{"a", "a"}, []string{"write", "read"}, true}, {nil, nil, false},
	}}, nil)
	want := map[string]map[string]bool{"*": {"read": false}, "a": {"read": true, "write": false}}
	if err != nil || got.All || !reflect.DeepEqual(got.Index, want) {
		t.Errorf("Check = %+v, %v; want %v", got, err, want)
	}
}

func TestChecksThatAreRefused(t *testing.T) {
	long := strings.Repeat("a*", 5000)
	if _, err := (Permissions{}).Check(Check{Indices: []IndexCheck{{[]string{"/a"}, []string{"read"}, false}}}, nil); fault.KindOf(err) != fault.Argument {
		t.Errorf("a pattern that never ends, from who holds nothing: %v; want fault.Argument", err)
	}
	tests := map[string]Check{
		"an unknown index privilege":     {Indices: []IndexCheck{{[]string{"a"}, []string{"nope"}, false}}},
		"ID-81 an unknown cluster one":   {Cluster: []string{"nope"}},
		"a pattern that never ends":      {Indices: []IndexCheck{{[]string{"/a"}, []string{"read"}, false}}},
		"a pattern that is too long":     {Indices: []IndexCheck{{[]string{long}, []string{"read"}, false}}},
		"an exploding pattern":           {Indices: []IndexCheck{{[]string{"*a" + strings.Repeat("?", 40)}, []string{"read"}, false}}},
		"an exploding regex":             {Indices: []IndexCheck{{[]string{"/(a|b)*a(a|b){40}/"}, []string{"read"}, false}}},
		"an exploding action":            {Indices: []IndexCheck{{[]string{"a"}, []string{"indices:*a" + strings.Repeat("?", 40)}, false}}},
		"an exploding resource":          {Applications: []ApplicationEntry{{"app", []string{"x"}, []string{"/(a|b)*a(a|b){40}/"}}}},
		"an exploding action of another": {Applications: []ApplicationEntry{{"app", []string{"/(a|b)*a(a|b){40}/"}, []string{"x"}}}},
		"too many pairs":                 {Indices: []IndexCheck{{numbered("a%d", 1001), numbered("indices:%d", 100), false}}},
		"ten thousand heavy patterns":    {Indices: []IndexCheck{{numbered("*a%d*b*c*", 10_000), []string{"read"}, false}}},
	}
	for name, c := range tests {
		if _, err := superPermissions().Check(c, nil); fault.KindOf(err) != fault.Argument || len(err.Error()) > 3000 {
			t.Errorf("%s: %.3000v; want a short fault.Argument", name, err)
		}
	}
}

// Ten thousand names are no reason to refuse, nor is a role that holds as many.
func TestManyNames(t *testing.T) {
	names := numbered("logs-%d-*", 10_000)
	big := holding(on(names...)("read"), on("x*")("write"))
	got, err := big.Check(Check{Indices: []IndexCheck{{names[:5000], []string{"read"}, false}}}, nil)
	if err != nil || !got.All || len(got.Index) != 5000 {
		t.Errorf("Check = %d names, %v, %v", len(got.Index), got.All, err)
	}
	if !may(t, big, "logs-77-*-x", "read", false) || may(t, big, "logs-x", "read", false) {
		t.Error("single patterns are mistaken")
	}
	var entries []IndexEntry
	for i := range 3000 {
		entries = append(entries, on(fmt.Sprintf("*%d*x*", i))(fmt.Sprintf("indices:data/%d/", i)))
	}
	odd := holding(entries...)
	if !may(t, odd, "a17bxc", "indices:data/17/", false) || may(t, odd, "a17bxc", "indices:data/18/", false) {
		t.Error("a role with three thousand groups is mistaken")
	}
}

// A check costs a bounded amount of work even against a role that is absurd.
func TestAbsurdRolesEndChecks(t *testing.T) {
	var heavy []string
	for i := range 2000 {
		heavy = append(heavy, fmt.Sprintf("*a%d*b?c*d%d*", i, i))
	}
	absurd := holding(on(heavy...)("read"))
	_, err := absurd.Check(Check{Indices: []IndexCheck{{numbered(strings.Repeat("ab", 100)+"%d", 10_000), []string{"read"}, false}}}, nil)
	if fault.KindOf(err) != fault.Argument || !strings.Contains(err.Error(), "check fewer") {
		t.Errorf("Check = %v; want fault.Argument", err)
	}
	if !may(t, absurd, "xa7xb-cxd7x", "read", false) {
		t.Error("one name is not answered")
	}
}

func TestProblemsOfChecks(t *testing.T) {
	if p := (Check{Indices: []IndexCheck{{Names: []string{"a"}}}}).Problems(); len(p) != 1 || !strings.Contains(p[0], "at least one privilege") {
		t.Errorf("ID-82 nothing is asked: %q", p)
	}
	for _, name := range []string{"ap", "App", "app*", "*", ""} {
		p := Check{Applications: []ApplicationEntry{{name, []string{"x"}, []string{"*"}}}}.Problems()
		if len(p) != 1 || !strings.Contains(p[0], "["+name+"]") {
			t.Errorf("application %q: %q", name, p)
		}
	}
	if p := (Check{Applications: slices.Repeat([]ApplicationEntry{{"App", []string{"a b"}, []string{"*"}}}, 10_000)}).Problems(); len(p) > 2*maxProblems {
		t.Errorf("%d problems are told", len(p))
	}
}

// What is remembered is bounded for each role and for all, and asking goes on meanwhile.
func TestMemoryOfRoles(t *testing.T) {
	before := remembered.limit
	remembered.limit = 1 << 20
	defer func() { remembered.limit = before }()
	var group sync.WaitGroup
	for n := range 4 {
		group.Go(func() {
			for i := range 60 {
				p := holding(on(fmt.Sprintf("a%d*b%d*", i, n))("read"))
				for j := range 60 {
					if name := fmt.Sprintf("a%dxxb%dy%d*", i, n, j); !may(t, p, name, "read", false) || may(t, p, name, "write", false) {
						t.Errorf("%s is mistaken", name)
					}
				}
			}
		})
	}
	group.Wait()
	if got := remembered.bytes.Load(); got > 2<<20 {
		t.Errorf("%d bytes are remembered; at most about %d are allowed", got, remembered.limit)
	}
	p := holding(on("*")("read"))
	for i := range 3 * maxAnswers {
		may(t, p, fmt.Sprint("n", i), "read", false)
	}
	if e := p.sides[0].current.Load(); e != nil && len(e.answers) > maxAnswers {
		t.Errorf("a role remembers %d answers", len(e.answers))
	}
}

func BenchmarkCheckKnown(b *testing.B) {
	p := holding(on("logs-*", "metrics-*")("read", "write"), on("x*")("all"))
	c := Check{Indices: []IndexCheck{{append(numbered("logs-%d-*", 9), "y"), []string{"read", "write", "monitor", "manage", "delete"}, false}}}
	for b.Loop() {
		if _, err := p.Check(c, nil); err != nil {
			b.Fatal(err)
		}
	}
}
