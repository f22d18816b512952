package conformance;

import static conformance.Api.admin;
import static conformance.Api.counted;
import static conformance.Api.refused;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import co.elastic.clients.elasticsearch.security.get_token.AccessTokenGrantType;
import java.io.IOException;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import org.elasticsearch.client.security.InvalidateTokenRequest;
import org.elasticsearch.client.security.InvalidateTokenResponse;
import org.elasticsearch.rest.RestStatus;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

/** A server that has not issued a token yet; both clients share it. */
@DisplayName("a fresh server")
class FreshServer {
    private static final String garbage = "this is not base64 at all";
    private static final String base64 = Base64.getEncoder().encodeToString("no token, though it decodes".getBytes());
    // The form that tokens of Elasticsearch have.
    private static final String elasticsearch = Base64.getEncoder().encodeToString(HexFormat.of().parseHex("e3a4e80318" + "5a".repeat(24)));

    @Test
    @DisplayName("TK-1 TK-4 TK-7 TK-43 TK-44 well-formed tokens are a 400 until the first is issued, and then a 404")
    void unknown() throws IOException {
        for (String text : List.of(base64, elasticsearch)) {
            refused(400, "security_exception", () -> admin.security().invalidateToken(i -> i.token(text)));
            refused(400, "security_exception", () -> admin.security().invalidateToken(i -> i.refreshToken(text)));
            String message = HighLevel.refused(RestStatus.BAD_REQUEST, () -> invalidate717(InvalidateTokenRequest.accessToken(text)));
            assertTrue(message.contains("type=security_exception"), message);
            HighLevel.refused(RestStatus.BAD_REQUEST, () -> invalidate717(InvalidateTokenRequest.refreshToken(text)));
        }
        notFound(garbage);

        var made = admin.security().getToken(t -> t.grantType(AccessTokenGrantType.ClientCredentials));
        assertTrue(!made.accessToken().isEmpty());
        assertEquals(List.of("Bearer", 1200L), List.of(made.type(), made.expiresIn()));
        assertNull(made.scope());

        for (String text : List.of(garbage, base64, elasticsearch)) {
            notFound(text);
        }
    }

    /** Asserts that no token is found, of whose 404 both clients make an answer. */
    private static void notFound(String text) throws IOException {
        counted(0, 0, admin.security().invalidateToken(i -> i.token(text)));
        counted(0, 0, admin.security().invalidateToken(i -> i.refreshToken(text)));
        HighLevel.counted(0, 0, invalidate717(InvalidateTokenRequest.accessToken(text)));
        HighLevel.counted(0, 0, invalidate717(InvalidateTokenRequest.refreshToken(text)));
    }

    private static InvalidateTokenResponse invalidate717(InvalidateTokenRequest request) throws IOException {
        return HighLevel.client.security().invalidateToken(request, HighLevel.admin);
    }
}
