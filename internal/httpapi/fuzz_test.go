package httpapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzBodies sends any body to every call that reads one. Whatever a stranger
// writes is answered with a success or an error of 4xx, and nothing of it
// makes the next request fail: what was accepted can be shown in every format.
func FuzzBodies(f *testing.F) {
	calls := []struct{ method, path, shownAt string }{
		{"POST", "/_security/api_key", "/_security/api_key?pretty&id="},
		{"POST", "/_security/api_key/grant", "/_security/api_key?pretty&id="},
		{"DELETE", "/_security/api_key", ""},
		{"PUT", "/_security/user/fuzz", "/_security/user/fuzz?filter_path=**"},
		{"PUT", "/_security/user/fuzz/_password", ""},
		{"PUT", "/_security/role/fuzz", "/_security/role/fuzz?pretty"},
		{"POST", "/_security/user/_has_privileges", ""},
	}
	for i, body := range []string{
		`{"name":"n","expiration":"1d","role_descriptors":{"r":{"cluster":["all"],"indices":[{"names":["/(a|b)*/"],"privileges":["read"],"query":{"term":{"a":1}}}]}},"metadata":{"a":[1,null]}}`,
		`{"grant_type":"password","username":"u","password":"u-password","api_key":{"name":"n","role_descriptors":[{"a":{}}]},"run_as":"v"}`,
		`{"ids":["a","b"],"owner":"true"}`,
		`{"password":"correct-horse","roles":"a,b","metadata":{"x":{}},"full_name":null,"enabled":false}`,
		`{"password_hash":"$2a$10$abc"}`,
		`{"cluster":["cluster:monitor/*"],"global":{"application":{"manage":{"applications":["a-*"]}}},"remote_indices":[{"clusters":["c"],"names":"n","privileges":["read"]}]}`,
		`{"cluster":["monitor"],"index":[],"application":[]}`,
		"name: n\nmetadata: {a: [1, 0x1f, .inf]}\n",
		"\xbf\x64name\x61n\xff",
	} {
		for kind := range 3 {
			f.Add(uint8(i), uint8(kind), []byte(body))
		}
	}
	api := New(Options{ClusterUUID: "zk-HjQtYQGyL3NFSSu7InA"}, newServices(f, false))
	types := []string{"application/json", "application/yaml", "application/cbor"}
	f.Fuzz(func(t *testing.T, call, kind uint8, body []byte) {
		c, typ := calls[int(call)%len(calls)], types[int(kind)%len(types)]
		send := func(method, uri, accept string, body []byte) *httptest.ResponseRecorder {
			r := httptest.NewRequest(method, uri, bytes.NewReader(body))
			r.Header.Set("Content-Type", typ)
			r.Header.Set("Accept", accept)
			r.SetBasicAuth("admin", "admin-password")
			w := httptest.NewRecorder()
			api.ServeHTTP(w, r)
			return w
		}
		w := send(c.method, c.path, "application/json", body)
		if w.Code >= http.StatusInternalServerError || w.Code == http.StatusUnauthorized {
			t.Errorf("%s %s as %s with %q: %d %s", c.method, c.path, typ, body, w.Code, w.Body)
		}
		if w.Code >= 400 && !strings.Contains(w.Body.String(), `"error"`) && w.Code != http.StatusNotFound {
			t.Errorf("%s %s with %q: %d without an error: %s", c.method, c.path, body, w.Code, w.Body)
		}
		if held := api.memory.held.Load(); held != 0 {
			t.Errorf("%s %s with %q: %d bytes are still held", c.method, c.path, body, held)
		}
		if w.Code != http.StatusOK || c.shownAt == "" {
			return
		}
		var made struct{ ID string }
		if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil {
			t.Fatalf("%s %s with %q: %v: %s", c.method, c.path, body, err, w.Body)
		}
		for _, as := range []string{"application/json", "application/yaml", "application/cbor"} {
			if w := send("GET", c.shownAt+made.ID, as, nil); w.Code != http.StatusOK {
				t.Errorf("%s %s as %s with %q is accepted and cannot be shown as %s: %d %s", c.method, c.path, typ, body, as, w.Code, w.Body)
			}
		}
	})
}
