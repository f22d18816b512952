package jwt_test

import (
	"testing"

	"latchkey/internal/jwt"
)

func BenchmarkAuthenticate(b *testing.B) {
	for name, change := range map[string]func(*jwt.Options){"cached": func(*jwt.Options) {}, "not cached": func(o *jwt.Options) { o.CacheTTL = 0 }} {
		b.Run(name, func(b *testing.B) {
			w := newWorld()
			o := w.options()
			change(&o)
			r := open(b, o)
			token := w.token(b, nil)
			for b.Loop() {
				if _, mine, err := r.AuthenticateBearer(b.Context(), token, ""); !mine || err != nil {
					b.Fatal(mine, err)
				}
				w.asked = w.asked[:0]
			}
		})
	}
}
