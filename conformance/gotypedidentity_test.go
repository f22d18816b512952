package conformance

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"

	"github.com/elastic/go-elasticsearch/v9"
	"github.com/elastic/go-elasticsearch/v9/typedapi/security/activateuserprofile"
	"github.com/elastic/go-elasticsearch/v9/typedapi/security/putprivileges"
	"github.com/elastic/go-elasticsearch/v9/typedapi/security/putrole"
	"github.com/elastic/go-elasticsearch/v9/typedapi/security/putrolemapping"
	"github.com/elastic/go-elasticsearch/v9/typedapi/types"
	"github.com/elastic/go-elasticsearch/v9/typedapi/types/enums/clusterprivilege"
	"github.com/elastic/go-elasticsearch/v9/typedapi/types/enums/granttype"
	"github.com/elastic/go-elasticsearch/v9/typedapi/types/enums/indexprivilege"
)

// TestGoTypedIdentity9 handles users, roles, role mappings, privileges, service
// accounts and profiles.
func TestGoTypedIdentity9(t *testing.T) { onEach(t, goTypedIdentity9) }

func goTypedIdentity9(t *testing.T) {
	t.Run("ID-18 ID-20 ID-22 ID-32 ID-34 ID-35 users", typedUserLife)
	t.Run("ID-43 ID-48 ID-53 ID-55 ID-63 ID-109 roles", typedRoles)
	t.Run("ID-57 ID-58 ID-60 ID-61 many roles", typedManyRoles)
	t.Run("ID-89 ID-91 ID-94 role mappings", typedRoleMappings)
	t.Run("ID-72 ID-73 ID-74 ID-75 application privileges", typedApplicationPrivileges)
	t.Run("ID-78 ID-81 ID-83 ID-86 ID-87 checks", typedChecks)
	t.Run("ID-95 ID-97 ID-98 ID-99 ID-109 service accounts", typedServiceAccounts)
	t.Run("ID-102 ID-103 profiles", typedProfiles)
	t.Run("ID-109 ID-110 settings", typedSettings)
}

// must returns an answer that must be given.
func must[T any](answer T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
}

func typedUserLife(t *testing.T) {
	ctx, admin := t.Context(), typedAdmin(t).Security
	name, word := unique("user"), unique("password")
	if !must(admin.PutUser(name).Password(word).Roles("a", "b").FullName("A Person").Email("a@example.org").Do(ctx))(t).Created {
		t.Error("not created")
	}
	u := must(admin.GetUser().Username(name, unique("no")).Do(ctx))(t)[name]
	if u.Username != name || !slices.Equal(u.Roles, []string{"a", "b"}) || u.FullName == nil || *u.FullName != "A Person" || *u.Email != "a@example.org" || !u.Enabled {
		t.Errorf("got %+v", u)
	}
	if must(admin.PutUser(name).Roles("c").Do(ctx))(t).Created {
		t.Error("created once more")
	}
	if u := must(admin.GetUser().Username(name).Do(ctx))(t)[name]; !slices.Equal(u.Roles, []string{"c"}) || u.FullName != nil {
		t.Errorf("got %+v", u)
	}
	client := typed(t, elasticsearch.WithBasicAuth(name, word)).Security
	_, err := client.ChangePassword().Username("elastic").Password("another password").Do(ctx)
	refused(t, err, http.StatusForbidden, "security_exception")
	must(client.ChangePassword().Password("another password").Do(ctx))(t)
	_, err = client.Authenticate().Do(ctx)
	refused(t, err, http.StatusUnauthorized, "security_exception")
	found := must(admin.QueryUser().Query(&types.UserQueryContainer{Term: map[string]types.TermQuery{"username": {Value: name}}}).Do(ctx))(t)
	if found.Total != 1 || found.Users[0].Username != name {
		t.Errorf("got %+v", found)
	}
	if !must(admin.DeleteUser(name).Do(ctx))(t).Found {
		t.Error("not found")
	}
	_, err = admin.DeleteUser(name).Do(ctx)
	refused(t, err, http.StatusNotFound, "")
	if all := must(admin.GetUser().Do(ctx))(t); all["elastic"].Username != "elastic" || all[name].Username != "" {
		t.Errorf("got %+v", all)
	}
}

func typedRoles(t *testing.T) {
	ctx, admin := t.Context(), typedAdmin(t).Security
	user, role, _, client := typedUser(t, clusterprivilege.Monitor)
	must(client.Info().Do(ctx))(t)
	made := must(admin.PutRole(role).Request(&putrole.Request{
		Cluster: []clusterprivilege.ClusterPrivilege{clusterprivilege.Manageownapikey},
		Indices: []types.IndicesPrivileges{{Names: []string{"logs-*"}, Privileges: []indexprivilege.IndexPrivilege{indexprivilege.Read},
			FieldSecurity: &types.FieldSecurity{Grant: []string{"a*"}, Except: []string{"ab"}}}},
		Applications: []types.ApplicationPrivileges{{Application: "shop", Privileges: []string{"read", "data:*"}, Resources: []string{"*"}}},
		RunAs:        []string{"other-*"},
		Metadata:     types.Metadata{"team": json.RawMessage("7")},
		Description:  new("a role"),
	}).Do(ctx))(t)
	if made.Role.Created {
		t.Error("created once more")
	}
	_, err := client.Cluster.Health().Do(ctx)
	refused(t, err, http.StatusForbidden, "security_exception")
	r := must(admin.GetRole().Name(role).Do(ctx))(t)[role]
	if len(r.Cluster) != 1 || len(r.Indices) != 1 || !slices.Equal(r.Indices[0].FieldSecurity.Except, []string{"ab"}) || *r.Indices[0].AllowRestrictedIndices ||
		!slices.Equal(r.Applications[0].Privileges, []string{"read", "data:*"}) || !slices.Equal(r.RunAs, []string{"other-*"}) ||
		string(r.Metadata["team"]) != "7" || *r.Description != "a role" || string(r.TransientMetadata["enabled"]) != "true" {
		t.Errorf("got %+v", r)
	}
	if answer := must(admin.ClearCachedRoles(role).Do(ctx))(t); answer.NodeStats.Failed != 0 || len(answer.Nodes) != 1 {
		t.Errorf("got %+v", answer)
	}
	_, err = admin.PutRole(role).Cluster(clusterprivilege.ClusterPrivilege{Name: "x"}).Do(ctx)
	refused(t, err, http.StatusBadRequest, "action_request_validation_exception")
	_, err = admin.DeleteRole("superuser").Do(ctx)
	refused(t, err, http.StatusBadRequest, "illegal_argument_exception")
	if !must(admin.DeleteRole(role).Do(ctx))(t).Found {
		t.Error("not found")
	}
	_, err = admin.GetRole().Name(role).Do(ctx)
	refused(t, err, http.StatusNotFound, "")
	must(admin.DeleteUser(user).Do(ctx))(t)
}

func typedManyRoles(t *testing.T) {
	ctx, admin := t.Context(), typedAdmin(t).Security
	a, b, bad := unique("a"), unique("b"), unique("bad")
	wrong := types.RoleDescriptor{Cluster: []clusterprivilege.ClusterPrivilege{{Name: "x"}}}
	made := must(admin.BulkPutRole().Roles(map[string]types.RoleDescriptor{a: {Description: new("a role")}, b: {}, bad: wrong}).Do(ctx))(t)
	if len(made.Created) != 2 || made.Errors.Count != 1 || made.Errors.Details[bad].Type != "action_request_validation_exception" {
		t.Errorf("got %+v", made)
	}
	again := must(admin.BulkPutRole().Roles(map[string]types.RoleDescriptor{a: {}, b: {}}).Do(ctx))(t)
	if !slices.Equal(again.Updated, []string{a}) || !slices.Equal(again.Noop, []string{b}) {
		t.Errorf("got %+v", again)
	}
	found := must(admin.QueryRole().Query(&types.RoleQueryContainer{Term: map[string]types.TermQuery{"name": {Value: a}}}).Do(ctx))(t)
	if found.Total != 1 || found.Roles[0].Name != a {
		t.Errorf("got %+v", found)
	}
	gone := must(admin.BulkDeleteRole().Names(a, b, bad, "superuser").Do(ctx))(t)
	if !slices.Equal(gone.Deleted, []string{a, b}) || !slices.Equal(gone.NotFound, []string{bad}) || gone.Errors.Details["superuser"].Type != "illegal_argument_exception" {
		t.Errorf("got %+v", gone)
	}
}

func typedRoleMappings(t *testing.T) {
	ctx, admin := t.Context(), typedAdmin(t).Security
	name := unique("mapping")
	rules := types.RoleMappingRule{All: []types.RoleMappingRule{
		{Field: map[string][]types.FieldValue{"username": {"a", "b"}}},
		{Except: &types.RoleMappingRule{Field: map[string][]types.FieldValue{"groups": {"c"}}}},
	}}
	if !must(admin.PutRoleMapping(name).Enabled(true).Roles("monitoring_user").Rules(&rules).Do(ctx))(t).RoleMapping.Created {
		t.Error("not created")
	}
	m := must(admin.GetRoleMapping().Name(name).Do(ctx))(t)[name]
	if !m.Enabled || !slices.Equal(m.Roles, []string{"monitoring_user"}) || len(m.Rules.All) != 2 || len(m.Rules.All[0].Field["username"]) != 2 || len(m.Rules.All[1].Except.Field["groups"]) != 1 {
		t.Errorf("got %+v", m)
	}
	template := types.RoleTemplate{Template: types.Script{Source: "_user_{{username}}"}}
	must(admin.PutRoleMapping(name).Request(&putrolemapping.Request{Enabled: new(false), RoleTemplates: []types.RoleTemplate{template}, Rules: &rules}).Do(ctx))(t)
	m = must(admin.GetRoleMapping().Do(ctx))(t)[name]
	if m.Enabled || len(m.Roles) != 0 || len(m.RoleTemplates) != 1 || m.RoleTemplates[0].Format.Name != "string" {
		t.Errorf("got %+v", m)
	}
	_, err := admin.PutRoleMapping(name).Roles("a").Rules(&rules).Do(ctx)
	refused(t, err, http.StatusBadRequest, "parsing_exception")
	if !must(admin.DeleteRoleMapping(name).Do(ctx))(t).Found {
		t.Error("not found")
	}
	_, err = admin.DeleteRoleMapping(name).Do(ctx)
	refused(t, err, http.StatusNotFound, "")
}

func typedApplicationPrivileges(t *testing.T) {
	ctx, admin := t.Context(), typedAdmin(t).Security
	app := unique("app")
	request := putprivileges.Request{app: {"read": {Actions: []string{"data:read/*"}}}}
	if !must(admin.PutPrivileges().Request(&request).Do(ctx))(t)[app]["read"].Created {
		t.Error("not created")
	}
	p := must(admin.GetPrivileges().Application(app).Do(ctx))(t)[app]["read"]
	if *p.Application != app || *p.Name != "read" || !slices.Equal(p.Actions, []string{"data:read/*"}) || p.Metadata == nil {
		t.Errorf("got %+v", p)
	}
	_, err := admin.PutPrivileges().Request(&putprivileges.Request{"App": request[app]}).Do(ctx)
	refused(t, err, http.StatusBadRequest, "action_request_validation_exception")
	if gone := must(admin.DeletePrivileges(app, "read,no").Do(ctx))(t)[app]; !gone["read"].Found || gone["no"].Found || len(gone) != 2 {
		t.Errorf("got %+v", gone)
	}
	_, err = admin.GetPrivileges().Application(app).Name("read").Do(ctx)
	refused(t, err, http.StatusNotFound, "")
	builtin := must(admin.GetBuiltinPrivileges().Do(ctx))(t)
	if !slices.Contains(builtin.Cluster, clusterprivilege.Manageownapikey) || !slices.IsSorted(builtin.Index) {
		t.Errorf("got %+v", builtin)
	}
}

func typedChecks(t *testing.T) {
	ctx, admin := t.Context(), typedAdmin(t).Security
	user, role, _, typedClient := typedUser(t)
	client, app := typedClient.Security, unique("app")
	read := []indexprivilege.IndexPrivilege{indexprivilege.Read}
	must(admin.PutRole(role).Request(&putrole.Request{
		Cluster:      []clusterprivilege.ClusterPrivilege{clusterprivilege.Monitor},
		Indices:      []types.IndicesPrivileges{{Names: []string{"logs-1", "metrics-*"}, Privileges: read}},
		Applications: []types.ApplicationPrivileges{{Application: app, Privileges: []string{"read"}, Resources: []string{"a/*"}}},
	}).Do(ctx))(t)
	told := must(client.HasPrivileges().Cluster(clusterprivilege.Monitor, clusterprivilege.Manage).
		Index(&types.IndexPrivilegesCheck{Names: []string{"logs-*", "metrics-1"}, Privileges: read}).
		Application(&types.ApplicationPrivilegesCheck{Application: app, Privileges: []string{"read", "write"}, Resources: []string{"a/1"}}).Do(ctx))(t)
	if told.Username != user || told.HasAllRequested || !told.Cluster["monitor"] || told.Cluster["manage"] || told.Index["logs-*"]["read"] ||
		!told.Index["metrics-1"]["read"] || !told.Application[app]["a/1"]["read"] || told.Application[app]["a/1"]["write"] {
		t.Errorf("got %+v", told)
	}
	mine := must(client.GetUserPrivileges().Do(ctx))(t)
	if !slices.Equal(mine.Cluster, []string{"monitor"}) || !slices.Equal(mine.Indices[0].Names, []string{"logs-1", "metrics-*"}) ||
		mine.Applications[0].Application != app || len(mine.RunAs) != 0 || len(mine.Global) != 0 {
		t.Errorf("got %+v", mine)
	}
	_, err := admin.HasPrivileges().Cluster(clusterprivilege.ClusterPrivilege{Name: "x"}).Do(ctx)
	refused(t, err, http.StatusBadRequest, "illegal_argument_exception")
	_, err = admin.HasPrivileges().User(user).Cluster(clusterprivilege.All).Do(ctx)
	refused(t, err, http.StatusBadRequest, "illegal_argument_exception")
}

func typedServiceAccounts(t *testing.T) {
	ctx, admin := t.Context(), typedAdmin(t).Security
	accounts := must(admin.GetServiceAccounts().Namespace("elastic").Do(ctx))(t)
	if len(accounts) != 4 || len(accounts["elastic/fleet-server"].RoleDescriptor.Cluster) == 0 {
		t.Errorf("got %+v", accounts)
	}
	name := unique("token")
	made := must(admin.CreateServiceToken("elastic", "fleet-server").Name(name).Do(ctx))(t)
	if !made.Created || made.Token.Name != name {
		t.Errorf("got %+v", made)
	}
	told := must(admin.GetServiceCredentials("elastic", "fleet-server").Do(ctx))(t)
	if _, ok := told.Tokens[name]; !ok || told.ServiceAccount != "elastic/fleet-server" {
		t.Errorf("got %+v", told)
	}
	client := typed(t, elasticsearch.WithServiceToken(made.Token.Value)).Security
	if me := must(client.Authenticate().Do(ctx))(t); me.Username != "elastic/fleet-server" || me.Token == nil || me.Token.Name == nil || *me.Token.Name != name {
		t.Errorf("got %+v", me)
	}
	_, err := admin.CreateServiceToken("elastic", "fleet-server").Name(name).Do(ctx)
	refused(t, err, http.StatusConflict, "version_conflict_engine_exception")
	if answer := must(admin.ClearCachedServiceTokens("elastic", "fleet-server", name).Do(ctx))(t); answer.NodeStats.Failed != 0 {
		t.Errorf("got %+v", answer)
	}
	if !must(admin.DeleteServiceToken("elastic", "fleet-server", name).Do(ctx))(t).Found {
		t.Error("not found")
	}
	_, err = client.Authenticate().Do(ctx)
	refused(t, err, http.StatusUnauthorized, "security_exception")
	_, err = admin.DeleteServiceToken("elastic", "fleet-server", name).Do(ctx)
	refused(t, err, http.StatusNotFound, "")
}

func typedProfiles(t *testing.T) {
	ctx, admin := t.Context(), typedAdmin(t).Security
	name, _, word, _ := typedUser(t, clusterprivilege.Monitor)
	activate := &activateuserprofile.Request{GrantType: granttype.Password, Username: &name, Password: &word}
	made := must(admin.ActivateUserProfile().Request(activate).Do(ctx))(t)
	if made.User.Username != name || made.User.RealmName != "default_native" || made.Enabled == nil || !*made.Enabled {
		t.Errorf("got %+v", made)
	}
	must(admin.UpdateUserProfileData(made.Uid).Data(map[string]json.RawMessage{"theme": json.RawMessage(`"dark"`)}).Do(ctx))(t)
	no := unique("u_no")
	got := must(admin.GetUserProfile(made.Uid + "," + no).Data("theme").Do(ctx))(t)
	if len(got.Profiles) != 1 || string(got.Profiles[0].Data["theme"]) != `"dark"` || got.Errors == nil || got.Errors.Details[no].Type != "resource_not_found_exception" {
		t.Errorf("got %+v", got)
	}
	suggested := func() int { return len(must(admin.SuggestUserProfiles().Name(name).Do(ctx))(t).Profiles) }
	must(admin.DisableUserProfile(made.Uid).Do(ctx))(t)
	if n := suggested(); n != 0 {
		t.Errorf("%d profiles are suggested while it is disabled", n)
	}
	must(admin.EnableUserProfile(made.Uid).Do(ctx))(t)
	if n := suggested(); n != 1 {
		t.Errorf("%d profiles are suggested", n)
	}
	told := must(admin.HasPrivilegesUserProfile().Uids(made.Uid).
		Privileges(&types.PrivilegesCheck{Cluster: []clusterprivilege.ClusterPrivilege{clusterprivilege.Monitor}}).Do(ctx))(t)
	if !slices.Equal(told.HasPrivilegeUids, []string{made.Uid}) {
		t.Errorf("got %+v", told)
	}
}

func typedSettings(t *testing.T) {
	ctx, admin := t.Context(), typedAdmin(t).Security
	before := must(admin.GetSettings().Do(ctx))(t).Security.Index.NumberOfReplicas
	for _, replicas := range []*string{new("1"), before} {
		must(admin.UpdateSettings().Security(&types.SecuritySettings{Index: &types.IndexSettings{NumberOfReplicas: replicas}}).Do(ctx))(t)
		if got := must(admin.GetSettings().Do(ctx))(t).Security.Index.NumberOfReplicas; got == nil || *got != *replicas {
			t.Errorf("got %v", got)
		}
	}
	if stats := must(admin.GetStats().Do(ctx))(t); len(stats.Nodes) != 1 {
		t.Errorf("got %+v", stats)
	}
	if answer := must(admin.ClearCachedRealms("default_native").Do(ctx))(t); answer.NodeStats.Failed != 0 {
		t.Errorf("got %+v", answer)
	}
}
