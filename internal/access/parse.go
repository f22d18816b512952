package access

import (
	"encoding/json"
	"errors"
	"strings"

	"latchkey/internal/fault"
	"latchkey/internal/pattern"
	"latchkey/internal/xcontent"
)

// use is what a descriptor is parsed for; the fields that it may have differ.
type use uint8

const (
	forRole use = iota
	forKey
	stored // by us: checked before
)

// ParseDescriptor is [Parser.Parse] for one descriptor alone.
func ParseDescriptor(name string, v xcontent.Value, isForKey bool) (Descriptor, error) {
	return NewParser(isForKey).Parse(name, v)
}

// Parser reads the descriptors of one request, whose patterns share one bound on
// work. It is not safe for concurrent use.
type Parser struct {
	use      use
	compiler *pattern.Compiler
	parsed   int      // descriptors
	name     string   // of the descriptor being read
	patterns []string // of it, to be compiled at its end
}

// NewParser returns a Parser of descriptors of roles or (forKey) of API keys.
func NewParser(isForKey bool) *Parser {
	if isForKey {
		return newParser(forKey)
	}
	return newParser(forRole)
}

func newParser(u use) *Parser { return &Parser{use: u, compiler: pattern.NewCompiler()} }

type fields map[string]func(xcontent.Value) error

// Parse reads the descriptor called name. What is wrong with its structure is
// fault.Structure; inside global and applications it is fault.Malformed; a pattern
// that cannot be compiled, a query that a role cannot have and too many of anything
// are fault.Argument. What its values say is left to [Descriptor.Problems].
func (p *Parser) Parse(name string, v xcontent.Value) (Descriptor, error) {
	p.name, p.patterns = name, nil
	d := Descriptor{forKey: p.use == forKey}
	indices := listOf(&d.Indices, p.index)
	applications := listOf(&d.Applications, p.application)
	of := fields{
		"cluster":            orNull(toArray(&d.Cluster)),
		"run_as":             orNull(toArray(&d.RunAs)),
		"indices":            indices,
		"index":              indices,
		"applications":       applications,
		"application":        applications,
		"global":             p.global(&d.Global),
		"metadata":           toRaw(&d.Metadata),
		"transient_metadata": p.transient(&d.bare),
		"remote_indices":     listOf(&d.RemoteIndices, p.remoteIndex),
		"remote_cluster":     listOf(&d.RemoteCluster, p.remoteCluster),
		"type":               scalar,
	}
	if p.use != forRole {
		of["restriction"] = p.restriction(&d.Workflows)
	}
	if p.use != forKey {
		of["description"] = xcontent.ToString(&d.Description)
	}
	if err := p.read("", v, of); err != nil {
		return Descriptor{}, err
	}
	for _, alias := range [][2]string{{"index", "indices"}, {"application", "applications"}} {
		_, short := v.Get(alias[0])
		if _, long := v.Get(alias[1]); short && long {
			return Descriptor{}, structure(name, "field [%s] is another name of [%s], so only one of them may be given", alias[0], alias[1])
		}
	}
	if p.use == stored {
		return d, nil
	}
	if err := p.tooMany(d); err != nil {
		return Descriptor{}, err
	}
	return d, p.compile(d)
}

// tooMany refuses what would be slow to load ever after.
func (p *Parser) tooMany(d Descriptor) error {
	if p.parsed++; p.parsed > maxDescriptors {
		return fault.New(fault.Argument, "at most %d role descriptors are allowed in one request", maxDescriptors)
	}
	for _, of := range []struct {
		field string
		n     int
	}{
		{"cluster", len(d.Cluster)}, {"indices", len(d.Indices)}, {"applications", len(d.Applications)}, {"run_as", len(d.RunAs)},
		{"remote_indices", len(d.RemoteIndices)}, {"remote_cluster", len(d.RemoteCluster)},
	} {
		if of.n > maxEntries {
			return fault.New(fault.Argument, "role [%s]: field [%s] has %d entries, but at most %d are allowed", shorten(p.name), of.field, of.n, maxEntries)
		}
	}
	return nil
}

// compile refuses the patterns of d that [NewRole] could not use.
func (p *Parser) compile(d Descriptor) error {
	for _, name := range d.Cluster {
		if name = strings.ToLower(name); isActionPattern(name) {
			p.patterns = append(p.patterns, name+"*")
		}
	}
	for _, text := range append(p.patterns, d.RunAs...) {
		if _, err := p.compiler.Parse(text); err != nil {
			return err
		}
	}
	return nil
}

// read hands every member of v to its field. Where says which part of the
// descriptor v is, as in " of [indices]".
func (p *Parser) read(where string, v xcontent.Value, of fields) error {
	if v.Kind != xcontent.Object {
		return structure(p.name, "the content%s %s", where, v.Mismatch("an object"))
	}
	for _, m := range v.Members {
		field, ok := of[m.Name]
		if !ok {
			return structure(p.name, "unexpected field [%s]%s%s", m.Name, where, xcontent.DidYouMean(m.Name, of))
		}
		err := field(m.Value)
		if _, ok := errors.AsType[*fault.Error](err); err != nil && !ok {
			err = structure(p.name, "field [%s]%s %s", m.Name, where, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// require refuses v if it lacks one of names.
func (p *Parser) require(where string, v xcontent.Value, names ...string) error {
	for _, name := range names {
		if _, ok := v.Get(name); !ok {
			return structure(p.name, "missing required field [%s]%s", name, where)
		}
	}
	return nil
}

func (p *Parser) index(v xcontent.Value) (IndexEntry, error) {
	var e IndexEntry
	const where = " of [indices]"
	err := p.read(where, v, p.indexFields(&e))
	if err == nil {
		err = p.indexRules(where, v, e)
	}
	return e, err
}

func (p *Parser) indexFields(e *IndexEntry) fields {
	return fields{
		"names": func(v xcontent.Value) error {
			if v.Kind == xcontent.Array && len(v.Items) == 0 {
				return errors.New("must name at least one index, but is empty")
			}
			return xcontent.ToStrings(&e.Names)(v)
		},
		"privileges":               orNull(toArray(&e.Privileges)),
		"field_security":           p.fieldSecurity(e),
		"query":                    p.query(e),
		"allow_restricted_indices": strictBool(&e.AllowRestricted),
		"transient_metadata":       p.transient(new(bool)),
		"fields": func(xcontent.Value) error {
			return errors.New("is an old form that is no longer read; write [field_security] with [grant] and [except]")
		},
	}
}

// indexRules is what the fields of an index entry must keep together.
func (p *Parser) indexRules(where string, v xcontent.Value, e IndexEntry) error {
	if err := p.require(where, v, "names", "privileges"); err != nil {
		return err
	}
	if e.Privileges == nil {
		return structure(p.name, "missing required field [privileges]%s", where)
	}
	if len(e.Privileges) == 0 {
		return structure(p.name, "field [privileges]%s must name at least one privilege, but is empty", where)
	}
	p.patterns = append(p.patterns, e.Names...)
	for _, name := range e.Privileges {
		if name = strings.ToLower(name); isIndexActions(name) {
			p.patterns = append(p.patterns, name+"*")
		}
	}
	return nil
}

func (p *Parser) remoteIndex(v xcontent.Value) (RemoteIndexEntry, error) {
	var e RemoteIndexEntry
	const where = " of [remote_indices]"
	of := p.indexFields(&e.IndexEntry)
	of["clusters"] = toArray(&e.Clusters)
	err := p.read(where, v, of)
	if err == nil {
		err = p.indexRules(where, v, e.IndexEntry)
	}
	if err == nil {
		err = p.require(where, v, "clusters")
	}
	if err == nil && len(e.Clusters) == 0 {
		err = structure(p.name, "field [clusters]%s must name at least one cluster, but is empty", where)
	}
	return e, err
}

func (p *Parser) remoteCluster(v xcontent.Value) (RemoteClusterEntry, error) {
	var e RemoteClusterEntry
	const where = " of [remote_cluster]"
	if err := p.read(where, v, fields{"privileges": toArray(&e.Privileges), "clusters": toArray(&e.Clusters)}); err != nil {
		return e, err
	}
	if len(v.Members) > 0 {
		if err := p.require(where, v, "privileges", "clusters"); err != nil {
			return e, err
		}
	}
	if len(e.Privileges) == 0 || len(e.Clusters) == 0 {
		return e, fault.New(fault.Argument, "role [%s]: an entry of [remote_cluster] must name at least one privilege and one cluster", shorten(p.name))
	}
	return e, nil
}

func (p *Parser) fieldSecurity(e *IndexEntry) func(xcontent.Value) error {
	return func(v xcontent.Value) error {
		const where = " of [field_security]"
		f := &FieldSecurity{}
		if err := p.read(where, v, fields{"grant": toArray(&f.Grant), "except": toArray(&f.Except)}); err != nil {
			return err
		}
		e.FieldSecurity = f
		switch {
		case len(v.Members) == 0:
			return errors.New("must have [grant], but is empty")
		case f.Grant == nil:
			return structure(p.name, "[except]%s needs [grant] beside it", where)
		case p.use == stored || len(f.Except) == 0:
			return nil
		}
		grant, err := p.compiler.ParseAll(f.Grant)
		if err != nil {
			return err
		}
		except, err := p.compiler.ParseAll(f.Except)
		if err != nil {
			return err
		}
		covered, err := p.compiler.Includes(grant, except)
		if err == nil && !covered {
			err = structure(p.name, "the fields of [except] %s must be among those of [grant] %s", list(f.Except), list(f.Grant))
		}
		return err
	}
}

func (p *Parser) restriction(to *[]string) func(xcontent.Value) error {
	return func(v xcontent.Value) error {
		if err := p.read(" of [restriction]", v, fields{"workflows": toArray(to)}); err != nil {
			return err
		}
		if len(v.Members) > 0 && len(*to) == 0 {
			return errors.New("must name at least one of [workflows]")
		}
		return nil
	}
}

// transient reads what is accepted and dropped; only what we stored says whether
// the descriptor is shown without an enabled flag.
func (p *Parser) transient(bare *bool) func(xcontent.Value) error {
	return func(v xcontent.Value) error {
		*bare = p.use == stored && len(v.Members) == 0
		return xcontent.ToObject(&xcontent.Value{})(v)
	}
}

// listOf reads an array of objects, each through one, into to.
func listOf[T any](to *[]T, one func(xcontent.Value) (T, error)) func(xcontent.Value) error {
	return func(v xcontent.Value) error {
		if v.Kind != xcontent.Array {
			return v.Mismatch("an array of objects")
		}
		for _, item := range v.Items {
			e, err := one(item)
			if err != nil {
				return err
			}
			*to = append(*to, e)
		}
		return nil
	}
}

// toArray reads an array of strings into to, which is never nil afterwards; one
// bare string is refused.
func toArray(to *[]string) func(xcontent.Value) error {
	return func(v xcontent.Value) error {
		if v.Kind != xcontent.Array {
			return v.Mismatch("a string array")
		}
		return xcontent.ToStrings(to)(v)
	}
}

func toRaw(to *json.RawMessage) func(xcontent.Value) error {
	return func(v xcontent.Value) error {
		err := xcontent.ToObject(&xcontent.Value{})(v)
		*to = v.JSON()
		return err
	}
}

// orNull lets null stand for an absent field.
func orNull(field func(xcontent.Value) error) func(xcontent.Value) error {
	return func(v xcontent.Value) error {
		if v.Kind == xcontent.Null {
			return nil
		}
		return field(v)
	}
}

func strictBool(to *bool) func(xcontent.Value) error {
	return func(v xcontent.Value) error {
		if v.Kind != xcontent.Bool {
			return v.Mismatch("a boolean")
		}
		*to = v.Text == "true"
		return nil
	}
}

func scalar(v xcontent.Value) error {
	if v.Kind == xcontent.Array || v.Kind == xcontent.Object {
		return v.Mismatch("a single value")
	}
	return nil
}
