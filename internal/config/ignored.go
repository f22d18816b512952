package config

import (
	"fmt"
	"slices"
	"strings"
)

// ignored names the settings that only a search engine needs and that people's
// files carry. They have no effect, which is said once. A name that ends in ".*"
// stands for all below it.
var ignored = []string{
	"action.*", "async_search.*", "breaker.*", "ccr.*", "discovery.*", "gateway.*", "health.*", "indices.*", "index.*", "ingest.*", "logger.*",
	"monitor.*", "reindex.*", "repositories.*", "resource.*", "script.*", "search.*", "slm.*", "snapshot.*", "telemetry.*", "thread_pool.*",
	"tracing.*", "transport.*",
	"bootstrap.ctrlhandler", "bootstrap.memory_lock", "bootstrap.system_call_filter",
	"cluster.auto_shrink_voting_configuration", "cluster.blocks.*", "cluster.deprecation_indexing.*", "cluster.election.*", "cluster.fault_detection.*",
	"cluster.indices.*", "cluster.info.*", "cluster.initial_master_nodes", "cluster.max_shards_per_node", "cluster.no_master_block",
	"cluster.persistent_tasks.*", "cluster.publish.*", "cluster.remote.*", "cluster.routing.*", "cluster.service.*",
	"http.client_stats.*", "http.compression_level", "http.cors.allow-credentials", "http.cors.allow-headers", "http.cors.allow-methods",
	"http.cors.allow-origin", "http.cors.expose-headers", "http.cors.max-age", "http.max_chunk_size", "http.max_warning_header_count",
	"http.max_warning_header_size", "http.netty.*", "http.pipelining.*", "http.tcp.*", "http.tracer.*", "http.type", "http.type.default",
	"network.breaker.*", "network.tcp.*", "network.server",
	"node.attr.*", "node.bandwidth.*", "node.data", "node.id.seed", "node.ingest", "node.master", "node.max_local_storage_nodes", "node.ml",
	"node.processors", "node.remote_cluster_client", "node.roles", "node.store.*", "node.transform", "node.voting_only",
	"path.logs", "path.repo", "path.shared_data",
	"xpack.apm_data.*", "xpack.ccr.*", "xpack.downsample.*", "xpack.ent_search.*", "xpack.enrich.*", "xpack.eql.*", "xpack.esql.*", "xpack.graph.*",
	"xpack.http.*", "xpack.ilm.*", "xpack.inference.*", "xpack.license.*", "xpack.ml.*", "xpack.monitoring.*", "xpack.notification.*",
	"xpack.profiling.*", "xpack.rollup.*", "xpack.searchable.*", "xpack.slm.*", "xpack.sql.*", "xpack.stack.*", "xpack.transform.*", "xpack.watcher.*",
	"xpack.security.authc.api_key.certificate_identity_pattern_cache.*", "xpack.security.authc.success_cache.*", "xpack.security.authz.store.*",
	"xpack.security.automata.*", "xpack.security.autoconfiguration.*", "xpack.security.crypto.*", "xpack.security.dls.*",
	"xpack.security.dls_fls.*", "xpack.security.enrollment.*", "xpack.security.hide_settings", "xpack.security.http.ssl.keystore.algorithm",
	"xpack.security.http.ssl.truststore.algorithm", "xpack.security.remote_cluster_client.*", "xpack.security.remote_cluster_server.*",
	"xpack.security.ssl.diagnose.trust", "xpack.security.transport.*",
}

// ignoredVariables are environment variables of the same kind.
var ignoredVariables = []string{"CLI_JAVA_OPTS", "ES_HOME", "ES_JAVA_HOME", "ES_JAVA_OPTS", "ES_TMPDIR", "KEYSTORE_PASSWORD", "KEYSTORE_PASSWORD_FILE"}

func isIgnored(name string) bool {
	return slices.ContainsFunc(ignored, func(pattern string) bool {
		family, ok := strings.CutSuffix(pattern, "*")
		return name == pattern || ok && strings.HasPrefix(name, family)
	})
}

// features are the parts of Elasticsearch's security that latchkey does not
// have. Whoever sets one of them counts on it: the start is refused.
var features = []struct{ prefix, what string }{
	{"xpack.security.audit.", "the audit log"},
	{"xpack.security.authc.domains.", "security domains"},
	{"xpack.security.fips_mode.", "FIPS mode"},
	{"xpack.security.http.filter.", "filtering by address"},
	{"xpack.security.http.ssl.keystore.key_password", "a key password that differs from its keystore's"},
	{"xpack.security.http.ssl.keystore.secure_key_password", "a key password that differs from its keystore's"},
	{"xpack.security.http.ssl.trust_restrictions.", "trust restrictions"},
	{"xpack.security.operator_privileges.", "operator privileges"},
}

// unbuiltRealms are types that Elasticsearch has and this release has not.
var unbuiltRealms = []string{"saml"}

// unbuilt says which feature a setting belongs to that is not there, or "".
func unbuilt(name string) string {
	for _, f := range features {
		if strings.HasPrefix(name, f.prefix) {
			return "this release is without " + f.what
		}
	}
	if rest, ok := strings.CutPrefix(name, "xpack.security.authc.realms."); ok {
		kind, _, _ := strings.Cut(rest, ".")
		if slices.Contains(unbuiltRealms, kind) {
			return fmt.Sprintf("realms of type %s arrive with a later release", kind)
		}
		if !slices.Contains(realmTypes, kind) {
			return fmt.Sprintf("%q is no realm type; those of this release are %s", kind, strings.Join(realmTypes, ", "))
		}
	}
	return ""
}

// saysWhatIsSo reports whether a setting switches off a feature that is not
// there: that is no mistake.
func saysWhatIsSo(name, text string) bool {
	return strings.HasSuffix(name, ".enabled") && text == "false" && !strings.HasPrefix(name, "xpack.security.authc.realms.") && unbuilt(name) != ""
}
