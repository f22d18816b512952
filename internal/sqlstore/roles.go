package sqlstore

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/role"
)

var _ role.Store = (*DB)(nil)

// PutRole implements role.Store.
func (d *DB) PutRole(ctx context.Context, name string, descriptor access.Descriptor) (created bool, err error) {
	body := access.Descriptors{name: descriptor}.Canonical()
	err = d.write(ctx, func(tx *Tx) error {
		tx.ended(EndedRoles, name)
		created, err = tx.put(insertRole, updateRole, name, body)
		return err
	})
	return created && err == nil, err
}

const (
	insertRole = `INSERT INTO roles (name, body) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`
	updateRole = `UPDATE roles SET body = $2 WHERE name = $1`
)

// Role implements role.Store.
func (d *DB) Role(ctx context.Context, name string) (access.Descriptor, error) {
	var body []byte
	err := d.load(ctx, `SELECT body FROM roles WHERE name = $1`, name).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return access.Descriptor{}, fault.New(fault.NotFound, "role [%s] not found", name)
	}
	if err != nil {
		return access.Descriptor{}, d.classify(err)
	}
	roles, err := access.DecodeDescriptors(body)
	if err != nil {
		return access.Descriptor{}, fmt.Errorf("read role %s: %w", name, err)
	}
	return roles[name], nil
}

// Roles implements role.Store.
func (d *DB) Roles(ctx context.Context, names []string) (access.Descriptors, error) {
	where, args := oneOf("name", names)
	rows, err := d.queryOnce(ctx, `SELECT name, body FROM roles`+where, args...)
	if err != nil {
		return nil, err
	}
	all := make(access.Descriptors)
	for rows.Next() {
		var name string
		var body []byte
		if err := rows.Scan(&name, &body); err != nil {
			return nil, errors.Join(d.classify(err), rows.Close())
		}
		roles, err := access.DecodeDescriptors(body)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("read role %s: %w", name, err), rows.Close())
		}
		maps.Copy(all, roles)
	}
	return all, d.classify(errors.Join(rows.Err(), rows.Close()))
}

// DeleteRole implements role.Store.
func (d *DB) DeleteRole(ctx context.Context, name string) (found bool, err error) {
	err = d.write(ctx, func(tx *Tx) error {
		tx.ended(EndedRoles, name)
		found, err = changedOne(tx.exec(`DELETE FROM roles WHERE name = $1`, name))
		return err
	})
	return found && err == nil, err
}

// PutRoles implements role.Store.
func (d *DB) PutRoles(ctx context.Context, roles []role.Named) ([]role.Outcome, error) {
	outcomes := make([]role.Outcome, len(roles))
	bodies, names := make([][]byte, len(roles)), make([]string, len(roles))
	for i, r := range roles {
		bodies[i], names[i] = access.Descriptors{r.Name: r.Descriptor}.Canonical(), r.Name
	}
	err := d.write(ctx, func(tx *Tx) error {
		tx.ended(EndedRoles, names...)
		for i, r := range roles {
			body := bodies[i]
			var old []byte
			err := tx.row(`SELECT body FROM roles WHERE name = $1`+tx.lockRow(), r.Name).Scan(&old)
			if err == nil && bytes.Equal(old, body) {
				outcomes[i] = role.Unchanged
				continue
			}
			if err != nil && !errors.Is(err, sql.ErrNoRows) {
				return err
			}
			created, err := tx.put(insertRole, updateRole, r.Name, body)
			if err != nil {
				return err
			}
			outcomes[i] = role.Updated
			if created {
				outcomes[i] = role.Created
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return outcomes, nil
}

// DeleteRoles implements role.Store.
func (d *DB) DeleteRoles(ctx context.Context, names []string) (deleted []string, err error) {
	err = d.write(ctx, func(tx *Tx) error {
		deleted = nil
		tx.ended(EndedRoles, names...)
		for _, name := range names {
			found, err := changedOne(tx.exec(`DELETE FROM roles WHERE name = $1`, name))
			if err != nil {
				return err
			}
			if found {
				deleted = append(deleted, name)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return deleted, nil
}
