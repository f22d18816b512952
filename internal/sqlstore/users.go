package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"latchkey/internal/fault"
	"latchkey/internal/user"
)

var _ user.Store = (*DB)(nil)

// PutUser implements user.Store.
func (d *DB) PutUser(ctx context.Context, u user.User, hash string) (created bool, err error) {
	roles, err := json.Marshal(u.Roles)
	if err != nil {
		return false, err
	}
	err = d.write(ctx, func(tx *Tx) error {
		tx.ended(EndedUsers, u.Username)
		if hash == "" {
			return updateUser(tx, u, string(roles))
		}
		metadata, err := user.MergeMetadata(nil, u.Metadata)
		if err != nil {
			return err
		}
		args := []any{u.Username, hash, string(roles), u.FullName, u.Email, string(metadata), flag(u.Enabled)}
		created, err = tx.put(`
			INSERT INTO users (username, hash, roles, full_name, email, metadata, enabled)
			VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (username) DO NOTHING`, `
			UPDATE users SET hash = $2, roles = $3, full_name = $4, email = $5, metadata = $6, enabled = $7
			WHERE username = $1`, args...)
		return err
	})
	return created && err == nil, err
}

// updateUser changes everything but the password, and lets the metadata grow.
func updateUser(tx *Tx, u user.User, roles string) error {
	var old string
	err := tx.row(`
		UPDATE users SET roles = $2, full_name = $3, email = $4, enabled = $5
		WHERE username = $1 RETURNING metadata`,
		u.Username, roles, u.FullName, u.Email, flag(u.Enabled)).Scan(&old)
	if errors.Is(err, sql.ErrNoRows) {
		return noUser(u.Username)
	}
	if err != nil {
		return err
	}
	if len(u.Metadata) == 0 {
		old = ""
	}
	metadata, err := user.MergeMetadata(json.RawMessage(old), u.Metadata)
	if err != nil {
		return err
	}
	_, err = tx.exec(`UPDATE users SET metadata = $2 WHERE username = $1`, u.Username, string(metadata))
	return err
}

const selectUsers = `SELECT username, hash, roles, full_name, email, metadata, enabled FROM users`

func scanUser(row scanner) (user.Account, error) {
	var a user.Account
	var roles, metadata string
	if err := row.Scan(&a.Username, &a.Hash, &roles, &a.FullName, &a.Email, &metadata, &a.Enabled); err != nil {
		return a, err
	}
	a.Metadata = json.RawMessage(metadata)
	if err := json.Unmarshal([]byte(roles), &a.Roles); err != nil {
		return a, fmt.Errorf("read the roles of user %s: %w", a.Username, err)
	}
	return a, nil
}

// User implements user.Store.
func (d *DB) User(ctx context.Context, username string) (user.Account, error) {
	a, err := scanUser(d.load(ctx, selectUsers+` WHERE username = $1`, username))
	if errors.Is(err, sql.ErrNoRows) {
		return user.Account{}, noUser(username)
	}
	return a, d.classify(err)
}

// Users implements user.Store.
func (d *DB) Users(ctx context.Context, names []string) ([]user.User, error) {
	where, args := oneOf("username", names)
	rows, err := d.queryOnce(ctx, selectUsers+where+` ORDER BY username`, args...)
	if err != nil {
		return nil, err
	}
	users := []user.User{}
	for rows.Next() {
		a, err := scanUser(rows)
		if err != nil {
			return nil, errors.Join(d.classify(err), rows.Close())
		}
		users = append(users, a.User)
	}
	return users, d.classify(errors.Join(rows.Err(), rows.Close()))
}

// oneOf is a WHERE that takes the rows whose column holds one of values, or
// nothing at all if there are none.
func oneOf(column string, values []string) (where string, args []any) {
	if len(values) == 0 {
		return "", nil
	}
	marks := make([]string, len(values))
	for i, v := range values {
		marks[i], args = "$"+strconv.Itoa(i+1), append(args, v)
	}
	return " WHERE " + column + " IN (" + strings.Join(marks, ", ") + ")", args
}

// DeleteUser implements user.Store.
func (d *DB) DeleteUser(ctx context.Context, username string) (found bool, err error) {
	err = d.write(ctx, func(tx *Tx) error {
		tx.ended(EndedUsers, username)
		found, err = changedOne(tx.exec(`DELETE FROM users WHERE username = $1`, username))
		return err
	})
	return found && err == nil, err
}

// SetUserPassword implements user.Store.
func (d *DB) SetUserPassword(ctx context.Context, username, hash string) error {
	return d.changeUser(ctx, username, `UPDATE users SET hash = $2 WHERE username = $1`, hash)
}

// SetUserEnabled implements user.Store.
func (d *DB) SetUserEnabled(ctx context.Context, username string, enabled bool) error {
	return d.changeUser(ctx, username, `UPDATE users SET enabled = $2 WHERE username = $1`, flag(enabled))
}

func (d *DB) changeUser(ctx context.Context, username, update string, value any) error {
	return d.write(ctx, func(tx *Tx) error {
		tx.ended(EndedUsers, username)
		found, err := changedOne(tx.exec(update, username, value))
		if err == nil && !found {
			return noUser(username)
		}
		return err
	})
}

// ReservedUsers implements user.Store.
func (d *DB) ReservedUsers(ctx context.Context) (map[string]user.ReservedState, error) {
	rows, err := d.query(ctx, `SELECT username, hash, generated, enabled FROM reserved_users`)
	if err != nil {
		return nil, err
	}
	states := make(map[string]user.ReservedState)
	for rows.Next() {
		var name string
		var s user.ReservedState
		if err := rows.Scan(&name, &s.Hash, &s.Generated, &s.Enabled); err != nil {
			return nil, errors.Join(d.classify(err), rows.Close())
		}
		states[name] = s
	}
	return states, d.classify(errors.Join(rows.Err(), rows.Close()))
}

// ReservedUser implements user.Store.
func (d *DB) ReservedUser(ctx context.Context, username string) (user.ReservedState, error) {
	var s user.ReservedState
	var there bool
	// A row in any case, which tells how recent it is: without one of their own, users have the password of the settings.
	err := d.load(ctx, `SELECT username IS NOT NULL, COALESCE(hash, ''), COALESCE(generated, 0), COALESCE(enabled, 0)
		FROM (SELECT 1) AS always LEFT JOIN reserved_users ON username = $1`, username).Scan(&there, &s.Hash, &s.Generated, &s.Enabled)
	if err == nil && !there {
		err = noUser(username)
	}
	return s, d.classify(err)
}

// SetReservedUserPassword implements user.Store.
func (d *DB) SetReservedUserPassword(ctx context.Context, username, hash string) error {
	return d.write(ctx, func(tx *Tx) error {
		tx.ended(EndedUsers, username)
		_, err := tx.exec(`
			INSERT INTO reserved_users (username, hash, generated, enabled) VALUES ($1, $2, 0, 1)
			ON CONFLICT (username) DO UPDATE SET hash = excluded.hash, generated = 0`, username, hash)
		return err
	})
}

// SetReservedUserEnabled implements user.Store.
func (d *DB) SetReservedUserEnabled(ctx context.Context, username string, enabled bool) error {
	return d.write(ctx, func(tx *Tx) error {
		tx.ended(EndedUsers, username)
		_, err := tx.exec(setReservedEnabled, username, flag(enabled))
		return err
	})
}

const setReservedEnabled = `
	INSERT INTO reserved_users (username, hash, generated, enabled) VALUES ($1, '', 0, $2)
	ON CONFLICT (username) DO UPDATE SET enabled = excluded.enabled`

// InitReservedUserPassword implements user.Store.
func (d *DB) InitReservedUserPassword(ctx context.Context, username, hash string, generated bool) (done bool, err error) {
	err = d.write(ctx, func(tx *Tx) error {
		done, err = changedOne(tx.exec(`
			INSERT INTO reserved_users (username, hash, generated, enabled) VALUES ($1, $2, $3, 1)
			ON CONFLICT (username) DO UPDATE SET hash = excluded.hash, generated = excluded.generated
			WHERE reserved_users.hash = '' OR reserved_users.generated = 1 AND excluded.generated = 0`,
			username, hash, flag(generated)))
		if done {
			tx.ended(EndedUsers, username)
		}
		return err
	})
	return done && err == nil, err
}

func noUser(username string) error { return fault.New(fault.NotFound, "user [%s] not found", username) }

// changedOne reports whether a statement changed a row.
func changedOne(rows result, err error) (bool, error) { return rows > 0, err }

// flag is how a boolean is kept: one engine has no such type.
func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
