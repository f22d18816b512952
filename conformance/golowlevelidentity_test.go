package conformance

import (
	"reflect"
	"strings"
	"testing"

	elasticsearch7 "github.com/elastic/go-elasticsearch/v7"
	elasticsearch8 "github.com/elastic/go-elasticsearch/v8"
	"github.com/elastic/go-elasticsearch/v9"
	"github.com/elastic/go-elasticsearch/v9/esapi"
)

// identityCaller is a low-level client as the scenarios of users and what they may
// use it. In the releases these calls differ by their types alone.
type identityCaller struct {
	putUser, putRole, putRoleMapping, createToken, deletePrivilege      func(name, value string) (*esapi.Response, error)
	getUser, deleteUser, disableUser, enableUser, getRole, deleteRole   func(name string) (*esapi.Response, error)
	getRoleMapping, deleteRoleMapping, getPrivileges, deleteToken       func(name string) (*esapi.Response, error)
	putPrivileges, hasPrivileges, changePassword                        func(body string) (*esapi.Response, error)
	getUserPrivileges, getBuiltin, getAccounts, getTokens, authenticate func() (*esapi.Response, error)
}

func identity9(t *testing.T, username, secret string) identityCaller {
	credential := elasticsearch.WithBasicAuth(username, secret)
	if username == "" {
		credential = elasticsearch.WithServiceToken(secret)
	}
	c := lowLevel(t, shared(t).url, credential).Security
	return identityCaller{
		putUser: func(name, value string) (*esapi.Response, error) { return c.PutUser(name, strings.NewReader(value)) },
		putRole: func(name, value string) (*esapi.Response, error) { return c.PutRole(name, strings.NewReader(value)) },
		putRoleMapping: func(name, value string) (*esapi.Response, error) {
			return c.PutRoleMapping(name, strings.NewReader(value))
		},
		createToken: func(name, value string) (*esapi.Response, error) {
			return c.CreateServiceToken("elastic", value, c.CreateServiceToken.WithName(name))
		},
		deletePrivilege:   func(name, value string) (*esapi.Response, error) { return c.DeletePrivileges([]string{value}, name) },
		getUser:           func(name string) (*esapi.Response, error) { return c.GetUser(c.GetUser.WithUsername(name)) },
		deleteUser:        func(name string) (*esapi.Response, error) { return c.DeleteUser(name) },
		disableUser:       func(name string) (*esapi.Response, error) { return c.DisableUser(name) },
		enableUser:        func(name string) (*esapi.Response, error) { return c.EnableUser(name) },
		getRole:           func(name string) (*esapi.Response, error) { return c.GetRole(c.GetRole.WithName(name)) },
		deleteRole:        func(name string) (*esapi.Response, error) { return c.DeleteRole(name) },
		getRoleMapping:    func(name string) (*esapi.Response, error) { return c.GetRoleMapping(c.GetRoleMapping.WithName(name)) },
		deleteRoleMapping: func(name string) (*esapi.Response, error) { return c.DeleteRoleMapping(name) },
		getPrivileges: func(name string) (*esapi.Response, error) {
			return c.GetPrivileges(c.GetPrivileges.WithApplication(name))
		},
		deleteToken: func(name string) (*esapi.Response, error) {
			return c.DeleteServiceToken(name, "elastic", "fleet-server")
		},
		putPrivileges:     func(body string) (*esapi.Response, error) { return c.PutPrivileges(strings.NewReader(body)) },
		hasPrivileges:     func(body string) (*esapi.Response, error) { return c.HasPrivileges(strings.NewReader(body)) },
		changePassword:    func(body string) (*esapi.Response, error) { return c.ChangePassword(strings.NewReader(body)) },
		getUserPrivileges: func() (*esapi.Response, error) { return c.GetUserPrivileges() },
		getBuiltin:        func() (*esapi.Response, error) { return c.GetBuiltinPrivileges() },
		getAccounts: func() (*esapi.Response, error) {
			return c.GetServiceAccounts(c.GetServiceAccounts.WithNamespace("elastic"))
		},
		getTokens:    func() (*esapi.Response, error) { return c.GetServiceCredentials("elastic", "fleet-server") },
		authenticate: func() (*esapi.Response, error) { return c.Authenticate() },
	}
}

func identity8(t *testing.T, username, secret string) identityCaller {
	c := lowLevel8(t, false, func(c *elasticsearch8.Config) {
		if c.Username, c.Password = username, secret; username == "" {
			c.Password, c.ServiceToken = "", secret
		}
	}).Security
	return identityCaller{
		putUser: func(name, value string) (*esapi.Response, error) {
			return from8(c.PutUser(name, strings.NewReader(value)))
		},
		putRole: func(name, value string) (*esapi.Response, error) {
			return from8(c.PutRole(name, strings.NewReader(value)))
		},
		putRoleMapping: func(name, value string) (*esapi.Response, error) {
			return from8(c.PutRoleMapping(name, strings.NewReader(value)))
		},
		createToken: func(name, value string) (*esapi.Response, error) {
			return from8(c.CreateServiceToken("elastic", value, c.CreateServiceToken.WithName(name)))
		},
		deletePrivilege: func(name, value string) (*esapi.Response, error) { return from8(c.DeletePrivileges(value, name)) },
		getUser:         func(name string) (*esapi.Response, error) { return from8(c.GetUser(c.GetUser.WithUsername(name))) },
		deleteUser:      func(name string) (*esapi.Response, error) { return from8(c.DeleteUser(name)) },
		disableUser:     func(name string) (*esapi.Response, error) { return from8(c.DisableUser(name)) },
		enableUser:      func(name string) (*esapi.Response, error) { return from8(c.EnableUser(name)) },
		getRole:         func(name string) (*esapi.Response, error) { return from8(c.GetRole(c.GetRole.WithName(name))) },
		deleteRole:      func(name string) (*esapi.Response, error) { return from8(c.DeleteRole(name)) },
		getRoleMapping: func(name string) (*esapi.Response, error) {
			return from8(c.GetRoleMapping(c.GetRoleMapping.WithName(name)))
		},
		deleteRoleMapping: func(name string) (*esapi.Response, error) { return from8(c.DeleteRoleMapping(name)) },
		getPrivileges: func(name string) (*esapi.Response, error) {
			return from8(c.GetPrivileges(c.GetPrivileges.WithApplication(name)))
		},
		deleteToken: func(name string) (*esapi.Response, error) {
			return from8(c.DeleteServiceToken(name, "elastic", "fleet-server"))
		},
		putPrivileges:     func(body string) (*esapi.Response, error) { return from8(c.PutPrivileges(strings.NewReader(body))) },
		hasPrivileges:     func(body string) (*esapi.Response, error) { return from8(c.HasPrivileges(strings.NewReader(body))) },
		changePassword:    func(body string) (*esapi.Response, error) { return from8(c.ChangePassword(strings.NewReader(body))) },
		getUserPrivileges: func() (*esapi.Response, error) { return from8(c.GetUserPrivileges()) },
		getBuiltin:        func() (*esapi.Response, error) { return from8(c.GetBuiltinPrivileges()) },
		getAccounts: func() (*esapi.Response, error) {
			return from8(c.GetServiceAccounts(c.GetServiceAccounts.WithNamespace("elastic")))
		},
		getTokens:    func() (*esapi.Response, error) { return from8(c.GetServiceCredentials("elastic", "fleet-server")) },
		authenticate: func() (*esapi.Response, error) { return from8(c.Authenticate()) },
	}
}

func identity7(t *testing.T, username, secret string) identityCaller {
	config := elasticsearch7.Config{Addresses: []string{shared(t).url}, DisableRetry: true, Username: username, Password: secret}
	if username == "" {
		config.Password, config.ServiceToken = "", secret
	}
	client, err := elasticsearch7.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	c := client.Security
	return identityCaller{
		putUser: func(name, value string) (*esapi.Response, error) {
			return from7(c.PutUser(name, strings.NewReader(value)))
		},
		putRole: func(name, value string) (*esapi.Response, error) {
			return from7(c.PutRole(name, strings.NewReader(value)))
		},
		putRoleMapping: func(name, value string) (*esapi.Response, error) {
			return from7(c.PutRoleMapping(name, strings.NewReader(value)))
		},
		createToken: func(name, value string) (*esapi.Response, error) {
			return from7(c.CreateServiceToken("elastic", value, c.CreateServiceToken.WithName(name)))
		},
		deletePrivilege: func(name, value string) (*esapi.Response, error) { return from7(c.DeletePrivileges(value, name)) },
		getUser:         func(name string) (*esapi.Response, error) { return from7(c.GetUser(c.GetUser.WithUsername(name))) },
		deleteUser:      func(name string) (*esapi.Response, error) { return from7(c.DeleteUser(name)) },
		disableUser:     func(name string) (*esapi.Response, error) { return from7(c.DisableUser(name)) },
		enableUser:      func(name string) (*esapi.Response, error) { return from7(c.EnableUser(name)) },
		getRole:         func(name string) (*esapi.Response, error) { return from7(c.GetRole(c.GetRole.WithName(name))) },
		deleteRole:      func(name string) (*esapi.Response, error) { return from7(c.DeleteRole(name)) },
		getRoleMapping: func(name string) (*esapi.Response, error) {
			return from7(c.GetRoleMapping(c.GetRoleMapping.WithName(name)))
		},
		deleteRoleMapping: func(name string) (*esapi.Response, error) { return from7(c.DeleteRoleMapping(name)) },
		getPrivileges: func(name string) (*esapi.Response, error) {
			return from7(c.GetPrivileges(c.GetPrivileges.WithApplication(name)))
		},
		deleteToken: func(name string) (*esapi.Response, error) {
			return from7(c.DeleteServiceToken(name, "elastic", "fleet-server"))
		},
		putPrivileges:     func(body string) (*esapi.Response, error) { return from7(c.PutPrivileges(strings.NewReader(body))) },
		hasPrivileges:     func(body string) (*esapi.Response, error) { return from7(c.HasPrivileges(strings.NewReader(body))) },
		changePassword:    func(body string) (*esapi.Response, error) { return from7(c.ChangePassword(strings.NewReader(body))) },
		getUserPrivileges: func() (*esapi.Response, error) { return from7(c.GetUserPrivileges()) },
		getBuiltin:        func() (*esapi.Response, error) { return from7(c.GetBuiltinPrivileges()) },
		getAccounts: func() (*esapi.Response, error) {
			return from7(c.GetServiceAccounts(c.GetServiceAccounts.WithNamespace("elastic")))
		},
		getTokens:    func() (*esapi.Response, error) { return from7(c.GetServiceCredentials("elastic", "fleet-server")) },
		authenticate: func() (*esapi.Response, error) { return from7(c.Authenticate()) },
	}
}

// answered checks the status of an answer and all of its body.
func answered(t *testing.T, status int, body object) func(*esapi.Response, error) {
	return func(res *esapi.Response, err error) {
		t.Helper()
		if got := want[object](t, status)(res, err); !reflect.DeepEqual(got, body) {
			t.Errorf("got %v, want %v", got, body)
		}
	}
}

func TestGoLowLevelIdentity(t *testing.T) { onEach(t, goLowLevelIdentity) }

func goLowLevelIdentity(t *testing.T) {
	for _, client := range []struct {
		name    string
		connect func(t *testing.T, username, secret string) identityCaller
	}{{"9", identity9}, {"8", identity8}, {"7.17", identity7}} {
		t.Run(client.name, func(t *testing.T) { lowLevelIdentity(t, client.connect) })
	}
}

func lowLevelIdentity(t *testing.T, connect func(t *testing.T, username, secret string) identityCaller) {
	admin := connect(t, "elastic", password)
	created := func(yes bool) object { return object{"created": yes} }

	t.Run("ID-11 ID-18 ID-20 ID-32 ID-34 ID-35 ID-39 users", func(t *testing.T) {
		name := unique("user")
		answered(t, 200, created(true))(admin.putUser(name, `{"password":"correct horse","roles":["a"]}`))
		answered(t, 200, created(false))(admin.putUser(name, `{"roles":["b"]}`))
		answered(t, 200, object{name: object{"username": name, "roles": []any{"b"}, "full_name": nil, "email": nil, "metadata": object{}, "enabled": true}})(admin.getUser(name))
		user := connect(t, name, "correct horse")
		answered(t, 200, object{})(admin.disableUser(name))
		want[apiError](t, 401)(user.authenticate())
		answered(t, 200, object{})(admin.enableUser(name))
		answered(t, 200, object{})(user.changePassword(`{"password":"another password"}`))
		want[apiError](t, 401)(user.authenticate())
		answered(t, 200, object{"found": true})(admin.deleteUser(name))
		answered(t, 404, object{"found": false})(admin.deleteUser(name))
		answered(t, 404, object{})(admin.getUser(name))
	})
	t.Run("ID-43 ID-53 ID-55 roles", func(t *testing.T) {
		name := unique("role")
		const role = `{"cluster":["monitor"],"indices":[{"names":["a*"],"privileges":["read"]}],"applications":[{"application":"shop","privileges":["read"],"resources":["*"]}],"run_as":["b"]}`
		answered(t, 200, object{"role": created(true)})(admin.putRole(name, role))
		answered(t, 200, object{"role": created(false)})(admin.putRole(name, role))
		answered(t, 200, object{name: object{
			"cluster":            []any{"monitor"},
			"indices":            []any{object{"names": []any{"a*"}, "privileges": []any{"read"}, "allow_restricted_indices": false}},
			"applications":       []any{object{"application": "shop", "privileges": []any{"read"}, "resources": []any{"*"}}},
			"run_as":             []any{"b"},
			"metadata":           object{},
			"transient_metadata": object{"enabled": true},
		}})(admin.getRole(name))
		want[apiError](t, 400)(admin.deleteRole("superuser"))
		answered(t, 200, object{"found": true})(admin.deleteRole(name))
		answered(t, 404, object{"found": false})(admin.deleteRole(name))
		answered(t, 404, object{})(admin.getRole(name))
	})
	t.Run("ID-89 ID-91 ID-94 role mappings", func(t *testing.T) {
		name := unique("mapping")
		rules := object{"field": object{"username": "a"}}
		answered(t, 200, object{"role_mapping": created(true)})(admin.putRoleMapping(name, `{"enabled":true,"roles":["b"],"rules":{"field":{"username":["a"]}}}`))
		answered(t, 200, object{name: object{"enabled": true, "roles": []any{"b"}, "rules": rules, "metadata": object{}}})(admin.getRoleMapping(name))
		answered(t, 200, object{"role_mapping": created(false)})(admin.putRoleMapping(name, `{"enabled":true,"role_templates":[{"template":{"source":"{{username}}"}}],"rules":{"field":{"username":"a"}}}`))
		templates := []any{object{"template": `{"source":"{{username}}"}`, "format": "string"}}
		answered(t, 200, object{name: object{"enabled": true, "role_templates": templates, "rules": rules, "metadata": object{}}})(admin.getRoleMapping(name))
		want[apiError](t, 400)(admin.putRoleMapping(name, `{"roles":["b"],"rules":{"field":{"username":"a"}}}`))
		answered(t, 200, object{"found": true})(admin.deleteRoleMapping(name))
		answered(t, 404, object{"found": false})(admin.deleteRoleMapping(name))
	})
	t.Run("ID-72 ID-73 ID-74 ID-78 ID-86 ID-87 application privileges and checks", func(t *testing.T) {
		app, name, role := unique("app"), unique("user"), unique("role")
		answered(t, 200, object{app: object{"read": created(true)}})(admin.putPrivileges(`{"` + app + `":{"read":{"actions":["data:read/*"]}}}`))
		answered(t, 200, object{app: object{"read": object{"application": app, "name": "read", "actions": []any{"data:read/*"}, "metadata": object{}}}})(admin.getPrivileges(app))
		granted := `{"application":"` + app + `","privileges":["read"],"resources":["*"]}`
		want[object](t, 200)(admin.putRole(role, `{"cluster":["monitor"],"indices":[{"names":["logs-1"],"privileges":["read"]}],"applications":[`+granted+`]}`))
		want[object](t, 200)(admin.putUser(name, `{"password":"correct horse","roles":["`+role+`"]}`))
		user := connect(t, name, "correct horse")
		answered(t, 200, object{
			"username":          name,
			"has_all_requested": false,
			"cluster":           object{"monitor": true, "manage": false},
			"index":             object{"logs-1": object{"read": true}, "logs-*": object{"read": false}},
			"application":       object{app: object{"*": object{"read": true}}},
		})(user.hasPrivileges(`{"cluster":["monitor","manage"],"index":[{"names":["logs-1","logs-*"],"privileges":["read"]}],"application":[` + granted + `]}`))
		if mine := want[object](t, 200)(user.getUserPrivileges()); !reflect.DeepEqual(mine["cluster"], []any{"monitor"}) || len(mine) != 5 {
			t.Errorf("got %v", mine)
		}
		answered(t, 200, object{app: object{"read": object{"found": true}}})(admin.deletePrivilege(app, "read"))
		answered(t, 404, object{app: object{"read": object{"found": false}}})(admin.deletePrivilege(app, "read"))
		if told := want[map[string][]string](t, 200)(admin.getBuiltin()); len(told["cluster"]) == 0 || len(told["index"]) == 0 {
			t.Errorf("got %v", told)
		}
	})
	t.Run("ID-95 ID-97 ID-98 ID-99 a service token is made, told, used and deleted, and then refused at once", func(t *testing.T) {
		if accounts := want[object](t, 200)(admin.getAccounts()); len(accounts) != 4 {
			t.Errorf("got %v", accounts)
		}
		name := unique("token")
		made := want[struct{ Token struct{ Name, Value string } }](t, 200)(admin.createToken(name, "fleet-server"))
		if told := want[struct{ Tokens object }](t, 200)(admin.getTokens()); made.Token.Name != name || told.Tokens[name] == nil {
			t.Errorf("got %v and %v", made, told)
		}
		holder := connect(t, "", made.Token.Value)
		if me := want[object](t, 200)(holder.authenticate()); me["username"] != "elastic/fleet-server" || me["authentication_type"] != "token" {
			t.Errorf("got %v", me)
		}
		want[apiError](t, 409)(admin.createToken(name, "fleet-server"))
		answered(t, 200, object{"found": true})(admin.deleteToken(name))
		want[apiError](t, 401)(holder.authenticate())
		answered(t, 404, object{"found": false})(admin.deleteToken(name))
	})
}
