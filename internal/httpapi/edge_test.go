package httpapi

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"latchkey/internal/authn"
)

// admin is the header line that the tests here authenticate with.
const admin = "Authorization: Basic YWRtaW46YWRtaW4tcGFzc3dvcmQ=\n"

// probe is the request line of an endpoint that answers with its body.
const probe = "POST /_probe/echo\n" + admin

func (w *wire) expect(request string, status int, parts ...string) wireAnswer {
	w.t.Helper()
	got := w.send(request)
	if got.status != status {
		w.t.Fatalf("%s: status %d; want %d\n%s", firstLine(request), got.status, status, got.body)
	}
	for _, p := range parts {
		if !strings.Contains(got.body, p) {
			w.t.Errorf("%s: the answer lacks %q\n%s", firstLine(request), p, got.body)
		}
	}
	return got
}

func gzipped(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, s)
	_ = z.Close()
	return b.String()
}

func TestGzip(t *testing.T) {
	t.Run("HT-53 a gzip request body is decoded", func(t *testing.T) {
		w := newServer(t).dial(t)
		w.expect(probe+"Content-Encoding: gzip\n\n"+gzipped(`{"a":"`+strings.Repeat("x", 3000)+`"}`), 200, "xxx")
		w.expect(probe+"Content-Encoding: gzip\n\n"+gzipped(`{"a":2}`), 200, `{\"a\":2}`) // the reader is used again
	})
	t.Run("HT-53 an answer is compressed only if the client asked", func(t *testing.T) {
		w := newServer(t).dial(t)
		body := "\n{\"a\":\"" + strings.Repeat("x", 3000) + "\"}"
		for _, tt := range []struct {
			accept string
			want   string
		}{
			{"", ""}, {"Accept-Encoding: gzip, deflate\n", "gzip"}, {"Accept-Encoding: deflate, *;q=0.5\n", "gzip"},
			{"Accept-Encoding: gzip;q=0\n", ""}, {"Accept-Encoding: gzip; q=0.0, *\n", ""}, {"Accept-Encoding: br\n", ""},
		} {
			got := w.expect(probe+tt.accept+body, 200)
			if e := got.header.Get("Content-Encoding"); e != tt.want {
				t.Errorf("%q: Content-Encoding is %q; want %q", tt.accept, e, tt.want)
			}
			if tt.want == "" {
				continue
			}
			z, err := gzip.NewReader(strings.NewReader(got.body))
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(z); err != nil || !bytes.Contains(b, []byte("xxxx")) {
				t.Errorf("%q: decoded %q, %v", tt.accept, b, err)
			}
		}
	})
	t.Run("an answer is not compressed while compression is off", func(t *testing.T) {
		w := newServer(t, func(o *Options) { o.Compression = false }).dial(t)
		got := w.expect("GET /\nAccept-Encoding: gzip\n"+admin, 200, "tagline")
		if e := got.header.Get("Content-Encoding"); e != "" {
			t.Errorf("Content-Encoding is %q", e)
		}
	})
	t.Run("a body that is not gzip, is cut off or is encoded otherwise is 400", func(t *testing.T) {
		w := newServer(t).dial(t)
		const bad = "illegal_argument_exception"
		w.expect(probe+"Content-Encoding: gzip\n\n{}", 400, bad)
		w.expect(probe+"Content-Encoding: gzip\n\n"+gzipped(`{"a":2}`)[:20], 400, bad)
		w.expect(probe+"Content-Encoding: br\n\n{}", 400, bad, "br")
	})
}

func TestLimits(t *testing.T) {
	small := func(o *Options) { o.MaxContentLength = 1000 }
	tests := []struct {
		name    string
		request string
		status  int
	}{
		{"HT-54 a body above http.max_content_length is 413", probe + "\n\"" + strings.Repeat("x", 1000) + "\"", 413},
		{"HT-54 the limit counts decoded bytes", probe + "Content-Encoding: gzip\n\n" + gzipped(`"`+strings.Repeat("x", 1000)+`"`), 413},
		{"HT-54 a body of unknown length is counted while it is read", probe + "Transfer-Encoding: chunked\n\n" + "400\r\n" + strings.Repeat(" ", 1024) + "\r\n0\r\n\r\n", 413},
		{"a body at the limit is taken", probe + "\n\"" + strings.Repeat("x", 998) + "\"", 200},
		{"HT-54 a request line above 4 KiB is 400", "GET /" + strings.Repeat("x", 4096) + "\n" + admin, 400},
		{"a request line of 4 KiB is judged by its path", "GET /" + strings.Repeat("x", 4096-len("GET / HTTP/1.1")) + "\n" + admin, 400},
		{"headers above 16 KiB are 400", "GET /\nX-Pad: " + strings.Repeat("x", 16<<10) + "\n" + admin, 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newServer(t, small).dial(t)
			got := w.send(tt.request)
			if got.status != tt.status {
				t.Fatalf("status %d; want %d: %s", got.status, tt.status, got.body)
			}
			if got.status == 413 && (got.body != "" || w.conn != nil) {
				t.Errorf("a 413 closes the connection (%v) and has no body, but: %s", w.conn == nil, got.body)
			}
		})
	}
	t.Run("HT-54 what is too long says how long it may be", func(t *testing.T) {
		w := newServer(t).dial(t)
		w.expect("GET /"+strings.Repeat("x", 4096)+"\n", 400, "too_long_http_line_exception", "An HTTP line is larger than 4096 bytes")
		w.expect("GET /\nX-Pad: "+strings.Repeat("x", 16<<10)+"\n", 400, "too_long_http_header_exception", "16384 bytes")
		w.expect("GET /"+strings.Repeat("x", 4096-len("GET / HTTP/1.1"))+"\n"+admin, 400, "no handler found")
	})
	t.Run("without credentials a body that is too large is 401", func(t *testing.T) {
		newServer(t, small).dial(t).expect("POST /_probe/echo\n\n"+strings.Repeat("x", 1001), 401)
	})
	t.Run("bad chunking is 400 and ends the connection", func(t *testing.T) {
		w := newServer(t).dial(t)
		if w.expect(probe+"Transfer-Encoding: chunked\n\nzz\r\n{}\r\n0\r\n\r\n", 400, "illegal_argument_exception"); w.conn != nil {
			t.Error("the connection stays open")
		}
	})
	t.Run("a chunked body without a byte is no body", func(t *testing.T) {
		newServer(t).dial(t).expect("GET /\n"+admin+"Transfer-Encoding: chunked\n\n0\r\n\r\n\n", 200)
	})
}

func TestConnections(t *testing.T) {
	t.Run("the body of OPTIONS is refused unread", func(t *testing.T) {
		for _, body := range []string{"Content-Length: 1000000", "Transfer-Encoding: chunked", "Content-Encoding: gzip\r\nContent-Length: 1000"} {
			w := newServer(t).dial(t)
			got := w.raw("OPTIONS", "OPTIONS / HTTP/1.1\r\nHost: x\r\n"+body+"\r\n\r\n") // and nothing of the body
			if got.status != 400 || !strings.Contains(got.body, "illegal_argument_exception") || w.conn != nil {
				t.Errorf("%s: %d, still connected: %v\n%s", body, got.status, w.conn != nil, got.body)
			}
		}
	})
	t.Run("HT-55 1000 requests go over one connection", func(t *testing.T) {
		w := newServer(t).dial(t)
		w.send("GET /\n" + admin)
		opened := w.conn
		requests := []string{"GET /\n" + admin, "GET /nonexistent\n" + admin, "GET /\n", probe + "\n{}", "HEAD /\n" + admin, "OPTIONS /\n", "POST /\n\n{}", probe + "\n{"}
		for i := range 1000 {
			if w.send(requests[i%len(requests)]); w.conn != opened {
				t.Fatalf("the server closed the connection after %s", firstLine(requests[i%len(requests)]))
			}
		}
	})
	t.Run("requests sent before the answers arrived are answered in order", func(t *testing.T) {
		w := newServer(t).dial(t)
		head := "GET /?filter_path=%s HTTP/1.1\r\nHost: x\r\n" + strings.TrimSuffix(admin, "\n") + "\r\n\r\n"
		first := w.raw("GET", fmt.Sprintf(head, "name")+fmt.Sprintf(head, "tagline"))
		second := w.raw("GET", "")
		if first.body != `{"name":"node-1"}` || !strings.Contains(second.body, "tagline") {
			t.Errorf("got %s, then %s", first.body, second.body)
		}
	})
	t.Run("Connection: close is honoured", func(t *testing.T) {
		w := newServer(t).dial(t)
		if w.expect("GET /\nConnection: close\n"+admin, 200); w.conn != nil {
			t.Error("the connection stays open")
		}
	})
}

func TestBriefErrors(t *testing.T) {
	w := newServer(t, func(o *Options) { o.BriefErrors = true }).dial(t)
	got := w.expect("GET /_probe/missing\n"+admin, 404)
	if want := `{"error":{"type":"resource_not_found_exception","reason":"there is no such thing"},"status":404}`; got.body != want {
		t.Errorf("got %s; want %s", got.body, want)
	}
	got = w.expect("GET /nonexistent?error_trace=true\n"+admin, 400)
	if want := `{"error":"error traces in responses are disabled","status":400}`; got.body != want {
		t.Errorf("got %s; want %s", got.body, want)
	}
	w.expect("GET /?error_trace=true\n", 401)
}

func TestNoChallengeForWhatIsOff(t *testing.T) {
	w := newServer(t, func(o *Options) { o.APIKeysDisabled = true }).dial(t)
	got := w.expect("GET /\n", 401)
	if c := got.header.Values("WWW-Authenticate"); len(c) != 2 || strings.Contains(got.body, "ApiKey") {
		t.Errorf("challenges are %q", c)
	}
}

func TestCBOR(t *testing.T) {
	w := newServer(t).dial(t)
	body, err := cbor.Marshal(map[string]any{"a": []int{1, -2}})
	if err != nil {
		t.Fatal(err)
	}
	got := w.expect(probe+"Content-Type: application/vnd.elasticsearch+cbor;compatible-with=9\n\n"+string(body), 200)
	if typ := got.header.Get("Content-Type"); typ != "application/vnd.elasticsearch+cbor;compatible-with=9" {
		t.Errorf("Content-Type is %q", typ)
	}
	var answer map[string]string
	if err := cbor.Unmarshal([]byte(got.body), &answer); err != nil || answer["body"] != `{"a":[1,-2]}` {
		t.Errorf("got %v, %v", answer, err)
	}
	w.expect(probe+"Content-Type: application/cbor\nAccept: application/json\n\n\xff", 400, "x_content_parse_exception", "[1:1]")
}

// logs collects what the server logs; it is read while the server runs.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestLog(t *testing.T) {
	var log logs
	w := newServer(t, func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) }).dial(t)
	w.expect("GET /_probe/broken\n"+admin, 500)
	if n := strings.Count(log.String(), "the secret text of a disk error"); n != 1 || !strings.Contains(log.String(), "GET /_probe/broken") {
		t.Errorf("the cause stands %d times in the log, with the route or not:\n%s", n, log.String())
	}
	w.expect("GET /_probe/panics\n"+admin, 500)
	if !strings.Contains(log.String(), "a mistake of ours") || !strings.Contains(log.String(), "server_test.go") {
		t.Errorf("a panic is logged with its stack, but:\n%s", log.String())
	}
	w.expect("GET /_probe/unshowable?pretty\n"+admin, 500, "internal error")
	if !strings.Contains(log.String(), "encode the answer") {
		t.Errorf("an answer that cannot be shown is logged, but:\n%s", log.String())
	}
	before := log.String()
	w.expect("GET /nonexistent\n"+admin, 400)
	if log.String() != before {
		t.Error("a mistake of the client is logged above Debug")
	}
}

// An honest answer to a probe must not depend on who else is asking.
func TestParallel(t *testing.T) {
	srv := newServer(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			w := srv.dial(t)
			for j := range 50 {
				body := fmt.Sprintf(`{"a":"%d-%d%s"}`, i, j, strings.Repeat("x", 10*j))
				got := w.send(probe + "Accept-Encoding: gzip\n\n" + body)
				text := got.body
				if got.header.Get("Content-Encoding") == "gzip" {
					z, err := gzip.NewReader(strings.NewReader(text))
					if err != nil {
						t.Error(err)
						return
					}
					b, err := io.ReadAll(z)
					if err != nil {
						t.Error(err)
						return
					}
					text = string(b)
				}
				if !strings.Contains(text, fmt.Sprintf("%d-%dx", i, j)) && j > 0 {
					t.Errorf("got %s for %s", text, body)
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkAuthenticate(b *testing.B) {
	api := New(Options{ClusterUUID: "zk-HjQtYQGyL3NFSSu7InA", Compression: true}, newServices(b, true))
	r := httptest.NewRequest("GET", "/_security/_authenticate", nil)
	r.Header.Set("Authorization", "ApiKey azE6azE=")
	r.Header.Set("Accept", "application/vnd.elasticsearch+json; compatible-with=9")
	for name, r := range map[string]*http.Request{"a new connection": r, "the same connection": r.WithContext(authn.Remembering(b.Context()))} {
		b.Run(name, func(b *testing.B) {
			w := httptest.NewRecorder()
			b.ReportAllocs()
			for b.Loop() {
				clear(w.Header())
				w.Body.Reset()
				api.ServeHTTP(w, r)
			}
			if w.Code != 200 {
				b.Fatal(w.Body)
			}
		})
	}
}
