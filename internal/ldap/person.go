package ldap

import (
	"encoding/json"
	"slices"

	"github.com/go-ldap/ldap/v3"
)

// person is what the directory tells of a user. It does not change.
type person struct {
	dn       string
	groups   []string // DNs
	fullName *string
	email    *string
	metadata json.RawMessage
}

// attributes are those of a user that are read.
func (o *Options) attributes() []string {
	names := []string{"1.1"} // none, beside others without effect
	for _, name := range slices.Concat(o.Metadata, []string{o.FullNameAttribute, o.EmailAttribute, o.GroupUserAttribute}) {
		if name != "" {
			names = append(names, name)
		}
	}
	if !o.ActiveDirectory && o.GroupSearch.Base == "" {
		names = append(names, o.GroupAttribute)
	}
	if len(names) > 1 {
		names = names[1:]
	}
	return names
}

// newPerson is the user of an entry, with groups.
func (o *Options) newPerson(e *ldap.Entry, groups []string) (*person, error) {
	first := func(attribute string) *string {
		if values := e.GetEqualFoldAttributeValues(attribute); attribute != "" && len(values) > 0 {
			return &values[0]
		}
		return nil
	}
	if groups == nil {
		groups = []string{}
	}
	metadata := map[string]any{"ldap_dn": e.DN, "ldap_groups": groups}
	for _, name := range o.Metadata {
		switch values := e.GetEqualFoldAttributeValues(name); len(values) {
		case 0:
		case 1:
			metadata[name] = values[0]
		default:
			metadata[name] = values
		}
	}
	text, err := json.Marshal(metadata)
	return &person{dn: e.DN, groups: groups, fullName: first(o.FullNameAttribute), email: first(o.EmailAttribute), metadata: text}, err
}

// roles are those that p has: the mapped ones, those of the file, and the names
// of groups that the file does not mention, if those count. Each comes once.
func (r *Realm) roles(p *person, mapped []string) []string {
	all := slices.Clone(mapped)
	if r.o.FileRoles != nil {
		all = append(all, r.o.FileRoles.Roles(append([]string{p.dn}, p.groups...))...)
	}
	if r.o.UnmappedGroupsAsRoles {
		for _, g := range p.groups {
			if r.o.FileRoles != nil && r.o.FileRoles.Mentions(g) {
				continue
			}
			if dn, err := ldap.ParseDN(g); err == nil && len(dn.RDNs) > 0 {
				all = append(all, dn.RDNs[0].Attributes[0].Value)
			}
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	if all == nil {
		all = []string{}
	}
	return all
}
