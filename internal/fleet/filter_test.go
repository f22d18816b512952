package fleet

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"
)

func TestFilter(t *testing.T) {
	for _, n := range []int{1, 7, 1000, 10_000} {
		var names []string
		for i := range n {
			names = append(names, fmt.Sprint("in", i))
		}
		f, err := ReadFilter(NewFilter(names).Body())
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if !f.Has(name) {
				t.Errorf("of %d names it does not have %s", n, name)
			}
		}
		alike := 0
		const others = 50_000
		for i := range others {
			if f.Has(fmt.Sprint("out", i)) {
				alike++
			}
		}
		if n >= 1000 && alike > others/1000 {
			t.Errorf("of %d names, %d of %d others look like one", n, alike, others)
		}
		if got, want := len(f.Body()), 1+2*n; got != want {
			t.Errorf("of %d names it has %d bytes, want %d", n, got, want)
		}
	}
}

// Nodes of other releases read what this one writes: it may only change with its version.
func TestTheBytesOfAFilter(t *testing.T) {
	if got, want := hex.EncodeToString(NewFilter([]string{"a", "", "ü"}).Body()), "01567ff4daa891"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	var names []string
	for i := range 10_000 {
		names = append(names, fmt.Sprint(i))
	}
	if got, want := fmt.Sprintf("%x", sha256.Sum256(NewFilter(names).Body()))[:16], "a341ea541d38974c"; got != want {
		t.Errorf("the digest of many is %s, want %s", got, want)
	}
	for _, body := range [][]byte{nil, {}, {1}, {0, 1}, {2, 1, 1}, []byte("text")} {
		if _, err := ReadFilter(body); err == nil {
			t.Errorf("%q was read", body)
		}
	}
}

func FuzzReadFilter(f *testing.F) {
	f.Add(NewFilter([]string{"a"}).Body(), "a")
	f.Add([]byte{1, 0}, "")
	f.Fuzz(func(t *testing.T, body []byte, name string) {
		if filter, err := ReadFilter(body); err == nil {
			filter.Has(name)
		}
	})
}
