package sqlstore

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"latchkey/internal/apikey"
)

// usesStep is how many uses one statement notes.
const usesStep = 100

// NoteAPIKeyUses implements apikey.Store.
func (d *DB) NoteAPIKeyUses(ctx context.Context, uses []apikey.Use) error {
	last := make(map[string]apikey.Use, len(uses)) // no statement changes a row twice
	for _, u := range uses {
		if l, ok := last[u.KeyID]; !ok || u.At.After(l.At) {
			last[u.KeyID] = u
		}
	}
	ids := slices.Sorted(maps.Keys(last)) // two writers do not wait for each other
	return d.write(ctx, func(tx *Tx) error {
		for step := range slices.Chunk(ids, usesStep) {
			if err := tx.noteUses(step, last); err != nil {
				return err
			}
		}
		return nil
	})
}

func (tx *Tx) noteUses(ids []string, last map[string]apikey.Use) error {
	args := make([]any, 0, 4*len(ids))
	for _, id := range ids {
		u := last[id]
		args = append(args, u.KeyID, u.At.UnixMilli(), u.Address, u.Agent)
	}
	var rows *rows
	var err error
	if len(ids) == usesStep { // all but the last one of many
		if tx.usesStep == "" {
			tx.usesStep = tx.noteText(usesStep)
		}
		rows, err = tx.query(tx.usesStep, args...)
	} else {
		rows, err = tx.queryOnce(tx.noteText(len(ids)), args...)
	}
	if err != nil {
		return err
	}
	var noted []string
	err = scanTexts(rows, &noted)
	for _, id := range noted {
		tx.searchableUsed(last[id])
	}
	return err
}

// noteText is the statement that notes n uses and returns the keys of those that were new.
func (tx *Tx) noteText(n int) string {
	values := make([]string, n)
	for i := range values {
		values[i] = fmt.Sprintf("($%d,CAST($%d AS BIGINT),$%d,$%d)", 4*i+1, 4*i+2, 4*i+3, 4*i+4)
	}
	return `
		WITH used (key_id, used_at, address, agent) AS (VALUES ` + strings.Join(values, ",") + `)
		INSERT INTO api_key_uses (key_id, used_at, address, agent)
		SELECT id, used_at, address, agent FROM used JOIN api_keys ON id = key_id WHERE TRUE ORDER BY id` + tx.keepRow() + `
		ON CONFLICT (key_id) DO UPDATE SET used_at = excluded.used_at, address = excluded.address, agent = excluded.agent
		WHERE excluded.used_at > api_key_uses.used_at
		RETURNING key_id`
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
