package conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import co.elastic.clients.elasticsearch.ElasticsearchClient;
import co.elastic.clients.elasticsearch._types.ElasticsearchException;
import co.elastic.clients.elasticsearch._types.ErrorCause;
import co.elastic.clients.elasticsearch.security.CreateApiKeyResponse;
import java.io.IOException;
import java.util.List;
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
    record Key(String id, String name, String owner, ElasticsearchClient client) {
        /** Makes a key that has authenticated once, so that the server has it at hand. */
        static Key of(Person owner) throws IOException {
            CreateApiKeyResponse made = owner.client().security().createApiKey(k -> k.name(Server.unique("key")));
            Key key = new Key(made.id(), made.name(), owner.name(), withKey(made.encoded()));
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
