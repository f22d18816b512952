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
	api := New(Options{ClusterUUID: "zk-HjQtYQGyL3NFSSu7InA"}, newServices(f, true))
	uid := activateProfile(f, api)
	calls := []struct{ method, path, shownAt string }{
		{"POST", "/_security/api_key", "/_security/api_key?pretty&id="},
		{"POST", "/_security/api_key/grant", "/_security/api_key?pretty&id="},
		{"DELETE", "/_security/api_key", ""},
		{"PUT", "/_security/user/fuzz", "/_security/user/fuzz?filter_path=**"},
		{"PUT", "/_security/user/fuzz/_password", ""},
		{"PUT", "/_security/role/fuzz", "/_security/role/fuzz?pretty"},
		{"POST", "/_security/user/_has_privileges", ""},
		{"PUT", "/_security/privilege", "/_security/privilege?pretty"},
		{"POST", "/_security/_query/user", ""},
		{"POST", "/_security/_query/role", ""},
		{"POST", "/_security/role", "/_security/role?pretty"},
		{"DELETE", "/_security/role", ""},
		{"PUT", "/_security/settings", "/_security/settings"},
		{"POST", "/_security/profile/_suggest", ""},
		{"POST", "/_security/profile/_has_privileges", ""},
		{"PUT", "/_security/profile/" + uid + "/_data", "/_security/profile/" + uid + "?data=*&"},
		{"PUT", "/_security/api_key/k1", "/_security/api_key?pretty&id=k1"},
		{"POST", "/_security/api_key/_bulk_update", "/_security/api_key?pretty&id=k1"},
	}
	for i, body := range []string{
		`{"name":"n","expiration":"1d","role_descriptors":{"r":{"cluster":["all"],"indices":[{"names":["/(a|b)*/"],"privileges":["read"],"query":{"term":{"a":1}}}]}},"metadata":{"a":[1,null]}}`,
		`{"grant_type":"password","username":"u","password":"u-password","api_key":{"name":"n","role_descriptors":[{"a":{}}]},"run_as":"v"}`,
		`{"ids":["a","b"],"owner":"true"}`,
		`{"password":"correct-horse","roles":"a,b","metadata":{"x":{}},"full_name":null,"enabled":false}`,
		`{"password_hash":"$2a$10$abc"}`,
		`{"cluster":["cluster:monitor/*"],"global":{"application":{"manage":{"applications":["a-*"]}}},"remote_indices":[{"clusters":["c"],"names":"n","privileges":["read"]}]}`,
		`{"cluster":["monitor"],"index":[{"names":["/(a|b)*/","*"],"privileges":["read"]}],"application":[{"application":"app","privileges":["read","a:*"],"resources":["*"]}]}`,
		`{"app":{"read":{"actions":["a:*","/b:(c|d)/"],"metadata":{"x":1}}}}`,
		`{"query":{"bool":{"must_not":{"wildcard":{"name":"a*"}}}},"sort":["_doc"],"search_after":[1]}`,
		`{"roles":{"a":{"cluster":["monitor"]},"superuser":{}}}`,
		`{"names":["own","superuser"]}`,
		`{"security":{"index.number_of_replicas":1},"security-tokens":{"index":{"auto_expand_replicas":null}}}`,
		`{"name":"u","size":3,"hint":{"uids":["x"],"labels":{"a.b":["c"]}},"data":"*"}`,
		`{"uids":["x"],"privileges":{"cluster":["all"]}}`,
		`{"labels":{"a":{"b":1}},"data":{"c":[1]}}`,
		"name: n\nmetadata: {a: [1, 0x1f, .inf]}\n",
		`{"expiration":"1h","role_descriptors":{"r":{"cluster":["monitor"]}},"metadata":{"b":[1.50,{}],"a":null}}`,
		`{"ids":["k1","k2","k1"],"role_descriptors":{},"metadata":{"a":null,"b":[1.50,{}]}}`,
		"\xbf\x64name\x61n\xff",
	} {
		for kind := range 3 {
			f.Add(uint8(i), uint8(kind), []byte(body))
		}
	}
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

// activateProfile returns the uid of a profile.
func activateProfile(t testing.TB, api *Server) string {
	t.Helper()
	r := httptest.NewRequest("POST", "/_security/profile/_activate", strings.NewReader(`{"grant_type":"password","username":"u","password":"u-password"}`))
	r.Header.Set("Content-Type", "application/json")
	r.SetBasicAuth("admin", "admin-password")
	w := httptest.NewRecorder()
	api.ServeHTTP(w, r)
	var made struct{ UID string }
	if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil || made.UID == "" {
		t.Fatalf("no profile: %v: %d %s", err, w.Code, w.Body)
	}
	return made.UID
}
