package apikey

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"latchkey/internal/fault"
	"latchkey/internal/pattern"
	"latchkey/internal/xcontent"
)

// Policy is what the keys of those who hold a role must look like when they are
// made or changed. Keys that are there already keep what they have.
type Policy struct {
	Role             string           // [Everybody], or the name of a role
	MaxLifetime      time.Duration    // from a key's creation to its expiry, which it must have; 0: no rule
	RequiredMetadata []string         // members of the metadata; their value is neither null nor ""
	NamePattern      string           // regular expression, as the operator wrote it; "": no rule
	Names            pattern.Language // what NamePattern matches
}

// Everybody is the role of a [Policy] for all keys, those included that service
// accounts and API keys make.
const Everybody = "*"

// part is what a request gives of a key.
type part struct{ name, expiry, metadata bool }

// whole is what a new key has.
var whole = part{true, true, true}

// allowed returns nil, or fault.Invalid with every rule that k breaks in the
// given part. Roles are those of its owner.
func (s *Service) allowed(k *Key, roles []string, given part) *fault.Error {
	var p fault.Problems
	for _, rule := range s.o.Policies {
		if rule.Role == Everybody || slices.Contains(roles, rule.Role) {
			rule.check(k, given, &p)
		}
	}
	f, _ := errors.AsType[*fault.Error](p.Err(fault.Invalid))
	return f
}

func (r *Policy) check(k *Key, given part, p *fault.Problems) {
	of := "the policy for the role [" + r.Role + "]"
	if r.Role == Everybody {
		of = "the policy for everybody"
	}
	if r.NamePattern != "" && given.name && !r.Names.Matches(k.Name) {
		p.Add("%s wants a [name] that matches [%s]", of, r.NamePattern)
	}
	if r.MaxLifetime > 0 && given.expiry && (k.ExpiresAt.IsZero() || k.ExpiresAt.Sub(k.CreatedAt) > r.MaxLifetime) {
		p.Add("%s wants an [expiration] that is at most [%s] after the creation", of, days(r.MaxLifetime))
	}
	if len(r.RequiredMetadata) > 0 && given.metadata {
		if missing := r.missing(k); len(missing) > 0 {
			p.Add("%s wants [metadata] with a value for [%s]", of, strings.Join(missing, ","))
		}
	}
}

// missing are the required members that the metadata of k has not.
func (r *Policy) missing(k *Key) []string {
	metadata, err := xcontent.ParseOwn(k.Metadata)
	if err != nil { // it was parsed before
		return r.RequiredMetadata
	}
	return slices.DeleteFunc(slices.Clone(r.RequiredMetadata), func(name string) bool {
		v, found := metadata.Get(name)
		return found && v.Kind != xcontent.Null && (v.Kind != xcontent.String || v.Text != "")
	})
}

// days is d in the largest unit of the protocol that it is a whole number of.
func days(d time.Duration) string {
	for _, unit := range []struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if d%unit.of == 0 {
			return fmt.Sprintf("%d%s", d/unit.of, unit.name)
		}
	}
	return fmt.Sprintf("%dms", d.Milliseconds())
}
