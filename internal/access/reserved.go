package access

import (
	"encoding/json"
	"slices"
	"sync"
)

// SuperuserName is the role that stands for itself: in a list of assigned roles
// it makes all others pointless, so who resolves such a list takes it alone
// (spec/identity.md 3.5).
const SuperuserName = "superuser"

// Reserved returns the built-in role called name, if there is one.
func Reserved(name string) (Descriptor, bool) {
	d, ok := reserved()[name]
	return d, ok
}

// ReservedNames returns the names of the built-in roles, sorted.
func ReservedNames() []string { return reserved().names() }

const (
	plainMetadata      = `{"_reserved":true}`
	kibanaUserMetadata = `{"_reserved":true,"_deprecated":true,"_deprecated_reason":"Please use the [kibana_admin] role instead"}`
	reportingMetadata  = `{"_reserved":true,"_deprecated":true,"_deprecated_reason":"Please use feature privileges of the application instead"}`
	rollupMetadata     = `{"_reserved":true,"_deprecated":true,"_deprecated_reason":"The rollup feature has been replaced by downsampling"}`
)

// reserved holds the roles of spec/identity.md 3.8. Where it only sums a role up,
// the entries here spell that summary out.
var reserved = sync.OnceValue(func() Descriptors {
	ds := Descriptors{
		SuperuserName: superuser(), "kibana_system": kibanaSystem(), "viewer": viewer(), "editor": editor(),
		"kibana_admin":    {Applications: kibana("kibana-.kibana", "all")},
		"kibana_user":     {Applications: kibana("kibana-.kibana", "all"), Metadata: json.RawMessage(kibanaUserMetadata)},
		"monitoring_user": monitoringUser(),
		"remote_monitoring_agent": {
			Cluster: []string{"manage_index_templates", "manage_ingest_pipelines", "monitor", "cluster:admin/ilm/get", "cluster:admin/ilm/put",
				"cluster:monitor/xpack/watcher/watch/get", "cluster:admin/xpack/watcher/watch/put", "cluster:admin/xpack/watcher/watch/delete"},
			Indices: []IndexEntry{
				on(".monitoring-*")("all"),
				on("metricbeat-*")("index", "create_index", "view_index_metadata", "indices:admin/aliases", "indices:admin/rollover"),
			},
		},
		"remote_monitoring_collector": {
			Cluster: []string{"monitor"},
			Indices: []IndexEntry{restrictedToo(on("*")("monitor")), restrictedToo(on(".kibana*")("read"))},
		},
		"logstash_system": {Cluster: []string{"monitor", bulkMonitoring}},
		"beats_system": {Cluster: []string{"monitor", bulkMonitoring},
			Indices: []IndexEntry{on(".monitoring-beats-*")("create_index", "create")}},
		"apm_system": {Cluster: []string{"monitor", bulkMonitoring},
			Indices: []IndexEntry{on(".monitoring-beats-*")("create_index", "create_doc")}},
		"beats_admin": {Indices: []IndexEntry{on(".management-beats")("all")}},
		"logstash_admin": {Cluster: []string{"manage_logstash_pipelines"},
			Indices: []IndexEntry{restrictedToo(on(".logstash*")("create", "delete", "index", "manage", "read"))}},
		"ingest_admin":     {Cluster: []string{"manage_index_templates", "manage_pipeline"}},
		"transport_client": {Cluster: []string{"transport_client"}},
		"reporting_user":   {Metadata: json.RawMessage(reportingMetadata)},
		"machine_learning_user": {Cluster: []string{"monitor_ml"}, Applications: kibana("kibana-*", "reserved_ml_user"),
			Indices: []IndexEntry{on(".ml-anomalies*", ".ml-notifications*")("view_index_metadata", "read"),
				on(".ml-annotations*")("view_index_metadata", "read", "write")}},
		"machine_learning_admin": {Cluster: []string{"manage_ml"}, Applications: kibana("kibana-*", "reserved_ml_admin"),
			Indices: []IndexEntry{on(".ml-anomalies*", ".ml-notifications*", ".ml-state*", ".ml-meta*", ".ml-stats-*")("view_index_metadata", "read"),
				on(".ml-annotations*")("view_index_metadata", "read", "write")}},
		"transform_user":  {Cluster: []string{"monitor_transform"}, Indices: []IndexEntry{transformNotes}},
		"transform_admin": {Cluster: []string{"manage_transform"}, Indices: []IndexEntry{transformNotes}},
		"watcher_user": {Cluster: []string{"monitor_watcher"},
			Indices: []IndexEntry{restrictedToo(on(".watches")("read")), on(".watcher-history-*")("read")}},
		"watcher_admin": {Cluster: []string{"manage_watcher"},
			Indices: []IndexEntry{restrictedToo(on(".watches", ".triggered_watches")("read")), on(".watcher-history-*")("read")}},
		"snapshot_user": {Cluster: []string{"create_snapshot", "cluster:admin/repository/get"},
			Indices: []IndexEntry{restrictedToo(on("*")("view_index_metadata"))}},
		"enrich_user": {Cluster: []string{"manage_enrich", "manage_ingest_pipelines", "monitor"},
			Indices: []IndexEntry{on(".enrich-*")("manage", "read", "write")}},
		"rollup_user":     {Cluster: []string{"monitor_rollup"}, Metadata: json.RawMessage(rollupMetadata)},
		"rollup_admin":    {Cluster: []string{"manage_rollup"}, Metadata: json.RawMessage(rollupMetadata)},
		"inference_admin": {Cluster: []string{"manage_inference"}},
	}
	for name, d := range ds {
		if d.Metadata == nil {
			d.Metadata = json.RawMessage(plainMetadata)
			ds[name] = d
		}
	}
	return ds
})

const bulkMonitoring = "cluster:admin/xpack/monitoring/bulk"

var transformNotes = on(".transform-notifications-*", ".data-frame-notifications-*")("view_index_metadata", "read")

// on makes an index entry: on(names...)(privileges...).
func on(names ...string) func(privileges ...string) IndexEntry {
	return func(privileges ...string) IndexEntry { return IndexEntry{Names: names, Privileges: privileges} }
}

func restrictedToo(e IndexEntry) IndexEntry {
	e.AllowRestricted = true
	return e
}

func kibana(application string, privilege string) []ApplicationEntry {
	return []ApplicationEntry{{Application: application, Privileges: []string{privilege}, Resources: []string{"*"}}}
}

func everywhere(entries []IndexEntry) []RemoteIndexEntry {
	out := make([]RemoteIndexEntry, len(entries))
	for i, e := range entries {
		out[i] = RemoteIndexEntry{e, []string{"*"}}
	}
	return out
}

func superuser() Descriptor {
	indices := []IndexEntry{on("*")("all"), restrictedToo(on("*")("monitor", "read", "view_index_metadata", "read_cross_cluster"))}
	return Descriptor{
		Cluster:       []string{"all"},
		Indices:       indices,
		Applications:  kibana("*", "*"),
		RunAs:         []string{"*"},
		RemoteIndices: everywhere(indices),
		RemoteCluster: []RemoteClusterEntry{{Privileges: remotePrivileges, Clusters: []string{"*"}}},
		bare:          true,
	}
}

func kibanaSystem() Descriptor {
	return Descriptor{
		Cluster: slices.Concat([]string{"monitor", "manage_index_templates", bulkMonitoring, "manage_saml", "manage_token", "manage_oidc",
			"manage_pipeline", "manage_ilm", "manage_transform", security + "api_key/invalidate", "grant_api_key", "manage_own_api_key",
			security + "privilege/builtin/get", "delegate_pki"},
			within(security+"profile/", "get", "activate", "suggest", "has_privileges"),
			[]string{"manage_ml", "cluster:admin/analyze", "monitor_text_structure", "cancel_task"}),
		Global: &Global{ManageApplications: []string{"kibana-*"}, WriteProfiles: []string{"kibana*"}},
		Indices: []IndexEntry{
			restrictedToo(on(".kibana*", ".reporting-*")("all")),
			on(".monitoring-*")("read", "read_cross_cluster"),
			on(".management-beats")("create_index", "read", "write"),
			on(".ml-anomalies*", ".ml-notifications*", ".ml-stats-*")("read"),
			on(".ml-annotations*")("read", "write"),
			restrictedToo(on(".apm-agent-configuration", ".apm-custom-link", ".apm-source-map", ".fleet*")("all")),
			on(".alerts*", ".internal.alerts*", ".preview.alerts*", ".internal.preview.alerts*", ".lists*", ".items*", ".siem-signals*")("all"),
		},
	}
}

// securityData are the indices of alerts and lists that viewers see beside the
// indices without a leading dot.
var securityData = []string{".alerts*", ".preview.alerts*", ".siem-signals*"}

var securityLists = []string{".lists-*", ".items-*", ".lists", ".items"}

const ordinaryIndices = "/~(([.]|ilm-history-).*)/"

func viewer() Descriptor {
	return Descriptor{
		Indices: []IndexEntry{
			on(ordinaryIndices)("read", "view_index_metadata"),
			on(slices.Concat(securityData, securityLists)...)("read", "view_index_metadata"),
		},
		Applications: kibana("kibana-.kibana", "read"),
	}
}

func editor() Descriptor {
	return Descriptor{
		Indices: []IndexEntry{
			on(ordinaryIndices)("read", "view_index_metadata"),
			on("observability-annotations")("read", "view_index_metadata", "write"),
			on(slices.Concat(securityData, securityLists)...)("read", "view_index_metadata", "write", "maintenance"),
		},
		Applications: kibana("kibana-.kibana", "all"),
	}
}

func monitoringUser() Descriptor {
	indices := []IndexEntry{on(".monitoring-*", "/metrics-(beats|elasticsearch|enterprisesearch|kibana|logstash).*/", "metricbeat-*")("read", "read_cross_cluster")}
	return Descriptor{
		Cluster:       []string{"cluster:monitor/main", "cluster:monitor/xpack/info", "cluster:monitor/remote/info"},
		Indices:       indices,
		Applications:  kibana("kibana-*", "reserved_monitoring"),
		RemoteIndices: everywhere(indices),
	}
}
