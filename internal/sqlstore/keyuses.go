package sqlstore

import (
	"context"
	"slices"
	"strings"
	"time"

	"latchkey/internal/apikey"
)

// NoteAPIKeyUses implements apikey.Store.
func (d *DB) NoteAPIKeyUses(ctx context.Context, uses []apikey.Use) error {
	uses = slices.SortedStableFunc(slices.Values(uses), func(a, b apikey.Use) int { return strings.Compare(a.KeyID, b.KeyID) }) // two writers do not wait for each other
	return d.write(ctx, func(tx *Tx) error {
		for _, u := range uses {
			n, err := tx.exec(`
				INSERT INTO api_key_uses (key_id, used_at, address, agent)
				SELECT id, CAST($2 AS BIGINT), $3, $4 FROM api_keys WHERE id = $1`+tx.keepRow()+`
				ON CONFLICT (key_id) DO UPDATE SET used_at = excluded.used_at, address = excluded.address, agent = excluded.agent
				WHERE excluded.used_at > api_key_uses.used_at`,
				u.KeyID, u.At.UnixMilli(), u.Address, u.Agent)
			if err != nil {
				return err
			}
			if n > 0 {
				tx.searchableUsed(u)
			}
		}
		return nil
	})
}

// APIKeyUses implements apikey.Store.
func (d *DB) APIKeyUses(ctx context.Context, ids []string) (map[string]apikey.Use, error) {
	last := make(map[string]apikey.Use)
	if len(ids) == 0 {
		return last, nil
	}
	for chunk := range chunks(ids) {
		c := &condition{}
		c.oneOf("key_id", chunk)
		rows, err := d.queryOnce(ctx, `SELECT key_id, used_at, address, agent FROM api_key_uses`+c.String(), c.args...)
		if err != nil {
			return nil, err
		}
		if err := scanUses(rows, last); err != nil {
			return nil, d.classify(err)
		}
	}
	return last, nil
}

// scanUses puts the uses of rows into dest and closes them.
func scanUses(rows *rows, dest map[string]apikey.Use) error {
	defer rows.Close()
	for rows.Next() {
		var u apikey.Use
		var at int64
		if err := rows.Scan(&u.KeyID, &at, &u.Address, &u.Agent); err != nil {
			return err
		}
		u.At = time.UnixMilli(at).UTC()
		dest[u.KeyID] = u
	}
	return rows.Err()
}
