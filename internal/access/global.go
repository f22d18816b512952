package access

import (
	"slices"
	"strings"
)

// allowsGlobally reports whether one of the privileges that look at what a request
// is about covers r (spec/identity.md 4.5).
func (r *Role) allowsGlobally(req Request) bool {
	action, ok := strings.CutPrefix(req.Action, security)
	if !ok {
		return false
	}
	work := &effort{left: 8, steps: checkSteps / 10}
	return slices.ContainsFunc(r.of, func(d Descriptor) bool {
		g := d.Global
		if g == nil {
			return false
		}
		switch action {
		case "privilege/get", "privilege/put", "privilege/delete":
			return allCovered(g.ManageApplications, req.Applications, work)
		case "profile/put/data":
			return allCovered(g.WriteProfiles, req.ProfileKeys, work)
		case "role/put", "role/delete", "role/bulk_put", "role/bulk_delete":
			return g.ManageRoles != nil && req.Roles != nil && withinIndices(g.ManageRoles, req.Roles)
		}
		return false
	})
}

// allCovered reports whether each of names, of which there must be one, is covered
// by granted.
func allCovered(granted, names []string, work *effort) bool {
	if len(granted) == 0 || len(names) == 0 {
		return false
	}
	set := []*patterns{newPatterns(granted, func(int) {})}
	return !slices.ContainsFunc(names, func(name string) bool { return !covered(set, name, work) })
}

// withinIndices reports whether roles grant privileges on indices alone, and none
// that granted does not have.
func withinIndices(granted []GlobalIndex, roles []Descriptor) bool {
	var bound Descriptor
	for _, g := range granted {
		bound.Indices = append(bound.Indices, IndexEntry{Names: g.Names, Privileges: g.Privileges})
	}
	p := NewPermissions(nil, nil, NewRole(bound))
	for _, d := range roles {
		if len(d.Cluster)+len(d.Applications)+len(d.RunAs)+len(d.RemoteIndices)+len(d.RemoteCluster)+len(d.Workflows) > 0 || d.Global != nil {
			return false
		}
		var c Check
		for _, e := range d.Indices {
			c.Indices = append(c.Indices, IndexCheck{e.Names, e.Privileges, e.AllowRestricted})
		}
		if checked, err := p.Check(c, nil); err != nil || !checked.All {
			return false
		}
	}
	return true
}
