package access

import (
	"slices"

	"latchkey/internal/fault"
	"latchkey/internal/xcontent"
)

// CrossClusterAccess is what a cross-cluster key lets another cluster do
// (spec/api-keys.md 2.6). Its entries have no privileges of their own. The zero
// value allows nothing.
type CrossClusterAccess struct{ Search, Replication []IndexEntry }

// crossCluster names the one descriptor of a cross-cluster key.
const crossCluster = "cross_cluster"

var (
	searchCluster, replicationCluster = []string{"cross_cluster_search", "monitor_enrich"}, []string{"cross_cluster_replication"}

	searchIndices      = []string{"read", "read_cross_cluster", "view_index_metadata"}
	replicationIndices = []string{"cross_cluster_replication", "cross_cluster_replication_internal"}
)

// ParseCrossClusterAccess reads the access that a request gives to a key. What is
// wrong with its structure is fault.Malformed; entries that do not go together, none
// at all, patterns that cannot be compiled and too many of anything are fault.Argument.
func ParseCrossClusterAccess(v xcontent.Value) (CrossClusterAccess, error) {
	p := newParser(forKey)
	p.name = crossCluster
	var a CrossClusterAccess
	if err := v.Read("access", xcontent.Fields{"search": listOf(&a.Search, p.reach), "replication": listOf(&a.Replication, p.reach)}); err != nil {
		return a, err
	}
	err := a.rules()
	if err == nil {
		err = p.tooMany(a.descriptor())
	}
	if err == nil {
		err = p.compile(a.descriptor())
	}
	return a, err
}

// reach reads an entry, which is one of indices without privileges.
func (p *Parser) reach(v xcontent.Value) (IndexEntry, error) {
	var e IndexEntry
	const where = " of [access]"
	of := p.indexFields(&e)
	delete(of, "privileges")
	err := p.read(where, v, of)
	if err == nil {
		err = p.require(where, v, "names")
	}
	p.patterns = append(p.patterns, e.Names...)
	return e, err
}

func (a CrossClusterAccess) rules() error {
	if len(a.Search)+len(a.Replication) == 0 {
		return fault.New(fault.Argument, "[access] must have entries in [search] or in [replication]")
	}
	limited := func(e IndexEntry) bool { return e.Query != nil || e.FieldSecurity != nil }
	if slices.ContainsFunc(a.Replication, limited) {
		return fault.New(fault.Argument, "[replication] copies whole documents, so its entries cannot have [query] or [field_security]")
	}
	if len(a.Replication) > 0 && slices.ContainsFunc(a.Search, limited) {
		return fault.New(fault.Argument, "the entries of [search] cannot have [query] or [field_security] beside [replication], which copies whole documents")
	}
	return nil
}

// Descriptors returns a as a key carries it: translated into one descriptor.
func (a CrossClusterAccess) Descriptors() Descriptors {
	return Descriptors{crossCluster: a.descriptor()}
}

func (a CrossClusterAccess) descriptor() Descriptor {
	var d Descriptor
	add := func(cluster, indices []string, entries []IndexEntry) {
		if len(entries) > 0 {
			d.Cluster = append(d.Cluster, cluster...)
		}
		for _, e := range entries {
			e.Privileges = indices
			d.Indices = append(d.Indices, e)
		}
	}
	add(searchCluster, searchIndices, a.Search)
	add(replicationCluster, replicationIndices, a.Replication)
	return d
}

// CrossClusterAccess returns the access of which [CrossClusterAccess.Descriptors]
// made ds.
func (ds Descriptors) CrossClusterAccess() CrossClusterAccess {
	var a CrossClusterAccess
	for _, e := range ds[crossCluster].Indices {
		of := &a.Search
		if slices.Contains(e.Privileges, replicationIndices[0]) {
			of = &a.Replication
		}
		e.Privileges = nil
		*of = append(*of, e)
	}
	return a
}

// JSON returns a in normal form, compact: each entry as in a descriptor, but for
// its privileges. What it is read from again is the same access.
func (a CrossClusterAccess) JSON() []byte {
	v := object()
	add := func(name string, entries []IndexEntry) {
		if len(entries) > 0 {
			v.Members = append(v.Members, member(name, array(entries, func(e IndexEntry) xcontent.Value {
				return object(slices.DeleteFunc(e.members(), func(m xcontent.Member) bool { return m.Name == "privileges" })...)
			})))
		}
	}
	add("search", a.Search)
	add("replication", a.Replication)
	return v.JSON()
}
