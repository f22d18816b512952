package access

import (
	"strings"
	"sync"

	"latchkey/internal/pattern"
)

// indexPrivileges are the named index privileges of spec/identity.md 4.3, in
// access-level order: how many others each implies, then by name. What is said of
// failure stores and views is of our own making: nobody runs them here, and read
// does not reach a failure store.
var indexPrivileges = []struct {
	name   string
	grants []string
}{
	{"none", nil},
	{"auto_configure", []string{"indices:admin/mapping/auto_put*", "indices:admin/auto_create*"}},
	{"create_doc", append([]string{"indices:data/write/index", "indices:data/write/index[*", "indices:data/write/index:op_type/create"}, bulk...)},
	{"create_index", []string{"indices:admin/create*", "indices:admin/auto_create*", "indices:admin/data_stream/create*"}},
	{"create_view", []string{"indices:admin/view/put*"}},
	{"cross_cluster_replication", []string{"indices:data/read/xpack/ccr/shard_changes*", "indices:monitor/stats*", "indices:admin/mappings/get*"}},
	{"cross_cluster_replication_internal", []string{"indices:internal/admin/ccr/restore/*"}},
	{"delete", []string{"indices:data/write/delete*", "indices:data/write/bulk*"}},
	{"delete_index", []string{"indices:admin/delete*", "indices:admin/data_stream/delete*"}},
	{"delete_view", []string{"indices:admin/view/delete*"}},
	{"maintenance", []string{"indices:admin/refresh*", "indices:admin/flush*", "indices:admin/synced_flush", "indices:admin/forcemerge*"}},
	{"manage_data_stream_lifecycle", []string{"indices:admin/data_stream/lifecycle/*"}},
	{"manage_failure_store", []string{"indices:failure_store/admin/*"}},
	{"manage_follow_index", []string{"indices:admin/xpack/ccr/put_follow*", "indices:admin/xpack/ccr/unfollow*", "indices:admin/close*", "indices:admin/open*"}},
	{"manage_ilm", []string{"indices:admin/ilm/*"}},
	{"manage_leader_index", []string{"indices:admin/xpack/ccr/forget_follower*"}},
	{"monitor", []string{"indices:monitor/*"}},
	{"read", []string{"indices:data/read/*", "indices:admin/resolve/*"}},
	{"read_cross_cluster", []string{"internal:transport/proxy/indices:data/read/*", "internal:transport/proxy/indices:admin/shards/search_shards*",
		"indices:admin/shards/search_shards*"}},
	{"read_failure_store", []string{"indices:failure_store/data/read/*"}},
	{"read_view_metadata", []string{"indices:admin/view/get*"}},
	{"view_index_metadata", []string{"indices:admin/aliases/get*", "indices:admin/get*", "indices:admin/mappings/get*", "indices:admin/mappings/fields/get*",
		"indices:monitor/settings/get*", "indices:data/read/field_caps*", "indices:admin/validate/query*", "indices:admin/shards/search_shards*",
		"indices:admin/ilm/explain*", "indices:admin/data_stream/lifecycle/explain*", "indices:admin/data_stream/get*"}},
	{"create", append([]string{"indices:data/write/index*"}, bulk...)},
	{"index", append([]string{"indices:data/write/index*", "indices:data/write/update*"}, bulk...)},
	{"manage_view", []string{"indices:admin/view/*"}},
	{"write", []string{"indices:data/write/*", "indices:admin/mapping/auto_put*"}},
	{"manage", []string{"indices:monitor/*", "indices:admin/*", "indices:data/read/field_caps*", "indices:data/read/xpack/rollup/get/index/caps*"}},
	{allIndices, []string{"indices:*", "internal:transport/proxy/indices:*"}},
}

// bulk is how documents are written in numbers, and how that is tried out.
var bulk = []string{"indices:data/write/bulk*", "indices:data/write/simulate/bulk*"}

// allIndices is the privilege that holds all others, and every pattern that may be asked for.
const allIndices = "all"

var indexPrivilegeNames = func() (names []string) {
	for _, p := range indexPrivileges {
		names = append(names, p.name)
	}
	return names
}()

// indexLanguages compiles the named index privileges when they are first needed.
var indexLanguages = sync.OnceValue(func() map[string]pattern.Language {
	m := make(map[string]pattern.Language, len(indexPrivileges))
	for _, p := range indexPrivileges {
		m[p.name] = mustCompile(p.grants, nil)
	}
	return m
})

// restrictedIndices are the indices that belong to the system: an entry of a role
// reaches them only if it says so (spec/identity.md 5.1). All of them begin with a dot.
var restrictedIndices = sync.OnceValue(func() pattern.Language {
	var names []string
	for _, name := range restrictedBeginnings {
		names = append(names, "."+name+"*")
	}
	return mustCompile(names, nil)
})

var restrictedBeginnings = strings.Fields(`security kibana reporting- apm-agent-configuration apm-custom-link apm-source-map fleet- tasks async-search
	watches triggered_watches ml-config ml-meta ml-inference- transform-internal- logstash geoip_databases synonyms search-app- query-rules-
	connector-secrets inference secrets-inference security-profile security-tokens`)
