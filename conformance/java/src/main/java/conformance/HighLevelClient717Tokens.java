package conformance;

import static conformance.HighLevel.admin;
import static conformance.HighLevel.client;
import static conformance.HighLevel.counted;
import static conformance.HighLevel.refused;
import static org.elasticsearch.client.security.CreateTokenRequest.clientCredentialsGrant;
import static org.elasticsearch.client.security.CreateTokenRequest.passwordGrant;
import static org.elasticsearch.client.security.CreateTokenRequest.refreshTokenGrant;
import static org.elasticsearch.client.security.InvalidateTokenRequest.accessToken;
import static org.elasticsearch.client.security.InvalidateTokenRequest.realmTokens;
import static org.elasticsearch.client.security.InvalidateTokenRequest.refreshToken;
import static org.elasticsearch.client.security.InvalidateTokenRequest.userTokens;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import conformance.HighLevel.Heard;
import conformance.HighLevel.Key;
import conformance.HighLevel.Person;
import conformance.HighLevel.Token;
import java.io.IOException;
import java.util.Base64;
import java.util.List;
import java.util.function.Function;
import java.util.stream.Stream;
import org.elasticsearch.ElasticsearchStatusException;
import org.elasticsearch.client.security.AuthenticateResponse;
import org.elasticsearch.client.security.CreateTokenRequest;
import org.elasticsearch.client.security.CreateTokenResponse;
import org.elasticsearch.client.security.InvalidateApiKeyRequest;
import org.elasticsearch.client.security.InvalidateTokenRequest;
import org.elasticsearch.client.security.InvalidateTokenResponse;
import org.elasticsearch.core.TimeValue;
import org.elasticsearch.rest.RestStatus;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** The high-level REST client gets, uses, refreshes and invalidates tokens. */
@DisplayName("high-level REST client 7.17, tokens")
class HighLevelClient717Tokens {
    private static void check(CreateTokenResponse made, Person user, String type) {
        assertEquals(List.of("Bearer", TimeValue.timeValueSeconds(1200)), List.of(made.getType(), made.getExpiresIn()));
        assertNull(made.getScope());
        AuthenticateResponse who = made.getAuthentication();
        assertEquals(List.of(user.name(), true, type, "default_native", "native"), List.of(who.getUser().getUsername(), who.enabled(),
            who.getAuthenticationType(), who.getAuthenticationRealm().getName(), who.getLookupRealm().getType()));
    }

    /**
     * Asserts that a failure is what the client makes of a body that has an error
     * but no status: it cannot be parsed, and is told as it came.
     */
    private static void denied(String error, String description, Exception thrown) {
        ElasticsearchStatusException e = (ElasticsearchStatusException) thrown;
        assertEquals(List.of(RestStatus.BAD_REQUEST, "Unable to parse response body"), List.of(e.status(), e.getMessage()));
        String body = e.getCause().getMessage();
        assertTrue(body.contains("{\"error\":\"" + error + "\",\"error_description\":\"") && body.contains(description), body);
    }

    private static void denied(String error, String description, CreateTokenRequest request) {
        denied(error, description, assertThrows(ElasticsearchStatusException.class, () -> client.security().createToken(request, admin)));
    }

    @Test
    @DisplayName("TK-1 TK-2 TK-4 TK-7 TK-27 clientCredentialsGrant: an access token alone")
    void clientCredentials() throws IOException {
        Person u = Person.with("manage_token");
        CreateTokenResponse made = client.security().createToken(clientCredentialsGrant(), u.options());
        check(made, u, "realm");
        assertNull(made.getRefreshToken());
        Token.of(made);
    }

    @Test
    @DisplayName("TK-3 TK-4 TK-7 TK-24 TK-25 TK-26 TK-27 passwordGrant: a pair for its user, as whom the token acts")
    void password() throws IOException {
        Person u = Person.with();
        Token made = Token.of(u);
        check(made.answer(), u, "realm");
        assertTrue(!made.refresh().isEmpty());
        assertEquals("token", client.security().authenticate(made.options()).getAuthenticationType());
    }

    @Test
    @DisplayName("TK-1 TK-26 asynchronous, and the response side hears it once")
    void asynchronous() throws Throwable {
        Person u = Person.with("manage_token");
        Heard<CreateTokenResponse> heard = new Heard<>();
        client.security().createTokenAsync(clientCredentialsGrant(), u.options(), heard);
        heard.wait(() -> client.security().authenticate(admin));
        assertEquals(List.of(), heard.failures);
        assertEquals(1, heard.responses.size());
        check(heard.responses.get(0), u, "realm");
        assertEquals("token", client.security().authenticate(Token.of(heard.responses.get(0)).options()).getAuthenticationType());
    }

    @Test
    @DisplayName("TK-38 asynchronous and refused, and the failure side hears it once")
    void asynchronousAndRefused() throws Throwable {
        Heard<CreateTokenResponse> heard = new Heard<>();
        client.security().createTokenAsync(refreshTokenGrant("not base64!"), admin, heard);
        heard.wait(() -> client.security().authenticate(admin));
        assertEquals(List.of(), heard.responses);
        assertEquals(1, heard.failures.size());
        denied("invalid_grant", "", heard.failures.get(0));
    }

    @Test
    @DisplayName("TK-18 TK-21 a wrong password in the body is a 401, a caller who may not a 403")
    void refusals() throws IOException {
        Person u = Person.with("monitor");
        refused(RestStatus.UNAUTHORIZED, () -> client.security().createToken(passwordGrant(u.name(), "not the password".toCharArray()), admin));
        String message = refused(RestStatus.FORBIDDEN, () -> client.security().createToken(clientCredentialsGrant(), u.options()));
        assertTrue(message.contains("action [cluster:admin/xpack/security/token/create] is unauthorized for user [" + u.name() + "]"), message);
    }

    @Test
    @DisplayName("TK-10 TK-14 members that do not fit the grant are refused in the words of OAuth2")
    void rules() {
        denied("unsupported_grant_type", "Validation Failed: 1: ", new CreateTokenRequest("authorization_code", null, null, null, null, null));
        denied("unsupported_grant_type", "Validation Failed: 1: ", new CreateTokenRequest("client_credentials", null, "x", null, null, null));
    }

    @Test
    @DisplayName("TK-25 TK-28 TK-29 TK-30 refreshTokenGrant gives another pair, and once more the same; the old access token stays")
    void refresh() throws IOException {
        Person u = Person.with();
        Token first = Token.of(u);
        CreateTokenResponse second = client.security().createToken(refreshTokenGrant(first.refresh()), admin);
        check(second, u, "token");
        assertNotEquals(first.access(), second.getAccessToken());
        assertNotEquals(first.refresh(), second.getRefreshToken());
        Token.of(second);
        first.works();
        assertEquals(second, client.security().createToken(refreshTokenGrant(first.refresh()), admin));
    }

    @Test
    @DisplayName("TK-37 TK-38 a refresh token that is not good is an invalid grant")
    void invalidGrant() throws IOException {
        denied("invalid_grant", "", refreshTokenGrant("not base64!"));
        Token made = Token.of(Person.with());
        client.security().invalidateToken(refreshToken(made.refresh()), admin);
        denied("invalid_grant", "token has been invalidated", refreshTokenGrant(made.refresh()));
    }

    @Test
    @DisplayName("TK-62 a token that an API key got dies with it")
    void ofKey() throws IOException {
        Key key = Key.of(Person.with("manage_token", "manage_own_api_key"));
        Token made = Token.of(client.security().createToken(clientCredentialsGrant(), key.options()));
        client.security().invalidateApiKey(InvalidateApiKeyRequest.usingApiKeyId(key.id(), false), admin);
        made.off();
        counted(0, 1, client.security().invalidateToken(accessToken(made.access()), admin));
    }

    private record Way(String name, int count, Function<Token, InvalidateTokenRequest> request) {
        /** Leaves nothing in the realm but one pair. */
        Token only() throws IOException {
            client.security().invalidateToken(realmTokens("default_native"), admin);
            return Token.of(Person.with());
        }
    }

    private static String owner(Token token) {
        return token.answer().getAuthentication().getUser().getUsername();
    }

    private static final List<Way> ways = List.of(
        new Way("TK-39 TK-53 accessToken", 1, t -> accessToken(t.access())),
        new Way("TK-45 TK-53 userTokens", 2, t -> userTokens(owner(t))),
        new Way("TK-45 TK-53 realmTokens", 2, t -> realmTokens("default_native")),
        new Way("TK-47 TK-53 realm and user", 2, t -> new InvalidateTokenRequest(null, null, "default_native", owner(t))));

    @TestFactory
    @DisplayName("invalidate, synchronous")
    Stream<DynamicTest> invalidate() {
        return ways.stream().map(way -> DynamicTest.dynamicTest(way.name(), () -> {
            Token made = way.only();
            InvalidateTokenResponse answer = client.security().invalidateToken(way.request().apply(made), admin);
            made.off();
            counted(way.count(), 0, answer);
        }));
    }

    @TestFactory
    @DisplayName("invalidate, asynchronous, and the response side hears it once")
    Stream<DynamicTest> invalidateAsynchronous() {
        return ways.stream().map(way -> DynamicTest.dynamicTest(way.name(), () -> {
            Token made = way.only();
            Heard<InvalidateTokenResponse> heard = new Heard<>();
            client.security().invalidateTokenAsync(way.request().apply(made), admin, heard);
            heard.wait(made::off);
            assertEquals(List.of(), heard.failures);
            assertEquals(1, heard.responses.size());
            counted(way.count(), 0, heard.responses.get(0));
        }));
    }

    @TestFactory
    @DisplayName("invalidate, asynchronous and refused, and the failure side hears it once")
    Stream<DynamicTest> invalidateAsynchronousAndRefused() {
        return ways.stream().map(way -> DynamicTest.dynamicTest(way.name(), () -> {
            Person stranger = Person.with("monitor");
            Token made = way.only();
            Heard<InvalidateTokenResponse> heard = new Heard<>();
            client.security().invalidateTokenAsync(way.request().apply(made), stranger.options(), heard);
            heard.wait(made::works);
            assertEquals(List.of(), heard.responses);
            assertEquals(1, heard.failures.size());
            String message = HighLevel.refusal(RestStatus.FORBIDDEN, heard.failures.get(0));
            assertTrue(message.contains("action [cluster:admin/xpack/security/token/invalidate] is unauthorized for user [" + stranger.name() + "]"), message);
        }));
    }

    @Test
    @DisplayName("TK-39 TK-40 TK-42 the halves are independent, and each is counted once")
    void halves() throws IOException {
        Token made = Token.of(Person.with());
        counted(1, 0, client.security().invalidateToken(refreshToken(made.refresh()), admin));
        counted(0, 1, client.security().invalidateToken(refreshToken(made.refresh()), admin));
        made.works();
        counted(1, 0, client.security().invalidateToken(accessToken(made.access()), admin));
        counted(0, 1, client.security().invalidateToken(accessToken(made.access()), admin));
        made.off();
    }

    @Test
    @DisplayName("a token invalidates itself")
    void itself() throws IOException {
        Token made = Token.of(client.security().createToken(clientCredentialsGrant(), Person.with("manage_token").options()));
        counted(1, 0, client.security().invalidateToken(accessToken(made.access()), made.options()));
        made.off();
    }

    @Test
    @DisplayName("TK-43 TK-46 an unknown token, user or realm is an answer whose counters are 0")
    void unknown() throws IOException {
        Token made = Token.of(Person.with());
        for (InvalidateTokenRequest request : List.of(accessToken("not base64!"), refreshToken(Base64.getEncoder().encodeToString("no token".getBytes())),
            accessToken(made.refresh()), refreshToken(made.access()), userTokens(Server.unique("nobody")), realmTokens(Server.unique("no")))) {
            counted(0, 0, client.security().invalidateToken(request, admin));
        }
        made.works();
    }
}
