package role

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/watch"
	"latchkey/internal/xcontent"
)

// file is the roles of roles.yml: a map from names to descriptors, as the API
// takes them. They come before stored roles of the same name, and the API neither
// shows nor changes them.
type file struct {
	watch.File                                    // only ReadFile touches it
	roles      atomic.Pointer[access.Descriptors] // nil: none
}

func (f *file) role(name string) (access.Descriptor, bool) {
	roles := f.roles.Load()
	if roles == nil {
		return access.Descriptor{}, false
	}
	d, ok := (*roles)[name]
	return d, ok
}

// UseFile names the file of roles. It is called before anything else.
func (s *Service) UseFile(path string) { s.file.Path = path }

// FileNews tells what a changed file holds now.
type FileNews struct {
	Roles   int
	Skipped []string // why a role does not count, one sentence each
}

// ReadFile takes over the roles of the file if it has changed since the last
// look; else the news are nil. A file that is not there has no roles. One that
// cannot be read or is no YAML ends all its roles, and is an error, told once.
// One goroutine at a time may call it.
func (s *Service) ReadFile() (*FileNews, error) {
	content, changed, err := s.file.Look()
	if !changed {
		return nil, nil
	}
	before := s.file.roles.Load()
	var roles access.Descriptors
	var news *FileNews
	if err == nil {
		roles, news, err = parseFile(content)
	}
	s.file.roles.Store(&roles)
	names := slices.Collect(maps.Keys(roles))
	if before != nil {
		names = slices.AppendSeq(names, maps.Keys(*before))
	}
	s.named.Kill(names...)
	return news, err
}

func parseFile(content []byte) (access.Descriptors, *FileNews, error) {
	roles, news := access.Descriptors{}, &FileNews{}
	if empty(content) {
		return roles, news, nil
	}
	v, err := xcontent.ParseYAML(content)
	if err != nil {
		return nil, nil, err
	}
	if v.Kind != xcontent.Object {
		return nil, nil, errors.New("the file of roles must be a map from names of roles to what they are")
	}
	for _, m := range v.Members {
		skip := func(why string) {
			news.Skipped = append(news.Skipped, fmt.Sprintf("line %d: role [%s]: %s", m.Line, m.Name, why))
		}
		if isReserved(m.Name) {
			skip("the name is that of a built-in role")
			continue
		}
		d, err := access.ParseDescriptor(m.Name, m.Value, false)
		if err == nil {
			err = putProblems(m.Name, d).Err(fault.Invalid)
		}
		if err != nil {
			skip(err.Error())
			continue
		}
		roles[m.Name] = d
	}
	news.Roles = len(roles)
	return roles, news, nil
}

// empty reports whether nothing but comments stands in a file.
func empty(content []byte) bool {
	for line := range bytes.Lines(content) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' && !bytes.Equal(line, []byte("---")) {
			return false
		}
	}
	return true
}
