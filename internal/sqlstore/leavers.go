package sqlstore

import (
	"context"
	"errors"
	"slices"
	"strings"

	"latchkey/internal/leaver"
)

var _ leaver.Store = (*DB)(nil)

const liveKey = `invalidated_at IS NULL AND (expires_at IS NULL OR expires_at > %s)`

// Owners implements leaver.Store.
func (d *DB) Owners(ctx context.Context, live leaver.Live) ([]leaver.Owner, error) {
	type name struct{ username, realm string }
	owners := map[name]*leaver.Owner{}
	read := func(columns string, w *condition, count func(o *leaver.Owner, realmType string, n int)) error {
		rows, err := d.queryOnce(ctx, `SELECT username, realm, `+columns+w.String()+` GROUP BY username, realm`, w.args...)
		if err != nil {
			return err
		}
		for rows.Next() {
			var n name
			var realmType string
			var found int
			if err := rows.Scan(&n.username, &n.realm, &realmType, &found); err != nil {
				return errors.Join(d.classify(err), rows.Close())
			}
			o := owners[n]
			if o == nil {
				o = &leaver.Owner{Username: n.username}
				o.Realm.Name = n.realm
				owners[n] = o
			}
			count(o, realmType, found)
		}
		return d.classify(errors.Join(rows.Err(), rows.Close()))
	}
	keys := (&condition{}).add(liveKey, live.At.UnixMilli())
	err := read(`MAX(realm_type), COUNT(*)`+fromKeys, keys, func(o *leaver.Owner, realmType string, n int) { o.Realm.Type, o.APIKeys = realmType, n })
	if err != nil {
		return nil, err
	}
	tokens := (&condition{}).add(liveToken, live.At.UnixMilli(), live.TokensCreated.UnixMilli())
	err = read(`'', COUNT(*) FROM tokens`, tokens, func(o *leaver.Owner, _ string, n int) { o.Tokens = n })
	if err != nil {
		return nil, err
	}
	all := make([]leaver.Owner, 0, len(owners))
	for _, o := range owners {
		all = append(all, *o)
	}
	slices.SortFunc(all, func(a, b leaver.Owner) int {
		if c := strings.Compare(a.Realm.Name, b.Realm.Name); c != 0 {
			return c
		}
		return strings.Compare(a.Username, b.Username)
	})
	return all, nil
}

// OwnerKeys implements leaver.Store.
func (d *DB) OwnerKeys(ctx context.Context, username, realm string, live leaver.Live, limit int) ([]string, error) {
	w := (&condition{}).add("username = %s", username).add("realm = %s", realm).add(liveKey, live.At.UnixMilli())
	w.args = append(w.args, limit)
	rows, err := d.queryOnce(ctx, `SELECT id`+fromKeys+w.String()+` ORDER BY id LIMIT $4`, w.args...)
	if err != nil {
		return nil, err
	}
	var ids []string
	if err := scanTexts(rows, &ids); err != nil {
		return nil, d.classify(err)
	}
	return ids, nil
}
