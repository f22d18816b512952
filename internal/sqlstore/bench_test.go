package sqlstore_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"latchkey/internal/apikey"
	"latchkey/internal/sqlstore"
)

// BenchmarkAPIKey reads one of 100,000 keys, which is what a key that is not
// cached costs the store.
func BenchmarkAPIKey(b *testing.B) {
	db, err := sqlstore.OpenSQLite(b.Context(), filepath.Join(b.TempDir(), "latchkey.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	const n = 100_000
	id := func(i int) string { return fmt.Sprintf("%020x", uint64(i)*0x9E3779B97F4A7C15) }
	sem := make(chan struct{}, 256)
	for i := range n {
		sem <- struct{}{}
		go func() {
			defer func() { <-sem }()
			k := apikey.Key{ID: id(i), Type: apikey.REST, Name: "key", Hash: "{SHA256}0123456789012345678901234567890123456789012345678901", Metadata: []byte("{}"), CreatedAt: time.UnixMilli(int64(i))}
			k.Owner = apikey.Owner{Username: "elastic", Realm: "reserved", RealmType: "reserved", Metadata: []byte("{}")}
			k.Roles[0], k.LimitedBy[0] = 1, 2
			if err := db.InsertAPIKey(b.Context(), k); err != nil {
				b.Error(err)
			}
		}()
	}
	for range cap(sem) {
		sem <- struct{}{}
	}
	for _, p := range []int{1, 4, 32} {
		b.Run(fmt.Sprintf("%d at once", p*2), func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(p)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := db.APIKey(b.Context(), id(rand.IntN(n))); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
