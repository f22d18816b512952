package conformance

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/elastic/go-elasticsearch/v7"
	esapi7 "github.com/elastic/go-elasticsearch/v7/esapi"
	"github.com/elastic/go-elasticsearch/v9/esapi"
)

// from7 makes an answer of release 7.17 one of release 9, for want.
func from7(res *esapi7.Response, err error) (*esapi.Response, error) {
	return (*esapi.Response)(res), err
}

// TestGoClient717 has the client check, before its first call, that it talks to
// Elasticsearch.
func TestGoClient717(t *testing.T) { onEach(t, goClient717) }

func goClient717(t *testing.T) {
	var asked []string
	connect := func(t *testing.T, config elasticsearch.Config) *elasticsearch.Client {
		t.Helper()
		config.Addresses, config.DisableRetry = []string{shared(t).url}, true
		config.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
			asked = append(asked, r.Method+" "+r.URL.Path)
			return http.DefaultTransport.RoundTrip(r)
		})
		client, err := elasticsearch.NewClient(config)
		if err != nil {
			t.Fatal(err)
		}
		return client
	}
	admin := connect(t, elasticsearch.Config{Username: "elastic", Password: password})

	t.Run("HT-7 the product check passes, and a key is made, used and invalidated", func(t *testing.T) {
		asked = nil
		made := want[madeKey](t, 200)(from7(admin.Security.CreateAPIKey(strings.NewReader(`{"name":"` + unique("key") + `"}`))))
		if got := []string{"GET /", "PUT /_security/api_key"}; !slices.Equal(asked, got) {
			t.Errorf("asked %q, want %q", asked, got)
		}
		key := connect(t, elasticsearch.Config{APIKey: made.Encoded})
		if me := want[object](t, 200)(from7(key.Security.Authenticate())); me["username"] != "elastic" {
			t.Errorf("authenticate: got %v", me)
		}
		gone := want[invalidated](t, 200)(from7(admin.Security.InvalidateAPIKey(strings.NewReader(`{"ids":["` + made.ID + `"]}`))))
		if !slices.Equal(gone.Invalidated, []string{made.ID}) {
			t.Errorf("invalidate: got %+v", gone)
		}
		if e := want[apiError](t, 401)(from7(key.Security.Authenticate())); e.Error.Type != "security_exception" {
			t.Errorf("the key afterwards: got %+v", e)
		}
	})
	t.Run("HT-7 a caller who may not ask who the server is completes its call all the same", func(t *testing.T) {
		made := want[madeKey](t, 200)(from7(admin.Security.CreateAPIKey(strings.NewReader(`{"name":"` + unique("key") + `","role_descriptors":{"none":{}}}`))))
		asked = nil
		me := want[object](t, 200)(from7(connect(t, elasticsearch.Config{APIKey: made.Encoded}).Security.Authenticate()))
		if me["authentication_type"] != "api_key" {
			t.Errorf("authenticate: got %v", me)
		}
		if got := []string{"GET /", "GET /_security/_authenticate"}; !slices.Equal(asked, got) {
			t.Errorf("asked %q, want %q", asked, got)
		}
	})
}
