package serviceaccount

import (
	"encoding/json"
	"sync"

	"latchkey/internal/access"
)

// account is a built-in service account, in the forms that requests need.
type account struct {
	principal   string // namespace/service
	fullName    string
	descriptor  access.Descriptor
	permissions access.Permissions
	snapshot    access.RoleSet
}

// namespace is the only one with accounts.
const namespace = "elastic"

// accounts holds the accounts of spec/identity.md 7.1 by principal.
var accounts = sync.OnceValue(func() map[string]*account {
	kibana, _ := access.Reserved("kibana_system")
	all := make(map[string]*account)
	for service, d := range map[string]access.Descriptor{
		"auto-ops":     autoOps(),
		"fleet-server": fleetServer(),
		"fleet-server-remote": {
			Cluster: []string{"monitor", "manage_own_api_key"},
			Indices: []access.IndexEntry{on("logs-*", "metrics-*", "traces-*")("write", "create_index", "auto_configure")},
		},
		"kibana": kibana,
	} {
		principal := namespace + "/" + service
		all[principal] = &account{
			principal: principal, fullName: "Service account - " + principal, descriptor: d,
			permissions: access.NewPermissions(nil, nil, access.NewRole(d)),
			snapshot:    access.Descriptors{principal: d}.RoleSet(),
		}
	}
	return all
})

func autoOps() access.Descriptor {
	return access.Descriptor{
		Cluster: []string{"monitor", "read_ilm", "read_slm"},
		Indices: []access.IndexEntry{restrictedToo(on("*")("monitor", "view_index_metadata"))},
	}
}

func fleetServer() access.Descriptor {
	manage := []string{"read", "write", "monitor", "create_index", "auto_configure", "maintenance"}
	indices := []access.IndexEntry{
		on("logs-*", "metrics-*", "traces-*", ".logs-endpoint.diagnostic.collection-*", ".logs-endpoint.action.responses-*",
			".logs-endpoint.heartbeat-*")("write", "create_index", "auto_configure"),
		on("profiling-*")("read", "write"),
		on("traces-apm.sampled-*")("read", "monitor", "maintenance"),
		restrictedToo(on(".fleet-secrets*")("read")),
	}
	for _, name := range []string{".fleet-actions*", ".fleet-agents*", ".fleet-artifacts*", ".fleet-enrollment-api-keys*", ".fleet-policies*",
		".fleet-policies-leader*", ".fleet-servers*", ".fleet-fileds*"} {
		indices = append(indices, restrictedToo(on(name)(manage...)))
	}
	indices = append(indices, on("synthetics-*")("read", "write", "create_index", "auto_configure"))
	for _, names := range [][]string{{".elastic-connectors*"}, {"content-*", ".search-acl-filter-*"}, {"agentless-*"}} {
		indices = append(indices, on(names...)(append(manage[:len(manage):len(manage)], "view_index_metadata")...))
	}
	return access.Descriptor{
		Cluster:      []string{"monitor", "manage_own_api_key", "read_fleet_secrets", "cluster:admin/xpack/connector/*"},
		Indices:      indices,
		Applications: []access.ApplicationEntry{{Application: "kibana-*", Privileges: []string{"reserved_fleet-setup"}, Resources: []string{"*"}}},
	}
}

// on makes an index entry: on(names...)(privileges...).
func on(names ...string) func(privileges ...string) access.IndexEntry {
	return func(privileges ...string) access.IndexEntry {
		return access.IndexEntry{Names: names, Privileges: privileges}
	}
}

func restrictedToo(e access.IndexEntry) access.IndexEntry {
	e.AllowRestricted = true
	return e
}

var metadata = json.RawMessage(`{"_elastic_service_account":true}`)

// Where a token is kept, as GET /_security/_authenticate tells it.
const (
	indexToken = "_service_account_index"
	fileToken  = "_service_account_file"
)

// caller is the account as somebody who shows its token of that name.
func (a *account) caller(name, kind string) access.Caller {
	return access.Caller{
		Type: access.ByToken,
		Subject: access.Subject{
			Username: a.principal, FullName: &a.fullName, Metadata: metadata, Realm: access.ServiceAccountRealm,
			Service:     &access.ServiceAccount{Snapshot: a.snapshot, TokenName: name, TokenType: kind},
			Permissions: a.permissions,
		},
	}
}
