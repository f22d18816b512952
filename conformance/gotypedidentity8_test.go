package conformance

import (
	"net/http"
	"slices"
	"testing"

	"github.com/elastic/go-elasticsearch/v8"
	"github.com/elastic/go-elasticsearch/v8/typedapi/security/activateuserprofile"
	"github.com/elastic/go-elasticsearch/v8/typedapi/security/putprivileges"
	"github.com/elastic/go-elasticsearch/v8/typedapi/types"
	"github.com/elastic/go-elasticsearch/v8/typedapi/types/enums/clusterprivilege"
	"github.com/elastic/go-elasticsearch/v8/typedapi/types/enums/granttype"
)

// TestGoTypedIdentity8 has release 8 decode what TestGoTypedIdentity9 goes through.
func TestGoTypedIdentity8(t *testing.T) { onEach(t, goTypedIdentity8) }

func goTypedIdentity8(t *testing.T) {
	ctx, admin := t.Context(), typed8(t, password8("elastic", password)).Security
	monitor := []clusterprivilege.ClusterPrivilege{clusterprivilege.Monitor}
	name, role, word := unique("user"), unique("role"), unique("password")

	t.Run("ID-18 ID-43 ID-58 a role and its user", func(t *testing.T) {
		if !must(admin.PutRole(role).Cluster(monitor...).RunAs("x*").Do(ctx))(t).Role.Created || !must(admin.PutUser(name).Password(word).Roles(role).Do(ctx))(t).Created {
			t.Error("not created")
		}
		if r := must(admin.GetRole().Name(role).Do(ctx))(t)[role]; !slices.Equal(r.Cluster, monitor) || !slices.Equal(r.RunAs, []string{"x*"}) {
			t.Errorf("got %+v", r)
		}
		if u := must(admin.GetUser().Username(name).Do(ctx))(t)[name]; !slices.Equal(u.Roles, []string{role}) || !u.Enabled {
			t.Errorf("got %+v", u)
		}
		again := must(admin.BulkPutRole().Roles(map[string]types.RoleDescriptor{role: {Cluster: monitor, RunAs: []string{"x*"}}}).Do(ctx))(t)
		if !slices.Equal(again.Noop, []string{role}) {
			t.Errorf("got %+v", again)
		}
	})
	t.Run("ID-86 ID-87 what the user may", func(t *testing.T) {
		user, app := typed8(t, password8(name, word)).Security, unique("app")
		must(admin.PutPrivileges().Request(&putprivileges.Request{app: {"read": {Actions: []string{"data:read/*"}}}}).Do(ctx))(t)
		if p := must(admin.GetPrivileges().Application(app).Do(ctx))(t)[app]["read"]; !slices.Equal(p.Actions, []string{"data:read/*"}) {
			t.Errorf("got %+v", p)
		}
		told := must(user.HasPrivileges().Cluster(clusterprivilege.Monitor, clusterprivilege.Manage).
			Application(types.ApplicationPrivilegesCheck{Application: app, Privileges: []string{"read"}, Resources: []string{"a"}}).Do(ctx))(t)
		if told.Username != name || told.HasAllRequested || !told.Cluster["monitor"] || told.Cluster["manage"] || told.Application[app]["a"]["read"] {
			t.Errorf("got %+v", told)
		}
		if mine := must(user.GetUserPrivileges().Do(ctx))(t); !slices.Equal(mine.Cluster, []string{"monitor"}) || !slices.Equal(mine.RunAs, []string{"x*"}) {
			t.Errorf("got %+v", mine)
		}
		if gone := must(admin.DeletePrivileges(app, "read").Do(ctx))(t); !gone[app]["read"].Found {
			t.Errorf("got %+v", gone)
		}
	})
	t.Run("ID-91 a role mapping", func(t *testing.T) {
		name := unique("mapping")
		rules := types.RoleMappingRule{Field: &types.FieldRule{Username: []string{"a", "b"}}}
		must(admin.PutRoleMapping(name).Enabled(true).Roles("c").Rules(&rules).Do(ctx))(t)
		if m := must(admin.GetRoleMapping().Name(name).Do(ctx))(t)[name]; !m.Enabled || m.Rules.Field == nil || !slices.Equal(m.Rules.Field.Username, []string{"a", "b"}) {
			t.Errorf("got %+v", m)
		}
		if !must(admin.DeleteRoleMapping(name).Do(ctx))(t).Found {
			t.Error("not found")
		}
	})
	t.Run("ID-102 a profile", func(t *testing.T) {
		made := must(admin.ActivateUserProfile().Request(&activateuserprofile.Request{GrantType: granttype.Password, Username: &name, Password: &word}).Do(ctx))(t)
		if got := must(admin.GetUserProfile(made.Uid).Do(ctx))(t); len(got.Profiles) != 1 || got.Profiles[0].User.Username != name {
			t.Errorf("got %+v", got)
		}
		told := must(admin.HasPrivilegesUserProfile().Uids(made.Uid).Privileges(&types.PrivilegesCheck{Cluster: monitor}).Do(ctx))(t)
		if found := must(admin.SuggestUserProfiles().Name(name).Do(ctx))(t); len(found.Profiles) != 1 || !slices.Equal(told.HasPrivilegeUids, []string{made.Uid}) {
			t.Errorf("got %+v and %+v", found, told)
		}
	})
	t.Run("ID-97 ID-99 a service token is made, used and deleted, and then refused at once", func(t *testing.T) {
		name := unique("token")
		made := must(admin.CreateServiceToken("elastic", "fleet-server").Name(name).Do(ctx))(t)
		if told := must(admin.GetServiceCredentials("elastic", "fleet-server").Do(ctx))(t); told.Tokens[name] == nil {
			t.Errorf("got %+v", told)
		}
		holder := typed8(t, func(c *elasticsearch.Config) { c.ServiceToken = made.Token.Value }).Security
		if me := must(holder.Authenticate().Do(ctx))(t); me.Username != "elastic/fleet-server" {
			t.Errorf("got %+v", me)
		}
		must(admin.DeleteServiceToken("elastic", "fleet-server", name).Do(ctx))(t)
		_, err := holder.Authenticate().Do(ctx)
		refused(t, from8Error(err), http.StatusUnauthorized, "security_exception")
	})
	t.Run("ID-34 both are deleted", func(t *testing.T) {
		if !must(admin.DeleteUser(name).Do(ctx))(t).Found || !must(admin.DeleteRole(role).Do(ctx))(t).Found {
			t.Error("not found")
		}
		_, err := admin.DeleteUser(name).Do(ctx)
		refused(t, from8Error(err), http.StatusNotFound, "")
	})
}
