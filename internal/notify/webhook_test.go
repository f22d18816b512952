package notify

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"latchkey/internal/secret"
)

func TestPost(t *testing.T) {
	status := 204
	var got, elsewhere []string
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { elsewhere = append(elsewhere, r.URL.Path) }))
	defer other.Close()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got = append(got, r.Method+" "+r.URL.Path+" "+r.Header.Get("Content-Type")+" "+r.Header.Get("Authorization")+" "+string(body))
		w.Header().Set("Location", other.URL)
		w.WriteHeader(status)
	}))
	defer srv.Close()
	hook := NewWebhook(secret.Of(srv.URL+"/path-secret"), secret.Of("Bearer header-secret"))
	defer hook.Close()
	if err := hook.Post(t.Context(), map[string]int{"a": 1}); err != nil {
		t.Fatal(err)
	}
	if want := `POST /path-secret application/json Bearer header-secret {"a":1}`; len(got) != 1 || got[0] != want {
		t.Errorf("got %q; want %q", got, want)
	}
	silent := func(err error) {
		t.Helper()
		if err == nil || strings.Contains(err.Error(), "-secret") {
			t.Errorf("%v", err)
		}
	}
	for _, status = range []int{302, 307, 400, 404, 500} {
		silent(hook.Post(t.Context(), 1))
	}
	if len(elsewhere) > 0 {
		t.Errorf("a redirect was followed to %v", elsewhere)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	silent(hook.Post(gone, 1))
	srv.Close()
	silent(hook.Post(t.Context(), 1))
	silent(NewWebhook(secret.Of("https://x:y/\x00path-secret"), secret.Secret{}).Post(t.Context(), 1))

	untrusted := httptest.NewTLSServer(http.NotFoundHandler())
	defer untrusted.Close()
	err := NewWebhook(secret.Of(untrusted.URL), secret.Secret{}).Post(t.Context(), 1)
	if err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate that nobody vouches for: %v", err)
	}
}
