package user_test

import (
	"testing"

	"latchkey/internal/user"
)

// The native realm with the default hash.
func BenchmarkAuthenticate(b *testing.B) {
	for name, change := range map[string]func(*user.Options){"cached": func(*user.Options) {}, "not cached": func(o *user.Options) { o.CacheTTL = 0 }} {
		b.Run(name, func(b *testing.B) {
			h := hasher(b, "bcrypt")
			store := open(b)
			s := newService(b, store, func(o *user.Options) {
				o.Hasher = h
				change(o)
			})
			hash, err := h.Hash(b.Context(), "a-password")
			if err == nil {
				_, err = store.PutUser(b.Context(), user.User{Username: "u", Metadata: []byte(`{}`), Enabled: true}, hash)
			}
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := s.Native().Authenticate(b.Context(), "u", "a-password"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
