package conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import co.elastic.clients.transport.rest5_client.low_level.Rest5Client;
import java.net.URI;
import java.util.List;
import java.util.function.Supplier;
import org.apache.http.Header;
import org.apache.http.HttpHost;
import org.apache.http.message.BasicHeader;
import org.elasticsearch.client.Request;
import org.elasticsearch.client.Response;
import org.elasticsearch.client.RestClient;
import org.elasticsearch.client.sniff.Sniffer;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

/** What both clients do beneath their calls: sniffing and warnings. */
@DisplayName("low-level REST clients")
class LowLevelClients {
    private static final String credential = Server.basic("elastic", Server.password);
    private static final String path = "/_security/_authenticate";

    // Reached by another name, so that only what the sniff found has this address.
    private static final String byName = Server.url.replace("127.0.0.1", "localhost");

    private static RestClient client7(String url) {
        return RestClient.builder(HttpHost.create(url)).setDefaultHeaders(new Header[] {new BasicHeader("Authorization", credential)}).build();
    }

    private static Rest5Client client9(String url) {
        return Rest5Client.builder(URI.create(url))
            .setDefaultHeaders(new org.apache.hc.core5.http.Header[] {new org.apache.hc.core5.http.message.BasicHeader("Authorization", credential)}).build();
    }

    /** Waits until a client talks to the address that its sniffer found. */
    private static void found(Supplier<List<String>> nodes) throws InterruptedException {
        long deadline = System.nanoTime() + 30_000_000_000L;
        while (!nodes.get().equals(List.of(Server.url))) {
            assertTrue(System.nanoTime() < deadline, () -> "the client still has " + nodes.get());
            Thread.sleep(5);
        }
    }

    @Test
    @DisplayName("HT-56 release 7.17, which looks for nodes, works afterwards")
    void sniffing7() throws Exception {
        try (RestClient client = client7(byName); Sniffer sniffer = Sniffer.builder(client).build()) {
            found(() -> client.getNodes().stream().map(n -> n.getHost().toURI()).toList());
            Response answer = client.performRequest(new Request("GET", path));
            assertEquals(List.of(200, Server.url), List.of(answer.getStatusLine().getStatusCode(), answer.getHost().toURI()));
        }
    }

    @Test
    @DisplayName("HT-56 release 9, which looks for nodes, works afterwards")
    void sniffing9() throws Exception {
        try (var client = client9(byName);
            var sniffer = co.elastic.clients.transport.rest5_client.low_level.sniffer.Sniffer.builder(client).build()) {
            found(() -> client.getNodes().stream().map(n -> n.getHost().toURI()).toList());
            var answer = client.performRequest(new co.elastic.clients.transport.rest5_client.low_level.Request("GET", path));
            assertEquals(List.of(200, Server.url), List.of(answer.getStatusCode(), answer.getHost().toURI()));
        }
    }

    @Test
    @DisplayName("HT-52 release 7.17 hears no warning, and understands one in the server's form")
    void warnings7() throws Exception {
        try (RestClient quiet = client7(Server.url); RestClient warned = client7(Server.env("LATCHKEY_WARNED_URL"))) {
            assertEquals(List.of(), quiet.performRequest(new Request("GET", path)).getWarnings());
            assertEquals(List.of(Server.env("LATCHKEY_WARNING")), warned.performRequest(new Request("GET", path)).getWarnings());
        }
    }

    @Test
    @DisplayName("HT-52 release 9 hears no warning, and understands one in the server's form")
    void warnings9() throws Exception {
        var request = new co.elastic.clients.transport.rest5_client.low_level.Request("GET", path);
        try (Rest5Client quiet = client9(Server.url); Rest5Client warned = client9(Server.env("LATCHKEY_WARNED_URL"))) {
            assertEquals(List.of(), quiet.performRequest(request).getWarnings());
            assertEquals(List.of(Server.env("LATCHKEY_WARNING")), warned.performRequest(request).getWarnings());
        }
    }
}
