package conformance

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/elastic/elastic-transport-go/v8/elastictransport"
	"github.com/elastic/go-elasticsearch/v9"
	"github.com/elastic/go-elasticsearch/v9/typedapi/security/createapikey"
	"github.com/elastic/go-elasticsearch/v9/typedapi/security/getapikey"
	"github.com/elastic/go-elasticsearch/v9/typedapi/security/grantapikey"
	"github.com/elastic/go-elasticsearch/v9/typedapi/security/invalidateapikey"
	"github.com/elastic/go-elasticsearch/v9/typedapi/types"
	"github.com/elastic/go-elasticsearch/v9/typedapi/types/enums/apikeygranttype"
	"github.com/elastic/go-elasticsearch/v9/typedapi/types/enums/clusterprivilege"
	"github.com/elastic/go-elasticsearch/v9/typedapi/types/enums/indexprivilege"
)

// typed returns a client of the shared server that repeats nothing.
func typed(t *testing.T, credential elasticsearch.Option) *elasticsearch.TypedClient {
	return typedOf(t, shared(t), credential)
}

func typedOf(t *testing.T, s *server, options ...elasticsearch.Option) *elasticsearch.TypedClient {
	t.Helper()
	client, err := elasticsearch.NewTyped(append(options, elasticsearch.WithAddresses(s.url), elasticsearch.WithTransportOptions(elastictransport.WithDisableRetry()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(context.WithoutCancel(t.Context())) })
	return client
}

func typedAdmin(t *testing.T) *elasticsearch.TypedClient {
	return typed(t, elasticsearch.WithBasicAuth("elastic", password))
}

// typedUser makes a role with the given cluster privileges and a user who holds it.
func typedUser(t *testing.T, privileges ...clusterprivilege.ClusterPrivilege) (name, role, word string, client *elasticsearch.TypedClient) {
	t.Helper()
	admin := typedAdmin(t)
	name, role, word = unique("user"), unique("role"), unique("password")
	if _, err := admin.Security.PutRole(role).Cluster(privileges...).Do(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.Security.PutUser(name).Password(word).Roles(role).Do(t.Context()); err != nil {
		t.Fatal(err)
	}
	return name, role, word, typed(t, elasticsearch.WithBasicAuth(name, word))
}

// typedKey makes a key that has authenticated once, and a client that uses it.
func typedKey(t *testing.T, owner *elasticsearch.TypedClient, r createapikey.Request) (*createapikey.Response, *elasticsearch.TypedClient) {
	t.Helper()
	if r.Name == nil {
		r.Name = new(unique("key"))
	}
	made, err := owner.Security.CreateApiKey().Request(&r).Do(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	client := typed(t, elasticsearch.WithAPIKey(made.Encoded))
	if _, err := client.Security.Authenticate().Do(t.Context()); err != nil {
		t.Fatal(err)
	}
	return made, client
}

// refused checks that err is the client's error of the given status and type.
func refused(t *testing.T, err error, status int, typ string) *types.ElasticsearchError {
	t.Helper()
	var e *types.ElasticsearchError
	if !errors.As(err, &e) {
		t.Fatalf("%v is not an error of the client", err)
	}
	if e.Status != status || e.ErrorCause.Type != typ {
		t.Fatalf("got %v, want status %d and type %s", e, status, typ)
	}
	return e
}

// dead checks that the key of client does not authenticate.
func dead(t *testing.T, client *elasticsearch.TypedClient) {
	t.Helper()
	_, err := client.Security.Authenticate().Do(t.Context())
	refused(t, err, http.StatusUnauthorized, "security_exception")
}

func TestGoTypedClient9(t *testing.T) { onEach(t, goTypedClient9) }

func goTypedClient9(t *testing.T) {
	for _, tt := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"HT-4 HT-5 HT-8 info and ping", typedInfo},
		{"users and roles are put, read, changed and deleted", typedUsers},
		{"AK-5 AK-6 AK-124 HT-49 a key is made, shown and used", typedMainJob},
		{"AK-34 a key is granted", typedGrant},
		{"AK-87 AK-88 AK-90 AK-91 AK-93 AK-133 every selector invalidates, and the next request is refused", typedInvalidate},
		{"AK-31 AK-35 AK-47 AK-99 refusals are the client's typed errors", typedRefusals},
		{"AK-123 caches are cleared", typedClearCache},
		{"AK-132 cluster privileges are told one by one", typedPrivileges},
	} {
		t.Run(tt.name, tt.run)
	}
}

func typedInfo(t *testing.T) {
	admin := typedAdmin(t)
	info, err := admin.Info().Do(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(info.ClusterUuid) != 22 || info.Tagline != "You Know, for Search" || !strings.HasPrefix(info.Version.Int, "9.") {
		t.Errorf("got %+v", info)
	}
	if up, err := admin.Ping().IsSuccess(t.Context()); err != nil || !up {
		t.Errorf("ping: %v, %v", up, err)
	}
}

func typedUsers(t *testing.T) {
	ctx, admin := t.Context(), typedAdmin(t)
	name, role, _, client := typedUser(t, clusterprivilege.Monitor)
	users, err := admin.Security.GetUser().Username(name).Do(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if u := users[name]; u.Username != name || !slices.Equal(u.Roles, []string{role}) || !u.Enabled {
		t.Errorf("got %+v", u)
	}
	if _, err := admin.Security.ChangePassword().Username(name).Password("another password").Do(ctx); err != nil {
		t.Fatal(err)
	}
	_, err = client.Security.Authenticate().Do(ctx)
	refused(t, err, http.StatusUnauthorized, "security_exception")
	client = typed(t, elasticsearch.WithBasicAuth(name, "another password"))
	if me, err := client.Security.Authenticate().Do(ctx); err != nil || me.Username != name {
		t.Fatalf("got %+v, %v", me, err)
	}
	if _, err := admin.Security.DisableUser(name).Do(ctx); err != nil {
		t.Fatal(err)
	}
	_, err = client.Security.Authenticate().Do(ctx)
	refused(t, err, http.StatusUnauthorized, "security_exception")
	if _, err := admin.Security.EnableUser(name).Do(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Security.Authenticate().Do(ctx); err != nil {
		t.Fatal(err)
	}
	if gone, err := admin.Security.DeleteUser(name).Do(ctx); err != nil || !gone.Found {
		t.Errorf("got %+v, %v", gone, err)
	}
	if gone, err := admin.Security.DeleteRole(role).Do(ctx); err != nil || !gone.Found {
		t.Errorf("got %+v, %v", gone, err)
	}
}

func typedMainJob(t *testing.T) {
	ctx := t.Context()
	name, role, _, owner := typedUser(t, clusterprivilege.Manageownapikey, clusterprivilege.Monitor)
	before := time.Now()
	made, key := typedKey(t, owner, createapikey.Request{
		Expiration: "1d",
		Metadata:   types.Metadata{"app": json.RawMessage(`{"tier":[1,2]}`)},
		RoleDescriptors: map[string]types.RoleDescriptor{"reader": {
			Cluster: []clusterprivilege.ClusterPrivilege{clusterprivilege.Monitor},
			Indices: []types.IndicesPrivileges{{
				Names: []string{"logs-*"}, Privileges: []indexprivilege.IndexPrivilege{indexprivilege.Read},
				Query: &types.Query{Term: map[string]types.TermQuery{"public": {Value: true}}},
			}},
			// An array, which no other client sends.
			Global: []types.GlobalPrivilege{{Application: types.ApplicationGlobalUserPrivileges{Manage: types.ManageUserPrivileges{Applications: []string{"shop"}}}}},
		}},
	})
	if want := base64.StdEncoding.EncodeToString([]byte(made.Id + ":" + made.ApiKey)); made.Encoded != want {
		t.Errorf("encoded: got %s, want %s", made.Encoded, want)
	}
	if made.Expiration == nil || time.UnixMilli(*made.Expiration).Sub(before).Round(time.Minute) != 24*time.Hour {
		t.Errorf("expiration: got %v", made.Expiration)
	}

	me, err := key.Security.Authenticate().Do(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if me.Username != name || me.AuthenticationType != "api_key" || me.ApiKey == nil || me.ApiKey.Id != made.Id ||
		me.ApiKey.ManagedBy.String() != "elasticsearch" || me.AuthenticationRealm.Name != "_es_api_key" || len(me.Roles) != 0 {
		t.Errorf("authenticate: got %+v", me)
	}
	if _, err := key.Info().Do(ctx); err != nil {
		t.Errorf("a key that may monitor: %v", err)
	}

	for _, tt := range []struct {
		name string
		ask  func(*getapikey.GetApiKey) *getapikey.GetApiKey
	}{
		{"id", func(g *getapikey.GetApiKey) *getapikey.GetApiKey { return g.Id(made.Id).Owner(true) }},
		{"name", func(g *getapikey.GetApiKey) *getapikey.GetApiKey { return g.Name(made.Name).Owner(true) }},
		{"owner", func(g *getapikey.GetApiKey) *getapikey.GetApiKey { return g.Owner(true) }},
		{"username and realm", func(g *getapikey.GetApiKey) *getapikey.GetApiKey {
			return g.Username(name).RealmName("default_native")
		}},
	} {
		shown, err := tt.ask(owner.Security.GetApiKey()).ActiveOnly(true).WithLimitedBy(true).Do(ctx)
		if err != nil {
			t.Fatalf("get by %s: %v", tt.name, err)
		}
		if len(shown.ApiKeys) != 1 || shown.ApiKeys[0].Id != made.Id || string(shown.ApiKeys[0].Metadata["app"]) != `{"tier":[1,2]}` {
			t.Fatalf("get by %s: got %+v", tt.name, shown.ApiKeys)
		}
		if limits := shown.ApiKeys[0].LimitedBy; len(limits) != 1 || len(limits[0][role].Cluster) != 2 {
			t.Errorf("get by %s: limited_by: got %+v", tt.name, limits)
		}
	}
}

func typedGrant(t *testing.T) {
	name, _, word, _ := typedUser(t, clusterprivilege.Monitor)
	_, _, _, granter := typedUser(t, clusterprivilege.Grantapikey)
	made, err := granter.Security.GrantApiKey().Request(&grantapikey.Request{
		GrantType: apikeygranttype.Password, Username: &name, Password: &word,
		ApiKey: types.GrantApiKey{Name: unique("granted"), Expiration: new("1h"),
			// An array, which only clients made from the schema send.
			RoleDescriptors: []map[string]types.RoleDescriptor{{"a": {Cluster: []clusterprivilege.ClusterPrivilege{clusterprivilege.Monitor}}}},
		},
	}).Do(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	me, err := typed(t, elasticsearch.WithAPIKey(made.Encoded)).Security.Authenticate().Do(t.Context())
	if err != nil || me.Username != name {
		t.Errorf("got %+v, %v", me, err)
	}
}

func typedInvalidate(t *testing.T) {
	admin := typedAdmin(t)
	for _, tt := range []struct {
		name   string
		byUser bool // by the owner, not by elastic
		sel    func(username string, k *createapikey.Response) invalidateapikey.Request
	}{
		{"ids", false, func(_ string, k *createapikey.Response) invalidateapikey.Request {
			return invalidateapikey.Request{Ids: []string{k.Id}}
		}},
		{"one id", false, func(_ string, k *createapikey.Response) invalidateapikey.Request {
			return invalidateapikey.Request{Id: &k.Id}
		}},
		{"name", false, func(_ string, k *createapikey.Response) invalidateapikey.Request {
			return invalidateapikey.Request{Name: &k.Name}
		}},
		{"username", false, func(u string, _ *createapikey.Response) invalidateapikey.Request {
			return invalidateapikey.Request{Username: &u}
		}},
		{"username and realm", true, func(u string, _ *createapikey.Response) invalidateapikey.Request {
			return invalidateapikey.Request{Username: &u, RealmName: new("default_native")}
		}},
		{"owner", true, func(string, *createapikey.Response) invalidateapikey.Request {
			return invalidateapikey.Request{Owner: new(true)}
		}},
		{"owner and ids", true, func(_ string, k *createapikey.Response) invalidateapikey.Request {
			return invalidateapikey.Request{Owner: new(true), Ids: []string{k.Id}}
		}},
		{"owner and name", true, func(_ string, k *createapikey.Response) invalidateapikey.Request {
			return invalidateapikey.Request{Owner: new(true), Name: &k.Name}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			name, _, _, owner := typedUser(t, clusterprivilege.Manageownapikey)
			made, key := typedKey(t, owner, createapikey.Request{})
			by, sel := admin, tt.sel(name, made)
			if tt.byUser {
				by = owner
			}
			first, err := by.Security.InvalidateApiKey().Request(&sel).Do(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			dead(t, key)
			if !slices.Equal(first.InvalidatedApiKeys, []string{made.Id}) || len(first.PreviouslyInvalidatedApiKeys) != 0 || first.ErrorCount != 0 {
				t.Errorf("first: got %+v", first)
			}
			again, err := by.Security.InvalidateApiKey().Request(&sel).Do(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			previously := sel.Id != nil || sel.Ids != nil
			if len(again.InvalidatedApiKeys) != 0 || slices.Contains(again.PreviouslyInvalidatedApiKeys, made.Id) != previously {
				t.Errorf("again: got %+v", again)
			}
		})
	}
}

func typedRefusals(t *testing.T) {
	ctx, admin := t.Context(), typedAdmin(t)
	name, role, _, lesser := typedUser(t, clusterprivilege.Monitor)

	_, err := lesser.Security.CreateApiKey().Name("x").Do(ctx)
	e := refused(t, err, http.StatusForbidden, "security_exception")
	want := "action [cluster:admin/xpack/security/api_key/create] is unauthorized for user [" + name + "] with effective roles [" + role +
		"], this action is granted by the cluster privileges [manage_own_api_key,manage_api_key,manage_security,all]"
	if e.ErrorCause.Reason == nil || *e.ErrorCause.Reason != want {
		t.Errorf("got %v, want %s", e.ErrorCause.Reason, want)
	}

	_, err = admin.Security.GrantApiKey().Request(&grantapikey.Request{
		GrantType: apikeygranttype.Password, Username: &name, Password: new("not the password"), ApiKey: types.GrantApiKey{Name: "x"},
	}).Do(ctx)
	e = refused(t, err, http.StatusForbidden, "security_exception")
	if e.ErrorCause.CausedBy == nil || e.ErrorCause.CausedBy.Type != "security_exception" {
		t.Errorf("caused by: got %+v", e.ErrorCause.CausedBy)
	}

	_, err = admin.Security.InvalidateApiKey().Ids("x").Name("y").Do(ctx)
	refused(t, err, http.StatusBadRequest, "action_request_validation_exception")

	_, err = admin.Security.GetApiKey().Id(unique("no")).Do(ctx)
	refused(t, err, http.StatusNotFound, "") // a 404 without an error: the list is empty

	_, err = admin.Security.DeleteUser("elastic").Do(ctx)
	refused(t, err, http.StatusBadRequest, "illegal_argument_exception")
}

func typedClearCache(t *testing.T) {
	made, key := typedKey(t, typedAdmin(t), createapikey.Request{})
	answer, err := typedAdmin(t).Security.ClearApiKeyCache(made.Id).Do(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if answer.NodeStats.Failed != 0 || answer.NodeStats.Total != 1 || len(answer.Nodes) != 1 {
		t.Errorf("got %+v", answer)
	}
	if _, err := key.Security.Authenticate().Do(t.Context()); err != nil {
		t.Error(err)
	}
}

func typedPrivileges(t *testing.T) {
	name, _, _, owner := typedUser(t, clusterprivilege.Manageownapikey, clusterprivilege.Monitor)
	_, key := typedKey(t, owner, createapikey.Request{RoleDescriptors: map[string]types.RoleDescriptor{
		"a": {Cluster: []clusterprivilege.ClusterPrivilege{clusterprivilege.Monitor, clusterprivilege.Managesecurity}},
	}})
	answer, err := key.Security.HasPrivileges().
		Cluster(clusterprivilege.Monitor, clusterprivilege.Managesecurity, clusterprivilege.Manageownapikey, clusterprivilege.Managepipeline).Do(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c := answer.Cluster // the owner manages its own keys, the key by way of manage_security
	if answer.Username != name || answer.HasAllRequested || !c["monitor"] || c["manage_security"] || !c["manage_own_api_key"] || c["manage_pipeline"] || len(c) != 4 {
		t.Errorf("got %+v", answer)
	}
}
