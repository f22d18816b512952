package main

import (
	"fmt"
	"path/filepath"
)

// starts measures the time from the start of the process to its first answer,
// and resident memory.
func starts(s *setup) error {
	for _, store := range []struct {
		name string
		keys int
	}{{"empty", 0}, {"large", s.keys}} {
		data := filepath.Join(s.dir, "start-"+store.name)
		lk, _, err := startLatchkey(s.binary, data) // makes the store
		if err != nil {
			return err
		}
		headers, err := manyKeys(lk.addr, 1)
		if err != nil {
			return err
		}
		if err := lk.stop(); err != nil {
			return err
		}
		if store.keys > 0 {
			if err := fill(filepath.Join(data, "latchkey.db"), store.keys, nil); err != nil {
				return err
			}
		}
		var took []float64
		for range 2*s.rounds + 1 {
			lk, d, err := startLatchkey(s.binary, data)
			if err != nil {
				return err
			}
			took = append(took, float64(d.Milliseconds()))
			if len(took) == 1 {
				if _, err := once(lk.addr, get(authenticate, headers[0])); err != nil {
					return err
				}
				now, _, err := lk.resident()
				if err != nil {
					return err
				}
				fmt.Printf("  %s store (%d keys): %.0f MiB at rest\n", store.name, store.keys+1, now)
			}
			if err := lk.stop(); err != nil {
				return err
			}
		}
		fmt.Printf("  %s store: first answer after %.0f ms (median of %.0f)\n", store.name, median(took), took)
	}
	return cachedMemory(s)
}

// cachedMemory authenticates many keys once and looks at the memory then.
func cachedMemory(s *setup) error {
	n := s.keys / 10
	lk, _, err := startLatchkey(s.binary, filepath.Join(s.dir, "memory"), fmt.Sprintf("xpack.security.authc.api_key.cache.max_keys=%d", n))
	if err != nil {
		return err
	}
	headers, err := manyKeys(lk.addr, n)
	if err != nil {
		return err
	}
	if err := lk.stop(); err != nil {
		return err
	}
	lk, _, err = startLatchkey(s.binary, filepath.Join(s.dir, "memory"), fmt.Sprintf("xpack.security.authc.api_key.cache.max_keys=%d", n))
	if err != nil {
		return err
	}
	if _, err := drive(lk.addr, 8, 0, int64(n), 200, func(i int64) []byte { return get(authenticate, headers[i]) }); err != nil {
		return err
	}
	now, most, err := lk.resident()
	if err != nil {
		return err
	}
	fmt.Printf("  %d cached keys: %.0f MiB, %.0f at most\n", n, now, most)
	return lk.stop()
}
