package ldap

import (
	"slices"
	"strings"
	"testing"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/ldap/ldaptest"
	"latchkey/internal/secret"
)

// sid is the identifier of a group: S-1-5-21-1-2-3-n.
func sid(n byte) string {
	return "\x01\x05\x00\x00\x00\x00\x00\x05\x15\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00" + string(rune(n)) + "\x00\x00\x00"
}

// activeDirectory is a directory that looks like one of Active Directory: what
// stands in front of it knows the names that are no DNs.
func activeDirectory(t *testing.T) *ldaptest.Front {
	t.Helper()
	user := func(name string, groups ...string) ldaptest.Entry {
		return ldaptest.Person(name, "objectClass", "user", "sAMAccountName", name, "userPrincipalName", name+"@example.org").With("tokenGroups", groups...)
	}
	named := func(rdn, class string) ldaptest.Entry {
		return ldaptest.Entry{DN: rdn + "," + ldaptest.Root, Attributes: map[string][]string{"objectClass": {class, "extensibleObject"}, "cn": {strings.TrimPrefix(strings.Split(rdn, ",")[0], "CN=")}}}
	}
	var many []string // more than one question can hold, and three that there are
	for n := range byte(127) {
		many = append(many, sid(n), sid(n)+"\x07")
	}
	d := directory(t, "", "",
		user("alice", sid(1), sid(2)), user("bob"), user("many", many...), user("zed", sid(1)).With("userPrincipalName", "zed@other.example"),
		ldaptest.Group("direct", "alice").With("objectSid", sid(1)), ldaptest.Group("nested", "bob").With("objectSid", sid(2)), ldaptest.Group("other", "bob").With("objectSid", sid(3)),
		named("CN=Configuration", "applicationProcess"), named("CN=Partitions,CN=Configuration", "applicationProcess"),
		named("CN=EXAMPLE,CN=Partitions,CN=Configuration", "crossRef").With("nETBIOSName", "EXAMPLE").With("nCName", "DC=example,DC=org"),
		named("CN=OTHER,CN=Partitions,CN=Configuration", "crossRef").With("nETBIOSName", "OTHER").With("nCName", "ou=groups,DC=example,DC=org"))
	names := map[string]string{}
	for _, name := range []string{"alice", "bob", "zed", "many"} {
		dn := ldaptest.Person(name).DN
		names[name+"@example.org"], names[`example\`+name] = dn, dn
	}
	names["zed@other.example"] = ldaptest.Person("zed").DN
	names[`other\alice`] = ldaptest.Person("alice").DN // which no Active Directory would do
	return front(t, d.Address, names)
}

func newActive(t *testing.T, f *ldaptest.Front, change func(*Options)) *Realm {
	return newRealm(t, f.URL, func(o *Options) {
		root := DomainDN("example.org")
		o.Name, o.ActiveDirectory, o.Domain = "ad1", true, "example.org"
		o.BindDN, o.BindPassword, o.GroupAttribute = "", secret.Secret{}, ""
		o.UserSearch = Search{root, SubTree, "(&(objectClass=user)(|(sAMAccountName={0})(userPrincipalName={1})))"}
		o.UPNFilter, o.DownLevelFilter = "(&(objectClass=user)(userPrincipalName={1}))", "(&(objectClass=user)(sAMAccountName={0}))"
		o.GroupSearch = Search{Base: root, Scope: SubTree}
		if change != nil {
			change(o)
		}
	})
}

func TestActiveDirectory(t *testing.T) {
	f := activeDirectory(t)
	for mode, bindDN := range map[string]string{"as the user": "", "with a user who searches": ldaptest.Search} {
		r := newActive(t, f, func(o *Options) {
			if bindDN != "" {
				o.BindDN, o.BindPassword = bindDN, secret.Of(ldaptest.Password)
			}
		})
		refused := fault.Unauthenticated // by the bind
		if bindDN != "" {
			refused = fault.NotFound // by the search
		}
		tests := []struct {
			name, username, password string
			want                     fault.Kind
			groups                   []string
		}{
			{"a name", "alice", ldaptest.Password, accepted, []string{"cn=direct," + groups, "cn=nested," + groups}},
			{"a principal", "alice@example.org", ldaptest.Password, accepted, []string{"cn=direct," + groups, "cn=nested," + groups}},
			{"a principal of another suffix", "zed@other.example", ldaptest.Password, accepted, []string{"cn=direct," + groups}},
			{"a name of the domain", `EXAMPLE\alice`, ldaptest.Password, accepted, []string{"cn=direct," + groups, "cn=nested," + groups}},
			{"without groups", "bob", ldaptest.Password, accepted, []string{}},
			{"many groups", "many", ldaptest.Password, accepted, []string{"cn=direct," + groups, "cn=nested," + groups, "cn=other," + groups}},
			{"a wrong password", "alice", "wrong", fault.Unauthenticated, nil},
			{"no password", "alice", "", fault.NotFound, nil},
			{"nobody", "carol", ldaptest.Password, refused, nil},
			{"a name of another domain", `OTHER\alice`, ldaptest.Password, fault.NotFound, nil},
			{"a name of no domain", `\alice`, ldaptest.Password, refused, nil},
			{"no name of a domain", `EXAMPLE\`, ldaptest.Password, refused, nil},
			{"a filter", "*)(cn=*", ldaptest.Password, refused, nil},
			{"a filter for a domain", `*\alice`, ldaptest.Password, refused, nil},
			{"a DN", ldaptest.Person("alice").DN, ldaptest.Password, refused, nil},
		}
		for _, tt := range tests {
			t.Run(mode+"/"+tt.name, func(t *testing.T) {
				s, err := r.Authenticate(t.Context(), tt.username, tt.password)
				if kind(err) != tt.want {
					t.Fatalf("got %v (%v), want %v", kind(err), err, tt.want)
				}
				if err != nil {
					return
				}
				asked := r.o.Mapper.(*mapper).asked
				got := asked[len(asked)-1].Groups
				slices.Sort(got)
				if !slices.Equal(got, tt.groups) || s.Username != tt.username || s.Realm != (access.Realm{Name: "ad1", Type: "active_directory"}) {
					t.Errorf("got %+v with the groups %q, want %q", s, got, tt.groups)
				}
			})
		}
		t.Run(mode+"/a look-up", func(t *testing.T) {
			want := accepted
			if bindDN == "" {
				want = fault.NotFound
			}
			for _, name := range []string{"bob", "bob@example.org", `EXAMPLE\bob`} {
				if _, err := r.Lookup(t.Context(), name); kind(err) != want {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}
