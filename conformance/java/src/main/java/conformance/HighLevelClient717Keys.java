package conformance;

import static conformance.HighLevel.admin;
import static conformance.HighLevel.client;
import static conformance.HighLevel.refused;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import conformance.HighLevel.Key;
import conformance.HighLevel.Person;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import org.elasticsearch.client.Request;
import org.elasticsearch.client.RequestOptions;
import org.elasticsearch.client.ResponseException;
import org.elasticsearch.client.security.CreateApiKeyRequest;
import org.elasticsearch.client.security.CreateApiKeyResponse;
import org.elasticsearch.client.security.GetApiKeyRequest;
import org.elasticsearch.client.security.InvalidateApiKeyRequest;
import org.elasticsearch.client.security.QueryApiKeyRequest;
import org.elasticsearch.client.security.QueryApiKeyResponse;
import org.elasticsearch.client.security.RefreshPolicy;
import org.elasticsearch.client.security.support.ApiKey;
import org.elasticsearch.common.xcontent.XContentHelper;
import org.elasticsearch.core.TimeValue;
import org.elasticsearch.index.query.QueryBuilder;
import org.elasticsearch.index.query.QueryBuilders;
import org.elasticsearch.rest.RestStatus;
import org.elasticsearch.search.searchafter.SearchAfterBuilder;
import org.elasticsearch.search.sort.FieldSortBuilder;
import org.elasticsearch.search.sort.SortOrder;
import org.elasticsearch.xcontent.json.JsonXContent;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

/** The high-level REST client searches keys; calls that came after it are requests of the client that it carries. */
@DisplayName("high-level REST client 7.17 searches and changes keys")
class HighLevelClient717Keys {
    // Two keys of one user, of which b expires. Nobody else's names begin with prefix.
    private final String prefix = Server.unique("q");
    private Person u;
    private CreateApiKeyResponse a, b;

    @BeforeEach
    void two() throws IOException {
        u = Person.with("manage_own_api_key");
        a = client.security().createApiKey(new CreateApiKeyRequest(prefix + "-a", List.of(), null, RefreshPolicy.NONE, Map.of("env", "prod")), u.options());
        b = client.security().createApiKey(
            new CreateApiKeyRequest(prefix + "-b", List.of(), TimeValue.timeValueHours(24), RefreshPolicy.NONE, Map.of("env", "test")), u.options());
    }

    private QueryApiKeyRequest search(QueryBuilder... more) {
        var both = QueryBuilders.boolQuery().filter(QueryBuilders.prefixQuery("name", prefix));
        List.of(more).forEach(both::filter);
        return new QueryApiKeyRequest().queryBuilder(both);
    }

    private static QueryApiKeyResponse found(QueryApiKeyRequest search) throws IOException {
        return client.security().queryApiKey(search, admin);
    }

    private static List<String> names(QueryApiKeyResponse answer) {
        return answer.getApiKeys().stream().map(ApiKey::getName).toList();
    }

    /** Makes a request for which the client has no call. */
    private static Map<String, Object> request(RequestOptions by, String method, String path, String body) throws IOException {
        Request request = new Request(method, path);
        request.setOptions(by);
        request.setJsonEntity(body);
        return XContentHelper.convertToMap(JsonXContent.jsonXContent, client.getLowLevelClient().performRequest(request).getEntity().getContent(), true);
    }

    @Test
    @DisplayName("AK-68 AK-70 AK-72 AK-73 filters of every kind, in the words of its builders")
    void filters() throws IOException {
        String first = prefix + "-a", second = prefix + "-b";
        Map<QueryBuilder, List<String>> filters = Map.of(
            QueryBuilders.termQuery("metadata.env", "prod"), List.of(first),
            QueryBuilders.termsQuery("name", first, second), List.of(first, second),
            QueryBuilders.wildcardQuery("name", "*-b"), List.of(second),
            QueryBuilders.rangeQuery("creation").gt("now-1h").lte("now"), List.of(first, second),
            QueryBuilders.rangeQuery("expiration").gte("now+1h"), List.of(second),
            QueryBuilders.existsQuery("expiration"), List.of(second),
            QueryBuilders.idsQuery().addIds(a.getId()), List.of(first),
            QueryBuilders.boolQuery().mustNot(QueryBuilders.termQuery("name", first)), List.of(second),
            QueryBuilders.matchAllQuery(), List.of(first, second));
        for (var filter : filters.entrySet()) {
            var answer = found(search(filter.getKey()).fieldSortBuilders(List.of(new FieldSortBuilder("name"))));
            assertEquals(filter.getValue(), names(answer), filter.getKey()::toString);
            assertEquals(filter.getValue().size(), answer.getTotal());
        }
    }

    @Test
    @DisplayName("AK-77 AK-78 AK-79 AK-80 sorted, and page by page")
    void pages() throws IOException {
        List<FieldSortBuilder> order = List.of(new FieldSortBuilder("name").order(SortOrder.DESC), new FieldSortBuilder("creation"));
        QueryApiKeyResponse page = found(search().fieldSortBuilders(order).size(1));
        ApiKey last = page.getApiKeys().get(0);
        assertEquals(List.of(2L, 1, b.getId(), u.name(), "default_native", Map.of("env", "test"), b.getExpiration()), List.of(page.getTotal(), page.getCount(),
            last.getId(), last.getUsername(), last.getRealm(), last.getMetadata(), last.getExpiration()));
        assertArrayEquals(new Object[] {last.getName(), last.getCreation().toEpochMilli()}, last.getSortValues());
        var after = new SearchAfterBuilder().setSortValues(last.getSortValues());
        assertEquals(List.of(prefix + "-a"), names(found(search().fieldSortBuilders(order).size(1).searchAfterBuilder(after))));
        assertEquals(List.of(prefix + "-a"), names(found(search().fieldSortBuilders(order).from(1))));
        assertEquals(0, found(search().size(0)).getCount());
    }

    @Test
    @DisplayName("AK-64 AK-65 AK-66 AK-74 users see their own keys, a key itself, and others nothing")
    void callers() throws IOException {
        assertEquals(2, client.security().queryApiKey(new QueryApiKeyRequest(), u.options()).getTotal());
        var itself = client.security().queryApiKey(new QueryApiKeyRequest(), HighLevel.as("ApiKey " + a.getEncoded()));
        assertEquals(List.of(prefix + "-a"), names(itself));
        Person stranger = Person.with("monitor");
        refused(RestStatus.FORBIDDEN, () -> client.security().queryApiKey(new QueryApiKeyRequest(), stranger.options()));
        refused(RestStatus.BAD_REQUEST, () -> found(search(QueryBuilders.fuzzyQuery("name", "x"))));
    }

    @Test
    @DisplayName("AK-82 AK-107 AK-115 AK-122 aggregations, changes and a copy")
    void later() throws IOException {
        var got = request(admin, "POST", "/_security/_query/api_key?typed_keys=true",
            "{\"size\":0,\"query\":{\"prefix\":{\"name\":\"" + prefix + "\"}},\"aggs\":{\"users\":{\"cardinality\":{\"field\":\"username\"}}}}");
        assertEquals(Map.of("cardinality#users", Map.of("value", 1)), got.get("aggregations"));
        String path = "/_security/api_key/" + a.getId(), change = "{\"metadata\":{\"n\":1}}";
        assertEquals(Map.of("updated", true), request(u.options(), "PUT", path, change));
        assertEquals(Map.of("updated", false), request(u.options(), "PUT", path, change));
        var e = assertThrows(ResponseException.class, () -> request(admin, "PUT", path, change));
        assertEquals(404, e.getResponse().getStatusLine().getStatusCode());
        assertEquals(Map.of("updated", List.of(b.getId()), "noops", List.of(a.getId())), request(u.options(), "POST", "/_security/api_key/_bulk_update",
            "{\"ids\":[\"" + a.getId() + "\",\"" + b.getId() + "\"],\"metadata\":{\"n\":1}}"));
        var copy = request(admin, "POST", "/_security/api_key/clone", "{\"api_key\":\"" + b.getEncoded() + "\"}");
        ApiKey shown = client.security().getApiKey(GetApiKeyRequest.usingApiKeyId((String) copy.get("id"), false), admin).getApiKeyInfos().get(0);
        assertEquals(List.of(u.name(), Map.of("n", 1, "_cloned_from", b.getId())), List.of(shown.getUsername(), shown.getMetadata()));
    }

    @Test
    @DisplayName("AK-62 AK-117 AK-119 a key for another cluster is shown like others")
    void crossCluster() throws IOException {
        var made = request(admin, "POST", "/_security/cross_cluster/api_key",
            "{\"name\":\"" + prefix + "-cross\",\"access\":{\"search\":[{\"names\":[\"a\"]}]},\"certificate_identity\":\"CN=.*\"}");
        String id = (String) made.get("id");
        assertEquals(Map.of("updated", true), request(admin, "PUT", "/_security/cross_cluster/api_key/" + id, "{\"metadata\":{\"n\":1}}"));
        ApiKey shown = client.security().getApiKey(GetApiKeyRequest.usingApiKeyId(id, false), admin).getApiKeyInfos().get(0);
        assertEquals(List.of(prefix + "-cross", "elastic", Map.of("n", 1)), List.of(shown.getName(), shown.getUsername(), shown.getMetadata()));
        assertEquals(List.of(shown.getId()), found(search(QueryBuilders.termQuery("type", "cross_cluster"))).getApiKeys().stream().map(ApiKey::getId).toList());
        client.security().invalidateApiKey(InvalidateApiKeyRequest.usingApiKeyId(id, false), admin);
        assertTrue(found(search(QueryBuilders.termQuery("type", "cross_cluster"))).getApiKeys().get(0).isInvalidated());
    }

    @Test
    @DisplayName("AK-49 AK-58 get with limits and only if active")
    void get() throws IOException {
        Key key = Key.of(u);
        String path = "/_security/api_key?with_limited_by=true&active_only=true&id=" + key.id();
        var shown = (Map<?, ?>) ((List<?>) request(u.options(), "GET", path + "&owner=true", null).get("api_keys")).get(0);
        assertEquals(1, ((List<?>) shown.get("limited_by")).size());
        client.security().invalidateApiKey(InvalidateApiKeyRequest.usingApiKeyId(key.id(), true), u.options());
        var e = assertThrows(ResponseException.class, () -> request(admin, "GET", path, null));
        assertEquals(404, e.getResponse().getStatusLine().getStatusCode());
    }
}
