package conformance;

import static conformance.HighLevel.admin;
import static conformance.HighLevel.as;
import static conformance.HighLevel.client;
import static conformance.HighLevel.refused;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import conformance.HighLevel.Person;
import java.io.IOException;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.elasticsearch.client.NodesResponse;
import org.elasticsearch.client.RequestOptions;
import org.elasticsearch.client.security.ChangePasswordRequest;
import org.elasticsearch.client.security.ClearPrivilegesCacheRequest;
import org.elasticsearch.client.security.ClearRealmCacheRequest;
import org.elasticsearch.client.security.ClearRolesCacheRequest;
import org.elasticsearch.client.security.ClearServiceAccountTokenCacheRequest;
import org.elasticsearch.client.security.CreateServiceAccountTokenRequest;
import org.elasticsearch.client.security.DeletePrivilegesRequest;
import org.elasticsearch.client.security.DeleteRoleMappingRequest;
import org.elasticsearch.client.security.DeleteRoleRequest;
import org.elasticsearch.client.security.DeleteServiceAccountTokenRequest;
import org.elasticsearch.client.security.DeleteUserRequest;
import org.elasticsearch.client.security.DisableUserRequest;
import org.elasticsearch.client.security.EnableUserRequest;
import org.elasticsearch.client.security.ExpressionRoleMapping;
import org.elasticsearch.client.security.GetPrivilegesRequest;
import org.elasticsearch.client.security.GetRoleMappingsRequest;
import org.elasticsearch.client.security.GetRolesRequest;
import org.elasticsearch.client.security.GetServiceAccountCredentialsRequest;
import org.elasticsearch.client.security.GetServiceAccountsRequest;
import org.elasticsearch.client.security.GetUserPrivilegesResponse;
import org.elasticsearch.client.security.GetUsersRequest;
import org.elasticsearch.client.security.GetUsersResponse;
import org.elasticsearch.client.security.HasPrivilegesRequest;
import org.elasticsearch.client.security.HasPrivilegesResponse;
import org.elasticsearch.client.security.PutPrivilegesRequest;
import org.elasticsearch.client.security.PutRoleMappingRequest;
import org.elasticsearch.client.security.PutRoleRequest;
import org.elasticsearch.client.security.PutUserRequest;
import org.elasticsearch.client.security.RefreshPolicy;
import org.elasticsearch.client.security.TemplateRoleName;
import org.elasticsearch.client.security.support.expressiondsl.RoleMapperExpression;
import org.elasticsearch.client.security.support.expressiondsl.expressions.AllRoleMapperExpression;
import org.elasticsearch.client.security.support.expressiondsl.expressions.ExceptRoleMapperExpression;
import org.elasticsearch.client.security.support.expressiondsl.fields.FieldRoleMapperExpression;
import org.elasticsearch.client.security.user.User;
import org.elasticsearch.client.security.user.privileges.ApplicationPrivilege;
import org.elasticsearch.client.security.user.privileges.ApplicationResourcePrivileges;
import org.elasticsearch.client.security.user.privileges.IndicesPrivileges;
import org.elasticsearch.client.security.user.privileges.Role;
import org.elasticsearch.rest.RestStatus;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

/** The high-level REST client handles users, roles, role mappings, privileges and service accounts. */
@DisplayName("high-level REST client 7.17, users and what they may")
class HighLevelClient717Identity {
    private static void out(RequestOptions options) {
        refused(RestStatus.UNAUTHORIZED, () -> client.security().authenticate(options));
    }

    /** Asserts that a cache was cleared on the only node. */
    private static void cleared(NodesResponse answer) {
        assertEquals(List.of(1, 1, 0), List.of(answer.getHeader().getTotal(), answer.getHeader().getSuccessful(), answer.getHeader().getFailed()));
    }

    private static <T> T only(Collection<T> all) {
        assertEquals(1, all.size());
        return all.iterator().next();
    }

    @Test
    @DisplayName("ID-11 ID-18 ID-20 ID-32 ID-34 ID-39 users: put, get, disable, enable, delete")
    void users() throws IOException {
        Person p = Person.with();
        User user = new User(p.name(), List.of("a", "b"), Map.of("team", 7), "A Person", "a@example.org");
        assertFalse(client.security().putUser(PutUserRequest.updateUser(user, true, RefreshPolicy.NONE), admin).isCreated());
        GetUsersResponse told = client.security().getUsers(new GetUsersRequest(p.name(), Server.unique("no")), admin);
        assertEquals(List.of(user, user), List.of(only(told.getUsers()), only(told.getEnabledUsers())));
        assertTrue(client.security().disableUser(new DisableUserRequest(p.name(), RefreshPolicy.NONE), admin));
        out(p.options());
        assertTrue(client.security().getUsers(new GetUsersRequest(p.name()), admin).getEnabledUsers().isEmpty());
        assertTrue(client.security().enableUser(new EnableUserRequest(p.name(), RefreshPolicy.NONE), admin));
        assertEquals(user.getRoles(), client.security().authenticate(p.options()).getUser().getRoles());
        assertTrue(client.security().deleteUser(new DeleteUserRequest(p.name()), admin).isAcknowledged());
        out(p.options());
        assertFalse(client.security().deleteUser(new DeleteUserRequest(p.name()), admin).isAcknowledged());
        assertTrue(client.security().getUsers(new GetUsersRequest(), admin).getUsers().stream().anyMatch(u -> u.getUsername().equals("elastic")));
    }

    @Test
    @DisplayName("ID-35 ID-37 ID-38 users change their own password, and who manages security any")
    void passwords() throws IOException {
        Person u = Person.with();
        char[] word = "another password".toCharArray();
        refused(RestStatus.FORBIDDEN, () -> client.security().changePassword(new ChangePasswordRequest("elastic", word, RefreshPolicy.NONE), u.options()));
        refused(RestStatus.BAD_REQUEST, () -> client.security().changePassword(new ChangePasswordRequest(Server.unique("no"), word, RefreshPolicy.NONE), admin));
        assertTrue(client.security().changePassword(new ChangePasswordRequest(null, word, RefreshPolicy.NONE), u.options()));
        out(u.options());
        assertTrue(client.security().changePassword(new ChangePasswordRequest(u.name(), u.password().toCharArray(), RefreshPolicy.NONE), admin));
        client.security().authenticate(u.options());
    }

    @Test
    @DisplayName("ID-43 ID-53 ID-55 ID-109 roles: put with all their parts, get, delete")
    void roles() throws IOException {
        String name = Server.unique("role");
        Role role = Role.builder().name(name).clusterPrivileges("monitor")
            .indicesPrivileges(IndicesPrivileges.builder().indices("logs-*").privileges("read").grantedFields("a*").deniedFields("ab").query("{\"match_all\":{}}").build())
            .applicationResourcePrivileges(new ApplicationResourcePrivileges("shop", List.of("read", "data:*"), List.of("*")))
            .runAsPrivilege("other-*").metadata(Map.of("team", 7)).build();
        assertTrue(client.security().putRole(new PutRoleRequest(role, RefreshPolicy.NONE), admin).isCreated());
        assertFalse(client.security().putRole(new PutRoleRequest(role, RefreshPolicy.NONE), admin).isCreated());
        var told = client.security().getRoles(new GetRolesRequest(name), admin);
        assertEquals(List.of(role, Map.of("enabled", true)), List.of(only(told.getRoles()), told.getTransientMetadata(name)));
        cleared(client.security().clearRolesCache(new ClearRolesCacheRequest(name), admin));
        refused(RestStatus.BAD_REQUEST, () -> client.security().deleteRole(new DeleteRoleRequest("superuser"), admin));
        assertTrue(client.security().deleteRole(new DeleteRoleRequest(name), admin).isFound());
        assertFalse(client.security().deleteRole(new DeleteRoleRequest(name), admin).isFound());
        refused(RestStatus.NOT_FOUND, () -> client.security().getRoles(new GetRolesRequest(name), admin));
    }

    @Test
    @DisplayName("ID-91 ID-94 role mappings: put with rules and with templates, get, delete")
    void roleMappings() throws IOException {
        String name = Server.unique("mapping");
        RoleMapperExpression rules = AllRoleMapperExpression.builder().addExpression(FieldRoleMapperExpression.ofUsername("a", "b"))
            .addExpression(new ExceptRoleMapperExpression(FieldRoleMapperExpression.ofGroups("c"))).build();
        assertTrue(client.security().putRoleMapping(new PutRoleMappingRequest(name, true, List.of("monitoring_user"), rules, Map.of("team", 7), RefreshPolicy.NONE), admin).isCreated());
        assertEquals(new ExpressionRoleMapping(name, rules, List.of("monitoring_user"), List.of(), Map.of("team", 7), true),
            only(client.security().getRoleMappings(new GetRoleMappingsRequest(name), admin).getMappings()));
        TemplateRoleName template = new TemplateRoleName(Map.of("source", "_user_{{username}}"), TemplateRoleName.Format.STRING);
        assertFalse(client.security().putRoleMapping(
            new PutRoleMappingRequest(name, false, List.of(), List.of(template), rules, null, RefreshPolicy.NONE), admin).isCreated());
        assertEquals(new ExpressionRoleMapping(name, rules, List.of(), List.of(template), Map.of(), false),
            only(client.security().getRoleMappings(new GetRoleMappingsRequest(name), admin).getMappings()));
        assertTrue(client.security().deleteRoleMapping(new DeleteRoleMappingRequest(name, RefreshPolicy.NONE), admin).isFound());
        refused(RestStatus.NOT_FOUND, () -> client.security().deleteRoleMapping(new DeleteRoleMappingRequest(name, RefreshPolicy.NONE), admin));
    }

    @Test
    @DisplayName("ID-73 ID-74 ID-109 application privileges: put, get, delete, and the built-in ones")
    void applicationPrivileges() throws IOException {
        String app = Server.unique("app");
        ApplicationPrivilege read = new ApplicationPrivilege(app, "read", List.of("data:read/*"), Map.of("a", 1));
        PutPrivilegesRequest put = new PutPrivilegesRequest(List.of(read), RefreshPolicy.NONE);
        assertTrue(client.security().putPrivileges(put, admin).wasCreated(app, "read"));
        assertFalse(client.security().putPrivileges(put, admin).wasCreated(app, "read"));
        assertEquals(read, only(client.security().getPrivileges(GetPrivilegesRequest.getApplicationPrivileges(app), admin).getPrivileges()));
        assertTrue(client.security().getPrivileges(GetPrivilegesRequest.getAllPrivileges(), admin).getPrivileges().contains(read));
        cleared(client.security().clearPrivilegesCache(new ClearPrivilegesCacheRequest(app), admin));
        var gone = client.security().deletePrivileges(new DeletePrivilegesRequest(app, "read", "no"), admin);
        assertEquals(List.of(true, false), List.of(gone.isFound("read"), gone.isFound("no")));
        assertFalse(client.security().deletePrivileges(new DeletePrivilegesRequest(app, "read"), admin).isFound("read"));
        var builtin = client.security().getBuiltinPrivileges(admin);
        assertTrue(builtin.getClusterPrivileges().contains("manage_own_api_key") && builtin.getIndexPrivileges().contains("view_index_metadata"));
    }

    @Test
    @DisplayName("ID-78 ID-86 ID-87 has_privileges and get user privileges tell what a role grants")
    void checks() throws IOException {
        Person u = Person.with();
        String app = Server.unique("app"), name = Server.unique("role");
        IndicesPrivileges index = IndicesPrivileges.builder().indices("logs-1", "metrics-*").privileges("read").build();
        var granted = new ApplicationResourcePrivileges(app, List.of("read"), List.of("a/*"));
        Role role = Role.builder().name(name).clusterPrivileges("monitor").indicesPrivileges(index).applicationResourcePrivileges(granted).runAsPrivilege("x*").build();
        client.security().putRole(new PutRoleRequest(role, RefreshPolicy.NONE), admin);
        client.security().putUser(PutUserRequest.updateUser(new User(u.name(), List.of(name)), true, RefreshPolicy.NONE), admin);
        HasPrivilegesResponse told = client.security().hasPrivileges(new HasPrivilegesRequest(Set.of("monitor", "manage"),
            Set.of(IndicesPrivileges.builder().indices("logs-*", "metrics-1").privileges("read").build()),
            Set.of(new ApplicationResourcePrivileges(app, List.of("read", "write"), List.of("a/1")))), u.options());
        assertEquals(new HasPrivilegesResponse(u.name(), false, Map.of("monitor", true, "manage", false),
            Map.of("logs-*", Map.of("read", false), "metrics-1", Map.of("read", true)), Map.of(app, Map.of("a/1", Map.of("read", true, "write", false)))), told);
        GetUserPrivilegesResponse mine = client.security().getUserPrivileges(u.options());
        assertEquals(List.of(Set.of("monitor"), Set.of(), Set.of(granted), Set.of("x*")),
            List.of(mine.getClusterPrivileges(), mine.getGlobalPrivileges(), mine.getApplicationPrivileges(), mine.getRunAsPrivilege()));
        assertEquals(Set.of("logs-1", "metrics-*"), only(mine.getIndicesPrivileges()).getIndices());
    }

    @Test
    @DisplayName("ID-95 ID-97 ID-98 ID-99 ID-109 a service token is made, told, used and deleted, and then refused at once")
    void serviceAccounts() throws IOException {
        assertEquals("elastic/fleet-server", only(client.security().getServiceAccounts(new GetServiceAccountsRequest("elastic", "fleet-server"), admin).getServiceAccountInfos()).getPrincipal());
        String name = Server.unique("token");
        var create = new CreateServiceAccountTokenRequest("elastic", "fleet-server", name);
        var made = client.security().createServiceAccountToken(create, admin);
        assertEquals(name, made.getName());
        var told = client.security().getServiceAccountCredentials(new GetServiceAccountCredentialsRequest("elastic", "fleet-server"), admin);
        assertEquals("elastic/fleet-server", told.getPrincipal());
        assertTrue(told.getIndexTokenInfos().stream().anyMatch(t -> t.getName().equals(name)));
        RequestOptions bearer = as("Bearer " + made.getValue());
        var me = client.security().authenticate(bearer);
        assertEquals(List.of("elastic/fleet-server", "token", name), List.of(me.getUser().getUsername(), me.getAuthenticationType(), me.getToken().get("name")));
        refused(RestStatus.CONFLICT, () -> client.security().createServiceAccountToken(create, admin));
        cleared(client.security().clearServiceAccountTokenCache(new ClearServiceAccountTokenCacheRequest("elastic", "fleet-server", name), admin));
        var delete = new DeleteServiceAccountTokenRequest("elastic", "fleet-server", name);
        assertTrue(client.security().deleteServiceAccountToken(delete, admin).isAcknowledged());
        out(bearer);
        refused(RestStatus.NOT_FOUND, () -> client.security().deleteServiceAccountToken(delete, admin));
    }

    @Test
    @DisplayName("ID-109 the caches of realms are cleared")
    void realms() throws IOException {
        cleared(client.security().clearRealmCache(new ClearRealmCacheRequest(List.of("default_native"), List.of()), admin));
    }
}
