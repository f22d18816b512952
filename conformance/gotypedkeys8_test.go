package conformance

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"

	"github.com/elastic/go-elasticsearch/v8/typedapi/security/bulkupdateapikeys"
	"github.com/elastic/go-elasticsearch/v8/typedapi/security/createapikey"
	"github.com/elastic/go-elasticsearch/v8/typedapi/security/createcrossclusterapikey"
	"github.com/elastic/go-elasticsearch/v8/typedapi/security/queryapikeys"
	"github.com/elastic/go-elasticsearch/v8/typedapi/security/updateapikey"
	"github.com/elastic/go-elasticsearch/v8/typedapi/security/updatecrossclusterapikey"
	"github.com/elastic/go-elasticsearch/v8/typedapi/types"
	"github.com/elastic/go-elasticsearch/v8/typedapi/types/enums/clusterprivilege"
	"github.com/elastic/go-elasticsearch/v8/typedapi/types/enums/granttype"
)

// TestGoTypedKeys8 has release 8 decode what TestGoTypedKeys9 goes through.
func TestGoTypedKeys8(t *testing.T) { onEach(t, goTypedKeys8) }

func goTypedKeys8(t *testing.T) {
	ctx, admin := t.Context(), typed8(t, password8("elastic", password)).Security
	name, word, owner := typedUser8(t, clusterprivilege.Manageownapikey)
	prefix, keys := unique("q"), make([]*createapikey.Response, 2)
	for i, end := range []string{"-a", "-b"} {
		keys[i] = must(owner.Security.CreateApiKey().Name(prefix + end).Metadata(types.Metadata{"end": json.RawMessage(`"` + end + `"`)}).Do(ctx))(t)
	}
	a, b := keys[0], keys[1]
	query := types.ApiKeyQueryContainer{Prefix: map[string]types.PrefixQuery{"name": {Value: prefix}}}

	t.Run("AK-67 AK-78 AK-80 a search with order and pages", func(t *testing.T) {
		sort := []types.SortCombinations{"name"}
		page := must(admin.QueryApiKeys().Request(&queryapikeys.Request{Query: &query, Sort: sort, Size: new(1)}).Do(ctx))(t)
		if len(page.ApiKeys) != 1 || page.Total != 2 || page.ApiKeys[0].Id != a.Id || page.ApiKeys[0].Username != name || page.ApiKeys[0].Sort_[0] != a.Name {
			t.Fatalf("got %+v", page)
		}
		page = must(admin.QueryApiKeys().Request(&queryapikeys.Request{Query: &query, Sort: sort, Size: new(1), SearchAfter: page.ApiKeys[0].Sort_}).Do(ctx))(t)
		if len(page.ApiKeys) != 1 || page.ApiKeys[0].Id != b.Id || string(page.ApiKeys[0].Metadata["end"]) != `"-b"` {
			t.Errorf("got %+v", page)
		}
	})
	t.Run("AK-82 AK-83 aggregations have their types", func(t *testing.T) {
		sources := []map[string]types.CompositeAggregationSource{{"user": {Terms: &types.CompositeTermsAggregation{Field: new("username")}}}}
		got := must(admin.QueryApiKeys().Request(&queryapikeys.Request{Query: &query, Size: new(0), Aggregations: map[string]types.ApiKeyAggregationContainer{
			"owners": {Terms: &types.TermsAggregation{Field: new("username")}},
			"users":  {Cardinality: &types.CardinalityAggregation{Field: new("username")}},
			"pairs":  {Composite: &types.CompositeAggregation{Sources: sources}},
			"live": {
				Filter:       &types.ApiKeyQueryContainer{Term: map[string]types.TermQuery{"invalidated": {Value: false}}},
				Aggregations: map[string]types.ApiKeyAggregationContainer{"ended": {Terms: &types.TermsAggregation{Field: new("invalidated")}}},
			},
		}}).Do(ctx))(t).Aggregations
		owners := got["owners"].(*types.StringTermsAggregate).Buckets.([]types.StringTermsBucket)
		pairs := got["pairs"].(*types.CompositeAggregate).Buckets.([]types.CompositeBucket)
		live := got["live"].(*types.FilterAggregate)
		ended := live.Aggregations["ended"].(*types.LongTermsAggregate).Buckets.([]types.LongTermsBucket)
		if len(owners) != 1 || owners[0].Key != name || owners[0].DocCount != 2 || len(pairs) != 1 || pairs[0].Key["user"] != name ||
			got["users"].(*types.CardinalityAggregate).Value != 1 || live.DocCount != 2 || len(ended) != 1 || ended[0].DocCount != 2 {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("AK-58 get and search with limits and profile", func(t *testing.T) {
		uid := must(admin.ActivateUserProfile().GrantType(granttype.Password).Username(name).Password(word).Do(ctx))(t).Uid
		shown := must(admin.GetApiKey().Id(a.Id).WithLimitedBy(true).WithProfileUid(true).ActiveOnly(true).Do(ctx))(t).ApiKeys
		found := must(admin.QueryApiKeys().Query(&query).WithLimitedBy(true).WithProfileUid(true).Do(ctx))(t).ApiKeys
		for _, k := range append(shown, found...) {
			if k.ProfileUid == nil || *k.ProfileUid != uid || len(k.LimitedBy) != 1 || len(k.LimitedBy[0]) != 1 {
				t.Errorf("got %+v", k)
			}
		}
		if len(shown) != 1 || len(found) != 2 {
			t.Errorf("got %d and %d keys", len(shown), len(found))
		}
	})
	t.Run("AK-107 AK-111 AK-115 one key is changed, and many", func(t *testing.T) {
		change := types.Metadata{"n": json.RawMessage(`1`)}
		if !must(owner.Security.UpdateApiKey(a.Id).Request(&updateapikey.Request{Metadata: change}).Do(ctx))(t).Updated {
			t.Error("not updated")
		}
		_, err := admin.UpdateApiKey(a.Id).Metadata(change).Do(ctx)
		refused8(t, err, http.StatusNotFound, "resource_not_found_exception")
		no := unique("no")
		bulk := must(owner.Security.BulkUpdateApiKeys().Request(&bulkupdateapikeys.Request{Ids: []string{a.Id, b.Id, no}, Metadata: change}).Do(ctx))(t)
		if !slices.Equal(bulk.Updated, []string{b.Id}) || !slices.Equal(bulk.Noops, []string{a.Id}) || bulk.Errors == nil ||
			bulk.Errors.Count != 1 || bulk.Errors.Details[no].Type != "resource_not_found_exception" {
			t.Errorf("got %+v", bulk)
		}
	})
	t.Run("AK-117 AK-119 AK-121 a key for another cluster", func(t *testing.T) {
		access := types.Access{Search: []types.SearchAccess{{Names: []string{"logs-*"}}}}
		made := must(admin.CreateCrossClusterApiKey().Request(&createcrossclusterapikey.Request{Name: unique("cross"), Access: access}).Do(ctx))(t)
		k := must(admin.GetApiKey().Id(made.Id).Do(ctx))(t).ApiKeys[0]
		if k.Type.String() != "cross_cluster" || k.Access == nil || !slices.Equal(k.Access.Search[0].Names, []string{"logs-*"}) {
			t.Fatalf("got %+v", k)
		}
		if must(admin.UpdateCrossClusterApiKey(made.Id).Request(&updatecrossclusterapikey.Request{Access: *k.Access}).Do(ctx))(t).Updated {
			t.Error("updated by its own access")
		}
		_, err := typed8(t, key8(made.Encoded)).Security.Authenticate().Do(ctx)
		refused8(t, err, http.StatusUnauthorized, "security_exception")
	})
}
