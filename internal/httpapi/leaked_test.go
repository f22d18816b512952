package httpapi

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"latchkey"
	"latchkey/internal/apikey"
)

func TestLeakedInALargeText(t *testing.T) {
	services := newServices(t, false)
	srv := startServer(t, services, func(o *Options) { o.MaxContentLength = 4 << 10 })
	w := srv.dial(t)
	k := w.newKey("u", "leaked")
	text := strings.Repeat("2026-01-02 a line of a log that says nothing\n", 20_000)
	text = text + "Authorization: ApiKey " + k.Encoded + "\n" + text
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, encoding string
		body           io.Reader
		invalidated    int
	}{
		{"of a length", "", strings.NewReader(text), 1},
		{"of no length", "", io.MultiReader(strings.NewReader(text)), 0},
		{"compressed", "gzip", &packed, 0},
	} {
		req, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+srv.addr+"/_latchkey/api_key/_invalidate_leaked", tt.body)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth("a", "a-password")
		if tt.encoding != "" {
			req.Header.Set("Content-Encoding", tt.encoding)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var got latchkey.InvalidateLeakedResponse
		err = json.NewDecoder(resp.Body).Decode(&got)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != 200 || got.Found != 1 || len(got.Invalidated) != tt.invalidated || got.Bytes != int64(len(text)) {
			t.Errorf("%s: %d, %+v, %v", tt.name, resp.StatusCode, got, err)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

// Who is revoked while a text arrives ends nothing with it.
func TestRevokedBeforeTheTextHasArrived(t *testing.T) {
	services := newServices(t, false)
	srv := startServer(t, services)
	w := srv.dial(t)
	mine, leaked := w.newKey("admin", "mine"), w.newKey("u", "leaked")
	w.expect("GET /_security/_authenticate\nAuthorization: ApiKey "+leaked.Encoded, 200)
	conn, err := net.Dial("tcp", srv.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /_latchkey/api_key/_invalidate_leaked HTTP/1.1\r\nHost: x\r\nAuthorization: ApiKey %s\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", mine.Encoded, len(leaked.Encoded))
	in := bufio.NewReader(conn)
	if line, err := in.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" { // the headers were judged
		t.Fatalf("%q, %v", line, err)
	}
	admin, err := services.APIKeys.Verify(t.Context(), mine.ID, mine.APIKey)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := services.APIKeys.Invalidate(t.Context(), admin, apikey.InvalidateRequest{IDs: []string{mine.ID}}); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, leaked.Encoded)
	if _, err := in.ReadString('\n'); err != nil { // the empty line
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 401 {
		t.Errorf("%d", resp.StatusCode)
	}
	w.expect("GET /_security/_authenticate\nAuthorization: ApiKey "+leaked.Encoded, 200)
}

// newKey makes a key of a user of [newServices].
func (w *wire) newKey(user, name string) (made latchkey.CreateAPIKeyResponse) {
	w.t.Helper()
	got := w.expect("POST /_security/api_key\nAuthorization: Basic "+w.expand("{{base64 "+user+":"+user+"-password}}")+"\n\n{\"name\":\""+name+"\"}", 200)
	if err := json.Unmarshal([]byte(got.body), &made); err != nil {
		w.t.Fatal(err)
	}
	return made
}
