package access

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"

	"latchkey/internal/xcontent"
)

// Descriptor is what one role grants, as it was written (spec/identity.md 3.2,
// spec/api-keys.md 2.2). All of it is kept, also what latchkey does not enforce.
// The zero value is the empty descriptor. Treat one as a value: nobody changes
// what its slices hold.
type Descriptor struct {
	Cluster       []string
	Global        *Global
	Indices       []IndexEntry
	Applications  []ApplicationEntry
	RunAs         []string
	Metadata      json.RawMessage // a JSON object in compact form; empty means {}
	RemoteIndices []RemoteIndexEntry
	RemoteCluster []RemoteClusterEntry
	Workflows     []string // of the restriction; none means not restricted
	Description   string

	bare   bool // shown without an enabled flag, as superuser is
	forKey bool // parsed for an API key, which has one rule more
}

// IndexEntry grants privileges on indices.
type IndexEntry struct {
	Names           []string
	Privileges      []string
	FieldSecurity   *FieldSecurity
	Query           *string // JSON
	AllowRestricted bool
}

// FieldSecurity says which fields an entry reaches. Except is nil if it was not given.
type FieldSecurity struct{ Grant, Except []string }

// RemoteIndexEntry grants privileges on indices of remote clusters.
type RemoteIndexEntry struct {
	IndexEntry
	Clusters []string
}

// RemoteClusterEntry grants cluster privileges on remote clusters.
type RemoteClusterEntry struct{ Privileges, Clusters []string }

// ApplicationEntry grants privileges of an application on resources.
type ApplicationEntry struct {
	Application string
	Privileges  []string
	Resources   []string
}

// Global holds the privileges that look at what a request is about
// (spec/identity.md 4.5). Nil means that a category grants nothing.
type Global struct {
	ManageApplications []string      // application.manage.applications
	WriteProfiles      []string      // profile.write.applications
	ManageRoles        []GlobalIndex // role.manage.indices
	DataSources        json.RawMessage
}

// GlobalIndex bounds the roles that a holder of role.manage may write.
type GlobalIndex struct{ Names, Privileges []string }

// IsEmpty reports whether d has no content at all.
func (d Descriptor) IsEmpty() bool {
	return len(d.Cluster)+len(d.Indices)+len(d.Applications)+len(d.RunAs)+len(d.RemoteIndices)+len(d.RemoteCluster)+len(d.Workflows) == 0 &&
		d.Global == nil && (len(d.Metadata) == 0 || string(d.Metadata) == "{}") && d.Description == ""
}

// Restricted reports whether d is good for some workflows only.
func (d Descriptor) Restricted() bool { return len(d.Workflows) > 0 }

// WithoutDescription returns d as the snapshot of a key's owner holds it.
func (d Descriptor) WithoutDescription() Descriptor {
	d.Description = ""
	return d
}

// Descriptors are descriptors by role name.
type Descriptors map[string]Descriptor

const maxDescription = 1000 // characters

// maxProblems bounds how much is said about one descriptor: a stranger chooses
// how many problems there are, and some take a long sentence.
const maxProblems = 100

const (
	maxDescriptors = 1000    // of one request
	maxEntries     = 10_000  // of one kind in one descriptor
	maxSize        = 1 << 20 // bytes, of a role or of all that is assigned to one key, in normal form
)

// Problems returns what makes d unfit for use under the given name, the name
// included: all that is reported together when a role is put or a key is made
// (spec/identity.md 3.4, spec/api-keys.md 2.2). That a name is reserved is for
// callers to say.
func (d Descriptor) Problems(name string) []string { return Descriptors{name: d}.Problems() }

// Problems returns what makes ds unfit to be assigned together, and the problems
// of each of them in order of name; it stops when there are very many.
func (ds Descriptors) Problems() []string {
	_, problems := ds.Checked()
	return problems
}

// Checked returns ds as it is stored, unless there are [Descriptors.Problems].
func (ds Descriptors) Checked() (RoleSet, []string) {
	var all []string
	if n := len(ds); n > maxDescriptors {
		return RoleSet{}, []string{fmt.Sprintf("there are %d role descriptors, but at most %d are allowed", n, maxDescriptors)}
	}
	set := ds.RoleSet()
	if n := len(set.Body); n > maxSize {
		all = append(all, fmt.Sprintf("the role descriptors take %d bytes together, but at most %d are allowed", n, maxSize))
	}
	for _, name := range ds.names() {
		if all = append(all, ds[name].problems(name)...); len(all) > maxProblems {
			break
		}
	}
	if len(all) > 0 {
		return RoleSet{}, all
	}
	return set, nil
}

func (d Descriptor) problems(name string) []string {
	var all []string
	note := func(problem string) {
		switch {
		case problem == "" || len(all) > maxProblems:
		case len(all) == maxProblems:
			all = append(all, fmt.Sprintf("role [%s] has further problems", shorten(name)))
		default:
			all = append(all, problem)
		}
	}
	note(NameProblem("role name", name))
	for _, p := range d.Cluster {
		if _, err := clusterGrant(p); err != nil {
			note(err.Error())
		}
		if len(all) > maxProblems {
			break
		}
	}
	for _, e := range d.Indices {
		d.indexProblems(e, note)
	}
	for _, e := range d.RemoteIndices {
		d.indexProblems(e.IndexEntry, note)
		note(aliasProblem("remote_indices", e.Clusters))
	}
	for _, e := range d.RemoteCluster {
		for _, p := range e.Privileges {
			if !slices.Contains(remotePrivileges, strings.ToLower(p)) {
				note(fmt.Sprintf("[remote_cluster] cannot grant [%s]. Its privileges are %s", shorten(p), list(remotePrivileges)))
			}
		}
		note(aliasProblem("remote_cluster", e.Clusters))
	}
	for _, a := range d.Applications {
		note(applicationProblem(a.Application))
		for _, p := range a.Privileges {
			note(applicationPrivilegeProblem(p))
		}
	}
	note(metadataProblem(d.Metadata))
	for _, w := range d.Workflows {
		if !slices.Contains(workflows, w) {
			note(fmt.Sprintf("unknown workflow [%s]. The workflows are %s", shorten(w), list(workflows)))
		}
	}
	if n := len(utf16.Encode([]rune(d.Description))); n > maxDescription {
		note(fmt.Sprintf("the description is %d characters long, but at most %d are allowed", n, maxDescription))
	}
	return all
}

func (d Descriptor) indexProblems(e IndexEntry, note func(string)) {
	seen := map[string]bool{}
	for _, p := range e.Privileges {
		note(indexPrivilegeProblem(p))
		name := strings.ToLower(p)
		if d.forKey && seen[name] {
			note(fmt.Sprintf("the index privilege [%s] is named more than once for the indices [%s]", p, shorten(strings.Join(e.Names, ","))))
		}
		seen[name] = true
	}
}

func aliasProblem(field string, clusters []string) string {
	if slices.Contains(clusters, "") {
		return fmt.Sprintf("[%s] names a remote cluster with an empty alias", field)
	}
	return ""
}

func metadataProblem(metadata json.RawMessage) string {
	if len(metadata) == 0 {
		return ""
	}
	v, err := xcontent.ParseOwn(metadata)
	if err != nil {
		return "the metadata cannot be read: " + err.Error()
	}
	for _, m := range v.Members {
		if strings.HasPrefix(m.Name, "_") {
			return fmt.Sprintf("metadata keys that start with [_] are reserved, but there is [%s]", m.Name)
		}
	}
	return ""
}
