package httpapi

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"latchkey/internal/xcontent"
)

// A body that finds no memory is refused before anything was done, and what
// others hold comes back when their requests end.
func TestMemory(t *testing.T) {
	const bearer = "Content-Type: application/json\n" + admin
	srv := newServer(t)
	w := srv.dial(t)
	all := srv.api.memory.limit
	if !srv.api.memory.take(all) {
		t.Fatal("an idle server has no memory")
	}
	name := fmt.Sprint("k", rand.Uint64())
	create := "POST /_security/api_key\n" + bearer + "\n" + `{"name":"` + name + `","metadata":{"a":"` + strings.Repeat("x", freeShare) + `"}}`

	t.Run("HT-60 a create that finds no memory is 429 and makes no key", func(t *testing.T) {
		w.t = t
		w.expect(create, 429, "circuit_breaking_exception", `"status":429`)
		w.expect("GET /_security/api_key?name="+name+"\n"+admin, 200, `{"api_keys":[]}`)
	})
	t.Run("many small values are counted by what they become", func(t *testing.T) {
		w.t = t
		w.expect(probe+"\n["+strings.Repeat("1,", freeShare/valueSize)+"1]", 429, "circuit_breaking_exception")
		w.expect(probe+"Content-Type: application/yaml\n\n["+strings.Repeat("1,", freeShare/yamlMarkSize)+"1]", 429, "circuit_breaking_exception")
		w.expect(probe+"Content-Type: application/cbor\n\n\x98\xff"+strings.Repeat("\x01", 255), 429, "circuit_breaking_exception")
	})
	t.Run("decoded bytes are counted", func(t *testing.T) {
		w.t = t
		w.expect(probe+"Content-Encoding: gzip\n\n"+gzipped(`"`+strings.Repeat("x", freeShare)+`"`), 429, "circuit_breaking_exception")
	})
	t.Run("ordinary requests are served all the same", func(t *testing.T) {
		w.t = t
		w.expect("GET /\n"+admin, 200)
		w.expect("DELETE /_security/api_key\n"+bearer+"\n"+`{"name":"`+name+`"}`, 200)
	})
	t.Run("without credentials a large body is 401", func(t *testing.T) {
		w.t = t
		w.expect("POST /_probe/echo\n\n"+strings.Repeat("x", freeShare+1), 401)
	})
	t.Run("every request gives back what it took", func(t *testing.T) {
		w.t = t
		srv.api.memory.held.Add(-all)
		w.expect(create, 200, name)
		w.expect(create+"}", 400)
		w.expect(probe+"Content-Encoding: gzip\n\n"+gzipped(strings.Repeat("x", 2*freeShare))[:90], 400)
		if held := srv.api.memory.held.Load(); held != 0 {
			t.Errorf("%d bytes are still held", held)
		}
	})
}

// Whoever declares a large body and sends little of it takes little from others.
func TestMemoryGrowsWithWhatArrives(t *testing.T) {
	srv := newServer(t)
	w := srv.dial(t)
	w.send("GET /\n" + admin) // connects
	const sent = 100 << 10
	head := "POST /_probe/echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 90000000\r\n" + strings.TrimSuffix(admin, "\n") + "\r\n\r\n"
	if _, err := w.conn.Write([]byte(head + strings.Repeat("x", sent))); err != nil {
		t.Fatal(err)
	}
	memory := &srv.api.memory
	for deadline := time.Now().Add(10 * time.Second); memory.held.Load() < sent-freeShare; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes are held for %d that were sent", memory.held.Load(), sent)
		}
	}
	if held := memory.held.Load(); held > 2*sent {
		t.Errorf("%d bytes are held for %d that were sent", held, sent)
	}
	w.hangUp()
	for deadline := time.Now().Add(10 * time.Second); memory.held.Load() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes are held for a client that went away", memory.held.Load())
		}
	}
}

func TestMemoryIsNeverOverdrawn(t *testing.T) {
	m := memory{limit: 1000}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range int64(2000) {
				s := share{of: &m}
				first, second := s.take(freeShare+j%700), s.take(int64(i))
				if held := m.held.Load(); held > m.limit || held < s.taken {
					t.Errorf("%d of %d bytes are held, %d of them here (%v, %v)", held, m.limit, s.taken, first, second)
				}
				s.release()
				s.release()
			}
		})
	}
	wg.Wait()
	if held := m.held.Load(); held != 0 {
		t.Errorf("%d bytes are still held", held)
	}
}

// What the parsers take at most is accounted for, and fits into an idle server.
func TestTreeSize(t *testing.T) {
	values := func(v xcontent.Value) int64 {
		var count func(v xcontent.Value) int64
		count = func(v xcontent.Value) int64 {
			n := int64(1)
			for _, e := range v.Items {
				n += count(e)
			}
			for _, m := range v.Members {
				n += count(m.Value)
			}
			return n
		}
		return count(v)
	}
	for _, body := range []string{`1`, `[]`, `{}`, `[1]`, `[[],[[]]]`, `{"a":{"b":[1,2,{"c":null}]},"d":""}`, `[1,1,1,1,1]`} {
		v, err := xcontent.ParseJSON([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if n := values(v); treeSize([]byte(body), jsonFormat) < n*valueSize {
			t.Errorf("%s holds %d values, but is counted as %d", body, n, treeSize([]byte(body), jsonFormat)/valueSize)
		}
	}
	s := New(Options{}, Services{})
	for f, body := range map[format]string{jsonFormat: ",", yamlFormat: "-", cborFormat: "\x01"} {
		if size := treeSize([]byte(strings.Repeat(body, 2*maxValues)), f); size+s.opts.MaxContentLength > s.memory.limit {
			t.Errorf("format %d: %d bytes of a tree do not fit beside a body, into %d", f, size, s.memory.limit)
		}
	}
	for _, kind := range []func(int) error{
		func(n int) error {
			_, err := xcontent.ParseJSON([]byte("[" + strings.Repeat("1,", n) + "1]"))
			return err
		},
		func(n int) error {
			_, err := xcontent.ParseYAML([]byte("[" + strings.Repeat("1,", n) + "1]"))
			return err
		},
	} {
		if kind(maxValues+1) == nil {
			t.Errorf("a parser takes more than %d values", maxValues)
		}
	}
}
