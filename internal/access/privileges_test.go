package access

import (
	"slices"
	"strings"
	"testing"

	"latchkey/internal/fault"
	"latchkey/internal/pattern"
)

// holds reports whether a role with only the privilege a has all that b grants.
func holds(t *testing.T, a, b string) bool {
	t.Helper()
	ok, err := NewPermissions(nil, nil, role(a)).HasCluster(b)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

func TestImplications(t *testing.T) {
	tests := []struct {
		a    string
		yes  string
		no   string
		name string
	}{
		{name: "ID-64 manage grants no action of security", a: "manage",
			yes: "monitor manage_ml manage_ilm manage_pipeline manage_index_templates create_snapshot cross_cluster_search transport_client",
			no:  "manage_api_key manage_own_api_key grant_api_key manage_security read_security manage_token manage_saml manage_ccr read_ccr all"},
		{name: "ID-64 manage_own_api_key reaches no further", a: "manage_own_api_key", yes: "manage_own_api_key",
			no: "none manage_api_key grant_api_key read_security monitor"},
		{name: "manage_security has all of security but delegate_pki", a: "manage_security",
			yes: "manage_api_key manage_own_api_key grant_api_key manage_token manage_service_account manage_user_profile manage_oidc manage_saml read_security",
			no:  "delegate_pki monitor manage all read_ccr"},
		{name: "manage_api_key does not reach cross-cluster keys", a: "manage_api_key", yes: "grant_api_key manage_own_api_key",
			no: "manage_security manage_token read_security cluster:admin/xpack/security/cross_cluster/api_key/create"},
		{name: "manage_token has no part in API keys", a: "manage_token", yes: "cluster:admin/xpack/security/token/create", no: "manage_own_api_key manage_saml"},
		{name: "monitor", a: "monitor", yes: "monitor_ml monitor_stats monitor_transform monitor_watcher monitor_esql monitor_reindex transport_client",
			no: "manage_ml read_ccr read_ilm monitor_snapshot"},
		{name: "manage_connector leaves the secrets out", a: "manage_connector", yes: "monitor_connector", no: "read_connector_secrets write_connector_secrets"},
		{name: "all", a: "all", yes: "manage manage_security delegate_pki manage_own_api_key none ALL cluster:* indices:admin/template/put", no: ""},
		{name: "a raw pattern", a: "cluster:monitor/*", yes: "monitor_ml cluster:monitor/main", no: "monitor all"},
		{name: "a raw pattern that covers a name", a: "cluster:admin/xpack/security/api_key/*", yes: "manage_api_key manage_own_api_key", no: "manage_security"},
		{name: "pipelines have two names", a: "manage_pipeline", yes: "manage_ingest_pipelines read_pipeline", no: "manage_logstash_pipelines"},
		{name: "retention privileges grant nothing", a: "monitor_data_stream_global_retention", yes: "none manage_data_stream_global_retention", no: "cancel_task"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, b := range strings.Fields(tt.yes) {
				if !holds(t, tt.a, b) {
					t.Errorf("%s does not imply %s", tt.a, b)
				}
			}
			for _, b := range strings.Fields(tt.no) {
				if holds(t, tt.a, b) {
					t.Errorf("%s implies %s", tt.a, b)
				}
			}
		})
	}
}

func TestImplicationUnitesWhatIsHeld(t *testing.T) {
	p := NewPermissions(nil, nil, NewRole(Descriptor{Cluster: []string{"cluster:admin/xpack/ml/*"}}, Descriptor{Cluster: []string{"monitor_ml"}}))
	if ok, err := p.HasCluster("manage_ml"); !ok || err != nil {
		t.Errorf("HasCluster(manage_ml) = %v, %v; want true", ok, err)
	}
}

// The order of the list in spec/identity.md 4.1 cannot be computed, but it must
// never put a privilege before one that it implies.
func TestOrderOfAccessLevels(t *testing.T) {
	names := make([]string, len(clusterPrivileges))
	for i, p := range clusterPrivileges {
		names[i] = p.name
	}
	if sorted := slices.Compact(slices.Sorted(slices.Values(names))); len(sorted) != len(names) {
		t.Fatalf("%d names, of which %d are different", len(names), len(sorted))
	}
	for i, weaker := range names {
		for _, stronger := range names[:i] {
			if holds(t, stronger, weaker) && !holds(t, weaker, stronger) {
				t.Errorf("%s implies %s but stands before it", stronger, weaker)
			}
		}
	}
}

// Names of index privileges stand in the order of how many others each implies.
func TestOrderOfIndexPrivileges(t *testing.T) {
	implied := func(of pattern.Language) (n int) {
		for _, name := range indexPrivilegeNames {
			if ok, err := pattern.NewCompiler().Includes(of, indexLanguages()[name]); err != nil {
				t.Fatal(err)
			} else if ok && name != "none" {
				n++
			}
		}
		return n
	}
	last := 0
	for i, name := range indexPrivilegeNames {
		n := implied(indexLanguages()[name])
		if n < last || i > 0 && n == last && indexPrivilegeNames[i-1] > name {
			t.Errorf("%s implies %d others and stands behind %s, which implies %d", name, n, indexPrivilegeNames[i-1], last)
		}
		last = n
	}
}

func TestOwnKeysOnly(t *testing.T) {
	c := user("u", "manage_own_api_key")
	tests := []struct {
		suffix     string
		own, other bool
	}{
		{"api_key/create", true, true}, {"api_key/clone", true, true}, {"api_key/update", true, true}, {"api_key/bulk_update", true, true},
		{"api_key/get", true, false}, {"api_key/query", true, false}, {"api_key/invalidate", true, false},
		{"api_key/grant", false, false}, {"cross_cluster/api_key/create", false, false}, {"cache/clear", false, false},
	}
	for _, tt := range tests {
		if got := c.Allows(Request{Action: security + tt.suffix, Own: true}); got != tt.own {
			t.Errorf("%s of own keys: %v; want %v", tt.suffix, got, tt.own)
		}
		if got := c.Allows(Request{Action: security + tt.suffix}); got != tt.other {
			t.Errorf("%s of any keys: %v; want %v", tt.suffix, got, tt.other)
		}
	}
}

func TestRawPatterns(t *testing.T) {
	c := user("u", "cluster:monitor/main", "Indices:Admin/Template/*")
	for action, want := range map[string]bool{
		"cluster:monitor/main": true, "cluster:monitor/main/x": true, // a star is understood at the end
		"cluster:monitor/health": false, "indices:admin/template/put": true, "indices:admin/index_template/put": false,
	} {
		if got := c.Allows(Request{Action: action}); got != want {
			t.Errorf("%s is %v; want %v", action, got, want)
		}
	}
}

func TestUnknownClusterPrivilege(t *testing.T) {
	for _, p := range []Permissions{{}, user("x", "all").Permissions} {
		for _, name := range []string{"x", "", "indices:data/read/*", "manage_project_routing"} {
			_, err := p.HasCluster(name)
			if fault.KindOf(err) != fault.Argument || !strings.Contains(err.Error(), "unknown cluster privilege ["+name+"]") ||
				!strings.Contains(err.Error(), "manage_own_api_key,manage_data_stream_global_retention") || !strings.Contains(err.Error(), "monitor,manage,all]") {
				t.Errorf("ID-81 HasCluster(%q) = %v; want fault.Argument with the known names in order", name, err)
			}
		}
	}
}
