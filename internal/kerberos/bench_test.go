package kerberos

import "testing"

// Every ticket is judged, so there is nothing to cache; the client's part, which
// makes a new authenticator each time, is not counted.
func BenchmarkAuthenticate(b *testing.B) {
	r, c := newRealm(b, nil), client(b, "alice")
	for b.Loop() {
		b.StopTimer()
		ticket := send(b, c, true)
		b.StartTimer()
		if _, _, err := r.Authenticate(b.Context(), ticket); err != nil {
			b.Fatal(err)
		}
	}
}
