package conformance;

import static conformance.Api.activate;
import static conformance.Api.admin;
import static conformance.Api.refused;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import co.elastic.clients.elasticsearch.ElasticsearchClient;
import co.elastic.clients.elasticsearch._types.ElasticsearchException;
import co.elastic.clients.elasticsearch._types.FieldValue;
import co.elastic.clients.elasticsearch._types.NodeStatistics;
import co.elastic.clients.elasticsearch.security.RoleMapping;
import co.elastic.clients.elasticsearch.security.RoleMappingRule;
import co.elastic.clients.elasticsearch.security.TemplateFormat;
import co.elastic.clients.elasticsearch.security.put_privileges.Actions;
import co.elastic.clients.json.JsonData;
import co.elastic.clients.util.NamedValue;
import conformance.Api.Key;
import conformance.Api.Person;
import conformance.Api.Token;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** The API client handles users, roles, role mappings, privileges, service accounts and profiles. */
@DisplayName("Java API client 9, users and what they may")
class ApiClient9Identity {
    private static void out(ElasticsearchClient client) {
        refused(401, "security_exception", () -> client.security().authenticate());
    }

    /** Asserts that nothing is found: the client makes an exception of a 404 whose body would be a map. */
    private static void absent(Executable call) {
        assertEquals(404, assertThrows(ElasticsearchException.class, call).httpResponse().statusCode());
    }

    /** Asserts that a cache was cleared on the only node. */
    private static void cleared(NodeStatistics nodes) {
        assertEquals(List.of(1, 1, 0), List.of(nodes.total(), nodes.successful(), nodes.failed()));
    }

    @Test
    @DisplayName("ID-18 ID-20 ID-22 ID-32 ID-34 users: put, get, put again without a password, delete")
    void users() throws IOException {
        String name = Server.unique("user"), password = Server.unique("password");
        assertTrue(admin.security().putUser(u -> u.username(name).password(password).roles("a", "b").fullName("A Person").email("a@example.org")
            .metadata("team", JsonData.of(7))).created());
        var users = admin.security().getUser(u -> u.username(name, Server.unique("no"))).users();
        assertEquals(1, users.size());
        var user = users.get(name);
        assertEquals(List.of(name, List.of("a", "b"), "A Person", "a@example.org", true, 7),
            List.of(user.username(), user.roles(), user.fullName(), user.email(), user.enabled(), user.metadata().get("team").to(Integer.class)));
        assertFalse(admin.security().putUser(u -> u.username(name).roles(List.of())).created());
        assertNull(admin.security().getUser(u -> u.username(name)).get(name).fullName());
        ElasticsearchClient client = Api.withPassword(name, password);
        assertEquals("default_native", client.security().authenticate().authenticationRealm().name());
        assertTrue(admin.security().deleteUser(u -> u.username(name)).found());
        out(client);
        absent(() -> admin.security().getUser(u -> u.username(name)));
        assertFalse(admin.security().deleteUser(u -> u.username(name)).found());
        assertTrue(admin.security().getUser().get("elastic").metadata().get("_reserved").to(Boolean.class));
    }

    @Test
    @DisplayName("ID-35 ID-36 ID-37 ID-38 users change their own password, and who manages security any")
    void passwords() throws IOException {
        Person u = Person.with(), other = Person.with();
        Token token = Token.of(admin, u);
        refused(403, "security_exception", () -> token.client().security().changePassword(c -> c.password("by a token")));
        refused(403, "security_exception", () -> u.client().security().changePassword(c -> c.username(other.name()).password("another password")));
        refused(400, "validation_exception", () -> admin.security().changePassword(c -> c.username(Server.unique("nobody")).password("another password")));
        u.client().security().changePassword(c -> c.password("another password"));
        out(u.client());
        admin.security().changePassword(c -> c.username(u.name()).password(u.password()));
        u.client().security().authenticate();
    }

    @Test
    @DisplayName("ID-11 ID-39 ID-40 a disabled user is out until enabled, and their keys are not")
    void enabled() throws IOException {
        Person u = Person.with("manage_own_api_key");
        Key key = Key.of(u);
        admin.security().disableUser(d -> d.username(u.name()));
        out(u.client());
        key.works();
        assertFalse(admin.security().getUser(g -> g.username(u.name())).get(u.name()).enabled());
        admin.security().enableUser(e -> e.username(u.name()));
        u.client().security().authenticate();
        refused(400, "illegal_argument_exception", () -> admin.security().disableUser(d -> d.username("elastic")));
    }

    @Test
    @DisplayName("ID-41 ID-42 query finds native users page by page")
    void queryUsers() throws IOException {
        String role = Server.unique("role"), a = Server.unique("a"), b = Server.unique("b");
        for (String name : List.of(a, b)) {
            admin.security().putUser(u -> u.username(name).password("password").roles(role));
        }
        var page = admin.security().queryUser(q -> q.query(r -> r.wildcard(w -> w.field("roles").value(role + "*"))).sort(s -> s.field(f -> f.field("username"))).size(1));
        assertEquals(List.of(2, 1, a, a), List.of(page.total(), page.count(), page.users().get(0).username(), page.users().get(0).sort().get(0).stringValue()));
        var rest = admin.security().queryUser(q -> q.query(r -> r.term(t -> t.field("roles").value(role))).sort(s -> s.field(f -> f.field("username"))).searchAfter(a));
        assertEquals(List.of(b), rest.users().stream().map(u -> u.username()).toList());
        refused(400, "illegal_argument_exception", () -> admin.security().queryUser(q -> q.sort(s -> s.field(f -> f.field("full_name")))));
    }

    @Test
    @DisplayName("ID-43 ID-46 ID-48 ID-53 ID-55 ID-63 ID-109 roles: put with all their parts, get, delete")
    void roles() throws IOException {
        Person u = Person.with();
        String name = Server.unique("role");
        assertTrue(admin.security().putRole(r -> r.name(name).cluster("monitor")
            .indices(i -> i.names("logs-*").privileges("read").fieldSecurity(f -> f.grant("a*").except("ab")).query(q -> q.matchAll(m -> m)))
            .applications(a -> a.application("shop").privileges("read", "data:*").resources("*"))
            .runAs("other-*").metadata("team", JsonData.of(7)).description("a role")).role().created());
        var role = admin.security().getRole(r -> r.name(name)).get(name);
        assertEquals(List.of(List.of("monitor"), List.of("other-*"), "a role", 7),
            List.of(role.cluster(), role.runAs(), role.description(), role.metadata().get("team").to(Integer.class)));
        assertTrue(role.transientMetadata().get("enabled").to(Boolean.class));
        var index = role.indices().get(0);
        assertEquals(List.of(List.of("logs-*"), List.of("read"), List.of("a*"), List.of("ab"), false),
            List.of(index.names(), index.privileges(), index.fieldSecurity().grant(), index.fieldSecurity().except(), index.allowRestrictedIndices()));
        assertEquals("{\"match_all\":{}}", index.query().jsonText());
        var application = role.applications().get(0);
        assertEquals(List.of("shop", List.of("read", "data:*"), List.of("*")), List.of(application.application(), application.privileges(), application.resources()));

        admin.security().putUser(p -> p.username(u.name()).roles(name));
        u.client().info();
        assertFalse(admin.security().putRole(r -> r.name(name)).role().created());
        refused(403, "security_exception", () -> u.client().cluster().health());
        cleared(admin.security().clearCachedRoles(c -> c.name(name)).nodeStats());
        var error = refused(400, "action_request_validation_exception", () -> admin.security().putRole(r -> r.name(name).cluster("x")));
        assertTrue(error.reason().contains("unknown cluster privilege [x]"), error.reason());
        refused(400, "illegal_argument_exception", () -> admin.security().deleteRole(r -> r.name("superuser")));
        assertTrue(admin.security().deleteRole(r -> r.name(name)).found());
        assertFalse(admin.security().deleteRole(r -> r.name(name)).found());
        absent(() -> admin.security().getRole(r -> r.name(name)));
        assertTrue(admin.security().getRole().get("superuser").metadata().get("_reserved").to(Boolean.class));
    }

    @Test
    @DisplayName("ID-57 ID-58 ID-60 ID-61 many roles are put, found and deleted by one call")
    void manyRoles() throws IOException {
        String a = Server.unique("a"), b = Server.unique("b"), bad = Server.unique("bad"), team = Server.unique("team");
        var made = admin.security().bulkPutRole(p -> p.roles(a, r -> r.metadata("team", JsonData.of(team))).roles(b, r -> r).roles(bad, r -> r.cluster("x")));
        assertEquals(List.of(2, 1, "action_request_validation_exception"),
            List.of(made.created().size(), made.errors().count(), made.errors().details().get(bad).type()));
        var found = admin.security().queryRole(q -> q.query(r -> r.term(t -> t.field("metadata.team").value(team))).sort(s -> s.field(f -> f.field("name"))));
        assertEquals(List.of(1, a, a), List.of(found.total(), found.roles().get(0).name(), found.roles().get(0).sort().get(0).stringValue()));
        var again = admin.security().bulkPutRole(p -> p.roles(a, r -> r.cluster("all")).roles(b, r -> r));
        assertEquals(List.of(List.of(a), List.of(b)), List.of(again.updated(), again.noop()));
        var gone = admin.security().bulkDeleteRole(d -> d.names(a, b, bad, "superuser"));
        assertEquals(List.of(List.of(a, b), List.of(bad), "illegal_argument_exception"),
            List.of(gone.deleted(), gone.notFound(), gone.errors().details().get("superuser").type()));
    }

    private static RoleMappingRule field(String name, String... values) {
        var any = List.of(values).stream().map(FieldValue::of).toList();
        return RoleMappingRule.of(r -> r.field(NamedValue.of(name, any)));
    }

    @Test
    @DisplayName("ID-89 ID-91 ID-94 role mappings: put with rules and with templates, get, delete")
    void roleMappings() throws IOException {
        String name = Server.unique("mapping");
        RoleMappingRule except = RoleMappingRule.of(r -> r.except(field("groups", "c")));
        assertTrue(admin.security().putRoleMapping(m -> m.name(name).enabled(true).roles("monitoring_user").metadata("team", JsonData.of(7))
            .rules(r -> r.all(List.of(field("username", "a", "b"), except)))).roleMapping().created());
        RoleMapping mapping = admin.security().getRoleMapping(m -> m.name(name)).get(name);
        assertEquals(List.of(true, List.of("monitoring_user"), 7), List.of(mapping.enabled(), mapping.roles(), mapping.metadata().get("team").to(Integer.class)));
        var first = mapping.rules().all().get(0).field();
        assertEquals(List.of("username", List.of("a", "b")), List.of(first.name(), first.value().stream().map(v -> v.stringValue()).toList()));
        assertEquals("c", mapping.rules().all().get(1).except().field().value().get(0).stringValue());

        assertFalse(admin.security().putRoleMapping(m -> m.name(name).enabled(true).rules(field("username", "a"))
            .roleTemplates(t -> t.template(s -> s.source(c -> c.scriptString("_user_{{username}}"))).format(TemplateFormat.String))).roleMapping().created());
        mapping = admin.security().getRoleMapping().get(name);
        assertEquals(TemplateFormat.String, mapping.roleTemplates().get(0).format());
        assertEquals("{\"source\":\"_user_{{username}}\"}", mapping.roleTemplates().get(0).template().source().scriptString());
        refused(400, "parsing_exception", () -> admin.security().putRoleMapping(m -> m.name(name).roles("a").rules(field("username", "a"))));
        assertTrue(admin.security().deleteRoleMapping(m -> m.name(name)).found());
        assertFalse(admin.security().deleteRoleMapping(m -> m.name(name)).found());
        absent(() -> admin.security().getRoleMapping(m -> m.name(name)));
    }

    @Test
    @DisplayName("ID-72 ID-73 ID-74 ID-75 ID-109 application privileges: put, get, delete, and the built-in ones")
    void applicationPrivileges() throws IOException {
        String app = Server.unique("app");
        Actions read = Actions.of(a -> a.actions("data:read/*").metadata("a", JsonData.of(1)));
        assertTrue(admin.security().putPrivileges(p -> p.privileges(app, Map.of("read", read))).get(app).get("read").created());
        assertFalse(admin.security().putPrivileges(p -> p.privileges(app, Map.of("read", read))).get(app).get("read").created());
        Actions told = admin.security().getPrivileges(p -> p.application(app)).get(app).get("read");
        assertEquals(List.of(app, "read", List.of("data:read/*"), 1), List.of(told.application(), told.name(), told.actions(), told.metadata().get("a").to(Integer.class)));
        cleared(admin.security().clearCachedPrivileges(c -> c.application(app)).nodeStats());
        refused(400, "action_request_validation_exception", () -> admin.security().putPrivileges(p -> p.privileges("App", Map.of("read", read))));
        var gone = admin.security().deletePrivileges(p -> p.application(app).name("read", "no")).get(app);
        assertEquals(List.of(true, false), List.of(gone.get("read").found(), gone.get("no").found()));
        absent(() -> admin.security().deletePrivileges(p -> p.application(app).name("read")));
        absent(() -> admin.security().getPrivileges(p -> p.application(app).name("read")));
        var builtin = admin.security().getBuiltinPrivileges();
        assertEquals(builtin.cluster().stream().sorted().toList(), builtin.cluster());
        assertTrue(builtin.cluster().contains("manage_own_api_key") && builtin.index().contains("view_index_metadata"));
    }

    @Test
    @DisplayName("ID-78 ID-81 ID-83 ID-86 ID-87 has_privileges and get user privileges tell what a role grants")
    void checks() throws IOException {
        String app = Server.unique("app"), role = Server.unique("role");
        Person u = Person.with();
        admin.security().putRole(r -> r.name(role).cluster("monitor").indices(i -> i.names("logs-1", "metrics-*").privileges("read"))
            .applications(a -> a.application(app).privileges("read").resources("a/*")).runAs("x*"));
        admin.security().putUser(p -> p.username(u.name()).roles(role));
        var told = u.client().security().hasPrivileges(h -> h.cluster("monitor", "manage").index(i -> i.names("logs-*", "metrics-1").privileges("read"))
            .application(a -> a.application(app).privileges("read", "write").resources("a/1")));
        assertEquals(List.of(u.name(), false), List.of(told.username(), told.hasAllRequested()));
        assertEquals(Map.of("monitor", true, "manage", false), told.cluster());
        assertEquals(Map.of("logs-*", Map.of("read", false), "metrics-1", Map.of("read", true)), told.index());
        assertEquals(Map.of(app, Map.of("a/1", Map.of("read", true, "write", false))), told.application());
        var mine = u.client().security().getUserPrivileges();
        assertEquals(List.of(List.of("monitor"), List.of("x*"), List.of()), List.of(mine.cluster(), mine.runAs(), mine.global()));
        assertEquals(List.of(List.of("logs-1", "metrics-*"), List.of("read")), List.of(mine.indices().get(0).names(), mine.indices().get(0).privileges()));
        assertEquals(List.of(app, List.of("a/*")), List.of(mine.applications().get(0).application(), mine.applications().get(0).resources()));
        refused(400, "illegal_argument_exception", () -> admin.security().hasPrivileges(h -> h.cluster("x")));
        refused(400, "illegal_argument_exception", () -> admin.security().hasPrivileges(h -> h.user(u.name()).cluster("all")));
        refused(403, "security_exception", () -> u.client().security().hasPrivileges(h -> h.user("elastic").cluster("all")));
    }

    @Test
    @DisplayName("ID-95 ID-97 ID-98 ID-99 ID-109 a service token is made, told, used and deleted, and then refused at once")
    void serviceAccounts() throws IOException {
        var accounts = admin.security().getServiceAccounts(s -> s.namespace("elastic")).serviceAccoutns();
        assertEquals(4, accounts.size());
        assertTrue(accounts.get("elastic/fleet-server").roleDescriptor().cluster().contains("manage_own_api_key"));
        String name = Server.unique("token");
        var made = admin.security().createServiceToken(s -> s.namespace("elastic").service("fleet-server").name(name));
        assertEquals(List.of(true, name), List.of(made.created(), made.token().name()));
        var told = admin.security().getServiceCredentials(s -> s.namespace("elastic").service("fleet-server"));
        assertEquals(List.of("elastic/fleet-server", Map.of()), List.of(told.serviceAccount(), told.tokens().get(name)));
        ElasticsearchClient client = Api.withToken(made.token().value());
        var me = client.security().authenticate();
        assertEquals(List.of("elastic/fleet-server", List.of(), "Service account - elastic/fleet-server", "token", name),
            List.of(me.username(), me.roles(), me.fullName(), me.authenticationType(), me.token().name()));
        refused(409, "version_conflict_engine_exception", () -> admin.security().createServiceToken(s -> s.namespace("elastic").service("fleet-server").name(name)));
        cleared(admin.security().clearCachedServiceTokens(s -> s.namespace("elastic").service("fleet-server").name(name)).nodeStats());
        assertTrue(admin.security().deleteServiceToken(s -> s.namespace("elastic").service("fleet-server").name(name)).found());
        out(client);
        assertFalse(admin.security().deleteServiceToken(s -> s.namespace("elastic").service("fleet-server").name(name)).found());
    }

    @Test
    @DisplayName("ID-102 ID-103 profiles: activate, get, give data, disable, enable, suggest, has privileges")
    void profiles() throws IOException {
        Person u = Person.with("monitor");
        var made = activate(u);
        String uid = made.uid(), no = Server.unique("u_no"), other = activate(Person.with()).uid();
        assertEquals(List.of(true, u.name(), "default_native"), List.of(made.enabled(), made.user().username(), made.user().realmName()));
        assertEquals(uid, activate(u).uid());
        assertEquals(uid, admin.security().getUser(g -> g.username(u.name()).withProfileUid(true)).get(u.name()).profileUid());
        assertTrue(admin.security().updateUserProfileData(p -> p.uid(uid).labels("team", JsonData.of(u.name())).data("theme", JsonData.of("dark"))).acknowledged());
        var got = admin.security().getUserProfile(p -> p.uid(uid, no).data("theme"));
        assertEquals(List.of(1, "dark", 1L, "resource_not_found_exception"), List.of(got.profiles().size(), got.profiles().get(0).data().get("theme").to(String.class),
            got.errors().count(), got.errors().details().get(no).type()));
        assertEquals(List.of(uid), suggested(u));
        assertTrue(admin.security().disableUserProfile(p -> p.uid(uid)).acknowledged());
        assertEquals(List.of(), suggested(u));
        assertTrue(admin.security().enableUserProfile(p -> p.uid(uid)).acknowledged());
        assertEquals(List.of(uid), suggested(u));
        var told = admin.security().hasPrivilegesUserProfile(h -> h.uids(uid, other, no).privileges(p -> p.cluster("monitor")));
        assertEquals(List.of(List.of(uid), 1L), List.of(told.hasPrivilegeUids(), told.errors().count()));
        refused(401, "security_exception", () -> activate(new Person(u.name(), "not the password", null)));
    }

    private static List<String> suggested(Person u) throws IOException {
        return admin.security().suggestUserProfiles(s -> s.name(u.name())).profiles().stream().map(p -> p.uid()).toList();
    }

    @Test
    @DisplayName("ID-109 ID-110 settings are told and changed, stats are told, the caches of realms are cleared")
    void settings() throws IOException {
        String before = admin.security().getSettings().security().index().numberOfReplicas();
        assertTrue(admin.security().updateSettings(s -> s.security(i -> i.index(r -> r.numberOfReplicas("1")))).acknowledged());
        assertEquals("1", admin.security().getSettings().security().index().numberOfReplicas());
        admin.security().updateSettings(s -> s.security(i -> i.index(r -> r.numberOfReplicas(before))));
        assertEquals(1, admin.security().getStats().nodes().size());
        cleared(admin.security().clearCachedRealms(c -> c.realms("default_native")).nodeStats());
    }
}
