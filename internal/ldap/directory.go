package ldap

import (
	"context"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"latchkey/internal/fault"
)

// finds reports whether users can be found without their passwords.
func (r *Realm) finds() bool {
	if r.o.ActiveDirectory {
		return r.o.BindDN != ""
	}
	return len(r.o.UserDNTemplates) == 0
}

// find returns a user by name, or fault.NotFound.
func (r *Realm) find(ctx context.Context, username string) (p *person, err error) {
	err = r.searches.use(ctx, func(c *conn) error {
		e, err := r.entry(ctx, c, username)
		if err != nil {
			return err
		}
		p, err = r.person(ctx, c, e)
		return err
	})
	return p, err
}

// login proves that username has the password, and returns who it is.
func (r *Realm) login(ctx context.Context, username, password string) (p *person, err error) {
	switch {
	case len(r.o.UserDNTemplates) > 0:
		return r.loginByTemplate(ctx, username, password)
	case !r.finds():
		return r.loginByName(ctx, username, password)
	}
	var e *ldap.Entry
	err = r.searches.use(ctx, func(c *conn) (err error) {
		e, err = r.entry(ctx, c, username)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := r.logins.use(ctx, func(c *conn) error { return c.login(e.DN, password) }); err != nil {
		return nil, err
	}
	err = r.searches.use(ctx, func(c *conn) (err error) {
		p, err = r.person(ctx, c, e)
		return err
	})
	return p, err
}

// loginByTemplate binds as each DN that the name may mean, until one has the password.
func (r *Realm) loginByTemplate(ctx context.Context, username, password string) (p *person, err error) {
	err = r.logins.use(ctx, func(c *conn) error {
		var err error
		for _, template := range r.o.UserDNTemplates {
			dn := strings.ReplaceAll(template, "{0}", ldap.EscapeDN(username))
			if err = c.login(dn, password); fault.KindOf(err) == fault.Unauthenticated {
				continue
			}
			if err != nil {
				return err
			}
			entries, err := c.search(ctx, dn, Base, "(objectClass=*)", r.o.attributes(), 1)
			if err != nil {
				return err
			}
			e := &ldap.Entry{DN: dn} // who may not read their own entry has the password all the same
			if len(entries) > 0 {
				e = entries[0]
			}
			p, err = r.person(ctx, c, e)
			return err
		}
		return err
	})
	return p, err
}

// entry finds the entry of a user. Of two that fit nobody knows which is meant.
func (r *Realm) entry(ctx context.Context, c *conn, username string) (*ldap.Entry, error) {
	where := r.o.UserSearch
	filter := fill(where.Filter, username, username)
	if r.o.ActiveDirectory {
		var err error
		if where.Base, filter, err = r.domainSearch(ctx, c, username); err != nil {
			return nil, err
		}
	}
	entries, err := c.search(ctx, where.Base, where.Scope, filter, r.o.attributes(), 2)
	switch {
	case err != nil:
		return nil, err
	case len(entries) == 0:
		return nil, notFound(username)
	case len(entries) > 1:
		r.o.Log.WarnContext(ctx, "a search for a user found more than one, and none can log in", "realm", r.o.Name, "user", username)
		return nil, fault.New(fault.Unauthenticated, "the directory has more than one user [%s]", username)
	}
	return entries[0], nil
}

// fill puts what is looked for into a filter, as a value of it.
func fill(filter, zero, one string) string {
	return strings.NewReplacer("{0}", ldap.EscapeFilter(zero), "{1}", ldap.EscapeFilter(one)).Replace(filter)
}

// person completes the user of an entry with groups.
func (r *Realm) person(ctx context.Context, c *conn, e *ldap.Entry) (*person, error) {
	groups, err := r.groups(ctx, c, e)
	if err != nil {
		return nil, err
	}
	return r.o.newPerson(e, groups)
}

func (r *Realm) groups(ctx context.Context, c *conn, e *ldap.Entry) ([]string, error) {
	switch {
	case r.o.ActiveDirectory:
		return r.domainGroups(ctx, c, e.DN)
	case r.o.GroupSearch.Base == "":
		return e.GetEqualFoldAttributeValues(r.o.GroupAttribute), nil
	}
	member := e.DN
	if name := r.o.GroupUserAttribute; name != "" {
		values := e.GetEqualFoldAttributeValues(name)
		if len(values) == 0 {
			return nil, nil
		}
		member = values[0]
	}
	found, err := c.search(ctx, r.o.GroupSearch.Base, r.o.GroupSearch.Scope, fill(r.o.GroupSearch.Filter, member, member), []string{"1.1"}, 0)
	if err != nil {
		return nil, err
	}
	return names(found), nil
}

func names(entries []*ldap.Entry) []string {
	dns := make([]string, len(entries))
	for i, e := range entries {
		dns[i] = e.DN
	}
	return dns
}
