package jwt

import (
	"context"
	"fmt"
	"regexp"
	"slices"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/rolemapping"
	"latchkey/internal/xcontent"
)

// Claim says where one property of a user is found. With a Pattern, which has a
// group, it is what that group matches in the claim; a claim that the pattern does
// not match is not there.
type Claim struct {
	Name    string // "" if the property is not read at all
	Pattern *regexp.Regexp
}

func (m Claim) pick(text string) (string, bool) {
	if m.Pattern == nil {
		return text, true
	}
	found := m.Pattern.FindStringSubmatch(text)
	if found == nil || found[1] == "" {
		return "", false
	}
	return found[1], true
}

// Mapping says which claims make which properties of a user.
type Mapping struct {
	Principal, Groups, DN, Mail, Name Claim // Principal has a name
	// Metadata is the name of a claim in the user's metadata; nil keeps none.
	Metadata func(claim string) string
}

// Person is what a token tells of somebody.
type Person struct {
	rolemapping.User
	FullName, Email *string
}

// notMetadata are claims that change with every token of the same user.
var notMetadata = []string{"exp", "iat", "nbf", "auth_time", "nonce", "jti", "at_hash", "c_hash", "s_hash"}

// Person reads claims. Only the principal has to be there.
func (m Mapping) Person(c *Claims) (*Person, error) {
	p := &Person{}
	principal, err := c.Text(m.Principal.Name)
	if err != nil {
		return nil, fmt.Errorf("the principal: %w", err)
	}
	var ok bool
	if p.Username, ok = m.Principal.pick(principal); !ok {
		return nil, fmt.Errorf("the principal: the pattern does not match the claim [%s]", m.Principal.Name)
	}
	if groups, err := c.Texts(m.Groups.Name); err == nil {
		for _, g := range groups {
			if g, ok := m.Groups.pick(g); ok {
				p.Groups = append(p.Groups, g)
			}
		}
	}
	optional := func(from Claim) *string {
		text, err := c.Text(from.Name)
		if err != nil {
			return nil
		}
		if text, ok = from.pick(text); !ok {
			return nil
		}
		return &text
	}
	if dn := optional(m.DN); dn != nil {
		p.DN = *dn
	}
	p.Email, p.FullName = optional(m.Mail), optional(m.Name)
	if m.Metadata != nil {
		kept := xcontent.Value{Kind: xcontent.Object}
		for _, claim := range c.All.Members {
			if flat(claim.Value) && !slices.Contains(notMetadata, claim.Name) {
				kept.Members = append(kept.Members, xcontent.Member{Name: m.Metadata(claim.Name), Value: claim.Value})
			}
		}
		p.Metadata = kept.JSON()
	}
	return p, nil
}

// flat reports whether v is a text, a number, a boolean or a list of such.
func flat(v xcontent.Value) bool {
	if v.Kind == xcontent.Array {
		return !slices.ContainsFunc(v.Items, func(item xcontent.Value) bool { return item.Kind == xcontent.Array || !flat(item) })
	}
	return v.Kind != xcontent.Object && v.Kind != xcontent.Null
}

// Users finds the users of other realms.
type Users interface {
	// LookupIn returns a user of one of the named realms, or fault.NotFound; a
	// disabled user is fault.Unauthenticated.
	LookupIn(ctx context.Context, realms []string, username string) (access.Subject, error)
}

// Roles maps users to roles.
type Roles interface {
	// Roles returns the roles of a user as they are now.
	Roles(ctx context.Context, u rolemapping.User) ([]string, error)
}

// Directory makes subjects of what tokens tell.
type Directory struct {
	Realm access.Realm
	// Lenders names the realms whose users lend all but their name and realm. Empty:
	// the token tells who somebody is, and Roles what they may do.
	Lenders []string
	Users   Users
	Roles   Roles
}

// Subject is a person at this moment, without permissions. Somebody whom no
// lender knows is fault.Unauthenticated.
func (d Directory) Subject(ctx context.Context, p *Person) (access.Subject, error) {
	if len(d.Lenders) > 0 {
		s, err := d.Users.LookupIn(ctx, d.Lenders, p.Username)
		if fault.KindOf(err) == fault.NotFound {
			return access.Subject{}, fault.New(fault.Unauthenticated, "the realms %q know no user [%s]", d.Lenders, p.Username)
		}
		s.Realm = d.Realm
		return s, err
	}
	u := p.User
	u.Realm = d.Realm
	roles, err := d.Roles.Roles(ctx, u)
	return access.Subject{
		Username: p.Username, FullName: p.FullName, Email: p.Email, Metadata: p.Metadata, Roles: roles, Realm: d.Realm,
	}, err
}
