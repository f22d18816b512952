package access

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"latchkey/internal/fault"
	"latchkey/internal/xcontent"
)

func numbered(format string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf(format, i)
	}
	return out
}

// A role is loaded again and again, so what it takes must not grow faster than it.
func TestManyRawPatternsAreLoadedOnce(t *testing.T) {
	patterns := numbered("cluster:%d", 50_000)
	r := NewRole(Descriptor{Cluster: patterns}, Descriptor{Cluster: append(patterns, "CLUSTER:7", "monitor", "MONITOR")})
	if len(r.cluster) != 50_001 || !r.allows(Request{Action: "cluster:49999"}) || r.allows(Request{Action: "cluster:x"}) {
		t.Errorf("%d grants; want 50001, each of them once", len(r.cluster))
	}
	p := NewPermissions(nil, nil, r)
	held, err := p.HasClusters("cluster:123", "cluster:123/x", "cluster:x", "all", "monitor", "monitor_ml", "manage_ml")
	want := map[string]bool{"cluster:123": true, "cluster:123/x": true, "cluster:x": false, "all": false, "monitor": true, "monitor_ml": true, "manage_ml": false}
	if err != nil || fmt.Sprint(held) != fmt.Sprint(want) {
		t.Errorf("HasClusters = %v, %v; want %v", held, err, want)
	}
}

// What a subject holds can be too complex to compare; that is no mistake of who asks.
func TestComplexGrantsAreNotTheAskersFault(t *testing.T) {
	var heavy []string
	for c := 'a'; c <= 'z'; c++ {
		heavy = append(heavy, fmt.Sprintf("cluster:*a%[1]c*b%[1]c*c%[1]c*d%[1]c", c))
	}
	one := "cluster:*a" + strings.Repeat("?", 13) // its automaton alone is more than is kept
	for name, p := range map[string]Permissions{
		"many patterns":     NewPermissions(nil, nil, role(append(heavy, "monitor")...)),
		"one heavy pattern": NewPermissions(nil, nil, role(append(heavy[:5:5], one, "monitor")...)),
		"both":              NewPermissions(nil, nil, role(append(heavy, one, "monitor")...)),
	} {
		for privilege, want := range map[string]bool{
			"monitor": true, "MONITOR_ML": true, "cluster:monitor/x": true, "cluster:xaabacada": true, heavy[3]: true, "none": true, "all": false, "manage_security": false,
		} {
			if got, err := p.HasCluster(privilege); got != want || err != nil {
				t.Errorf("%s: HasCluster(%s) = %v, %v; want %v", name, privilege, got, err, want)
			}
		}
		if _, err := p.HasCluster("x"); fault.KindOf(err) != fault.Argument {
			t.Errorf("%s: an unknown privilege: %v; want fault.Argument", name, err)
		}
		if _, err := p.HasClusters(numbered("cluster:*a%db*", 900)...); err != nil {
			t.Errorf("%s: 900 privileges: %v", name, err)
		}
	}
}

func TestAskingForVeryManyPrivileges(t *testing.T) {
	p := user("x", "monitor").Permissions
	if held, err := p.HasClusters(append(numbered("cluster:monitor/%d", maxChecked), "cluster:monitor/1")...); err != nil || len(held) != maxChecked {
		t.Errorf("%d privileges and one of them twice: %d, %v", maxChecked, len(held), err)
	}
	if _, err := p.HasClusters(numbered("cluster:monitor/%d", maxChecked+1)...); fault.KindOf(err) != fault.Argument || !strings.Contains(err.Error(), "at most 1000") {
		t.Errorf("one more: %v; want fault.Argument", err)
	}
}

func TestTooManyOfAnything(t *testing.T) {
	list := func(one string, n int) string { return "[" + strings.Repeat(one+",", n-1) + one + "]" }
	for field, one := range map[string]string{
		"cluster": `"monitor"`, "run_as": `"a"`, "indices": `{"names":"a","privileges":["read"]}`,
		"applications":   `{"application":"app","privileges":["x"],"resources":["*"]}`,
		"remote_indices": `{"clusters":["c"],"names":["a"],"privileges":["read"]}`, "remote_cluster": `{"clusters":["c"],"privileges":["monitor_stats"]}`,
	} {
		if _, err := parseText(t, `{"`+field+`":`+list(one, maxEntries)+`}`, true); err != nil {
			t.Errorf("%d of %s: %v", maxEntries, field, err)
		}
		if _, err := parseText(t, `{"`+field+`":`+list(one, maxEntries+1)+`}`, true); fault.KindOf(err) != fault.Argument || !strings.Contains(err.Error(), "["+field+"] has 10001 entries") {
			t.Errorf("one more of %s: %v; want fault.Argument", field, err)
		}
	}
	p := NewParser(true)
	for range maxDescriptors {
		if _, err := p.Parse("r", xcontent.Value{Kind: xcontent.Object}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.Parse("r", xcontent.Value{Kind: xcontent.Object}); fault.KindOf(err) != fault.Argument || !strings.Contains(err.Error(), "at most 1000 role descriptors") {
		t.Errorf("one descriptor too many: %v; want fault.Argument", err)
	}
}

func TestProblemsOfASet(t *testing.T) {
	ds := Descriptors{}
	for _, name := range numbered("r%d", maxDescriptors) {
		ds[name] = Descriptor{}
	}
	if p := ds.Problems(); len(p) > 0 {
		t.Errorf("as many as there may be: %q", p)
	}
	ds["s"] = Descriptor{}
	if p := ds.Problems(); len(p) != 1 || !strings.Contains(p[0], "at most 1000 are allowed") {
		t.Errorf("one more: %q", p)
	}
	half := Descriptor{RunAs: []string{strings.Repeat("a", maxSize/2)}}
	for name, ds := range map[string]Descriptors{"two": {"a": half, "b": half}, "one": {"a": {RunAs: slices.Repeat(half.RunAs, 2)}}} {
		if p := ds.Problems(); len(p) != 1 || !strings.Contains(p[0], "bytes together, but at most 1048576 are allowed") {
			t.Errorf("%s of more than a megabyte: %q", name, p)
		}
	}
	if p := half.Problems("a"); len(p) > 0 {
		t.Errorf("half a megabyte: %q", p)
	}
	if p := (Descriptors{"b": {Cluster: []string{"y"}}, "a": {Cluster: []string{"x"}}}).Problems(); len(p) != 2 || !strings.Contains(p[0], "[x]") || !strings.Contains(p[1], "[y]") {
		t.Errorf("problems of two: %q", p)
	}
}

// A body may nest 100 levels; what is stored of it nests deeper and is read all the same.
func TestWhatWasAcceptedIsReadBack(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 98) + "{}" + strings.Repeat("}", 98)
	query := strings.Repeat(`{"bool":{"must":[`, 30) + `{"match_all":{}}` + strings.Repeat(`]}}`, 30)
	d, err := parseText(t, `{"metadata":`+deep+`,"indices":[{"names":["a"],"privileges":["read"],"query":`+query+`}]}`, true)
	if err != nil {
		t.Fatal(err)
	}
	if p := d.Problems("r"); len(p) > 0 {
		t.Errorf("Problems = %q", p)
	}
	ds, err := DecodeDescriptors(Descriptors{"r": d}.Canonical())
	if err != nil || string(ds["r"].JSON()) != string(d.JSON()) || string(d.Metadata) != deep || !strings.Contains(string(d.JSON()), deep) {
		t.Errorf("read back as %s, %v", ds["r"].JSON(), err)
	}
	if _, err := xcontent.ParseJSON([]byte(`{"a":` + `{"metadata":` + deep + `}}`)); err == nil {
		t.Error("the set is not deeper than a body may be, so this test proves nothing")
	}
}
