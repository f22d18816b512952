package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"latchkey"
)

func searching() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "query", Usage: "a query of the query language, as `JSON` or @FILE; the filters narrow it"},
		&cli.StringFlag{Name: "type", Usage: "rest or cross_cluster `keys`"},
		&cli.StringFlag{Name: "expiring-within", Usage: "only active keys that expire within a `duration`, as in 7d"},
		&cli.StringFlag{Name: "unused-for", Usage: "only keys that are older than a `duration`, as in 30d, and were not used for as long"},
		&cli.StringSliceFlag{Name: "sort", Usage: "a `field` to sort by, as in name or creation:desc; may be repeated"},
		&cli.IntFlag{Name: "limit", Value: 100, Usage: "print a `number` of keys at most"},
		&cli.BoolFlag{Name: "all", Usage: "print all keys, the oldest first"},
		&cli.StringFlag{Name: "aggs", Usage: "print aggregations, as `JSON` or @FILE, and no keys"},
	}
}

func getKeys(ctx context.Context, k *calls) error {
	id := k.c.Args().First()
	found, err := k.client.GetAPIKeys(ctx, latchkey.GetAPIKeysRequest{
		ID: id, Name: k.c.String("name"), Username: k.c.String("username"), RealmName: k.c.String("realm"), Owner: k.c.Bool("owner"),
		ActiveOnly: k.c.Bool("active"), WithLastUsed: k.c.Bool("last-used"), WithLimitedBy: k.c.Bool("limited-by"),
	})
	if err != nil {
		return err
	}
	if id != "" && len(found) == 0 {
		return fmt.Errorf("there is no API key [%s] among those that you may see", id)
	}
	slices.SortFunc(found, func(a, b latchkey.APIKey) int {
		return cmp.Or(cmp.Compare(a.Creation, b.Creation), cmp.Compare(a.ID, b.ID))
	})
	return k.print(latchkey.GetAPIKeysResponse{APIKeys: found}, func() [][]string { return keyTable(found, k.c.Bool("last-used")) })
}

func queryKeys(ctx context.Context, k *calls) error {
	query, err := k.filtered()
	if err != nil {
		return err
	}
	withUse := k.c.Bool("last-used") || k.c.IsSet("unused-for")
	req := latchkey.QueryAPIKeysRequest{Query: latchkey.Query{Query: query}, WithLastUsed: withUse, WithLimitedBy: k.c.Bool("limited-by")}
	counting, err := k.read("aggs", &req.Aggregations)
	if err != nil {
		return err
	}
	for _, s := range k.c.StringSlice("sort") {
		field, order, _ := strings.Cut(s, ":")
		req.Sort = append(req.Sort, object{field: object{"order": cmp.Or(order, "asc")}})
	}
	var found latchkey.QueryAPIKeysResponse
	if k.c.Bool("all") {
		if counting || req.Sort != nil || k.c.IsSet("limit") {
			return misused(k.c, "--all prints all keys, the oldest first; leave --limit, --sort and --aggs out")
		}
		found, err = k.everyKey(ctx, req)
	} else {
		req.Size = new(k.c.Int("limit"))
		if counting && !k.c.IsSet("limit") {
			req.Size = new(0)
		}
		found, err = k.client.QueryAPIKeys(ctx, req)
	}
	if err != nil {
		return err
	}
	err = k.print(found, func() [][]string {
		if counting {
			return countTable(found)
		}
		keys := make([]latchkey.APIKey, len(found.APIKeys))
		for i, key := range found.APIKeys {
			keys[i] = key.APIKey
		}
		return keyTable(keys, withUse)
	})
	if err == nil && found.Count < found.Total && !counting {
		note(k.err, "These are %d of %s; --all prints the others, too.", found.Count, keys(found.Total))
	}
	return err
}

func (k *calls) everyKey(ctx context.Context, req latchkey.QueryAPIKeysRequest) (latchkey.QueryAPIKeysResponse, error) {
	found := latchkey.QueryAPIKeysResponse{APIKeys: []latchkey.QueriedAPIKey{}}
	for key, err := range k.client.EveryAPIKey(ctx, req) {
		if err != nil {
			return found, err
		}
		found.APIKeys = append(found.APIKeys, latchkey.QueriedAPIKey{APIKey: key})
	}
	found.Count = len(found.APIKeys)
	found.Total = found.Count
	return found, nil
}

// object is a JSON object of the query language.
type object map[string]any

// filtered is the query of the flags: what --query finds, as far as all filters let it through.
func (k *calls) filtered() (json.RawMessage, error) {
	query, err := k.object("query")
	if err != nil {
		return nil, err
	}
	all := []any{}
	if query != nil {
		all = append(all, query)
	}
	for flag, field := range map[string]string{"name": "name", "username": "username", "realm": "realm_name", "type": "type"} {
		switch text := k.c.String(flag); {
		case !k.c.IsSet(flag):
		case flag == "name" && strings.Contains(text, "*"):
			text = strings.NewReplacer(`\`, `\\`, `?`, `\?`).Replace(text)
			all = append(all, object{"wildcard": object{field: text}})
		default:
			all = append(all, object{"term": object{field: text}})
		}
	}
	soon, err := k.span("expiring-within")
	if err != nil {
		return nil, err
	}
	idle, err := k.span("unused-for")
	if err != nil {
		return nil, err
	}
	if k.c.Bool("active") || soon > 0 {
		endless := object{"bool": object{"must_not": object{"exists": object{"field": "expiration"}}}}
		all = append(all, object{"term": object{"invalidated": false}},
			object{"bool": object{"should": []any{endless, object{"range": object{"expiration": object{"gt": "now"}}}}}})
	}
	if soon > 0 {
		all = append(all, object{"range": object{"expiration": object{"lte": "now+" + mathSpan(soon)}}})
	}
	if idle > 0 {
		all = append(all, object{"range": object{"creation": object{"lte": "now-" + mathSpan(idle)}}},
			object{"bool": object{"must_not": object{"range": object{"last_used": object{"gt": "now-" + mathSpan(idle)}}}}})
	}
	return json.Marshal(object{"bool": object{"filter": all}})
}

// mathSpan is a duration in date math, whose numbers are bounded; rounded up.
func mathSpan(d time.Duration) string {
	unit, letter := time.Second, "s"
	switch {
	case d > 1_000_000*time.Minute:
		unit, letter = time.Hour, "h"
	case d > 1_000_000*time.Second:
		unit, letter = time.Minute, "m"
	}
	return fmt.Sprintf("%d%s", (d-1)/unit+1, letter)
}

// countTable is a line for each bucket, and for each result of another form.
func countTable(found latchkey.QueryAPIKeysResponse) [][]string {
	rows := [][]string{{"AGGREGATION", "VALUE", "KEYS"}}
	var results map[string]json.RawMessage
	_ = json.Unmarshal(found.Aggregations, &results) // none where nothing matches
	for _, name := range slices.Sorted(maps.Keys(results)) {
		var counts latchkey.Buckets
		if json.Unmarshal(results[name], &counts) != nil || counts.Buckets == nil {
			rows = append(rows, []string{name, string(results[name]), ""})
			continue
		}
		for _, b := range counts.Buckets {
			rows = append(rows, []string{name, b.Name(), fmt.Sprint(b.Count)})
		}
		if counts.Others > 0 {
			rows = append(rows, []string{name, "(others)", fmt.Sprint(counts.Others)})
		}
	}
	return rows
}

func expiringKeys(ctx context.Context, k *calls) error {
	within, err := k.span("within")
	if err != nil {
		return err
	}
	soon, err := k.client.ExpiringAPIKeys(ctx, within)
	if err != nil {
		return err
	}
	if soon.More {
		note(k.err, "There are more than these %s.", keys(len(soon.APIKeys)))
	}
	return k.print(soon, func() [][]string {
		shown := make([]latchkey.APIKey, len(soon.APIKeys))
		for i, e := range soon.APIKeys {
			shown[i] = latchkey.APIKey{ID: e.ID, Name: e.Name, Type: e.Type, Username: e.Username, Realm: e.Realm, Creation: e.Creation, Expiration: e.Expiration}
		}
		return keyTable(shown, false)
	})
}
