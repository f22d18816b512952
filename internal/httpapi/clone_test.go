package httpapi

import (
	"net/url"
	"strings"
	"testing"
)

// Whoever was revoked meanwhile is not handed a new key, and no client makes a
// second one by itself.
func TestCallsThatMakeAKeyMakeSomethingNew(t *testing.T) {
	s := New(Options{}, Services{})
	for _, call := range []string{
		"POST /_security/api_key", "PUT /_security/api_key", "POST /_security/api_key/grant", "PUT /_security/api_key/grant",
		"POST /_security/api_key/clone", "PUT /_security/api_key/clone", "POST /_security/cross_cluster/api_key",
	} {
		method, path, _ := strings.Cut(call, " ")
		if r, _ := s.router.find(method, &url.URL{Path: path}); r == nil || r.pattern != call || !r.makesNew {
			t.Errorf("%s is served by %+v; want a route of its own that makes something new", call, r)
		}
	}
}
