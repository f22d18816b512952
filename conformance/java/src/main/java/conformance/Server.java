package conformance;

import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.util.Base64;
import java.util.HexFormat;

/** The server under test, and what the scenarios share whatever their client. */
final class Server {
    static final String url = env("LATCHKEY_URL");
    static final String password = env("LATCHKEY_PASSWORD");

    /** The challenge to a token that was invalidated or has expired. */
    static final String INVALID_TOKEN = "Bearer realm=\"security\", error=\"invalid_token\", error_description=\"The access token expired\"";

    private static final SecureRandom random = new SecureRandom();

    private Server() {}

    static String env(String name) {
        String value = System.getenv(name);
        if (value == null || value.isEmpty()) {
            throw new IllegalStateException(name + " is not set; the scenarios are started by go test");
        }
        return value;
    }

    /** Returns a name that no other scenario uses. */
    static String unique(String prefix) {
        byte[] some = new byte[5];
        random.nextBytes(some);
        return prefix + "-" + HexFormat.of().formatHex(some);
    }

    /** Returns the value of an Authorization header. */
    static String basic(String username, String password) {
        return "Basic " + Base64.getEncoder().encodeToString((username + ":" + password).getBytes(StandardCharsets.UTF_8));
    }
}
