package latchkey_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"latchkey"
)

// refusedWith fails t unless err is a refusal of the given status.
func refusedWith(t *testing.T, err error, status int) *latchkey.Error {
	t.Helper()
	refusal, ok := errors.AsType[*latchkey.Error](err)
	if !ok || refusal.Status != status {
		t.Fatalf("got error %v, want a refusal of status %d", err, status)
	}
	return refusal
}

func TestMainJobOfTheClient(t *testing.T) {
	client := newClient(latchkey.WithOpaqueID("main-job"))
	defer client.Close()
	mainJob(t, client)
}

// mainJob runs every call against a real server, as elastic.
func mainJob(t *testing.T, elastic *latchkey.Client) {
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(elastic.Ping(ctx))
	info, err := elastic.Info(ctx)
	must(err)
	if info.Version.Number == "" || info.ClusterUUID == "" {
		t.Errorf("Info = %+v", info)
	}

	role := latchkey.Role{Cluster: []string{"manage_own_api_key", "monitor"}, Metadata: json.RawMessage(`{"n":1.50}`),
		Indices: []latchkey.RoleIndices{{Names: []string{"logs-*"}, Privileges: []string{"read"}, Query: `{"match_all":{}}`}}}
	created, err := elastic.PutRole(ctx, "job/role", role)
	must(err)
	again, err := elastic.PutRole(ctx, "job/role", role)
	must(err)
	if !created || again {
		t.Errorf("PutRole = %v, then %v; want true, then false", created, again)
	}
	roles, err := elastic.GetRoles(ctx, "job/role", "nosuch")
	must(err)
	if got := roles["job/role"]; len(roles) != 1 || !slices.Equal(got.Cluster, role.Cluster) || string(got.Metadata) != `{"n":1.50}` ||
		got.Indices[0].Query != `{"match_all":{}}` {
		t.Errorf("GetRoles = %+v", roles)
	}
	_, err = elastic.ClearRoleCache(ctx, "job/role")
	must(err)

	name, email := "Jo Ann", "jo@example.org"
	created, err = elastic.PutUser(ctx, "jo ann", latchkey.PutUserRequest{Password: "jo-password", Roles: []string{"job/role"}, FullName: &name, Email: &email})
	must(err)
	if !created {
		t.Error("PutUser says that the new user was there")
	}
	users, err := elastic.GetUsers(ctx, "jo ann")
	must(err)
	if got := users["jo ann"]; len(users) != 1 || *got.FullName != name || *got.Email != email || !got.Enabled {
		t.Errorf("GetUsers = %+v", users)
	}
	jo := elastic.As(latchkey.Basic("jo ann", "jo-password"))
	must(jo.ChangePassword(ctx, "", latchkey.ChangePasswordRequest{Password: "new-password"}))
	_, err = jo.Authenticate(ctx)
	refusedWith(t, err, http.StatusUnauthorized)
	jo = elastic.As(latchkey.Basic("jo ann", "new-password"))
	me, err := jo.Authenticate(ctx)
	must(err)
	if me.Username != "jo ann" || me.AuthenticationType != "realm" {
		t.Errorf("Authenticate = %+v", me)
	}
	me, err = elastic.RunAs("jo ann").Authenticate(ctx)
	must(err)
	if me.Username != "jo ann" || me.AuthenticationRealm.Name != "reserved" {
		t.Errorf("Authenticate under run-as = %+v", me)
	}
	held, err := jo.HasPrivileges(ctx, latchkey.HasPrivilegesRequest{Cluster: []string{"manage_own_api_key", "all"}})
	must(err)
	if held.HasAllRequested || !held.Cluster["manage_own_api_key"] || held.Cluster["all"] {
		t.Errorf("HasPrivileges = %+v", held)
	}

	own, err := jo.CreateAPIKey(ctx, latchkey.CreateAPIKeyRequest{Name: "own", Expiration: 90*time.Minute + 1, Metadata: json.RawMessage(`{"a":1}`),
		RoleDescriptors: map[string]latchkey.Role{"narrow": {Cluster: []string{"monitor"}}}})
	must(err)
	if left := time.Until(time.UnixMilli(own.Expiration)); left < 89*time.Minute || left > 91*time.Minute {
		t.Errorf("the key expires in %v, want 90 minutes", left)
	}
	granted, err := elastic.GrantAPIKey(ctx, latchkey.GrantAPIKeyRequest{Username: "jo ann", Password: "new-password", APIKey: latchkey.CreateAPIKeyRequest{Name: "granted"}})
	must(err)
	_, err = elastic.GrantAPIKey(ctx, latchkey.GrantAPIKeyRequest{Username: "jo ann", Password: "wrong", APIKey: latchkey.CreateAPIKeyRequest{Name: "granted"}})
	if refusal := refusedWith(t, err, http.StatusForbidden); refusal.CausedBy == nil {
		t.Errorf("%v has no cause", refusal)
	}
	for kind, credential := range map[string]latchkey.Credential{
		"created": own.Credential(), "granted": granted.Credential(), "pair": latchkey.KeyPair(own.ID, own.APIKey), "encoded": latchkey.EncodedKey(own.Encoded),
	} {
		me, err := elastic.As(credential).Authenticate(ctx)
		must(err)
		if me.AuthenticationType != "api_key" || me.APIKey == nil || me.Username != "jo ann" {
			t.Errorf("Authenticate with the %s key = %+v", kind, me)
		}
	}
	_, err = elastic.As(latchkey.Bearer("nosuchtoken")).Authenticate(ctx)
	refusedWith(t, err, http.StatusUnauthorized)

	keys, err := jo.GetAPIKeys(ctx, latchkey.GetAPIKeysRequest{Owner: true, ActiveOnly: true, WithLimitedBy: true})
	must(err)
	if len(keys) != 2 || len(keys[0].LimitedBy) != 1 {
		t.Errorf("GetAPIKeys = %+v, want 2 with what limits them", keys)
	}
	i := slices.IndexFunc(keys, func(k latchkey.APIKey) bool { return k.ID == own.ID })
	assigned, err := keys[i].Roles()
	must(err)
	if string(keys[i].Metadata) != `{"a":1}` || !slices.Equal(assigned["narrow"].Cluster, []string{"monitor"}) {
		t.Errorf("the key is %+v with the roles %+v", keys[i], assigned)
	}
	none, err := elastic.GetAPIKeys(ctx, latchkey.GetAPIKeysRequest{ID: "nosuch"})
	must(err)
	if len(none) != 0 {
		t.Errorf("GetAPIKeys of an unknown id = %+v", none)
	}

	done, err := jo.InvalidateAPIKeys(ctx, latchkey.OwnedByIDs(own.ID))
	must(err)
	if !slices.Equal(done.Invalidated, []string{own.ID}) {
		t.Errorf("InvalidateAPIKeys = %+v, want %s", done, own.ID)
	}
	_, err = elastic.As(own.Credential()).Authenticate(ctx)
	refusedWith(t, err, http.StatusUnauthorized)
	if done, err = elastic.InvalidateAPIKeysAsync(ctx, latchkey.ByUser("jo ann"), latchkey.Listener[latchkey.InvalidateAPIKeysResponse]{}).Wait(); err != nil || !slices.Equal(done.Invalidated, []string{granted.ID}) {
		t.Errorf("the asynchronous call = %+v, %v; want %s", done, err, granted.ID)
	}
	_, err = elastic.As(granted.Credential()).Authenticate(ctx)
	refusedWith(t, err, http.StatusUnauthorized)

	must(elastic.DisableUser(ctx, "jo ann"))
	_, err = jo.Authenticate(ctx)
	refusedWith(t, err, http.StatusUnauthorized)
	must(elastic.EnableUser(ctx, "jo ann"))
	must(jo.As(latchkey.Basic("jo ann", "new-password")).RunAs("").ChangePassword(ctx, "jo ann", latchkey.ChangePasswordRequest{Password: "newer-password"}))

	for what, clear := range map[string]func() (latchkey.ClearCacheResponse, error){
		"some keys":  func() (latchkey.ClearCacheResponse, error) { return elastic.ClearAPIKeyCache(ctx, own.ID, "nosuch") },
		"all keys":   func() (latchkey.ClearCacheResponse, error) { return elastic.ClearAPIKeyCache(ctx) },
		"all realms": func() (latchkey.ClearCacheResponse, error) { return elastic.ClearRealmCache(ctx, nil) },
		"one user": func() (latchkey.ClearCacheResponse, error) {
			return elastic.ClearRealmCache(ctx, []string{"default_native"}, "jo ann")
		},
		"all roles": func() (latchkey.ClearCacheResponse, error) { return elastic.ClearRoleCache(ctx) },
	} {
		if got, err := clear(); err != nil || got.Nodes.Successful != 1 || got.Nodes.Failed != 0 {
			t.Errorf("clear the cache of %s: %+v, %v", what, got, err)
		}
	}

	for _, want := range []bool{true, false} {
		if found, err := elastic.DeleteUser(ctx, "jo ann"); err != nil || found != want {
			t.Errorf("DeleteUser = %v, %v; want %v", found, err, want)
		}
		if found, err := elastic.DeleteRole(ctx, "job/role"); err != nil || found != want {
			t.Errorf("DeleteRole = %v, %v; want %v", found, err, want)
		}
	}
	if users, err := elastic.GetUsers(ctx, "jo ann"); err != nil || len(users) != 0 {
		t.Errorf("GetUsers of an unknown user = %v, %v", users, err)
	}
	if roles, err := elastic.GetRoles(ctx, "job/role"); err != nil || len(roles) != 0 {
		t.Errorf("GetRoles of an unknown role = %v, %v", roles, err)
	}
}

// Every selection does on a real server what it says, and nothing more.
func TestSelectionsReachTheirKeys(t *testing.T) {
	elastic := newClient()
	defer elastic.Close()
	ctx := t.Context()
	as := map[string]*latchkey.Client{"elastic": elastic}
	if _, err := elastic.PutRole(ctx, "sel", latchkey.Role{Cluster: []string{"manage_own_api_key"}}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"sel-a", "sel-b"} {
		if _, err := elastic.PutUser(ctx, name, latchkey.PutUserRequest{Password: "password", Roles: []string{"sel"}}); err != nil {
			t.Fatal(err)
		}
		as[name] = elastic.As(latchkey.Basic(name, "password"))
	}
	tests := []struct {
		name   string
		caller string
		sel    func(id map[string]string) latchkey.KeySelection
		want   []string // of a1, a2, b1: two keys of sel-a and one of sel-b, each of its own name
	}{
		{"one id", "elastic", func(id map[string]string) latchkey.KeySelection { return latchkey.ByID(id["a1"]) }, []string{"a1"}},
		{"two ids", "elastic", func(id map[string]string) latchkey.KeySelection { return latchkey.ByIDs(id["a1"], id["b1"]) }, []string{"a1", "b1"}},
		{"a name", "elastic", func(map[string]string) latchkey.KeySelection { return latchkey.ByName("sel-key-a2") }, []string{"a2"}},
		{"names by their beginning", "elastic", func(map[string]string) latchkey.KeySelection { return latchkey.ByName("sel-key-a*") }, []string{"a1", "a2"}},
		{"a user", "elastic", func(map[string]string) latchkey.KeySelection { return latchkey.ByUser("sel-b") }, []string{"b1"}},
		{"a realm and a user", "elastic", func(map[string]string) latchkey.KeySelection {
			return latchkey.ByRealmAndUser("default_native", "sel-a")
		}, []string{"a1", "a2"}},
		{"a user of another realm", "elastic", func(map[string]string) latchkey.KeySelection {
			return latchkey.ByRealmAndUser("reserved", "sel-a")
		}, nil},
		{"a realm", "elastic", func(map[string]string) latchkey.KeySelection { return latchkey.ByRealm("default_native") }, []string{"a1", "a2", "b1"}},
		{"the caller's", "sel-a", func(map[string]string) latchkey.KeySelection { return latchkey.Owned() }, []string{"a1", "a2"}},
		{"the caller's by id", "sel-a", func(id map[string]string) latchkey.KeySelection {
			return latchkey.OwnedByIDs(id["a1"], id["b1"])
		}, []string{"a1"}},
		{"the caller's by name", "sel-b", func(map[string]string) latchkey.KeySelection { return latchkey.OwnedByName("sel-key-*") }, []string{"b1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			id, name := map[string]string{}, map[string]string{}
			for key, owner := range map[string]string{"a1": "sel-a", "a2": "sel-a", "b1": "sel-b"} {
				made, err := as[owner].CreateAPIKey(ctx, latchkey.CreateAPIKeyRequest{Name: "sel-key-" + key})
				if err != nil {
					t.Fatal(err)
				}
				id[key], name[made.ID] = made.ID, key
			}
			done, err := as[tt.caller].InvalidateAPIKeys(ctx, tt.sel(id))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, i := range done.Invalidated {
				got = append(got, name[i])
			}
			if slices.Sort(got); !slices.Equal(got, tt.want) {
				t.Errorf("it invalidated %v, want %v", got, tt.want)
			}
			if _, err := elastic.InvalidateAPIKeys(ctx, latchkey.ByName("sel-key-*")); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestSelectionsThatAreRefused(t *testing.T) {
	client := newClient()
	defer client.Close()
	for name, sel := range map[string]latchkey.KeySelection{
		"of no constructor":            {},
		"no ids":                       latchkey.ByIDs(),
		"a blank id":                   latchkey.ByIDs("a", " "),
		"a blank name":                 latchkey.ByName(" "),
		"a blank user":                 latchkey.ByUser(""),
		"a blank realm":                latchkey.ByRealm("\t"),
		"a user of a blank realm":      latchkey.ByRealmAndUser("", "u"),
		"a blank user of a realm":      latchkey.ByRealmAndUser("r", ""),
		"the caller's of a blank name": latchkey.OwnedByName(""),
		"the caller's of no ids":       latchkey.OwnedByIDs(),
	} {
		_, err := client.InvalidateAPIKeys(t.Context(), sel)
		if answered := new(latchkey.ResponseError); err == nil || errors.As(err, &answered) {
			t.Errorf("%s: got %v, want it refused before it is sent", name, err)
		}
		failures := 0
		i := client.InvalidateAPIKeysAsync(context.Background(), sel, latchkey.Listener[latchkey.InvalidateAPIKeysResponse]{OnFailure: func(error) { failures++ }})
		if _, err := i.Wait(); err == nil || failures != 1 {
			t.Errorf("%s, asynchronously: got %v and %d calls of the failure side, want an error and 1", name, err, failures)
		}
	}
}
