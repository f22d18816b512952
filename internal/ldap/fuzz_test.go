package ldap

import (
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"
)

// What a stranger calls himself stays one value, of a filter and of a name.
func FuzzUsername(f *testing.F) {
	for _, name := range []string{"alice", "*", `a)(cn=*`, `\2a`, "a,b=c", " #+\"<>;\\ ", "\x00", "zoë", "a\xff", "{0}", "{1}", "x+cn=y"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if name == "" {
			return
		}
		packet, err := ldap.CompileFilter(fill("(&(uid={0})(cn={1}))", name, "other"))
		if err != nil {
			t.Fatalf("%q makes a filter that is none: %v", name, err)
		}
		if len(packet.Children) != 2 || packet.Tag != ldap.FilterAnd {
			t.Fatalf("%q makes another filter", name)
		}
		uid := packet.Children[0]
		if uid.Tag != ldap.FilterEqualityMatch || len(uid.Children) != 2 || uid.Children[1].Data.String() != name {
			t.Errorf("%q is another value in a filter: %q", name, uid.Children[1].Data.String())
		}
		dn, err := ldap.ParseDN(strings.ReplaceAll("uid={0},ou=people", "{0}", ldap.EscapeDN(name)))
		if err != nil {
			return // then the server refuses it, too
		}
		if len(dn.RDNs) != 2 || len(dn.RDNs[0].Attributes) != 1 || dn.RDNs[1].Attributes[0].Value != "people" {
			t.Errorf("%q makes another name: %s", name, dn)
		}
	})
}
