package access

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"latchkey/internal/fault"
	"latchkey/internal/xcontent"
)

// The builders below lay out the normal form of a descriptor: the order of its
// members is part of the protocol, so it is spelled out here.

func object(members ...xcontent.Member) xcontent.Value {
	return xcontent.Value{Kind: xcontent.Object, Members: members}
}

func member(name string, v xcontent.Value) xcontent.Member {
	return xcontent.Member{Name: name, Value: v}
}

func text(s string) xcontent.Value { return xcontent.Value{Kind: xcontent.String, Text: s} }

func boolean(b bool) xcontent.Value {
	return xcontent.Value{Kind: xcontent.Bool, Text: strconv.FormatBool(b)}
}

func array[T any](items []T, show func(T) xcontent.Value) xcontent.Value {
	v := xcontent.Value{Kind: xcontent.Array}
	if len(items) > 0 {
		v.Items = make([]xcontent.Value, 0, len(items))
	}
	for _, e := range items {
		v.Items = append(v.Items, show(e))
	}
	return v
}

func texts(items []string) xcontent.Value { return array(items, text) }

// raw reads JSON that was parsed before, so it can fail only for want of any.
func raw(b json.RawMessage) xcontent.Value {
	if len(b) <= len("{}") {
		return object()
	}
	v, err := xcontent.ParseOwn(b)
	if err != nil {
		return object()
	}
	return v
}

// JSON returns d in the normal form of spec/api-keys.md 2.2 and
// spec/identity.md 3.3, compact.
func (d Descriptor) JSON() []byte { return d.value().JSON() }

func (d Descriptor) value() xcontent.Value {
	v := xcontent.Value{Kind: xcontent.Object, Members: make([]xcontent.Member, 0, 6)}
	add := func(name string, e xcontent.Value) { v.Members = append(v.Members, member(name, e)) }
	add("cluster", texts(d.Cluster))
	if d.Global != nil {
		add("global", d.Global.value())
	}
	add("indices", array(d.Indices, func(e IndexEntry) xcontent.Value { return object(e.members()...) }))
	add("applications", array(d.Applications, ApplicationEntry.value))
	add("run_as", texts(d.RunAs))
	add("metadata", raw(d.Metadata))
	if d.bare {
		add("transient_metadata", object())
	} else {
		add("transient_metadata", object(member("enabled", boolean(true))))
	}
	if len(d.RemoteIndices) > 0 {
		add("remote_indices", array(d.RemoteIndices, func(e RemoteIndexEntry) xcontent.Value {
			return object(append(e.members(), member("clusters", texts(e.Clusters)))...)
		}))
	}
	if len(d.RemoteCluster) > 0 {
		add("remote_cluster", array(d.RemoteCluster, RemoteClusterEntry.value))
	}
	if d.Restricted() {
		add("restriction", object(member("workflows", texts(d.Workflows))))
	}
	if d.Description != "" {
		add("description", text(d.Description))
	}
	return v
}

func (e IndexEntry) members() []xcontent.Member {
	m := []xcontent.Member{member("names", texts(e.Names)), member("privileges", texts(e.Privileges))}
	if e.FieldSecurity != nil {
		m = append(m, member("field_security", e.FieldSecurity.value()))
	}
	if e.Query != nil {
		m = append(m, member("query", text(*e.Query)))
	}
	return append(m, member("allow_restricted_indices", boolean(e.AllowRestricted)))
}

func (f *FieldSecurity) value() xcontent.Value {
	fields := object(member("grant", texts(f.Grant)))
	if f.Except != nil {
		fields.Members = append(fields.Members, member("except", texts(f.Except)))
	}
	return fields
}

func (a ApplicationEntry) value() xcontent.Value {
	return object(member("application", text(a.Application)), member("privileges", texts(a.Privileges)), member("resources", texts(a.Resources)))
}

func (e RemoteClusterEntry) value() xcontent.Value {
	return object(member("privileges", texts(e.Privileges)), member("clusters", texts(e.Clusters)))
}

func (e GlobalIndex) value() xcontent.Value {
	return object(member("names", texts(e.Names)), member("privileges", texts(e.Privileges)))
}

func (g *Global) value() xcontent.Value {
	category := func(given bool, act, what string, content xcontent.Value) xcontent.Value {
		if !given {
			return object()
		}
		return object(member(act, object(member(what, content))))
	}
	v := object(
		member("application", category(g.ManageApplications != nil, "manage", "applications", texts(g.ManageApplications))),
		member("profile", category(g.WriteProfiles != nil, "write", "applications", texts(g.WriteProfiles))),
		member("role", category(g.ManageRoles != nil, "manage", "indices", array(g.ManageRoles, GlobalIndex.value))))
	if g.DataSources != nil {
		v.Members = append(v.Members, member("data_source", raw(g.DataSources)))
	}
	return v
}

func (ds Descriptors) names() []string { return slices.Sorted(maps.Keys(ds)) }

// Canonical returns ds as one JSON object, the same bytes for the same
// descriptors: names sorted, each descriptor in its normal form. It is what is
// stored; [DecodeDescriptors] reads it back.
func (ds Descriptors) Canonical() []byte {
	v := xcontent.Value{Kind: xcontent.Object, Members: make([]xcontent.Member, 0, len(ds))}
	for _, name := range ds.names() {
		v.Members = append(v.Members, member(name, ds[name].value()))
	}
	return v.JSON()
}

// Digest addresses a [RoleSet]: the SHA-256 of its body.
type Digest [sha256.Size]byte

// RoleSet is descriptors as they are stored, for all who carry the same.
type RoleSet struct {
	Digest Digest
	Body   []byte // what [Descriptors.Canonical] returned
}

// RoleSet returns ds as it is stored.
func (ds Descriptors) RoleSet() RoleSet {
	body := ds.Canonical()
	return RoleSet{sha256.Sum256(body), body}
}

// DecodeDescriptors reads what [Descriptors.Canonical] wrote. An error means that
// the stored bytes are damaged.
func DecodeDescriptors(b []byte) (Descriptors, error) {
	v, err := xcontent.ParseOwn(b)
	if err != nil {
		return nil, fmt.Errorf("stored role descriptors: %s", err)
	}
	if v.Kind != xcontent.Object {
		return nil, fmt.Errorf("stored role descriptors are no object")
	}
	ds := make(Descriptors, len(v.Members))
	p := newParser(stored)
	for _, m := range v.Members {
		d, err := p.Parse(m.Name, m.Value)
		if err != nil {
			return nil, fmt.Errorf("stored role descriptors: %s", err)
		}
		ds[m.Name] = d
	}
	return ds, nil
}

// structure is the refusal of a descriptor's shape.
func structure(name, format string, args ...any) error {
	return fault.New(fault.Structure, "failed to parse role [%s]. %s", shorten(name), fmt.Sprintf(format, args...))
}
