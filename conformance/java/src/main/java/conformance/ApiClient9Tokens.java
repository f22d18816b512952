package conformance;

import static conformance.Api.admin;
import static conformance.Api.counted;
import static conformance.Api.refusal;
import static conformance.Api.refused;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import co.elastic.clients.elasticsearch.ElasticsearchAsyncClient;
import co.elastic.clients.elasticsearch.ElasticsearchClient;
import co.elastic.clients.elasticsearch.security.AuthenticateResponse;
import co.elastic.clients.elasticsearch.security.GetTokenRequest;
import co.elastic.clients.elasticsearch.security.GetTokenResponse;
import co.elastic.clients.elasticsearch.security.InvalidateTokenRequest;
import co.elastic.clients.elasticsearch.security.InvalidateTokenResponse;
import co.elastic.clients.elasticsearch.security.get_token.AccessTokenGrantType;
import co.elastic.clients.elasticsearch.security.get_token.AuthenticatedUser;
import co.elastic.clients.transport.TransportException;
import conformance.Api.Key;
import conformance.Api.Person;
import conformance.Api.Token;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** The API client gets, uses, refreshes and invalidates tokens. */
@DisplayName("Java API client 9, tokens")
class ApiClient9Tokens {
    private static void check(GetTokenResponse made, Person user, String type) {
        assertEquals(List.of("Bearer", 1200L), List.of(made.type(), made.expiresIn()));
        assertNull(made.scope());
        AuthenticatedUser u = made.authentication();
        assertEquals(List.of(user.name(), true, type, "default_native", "native", "default_native"), List.of(u.username(), u.enabled(),
            u.authenticationType(), u.authenticationRealm().name(), u.authenticationRealm().type(), u.lookupRealm().name()));
        assertEquals(1, u.roles().size());
        assertTrue(u.metadata().isEmpty(), made::toString);
        assertNull(u.fullName());
        assertNull(u.email());
    }

    /**
     * Asserts that a request ends in what the client makes of a body that has an
     * error but no status: it cannot be decoded, and is told as it came.
     */
    private static void denied(String error, String description, Function<GetTokenRequest.Builder, GetTokenRequest.Builder> request) throws IOException {
        TransportException e = assertThrows(TransportException.class, () -> admin.security().getToken(request.apply(new GetTokenRequest.Builder()).build()));
        assertEquals(400, e.statusCode());
        String body = new String(e.response().body().asByteBuffer().array(), StandardCharsets.UTF_8);
        assertTrue(body.startsWith("{\"error\":\"" + error + "\",\"error_description\":\"") && body.contains(description), body);
    }

    @Test
    @DisplayName("TK-1 TK-2 TK-4 TK-7 TK-27 for the caller: an access token alone")
    void clientCredentials() throws IOException {
        Person u = Person.with("manage_token");
        GetTokenResponse made = u.client().security().getToken(t -> t.grantType(AccessTokenGrantType.ClientCredentials));
        check(made, u, "realm");
        assertNull(made.refreshToken());
        Token.of(made);
    }

    @Test
    @DisplayName("TK-3 TK-4 TK-7 TK-24 TK-25 TK-26 TK-27 for a password: a pair for its user, as whom the token acts")
    void password() throws IOException {
        Person u = Person.with();
        Token made = Token.of(admin, u);
        check(made.answer(), u, "realm");
        assertTrue(!made.refresh().isEmpty());
        AuthenticateResponse me = made.client().security().authenticate();
        assertEquals(List.of(u.name(), "token", "default_native"), List.of(me.username(), me.authenticationType(), me.lookupRealm().name()));
    }

    @Test
    @DisplayName("TK-8 a scope is accepted, and is full whatever it was")
    void scope() throws IOException {
        assertEquals("full", admin.security().getToken(t -> t.grantType(AccessTokenGrantType.ClientCredentials).scope("x")).scope());
    }

    @Test
    @DisplayName("TK-18 TK-21 a wrong password in the body is a 401, a caller who may not a 403")
    void refusals() throws IOException {
        Person u = Person.with("monitor");
        refused(401, "security_exception", () -> admin.security().getToken(t -> t.grantType(AccessTokenGrantType.Password).username(u.name()).password("not the password")));
        var error = refused(403, "security_exception", () -> u.client().security().getToken(t -> t.grantType(AccessTokenGrantType.ClientCredentials)));
        assertTrue(error.reason().startsWith("action [cluster:admin/xpack/security/token/create] is unauthorized for user [" + u.name() + "]"), error.reason());
    }

    @Test
    @DisplayName("TK-9 TK-11 TK-13 TK-14 members that do not fit the grant are refused in the words of OAuth2")
    void rules() throws IOException {
        denied("unsupported_grant_type", "Validation Failed: 1: ", t -> t.username("x"));
        denied("invalid_request", "Validation Failed: 1: ", t -> t.grantType(AccessTokenGrantType.Password).password("x"));
        denied("unsupported_grant_type", "Validation Failed: 1: ", t -> t.grantType(AccessTokenGrantType.Password).username("x").password("x").refreshToken("x"));
        denied("unsupported_grant_type", "Validation Failed: 1: ", t -> t.grantType(AccessTokenGrantType.ClientCredentials).username("x"));
    }

    @Test
    @DisplayName("TK-25 TK-28 TK-29 TK-30 a refresh gives another pair, and once more the same; the old access token stays")
    void refresh() throws IOException {
        Person u = Person.with();
        Token first = Token.of(admin, u), second = first.refreshed(admin), again = first.refreshed(admin);
        check(second.answer(), u, "token");
        assertNotEquals(first.access(), second.access());
        assertNotEquals(first.refresh(), second.refresh());
        assertEquals(List.of(second.access(), second.refresh()), List.of(again.access(), again.refresh()));
        first.works();
    }

    @Test
    @DisplayName("TK-37 TK-38 a refresh token that is not good is an invalid grant")
    void invalidGrant() throws IOException {
        denied("invalid_grant", "", t -> t.grantType(AccessTokenGrantType.RefreshToken).refreshToken("not base64!"));
        Token made = Token.of(admin, Person.with());
        admin.security().invalidateToken(i -> i.refreshToken(made.refresh()));
        denied("invalid_grant", "token has been invalidated", t -> t.grantType(AccessTokenGrantType.RefreshToken).refreshToken(made.refresh()));
    }

    @Test
    @DisplayName("TK-55 TK-56 what is no access token is refused like any wrong credential")
    void noToken() throws IOException {
        for (String text : List.of(Server.unique("no-token"), Token.of(admin, Person.with()).refresh())) {
            var error = refused(401, "security_exception", () -> Api.withToken(text).security().authenticate());
            assertEquals("oauth2 token: invalid token", error.metadata().get("additional_unsuccessful_credentials").to(String.class));
        }
    }

    @Test
    @DisplayName("TK-62 a token that an API key got dies with it")
    void ofKey() throws IOException {
        Key key = Key.of(Person.with("manage_token", "manage_own_api_key"));
        Token made = Token.of(key.client().security().getToken(t -> t.grantType(AccessTokenGrantType.ClientCredentials)));
        admin.security().invalidateApiKey(i -> i.ids(key.id()));
        made.off();
        counted(0, 1, admin.security().invalidateToken(i -> i.token(made.access())));
    }

    private record Way(String name, long count, BiFunction<InvalidateTokenRequest.Builder, Token, InvalidateTokenRequest.Builder> choose) {
        InvalidateTokenRequest request(Token token) {
            return choose.apply(new InvalidateTokenRequest.Builder(), token).build();
        }

        /** Leaves nothing in the realm but one pair. */
        Token only() throws IOException {
            admin.security().invalidateToken(i -> i.realmName("default_native"));
            return Token.of(admin, Person.with());
        }
    }

    private static final List<Way> ways = List.of(
        new Way("TK-39 TK-52 TK-53 token", 1, (r, t) -> r.token(t.access())),
        new Way("TK-45 TK-53 username", 2, (r, t) -> r.username(t.answer().authentication().username())),
        new Way("TK-45 TK-53 realmName", 2, (r, t) -> r.realmName("default_native")),
        new Way("TK-47 TK-53 username and realmName", 2, (r, t) -> r.username(t.answer().authentication().username()).realmName("default_native")));

    @TestFactory
    @DisplayName("invalidate")
    Stream<DynamicTest> invalidate() {
        return ways.stream().map(way -> DynamicTest.dynamicTest(way.name(), () -> {
            Token made = way.only();
            InvalidateTokenResponse answer = admin.security().invalidateToken(way.request(made));
            made.off();
            counted(way.count(), 0, answer);
        }));
    }

    @TestFactory
    @DisplayName("invalidate, asynchronous")
    Stream<DynamicTest> asynchronous() {
        return ways.stream().map(way -> DynamicTest.dynamicTest(way.name(), () -> {
            Token made = way.only();
            InvalidateTokenResponse answer = async(admin).security().invalidateToken(way.request(made)).get(30, TimeUnit.SECONDS);
            made.off();
            counted(way.count(), 0, answer);
        }));
    }

    @Test
    @DisplayName("asynchronous and refused")
    void asynchronousAndRefused() throws IOException {
        Token made = Token.of(admin, Person.with());
        var call = async(Person.with("monitor").client()).security().invalidateToken(i -> i.token(made.access()));
        refusal(403, "security_exception", assertThrows(ExecutionException.class, () -> call.get(30, TimeUnit.SECONDS)).getCause());
        made.works();
    }

    @Test
    @DisplayName("TK-39 TK-40 TK-42 the halves are independent, and each is counted once")
    void halves() throws IOException {
        Token made = Token.of(admin, Person.with());
        counted(1, 0, admin.security().invalidateToken(i -> i.refreshToken(made.refresh())));
        counted(0, 1, admin.security().invalidateToken(i -> i.refreshToken(made.refresh())));
        made.works();
        counted(1, 0, admin.security().invalidateToken(i -> i.token(made.access())));
        counted(0, 1, admin.security().invalidateToken(i -> i.token(made.access())));
        made.off();
    }

    @Test
    @DisplayName("TK-41 after its access token a pair can still be refreshed")
    void refreshAfterwards() throws IOException {
        Token made = Token.of(admin, Person.with());
        admin.security().invalidateToken(i -> i.token(made.access()));
        made.off();
        made.refreshed(admin);
    }

    @Test
    @DisplayName("a token invalidates itself")
    void itself() throws IOException {
        Token made = Token.of(Person.with("manage_token").client().security().getToken(t -> t.grantType(AccessTokenGrantType.ClientCredentials)));
        counted(1, 0, made.client().security().invalidateToken(i -> i.token(made.access())));
        made.off();
    }

    @Test
    @DisplayName("TK-43 TK-46 an unknown token, user or realm is an answer whose counters are 0")
    void unknown() throws IOException {
        Token made = Token.of(admin, Person.with());
        counted(0, 0, admin.security().invalidateToken(i -> i.token("not base64!")));
        counted(0, 0, admin.security().invalidateToken(i -> i.refreshToken(Base64.getEncoder().encodeToString("no token".getBytes()))));
        counted(0, 0, admin.security().invalidateToken(i -> i.token(made.refresh())));
        counted(0, 0, admin.security().invalidateToken(i -> i.username(Server.unique("nobody"))));
        counted(0, 0, admin.security().invalidateToken(i -> i.realmName(Server.unique("no"))));
        made.works();
    }

    @Test
    @DisplayName("TK-48 TK-49 TK-50 a request without a clear selector changes nothing")
    void exclusions() throws IOException {
        Token made = Token.of(admin, Person.with());
        refused(400, "action_request_validation_exception", () -> admin.security().invalidateToken(i -> i));
        refused(400, "action_request_validation_exception", () -> admin.security().invalidateToken(i -> i.token(made.access()).username("x")));
        refused(400, "x_content_parse_exception", () -> admin.security().invalidateToken(i -> i.token(made.access()).refreshToken(made.refresh())));
        made.works();
    }

    private static ElasticsearchAsyncClient async(ElasticsearchClient client) {
        return new ElasticsearchAsyncClient(client._transport());
    }
}
