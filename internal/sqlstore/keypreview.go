package sqlstore

import (
	"context"
	"database/sql"
	"slices"

	"latchkey/internal/apikey"
)

// PreviewInvalidation implements apikey.Store.
func (d *DB) PreviewInvalidation(ctx context.Context, sel apikey.Selector, restOnly bool) (apikey.Invalidated, error) {
	var found apikey.Invalidated
	for _, w := range where(sel) {
		if len(sel.IDs) == 0 {
			w.add("invalidated_at IS NULL")
		}
		rows, err := d.queryOnce(ctx, `SELECT id, type, invalidated_at`+fromKeys+w.String(), w.args...)
		if err != nil {
			return apikey.Invalidated{}, err
		}
		if err := sortOut(rows, restOnly, &found); err != nil {
			return apikey.Invalidated{}, d.classify(err)
		}
	}
	slices.Sort(found.IDs)
	slices.Sort(found.Before)
	slices.Sort(found.NotReached)
	return found, nil
}

// sortOut tells what would become of the keys of rows, and closes them.
func sortOut(rows *rows, restOnly bool, found *apikey.Invalidated) error {
	defer rows.Close()
	for rows.Next() {
		var id, typ string
		var invalidated sql.NullInt64
		if err := rows.Scan(&id, &typ, &invalidated); err != nil {
			return err
		}
		switch {
		case invalidated.Valid:
			found.Before = append(found.Before, id)
		case restOnly && typ != string(apikey.REST):
			found.NotReached = append(found.NotReached, id)
		default:
			found.IDs = append(found.IDs, id)
		}
	}
	return rows.Err()
}
