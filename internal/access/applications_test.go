package access

import (
	"fmt"
	"strings"
	"testing"

	"latchkey/internal/fault"
)

func onApplication(application string, privileges []string, resources ...string) ApplicationEntry {
	return ApplicationEntry{application, privileges, resources}
}

func TestApplicationChecks(t *testing.T) {
	stored := NewApplication(map[string][]string{
		"read":  {"data:read/*", "login:"},
		"write": {"data:write/*", "data:read/x"},
		"all":   {"data:*", "login:"},
		"odd":   {"/data:~(.*)/"}, // matches nothing
	})
	with := func(entries ...ApplicationEntry) Permissions {
		return NewPermissions([]string{"r"}, nil, NewRole(Descriptor{Applications: entries}))
	}
	read, both := with(onApplication("app", []string{"read"}, "r/*")), with(onApplication("app", []string{"read", "write"}, "*"))
	exact := with(onApplication("app", []string{"undefined"}, "*"))
	tests := []struct {
		name                string
		p                   Permissions
		privilege, resource string
		want                bool
	}{
		{"the same privilege", read, "read", "r/1", true},
		{"another resource", read, "read", "s", false},
		{"a pattern of resources", read, "read", "r/1*", true},
		{"a wider pattern of resources", read, "read", "r*", false},
		{"an action of it", read, "data:read/y", "r/1", true},
		{"a pattern of actions", read, "data:read/y*", "r/1", true},
		{"another action", read, "data:write/y", "r/1", false},
		{"a wider pattern of actions", read, "data:*", "r/1", false},
		{"a privilege whose actions are held", with(onApplication("app", []string{"data:*", "login:"}, "*")), "read", "x", true},
		{"by another privilege", with(onApplication("app", []string{"all"}, "*")), "write", "x", true},
		{"of which some are missing", with(onApplication("app", []string{"data:*"}, "*")), "read", "x", false},
		{"two privileges together", both, "/data:(read|write)\\/.*/", "x", true},
		{"more than two privileges together", both, "/data:.*/", "x", false},
		{"an application of another name", with(onApplication("other", []string{"*"}, "*")), "read", "x", false},
		{"a pattern of applications", with(onApplication("a*", []string{"read"}, "*")), "read", "x", true},
		{"ID-86 a privilege that is not defined", both, "undefined", "x", false},
		{"ID-86 for a role that names it", exact, "undefined", "x", true},
		{"ID-86 not for one that names another", exact, "undefined2", "x", false},
		{"ID-86 for a role that holds everything", superPermissions(), "undefined", "x", true},
		{"a privilege without any action that can be", both, "odd", "x", true},
		{"the action of everything", superPermissions(), "*", "*", true},
		{"is not held by others", with(onApplication("app", []string{"all"}, "*")), "*", "*", false},
		{"privileges of equal resources are one entry", with(onApplication("app", []string{"data:read/*"}, "r", "s"), onApplication("app", []string{"login:"}, "s", "r")), "read", "r", true},
		{"of different resources they are not", with(onApplication("app", []string{"data:read/*"}, "r"), onApplication("app", []string{"login:"}, "*")), "read", "r", false},
		{"resources of equal privileges are one entry", with(onApplication("app", []string{"read"}, "a*"), onApplication("app", []string{"read"}, "b*")), "read", "/(a|b).*/", true},
		{"letter case of names", read, "Read", "r/1", false},
		{"nobody", Permissions{}, "read", "x", false},
	}
	for _, tt := range tests {
		for range 2 { // also from memory
			got, err := tt.p.Check(Check{Applications: []ApplicationEntry{{"app", []string{tt.privilege}, []string{tt.resource}}}}, map[string]*Application{"app": stored})
			if err != nil || got.Applications["app"][tt.resource][tt.privilege] != tt.want || got.All != tt.want {
				t.Errorf("%s: %s on %s: %+v, %v; want %v", tt.name, tt.privilege, tt.resource, got, err, tt.want)
			}
		}
	}
}

// What was answered holds for the privileges that were stored then, and no longer.
func TestApplicationAnswersFollowTheStore(t *testing.T) {
	p := NewPermissions(nil, nil, NewRole(Descriptor{Applications: []ApplicationEntry{onApplication("*", []string{"read"}, "*")}}))
	check := Check{Applications: []ApplicationEntry{{"app", []string{"x:1"}, []string{"r"}}}}
	one, two := NewApplication(map[string][]string{"read": {"x:*"}}), NewApplication(map[string][]string{"read": {"y:*"}})
	for i, tt := range []struct {
		stored *Application
		want   bool
	}{{one, true}, {two, false}, {one, true}, {nil, false}, {one, true}} {
		if got, err := p.Check(check, map[string]*Application{"app": tt.stored}); err != nil || got.All != tt.want {
			t.Errorf("check %d = %+v, %v; want %v", i, got, err, tt.want)
		}
	}
}

// Applications with thousands of actions are compared without automata.
func TestManyActions(t *testing.T) {
	stored := map[string][]string{"all": numbered("saved_object:type-%d/bulk_get", 5000), "read": numbered("saved_object:type-%d/bulk_get", 2500)}
	p := NewPermissions(nil, nil, NewRole(Descriptor{Applications: []ApplicationEntry{onApplication("app", []string{"all"}, "space:a")}}))
	got, err := p.Check(Check{Applications: []ApplicationEntry{{"app", append(stored["all"], "read"), []string{"space:a", "space:b"}}}},
		map[string]*Application{"app": NewApplication(stored)})
	if err != nil || got.All {
		t.Fatalf("Check = %v, %v", got.All, err)
	}
	for resource, want := range map[string]bool{"space:a": true, "space:b": false} {
		for privilege, has := range got.Applications["app"][resource] {
			if has != want {
				t.Fatalf("%s on %s = %v; want %v", privilege, resource, has, want)
			}
		}
	}
}

func TestGrammarOfStoredPrivileges(t *testing.T) {
	for name, ok := range map[string]bool{"ap": false, "app": true, "app-1": true, "App": false, "app*": false, "*": false, "app-a/b": false, "": false} {
		if got := ApplicationNameProblem(name); (got == "") != ok {
			t.Errorf("ID-75 ApplicationNameProblem(%q) = %q; want ok %v", name, got, ok)
		}
	}
	for name, ok := range map[string]bool{"a": true, "read_all.x-1": true, "A": false, "1": false, "a b": false, "": false, "a:b": false, "é": false} {
		if got := PrivilegeNameProblem(name); (got == "") != ok {
			t.Errorf("PrivilegeNameProblem(%q) = %q; want ok %v", name, got, ok)
		}
	}
	for action, ok := range map[string]bool{"a:b": true, "*": true, "a/b": true, "read": false, "a: b": false, "": false, "é:x": false} {
		if got := ActionProblem(action); (got == "") != ok {
			t.Errorf("ID-75 ActionProblem(%q) = %q; want ok %v", action, got, ok)
		}
	}
	for _, list := range [][]string{{"/a:b"}, {"/(a|b)*a(a|b){40}/"}, numbered("*a%d*b*c*:", 10_000)} {
		if err := CheckPatterns(list); fault.KindOf(err) != fault.Argument {
			t.Errorf("CheckPatterns(%.40q) = %v; want fault.Argument", list[0], err)
		}
	}
	if err := CheckPatterns(numbered("saved_object:a%d/get", 10_000)); err != nil {
		t.Errorf("CheckPatterns of plain texts: %v", err)
	}
}

func TestGlobalPrivileges(t *testing.T) {
	parse := func(body string) *Caller {
		d, err := parseText(t, body, false)
		if err != nil {
			t.Fatal(err)
		}
		return &Caller{Subject: Subject{Username: "x", Permissions: NewPermissions([]string{"r"}, nil, NewRole(Descriptor{}, d))}}
	}
	manager := parse(`{"global":{"application":{"manage":{"applications":["test-*","own"]}}}}`)
	everything := parse(`{"global":{"application":{"manage":{"applications":["*"]}}}}`)
	profiles := parse(`{"global":{"profile":{"write":{"applications":["app*"]}}}}`)
	roles := parse(`{"global":{"role":{"manage":{"indices":[{"names":["logs-*"],"privileges":["read","indices:admin/*"]}]}}}}`)
	nobody := parse(`{"global":{"application":{},"role":{}}}`)
	role := func(entries ...IndexEntry) []Descriptor { return []Descriptor{{Indices: entries, Description: "d"}} }
	tests := []struct {
		name   string
		by     *Caller
		action string
		r      Request
		want   bool
	}{
		{"ID-76 an application that matches", manager, "privilege/put", Request{Applications: []string{"test-app"}}, true},
		{"ID-76 another application", manager, "privilege/put", Request{Applications: []string{"other"}}, false},
		{"both", manager, "privilege/put", Request{Applications: []string{"own", "other"}}, false},
		{"a narrower pattern", manager, "privilege/get", Request{Applications: []string{"test-a*"}}, true},
		{"a wider pattern", manager, "privilege/get", Request{Applications: []string{"*"}}, false},
		{"all", everything, "privilege/get", Request{Applications: []string{"*"}}, true},
		{"nothing is said", everything, "privilege/get", Request{}, false},
		{"another action", everything, "privilege/builtin/get", Request{Applications: []string{"*"}}, false},
		{"clearing the cache", everything, "privilege/cache/clear", Request{Applications: []string{"*"}}, false},
		{"data of a profile", profiles, "profile/put/data", Request{ProfileKeys: []string{"app", "app2"}}, true},
		{"other data of a profile", profiles, "profile/put/data", Request{ProfileKeys: []string{"app", "b"}}, false},
		{"another action on a profile", profiles, "profile/get", Request{ProfileKeys: []string{"app"}}, false},
		{"a role within bounds", roles, "role/put", Request{Roles: role(on("logs-a*")("read"), on("logs-b")("indices:admin/get"))}, true},
		{"another name", roles, "role/put", Request{Roles: role(on("log*")("read"))}, false},
		{"another privilege", roles, "role/put", Request{Roles: role(on("logs-a")("write"))}, false},
		{"restricted indices", roles, "role/put", Request{Roles: role(restrictedToo(on("logs-a")("read")))}, true},
		{"a cluster privilege", roles, "role/put", Request{Roles: []Descriptor{{Cluster: []string{"none"}}}}, false},
		{"run-as", roles, "role/put", Request{Roles: []Descriptor{{RunAs: []string{"a"}}}}, false},
		{"an application", roles, "role/put", Request{Roles: []Descriptor{{Applications: []ApplicationEntry{onApplication("app", []string{"a"}, "*")}}}}, false},
		{"global again", roles, "role/put", Request{Roles: []Descriptor{{Global: &Global{ManageApplications: []string{}}}}}, false},
		{"two roles, one within bounds", roles, "role/bulk_put", Request{Roles: append(role(on("logs-a*")("read")), Descriptor{Cluster: []string{"all"}})}, false},
		{"a role is deleted", roles, "role/delete", Request{Roles: role(on("logs-a*")("read"))}, true},
		{"reading roles", roles, "role/get", Request{Roles: role(on("logs-a*")("read"))}, false},
		{"no role is shown", roles, "role/put", Request{}, false},
		{"nobody", nobody, "privilege/put", Request{Applications: []string{"test-app"}}, false},
		{"nobody for roles", nobody, "role/put", Request{Roles: []Descriptor{{}}}, false},
	}
	for _, tt := range tests {
		tt.r.Action = security + tt.action
		for range 2 {
			if got := tt.by.Allows(tt.r); got != tt.want {
				t.Errorf("%s: Allows(%+v) = %v; want %v", tt.name, tt.r, got, tt.want)
			}
		}
	}
}

func TestPrivilegesAreListed(t *testing.T) {
	parse := func(body string) Descriptor {
		d, err := parseText(t, body, false)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	one := parse(`{"cluster":["monitor","ALL"],"run_as":["b","a"],
		"indices":[{"names":["b","a"],"privileges":["read"],"field_security":{"grant":["x"],"except":[]},"query":"{\"a\":1}"},
			{"names":["c"],"privileges":["write","READ"]},{"names":["d"],"privileges":["none"]}],
		"applications":[{"application":"app","privileges":["x"],"resources":["r"]},{"application":"app","privileges":["z"],"resources":["1"]}],
		"global":{"application":{"manage":{"applications":["test-*"]}},"profile":{"write":{"applications":["p"]}}},
		"remote_indices":[{"names":["r"],"privileges":["read"],"clusters":["c"]}],"remote_cluster":[{"privileges":["monitor_enrich"],"clusters":["c"]}]}`)
	two := parse(`{"cluster":["manage","all"],"run_as":["a"],
		"indices":[{"names":["a","b"],"privileges":["write"],"field_security":{"grant":["y"]},"query":"{\"b\":1}"},{"names":["c"],"privileges":["read"],"query":"{}"},
			{"names":["a","b"],"privileges":["read"],"allow_restricted_indices":true}],
		"applications":[{"application":"app","privileges":["y"],"resources":["r"]},{"application":"app","privileges":["z"],"resources":["2"]}],
		"global":{"application":{"manage":{"applications":["test-*"]}}},"remote_cluster":[{"privileges":["monitor_enrich"],"clusters":["c"]}]}`)
	want := `{"cluster":["all","manage","monitor"],` +
		`"global":[{"application":{"manage":{"applications":["test-*"]}}},{"profile":{"write":{"applications":["p"]}}}],` +
		`"indices":[{"names":["a","b"],"privileges":["read","write"],"field_security":[{"grant":["x"],"except":[]},{"grant":["y"]}],"query":["{\"a\":1}","{\"b\":1}"],"allow_restricted_indices":false},` +
		`{"names":["c"],"privileges":["read","write"],"allow_restricted_indices":false},` +
		`{"names":["a","b"],"privileges":["read"],"allow_restricted_indices":true}],` +
		`"applications":[{"application":"app","privileges":["x","y"],"resources":["r"]},{"application":"app","privileges":["z"],"resources":["1","2"]}],` +
		`"run_as":["a","b"],` +
		`"remote_indices":[{"names":["r"],"privileges":["read"],"allow_restricted_indices":false,"clusters":["c"]}],"remote_cluster":[{"privileges":["monitor_enrich"],"clusters":["c"]}]}`
	got, err := NewPermissions(nil, nil, NewRole(one, two)).List()
	if err != nil || string(got) != want {
		t.Errorf("ID-87 List = %s, %v\nwant %s", got, err, want)
	}
	if got, err := (Permissions{}).List(); err != nil || string(got) != `{"cluster":[],"global":[],"indices":[],"applications":[],"run_as":[]}` {
		t.Errorf("List of nothing = %s, %v", got, err)
	}
	if _, err := NewPermissions(nil, nil, NewRole(one), NewRole(two)).List(); fault.KindOf(err) != fault.Argument || !strings.Contains(err.Error(), "API key") {
		t.Errorf("ID-88 List of both sides: %v; want fault.Argument", err)
	}
	if got, err := NewPermissions(nil, nil, NewRole(one)).List(); err != nil || !strings.Contains(string(got), `"cluster":["all","monitor"]`) {
		t.Errorf("ID-88 List of one side = %s, %v", got, err)
	}
}

// What may not be done is told for every right that manage_security leaves out.
func TestManageSecurityHoldsAllButTwo(t *testing.T) {
	p := user("x", "manage_security").Permissions
	held, err := p.HasClusters(ClusterPrivileges()...)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"manage_api_key": true, "manage_own_api_key": true, "grant_api_key": true, "manage_token": true, "manage_service_account": true,
		"manage_user_profile": true, "manage_oidc": true, "read_security": true, "delegate_pki": false, "monitor": false, "manage": false, "all": false} {
		if held[name] != want {
			t.Errorf("ID-65 manage_security holds %s: %v; want %v", name, held[name], want)
		}
	}
	if user("x", "manage_security").Allows(Request{Action: "cluster:monitor/health"}) {
		t.Error("ID-65 manage_security allows cluster:monitor/health")
	}
}

func BenchmarkApplicationCheck(b *testing.B) {
	stored := map[string]*Application{"app": NewApplication(map[string][]string{"all": numbered("saved_object:type-%d/bulk_get", 1000)})}
	p := NewPermissions(nil, nil, NewRole(Descriptor{Applications: []ApplicationEntry{onApplication("app", []string{"all"}, "*")}}))
	c := Check{Applications: []ApplicationEntry{{"app", numbered("saved_object:type-%d/bulk_get", 100), []string{"space:a"}}}}
	for b.Loop() {
		if got, err := p.Check(c, stored); err != nil || !got.All {
			b.Fatal(fmt.Sprint(got.All, err))
		}
	}
}
