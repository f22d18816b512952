package conformance

import (
	"net/http"
	"strings"
	"testing"

	elasticsearch7 "github.com/elastic/go-elasticsearch/v7"
	"github.com/elastic/go-elasticsearch/v9"
	"github.com/elastic/go-elasticsearch/v9/esapi"
)

// keysCaller is a low-level client as the scenarios of keys use it.
type keysCaller struct {
	create, query, bulkUpdate, createCrossCluster, clone, invalidate func(body string) (*esapi.Response, error)
	update, updateCrossCluster                                       func(id, body string) (*esapi.Response, error)
	getActive                                                        func(id string) (*esapi.Response, error) // with its limits
	authenticate                                                     func() (*esapi.Response, error)
}

// perform makes a request for which a client has no call.
func perform(client interface {
	Perform(*http.Request) (*http.Response, error)
}, method, path, body string) (*esapi.Response, error) {
	req, err := http.NewRequest(method, path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Perform(req)
	if err != nil {
		return nil, err
	}
	return &esapi.Response{StatusCode: res.StatusCode, Header: res.Header, Body: res.Body}, nil
}

// keys9 and its like connect with an encoded key, or as elastic without one.
func keys9(t *testing.T, encoded string) keysCaller {
	credential := elasticsearch.WithBasicAuth("elastic", password)
	if encoded != "" {
		credential = elasticsearch.WithAPIKey(encoded)
	}
	c := lowLevel(t, shared(t).url, credential).Security
	return keysCaller{
		create: func(body string) (*esapi.Response, error) { return c.CreateAPIKey(strings.NewReader(body)) },
		query: func(body string) (*esapi.Response, error) {
			return c.QueryAPIKeys(c.QueryAPIKeys.WithBody(strings.NewReader(body)))
		},
		bulkUpdate: func(body string) (*esapi.Response, error) { return c.BulkUpdateAPIKeys(strings.NewReader(body)) },
		createCrossCluster: func(body string) (*esapi.Response, error) {
			return c.CreateCrossClusterAPIKey(strings.NewReader(body))
		},
		clone:      func(body string) (*esapi.Response, error) { return c.CloneAPIKey(strings.NewReader(body)) },
		invalidate: func(body string) (*esapi.Response, error) { return c.InvalidateAPIKey(strings.NewReader(body)) },
		update: func(id, body string) (*esapi.Response, error) {
			return c.UpdateAPIKey(id, c.UpdateAPIKey.WithBody(strings.NewReader(body)))
		},
		updateCrossCluster: func(id, body string) (*esapi.Response, error) {
			return c.UpdateCrossClusterAPIKey(id, strings.NewReader(body))
		},
		getActive: func(id string) (*esapi.Response, error) {
			return c.GetAPIKey(c.GetAPIKey.WithID(id), c.GetAPIKey.WithActiveOnly(true), c.GetAPIKey.WithWithLimitedBy(true))
		},
		authenticate: func() (*esapi.Response, error) { return c.Authenticate() },
	}
}

func keys8(t *testing.T, encoded string) keysCaller {
	credential := password8("elastic", password)
	if encoded != "" {
		credential = key8(encoded)
	}
	client := lowLevel8(t, false, credential)
	c := client.Security
	return keysCaller{
		create: func(body string) (*esapi.Response, error) { return from8(c.CreateAPIKey(strings.NewReader(body))) },
		query: func(body string) (*esapi.Response, error) {
			return from8(c.QueryAPIKeys(c.QueryAPIKeys.WithBody(strings.NewReader(body))))
		},
		bulkUpdate: func(body string) (*esapi.Response, error) {
			return from8(c.BulkUpdateAPIKeys(strings.NewReader(body)))
		},
		createCrossCluster: func(body string) (*esapi.Response, error) {
			return from8(c.CreateCrossClusterAPIKey(strings.NewReader(body)))
		},
		clone: func(body string) (*esapi.Response, error) {
			return perform(client, http.MethodPost, "/_security/api_key/clone", body)
		},
		invalidate: func(body string) (*esapi.Response, error) { return from8(c.InvalidateAPIKey(strings.NewReader(body))) },
		update: func(id, body string) (*esapi.Response, error) {
			return from8(c.UpdateAPIKey(id, c.UpdateAPIKey.WithBody(strings.NewReader(body))))
		},
		updateCrossCluster: func(id, body string) (*esapi.Response, error) {
			return from8(c.UpdateCrossClusterAPIKey(id, strings.NewReader(body)))
		},
		getActive: func(id string) (*esapi.Response, error) {
			return from8(c.GetAPIKey(c.GetAPIKey.WithID(id), c.GetAPIKey.WithActiveOnly(true), c.GetAPIKey.WithWithLimitedBy(true)))
		},
		authenticate: func() (*esapi.Response, error) { return from8(c.Authenticate()) },
	}
}

// keys7 makes the calls that came later as requests of its own.
func keys7(t *testing.T, encoded string) keysCaller {
	config := elasticsearch7.Config{Addresses: []string{shared(t).url}, DisableRetry: true, APIKey: encoded}
	if encoded == "" {
		config.Username, config.Password = "elastic", password
	}
	client, err := elasticsearch7.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	c := client.Security
	later := func(method, path string) func(string) (*esapi.Response, error) {
		return func(body string) (*esapi.Response, error) { return perform(client, method, path, body) }
	}
	return keysCaller{
		create: func(body string) (*esapi.Response, error) { return from7(c.CreateAPIKey(strings.NewReader(body))) },
		query: func(body string) (*esapi.Response, error) {
			return from7(c.QueryAPIKeys(c.QueryAPIKeys.WithBody(strings.NewReader(body))))
		},
		bulkUpdate:         later(http.MethodPost, "/_security/api_key/_bulk_update"),
		createCrossCluster: later(http.MethodPost, "/_security/cross_cluster/api_key"),
		clone:              later(http.MethodPost, "/_security/api_key/clone"),
		invalidate:         func(body string) (*esapi.Response, error) { return from7(c.InvalidateAPIKey(strings.NewReader(body))) },
		update: func(id, body string) (*esapi.Response, error) {
			return perform(client, http.MethodPut, "/_security/api_key/"+id, body)
		},
		updateCrossCluster: func(id, body string) (*esapi.Response, error) {
			return perform(client, http.MethodPut, "/_security/cross_cluster/api_key/"+id, body)
		},
		getActive: func(id string) (*esapi.Response, error) {
			return perform(client, http.MethodGet, "/_security/api_key?active_only=true&with_limited_by=true&id="+id, "")
		},
		authenticate: func() (*esapi.Response, error) { return from7(c.Authenticate()) },
	}
}

func TestGoLowLevelKeys(t *testing.T) { onEach(t, goLowLevelKeys) }

func goLowLevelKeys(t *testing.T) {
	for _, client := range []struct {
		name    string
		connect func(t *testing.T, encoded string) keysCaller
	}{{"9", keys9}, {"8", keys8}, {"7.17", keys7}} {
		t.Run(client.name, func(t *testing.T) { lowLevelKeys(t, client.connect) })
	}
}

// keyPage is what the scenarios read of a search.
type keyPage struct {
	Total   int `json:"total"`
	APIKeys []struct {
		ID   string `json:"id"`
		Sort []any  `json:"_sort"`
	} `json:"api_keys"`
	Aggregations map[string]struct {
		Buckets []object `json:"buckets"`
	} `json:"aggregations"`
}

func lowLevelKeys(t *testing.T, connect func(t *testing.T, encoded string) keysCaller) {
	admin, prefix := connect(t, ""), unique("q")
	a := want[madeKey](t, 200)(admin.create(`{"name":"` + prefix + `-a","metadata":{"env":"prod"},"role_descriptors":{"own":{"cluster":["manage_own_api_key"]}}}`))
	b := want[madeKey](t, 200)(admin.create(`{"name":"` + prefix + `-b","metadata":{"env":"test"}}`))
	query := `"query":{"prefix":{"name":"` + prefix + `"}}`

	t.Run("AK-78 AK-80 AK-82 a search with order, pages and an aggregation", func(t *testing.T) {
		page := want[keyPage](t, 200)(admin.query(`{` + query + `,"sort":["name"],"size":1,"aggs":{"env":{"terms":{"field":"metadata.env"}}}}`))
		if page.Total != 2 || len(page.APIKeys) != 1 || page.APIKeys[0].ID != a.ID || len(page.APIKeys[0].Sort) != 1 || page.APIKeys[0].Sort[0] != prefix+"-a" {
			t.Errorf("got %+v", page)
		}
		if env := page.Aggregations["env"].Buckets; len(env) != 2 || env[0]["key"] != "prod" || env[0]["doc_count"] != 1. {
			t.Errorf("got %v", env)
		}
		page = want[keyPage](t, 200)(admin.query(`{` + query + `,"sort":["name"],"size":1,"search_after":["` + prefix + `-a"]}`))
		if page.Total != 2 || len(page.APIKeys) != 1 || page.APIKeys[0].ID != b.ID {
			t.Errorf("got %+v", page)
		}
	})
	t.Run("AK-65 AK-68 a key sees itself, and no search what it may not", func(t *testing.T) {
		if page := want[keyPage](t, 200)(connect(t, a.Encoded).query(`{}`)); page.Total != 1 || page.APIKeys[0].ID != a.ID {
			t.Errorf("got %+v", page)
		}
		if e := want[apiError](t, 400)(admin.query(`{"query":{"term":{"realm":"x"}}}`)); e.Error.Type != "illegal_argument_exception" {
			t.Errorf("got %+v", e)
		}
	})
	t.Run("AK-107 AK-111 AK-115 one key is changed, and many", func(t *testing.T) {
		answered(t, 200, object{"updated": true})(admin.update(a.ID, `{"metadata":{"n":1}}`))
		answered(t, 200, object{"updated": false})(admin.update(a.ID, `{"metadata":{"n":1}}`))
		want[apiError](t, 404)(admin.update(unique("no"), `{}`))
		answered(t, 200, object{"updated": []any{b.ID}, "noops": []any{a.ID}})(admin.bulkUpdate(`{"ids":["` + a.ID + `","` + b.ID + `"],"metadata":{"n":1}}`))
	})
	t.Run("AK-117 AK-119 AK-121 a key for another cluster", func(t *testing.T) {
		made := want[madeKey](t, 200)(admin.createCrossCluster(`{"name":"` + unique("cross") + `","access":{"search":[{"names":["a"]}]}}`))
		answered(t, 200, object{"updated": false})(admin.updateCrossCluster(made.ID, `{"access":{"search":[{"names":["a"],"allow_restricted_indices":false}]}}`))
		answered(t, 200, object{"updated": true})(admin.updateCrossCluster(made.ID, `{"metadata":{"n":1}}`))
		e := want[apiError](t, 401)(connect(t, made.Encoded).authenticate())
		if e.Error.Reason != "authentication expected API key type of [rest], but API key ["+made.ID+"] has type [cross_cluster]" {
			t.Errorf("got %+v", e)
		}
	})
	t.Run("AK-49 AK-58 AK-122 a copy outlives its source", func(t *testing.T) {
		made := want[madeKey](t, 200)(admin.clone(`{"api_key":"` + b.Encoded + `","name":"` + unique("copy") + `"}`))
		want[invalidated](t, 200)(admin.invalidate(`{"ids":["` + b.ID + `"]}`))
		answered(t, 404, object{"api_keys": []any{}})(admin.getActive(b.ID))
		shown := want[object](t, 200)(admin.getActive(made.ID))["api_keys"].([]any)[0].(object)
		if shown["metadata"].(object)["_cloned_from"] != b.ID || len(shown["limited_by"].([]any)) != 1 {
			t.Errorf("got %v", shown)
		}
		want[apiError](t, 403)(admin.clone(`{"api_key":"` + b.Encoded + `"}`))
		want[object](t, 200)(connect(t, made.Encoded).authenticate())
	})
}
