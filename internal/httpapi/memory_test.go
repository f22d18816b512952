package httpapi

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"latchkey"
	"latchkey/internal/authn"
)

// A connection that shows one credential again and again is told when it ends.
func TestAnEndReachesABusyConnection(t *testing.T) {
	server := newServer(t)
	other := server.dial(t)
	key := other.newKey("u", "busy")
	granted := other.token("POST /_security/oauth2/token\nAuthorization: Basic {{base64 admin:admin-password}}\n\n" +
		`{"grant_type":"password","username":"u","password":"u-password"}`)
	for _, tt := range []struct{ name, header, path, body string }{
		{"an API key", "Authorization: ApiKey " + key.Encoded, "/_security/api_key", `{"ids":["` + key.ID + `"]}`},
		{"an access token", "Authorization: Bearer " + granted.Access, "/_security/oauth2/token", `{"token":"` + granted.Access + `"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, ask := server.dial(t), "GET /_security/_authenticate\n"+tt.header+"\n"
			for range 5 {
				var who latchkey.AuthenticateResponse
				if err := json.Unmarshal([]byte(w.expect(ask, 200).body), &who); err != nil || who.Username != "u" {
					t.Fatalf("%+v, %v; want u", who, err)
				}
			}
			other.expect("DELETE "+tt.path+"\n"+admin+"\n"+tt.body, 200)
			w.expect(ask, 401)
			w.expect(ask, 401)
		})
	}
}

// What a cached request allocates is most of what it costs beside its connection:
// the call, what the endpoint does and what it returns.
func TestAllocationsOfACachedRequest(t *testing.T) {
	api := New(Options{Compression: true}, newServices(t, true))
	made := func(path, body, member string) string {
		r := httptest.NewRequest("POST", path, strings.NewReader(body))
		r.SetBasicAuth("admin", "admin-password")
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		var answer map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != 200 {
			t.Fatal(w.Code, err)
		}
		return answer[member].(string)
	}
	for _, header := range []string{
		"ApiKey " + made("/_security/api_key", `{"name":"n"}`, "encoded"),
		"Bearer " + made("/_security/oauth2/token", `{"grant_type":"client_credentials"}`, "access_token"),
	} {
		r := httptest.NewRequest("GET", "/_security/_authenticate", nil).WithContext(authn.Remembering(t.Context()))
		r.Header.Set("Authorization", header)
		w := httptest.NewRecorder()
		n := testing.AllocsPerRun(1000, func() {
			clear(w.Header())
			w.Body.Reset()
			api.ServeHTTP(w, r)
		})
		if w.Code != 200 || n > 3 {
			t.Errorf("%.7s: status %d with %v allocations; want 200 with 3", header, w.Code, n)
		}
	}
}
