package conformance;

import static conformance.HighLevel.admin;
import static conformance.HighLevel.as;
import static conformance.HighLevel.client;
import static conformance.HighLevel.refused;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import conformance.HighLevel.Key;
import conformance.HighLevel.Person;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.elasticsearch.client.RequestOptions;
import org.elasticsearch.client.RestHighLevelClient;
import org.elasticsearch.client.security.AuthenticateResponse;
import org.elasticsearch.client.security.CreateApiKeyRequest;
import org.elasticsearch.client.security.CreateApiKeyResponse;
import org.elasticsearch.client.security.GetApiKeyRequest;
import org.elasticsearch.client.security.GrantApiKeyRequest;
import org.elasticsearch.client.security.HasPrivilegesRequest;
import org.elasticsearch.client.security.RefreshPolicy;
import org.elasticsearch.client.security.support.ApiKey;
import org.elasticsearch.client.security.user.privileges.Role;
import org.elasticsearch.core.TimeValue;
import org.elasticsearch.rest.RestStatus;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

/** The high-level REST client makes, shows, grants and uses keys. */
@DisplayName("high-level REST client 7.17")
class HighLevelClient717 {
    private static CreateApiKeyRequest named(String name, Role... roles) {
        return new CreateApiKeyRequest(name, List.of(roles), TimeValue.timeValueHours(24), RefreshPolicy.NONE, Map.of("app", "shop"));
    }

    @Test
    @DisplayName("HT-7 the product check passes before the first call")
    void productCheck() throws IOException {
        try (RestHighLevelClient fresh = HighLevel.connect(Server.basic("elastic", Server.password))) {
            assertEquals("elastic", fresh.security().authenticate(RequestOptions.DEFAULT).getUser().getUsername());
            assertTrue(fresh.ping(RequestOptions.DEFAULT));
            assertEquals("You Know, for Search", fresh.info(RequestOptions.DEFAULT).getTagline());
        }
    }

    @Test
    @DisplayName("HT-7 a caller who may not ask who the server is completes its call all the same")
    void refusedProductCheck() throws IOException {
        CreateApiKeyResponse made = client.security().createApiKey(named(Server.unique("key"), Role.builder().name("none").build()), admin);
        try (RestHighLevelClient fresh = HighLevel.connect("ApiKey " + made.getEncoded())) {
            assertEquals("api_key", fresh.security().authenticate(RequestOptions.DEFAULT).getAuthenticationType());
        }
    }

    @Test
    @DisplayName("AK-5 AK-6 AK-43 a key is made and shown")
    void createAndGet() throws IOException {
        Person u = Person.with("manage_own_api_key", "monitor");
        Instant before = Instant.now();
        String name = Server.unique("key");
        CreateApiKeyResponse made = client.security().createApiKey(named(name, Role.builder().name("reader").clusterPrivileges("monitor").build()), u.options());
        assertEquals(made.getId() + ":" + made.getKey(), new String(Base64.getDecoder().decode(made.getEncoded().toString())));
        assertTrue(Duration.between(before.plus(Duration.ofDays(1)), made.getExpiration()).abs().toMinutes() < 1, made.getExpiration()::toString);
        for (GetApiKeyRequest request : List.of(GetApiKeyRequest.forOwnedApiKeys(), GetApiKeyRequest.usingApiKeyId(made.getId(), true),
            GetApiKeyRequest.usingApiKeyName(name, true), GetApiKeyRequest.usingRealmAndUserName("default_native", u.name()))) {
            List<ApiKey> shown = client.security().getApiKey(request, u.options()).getApiKeyInfos();
            assertEquals(1, shown.size());
            ApiKey key = shown.get(0);
            assertEquals(List.of(made.getId(), name, u.name(), "default_native", Map.of("app", "shop"), made.getExpiration()),
                List.of(key.getId(), key.getName(), key.getUsername(), key.getRealm(), key.getMetadata(), key.getExpiration()));
            assertFalse(key.isInvalidated());
        }
    }

    @Test
    @DisplayName("AK-124 HT-49 a key authenticates")
    void authenticate() throws IOException {
        Person u = Person.with("manage_own_api_key");
        AuthenticateResponse me = client.security().authenticate(Key.of(u).options());
        assertEquals(List.of(u.name(), Set.of(), "api_key", "_es_api_key", "_es_api_key"), List.of(me.getUser().getUsername(), me.getUser().getRoles(),
            me.getAuthenticationType(), me.getAuthenticationRealm().getName(), me.getLookupRealm().getType()));
    }

    @Test
    @DisplayName("AK-34 a key is granted, and is the grantee's")
    void grant() throws IOException {
        Person granter = Person.with("grant_api_key"), u = Person.with("monitor");
        CreateApiKeyResponse made = client.security().grantApiKey(new GrantApiKeyRequest(
            GrantApiKeyRequest.Grant.passwordGrant(u.name(), u.password().toCharArray()), named(Server.unique("granted"))), granter.options());
        assertEquals(u.name(), client.security().authenticate(as("ApiKey " + made.getEncoded())).getUser().getUsername());
    }

    @Test
    @DisplayName("AK-132 cluster privileges are told one by one")
    void hasPrivileges() throws IOException {
        Person u = Person.with("manage_own_api_key");
        var answer = client.security().hasPrivileges(new HasPrivilegesRequest(Set.of("manage_own_api_key", "monitor"), null, null), Key.of(u).options());
        assertEquals(u.name(), answer.getUsername());
        assertEquals(Map.of("manage_own_api_key", true, "monitor", false), answer.getClusterPrivileges());
        assertFalse(answer.hasAllRequested());
    }

    @Test
    @DisplayName("AK-31 a user who may not is told what would have allowed it")
    void forbidden() throws IOException {
        Person u = Person.with("monitor");
        String message = refused(RestStatus.FORBIDDEN, () -> client.security().createApiKey(named(Server.unique("key")), u.options()));
        assertTrue(message.contains("action [cluster:admin/xpack/security/api_key/create] is unauthorized for user [" + u.name() + "]"), message);
    }

    @Test
    @DisplayName("AK-47 an unknown id is an exception of status 404")
    void unknown() {
        refused(RestStatus.NOT_FOUND, () -> client.security().getApiKey(GetApiKeyRequest.usingApiKeyId(Server.unique("no"), false), admin));
    }
}
