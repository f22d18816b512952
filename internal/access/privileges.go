package access

import (
	"slices"
	"strings"
	"sync"

	"latchkey/internal/fault"
	"latchkey/internal/pattern"
)

const security = "cluster:admin/xpack/security/"

// ownKeys is the one privilege whose reach depends on the request.
const ownKeys = "manage_own_api_key"

// clusterPrivilege is one named cluster privilege: the actions that match one of
// its patterns and none of those it leaves out.
type clusterPrivilege struct {
	name    string
	grants  []string
	without []string
}

// clusterPrivileges is spec/identity.md 4.1 in access-level order, weakest first.
// The order is the frozen list given there; manage_esql, manage_reindex,
// monitor_esql and monitor_reindex, which it lacks, stand among their like.
var clusterPrivileges = []clusterPrivilege{
	// what of it depends on the request is in [grant.allows]
	{name: ownKeys, grants: within(security+"api_key/", "create", "clone", "update", "bulk_update", "get", "query", "invalidate")},
	{name: "manage_data_stream_global_retention"},
	{name: "monitor_data_stream_global_retention"},
	{name: "none"},
	{name: "cancel_task", grants: []string{"cluster:admin/tasks/cancel*"}},
	{name: "cross_cluster_replication", grants: append([]string{"cluster:monitor/state"}, remoteCluster...)},
	{name: "cross_cluster_search", grants: append([]string{"cluster:monitor/xpack/enrich/esql/resolve_policy",
		"cluster:internal/data/read/esql/open_exchange", "cluster:internal/data/read/esql/exchange"}, remoteCluster...)},
	{name: "delegate_pki", grants: within(security, "delegate_pki", "token/invalidate")},
	{name: "grant_api_key", grants: within(security, "api_key/grant*")},
	{name: "manage_autoscaling", grants: []string{"cluster:admin/autoscaling/*"}},
	{name: "manage_index_templates", grants: []string{"indices:admin/template/*", "indices:admin/index_template/*",
		"cluster:admin/component_template/*"}},
	{name: "manage_logstash_pipelines", grants: []string{"cluster:admin/logstash/pipeline/*"}},
	{name: "manage_oidc", grants: within(security, "oidc/*")},
	{name: "manage_saml", grants: within(security, "saml/*", "token/invalidate", "token/refresh")},
	{name: "manage_search_application", grants: []string{"cluster:admin/xpack/application/search_application/*"}},
	{name: "manage_search_query_rules", grants: []string{"cluster:admin/xpack/query/rules/*"}},
	{name: "manage_search_synonyms", grants: []string{"cluster:admin/synonyms/*", "cluster:admin/synonym_rules/*"}},
	{name: "manage_service_account", grants: within(security, "service_account/*")},
	{name: "manage_token", grants: within(security, "token/*")},
	{name: "manage_user_profile", grants: within(security, "profile/*")},
	{name: "monitor_connector", grants: []string{"cluster:monitor/xpack/connector/*"}},
	{name: "monitor_enrich", grants: []string{"cluster:monitor/xpack/enrich/*"}},
	{name: "monitor_esql", grants: []string{"cluster:monitor/xpack/esql/*"}},
	{name: "monitor_inference", grants: []string{"cluster:monitor/xpack/inference/*"}},
	{name: "monitor_ml", grants: []string{"cluster:monitor/xpack/ml/*"}},
	{name: "monitor_reindex", grants: []string{"cluster:monitor/reindex/*"}},
	{name: "monitor_rollup", grants: []string{"cluster:monitor/xpack/rollup/*"}},
	{name: "monitor_snapshot", grants: snapshots},
	{name: "monitor_stats", grants: []string{"cluster:monitor/stats*"}},
	{name: "monitor_text_structure", grants: []string{"cluster:monitor/text_structure/*"}},
	{name: "monitor_watcher", grants: []string{"cluster:monitor/xpack/watcher/*"}},
	{name: "post_behavioral_analytics_event", grants: []string{analytics + "post_event"}},
	{name: "read_ccr", grants: []string{"cluster:monitor/state", security + "user/has_privileges"}},
	{name: "read_connector_secrets", grants: []string{connectorSecrets + "get"}},
	{name: "read_fleet_secrets", grants: []string{"cluster:admin/fleet/secrets/get"}},
	{name: "read_ilm", grants: []string{"cluster:admin/ilm/get", "cluster:admin/ilm/operation_mode/get"}},
	{name: "read_pipeline", grants: []string{"cluster:admin/ingest/pipeline/get", "cluster:admin/ingest/pipeline/simulate"}},
	{name: "read_security", grants: within(security, "api_key/get", "api_key/query", "privilege/builtin/get", "privilege/get",
		"profile/get", "profile/suggest", "profile/has_privileges", "role/get", "role/query", "role_mapping/get",
		"service_account/get", "service_account/credential/get", "user/get", "user/query", "user/list_privileges",
		"user/has_privileges", "settings/get")},
	{name: "read_slm", grants: []string{"cluster:admin/slm/get", "cluster:admin/slm/stats", "cluster:admin/slm/status"}},
	{name: "transport_client", grants: []string{"cluster:monitor/nodes/liveness", "cluster:monitor/state"}},
	{name: "write_connector_secrets", grants: []string{connectorSecrets + "put", connectorSecrets + "post", connectorSecrets + "delete"}},
	{name: "write_fleet_secrets", grants: []string{"cluster:admin/fleet/secrets/post", "cluster:admin/fleet/secrets/delete"}},
	{name: "create_snapshot", grants: append([]string{"cluster:admin/snapshot/create"}, snapshots...)},
	{name: "manage_behavioral_analytics", grants: []string{analytics + "*"}},
	{name: "manage_ccr", grants: []string{"cluster:admin/xpack/ccr/*", "cluster:monitor/state", security + "user/has_privileges"}},
	{name: "manage_connector", grants: []string{"cluster:admin/xpack/connector/*", "cluster:monitor/xpack/connector/*"},
		without: []string{connectorSecrets + "*"}},
	{name: "manage_enrich", grants: []string{"cluster:admin/xpack/enrich/*", "cluster:monitor/xpack/enrich/*"}},
	{name: "manage_esql", grants: []string{"cluster:admin/xpack/esql/*", "cluster:monitor/xpack/esql/*"}},
	{name: "manage_ilm", grants: []string{"cluster:admin/ilm/*"}},
	{name: "manage_inference", grants: []string{"cluster:admin/xpack/inference/*", "cluster:monitor/xpack/inference/*"}},
	{name: "manage_ml", grants: []string{"cluster:admin/xpack/ml/*", "cluster:monitor/xpack/ml/*"}},
	{name: "manage_reindex", grants: []string{"cluster:admin/reindex/*", "cluster:monitor/reindex/*"}},
	{name: "manage_rollup", grants: []string{"cluster:admin/xpack/rollup/*", "cluster:monitor/xpack/rollup/*"}},
	{name: "manage_slm", grants: []string{"cluster:admin/slm/*"}},
	{name: "manage_watcher", grants: []string{"cluster:admin/xpack/watcher/*", "cluster:monitor/xpack/watcher/*"}},
	{name: "monitor_data_frame_transforms", grants: []string{"cluster:monitor/data_frame/*", "cluster:monitor/transform/*"}},
	{name: "monitor_transform", grants: []string{"cluster:monitor/data_frame/*", "cluster:monitor/transform/*"}},
	{name: "manage_api_key", grants: within(security, "api_key/*")},
	{name: "manage_ingest_pipelines", grants: []string{"cluster:admin/ingest/pipeline/*"}},
	{name: "manage_pipeline", grants: []string{"cluster:admin/ingest/pipeline/*"}},
	{name: "manage_data_frame_transforms", grants: transforms},
	{name: "manage_transform", grants: transforms},
	{name: "manage_security", grants: within(security, "*"), without: within(security, "delegate_pki")},
	{name: "monitor", grants: []string{"cluster:monitor/*", "indices:admin/template/get", "indices:admin/index_template/get",
		"cluster:admin/component_template/get"}},
	{name: "manage", grants: everything, without: within(security, "*")},
	{name: "all", grants: everything},
}

const (
	analytics        = "cluster:admin/xpack/application/analytics/"
	connectorSecrets = "cluster:admin/xpack/connector/secret/"
)

var (
	everything = []string{"cluster:*", "indices:admin/template/*", "indices:admin/index_template/*"}
	snapshots  = []string{"cluster:admin/snapshot/status*", "cluster:admin/snapshot/get", "cluster:admin/repository/get"}
	transforms = []string{"cluster:admin/data_frame/*", "cluster:monitor/data_frame/*",
		"cluster:admin/transform/*", "cluster:monitor/transform/*"}
	remoteCluster = []string{"cluster:internal/remote_cluster/handshake", "cluster:internal/remote_cluster/nodes",
		"cluster:internal/tasks/ban", "cluster:internal/tasks/cancel", "cluster:monitor/xpack/info"}
)

func within(prefix string, suffixes ...string) []string {
	out := make([]string, len(suffixes))
	for i, s := range suffixes {
		out[i] = prefix + s
	}
	return out
}

// grant is a cluster privilege that somebody holds.
type grant struct {
	name    string // lower case
	pattern string // of a pattern of action names, with the star that is understood; else ""
	actions pattern.Language
	matcher pattern.Matcher // of pattern, in place of actions
}

func (g *grant) conditional() bool { return g.name == ownKeys }

// allows reports whether g covers r. Making and changing keys needs no condition
// in manage_own_api_key: whose keys are changed is the key service's business.
func (g *grant) allows(r Request) bool {
	if g.conditional() && !r.Own {
		switch strings.TrimPrefix(r.Action, security) {
		case "api_key/get", "api_key/query", "api_key/invalidate":
			return false
		}
	}
	if g.pattern != "" {
		return g.matcher.Matches(r.Action)
	}
	return g.actions.Matches(r.Action)
}

// namedGrants compiles the named privileges when they are first needed, in
// access-level order.
var namedGrants = sync.OnceValue(func() []*grant {
	out := make([]*grant, len(clusterPrivileges))
	for i, p := range clusterPrivileges {
		out[i] = &grant{name: p.name, actions: mustCompile(p.grants, p.without)}
	}
	return out
})

var grantsByName = sync.OnceValue(func() map[string]*grant {
	m := map[string]*grant{}
	for _, g := range namedGrants() {
		m[g.name] = g
	}
	return m
})

func mustCompile(grants, without []string) pattern.Language {
	all, err := pattern.ParseAll(grants)
	if err == nil && len(without) > 0 {
		var less pattern.Language
		if less, err = pattern.ParseAll(without); err == nil {
			all, err = all.Minus(less)
		}
	}
	if err != nil {
		panic(err) // the patterns are constants
	}
	return all
}

// clusterGrant resolves what a role names as a cluster privilege: a name in any
// letter case, or a pattern of action names, which is not compiled: no regular
// expression begins as they do. The error is fault.Argument.
func clusterGrant(privilege string) (*grant, error) {
	name := strings.ToLower(privilege)
	if g, ok := grantsByName()[name]; ok {
		return g, nil
	}
	if !isActionPattern(name) {
		return nil, fault.New(fault.Argument, "%s", unknownCluster(privilege))
	}
	return &grant{name: name, pattern: name + "*", matcher: pattern.Wildcards(name + "*")}, nil
}

func isActionPattern(name string) bool {
	return slices.ContainsFunc(everything, func(p string) bool { return strings.HasPrefix(name, strings.TrimSuffix(p, "*")) })
}

func unknownCluster(privilege string) string {
	names := make([]string, len(clusterPrivileges))
	for i, p := range clusterPrivileges {
		names[i] = p.name
	}
	return "unknown cluster privilege [" + shorten(privilege) + "]. It must be one of [" + strings.Join(names, ",") +
		"] or a pattern of action names that starts with one of [" + strings.Join(everything, ",") + "]"
}

// granting lists the named privileges that would allow r, weakest first.
func granting(r Request) []string {
	var names []string
	for _, g := range namedGrants() {
		if g.allows(r) {
			names = append(names, g.name)
		}
	}
	return names
}
