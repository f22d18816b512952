package conformance;

import static conformance.Api.admin;
import static conformance.Api.refused;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import co.elastic.clients.elasticsearch.security.ApiKey;
import co.elastic.clients.elasticsearch.security.AuthenticateResponse;
import co.elastic.clients.elasticsearch.security.CreateApiKeyResponse;
import co.elastic.clients.elasticsearch.security.GetApiKeyResponse;
import co.elastic.clients.elasticsearch.security.grant_api_key.ApiKeyGrantType;
import co.elastic.clients.json.JsonData;
import conformance.Api.Key;
import conformance.Api.Person;
import java.io.IOException;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

/** The API client makes, shows, grants and uses keys. */
@DisplayName("Java API client 9")
class ApiClient9 {
    private static final long DAY = 86_400_000;

    @Test
    @DisplayName("HT-4 HT-5 HT-8 info and ping")
    void info() throws IOException {
        var info = admin.info();
        assertEquals(22, info.clusterUuid().length());
        assertEquals("You Know, for Search", info.tagline());
        assertTrue(admin.ping().value());
    }

    @Test
    @DisplayName("AK-5 AK-6 AK-26 AK-43 AK-58 a key is made and shown")
    void createAndGet() throws IOException {
        Person u = Person.with("manage_own_api_key", "monitor");
        long before = System.currentTimeMillis();
        CreateApiKeyResponse made = u.client().security().createApiKey(k -> k
            .name(Server.unique("key"))
            .expiration(e -> e.time("1d"))
            .metadata("app", JsonData.of(Map.of("tier", List.of(1, 2))))
            .roleDescriptors("reader", r -> r.cluster("monitor")
                .indices(i -> i.names("logs-*").privileges("read").query(q -> q.term(f -> f.field("public").value(true))))));
        assertEquals(made.id() + ":" + made.apiKey(), new String(Base64.getDecoder().decode(made.encoded())));
        assertTrue(Math.abs(made.expiration() - before - DAY) < 60_000, made::toString);
        for (GetApiKeyResponse shown : List.of(
            u.client().security().getApiKey(g -> g.owner(true).withLimitedBy(true)),
            u.client().security().getApiKey(g -> g.id(made.id()).owner(true).activeOnly(true).withLimitedBy(true)),
            u.client().security().getApiKey(g -> g.username(u.name()).realmName("default_native").withLimitedBy(true)))) {
            assertEquals(1, shown.apiKeys().size());
            ApiKey key = shown.apiKeys().get(0);
            assertEquals(List.of(made.id(), made.name(), u.name(), "default_native", made.expiration()),
                List.of(key.id(), key.name(), key.username(), key.realm(), key.expiration()));
            assertEquals("{\"tier\":[1,2]}", key.metadata().get("app").toString());
            assertEquals(List.of("monitor"), key.roleDescriptors().get("reader").cluster());
            assertEquals(1, key.limitedBy().size());
            assertFalse(key.invalidated());
        }
    }

    @Test
    @DisplayName("AK-124 HT-8 HT-49 a key authenticates, and the answer is decoded")
    void authenticate() throws IOException {
        Key key = Key.of(Person.with("manage_own_api_key"));
        AuthenticateResponse me = key.client().security().authenticate();
        assertEquals(List.of(key.owner(), List.of(), "api_key", true), List.of(me.username(), me.roles(), me.authenticationType(), me.enabled()));
        assertEquals(List.of("_es_api_key", "_es_api_key", "_es_api_key"), List.of(me.authenticationRealm().name(), me.authenticationRealm().type(), me.lookupRealm().name()));
        assertEquals(List.of(key.id(), key.name(), "elasticsearch"), List.of(me.apiKey().id(), me.apiKey().name(), me.apiKey().managedBy().jsonValue()));
    }

    @Test
    @DisplayName("HT-50 a user authenticates, and name and address are null")
    void authenticateUser() throws IOException {
        Person u = Person.with();
        AuthenticateResponse me = u.client().security().authenticate();
        assertEquals(List.of(u.name(), "realm", "native"), List.of(me.username(), me.authenticationType(), me.lookupRealm().type()));
        assertNull(me.fullName());
        assertNull(me.email());
    }

    @Test
    @DisplayName("AK-34 a key is granted, and is the grantee's")
    void grant() throws IOException {
        Person granter = Person.with("grant_api_key"), u = Person.with("monitor");
        var made = granter.client().security().grantApiKey(g -> g.grantType(ApiKeyGrantType.Password).username(u.name()).password(u.password())
            .apiKey(k -> k.name(Server.unique("granted")).expiration(e -> e.time("1h")).roleDescriptors(List.of())));
        assertEquals(u.name(), Api.withKey(made.encoded()).security().authenticate().username());
    }

    @Test
    @DisplayName("AK-131 AK-132 cluster privileges are told one by one")
    void hasPrivileges() throws IOException {
        Person u = Person.with("manage_own_api_key");
        var answer = Key.of(u).client().security().hasPrivileges(p -> p.cluster("manage_own_api_key", "monitor"));
        assertEquals(u.name(), answer.username());
        assertEquals(Map.of("manage_own_api_key", true, "monitor", false), answer.cluster());
        assertFalse(answer.hasAllRequested());
    }

    @Test
    @DisplayName("AK-31 AK-35 refusals are the client's exceptions")
    void refusals() throws IOException {
        Person u = Person.with("monitor"), granter = Person.with("grant_api_key");
        var error = refused(403, "security_exception", () -> u.client().security().createApiKey(k -> k.name(Server.unique("key"))));
        assertTrue(error.reason().startsWith("action [cluster:admin/xpack/security/api_key/create] is unauthorized for user [" + u.name() + "]"), error.reason());
        error = refused(403, "security_exception", () -> granter.client().security().grantApiKey(g -> g
            .grantType(ApiKeyGrantType.Password).username(u.name()).password("not the password").apiKey(k -> k.name(Server.unique("granted")))));
        assertEquals("security_exception", error.causedBy().type());
    }
}
