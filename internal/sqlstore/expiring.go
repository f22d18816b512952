package sqlstore

import (
	"context"
	"slices"
	"strings"
	"time"

	"latchkey/internal/apikey"
)

// ExpiringAPIKeys implements apikey.Store.
func (d *DB) ExpiringAPIKeys(ctx context.Context, after, until time.Time, limit int) ([]apikey.Key, error) {
	return d.expiring(ctx, ``, after, until, limit)
}

// UntoldAPIKeys implements apikey.Store.
func (d *DB) UntoldAPIKeys(ctx context.Context, after, until time.Time, limit int) ([]apikey.Key, error) {
	return d.expiring(ctx, ` AND NOT EXISTS (SELECT 1 FROM expiry_notices told WHERE told.key_id = api_keys.id AND told.expires_at = api_keys.expires_at)`,
		after, until, limit)
}

func (d *DB) expiring(ctx context.Context, more string, after, until time.Time, limit int) ([]apikey.Key, error) {
	rows, err := d.query(ctx, selectKeys+` WHERE expires_at > $1 AND expires_at <= $2 AND invalidated_at IS NULL`+more+` ORDER BY expires_at, id LIMIT $3`,
		after.UnixMilli(), until.UnixMilli(), limit)
	if err != nil {
		return nil, err
	}
	var keys []apikey.Key
	if err := scanKeys(rows, &keys); err != nil {
		return nil, d.classify(err)
	}
	return keys, nil
}

// NoteTold implements apikey.Store.
func (d *DB) NoteTold(ctx context.Context, keys []apikey.Key) error {
	keys = slices.SortedFunc(slices.Values(keys), func(a, b apikey.Key) int { return strings.Compare(a.ID, b.ID) }) // as with uses
	return d.write(ctx, func(tx *Tx) error {
		for _, k := range keys {
			_, err := tx.exec(`
				INSERT INTO expiry_notices (key_id, expires_at)
				SELECT id, $2 FROM api_keys WHERE id = $1`+tx.keepRow()+`
				ON CONFLICT (key_id) DO UPDATE SET expires_at = excluded.expires_at`, k.ID, millis(k.ExpiresAt))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// CountAPIKeys implements apikey.Store.
func (d *DB) CountAPIKeys(ctx context.Context, at, until time.Time) (apikey.Counts, error) {
	var n apikey.Counts
	var all int
	err := d.get(ctx, `
		SELECT (SELECT COUNT(*) FROM api_keys), (SELECT COUNT(*) FROM invalidated_keys),
			(SELECT COUNT(*)`+fromKeys+` WHERE expires_at <= $1 AND invalidated_at IS NULL),
			(SELECT COUNT(*)`+fromKeys+` WHERE expires_at > $1 AND expires_at <= $2 AND invalidated_at IS NULL)`,
		[]any{at.UnixMilli(), until.UnixMilli()}, &all, &n.Invalidated, &n.Expired, &n.Expiring)
	n.Live = all - n.Invalidated - n.Expired
	return n, err
}
