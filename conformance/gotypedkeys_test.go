package conformance

import (
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"testing"

	"github.com/elastic/go-elasticsearch/v9"
	"github.com/elastic/go-elasticsearch/v9/typedapi/security/bulkupdateapikeys"
	"github.com/elastic/go-elasticsearch/v9/typedapi/security/cloneapikey"
	"github.com/elastic/go-elasticsearch/v9/typedapi/security/createapikey"
	"github.com/elastic/go-elasticsearch/v9/typedapi/security/createcrossclusterapikey"
	"github.com/elastic/go-elasticsearch/v9/typedapi/security/queryapikeys"
	"github.com/elastic/go-elasticsearch/v9/typedapi/security/updateapikey"
	"github.com/elastic/go-elasticsearch/v9/typedapi/security/updatecrossclusterapikey"
	"github.com/elastic/go-elasticsearch/v9/typedapi/types"
	"github.com/elastic/go-elasticsearch/v9/typedapi/types/enums/clusterprivilege"
	"github.com/elastic/go-elasticsearch/v9/typedapi/types/enums/granttype"
	"github.com/elastic/go-elasticsearch/v9/typedapi/types/enums/sortorder"
)

// TestGoTypedKeys9 searches, changes and copies keys.
func TestGoTypedKeys9(t *testing.T) { onEach(t, goTypedKeys9) }

func goTypedKeys9(t *testing.T) {
	t.Run("AK-67 AK-68 AK-72 AK-78 AK-79 AK-80 a search with filters, order and pages", typedQuery)
	t.Run("AK-82 AK-83 AK-85 aggregations of every kind have their types", typedAggregations)
	t.Run("AK-65 AK-66 AK-69 what a search may not ask is the client's typed error", typedQueryRefusals)
	t.Run("AK-49 AK-58 get with limits, profile and only if active", typedGetMore)
	t.Run("AK-107 AK-111 AK-112 AK-115 AK-116 one key is changed, and many", typedUpdate)
	t.Run("AK-62 AK-117 AK-119 AK-121 a key for another cluster", typedCrossCluster)
	t.Run("AK-122 a copy", typedClone)
}

// queriedKeys are three keys of one user, a and b and c, of which b expires. Nobody
// else's names begin with prefix.
type queriedKeys struct {
	prefix, name, role, word string
	owner                    *elasticsearch.TypedClient
	a, b, c                  *createapikey.Response
	keyA                     *elasticsearch.TypedClient // uses a
}

func typedThree(t *testing.T) queriedKeys {
	t.Helper()
	q := queriedKeys{prefix: unique("q")}
	q.name, q.role, q.word, q.owner = typedUser(t, clusterprivilege.Manageownapikey)
	metadata := func(env string) types.Metadata { return types.Metadata{"env": json.RawMessage(`"` + env + `"`)} }
	q.a, q.keyA = typedKey(t, q.owner, createapikey.Request{Name: new(q.prefix + "-a"), Metadata: metadata("prod")})
	q.b, _ = typedKey(t, q.owner, createapikey.Request{Name: new(q.prefix + "-b"), Metadata: metadata("test"), Expiration: "1d"})
	q.c, _ = typedKey(t, q.owner, createapikey.Request{Name: new(q.prefix + "-c"), Metadata: metadata("prod")})
	return q
}

func (q queriedKeys) query(more ...types.Query) *types.ApiKeyQueryContainer {
	mine := types.Query{Prefix: map[string]types.PrefixQuery{"name": {Value: q.prefix}}}
	return &types.ApiKeyQueryContainer{Bool: &types.BoolQuery{Filter: append(more, mine)}}
}

func keyNames(keys []types.ApiKey) (names []string) {
	for _, k := range keys {
		names = append(names, k.Name)
	}
	return names
}

func typedQuery(t *testing.T) {
	q, admin := typedThree(t), typedAdmin(t)
	search := func(r queryapikeys.Request) *queryapikeys.Response {
		t.Helper()
		return must(admin.Security.QueryApiKeys().Request(&r).Do(t.Context()))(t)
	}
	byIDs := types.Query{Ids: &types.IdsQuery{Values: []string{q.b.Id, unique("no")}}}
	found := search(queryapikeys.Request{Query: q.query(byIDs)})
	if len(found.ApiKeys) != 1 || found.Total != 1 || found.Count != 1 {
		t.Fatalf("by ids: got %+v", found)
	}
	if k := found.ApiKeys[0]; k.Id != q.b.Id || k.Username != q.name || k.Realm != "default_native" || k.RealmType == nil || *k.RealmType != "native" ||
		k.Type.String() != "rest" || k.Expiration == nil || *k.Expiration != *q.b.Expiration || k.Invalidated || string(k.Metadata["env"]) != `"test"` {
		t.Errorf("by ids: got %+v", k)
	}
	for _, tt := range []struct {
		query types.Query
		want  []string
	}{
		{types.Query{Term: map[string]types.TermQuery{"metadata.env": {Value: "prod"}}}, []string{q.a.Name, q.c.Name}},
		{types.Query{Terms: &types.TermsQuery{TermsQuery: map[string]types.TermsQueryField{"name": []string{q.b.Name, q.c.Name}}}}, []string{q.b.Name, q.c.Name}},
		{types.Query{Wildcard: map[string]types.WildcardQuery{"name": {Value: new("*-c")}}}, []string{q.c.Name}},
		{types.Query{Exists: &types.ExistsQuery{Field: "expiration"}}, []string{q.b.Name}},
		{types.Query{Range: map[string]types.RangeQuery{"expiration": types.DateRangeQuery{Gte: new("now+1h")}}}, []string{q.b.Name}},
		{types.Query{Match: map[string]types.MatchQuery{"username": {Query: q.name}}}, []string{q.a.Name, q.b.Name, q.c.Name}},
		{types.Query{SimpleQueryString: &types.SimpleQueryStringQuery{Query: "test", Fields: []string{"metadata"}}}, []string{q.b.Name}},
	} {
		found := search(queryapikeys.Request{Query: q.query(tt.query), Sort: []types.SortCombinations{"name"}})
		if got := keyNames(found.ApiKeys); !slices.Equal(got, tt.want) || found.Total != len(tt.want) {
			t.Errorf("%+v: got %q of %d, want %q", tt.query, got, found.Total, tt.want)
		}
	}
	order := []types.SortCombinations{types.SortOptions{SortOptions: map[string]types.FieldSort{"name": {Order: &sortorder.Desc}}}, "creation"}
	page := search(queryapikeys.Request{Query: q.query(), Sort: order, Size: new(2)})
	if got := keyNames(page.ApiKeys); !slices.Equal(got, []string{q.c.Name, q.b.Name}) || page.Total != 3 {
		t.Fatalf("the first page: got %q of %d", got, page.Total)
	}
	last := page.ApiKeys[1]
	if want := []types.FieldValue{last.Name, float64(last.Creation)}; !reflect.DeepEqual(last.Sort_, want) {
		t.Errorf("_sort: got %v, want %v", last.Sort_, want)
	}
	page = search(queryapikeys.Request{Query: q.query(), Sort: order, Size: new(2), SearchAfter: last.Sort_})
	if got := keyNames(page.ApiKeys); !slices.Equal(got, []string{q.a.Name}) || page.Total != 3 {
		t.Errorf("the second page: got %q of %d", got, page.Total)
	}
}

func typedAggregations(t *testing.T) {
	q, admin := typedThree(t), typedAdmin(t)
	field := func(name string) *types.TermsAggregation { return &types.TermsAggregation{Field: &name} }
	sources := []map[string]types.CompositeAggregationSource{{"env": {Terms: &types.CompositeTermsAggregation{Field: new("metadata.env")}}}}
	prod := types.ApiKeyQueryContainer{Term: map[string]types.TermQuery{"metadata.env": {Value: "prod"}}}
	got := must(admin.Security.QueryApiKeys().Request(&queryapikeys.Request{Query: q.query(), Size: new(0), Aggregations: map[string]types.ApiKeyAggregationContainer{
		"owners":   {Terms: field("username")},
		"ended":    {Terms: field("invalidated")},
		"users":    {Cardinality: &types.CardinalityAggregation{Field: new("username")}},
		"expiring": {ValueCount: &types.ValueCountAggregation{Field: new("expiration")}},
		"forever":  {Missing: &types.MissingAggregation{Field: new("expiration")}},
		"prod":     {Filter: &prod, Aggregations: map[string]types.ApiKeyAggregationContainer{"env": {Terms: field("metadata.env")}}},
		"envs":     {Filters: &types.ApiKeyFiltersAggregation{Filters: map[string]types.ApiKeyQueryContainer{"prod": prod}}},
		"when":     {DateRange: &types.DateRangeAggregation{Field: new("creation"), Ranges: []types.DateRangeExpression{{Key: new("today"), From: "now-1h"}}}},
		"soon":     {Range: &types.RangeAggregation{Field: new("expiration"), Ranges: []types.AggregationRange{{Key: new("any"), From: new(types.Float64(0))}}}},
		"pairs":    {Composite: &types.CompositeAggregation{Sources: sources}},
	}}).Do(t.Context()))(t)
	if got.Total != 3 || got.Count != 0 || len(got.ApiKeys) != 0 || len(got.Aggregations) != 10 {
		t.Fatalf("got %+v", got)
	}
	owners := got.Aggregations["owners"].(*types.StringTermsAggregate).Buckets.([]types.StringTermsBucket)
	if len(owners) != 1 || owners[0].Key != q.name || owners[0].DocCount != 3 {
		t.Errorf("owners: got %+v", owners)
	}
	ended := got.Aggregations["ended"].(*types.LongTermsAggregate).Buckets.([]types.LongTermsBucket)
	if len(ended) != 1 || ended[0].Key != 0 || *ended[0].KeyAsString != "false" || ended[0].DocCount != 3 {
		t.Errorf("ended: got %+v", ended)
	}
	if n := got.Aggregations["users"].(*types.CardinalityAggregate).Value; n != 1 {
		t.Errorf("users: got %d", n)
	}
	if n := got.Aggregations["expiring"].(*types.ValueCountAggregate).Value; n == nil || *n != 1 {
		t.Errorf("expiring: got %v", n)
	}
	if n := got.Aggregations["forever"].(*types.MissingAggregate).DocCount; n != 2 {
		t.Errorf("forever: got %d", n)
	}
	filter := got.Aggregations["prod"].(*types.FilterAggregate)
	inner := filter.Aggregations["env"].(*types.StringTermsAggregate).Buckets.([]types.StringTermsBucket)
	if filter.DocCount != 2 || len(inner) != 1 || inner[0].Key != "prod" || inner[0].DocCount != 2 {
		t.Errorf("prod: got %+v", filter)
	}
	if envs := got.Aggregations["envs"].(*types.FiltersAggregate).Buckets.(map[string]types.FiltersBucket); envs["prod"].DocCount != 2 {
		t.Errorf("envs: got %+v", envs)
	}
	when := got.Aggregations["when"].(*types.DateRangeAggregate).Buckets.([]types.RangeBucket)
	if len(when) != 1 || *when[0].Key != "today" || when[0].DocCount != 3 || when[0].From == nil {
		t.Errorf("when: got %+v", when)
	}
	soon := got.Aggregations["soon"].(*types.RangeAggregate).Buckets.([]types.RangeBucket)
	if len(soon) != 1 || *soon[0].Key != "any" || soon[0].DocCount != 1 {
		t.Errorf("soon: got %+v", soon)
	}
	pairs := got.Aggregations["pairs"].(*types.CompositeAggregate)
	buckets := pairs.Buckets.([]types.CompositeBucket)
	if len(buckets) != 2 || buckets[0].Key["env"] != "prod" || buckets[0].DocCount != 2 || pairs.AfterKey["env"] != "test" {
		t.Errorf("pairs: got %+v", pairs)
	}
	none := must(admin.Security.QueryApiKeys().Request(&queryapikeys.Request{
		Query:        &types.ApiKeyQueryContainer{Term: map[string]types.TermQuery{"name": {Value: unique("no")}}},
		Aggregations: map[string]types.ApiKeyAggregationContainer{"owners": {Terms: field("username")}},
	}).Do(t.Context()))(t)
	if none.Total != 0 || len(none.Aggregations) != 0 {
		t.Errorf("of nothing: got %+v", none)
	}
}

func typedQueryRefusals(t *testing.T) {
	q, admin := typedThree(t), typedAdmin(t)
	_, err := admin.Security.QueryApiKeys().Query(&types.ApiKeyQueryContainer{Term: map[string]types.TermQuery{"api_key_hash": {Value: "x"}}}).Do(t.Context())
	refused(t, err, http.StatusBadRequest, "illegal_argument_exception")
	_, err = admin.Security.QueryApiKeys().Size(-1).Do(t.Context())
	refused(t, err, http.StatusBadRequest, "action_request_validation_exception")
	_, _, _, stranger := typedUser(t, clusterprivilege.Monitor)
	_, err = stranger.Security.QueryApiKeys().Do(t.Context())
	refused(t, err, http.StatusForbidden, "security_exception")
	if itself := must(q.keyA.Security.QueryApiKeys().Do(t.Context()))(t); itself.Total != 1 || itself.ApiKeys[0].Id != q.a.Id {
		t.Errorf("a key sees %+v", itself)
	}
	must(admin.Security.InvalidateApiKey().Ids(q.a.Id).Do(t.Context()))(t)
	_, err = q.keyA.Security.QueryApiKeys().Do(t.Context())
	refused(t, err, http.StatusUnauthorized, "security_exception")
}

func typedGetMore(t *testing.T) {
	q, admin := typedThree(t), typedAdmin(t).Security
	uid := must(admin.ActivateUserProfile().GrantType(granttype.Password).Username(q.name).Password(q.word).Do(t.Context()))(t).Uid
	got := must(admin.GetApiKey().Id(q.a.Id).WithLimitedBy(true).WithProfileUid(true).ActiveOnly(true).Do(t.Context()))(t)
	found := must(admin.QueryApiKeys().Query(q.query(types.Query{Ids: &types.IdsQuery{Values: []string{q.a.Id}}})).WithLimitedBy(true).WithProfileUid(true).Do(t.Context()))(t)
	for _, keys := range [][]types.ApiKey{got.ApiKeys, found.ApiKeys} {
		if len(keys) != 1 || keys[0].ProfileUid == nil || *keys[0].ProfileUid != uid || len(keys[0].LimitedBy) != 1 {
			t.Fatalf("got %+v", keys)
		}
		if limits := keys[0].LimitedBy[0][q.role].Cluster; !slices.Equal(limits, []clusterprivilege.ClusterPrivilege{clusterprivilege.Manageownapikey}) {
			t.Errorf("got %v", limits)
		}
	}
	must(admin.InvalidateApiKey().Ids(q.a.Id).Do(t.Context()))(t)
	_, err := admin.GetApiKey().Id(q.a.Id).ActiveOnly(true).Do(t.Context())
	refused(t, err, http.StatusNotFound, "")
	if k := must(admin.GetApiKey().Id(q.a.Id).Do(t.Context()))(t).ApiKeys[0]; !k.Invalidated || k.Invalidation == nil {
		t.Errorf("got %+v", k)
	}
}

func typedUpdate(t *testing.T) {
	q, other := typedThree(t), unique("no")
	update := func(by *elasticsearch.TypedClient, id string) (*updateapikey.Response, error) {
		return by.Security.UpdateApiKey(id).Request(&updateapikey.Request{Metadata: types.Metadata{"n": json.RawMessage(`1`)}}).Do(t.Context())
	}
	for _, want := range []bool{true, false} {
		if got := must(update(q.owner, q.a.Id))(t).Updated; got != want {
			t.Errorf("updated: got %v, want %v", got, want)
		}
	}
	_, err := update(typedAdmin(t), q.a.Id)
	refused(t, err, http.StatusNotFound, "resource_not_found_exception")
	must(q.owner.Security.InvalidateApiKey().Owner(true).Ids(q.c.Id).Do(t.Context()))(t)
	_, err = update(q.owner, q.c.Id)
	refused(t, err, http.StatusBadRequest, "illegal_argument_exception")
	_, err = update(q.keyA, q.a.Id)
	refused(t, err, http.StatusBadRequest, "illegal_argument_exception")

	bulk := must(q.owner.Security.BulkUpdateApiKeys().Request(&bulkupdateapikeys.Request{
		Ids: []string{q.a.Id, q.b.Id, q.c.Id, other}, Metadata: types.Metadata{"n": json.RawMessage(`1`)},
	}).Do(t.Context()))(t)
	if !slices.Equal(bulk.Updated, []string{q.b.Id}) || !slices.Equal(bulk.Noops, []string{q.a.Id}) || bulk.Errors == nil || bulk.Errors.Count != 2 ||
		bulk.Errors.Details[q.c.Id].Type != "illegal_argument_exception" || bulk.Errors.Details[other].Type != "resource_not_found_exception" {
		t.Errorf("got %+v, %+v", bulk, bulk.Errors)
	}
	later := must(q.owner.Security.BulkUpdateApiKeys().Request(&bulkupdateapikeys.Request{Ids: []string{q.a.Id}, Expiration: "2h"}).Do(t.Context()))(t)
	if !slices.Equal(later.Updated, []string{q.a.Id}) || later.Errors != nil {
		t.Errorf("got %+v", later)
	}
}

func typedCrossCluster(t *testing.T) {
	ctx, admin := t.Context(), typedAdmin(t).Security
	made := must(admin.CreateCrossClusterApiKey().Request(&createcrossclusterapikey.Request{
		Name: unique("cross"), CertificateIdentity: new("CN=other,.*"), Expiration: "1d",
		Access: types.Access{Search: []types.SearchAccess{{Names: []string{"logs-*"}}}, Replication: []types.ReplicationAccess{{Names: []string{"archive"}}}},
	}).Do(ctx))(t)
	if made.Expiration == nil || made.Encoded == "" {
		t.Errorf("got %+v", made)
	}
	k := must(admin.GetApiKey().Id(made.Id).WithLimitedBy(true).Do(ctx))(t).ApiKeys[0]
	if k.Type.String() != "cross_cluster" || k.Access == nil || k.LimitedBy != nil || k.CertificateIdentity == nil || *k.CertificateIdentity != "CN=other,.*" {
		t.Fatalf("got %+v", k)
	}
	if a := k.Access; !slices.Equal(a.Search[0].Names, []string{"logs-*"}) || !slices.Equal(a.Replication[0].Names, []string{"archive"}) {
		t.Errorf("got %+v", a)
	}
	if must(admin.UpdateCrossClusterApiKey(made.Id).Request(&updatecrossclusterapikey.Request{Access: *k.Access}).Do(ctx))(t).Updated {
		t.Error("updated by its own access")
	}
	search := types.Access{Search: []types.SearchAccess{{Names: []string{"*"}}}}
	if !must(admin.UpdateCrossClusterApiKey(made.Id).Request(&updatecrossclusterapikey.Request{Access: search}).Do(ctx))(t).Updated {
		t.Error("not updated")
	}
	dead(t, typed(t, elasticsearch.WithAPIKey(made.Encoded)))
	_, _, _, lesser := typedUser(t, clusterprivilege.Manageapikey)
	_, err := lesser.Security.CreateCrossClusterApiKey().Name("x").Access(&search).Do(ctx)
	refused(t, err, http.StatusForbidden, "security_exception")
}

func typedClone(t *testing.T) {
	q, admin := typedThree(t), typedAdmin(t).Security
	made := must(admin.CloneApiKey().Request(&cloneapikey.Request{ApiKey: q.b.Encoded, Name: new(q.prefix + "-copy")}).Do(t.Context()))(t)
	if made.Id == q.b.Id || made.Name != q.prefix+"-copy" || made.Expiration == nil || *made.Expiration != *q.b.Expiration {
		t.Errorf("got %+v", made)
	}
	k := must(admin.GetApiKey().Id(made.Id).Do(t.Context()))(t).ApiKeys[0]
	if k.Username != q.name || string(k.Metadata["env"]) != `"test"` || string(k.Metadata["_cloned_from"]) != `"`+q.b.Id+`"` {
		t.Errorf("got %+v", k)
	}
	must(admin.InvalidateApiKey().Ids(q.b.Id).Do(t.Context()))(t)
	if me := must(typed(t, elasticsearch.WithAPIKey(made.Encoded)).Security.Authenticate().Do(t.Context()))(t); me.Username != q.name {
		t.Errorf("got %+v", me)
	}
	_, err := admin.CloneApiKey().ApiKey(q.b.Encoded).Do(t.Context())
	refused(t, err, http.StatusForbidden, "security_exception")
}
