package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/elastic/elastic-transport-go/v8/elastictransport"
	"github.com/elastic/go-elasticsearch/v9"
	"github.com/elastic/go-elasticsearch/v9/esapi"
)

// lowLevel returns a client that takes and gives JSON as text, and repeats nothing.
func lowLevel(t *testing.T, address string, options ...elasticsearch.Option) *elasticsearch.Client {
	t.Helper()
	client, err := elasticsearch.New(append(options, elasticsearch.WithAddresses(address), elasticsearch.WithTransportOptions(elastictransport.WithDisableRetry()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(context.WithoutCancel(t.Context())) })
	return client
}

// want checks the status of an answer and decodes its body, given as the two
// values of a call.
func want[T any](t *testing.T, status int) func(*esapi.Response, error) T {
	return func(res *esapi.Response, err error) (body T) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var text bytes.Buffer
		if _, err := text.ReadFrom(res.Body); err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != status {
			t.Fatalf("got %d, want %d: %s", res.StatusCode, status, &text)
		}
		if got := res.Header.Get("Content-Type"); got != "application/json" && got != tight9 && got != tight8 {
			t.Errorf("Content-Type: got %q", got)
		}
		if err := json.Unmarshal(text.Bytes(), &body); err != nil {
			t.Fatalf("%v: %s", err, &text)
		}
		return body
	}
}

type object = map[string]any

type madeKey struct {
	ID      string `json:"id"`
	Encoded string `json:"encoded"`
}

type invalidated struct {
	Invalidated           []string `json:"invalidated_api_keys"`
	PreviouslyInvalidated []string `json:"previously_invalidated_api_keys"`
}

type apiError struct {
	Error struct {
		Type   string `json:"type"`
		Reason string `json:"reason"`
	} `json:"error"`
	Status int `json:"status"`
}

// TestGoLowLevelClient9 does the main job as the client speaks by default and
// in its compatibility mode, which asks for the vendored media type.
func TestGoLowLevelClient9(t *testing.T) { onEach(t, goLowLevelClient9) }

func goLowLevelClient9(t *testing.T) {
	for _, tt := range []struct {
		name string
		mode []elasticsearch.Option
	}{
		{"HT-8 HT-13 plain JSON", nil},
		{"HT-8 HT-10 compatibility mode", []elasticsearch.Option{elasticsearch.WithCompatibilityMode()}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			client := func(t *testing.T, credential elasticsearch.Option) *elasticsearch.Client {
				return lowLevel(t, shared(t).url, append(slices.Clone(tt.mode), credential)...)
			}
			admin := client(t, elasticsearch.WithBasicAuth("elastic", password))
			t.Run("HT-4 info names the product", func(t *testing.T) {
				res, err := admin.Info()
				if err == nil && res.Header.Get("X-Elastic-Product") != "Elasticsearch" {
					t.Errorf("got %v", res.Header)
				}
				if info := want[object](t, 200)(res, err); info["tagline"] != "You Know, for Search" {
					t.Errorf("got %v", info)
				}
			})
			t.Run("HT-5 ping is true", func(t *testing.T) {
				if res, err := admin.Ping(); err != nil || res.StatusCode != 200 {
					t.Errorf("got %v, %v", res, err)
				}
			})
			t.Run("AK-1 AK-124 AK-133 a key is made, used, shown and invalidated", func(t *testing.T) {
				lowLevelMainJob(t, admin, client)
			})
			t.Run("AK-98 an empty selector is refused", func(t *testing.T) {
				e := want[apiError](t, 400)(admin.Security.InvalidateAPIKey(strings.NewReader(`{}`)))
				if e.Error.Type != "action_request_validation_exception" || e.Status != 400 {
					t.Errorf("got %+v", e)
				}
			})
			t.Run("AK-47 an unknown id is a 404 with an empty list", func(t *testing.T) {
				answer := want[object](t, 404)(admin.Security.GetAPIKey(admin.Security.GetAPIKey.WithID(unique("no"))))
				if keys, ok := answer["api_keys"].([]any); !ok || len(keys) != 0 || len(answer) != 1 {
					t.Errorf("got %v", answer)
				}
			})
		})
	}
}

func lowLevelMainJob(t *testing.T, admin *elasticsearch.Client, client func(*testing.T, elasticsearch.Option) *elasticsearch.Client) {
	user, role, word := unique("user"), unique("role"), unique("password")
	want[object](t, 200)(admin.Security.PutRole(role, strings.NewReader(`{"cluster":["manage_own_api_key"]}`)))
	want[object](t, 200)(admin.Security.PutUser(user, strings.NewReader(`{"password":"`+word+`","roles":["`+role+`"]}`)))
	owner := client(t, elasticsearch.WithBasicAuth(user, word))

	made := want[madeKey](t, 200)(owner.Security.CreateAPIKey(strings.NewReader(`{"name":"` + unique("key") + `","metadata":{"a":1}}`)))
	key := client(t, elasticsearch.WithAPIKey(made.Encoded))
	me := want[object](t, 200)(key.Security.Authenticate())
	if me["username"] != user || me["authentication_type"] != "api_key" || me["api_key"].(object)["id"] != made.ID {
		t.Errorf("authenticate: got %v", me)
	}
	shown := want[object](t, 200)(owner.Security.GetAPIKey(owner.Security.GetAPIKey.WithOwner(true), owner.Security.GetAPIKey.WithActiveOnly(true)))
	if keys := shown["api_keys"].([]any); len(keys) != 1 || keys[0].(object)["id"] != made.ID {
		t.Errorf("get: got %v", shown)
	}
	e := want[apiError](t, 403)(owner.Security.GetAPIKey())
	if !strings.HasPrefix(e.Error.Reason, "action [cluster:admin/xpack/security/api_key/get] is unauthorized for user ["+user+"] with effective roles ["+role+"]") {
		t.Errorf("get of everything: got %q", e.Error.Reason)
	}

	gone := want[invalidated](t, 200)(owner.Security.InvalidateAPIKey(strings.NewReader(`{"owner":true}`)))
	if !slices.Equal(gone.Invalidated, []string{made.ID}) || gone.PreviouslyInvalidated == nil || len(gone.PreviouslyInvalidated) != 0 {
		t.Errorf("invalidate: got %+v", gone)
	}
	e = want[apiError](t, 401)(key.Security.Authenticate())
	if e.Error.Type != "security_exception" || e.Status != http.StatusUnauthorized {
		t.Errorf("the key afterwards: got %+v", e)
	}
}

func TestGoClient9FindsNodes(t *testing.T) { onEach(t, goClient9FindsNodes) }

func goClient9FindsNodes(t *testing.T) {
	t.Run("HT-56 a client that looks for nodes works afterwards", func(t *testing.T) {
		// Reached by another name, so that only the nodes found have this address.
		byName := strings.Replace(shared(t).url, "127.0.0.1", "localhost", 1)
		var asked []string
		client := lowLevel(t, byName, elasticsearch.WithBasicAuth("elastic", password), elasticsearch.WithTransportOptions(
			elastictransport.WithTransport(roundTripper(func(r *http.Request) (*http.Response, error) {
				asked = append(asked, r.URL.Host+r.URL.Path)
				return http.DefaultTransport.RoundTrip(r)
			}))))
		if err := client.DiscoverNodes(); err != nil {
			t.Fatal(err)
		}
		want[object](t, 200)(client.Security.Authenticate())
		got := []string{strings.TrimPrefix(byName, "http://") + "/_nodes/http", strings.TrimPrefix(shared(t).url, "http://") + "/_security/_authenticate"}
		if !slices.Equal(asked, got) {
			t.Errorf("asked %q, want %q", asked, got)
		}
	})
	t.Run("HT-56 a client that looks for nodes at its start works afterwards", func(t *testing.T) {
		client := lowLevel(t, shared(t).url, elasticsearch.WithBasicAuth("elastic", password), elasticsearch.WithDiscoverNodesOnStart())
		for range 5 { // while it looks, and after
			want[object](t, 200)(client.Security.Authenticate())
		}
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
