package conformance

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"
)

// warned starts a proxy before the shared server that adds a warning to every answer, as
// Elasticsearch words them, and returns where it is and what its text is for the
// scenarios of another language.
func warned(t *testing.T) (env []string) {
	t.Helper()
	behind, err := url.Parse(shared(t).url)
	if err != nil {
		t.Fatal(err)
	}
	const text = "use [ids] instead of [id]"
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(behind) },
		ModifyResponse: func(r *http.Response) error {
			r.Header.Set("Warning", `299 Elasticsearch-9.4.0-0123456789abcdef0123456789abcdef01234567 "`+text+`"`)
			return nil
		},
	})
	t.Cleanup(proxy.Close)
	return []string{"LATCHKEY_WARNED_URL=" + proxy.URL, "LATCHKEY_WARNING=" + text}
}
