package conformance;

import static conformance.Api.admin;
import static conformance.Api.refusal;
import static conformance.Api.refused;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import co.elastic.clients.elasticsearch.ElasticsearchAsyncClient;
import co.elastic.clients.elasticsearch.ElasticsearchClient;
import co.elastic.clients.elasticsearch.security.InvalidateApiKeyRequest;
import co.elastic.clients.elasticsearch.security.InvalidateApiKeyResponse;
import conformance.Api.Key;
import conformance.Api.Person;
import java.io.IOException;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.function.BiFunction;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/**
 * The API client invalidates in every way it offers. Each key has authenticated
 * before, and its very next request is refused.
 */
@DisplayName("Java API client 9 invalidates")
class ApiClient9Invalidation {
    private record Way(String name, boolean byOwner, BiFunction<InvalidateApiKeyRequest.Builder, Key, InvalidateApiKeyRequest.Builder> choose) {
        InvalidateApiKeyRequest request(Key key) {
            return choose.apply(new InvalidateApiKeyRequest.Builder(), key).build();
        }

        ElasticsearchClient client(Person owner) {
            return byOwner ? owner.client() : admin;
        }
    }

    private static final List<Way> ways = List.of(
        new Way("AK-87 AK-133 ids", false, (r, k) -> r.ids(k.id())),
        new Way("AK-105 one id", false, (r, k) -> r.id(k.id())),
        new Way("AK-91 name", false, (r, k) -> r.name(k.name())),
        new Way("AK-90 username", false, (r, k) -> r.username(k.owner())),
        new Way("AK-90 realmName", false, (r, k) -> r.realmName("default_native")),
        new Way("AK-95 username and realmName", true, (r, k) -> r.username(k.owner()).realmName("default_native")),
        new Way("AK-93 owner", true, (r, k) -> r.owner(true)),
        new Way("AK-92 owner and ids", true, (r, k) -> r.owner(true).ids(k.id())),
        new Way("owner and name", true, (r, k) -> r.owner(true).name(k.name())));

    private static void check(InvalidateApiKeyResponse answer, Way way, Key key) {
        // The realm is that of the users of other scenarios too.
        if (way.name().endsWith(" realmName") && !way.byOwner()) {
            assertTrue(answer.invalidatedApiKeys().contains(key.id()), answer::toString);
        } else {
            assertEquals(List.of(key.id()), answer.invalidatedApiKeys());
        }
        assertEquals(List.of(), answer.previouslyInvalidatedApiKeys());
        assertEquals(0, answer.errorCount());
    }

    @TestFactory
    @DisplayName("synchronous")
    Stream<DynamicTest> synchronous() {
        return ways.stream().map(way -> DynamicTest.dynamicTest(way.name(), () -> {
            Person u = Person.with("manage_own_api_key");
            Key key = Key.of(u);
            InvalidateApiKeyResponse answer = way.client(u).security().invalidateApiKey(way.request(key));
            key.dead();
            check(answer, way, key);
        }));
    }

    @TestFactory
    @DisplayName("asynchronous")
    Stream<DynamicTest> asynchronous() {
        return ways.stream().map(way -> DynamicTest.dynamicTest(way.name(), () -> {
            Person u = Person.with("manage_own_api_key");
            Key key = Key.of(u);
            var async = new ElasticsearchAsyncClient(way.client(u)._transport());
            InvalidateApiKeyResponse answer = async.security().invalidateApiKey(way.request(key)).get(30, TimeUnit.SECONDS);
            key.dead();
            check(answer, way, key);
        }));
    }

    @Test
    @DisplayName("AK-95 asynchronous and refused")
    void asynchronousAndRefused() throws IOException {
        Person stranger = Person.with("manage_own_api_key");
        Key key = Key.of(Person.with("manage_own_api_key"));
        var async = new ElasticsearchAsyncClient(stranger.client()._transport());
        var call = async.security().invalidateApiKey(r -> r.username(key.owner()));
        refusal(403, "security_exception", assertThrows(ExecutionException.class, () -> call.get(30, TimeUnit.SECONDS)).getCause());
        key.works();
    }

    @Test
    @DisplayName("AK-88 AK-89 the same ids again were invalidated before, unknown ones are passed over")
    void again() throws IOException {
        Key key = Key.of(Person.with("manage_own_api_key"));
        admin.security().invalidateApiKey(r -> r.ids(key.id()));
        key.dead();
        InvalidateApiKeyResponse answer = admin.security().invalidateApiKey(r -> r.ids(key.id(), Server.unique("no")));
        assertEquals(List.of(List.of(), List.of(key.id())), List.of(answer.invalidatedApiKeys(), answer.previouslyInvalidatedApiKeys()));
    }

    @Test
    @DisplayName("AK-96 AK-97 a key invalidates itself and nothing else")
    void itself() throws IOException {
        Person u = Person.with("manage_own_api_key");
        Key key = Key.of(u), sister = Key.of(u);
        refused(403, "security_exception", () -> key.client().security().invalidateApiKey(r -> r.ids(key.id(), sister.id())));
        key.client().security().invalidateApiKey(r -> r.ids(key.id()));
        key.dead();
        sister.works();
    }

    @Test
    @DisplayName("AK-99 selectors that exclude each other change nothing")
    void exclusions() throws IOException {
        Key key = Key.of(Person.with("manage_own_api_key"));
        refused(400, "action_request_validation_exception", () -> admin.security().invalidateApiKey(r -> r.ids(key.id()).name(key.name())));
        refused(400, "action_request_validation_exception", () -> admin.security().invalidateApiKey(r -> r.owner(true).username(key.owner())));
        key.works();
    }
}
