package conformance

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/elastic/go-elasticsearch/v8"
	esapi8 "github.com/elastic/go-elasticsearch/v8/esapi"
	"github.com/elastic/go-elasticsearch/v8/typedapi/security/createapikey"
	"github.com/elastic/go-elasticsearch/v8/typedapi/security/grantapikey"
	"github.com/elastic/go-elasticsearch/v8/typedapi/security/invalidateapikey"
	"github.com/elastic/go-elasticsearch/v8/typedapi/types"
	"github.com/elastic/go-elasticsearch/v8/typedapi/types/enums/apikeygranttype"
	"github.com/elastic/go-elasticsearch/v8/typedapi/types/enums/clusterprivilege"
	"github.com/elastic/go-elasticsearch/v9/esapi"
)

// config8 is a client of the shared server that repeats nothing.
func config8(t *testing.T) elasticsearch.Config {
	return elasticsearch.Config{Addresses: []string{shared(t).url}, DisableRetry: true}
}

func lowLevel8(t *testing.T, mode bool, credential func(*elasticsearch.Config)) *elasticsearch.Client {
	t.Helper()
	config := config8(t)
	config.EnableCompatibilityMode = mode
	credential(&config)
	client, err := elasticsearch.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func typed8(t *testing.T, credential func(*elasticsearch.Config)) *elasticsearch.TypedClient {
	t.Helper()
	config := config8(t)
	credential(&config)
	client, err := elasticsearch.NewTypedClient(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func password8(username, password string) func(*elasticsearch.Config) {
	return func(c *elasticsearch.Config) { c.Username, c.Password = username, password }
}

func key8(encoded string) func(*elasticsearch.Config) {
	return func(c *elasticsearch.Config) { c.APIKey = encoded }
}

// from8 makes an answer of release 8 one of release 9, for want.
func from8(res *esapi8.Response, err error) (*esapi.Response, error) {
	return (*esapi.Response)(res), err
}

func TestGoLowLevelClient8(t *testing.T) { onEach(t, goLowLevelClient8) }

func goLowLevelClient8(t *testing.T) {
	for _, tt := range []struct {
		name string
		mode bool
	}{
		{"HT-8 HT-13 AK-1 AK-93 AK-124 AK-133 plain JSON", false},
		{"HT-8 HT-11 AK-1 AK-93 AK-124 AK-133 compatibility mode", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			admin := lowLevel8(t, tt.mode, password8("elastic", password))
			if up, err := admin.Ping(); err != nil || up.StatusCode != 200 {
				t.Errorf("ping: %v, %v", up, err)
			}
			user, role, word := unique("user"), unique("role"), unique("password")
			want[object](t, 200)(from8(admin.Security.PutRole(role, strings.NewReader(`{"cluster":["manage_own_api_key"]}`))))
			want[object](t, 200)(from8(admin.Security.PutUser(user, strings.NewReader(`{"password":"`+word+`","roles":["`+role+`"]}`))))
			owner := lowLevel8(t, tt.mode, password8(user, word))
			made := want[madeKey](t, 200)(from8(owner.Security.CreateAPIKey(strings.NewReader(`{"name":"` + unique("key") + `"}`))))
			key := lowLevel8(t, tt.mode, key8(made.Encoded))
			me := want[object](t, 200)(from8(key.Security.Authenticate()))
			if me["username"] != user || me["authentication_type"] != "api_key" || me["api_key"].(object)["id"] != made.ID {
				t.Errorf("authenticate: got %v", me)
			}
			gone := want[invalidated](t, 200)(from8(owner.Security.InvalidateAPIKey(strings.NewReader(`{"owner":true}`))))
			if !slices.Equal(gone.Invalidated, []string{made.ID}) {
				t.Errorf("invalidate: got %+v", gone)
			}
			e := want[apiError](t, 401)(from8(key.Security.Authenticate()))
			if e.Error.Type != "security_exception" || e.Status != http.StatusUnauthorized {
				t.Errorf("the key afterwards: got %+v", e)
			}
		})
	}
}

// refused8 checks that err is the client's error of the given status and type.
func refused8(t *testing.T, err error, status int, typ string) {
	t.Helper()
	var e *types.ElasticsearchError
	if !errors.As(err, &e) {
		t.Fatalf("%v is not an error of the client", err)
	}
	if e.Status != status || e.ErrorCause.Type != typ {
		t.Fatalf("got %v, want status %d and type %s", e, status, typ)
	}
}

// typedUser8 makes a user with the given cluster privileges.
func typedUser8(t *testing.T, privileges ...clusterprivilege.ClusterPrivilege) (name, word string, client *elasticsearch.TypedClient) {
	t.Helper()
	admin := typed8(t, password8("elastic", password))
	name, word = unique("user"), unique("password")
	role := unique("role")
	if _, err := admin.Security.PutRole(role).Cluster(privileges...).Do(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.Security.PutUser(name).Password(word).Roles(role).Do(t.Context()); err != nil {
		t.Fatal(err)
	}
	return name, word, typed8(t, password8(name, word))
}

func TestGoTypedClient8(t *testing.T) { onEach(t, goTypedClient8) }

func goTypedClient8(t *testing.T) {
	admin := typed8(t, password8("elastic", password))
	t.Run("HT-4 HT-8 HT-11 info", func(t *testing.T) {
		info, err := admin.Info().Do(t.Context())
		if err != nil || len(info.ClusterUuid) != 22 || info.Tagline != "You Know, for Search" {
			t.Errorf("got %+v, %v", info, err)
		}
	})
	t.Run("AK-34 AK-124 HT-49 a key is granted and used", func(t *testing.T) {
		name, word, _ := typedUser8(t, clusterprivilege.Monitor)
		_, _, granter := typedUser8(t, clusterprivilege.Grantapikey)
		made, err := granter.Security.GrantApiKey().Request(&grantapikey.Request{
			GrantType: apikeygranttype.Password, Username: &name, Password: &word,
			ApiKey: types.GrantApiKey{Name: unique("granted"), Expiration: new("1h")},
		}).Do(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		me, err := typed8(t, key8(made.Encoded)).Security.Authenticate().Do(t.Context())
		if err != nil || me.Username != name || len(me.Roles) != 0 || me.ApiKey == nil || me.ApiKey.Id != made.Id || me.AuthenticationRealm.Name != "_es_api_key" {
			t.Errorf("got %+v, %v", me, err)
		}
	})
	t.Run("AK-31 AK-99 refusals are the client's typed errors", func(t *testing.T) {
		_, _, lesser := typedUser8(t, clusterprivilege.Monitor)
		_, err := lesser.Security.CreateApiKey().Name("x").Do(t.Context())
		refused8(t, err, http.StatusForbidden, "security_exception")
		_, err = admin.Security.InvalidateApiKey().Ids("x").Name("y").Do(t.Context())
		refused8(t, err, http.StatusBadRequest, "action_request_validation_exception")
	})
	for _, tt := range []struct {
		name    string
		byOwner bool // by the owner, not by elastic
		sel     func(username string, k *createapikey.Response) invalidateapikey.Request
	}{
		{"AK-87 AK-133 ids", false, func(_ string, k *createapikey.Response) invalidateapikey.Request {
			return invalidateapikey.Request{Ids: []string{k.Id}}
		}},
		{"AK-105 one id", false, func(_ string, k *createapikey.Response) invalidateapikey.Request {
			return invalidateapikey.Request{Id: &k.Id}
		}},
		{"AK-91 name", false, func(_ string, k *createapikey.Response) invalidateapikey.Request {
			return invalidateapikey.Request{Name: &k.Name}
		}},
		{"AK-90 username", false, func(u string, _ *createapikey.Response) invalidateapikey.Request {
			return invalidateapikey.Request{Username: &u}
		}},
		{"AK-95 username and realm", true, func(u string, _ *createapikey.Response) invalidateapikey.Request {
			return invalidateapikey.Request{Username: &u, RealmName: new("default_native")}
		}},
		{"AK-93 owner", true, func(string, *createapikey.Response) invalidateapikey.Request {
			return invalidateapikey.Request{Owner: new(true)}
		}},
		{"AK-92 owner and ids", true, func(_ string, k *createapikey.Response) invalidateapikey.Request {
			return invalidateapikey.Request{Owner: new(true), Ids: []string{k.Id}}
		}},
	} {
		t.Run("invalidate by "+tt.name, func(t *testing.T) {
			name, _, owner := typedUser8(t, clusterprivilege.Manageownapikey)
			made, err := owner.Security.CreateApiKey().Name(unique("key")).Do(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			key := typed8(t, key8(made.Encoded))
			if _, err := key.Security.Authenticate().Do(t.Context()); err != nil {
				t.Fatal(err)
			}
			by, sel := admin, tt.sel(name, made)
			if tt.byOwner {
				by = owner
			}
			gone, err := by.Security.InvalidateApiKey().Request(&sel).Do(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, err = key.Security.Authenticate().Do(t.Context())
			refused8(t, err, http.StatusUnauthorized, "security_exception")
			if !slices.Equal(gone.InvalidatedApiKeys, []string{made.Id}) || len(gone.PreviouslyInvalidatedApiKeys) != 0 || gone.ErrorCount != 0 {
				t.Errorf("got %+v", gone)
			}
		})
	}
}
