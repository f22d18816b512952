package conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import co.elastic.clients.elasticsearch.ElasticsearchClient;
import co.elastic.clients.elasticsearch._types.ElasticsearchException;
import co.elastic.clients.elasticsearch._types.ErrorCause;
import co.elastic.clients.elasticsearch.security.ActivateUserProfileResponse;
import co.elastic.clients.elasticsearch.security.CreateApiKeyResponse;
import co.elastic.clients.elasticsearch.security.GetTokenResponse;
import co.elastic.clients.elasticsearch.security.GrantType;
import co.elastic.clients.elasticsearch.security.InvalidateTokenResponse;
import co.elastic.clients.elasticsearch.security.get_token.AccessTokenGrantType;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.function.Executable;

/** What the scenarios of the API client share. */
final class Api {
    static final ElasticsearchClient admin = withPassword("elastic", Server.password);

    private Api() {}

    static ElasticsearchClient withPassword(String username, String password) {
        return ElasticsearchClient.of(c -> c.host(Server.url).usernameAndPassword(username, password));
    }

    static ElasticsearchClient withKey(String encoded) {
        return ElasticsearchClient.of(c -> c.host(Server.url).apiKey(encoded));
    }

    static ElasticsearchClient withToken(String token) {
        return ElasticsearchClient.of(c -> c.host(Server.url).token(token));
    }

    /** A user and a client of that user. */
    record Person(String name, String password, ElasticsearchClient client) {
        /** Makes a user who holds a role with the given cluster privileges. */
        static Person with(String... cluster) throws IOException {
            String name = Server.unique("user"), role = Server.unique("role"), password = Server.unique("password");
            admin.security().putRole(r -> r.name(role).cluster(List.of(cluster)));
            admin.security().putUser(u -> u.username(name).password(password).roles(role));
            return new Person(name, password, withPassword(name, password));
        }
    }

    /** An API key and a client that uses it. */
    record Key(String id, String name, String encoded, String owner, ElasticsearchClient client) {
        /** Makes a key that has authenticated once, so that the server has it at hand. */
        static Key of(Person owner) throws IOException {
            CreateApiKeyResponse made = owner.client().security().createApiKey(k -> k.name(Server.unique("key")));
            Key key = new Key(made.id(), made.name(), made.encoded(), owner.name(), withKey(made.encoded()));
            key.works();
            return key;
        }

        void works() throws IOException {
            assertEquals(owner, client.security().authenticate().username());
        }

        /** Asserts that the key is refused, as every key is that does not authenticate. */
        void dead() {
            ErrorCause error = refused(401, "security_exception", () -> client.security().authenticate());
            assertTrue(error.reason().contains("unable to authenticate with provided credentials"), error.reason());
        }
    }

    /** An access token and a client that uses it; and the refresh token, or null. */
    record Token(String access, String refresh, GetTokenResponse answer, ElasticsearchClient client) {
        /** Has an access token authenticate once, so that the server has it at hand. */
        static Token of(GetTokenResponse answer) throws IOException {
            Token token = new Token(answer.accessToken(), answer.refreshToken(), answer, withToken(answer.accessToken()));
            token.works();
            return token;
        }

        /** Gets a pair for a user's password. */
        static Token of(ElasticsearchClient by, Person user) throws IOException {
            return of(by.security().getToken(t -> t.grantType(AccessTokenGrantType.Password).username(user.name()).password(user.password())));
        }

        Token refreshed(ElasticsearchClient by) throws IOException {
            return of(by.security().getToken(t -> t.grantType(AccessTokenGrantType.RefreshToken).refreshToken(refresh)));
        }

        void works() throws IOException {
            assertEquals(answer.authentication().username(), client.security().authenticate().username());
        }

        /** Asserts that the access token is refused, as one is that was invalidated or has expired. */
        void off() {
            ErrorCause error = refused(401, "security_exception", () -> client.security().authenticate());
            assertEquals(Server.INVALID_TOKEN, error.metadata().get("header").to(Map.class).get("WWW-Authenticate"));
        }
    }

    /** Makes the profile of a user, who answers for itself. */
    static ActivateUserProfileResponse activate(Person u) throws IOException {
        return admin.security().activateUserProfile(a -> a.grantType(GrantType.Password).username(u.name()).password(u.password()));
    }

    /** Asserts how many tokens were invalidated now and before. */
    static void counted(long now, long before, InvalidateTokenResponse answer) {
        assertEquals(List.of(now, before, 0L, List.of()),
            List.of(answer.invalidatedTokens(), answer.previouslyInvalidatedTokens(), answer.errorCount(), answer.errorDetails()));
    }

    /** Asserts that a call is refused, and returns the cause in the client's exception. */
    static ErrorCause refused(int status, String type, Executable call) {
        return refusal(status, type, assertThrows(ElasticsearchException.class, call));
    }

    /** Asserts that an exception is the client's, of the given status and type. */
    static ErrorCause refusal(int status, String type, Throwable thrown) {
        ElasticsearchException e = (ElasticsearchException) thrown;
        assertEquals(List.of(status, type), List.of(e.status(), e.error().type()), e.getMessage());
        return e.error();
    }
}
