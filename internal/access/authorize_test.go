package access

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"latchkey/internal/fault"
)

func role(cluster ...string) *Role { return NewRole(Descriptor{Cluster: cluster}) }

// user is a caller of the native realm with the given cluster privileges.
func user(name string, cluster ...string) *Caller {
	return &Caller{Type: ByRealm, Subject: Subject{Username: name, Realm: Realm{"default_native", "native"},
		Permissions: NewPermissions([]string{"r"}, nil, role(cluster...))}}
}

// Every row of the table in spec/identity.md 9.2.
func TestRefusalNamesThePrivilegesThatWouldHelp(t *testing.T) {
	const manage = "manage_security,all"
	tests := []struct {
		list    string
		own     bool
		actions []string
	}{
		{manage, false, []string{"user/put", "user/delete", "user/set_enabled", "user/change_password", "role/put", "role/delete",
			"role/bulk_put", "role/bulk_delete", "role_mapping/put", "role_mapping/delete", "privilege/put", "privilege/delete",
			"realm/cache/clear", "roles/cache/clear", "privilege/cache/clear", "cache/clear", "settings/update",
			"cross_cluster/api_key/create", "cross_cluster/api_key/update"}},
		{"read_security," + manage, false, []string{"user/get", "user/query", "role/get", "role/query", "role_mapping/get",
			"privilege/get", "privilege/builtin/get", "user/list_privileges", "settings/get"}},
		{"read_ccr,read_security,manage_ccr," + manage, false, []string{"user/has_privileges"}},
		{"manage_own_api_key,manage_api_key," + manage, true, []string{"api_key/create", "api_key/clone", "api_key/update", "api_key/bulk_update"}},
		{"manage_own_api_key,manage_api_key," + manage, false, []string{"api_key/create", "api_key/clone", "api_key/update", "api_key/bulk_update"}},
		{"manage_own_api_key,read_security,manage_api_key," + manage, true, []string{"api_key/get", "api_key/query"}},
		{"read_security,manage_api_key," + manage, false, []string{"api_key/get"}},
		{"manage_own_api_key,manage_api_key," + manage, true, []string{"api_key/invalidate"}},
		{"manage_api_key," + manage, false, []string{"api_key/invalidate"}},
		{"grant_api_key,manage_api_key," + manage, false, []string{"api_key/grant"}},
		{"grant_api_key,manage_api_key," + manage, true, []string{"api_key/grant"}},
		{"manage_token," + manage, false, []string{"token/create"}},
		{"manage_saml,manage_token," + manage, false, []string{"token/refresh"}},
		{"delegate_pki,manage_saml,manage_token," + manage, false, []string{"token/invalidate"}},
		{"manage_service_account,read_security," + manage, false, []string{"service_account/get", "service_account/credential/get"}},
		{"manage_service_account," + manage, false, []string{"service_account/token/create", "service_account/token/delete"}},
		{"manage_user_profile,read_security," + manage, false, []string{"profile/get", "profile/suggest", "profile/has_privileges"}},
		{"manage_user_profile," + manage, false, []string{"profile/activate", "profile/set_enabled", "profile/put/data"}},
		{"delegate_pki,all", false, []string{"delegate_pki"}},
		{"monitor,manage,all", false, []string{"cluster:monitor/main", "cluster:monitor/health"}},
	}
	nobody := user("x")
	for _, tt := range tests {
		for _, action := range tt.actions {
			t.Run("ID-106 "+action, func(t *testing.T) {
				if !strings.HasPrefix(action, "cluster:") {
					action = security + action
				}
				err := nobody.Authorize(Request{Action: action, Own: tt.own})
				want := "action [" + action + "] is unauthorized for user [x] with effective roles [r], " +
					"this action is granted by the cluster privileges [" + tt.list + "]"
				if err == nil || err.Error() != want || fault.KindOf(err) != fault.Forbidden {
					t.Errorf("Authorize = %v\nwant %s", err, want)
				}
				for name := range strings.SplitSeq(tt.list, ",") { // the list tells the truth
					if err := user("x", name).Authorize(Request{Action: action, Own: tt.own}); err != nil {
						t.Errorf("with %s: %v", name, err)
					}
				}
			})
		}
	}
}

func TestRefusalNamesTheSubject(t *testing.T) {
	const action = security + "user/put"
	const granted = ", this action is granted by the cluster privileges [manage_security,all]"
	nothing := role()
	key := Subject{Username: "u", Realm: Realm{"default_native", "native"}, APIKey: &APIKey{"k1", "n"}, Permissions: NewPermissions(nil, nil, nothing)}
	x := user("x").Subject
	runner := user("boss")
	runner.Permissions = NewPermissions([]string{"runner"}, nil, NewRole(Descriptor{RunAs: []string{"x*"}}))
	all, _ := Reserved(SuperuserName)
	super := Subject{Username: "elastic", Permissions: NewPermissions([]string{SuperuserName}, nil, NewRole(all))}
	tests := []struct {
		name   string
		caller *Caller
		want   string
	}{
		{"ID-104 effective roles are sorted", &Caller{Subject: Subject{Username: "x", Permissions: NewPermissions([]string{"b", "a", "b"}, nil, nothing)}},
			"user [x] with effective roles [a,b]" + granted},
		{"ID-104 roles that do not exist are named", &Caller{Subject: Subject{Username: "x", Permissions: NewPermissions([]string{"a"}, []string{"z", "y"}, nothing)}},
			"user [x] with effective roles [a] (assigned roles [y,z] were not found)" + granted},
		{"ID-104 none of the roles exists", &Caller{Subject: Subject{Username: "x", Permissions: NewPermissions(nil, []string{"z"}, nothing)}},
			"user [x] with effective roles [] (assigned roles [z] were not found)" + granted},
		{"ID-105 an API key has an id and an owner and no roles", &Caller{Subject: key}, "API key id [k1] of user [u]" + granted},
		{"an API key of a service account", &Caller{Subject: Subject{Username: "elastic/x", Realm: Realm{"_service_account", "_service_account"}, APIKey: &APIKey{"k1", "n"}}},
			"API key id [k1] of service account [elastic/x]" + granted},
		{"a service account has no roles", &Caller{Subject: Subject{Username: "elastic/x", Realm: Realm{"_service_account", "_service_account"}}},
			"service account [elastic/x]" + granted},
		{"run-as shows the roles of the target", &Caller{Subject: x, By: &runner.Subject}, "user [boss] run as [x] with effective roles [r]" + granted},
		{"a target that may not be impersonated", &Caller{Subject: Subject{Username: "y"}, By: &runner.Subject},
			"user [boss] with effective roles [runner], because user [boss] is unauthorized to run as [y]"},
		{"ID-16 a target that does not exist, even for a superuser", &Caller{Subject: Subject{Username: "x1"}, By: &super, RunAsUnknown: true},
			"user [elastic] with effective roles [superuser], because user [elastic] is unauthorized to run as [x1]"},
		{"an API key that may not run as anybody", &Caller{Subject: x, By: &key},
			"API key id [k1] of user [u], because API key id [k1] of user [u] is unauthorized to run as [x]"},
		{"the zero caller", &Caller{}, "user [] with effective roles []" + granted},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.caller.Authorize(Request{Action: action})
			want := "action [" + action + "] is unauthorized for " + tt.want
			if err == nil || err.Error() != want {
				t.Errorf("Authorize = %v\nwant %s", err, want)
			}
		})
	}
}

func TestImplicitRightsNeedNoPrivilege(t *testing.T) {
	self := Request{Action: security + "user/authenticate", Self: true}
	if err := user("x").Authorize(self); err != nil {
		t.Errorf("a user without privileges: %v", err)
	}
	stranger := Caller{Subject: user("x").Subject, By: &user("boss").Subject}
	if err := stranger.Authorize(self); fault.KindOf(err) != fault.Forbidden {
		t.Errorf("a run-as that is not allowed: %v; want it refused first", err)
	}
}

func TestEverySideMustAllow(t *testing.T) {
	key := &Caller{Subject: Subject{Username: "u", APIKey: &APIKey{"k", "n"}, Permissions: NewPermissions(nil, nil, role("all"), role("monitor"))}}
	for action, want := range map[string]bool{
		"cluster:monitor/main":          true,
		"cluster:monitor/health":        true,
		security + "api_key/create":     false,
		"cluster:admin/settings/update": false,
	} {
		if got := key.Allows(Request{Action: action, Own: true}); got != want {
			t.Errorf("AK-131 a key with all, of an owner with monitor: %s is %v; want %v", action, got, want)
		}
	}
	if ok, err := key.Permissions.HasCluster("monitor"); !ok || err != nil {
		t.Errorf("AK-131 HasCluster(monitor) = %v, %v; want true", ok, err)
	}
	if ok, err := key.Permissions.HasCluster("all"); ok || err != nil {
		t.Errorf("AK-131 HasCluster(all) = %v, %v; want false", ok, err)
	}
}

func TestWorkflowRestriction(t *testing.T) {
	restricted := NewRole(Descriptor{Cluster: []string{"all"}, RunAs: []string{"*"}, Workflows: []string{"search_application_query"}})
	key := &Caller{Subject: Subject{Username: "u", APIKey: &APIKey{"k", "n"}, Permissions: NewPermissions(nil, nil, restricted, role("all"))}}
	for _, r := range []Request{{Action: "cluster:monitor/main"}, {Action: security + "user/authenticate", Self: true}} {
		err := key.Authorize(r)
		f, ok := errors.AsType[*fault.Error](err)
		if !ok || f.Kind != fault.Forbidden || f.Shown == nil || f.Shown.Kind != fault.Restricted {
			t.Errorf("Authorize(%v) = %v; want Forbidden because of Restricted", r, err)
		}
		if strings.Contains(f.Reason, "is granted by") {
			t.Errorf("%q names privileges, but none would help", f.Reason)
		}
	}
	if ok, _ := key.Permissions.HasCluster("monitor"); ok || key.Permissions.MayRunAs("x") {
		t.Error("a restricted key holds a privilege or may run as somebody")
	}
}

func TestMayRunAs(t *testing.T) {
	p := func(patterns ...string) Permissions {
		return NewPermissions(nil, nil, NewRole(Descriptor{RunAs: patterns[:1]}, Descriptor{RunAs: patterns[1:]}))
	}
	tests := []struct {
		p    Permissions
		name string
		want bool
	}{
		{p("a", "b*"), "a", true},
		{p("a", "b*"), "bob", true},
		{p("a", "b*"), "c", false},
		{p("/[ab]+/"), "abba", true},
		{p("A"), "a", false},
		{Permissions{}, "a", false},
		{NewPermissions(nil, nil, NewRole(Descriptor{RunAs: []string{"*"}}), role("all")), "a", false}, // the owner may not
	}
	for _, tt := range tests {
		if got := tt.p.MayRunAs(tt.name); got != tt.want {
			t.Errorf("MayRunAs(%q) = %v; want %v", tt.name, got, tt.want)
		}
	}
}

func TestDecisionsAreRememberedPerRequest(t *testing.T) {
	r := role("manage_own_api_key")
	get := Request{Action: security + "api_key/get"}
	own := get
	own.Own = true
	for range 3 {
		if r.allows(get) || !r.allows(own) {
			t.Fatal("a decision about own keys was given for keys of others, or the reverse")
		}
	}
	for i := range 2 * maxDecisions {
		r.allows(Request{Action: strings.Repeat("x", i)})
	}
	if n := len(*r.decisions.Load()); n > maxDecisions {
		t.Errorf("%d decisions are remembered; want at most %d", n, maxDecisions)
	}
}

func TestRoleIsSafeForConcurrentUse(t *testing.T) {
	r := NewRole(Descriptor{Cluster: []string{"monitor"}, RunAs: []string{"a*"}})
	done := make(chan bool)
	for range 4 {
		go func() {
			ok := true
			for _, action := range slices.Repeat([]string{"cluster:monitor/main", "cluster:monitor/health", "cluster:monitor/x"}, 200) {
				ok = ok && r.allows(Request{Action: action}) && r.mayRunAs("ab")
			}
			done <- ok
		}()
	}
	for range 4 {
		if !<-done {
			t.Error("a decision was wrong")
		}
	}
}

func BenchmarkAuthorize(b *testing.B) {
	c := user("x", "monitor", "manage_own_api_key")
	r := Request{Action: security + "api_key/get", Own: true}
	for b.Loop() {
		if err := c.Authorize(r); err != nil {
			b.Fatal(err)
		}
	}
}
