package conformance;

import static conformance.Api.admin;
import static conformance.Api.refused;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import co.elastic.clients.elasticsearch._types.FieldValue;
import co.elastic.clients.elasticsearch._types.SortOptions;
import co.elastic.clients.elasticsearch._types.SortOrder;
import co.elastic.clients.elasticsearch._types.aggregations.CompositeAggregationSource;
import co.elastic.clients.elasticsearch._types.query_dsl.Query;
import co.elastic.clients.elasticsearch.security.ApiKey;
import co.elastic.clients.elasticsearch.security.ApiKeyType;
import co.elastic.clients.elasticsearch.security.CreateApiKeyResponse;
import co.elastic.clients.elasticsearch.security.QueryApiKeysRequest;
import co.elastic.clients.elasticsearch.security.QueryApiKeysResponse;
import co.elastic.clients.elasticsearch.security.query_api_keys.ApiKeyQuery;
import co.elastic.clients.json.JsonData;
import co.elastic.clients.util.NamedValue;
import conformance.Api.Person;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

/** The API client searches keys. It asks for the types of aggregations on its own. */
@DisplayName("Java API client 9 searches keys")
class ApiClient9Queries {
    // Three keys of one user, of which b expires. Nobody else's names begin with prefix.
    private final String prefix = Server.unique("q");
    private Person u;
    private CreateApiKeyResponse a, b, c;

    @BeforeEach
    void three() throws IOException {
        u = Person.with("manage_own_api_key");
        a = u.client().security().createApiKey(k -> k.name(prefix + "-a").metadata("env", JsonData.of("prod")));
        b = u.client().security().createApiKey(k -> k.name(prefix + "-b").metadata("env", JsonData.of("test")).expiration(e -> e.time("1d")));
        c = u.client().security().createApiKey(k -> k.name(prefix + "-c").metadata("env", JsonData.of("prod")));
    }

    private ApiKeyQuery mine(Query... more) {
        return ApiKeyQuery.of(q -> q.bool(f -> f.filter(List.of(more)).filter(p -> p.prefix(n -> n.field("name").value(prefix)))));
    }

    private QueryApiKeysRequest.Builder search(Query... more) {
        return new QueryApiKeysRequest.Builder().query(mine(more));
    }

    private static QueryApiKeysResponse found(QueryApiKeysRequest.Builder search) throws IOException {
        return admin.security().queryApiKeys(search.build());
    }

    private static List<String> names(QueryApiKeysResponse answer) {
        return answer.apiKeys().stream().map(ApiKey::name).toList();
    }

    private static SortOptions by(String field, SortOrder order) {
        return SortOptions.of(s -> s.field(f -> f.field(field).order(order)));
    }

    @Test
    @DisplayName("AK-67 by ids, and a key is decoded whole")
    void ids() throws IOException {
        QueryApiKeysResponse answer = admin.security().queryApiKeys(q -> q.query(i -> i.ids(v -> v.values(b.id(), Server.unique("no")))));
        assertEquals(List.of(1, 1, 1), List.of(answer.total(), answer.count(), answer.apiKeys().size()));
        ApiKey key = answer.apiKeys().get(0);
        assertEquals(List.of(b.id(), b.name(), ApiKeyType.Rest, b.expiration(), false, u.name(), "default_native", "native", List.of()),
            List.of(key.id(), key.name(), key.type(), key.expiration(), key.invalidated(), key.username(), key.realm(), key.realmType(), key.sort()));
        assertEquals("test", key.metadata().get("env").to(String.class));
        assertEquals(Map.of(), key.roleDescriptors());
    }

    @Test
    @DisplayName("AK-68 AK-70 AK-72 AK-73 filters of every kind")
    void filters() throws IOException {
        Map<Query, List<String>> filters = Map.of(
            Query.of(q -> q.term(t -> t.field("metadata.env").value("prod"))), List.of(a.name(), c.name()),
            Query.of(q -> q.terms(t -> t.field("name").terms(v -> v.value(List.of(FieldValue.of(b.name()), FieldValue.of(c.name())))))), List.of(b.name(), c.name()),
            Query.of(q -> q.wildcard(w -> w.field("name").value("*-c"))), List.of(c.name()),
            Query.of(q -> q.exists(e -> e.field("expiration"))), List.of(b.name()),
            Query.of(q -> q.range(r -> r.date(d -> d.field("expiration").gte("now+1h")))), List.of(b.name()),
            Query.of(q -> q.match(m -> m.field("username").query(u.name()))), List.of(a.name(), b.name(), c.name()),
            Query.of(q -> q.simpleQueryString(s -> s.query("test").fields("metadata"))), List.of(b.name()),
            Query.of(q -> q.bool(n -> n.mustNot(m -> m.ids(i -> i.values(a.id()))))), List.of(b.name(), c.name()),
            Query.of(q -> q.matchAll(m -> m)), List.of(a.name(), b.name(), c.name()));
        for (var filter : filters.entrySet()) {
            assertEquals(filter.getValue(), names(found(search(filter.getKey()).sort(by("name", SortOrder.Asc)))), filter.getKey()::toString);
        }
    }

    @Test
    @DisplayName("AK-77 AK-78 AK-79 AK-80 sorted, and page by page")
    void pages() throws IOException {
        List<SortOptions> order = List.of(by("name", SortOrder.Desc), by("creation", SortOrder.Asc));
        QueryApiKeysResponse page = found(search().sort(order).size(2));
        assertEquals(List.of(List.of(c.name(), b.name()), 3, 2), List.of(names(page), page.total(), page.count()));
        ApiKey last = page.apiKeys().get(1);
        assertEquals(List.of(last.name(), last.creation()), List.of(last.sort().get(0).stringValue(), last.sort().get(1).longValue()));
        assertEquals(List.of(a.name()), names(found(search().sort(order).size(2).searchAfter(last.sort()))));
        assertEquals(List.of(b.name(), a.name()), names(found(search().sort(order).from(1))));
        QueryApiKeysResponse none = found(search().size(0));
        assertEquals(List.of(3, 0, List.of()), List.of(none.total(), none.count(), none.apiKeys()));
    }

    @Test
    @DisplayName("AK-82 AK-83 AK-85 aggregations of every kind have their types")
    void aggregations() throws IOException {
        var env = CompositeAggregationSource.of(s -> s.terms(t -> t.field("metadata.env")));
        ApiKeyQuery prod = ApiKeyQuery.of(q -> q.term(t -> t.field("metadata.env").value("prod")));
        var answer = found(search().size(0)
            .aggregations("owners", g -> g.terms(t -> t.field("username")))
            .aggregations("ended", g -> g.terms(t -> t.field("invalidated")))
            .aggregations("users", g -> g.cardinality(n -> n.field("username")))
            .aggregations("expiring", g -> g.valueCount(n -> n.field("expiration")))
            .aggregations("forever", g -> g.missing(m -> m.field("expiration")))
            .aggregations("prod", g -> g.filter(prod).aggregations("env", n -> n.terms(t -> t.field("metadata.env"))))
            .aggregations("envs", g -> g.filters(f -> f.filters(k -> k.keyed(Map.of("prod", prod)))))
            .aggregations("some", g -> g.filters(f -> f.filters(k -> k.array(List.of(prod))).otherBucket(true)))
            .aggregations("when", g -> g.dateRange(d -> d.field("creation").ranges(r -> r.key("today").from(f -> f.expr("now-1h")))))
            .aggregations("soon", g -> g.range(r -> r.field("expiration").ranges(n -> n.key("any").from(0.0))))
            .aggregations("pairs", g -> g.composite(p -> p.size(1).sources(NamedValue.of("env", env)))));
        assertEquals(List.of(3, 0, 11), List.of(answer.total(), answer.count(), answer.aggregations().size()));
        var got = answer.aggregations();
        var owners = got.get("owners").sterms();
        assertEquals(List.of(u.name(), 3L, 0L, 0L), List.of(owners.buckets().array().get(0).key().stringValue(), owners.buckets().array().get(0).docCount(),
            owners.sumOtherDocCount(), owners.docCountErrorUpperBound()));
        var ended = got.get("ended").lterms().buckets().array();
        assertEquals(List.of(1, 0L, "false", 3L), List.of(ended.size(), ended.get(0).key(), ended.get(0).keyAsString(), ended.get(0).docCount()));
        assertEquals(List.of(1L, 1.0, 2L), List.of(got.get("users").cardinality().value(), got.get("expiring").valueCount().value(), got.get("forever").missing().docCount()));
        var filter = got.get("prod").filter();
        assertEquals(List.of(2L, 2L), List.of(filter.docCount(), filter.aggregations().get("env").sterms().buckets().array().get(0).docCount()));
        assertEquals(2, got.get("envs").filters().buckets().keyed().get("prod").docCount());
        assertEquals(List.of(2L, 1L), got.get("some").filters().buckets().array().stream().map(f -> f.docCount()).toList());
        var today = got.get("when").dateRange().buckets().array().get(0);
        assertEquals(List.of("today", 3L), List.of(today.key(), today.docCount()));
        assertNotNull(today.from());
        assertEquals(1, got.get("soon").range().buckets().array().get(0).docCount());
        var pairs = got.get("pairs").composite();
        assertEquals(List.of("prod", 2L), List.of(pairs.buckets().array().get(0).key().get("env").stringValue(), pairs.buckets().array().get(0).docCount()));
        var rest = found(search().size(0).aggregations("pairs", g -> g.composite(p -> p.sources(NamedValue.of("env", env)).after(pairs.afterKey()))));
        assertEquals(List.of("test"), rest.aggregations().get("pairs").composite().buckets().array().stream().map(p -> p.key().get("env").stringValue()).toList());
        var none = admin.security().queryApiKeys(q -> q.query(n -> n.ids(i -> i.values(Server.unique("no")))).aggregations("owners", g -> g.terms(t -> t.field("username"))));
        assertEquals(List.of(0, Map.of()), List.of(none.total(), none.aggregations()));
    }

    @Test
    @DisplayName("AK-64 AK-65 AK-66 users see their own keys, a key itself, and others nothing")
    void callers() throws IOException {
        assertEquals(3, u.client().security().queryApiKeys().total());
        assertEquals(List.of(a.name()), names(Api.withKey(a.encoded()).security().queryApiKeys()));
        Person stranger = Person.with("monitor");
        refused(403, "security_exception", () -> stranger.client().security().queryApiKeys());
        admin.security().invalidateApiKey(i -> i.ids(a.id()));
        refused(401, "security_exception", () -> Api.withKey(a.encoded()).security().queryApiKeys());
    }

    @Test
    @DisplayName("AK-69 AK-76 AK-84 what no search may ask is refused")
    void refusals() {
        refused(400, "illegal_argument_exception", () -> admin.security().queryApiKeys(q -> q.query(t -> t.term(f -> f.field("api_key_hash").value("x")))));
        refused(400, "illegal_argument_exception", () -> admin.security().queryApiKeys(q -> q.aggregations("x", g -> g.terms(t -> t.field("doc_type")))));
        refused(400, "action_request_validation_exception", () -> admin.security().queryApiKeys(q -> q.size(-1)));
        refused(400, "search_phase_execution_exception", () -> admin.security().queryApiKeys(q -> q.from(9999).size(2)));
    }

    @Test
    @DisplayName("AK-58 with the limits of each key, and the profile of its owner")
    void more() throws IOException {
        String uid = Api.activate(u).uid();
        ApiKey key = found(search().sort(by("name", SortOrder.Asc)).withLimitedBy(true).withProfileUid(true)).apiKeys().get(0);
        assertEquals(List.of(uid, 1, 1), List.of(key.profileUid(), key.limitedBy().size(), key.limitedBy().get(0).size()));
        assertTrue(found(search()).apiKeys().stream().allMatch(k -> k.limitedBy().isEmpty() && k.profileUid() == null));
    }
}
