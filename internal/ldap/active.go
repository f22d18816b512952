package ldap

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// DomainDN is the root of a domain: DC=example,DC=org of example.org.
func DomainDN(domain string) string {
	return "DC=" + strings.Join(strings.Split(domain, "."), ",DC=")
}

// loginByName binds with the name by which Active Directory knows a user, and
// has the user look for themselves.
func (r *Realm) loginByName(ctx context.Context, username, password string) (p *person, err error) {
	principal := username
	if !strings.ContainsAny(username, `@\`) {
		principal += "@" + r.o.Domain
	}
	err = r.logins.use(ctx, func(c *conn) error {
		if err := c.login(principal, password); err != nil {
			return err
		}
		e, err := r.entry(ctx, c, username)
		if err != nil {
			return err
		}
		p, err = r.person(ctx, c, e)
		return err
	})
	return p, err
}

// domainSearch says where and by which filter to look for a user, whose name is
// name, name@domain or DOMAIN\name.
func (r *Realm) domainSearch(ctx context.Context, c *conn, username string) (base, filter string, err error) {
	base = r.o.UserSearch.Base
	if domain, name, ok := strings.Cut(username, `\`); ok {
		if domain == "" || name == "" {
			return "", "", notFound(username)
		}
		// The short name of a domain is written down in the directory itself.
		found, err := c.search(ctx, "CN=Partitions,CN=Configuration,"+DomainDN(r.o.Domain), OneLevel,
			fill("(&(objectClass=crossRef)(nETBIOSName={0}))", domain, ""), []string{"nCName"}, 1)
		if err != nil {
			return "", "", err
		}
		if len(found) == 0 {
			return "", "", notFound(username)
		}
		if root := found[0].GetEqualFoldAttributeValue("nCName"); !sameDN(root, DomainDN(r.o.Domain)) {
			base = root
		}
		return base, fill(r.o.DownLevelFilter, name, username), nil
	}
	if name, _, ok := strings.Cut(username, "@"); ok {
		return base, fill(r.o.UPNFilter, name, username), nil
	}
	return base, fill(r.o.UserSearch.Filter, username, username+"@"+r.o.Domain), nil
}

func sameDN(a, b string) bool {
	x, errX := ldap.ParseDN(a)
	y, errY := ldap.ParseDN(b)
	return errX == nil && errY == nil && x.EqualFold(y)
}

// sidsAtOnce bounds the length of a filter.
const sidsAtOnce = 100

// domainGroups returns all groups of a user, those of groups included: Active
// Directory works out their identifiers for whoever asks for one entry.
func (r *Realm) domainGroups(ctx context.Context, c *conn, dn string) ([]string, error) {
	entries, err := c.search(ctx, dn, Base, "(objectClass=*)", []string{"tokenGroups"}, 1)
	if err != nil || len(entries) == 0 {
		return nil, err
	}
	var groups []string
	for sids := range slices.Chunk(entries[0].GetEqualFoldRawAttributeValues("tokenGroups"), sidsAtOnce) {
		var filter strings.Builder
		filter.WriteString("(|")
		for _, sid := range sids {
			filter.WriteString("(objectSid=")
			for _, b := range sid {
				fmt.Fprintf(&filter, `\%02x`, b)
			}
			filter.WriteString(")")
		}
		filter.WriteString(")")
		found, err := c.search(ctx, r.o.GroupSearch.Base, r.o.GroupSearch.Scope, filter.String(), []string{"1.1"}, 0)
		if err != nil {
			return nil, err
		}
		groups = append(groups, names(found)...)
	}
	return groups, nil
}
