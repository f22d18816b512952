package pki_test

import (
	"crypto/x509/pkix"
	"testing"

	"latchkey/internal/pki"
	"latchkey/internal/pki/pkitest"
)

func BenchmarkAuthenticate(b *testing.B) {
	must := must(b)
	ca := must(pkitest.Authority("ca"))
	chain := must(ca.Client(pkix.Name{CommonName: "alice"}, nil)).Chain()
	for name, change := range map[string]func(*pki.Options){"cached": func(*pki.Options) {}, "not cached": func(o *pki.Options) { o.CacheTTL = 0 }} {
		b.Run(name, func(b *testing.B) {
			m := &mapper{}
			r := newRealm(func(o *pki.Options) {
				o.Mapper = m
				change(o)
			})
			for b.Loop() {
				if _, err := r.AuthenticateCertificate(b.Context(), chain); err != nil {
					b.Fatal(err)
				}
				m.asked = m.asked[:0]
			}
		})
	}
}
