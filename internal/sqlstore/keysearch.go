package sqlstore

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"latchkey/internal/apikey"
	"latchkey/internal/query"
)

// QueryAPIKeys implements apikey.Store. The copy in memory answers, or SQL as
// long as there is none, and where others write.
func (d *DB) QueryAPIKeys(ctx context.Context, r *query.Request, visible query.Node) (apikey.KeysFound, error) {
	if err := r.Err(); err != nil {
		return apikey.KeysFound{}, err
	}
	if !d.others {
		result, ok, err := d.keys.search(ctx, r, visible, d.loadKeys)
		switch {
		case err != nil:
			return apikey.KeysFound{}, d.classify(err)
		case ok:
			return d.foundKeys(ctx, result, d.queryOnce)
		}
	}
	select {
	case d.searches <- struct{}{}:
		defer func() { <-d.searches }()
	case <-ctx.Done():
		return apikey.KeysFound{}, d.classify(ctx.Err())
	}
	var found apikey.KeysFound
	err := d.snapshot(ctx, func(v view) error {
		result, err := d.searchKeys(v, r, visible)
		if err == nil {
			found, err = d.foundKeys(ctx, result, v.queryOnce)
		}
		return err
	})
	return found, err
}

// foundKeys reads the keys of the hits. One that was purged since is left out.
func (d *DB) foundKeys(ctx context.Context, result query.Result, queryOnce func(context.Context, string, ...any) (*rows, error)) (apikey.KeysFound, error) {
	ids := make([]string, len(result.Hits))
	for i, hit := range result.Hits {
		ids[i] = hit.ID
	}
	keys := make(map[string]apikey.Key, len(ids))
	for chunk := range slices.Chunk(ids, maxIDs) {
		c := &condition{}
		c.oneOf("id", chunk)
		rows, err := queryOnce(ctx, selectKeys+c.String(), c.args...)
		if err != nil {
			return apikey.KeysFound{}, err
		}
		var part []apikey.Key
		if err := scanKeys(rows, &part); err != nil {
			return apikey.KeysFound{}, d.classify(err)
		}
		for _, k := range part {
			keys[k.ID] = k
		}
	}
	found := apikey.KeysFound{Total: result.Total, Aggregations: result.Aggregations}
	for _, hit := range result.Hits {
		if k, ok := keys[hit.ID]; ok {
			found.Hits = append(found.Hits, apikey.KeyHit{Key: k, Sort: hit.Sort})
		}
	}
	return found, nil
}

// searchKeys answers by SQL, from one state of the store. What SQL can say exactly
// it counts, cuts to the page and groups; of anything else it reads all rows that
// may match. Either way package query has the last word.
func (d *DB) searchKeys(v view, r *query.Request, visible query.Node) (query.Result, error) {
	c := &keyClauses{dialect: &d.dialect}
	where := c.node(query.Bool{Must: []query.Node{visible, r.Where()}})
	matching := len(c.args)
	by, beyond, sorted := c.order(r.Sort(), r.After())
	if slices.ContainsFunc(r.Sort(), func(k query.SortKey) bool { return k.Name == query.DocOrder }) {
		where, matching = unsaid, 0 // documents are numbered among all
	}
	matches := c.args[:matching]
	names := append(r.Fields(), query.FieldsOf(visible)...)
	room := r.From + r.Size
	if !where.exact || !sorted && room > 0 {
		t, err := d.readTable(v, names, where.text+` ORDER BY `+d.oldest, matches)
		if err != nil {
			return query.Result{}, err
		}
		return t.Search(v.ctx, r, visible)
	}
	var result query.Result
	if err := v.first(searchIn("count(*)", where.text), matches).Scan(&result.Total); err != nil || result.Total == 0 {
		return result, err
	}
	if room > 0 {
		by = append(by, d.oldest)
		page := fmt.Sprintf("%s AND %s ORDER BY %s LIMIT %d", where.text, beyond, strings.Join(by, ", "), room)
		t, err := d.readTable(v, names, page, c.args)
		if err != nil {
			return result, err
		}
		found, err := t.Search(v.ctx, r, visible)
		if err != nil {
			return result, err
		}
		result.Hits = found.Hits
	}
	if !r.Aggregates() {
		return result, nil
	}
	t, err := d.readGroups(v, r.AggregatedFields(), where.text, matches)
	if err == nil {
		result.Aggregations, err = t.Aggregate(v.ctx, r, query.All{})
	}
	return result, err
}

// columnsOf returns the fields that hold what the names mean, and their columns,
// with a comma before each.
func columnsOf(names []string) (s query.Schema, columns string) {
	for _, f := range apikey.Schema {
		read := func(name string) bool {
			return name == f.Name || f.Type == query.Flat && strings.HasPrefix(name, f.Name+".")
		}
		if slices.ContainsFunc(names, read) {
			s = append(s, f)
			columns += ", " + keyColumns[f.Name].name
		}
	}
	return s, columns
}

// readTable reads what the names mean of the keys of which a condition is true, in its order.
func (d *DB) readTable(v view, names []string, where string, args []any) (*query.Table, error) {
	s, columns := columnsOf(names)
	return v.table(s, 0, searchIn("id, 1"+columns, where), args)
}

// readGroups is readTable for those who ask for no key, but how many there are of
// each kind.
func (d *DB) readGroups(v view, names []string, where string, args []any) (*query.Table, error) {
	if !d.groups || slices.Contains(names, query.IDField) {
		return d.readTable(v, names, where, args)
	}
	s, columns := columnsOf(names)
	text := searchIn("'', count(*)"+columns, where)
	for i := range s {
		if i == 0 {
			text += ` GROUP BY 3`
		} else {
			text += fmt.Sprintf(", %d", i+3)
		}
	}
	return v.table(s, 0, text, args)
}

// loadKeys reads all that keys are searched by.
func (d *DB) loadKeys(ctx context.Context) (t *query.Table, err error) {
	var names []string
	for _, f := range apikey.Schema {
		names = append(names, f.Name)
	}
	s, columns := columnsOf(names)
	err = d.snapshot(ctx, func(v view) error {
		room := 0
		if err := v.first(`SELECT count(*) FROM api_keys`, nil).Scan(&room); err != nil {
			return err
		}
		t, err = v.table(s, room, searchIn("id, 1"+columns, anyKey.text)+` ORDER BY `+d.oldest, nil)
		return err
	})
	return t, err
}
