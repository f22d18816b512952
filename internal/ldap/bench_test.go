package ldap

import (
	"testing"

	"latchkey/internal/ldap/ldaptest"
)

// A search for the user, a bind as the user and a search for groups, on pooled connections.
func BenchmarkAuthenticate(b *testing.B) {
	d := directory(b, "", "", ldaptest.Person("alice"), ldaptest.Group("admins", "alice"))
	for name, change := range map[string]func(*Options){"cached": nil, "not cached": func(o *Options) { o.CacheTTL = 0 }} {
		b.Run(name, func(b *testing.B) {
			m := &mapper{}
			r := newRealm(b, d.URL, func(o *Options) {
				o.Mapper = m
				if change != nil {
					change(o)
				}
			})
			for b.Loop() {
				if _, err := r.Authenticate(b.Context(), "alice", ldaptest.Password); err != nil {
					b.Fatal(err)
				}
				m.asked = m.asked[:0]
			}
		})
	}
}
