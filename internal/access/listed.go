package access

import (
	"slices"
	"strings"

	"latchkey/internal/fault"
	"latchkey/internal/xcontent"
)

// ClusterPrivileges, IndexPrivileges and RemoteClusterPrivileges return the names
// of the privileges that there are, sorted.
func ClusterPrivileges() []string {
	names := make([]string, len(clusterPrivileges))
	for i, p := range clusterPrivileges {
		names[i] = p.name
	}
	return sortedSet(names)
}

func IndexPrivileges() []string { return sortedSet(indexPrivilegeNames) }

func RemoteClusterPrivileges() []string { return sortedSet(remotePrivileges) }

// List returns all that p holds as GET /_security/user/_privileges shows it
// (spec/identity.md 5.3), compact. What is the common part of several roles cannot be
// listed: fault.Argument.
func (p Permissions) List() ([]byte, error) {
	sides := p.get().sides
	if len(sides) > 1 {
		return nil, fault.New(fault.Argument, "the privileges of an API key with role descriptors of its own cannot be listed. "+
			"Use the get API key API with the parameter [with_limited_by] to see both its descriptors and those of its owner")
	}
	var ds []Descriptor
	for _, r := range sides {
		ds = r.of
	}
	var cluster, runAs []string
	var remote []RemoteClusterEntry
	global := xcontent.Value{Kind: xcontent.Array}
	for _, d := range ds {
		for _, name := range d.Cluster {
			cluster = append(cluster, strings.ToLower(name))
		}
		runAs, remote = append(runAs, d.RunAs...), append(remote, d.RemoteCluster...)
		if d.Global != nil {
			global.Items = append(global.Items, d.Global.parts()...)
		}
	}
	v := object(
		member("cluster", texts(sortedSet(cluster))),
		member("global", distinct(global)),
		member("indices", array(mergeIndices(ds), (*mergedIndices).value)),
		member("applications", array(mergeApplications(ds), ApplicationEntry.value)),
		member("run_as", texts(sortedSet(runAs))))
	if all := mergeRemoteIndices(ds); len(all) > 0 {
		v.Members = append(v.Members, member("remote_indices", array(all, (*mergedIndices).value)))
	}
	if len(remote) > 0 {
		v.Members = append(v.Members, member("remote_cluster", distinct(array(remote, RemoteClusterEntry.value))))
	}
	return v.JSON(), nil
}

// parts is every grant of g as an object of its own.
func (g *Global) parts() []xcontent.Value {
	var parts []xcontent.Value
	add := func(given bool, name, act, what string, content xcontent.Value) {
		if given {
			parts = append(parts, object(member(name, object(member(act, object(member(what, content)))))))
		}
	}
	add(g.ManageApplications != nil, "application", "manage", "applications", texts(g.ManageApplications))
	add(g.WriteProfiles != nil, "profile", "write", "applications", texts(g.WriteProfiles))
	add(g.ManageRoles != nil, "role", "manage", "indices", array(g.ManageRoles, GlobalIndex.value))
	if g.DataSources != nil {
		parts = append(parts, object(member("data_source", raw(g.DataSources))))
	}
	return parts
}

// distinct is list without repetitions.
func distinct(list xcontent.Value) xcontent.Value {
	seen := map[string]bool{}
	list.Items = slices.DeleteFunc(list.Items, func(v xcontent.Value) bool {
		text := string(v.JSON())
		was := seen[text]
		seen[text] = true
		return was
	})
	return list
}

func (e *mergedIndices) value() xcontent.Value {
	v := object(member("names", texts(e.names)), member("privileges", texts(e.privileges)))
	if len(e.fields) > 0 {
		v.Members = append(v.Members, member("field_security", array(e.fields, (*FieldSecurity).value)))
	}
	if len(e.queries) > 0 {
		v.Members = append(v.Members, member("query", texts(e.queries)))
	}
	v.Members = append(v.Members, member("allow_restricted_indices", boolean(e.restricted)))
	if e.clusters != nil {
		v.Members = append(v.Members, member("clusters", texts(e.clusters)))
	}
	return v
}
