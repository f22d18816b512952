// Package dnroles is the file role_mapping.yml: roles, and the distinguished
// names of the users and groups that have them. The realms of directories and of
// certificates ask it beside the mappings of the API.
package dnroles

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/go-ldap/ldap/v3"
	"go.yaml.in/yaml/v3"

	"latchkey/internal/watch"
)

// File is one such file. Until [File.Read] it has no roles. It is safe for
// concurrent use, but for Read.
type File struct {
	file  watch.File                          // only Read touches it
	roles atomic.Pointer[map[string][]string] // by normal form of the name; what was read together counts together
}

// New returns the file at path, which need not exist.
func New(path string) *File { return &File{file: watch.File{Path: path}} }

// Roles returns the roles that the file gives to any of the names, sorted.
func (f *File) Roles(dns []string) []string {
	roles := f.roles.Load()
	if roles == nil || len(*roles) == 0 {
		return nil
	}
	var all []string
	for _, dn := range dns {
		all = append(all, (*roles)[normal(dn)]...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Mentions reports whether the file gives a role to the name.
func (f *File) Mentions(dn string) bool {
	roles := f.roles.Load()
	return roles != nil && (*roles)[normal(dn)] != nil
}

// normal is the form in which names are compared: without letter case, and
// without the blanks that mean nothing. A text that is no name stays itself.
func normal(dn string) string {
	parsed, err := ldap.ParseDN(dn)
	if err != nil || len(parsed.RDNs) == 0 {
		return "\x00" + strings.ToLower(dn)
	}
	for _, rdn := range parsed.RDNs {
		slices.SortFunc(rdn.Attributes, func(a, b *ldap.AttributeTypeAndValue) int {
			return strings.Compare(strings.ToLower(a.String()), strings.ToLower(b.String()))
		})
	}
	return strings.ToLower(parsed.String())
}

// News tells what a changed file holds now.
type News struct {
	Path    string
	Names   int
	Skipped []string // why an entry does not count, one sentence each
}

// Read takes over the file if it has changed since the last look; else the news
// are nil. A file that is not there gives no roles. One that cannot be read or is
// no such YAML ends all its roles, and is an error, told once. One goroutine at a
// time may call it.
func (f *File) Read() (*News, error) {
	content, changed, err := f.file.Look()
	if !changed {
		return nil, nil
	}
	news := &News{Path: f.file.Path}
	roles := map[string][]string{}
	if err == nil {
		err = news.parse(content, roles)
	}
	if err != nil {
		f.roles.Store(nil)
		return nil, fmt.Errorf("read %s: %w", f.file.Path, err)
	}
	before := f.roles.Swap(&roles)
	if news.Names = len(roles); before == nil && len(content) == 0 {
		return nil, nil // as it is for most
	}
	return news, nil
}

// parse reads roles with lists of names.
func (n *News) parse(content []byte, into map[string][]string) error {
	var lists map[string][]string
	if err := yaml.Unmarshal(content, &lists); err != nil {
		return fmt.Errorf("it is no YAML of roles with lists of names: %w", err)
	}
	for _, role := range slices.Sorted(maps.Keys(lists)) {
		for _, dn := range lists[role] {
			if _, err := ldap.ParseDN(dn); err != nil || strings.TrimSpace(dn) == "" {
				n.Skipped = append(n.Skipped, fmt.Sprintf("%q of the role %s is no distinguished name", dn, role))
				continue
			}
			into[normal(dn)] = append(into[normal(dn)], role)
		}
	}
	return nil
}

// Watch reads the file again when it changes, until ctx ends, and tells report.
func (f *File) Watch(ctx context.Context, report func(*News, error)) error {
	return watch.Every(ctx, func() {
		if news, err := f.Read(); news != nil || err != nil {
			report(news, err)
		}
	})
}
