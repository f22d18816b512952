package conformance;

import static conformance.HighLevel.admin;
import static conformance.HighLevel.client;
import static conformance.HighLevel.refusal;
import static conformance.HighLevel.refused;
import static org.elasticsearch.client.security.InvalidateApiKeyRequest.forOwnedApiKeys;
import static org.elasticsearch.client.security.InvalidateApiKeyRequest.usingApiKeyId;
import static org.elasticsearch.client.security.InvalidateApiKeyRequest.usingApiKeyIds;
import static org.elasticsearch.client.security.InvalidateApiKeyRequest.usingApiKeyName;
import static org.elasticsearch.client.security.InvalidateApiKeyRequest.usingRealmAndUserName;
import static org.elasticsearch.client.security.InvalidateApiKeyRequest.usingRealmName;
import static org.elasticsearch.client.security.InvalidateApiKeyRequest.usingUserName;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import conformance.HighLevel.Heard;
import conformance.HighLevel.Key;
import conformance.HighLevel.Person;
import java.io.IOException;
import java.util.List;
import java.util.function.Function;
import java.util.stream.Stream;
import org.elasticsearch.client.RequestOptions;
import org.elasticsearch.client.security.InvalidateApiKeyRequest;
import org.elasticsearch.client.security.InvalidateApiKeyResponse;
import org.elasticsearch.rest.RestStatus;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/**
 * The high-level REST client invalidates in every way it offers. Each key has
 * authenticated before, and its very next request is refused.
 */
@DisplayName("high-level REST client 7.17 invalidates")
class HighLevelClient717Invalidation {
    private record Way(String name, boolean byOwner, Function<Key, InvalidateApiKeyRequest> request) {
        RequestOptions options(Person owner) {
            return byOwner ? owner.options() : admin;
        }
    }

    private static final List<Way> ways = List.of(
        new Way("AK-87 AK-133 usingApiKeyId", false, k -> usingApiKeyId(k.id(), false)),
        new Way("AK-92 usingApiKeyId, of one's own", true, k -> usingApiKeyId(k.id(), true)),
        new Way("AK-87 usingApiKeyIds", false, k -> usingApiKeyIds(List.of(k.id()), false)),
        new Way("AK-91 usingApiKeyName", false, k -> usingApiKeyName(k.name(), false)),
        new Way("usingApiKeyName, of one's own", true, k -> usingApiKeyName(k.name(), true)),
        new Way("AK-90 usingRealmName", false, k -> usingRealmName("default_native")),
        new Way("AK-90 usingUserName", false, k -> usingUserName(k.owner())),
        new Way("AK-95 usingRealmAndUserName", true, k -> usingRealmAndUserName("default_native", k.owner())),
        new Way("AK-93 forOwnedApiKeys", true, k -> forOwnedApiKeys()));

    private static void check(InvalidateApiKeyResponse answer, Way way, Key key) {
        // The realm is that of the users of other scenarios too.
        if (way.name().endsWith("usingRealmName")) {
            assertTrue(answer.getInvalidatedApiKeys().contains(key.id()), answer::toString);
        } else {
            assertEquals(List.of(key.id()), answer.getInvalidatedApiKeys());
        }
        assertEquals(List.of(), answer.getPreviouslyInvalidatedApiKeys());
        assertEquals(List.of(), answer.getErrors());
    }

    @TestFactory
    @DisplayName("synchronous")
    Stream<DynamicTest> synchronous() {
        return ways.stream().map(way -> DynamicTest.dynamicTest(way.name(), () -> {
            Person u = Person.with("manage_own_api_key");
            Key key = Key.of(u), other = Key.of(Person.with("manage_own_api_key"));
            InvalidateApiKeyResponse answer = client.security().invalidateApiKey(way.request().apply(key), way.options(u));
            key.dead();
            check(answer, way, key);
            if (!way.name().endsWith("usingRealmName")) {
                other.works();
            }
        }));
    }

    @TestFactory
    @DisplayName("asynchronous, and the response side hears it once")
    Stream<DynamicTest> asynchronous() {
        return ways.stream().map(way -> DynamicTest.dynamicTest(way.name(), () -> {
            Person u = Person.with("manage_own_api_key");
            Key key = Key.of(u);
            Heard<InvalidateApiKeyResponse> heard = new Heard<>();
            client.security().invalidateApiKeyAsync(way.request().apply(key), way.options(u), heard);
            heard.wait(key::dead);
            assertEquals(List.of(), heard.failures);
            assertEquals(1, heard.responses.size());
            check(heard.responses.get(0), way, key);
        }));
    }

    @TestFactory
    @DisplayName("asynchronous and refused, and the failure side hears it once")
    Stream<DynamicTest> asynchronousAndRefused() {
        return ways.stream().map(way -> DynamicTest.dynamicTest(way.name(), () -> {
            Person stranger = Person.with("monitor");
            Key key = Key.of(Person.with("manage_own_api_key"));
            Heard<InvalidateApiKeyResponse> heard = new Heard<>();
            client.security().invalidateApiKeyAsync(way.request().apply(key), stranger.options(), heard);
            heard.wait(key::works);
            assertEquals(List.of(), heard.responses);
            assertEquals(1, heard.failures.size());
            String message = refusal(RestStatus.FORBIDDEN, heard.failures.get(0));
            assertTrue(message.contains("action [cluster:admin/xpack/security/api_key/invalidate] is unauthorized for user [" + stranger.name() + "]"), message);
        }));
    }

    @Test
    @DisplayName("AK-88 the same ids again were invalidated before")
    void again() throws IOException {
        Key key = Key.of(Person.with("manage_own_api_key"));
        InvalidateApiKeyRequest request = usingApiKeyId(key.id(), false);
        client.security().invalidateApiKey(request, admin);
        key.dead();
        assertEquals(new InvalidateApiKeyResponse(List.of(), List.of(key.id()), List.of()), client.security().invalidateApiKey(request, admin));
    }

    @Test
    @DisplayName("AK-92 AK-96 a key invalidates itself, not its sister")
    void itself() throws IOException {
        Person u = Person.with("manage_own_api_key");
        Key key = Key.of(u), sister = Key.of(u);
        refused(RestStatus.FORBIDDEN, () -> client.security().invalidateApiKey(usingApiKeyId(sister.id(), false), key.options()));
        client.security().invalidateApiKey(usingApiKeyId(key.id(), false), key.options());
        key.dead();
        sister.works();
    }

    @Test
    @DisplayName("a name that no key has invalidates nothing")
    void nothing() throws IOException {
        Key key = Key.of(Person.with("manage_own_api_key"));
        InvalidateApiKeyResponse answer = client.security().invalidateApiKey(usingApiKeyName(Server.unique("nobody") + "*", false), admin);
        assertEquals(new InvalidateApiKeyResponse(List.of(), List.of(), List.of()), answer);
        key.works();
    }
}
