package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"latchkey/internal/secret"
)

// Realm is a realm of one of the types whose settings are kept by their keys:
// all but native and kerberos.
type Realm struct {
	Type, Name string
	Enabled    bool
	Order      int // realms are asked in ascending order
	values     map[string]any
}

// String keeps what is in the settings out of logs.
func (r *Realm) String() string { return r.Type + " realm " + r.Name }

// The settings of a realm by key, such as "cache.ttl"; the zero value of what
// neither the operator nor the table gives. Each has the kind that the table
// gives it: to ask for another is a mistake of ours, and panics.

func (r *Realm) Text(key string) string            { return valueOf[string](r, key) }
func (r *Realm) Bool(key string) bool              { return valueOf[bool](r, key) }
func (r *Realm) Number(key string) int             { return valueOf[int](r, key) }
func (r *Realm) List(key string) []string          { return valueOf[[]string](r, key) }
func (r *Realm) Duration(key string) time.Duration { return valueOf[time.Duration](r, key) }
func (r *Realm) Secret(key string) secret.Secret   { return valueOf[secret.Secret](r, key) }
func (r *Realm) Below(family string) map[string]any { // what a setting "family.*" was given, by what stood for the "*"
	found := map[string]any{}
	for key, v := range r.values {
		if rest, ok := strings.CutPrefix(key, family+"."); ok {
			found[rest] = v
		}
	}
	return found
}

// Has reports whether a setting has a value, of the operator or the table.
func (r *Realm) Has(key string) bool { _, ok := r.values[key]; return ok }

func valueOf[T any](r *Realm, key string) T {
	v, ok := r.values[key]
	if !ok {
		return *new(T)
	}
	return v.(T)
}

// keep reads what the operator wrote for a setting of a [Realm].
type keep func(value) (any, error)

func kept[T any](setter func(func(*Config) *T) func(*Config, value) error) keep {
	return func(v value) (any, error) {
		var x T
		err := setter(func(*Config) *T { return &x })(nil, v)
		return x, err
	}
}

var (
	asText   = kept(text)
	asBool   = kept(boolean)
	asSecret = kept(hidden)
)

func asNumber(least, most int) keep {
	return kept(func(p func(*Config) *int) func(*Config, value) error { return number(p, least, most) })
}

func asDuration(b bound) keep {
	return kept(func(p func(*Config) *time.Duration) func(*Config, value) error { return duration(p, b) })
}

// asList takes items of which ok complains about none; nil takes all.
func asList(ok func(string) error) keep {
	return kept(func(p func(*Config) *[]string) func(*Config, value) error { return list(p, ok) })
}

func asOneOf(names ...string) keep {
	return func(v value) (any, error) {
		s, err := asText(v)
		if err != nil {
			return nil, err
		}
		return oneOf(s.(string), names...)
	}
}

// realmSetting is one line of the table of a type of realms.
type realmSetting struct {
	key, preset, shown, kind, effect string
	keep                             keep
}

// realmSettings is the table of a type, with what all types have.
func realmSettings(kind string, own []realmSetting) []setting {
	of := realms + kind + ".*."
	with := func(set func(*Realm, value) error) func(*Config, value) error {
		return func(c *Config, v value) error {
			if v.star == "" { // the default of the table, which is read for each realm when it is made
				return set(&Realm{values: map[string]any{}}, v)
			}
			return set(c.realm(kind, v.star), v)
		}
	}
	table := []setting{
		{of + "enabled", "true", "", "boolean", "Whether the realm is asked. `*` is the name of the realm.", with(func(r *Realm, v value) error {
			on, err := asBool(v)
			r.Enabled = err == nil && on.(bool)
			return err
		})},
		{of + "order", "", "none; must be given", "whole number", "Realms are asked in ascending order, and no two have the same.", with(func(r *Realm, v value) error {
			n, err := asNumber(-1<<31, 1<<31-1)(v)
			if err == nil {
				r.Order, r.values["order"] = n.(int), n
			}
			return err
		})},
	}
	for _, s := range own {
		table = append(table, setting{of + s.key, s.preset, s.shown, s.kind, s.effect, with(func(r *Realm, v value) error {
			x, err := s.keep(v)
			if err == nil {
				r.values[cmp.Or(v.key, s.key)] = x
			}
			return err
		})})
	}
	return table
}

// realm returns the realm of a type and name, and makes it if there is none yet.
func (c *Config) realm(kind, name string) *Realm {
	for _, r := range c.Realms {
		if r.Type == kind && r.Name == name {
			return r
		}
	}
	r := &Realm{Type: kind, Name: name, values: map[string]any{}}
	c.Realms = append(c.Realms, r)
	of := realms + kind + ".*."
	for _, section := range sectionsOf() {
		for i := range section.settings {
			s := &section.settings[i]
			if key, ok := strings.CutPrefix(s.name, of); ok && s.preset != "" {
				if err := s.set(c, value{text: s.preset, star: name, key: key}); err != nil {
					panic("default of " + s.name + ": " + err.Error()) // preset has gone through all of them
				}
			}
		}
	}
	return r
}

// realmCheck completes a realm and looks at its settings together.
type realmCheck struct {
	c        *Config
	r        *Realm
	complain func(key, format string, args ...any)
}

// need complains about settings without a value.
func (k realmCheck) need(keys ...string) {
	for _, key := range keys {
		if !k.r.Has(key) {
			k.complain(key, "must be given")
		}
	}
}

// realmChecks are by type. They see realms that are enabled.
var realmChecks = map[string]func(realmCheck){}

// checkRealms completes the list of realms: what is not configured and there all
// the same, and the order.
func (l *loader) checkRealms(c *Config, given layer) {
	if !slices.ContainsFunc(c.Realms, func(r *Realm) bool { return r.Type == fileType }) {
		c.realm(fileType, "default_file").Order = firstOrder
	}
	if _, ok := given[strings.Replace(realm, "*", c.Native.Name, 1)+"order"]; !ok {
		c.Native.Order = firstOrder + 1
	}
	type place struct {
		name  string
		order int
		on    bool
	}
	places := []place{{c.Native.Name, c.Native.Order, c.Native.Enabled}} // checkKerberos compares that of tickets with it
	if c.Kerberos.Name != "" {
		places = append(places, place{c.Kerberos.Name, c.Kerberos.Order, c.Kerberos.Enabled})
	}
	files := 0
	for _, r := range c.Realms {
		k := realmCheck{c, r, func(key, format string, args ...any) {
			name := realms + r.Type + "." + r.Name + "." + key
			l.mistakes = append(l.mistakes, strings.TrimPrefix(given[name].origin+": ", ": ")+name+": "+fmt.Sprintf(format, args...))
		}}
		if r.Type == fileType {
			files++
		}
		switch {
		case strings.HasPrefix(r.Name, "_"):
			k.complain("order", "names of realms that begin with an underscore are latchkey's own")
		case r.Name == "reserved":
			k.complain("order", "the realm of the built-in users is called reserved; give this one a name of its own")
		case r.Type == fileType && files > 1:
			k.complain("order", "there is one file realm at most")
		}
		if r.Enabled && r.Type != fileType && !r.Has("order") {
			k.complain("order", "must be given; write a whole number that no other realm has")
		} else if r.Type == fileType && !r.Has("order") {
			r.Order = firstOrder
		}
		for _, p := range places {
			if p.name == r.Name {
				k.complain("order", "another realm is called %s; give this one a name of its own", r.Name)
			}
			if p.on && r.Enabled && p.order == r.Order && r.Has("order") {
				k.complain("order", "is that of the realm %s, too; write another", p.name)
			}
		}
		places = append(places, place{r.Name, r.Order, r.Enabled})
		if check := realmChecks[r.Type]; check != nil && r.Enabled {
			check(k)
		}
	}
	for _, r := range c.Realms {
		l.checkLenders(c, given, r.Type, r.Name, r.List("authorization_realms"))
	}
	slices.SortStableFunc(c.Realms, func(a, b *Realm) int { return cmp.Compare(a.Order, b.Order) })
}

// firstOrder is before all that an operator can write: the realms that are there
// unless somebody says otherwise come first.
const firstOrder = -1<<31 - 2

// lenders are the types of realms whose users can be found by name.
var lenders = []string{fileType, "ldap", "active_directory"}

// checkLenders complains about realms to lend roles from that are not there.
func (l *loader) checkLenders(c *Config, given layer, kind, name string, wanted []string) {
	var known []string
	if c.Reserved.Enabled {
		known = append(known, "reserved")
	}
	if c.Native.Enabled {
		known = append(known, c.Native.Name)
	}
	for _, r := range c.Realms {
		if r.Enabled && r.Name != name && slices.Contains(lenders, r.Type) && r.finds() {
			known = append(known, r.Name)
		}
	}
	full := realms + kind + "." + name + ".authorization_realms"
	for _, w := range wanted {
		if !slices.Contains(known, w) {
			l.mistakes = append(l.mistakes, fmt.Sprintf("%s: %s: there is no realm %q whose users could be looked up; those that there are: %s", given[full].origin, full, w, strings.Join(known, ", ")))
		}
	}
}
