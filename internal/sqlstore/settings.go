package sqlstore

import (
	"context"
	"encoding/json"
	"fmt"

	"latchkey/internal/fault"
	"latchkey/internal/settings"
)

var _ settings.Store = (*DB)(nil)

// securitySettings names the value that holds them all.
const securitySettings = "security_settings"

func readSettings(text string) (map[string]settings.Index, error) {
	all := map[string]settings.Index{}
	if text == "" {
		return all, nil
	}
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return nil, fmt.Errorf("read the security settings: %w", err)
	}
	return all, nil
}

// Settings implements settings.Store.
func (d *DB) Settings(ctx context.Context) (map[string]settings.Index, error) {
	text, err := d.Meta(ctx, securitySettings)
	if err != nil && fault.KindOf(err) != fault.NotFound {
		return nil, err
	}
	return readSettings(text)
}

// ChangeSettings implements settings.Store.
func (d *DB) ChangeSettings(ctx context.Context, change func(map[string]settings.Index)) error {
	return d.write(ctx, func(tx *Tx) error {
		var text string
		if _, err := tx.exec(`INSERT INTO meta (name, value) VALUES ($1, '') ON CONFLICT (name) DO NOTHING`, securitySettings); err != nil {
			return err
		}
		if err := tx.row(`SELECT value FROM meta WHERE name = $1`+tx.lockRow(), securitySettings).Scan(&text); err != nil {
			return err
		}
		all, err := readSettings(text)
		if err != nil {
			return err
		}
		change(all)
		body, err := json.Marshal(all)
		if err != nil {
			return err
		}
		_, err = tx.exec(`UPDATE meta SET value = $2 WHERE name = $1`, securitySettings, string(body))
		return err
	})
}
