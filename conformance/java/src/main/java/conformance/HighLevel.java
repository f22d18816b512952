package conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.http.Header;
import org.apache.http.HttpHost;
import org.apache.http.message.BasicHeader;
import org.elasticsearch.ElasticsearchStatusException;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.client.RequestOptions;
import org.elasticsearch.client.RestClient;
import org.elasticsearch.client.RestHighLevelClient;
import org.elasticsearch.client.security.CreateApiKeyRequest;
import org.elasticsearch.client.security.CreateApiKeyResponse;
import org.elasticsearch.client.security.CreateTokenRequest;
import org.elasticsearch.client.security.CreateTokenResponse;
import org.elasticsearch.client.security.InvalidateTokenResponse;
import org.elasticsearch.client.security.PutRoleRequest;
import org.elasticsearch.client.security.PutUserRequest;
import org.elasticsearch.client.security.RefreshPolicy;
import org.elasticsearch.client.security.user.User;
import org.elasticsearch.client.security.user.privileges.Role;
import org.elasticsearch.rest.RestStatus;
import org.junit.jupiter.api.function.Executable;

/** What the scenarios of the high-level REST client share. */
final class HighLevel {
    /** The client of all scenarios but those that watch its first call. Who calls is said with each request. */
    static final RestHighLevelClient client = connect(Server.basic("elastic", Server.password));

    /** The requests of elastic. */
    static final RequestOptions admin = RequestOptions.DEFAULT;

    private HighLevel() {}

    static RestHighLevelClient connect(String authorization) {
        return new RestHighLevelClient(RestClient.builder(HttpHost.create(Server.url))
            .setDefaultHeaders(new Header[] {new BasicHeader("Authorization", authorization)}));
    }

    static RequestOptions as(String authorization) {
        return RequestOptions.DEFAULT.toBuilder().addHeader("Authorization", authorization).build();
    }

    /** A user, and what its requests say. */
    record Person(String name, String password, RequestOptions options) {
        /** Makes a user who holds a role with the given cluster privileges. */
        static Person with(String... cluster) throws IOException {
            String name = Server.unique("user"), role = Server.unique("role"), password = Server.unique("password");
            client.security().putRole(new PutRoleRequest(Role.builder().name(role).clusterPrivileges(cluster).build(), RefreshPolicy.NONE), admin);
            client.security().putUser(PutUserRequest.withPassword(new User(name, List.of(role)), password.toCharArray(), true, RefreshPolicy.NONE), admin);
            return new Person(name, password, as(Server.basic(name, password)));
        }
    }

    /** An API key, and what its requests say. */
    record Key(String id, String name, String owner, RequestOptions options) {
        /** Makes a key that has authenticated once, so that the server has it at hand. */
        static Key of(Person owner) throws IOException {
            String name = Server.unique("key");
            CreateApiKeyResponse made = client.security().createApiKey(new CreateApiKeyRequest(name, List.of(), null, RefreshPolicy.NONE), owner.options());
            Key key = new Key(made.getId(), name, owner.name(), as("ApiKey " + made.getEncoded()));
            key.works();
            return key;
        }

        void works() throws IOException {
            assertEquals(owner, client.security().authenticate(options).getUser().getUsername());
        }

        /** Asserts that the key is refused, as every key is that does not authenticate. */
        void dead() {
            String message = refused(RestStatus.UNAUTHORIZED, () -> client.security().authenticate(options));
            assertTrue(message.contains("unable to authenticate with provided credentials"), message);
        }
    }

    /** An access token and what its requests say; and the refresh token, or null. */
    record Token(String access, String refresh, CreateTokenResponse answer, RequestOptions options) {
        /** Has an access token authenticate once, so that the server has it at hand. */
        static Token of(CreateTokenResponse answer) throws IOException {
            Token token = new Token(answer.getAccessToken(), answer.getRefreshToken(), answer, as("Bearer " + answer.getAccessToken()));
            token.works();
            return token;
        }

        /** Gets a pair for a user's password. */
        static Token of(Person user) throws IOException {
            return of(client.security().createToken(CreateTokenRequest.passwordGrant(user.name(), user.password().toCharArray()), admin));
        }

        void works() throws IOException {
            assertEquals(answer.getAuthentication().getUser(), client.security().authenticate(options).getUser());
        }

        /** Asserts that the access token is refused, as one is that was invalidated or has expired. */
        void off() {
            ElasticsearchStatusException e = assertThrows(ElasticsearchStatusException.class, () -> client.security().authenticate(options));
            assertEquals(List.of(RestStatus.UNAUTHORIZED, List.of(Server.INVALID_TOKEN)), List.of(e.status(), e.getHeader("WWW-Authenticate")));
        }
    }

    /** Asserts how many tokens were invalidated now and before. */
    static void counted(int now, int before, InvalidateTokenResponse answer) {
        assertEquals(List.of(now, before, List.of()), List.of(answer.getInvalidatedTokens(), answer.getPreviouslyInvalidatedTokens(), answer.getErrors()));
    }

    /** Asserts that a call is refused, and returns the message of the client's exception. */
    static String refused(RestStatus status, Executable call) {
        return refusal(status, assertThrows(ElasticsearchStatusException.class, call));
    }

    /** Asserts that an exception is the client's, of the given status. */
    static String refusal(RestStatus status, Exception thrown) {
        ElasticsearchStatusException e = (ElasticsearchStatusException) thrown;
        assertEquals(status, e.status(), e.getMessage());
        return e.getMessage();
    }

    /** A listener that keeps what each of its sides is told. */
    static final class Heard<T> implements ActionListener<T> {
        final List<T> responses = new ArrayList<>();
        final List<Exception> failures = new ArrayList<>();
        private final CountDownLatch first = new CountDownLatch(1);

        @Override
        public synchronized void onResponse(T answer) {
            responses.add(answer);
            first.countDown();
        }

        @Override
        public synchronized void onFailure(Exception e) {
            failures.add(e);
            first.countDown();
        }

        /** Waits for either side, and then for another call, in whose time a second word would come. */
        void wait(Executable another) throws Throwable {
            assertTrue(first.await(30, TimeUnit.SECONDS), "neither side was called");
            another.execute();
        }
    }
}
