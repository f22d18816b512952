package sqlstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"latchkey/internal/rolemapping"
	"latchkey/internal/xcontent"
)

var _ rolemapping.Store = (*DB)(nil)

// keptTemplate is a role template as it lies in the store.
type keptTemplate struct {
	Template string `json:"template"`
	Format   string `json:"format"`
}

// PutRoleMapping implements rolemapping.Store.
func (d *DB) PutRoleMapping(ctx context.Context, m rolemapping.Mapping, changed func()) (created bool, err error) {
	roles, err := json.Marshal(append([]string{}, m.Roles...))
	if err != nil {
		return false, err
	}
	kept := make([]keptTemplate, len(m.Templates))
	for i, t := range m.Templates {
		kept[i] = keptTemplate{t.Script, t.Format}
	}
	templates, err := json.Marshal(kept)
	if err != nil {
		return false, err
	}
	args := []any{m.Name, flag(m.Enabled), string(roles), string(templates), string(m.Rules.JSON()), string(m.Metadata)}
	err = d.write(ctx, func(tx *Tx) error {
		tx.ended(EndedRoleMappings, m.Name)
		created, err = tx.put(`
			INSERT INTO role_mappings (name, enabled, roles, templates, rules, metadata) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (name) DO NOTHING`, `
			UPDATE role_mappings SET enabled = $2, roles = $3, templates = $4, rules = $5, metadata = $6 WHERE name = $1`, args...)
		if err != nil {
			return err
		}
		tx.committed(changed)
		return nil
	})
	return created && err == nil, err
}

// RoleMappings implements rolemapping.Store.
func (d *DB) RoleMappings(ctx context.Context, names []string) ([]rolemapping.Mapping, error) {
	where, args := oneOf("name", names)
	rows, err := d.readRecent(ctx, `SELECT name, enabled, roles, templates, rules, metadata FROM role_mappings`+where+` ORDER BY name`, once, args)
	if err != nil {
		return nil, d.classify(err)
	}
	all := []rolemapping.Mapping{}
	for rows.Next() {
		var m rolemapping.Mapping
		var enabled int64
		var roles, templates, rules, metadata string
		if err := rows.Scan(&m.Name, &enabled, &roles, &templates, &rules, &metadata); err != nil {
			return nil, errors.Join(d.classify(err), rows.Close())
		}
		m.Enabled, m.Metadata = enabled != 0, json.RawMessage(metadata)
		if err := readMapping(&m, roles, templates, rules); err != nil {
			return nil, errors.Join(fmt.Errorf("read role mapping %s: %w", m.Name, err), rows.Close())
		}
		all = append(all, m)
	}
	return all, d.classify(errors.Join(rows.Err(), rows.Close()))
}

func readMapping(m *rolemapping.Mapping, roles, templates, rules string) error {
	var kept []keptTemplate
	if err := errors.Join(json.Unmarshal([]byte(roles), &m.Roles), json.Unmarshal([]byte(templates), &kept)); err != nil {
		return err
	}
	for _, k := range kept {
		t, err := rolemapping.NewTemplate(k.Template, k.Format)
		if err != nil {
			return err
		}
		m.Templates = append(m.Templates, t)
	}
	v, err := xcontent.ParseOwn([]byte(rules))
	if err != nil {
		return err
	}
	m.Rules, err = rolemapping.ParseRule(v)
	return err
}

// DeleteRoleMapping implements rolemapping.Store.
func (d *DB) DeleteRoleMapping(ctx context.Context, name string, deleted func()) (found bool, err error) {
	err = d.write(ctx, func(tx *Tx) error {
		tx.ended(EndedRoleMappings, name)
		found, err = changedOne(tx.exec(`DELETE FROM role_mappings WHERE name = $1`, name))
		if found {
			tx.committed(deleted)
		}
		return err
	})
	return found && err == nil, err
}
