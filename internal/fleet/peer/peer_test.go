package peer

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"latchkey/internal/fleet"
	"latchkey/internal/secret"
)

var shared = secret.Of("a secret of the fleet")

var push = fleet.Push{Records: []fleet.Record{
	{Mark: fleet.Mark{Rev: 7, UID: "ü"}, Prev: "six", Kind: "api_keys", Body: fleet.EncodeIDs([]string{"a", "b"})},
	{Mark: fleet.Mark{Rev: 8, UID: "eight"}, Prev: "ü", Kind: "tokens"},
}}

// receiver takes everything, and remembers the last.
type receiver struct {
	got   fleet.Push
	calls atomic.Int64
}

func (r *receiver) Receive(p fleet.Push) fleet.Ack {
	r.got = p
	r.calls.Add(1)
	return fleet.Ack{Node: "n", Applied: 8, Rev: 8}
}

type answer struct {
	ack fleet.Ack
	err error
}

func send(t *testing.T, s secret.Secret, url string) answer {
	t.Helper()
	c := NewClient(s, http.DefaultClient)
	got := make(chan answer, 1)
	c.Push(url, push, func(a fleet.Ack, err error) { got <- answer{a, err} })
	result := <-got
	c.Close()
	return result
}

func TestPush(t *testing.T) {
	var node receiver
	server := httptest.NewServer(Handler(shared, &node))
	defer server.Close()
	got := send(t, shared, server.URL)
	if want := (fleet.Ack{Node: "n", Applied: 8, Rev: 8}); got.err != nil || got.ack != want {
		t.Errorf("answer %+v, %v; want %+v", got.ack, got.err, want)
	}
	if diff := cmp.Diff(push, node.got); diff != "" {
		t.Errorf("what arrived (-sent +got):\n%s", diff)
	}
}

func TestNobodyIsBelievedWithoutTheSecret(t *testing.T) {
	var node receiver
	server := httptest.NewServer(Handler(shared, &node))
	defer server.Close()
	if got := send(t, secret.Of("another"), server.URL); got.err == nil || !strings.Contains(got.err.Error(), "has another latchkey.fleet.secret") {
		t.Errorf("a client with another secret: %v", got.err)
	}
	if n := node.calls.Load(); n != 0 {
		t.Errorf("%d pushes arrived", n)
	}

	impostor := httptest.NewServer(Handler(secret.Of("another"), &node))
	defer impostor.Close()
	if got := send(t, shared, impostor.URL); got.err == nil {
		t.Error("a server with another secret was asked")
	}

	// Somebody in between plays back what a node has answered before.
	var recorded *http.Response
	var body []byte
	between := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if recorded == nil {
			out := httptest.NewRecorder()
			Handler(shared, &node).ServeHTTP(out, r)
			recorded, body = out.Result(), out.Body.Bytes()
		}
		w.Header().Set(macHeader, recorded.Header.Get(macHeader))
		w.Write(body)
	}))
	defer between.Close()
	if got := send(t, shared, between.URL); got.err != nil {
		t.Errorf("the first answer: %v", got.err)
	}
	if got := send(t, shared, between.URL); got.err == nil {
		t.Error("an answer to another request was believed")
	}
}

func TestRefusedRequests(t *testing.T) {
	proof := func(nonce, body string) string {
		return base64.StdEncoding.EncodeToString(mac(shared, "request", nonce, []byte(body)))
	}
	good := `{"records":[]}`
	large := strings.Repeat("x", maxMessage+1)
	tests := []struct {
		name                      string
		method, path, nonce, mac_ string
		body                      string
		want                      int
	}{
		{"all is well", "POST", Path, "n", proof("n", good), good, 200},
		{"no proof", "POST", Path, "", "", good, 401},
		{"no nonce", "POST", Path, "", proof("", good), good, 401},
		{"proof of another body", "POST", Path, "n", proof("n", good), good + " ", 401},
		{"proof for another nonce", "POST", Path, "n", proof("m", good), good, 401},
		{"proof that is no Base64", "POST", Path, "n", "§", good, 401},
		{"proof of an answer", "POST", Path, "n", base64.StdEncoding.EncodeToString(mac(shared, "answer", "n", []byte(good))), good, 401},
		{"no JSON", "POST", Path, "n", proof("n", "x"), "x", 400},
		{"other JSON", "POST", Path, "n", proof("n", `{"records":7}`), `{"records":7}`, 400},
		{"empty", "POST", Path, "n", proof("n", ""), "", 400},
		{"too large", "POST", Path, "n", proof("n", large), large, 413},
		{"another method", "GET", Path, "n", proof("n", ""), "", 405},
		{"another path", "POST", Path + "/x", "n", proof("n", good), good, 404},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var node receiver
			r := httptest.NewRequest(tt.method, tt.path, strings.NewReader(tt.body))
			r.Header.Set(nonceHeader, tt.nonce)
			r.Header.Set(macHeader, tt.mac_)
			w := httptest.NewRecorder()
			Handler(shared, &node).ServeHTTP(w, r)
			if w.Code != tt.want {
				t.Errorf("status %d, want %d", w.Code, tt.want)
			}
			if arrived := node.calls.Load() == 1; arrived != (tt.want == 200) {
				t.Errorf("the node was asked: %t", arrived)
			}
			if bytes.Contains(w.Body.Bytes(), []byte(shared.Reveal())) {
				t.Error("the answer holds the secret")
			}
		})
	}
}

func TestAPushFails(t *testing.T) {
	tests := []struct {
		name   string
		answer http.HandlerFunc
	}{
		{"with a status", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }},
		{"with an endless answer", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, strings.Repeat("x", 1000)); err != nil {
					return
				}
			}
		}},
		{"without an answer", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(tt.answer)
			defer server.Close()
			if got := send(t, shared, server.URL); got.err == nil {
				t.Errorf("answer %+v", got.ack)
			}
		})
	}
	if got := send(t, shared, "http://\x00"); got.err == nil {
		t.Error("there is no such address")
	}
}

// Close ends a push that would go on.
func TestCloseBreaksOff(t *testing.T) {
	asked := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(asked)
		<-r.Context().Done()
	}))
	defer server.Close()
	c := NewClient(shared, http.DefaultClient)
	got := make(chan answer, 1)
	c.Push(server.URL, push, func(a fleet.Ack, err error) { got <- answer{a, err} })
	<-asked
	c.Close()
	if r := <-got; r.err == nil {
		t.Error("the push was answered")
	}
}
