package conformance;

import static conformance.Api.admin;
import static conformance.Api.refused;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import co.elastic.clients.elasticsearch.security.Access;
import co.elastic.clients.elasticsearch.security.ApiKey;
import co.elastic.clients.elasticsearch.security.ApiKeyType;
import co.elastic.clients.json.JsonData;
import conformance.Api.Key;
import conformance.Api.Person;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

/** The API client changes keys, copies them and makes them for other clusters. */
@DisplayName("Java API client 9 changes keys")
class ApiClient9Keys {
    private static ApiKey shown(String id) throws IOException {
        return admin.security().getApiKey(g -> g.id(id).withLimitedBy(true).withProfileUid(true)).apiKeys().get(0);
    }

    @Test
    @DisplayName("AK-49 AK-55 AK-58 get with limits, profile and only if active")
    void get() throws IOException {
        Person u = Person.with("manage_own_api_key");
        String uid = Api.activate(u).uid();
        Key key = Key.of(u);
        ApiKey live = shown(key.id());
        assertEquals(List.of(uid, 1), List.of(live.profileUid(), live.limitedBy().size()));
        assertEquals(List.of("manage_own_api_key"), live.limitedBy().get(0).values().iterator().next().cluster());
        assertNull(live.invalidation());
        admin.security().invalidateApiKey(i -> i.ids(key.id()));
        assertNotNull(shown(key.id()).invalidation());
        assertEquals(List.of(), admin.security().getApiKey(g -> g.username(u.name()).activeOnly(true)).apiKeys());
    }

    @Test
    @DisplayName("AK-107 AK-110 AK-111 AK-113 a key is changed by its owner alone, while its secret stays")
    void update() throws IOException {
        Person u = Person.with("manage_own_api_key");
        Key key = Key.of(u);
        for (boolean updated : List.of(true, false)) {
            assertEquals(updated, u.client().security().updateApiKey(k -> k.id(key.id()).metadata("n", JsonData.of(1))).updated());
        }
        refused(400, "illegal_argument_exception", () -> key.client().security().updateApiKey(k -> k.id(key.id())));
        assertTrue(u.client().security().updateApiKey(k -> k.id(key.id()).expiration(e -> e.time("1h")).roleDescriptors("none", r -> r)).updated());
        ApiKey changed = shown(key.id());
        assertEquals(List.of(1, List.of()), List.of(changed.metadata().get("n").to(Integer.class), changed.roleDescriptors().get("none").cluster()));
        assertNotNull(changed.expiration());
        key.works();
        refused(404, "resource_not_found_exception", () -> admin.security().updateApiKey(k -> k.id(key.id())));
        refused(400, "action_request_validation_exception", () -> u.client().security().updateApiKey(k -> k.id(key.id()).expiration(e -> e.time("-1"))));
    }

    @Test
    @DisplayName("AK-115 AK-116 many at once, each with an outcome of its own")
    void bulkUpdate() throws IOException {
        Person u = Person.with("manage_own_api_key");
        Key a = Key.of(u), b = Key.of(u), ended = Key.of(u);
        String no = Server.unique("no");
        admin.security().invalidateApiKey(i -> i.ids(ended.id()));
        assertEquals(List.of(a.id()), u.client().security().bulkUpdateApiKeys(k -> k.ids(a.id()).metadata("n", JsonData.of(1))).updated());
        var answer = u.client().security().bulkUpdateApiKeys(k -> k.ids(a.id(), b.id(), no, ended.id()).metadata("n", JsonData.of(1)));
        assertEquals(List.of(List.of(b.id()), List.of(a.id()), 2), List.of(answer.updated(), answer.noops(), answer.errors().count()));
        assertEquals(List.of("resource_not_found_exception", "illegal_argument_exception"),
            List.of(answer.errors().details().get(no).type(), answer.errors().details().get(ended.id()).type()));
        assertNull(u.client().security().bulkUpdateApiKeys(k -> k.ids(a.id()).metadata("n", JsonData.of(2))).errors());
    }

    @Test
    @DisplayName("AK-62 AK-101 AK-117 AK-119 AK-121 a key for another cluster")
    void crossCluster() throws IOException {
        Access access = Access.of(a -> a.search(s -> s.names("logs-*")).replication(r -> r.names("archive")));
        var made = admin.security().createCrossClusterApiKey(k -> k.name(Server.unique("cross")).access(access).expiration(e -> e.time("1d"))
            .metadata("n", JsonData.of(1)).certificateIdentity("CN=other,.*"));
        assertNotNull(made.expiration());
        ApiKey key = shown(made.id());
        assertEquals(List.of(ApiKeyType.CrossCluster, "CN=other,.*", List.of("logs-*"), List.of("archive"), List.of()),
            List.of(key.type(), key.certificateIdentity(), key.access().search().get(0).names(), key.access().replication().get(0).names(), key.limitedBy()));
        assertEquals(List.of("cross_cluster_search", "monitor_enrich", "cross_cluster_replication"), key.roleDescriptors().get("cross_cluster").cluster());
        assertFalse(admin.security().updateCrossClusterApiKey(k -> k.id(made.id()).access(key.access())).updated());
        assertTrue(admin.security().updateCrossClusterApiKey(k -> k.id(made.id()).access(a -> a.search(s -> s.names("*")))).updated());
        var found = admin.security().queryApiKeys(q -> q.query(f -> f.bool(b -> b.filter(t -> t.term(v -> v.field("type").value("cross_cluster"))).filter(i -> i.ids(v -> v.values(made.id()))))));
        assertEquals(List.of(), found.apiKeys().get(0).access().replication());
        var error = refused(401, "security_exception", () -> Api.withKey(made.encoded()).security().authenticate());
        assertEquals("authentication expected API key type of [rest], but API key [" + made.id() + "] has type [cross_cluster]", error.reason());
        Person a = Person.with("manage_api_key");
        refused(403, "security_exception", () -> a.client().security().createCrossClusterApiKey(k -> k.name("x").access(access)));
        var part = a.client().security().invalidateApiKey(i -> i.ids(made.id()));
        assertEquals(List.of(1, "security_exception"), List.of(part.errorCount(), part.errorDetails().get(0).type()));
    }

    @Test
    @DisplayName("AK-122 a copy outlives its source, and none is made of a key that has ended")
    void copy() throws IOException {
        Person u = Person.with("manage_own_api_key");
        Key source = Key.of(u);
        var made = admin.security().cloneApiKey(k -> k.apiKey(source.encoded()).name(Server.unique("copy")));
        assertNotEquals(source.id(), made.id());
        ApiKey key = shown(made.id());
        assertEquals(List.of(u.name(), source.id()), List.of(key.username(), key.metadata().get("_cloned_from").to(String.class)));
        var later = admin.security().cloneApiKey(k -> k.apiKey(source.encoded()).expiration(e -> e.time("1h")).metadata(Map.of("n", JsonData.of(1))));
        assertEquals(source.name(), later.name());
        assertNotNull(later.expiration());
        admin.security().invalidateApiKey(i -> i.ids(source.id()));
        source.dead();
        assertEquals(u.name(), Api.withKey(made.encoded()).security().authenticate().username());
        var error = refused(403, "security_exception", () -> admin.security().cloneApiKey(k -> k.apiKey(source.encoded())));
        assertEquals("security_exception", error.causedBy().type());
        refused(400, "status_exception", () -> admin.security().cloneApiKey(k -> k.apiKey("no credential")));
    }
}
