package sqlstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"latchkey/internal/application"
)

var _ application.Store = (*DB)(nil)

// PutApplicationPrivileges implements application.Store.
func (d *DB) PutApplicationPrivileges(ctx context.Context, list []application.Privilege, changed func()) (created []bool, err error) {
	actions, about := make([]string, len(list)), make([]string, len(list))
	for i, p := range list {
		about[i] = p.Application
		text, err := json.Marshal(p.Actions)
		if err != nil {
			return nil, fmt.Errorf("keep the actions of the privilege %s: %w", p.Name, err)
		}
		actions[i] = string(text)
	}
	err = d.write(ctx, func(tx *Tx) error {
		created = make([]bool, len(list))
		tx.ended(EndedApplicationPrivileges, about...)
		for i, p := range list {
			var err error
			created[i], err = tx.put(`
				INSERT INTO application_privileges (application, name, actions, metadata) VALUES ($1, $2, $3, $4)
				ON CONFLICT (application, name) DO NOTHING`, `
				UPDATE application_privileges SET actions = $3, metadata = $4 WHERE application = $1 AND name = $2`,
				p.Application, p.Name, actions[i], string(p.Metadata))
			if err != nil {
				return err
			}
		}
		tx.committed(changed)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return created, nil
}

// Applications implements application.Store.
func (d *DB) Applications(ctx context.Context) ([]string, error) {
	rows, err := d.query(ctx, `SELECT DISTINCT application FROM application_privileges ORDER BY application`)
	if err != nil {
		return nil, err
	}
	var names []string
	err = scanTexts(rows, &names)
	return names, d.classify(err)
}

// ApplicationPrivileges implements application.Store.
func (d *DB) ApplicationPrivileges(ctx context.Context, name string) ([]application.Privilege, error) {
	rows, err := d.readRecent(ctx, `SELECT name, actions, metadata FROM application_privileges WHERE application = $1 ORDER BY name`, kept, []any{name})
	if err != nil {
		return nil, d.classify(err)
	}
	var list []application.Privilege
	for rows.Next() {
		p := application.Privilege{Application: name}
		var actions, metadata string
		if err := rows.Scan(&p.Name, &actions, &metadata); err != nil {
			return nil, errors.Join(d.classify(err), rows.Close())
		}
		if err := json.Unmarshal([]byte(actions), &p.Actions); err != nil {
			return nil, errors.Join(fmt.Errorf("read the privilege %s of %s: %w", p.Name, name, err), rows.Close())
		}
		p.Metadata = json.RawMessage(metadata)
		list = append(list, p)
	}
	return list, d.classify(errors.Join(rows.Err(), rows.Close()))
}

// DeleteApplicationPrivileges implements application.Store.
func (d *DB) DeleteApplicationPrivileges(ctx context.Context, name string, privileges []string, changed func()) (found []bool, err error) {
	err = d.write(ctx, func(tx *Tx) error {
		found = make([]bool, len(privileges))
		tx.ended(EndedApplicationPrivileges, name)
		some := false
		for i, p := range privileges {
			var err error
			if found[i], err = changedOne(tx.exec(`DELETE FROM application_privileges WHERE application = $1 AND name = $2`, name, p)); err != nil {
				return err
			}
			some = some || found[i]
		}
		if some {
			tx.committed(changed)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}
