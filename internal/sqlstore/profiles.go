package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"latchkey/internal/fault"
	"latchkey/internal/profile"
)

var _ profile.Store = (*DB)(nil)

const selectProfiles = `SELECT uid, username, realm, roles, full_name, email, enabled, synced_at, labels, data, version FROM profiles`

func scanProfile(row scanner) (profile.Profile, error) {
	var p profile.Profile
	var roles, labels, data string
	var synced int64
	err := row.Scan(&p.UID, &p.Username, &p.Realm, &roles, &p.FullName, &p.Email, &p.Enabled, &synced, &labels, &data, &p.Version)
	if err != nil {
		return p, err
	}
	p.SyncedAt, p.Labels, p.Data = time.UnixMilli(synced).UTC(), json.RawMessage(labels), json.RawMessage(data)
	if err := json.Unmarshal([]byte(roles), &p.Roles); err != nil {
		return p, fmt.Errorf("read the roles of profile %s: %w", p.UID, err)
	}
	return p, nil
}

// ActivateProfile implements profile.Store.
func (d *DB) ActivateProfile(ctx context.Context, p profile.Profile) (profile.Profile, error) {
	roles, err := json.Marshal(p.Roles)
	if err != nil {
		return profile.Profile{}, err
	}
	var now profile.Profile
	err = d.write(ctx, func(tx *Tx) error {
		_, err := tx.exec(`
			INSERT INTO profiles (uid, username, realm, roles, full_name, email, enabled, synced_at, labels, data, version)
			VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $8, $9, 0)
			ON CONFLICT (uid) DO UPDATE SET username = excluded.username, realm = excluded.realm, roles = excluded.roles,
				full_name = excluded.full_name, email = excluded.email, enabled = 1, synced_at = excluded.synced_at, version = profiles.version + 1`,
			p.UID, p.Username, p.Realm, string(roles), p.FullName, p.Email, p.SyncedAt.UnixMilli(), string(p.Labels), string(p.Data))
		if err != nil {
			return err
		}
		now, err = scanProfile(tx.row(selectProfiles+` WHERE uid = $1`, p.UID))
		return err
	})
	if err != nil {
		return profile.Profile{}, err
	}
	return now, nil
}

// Profiles implements profile.Store.
func (d *DB) Profiles(ctx context.Context, uids []string) ([]profile.Profile, error) {
	if len(uids) == 0 {
		return nil, nil
	}
	where, args := oneOf("uid", uids)
	return d.profiles(d.queryOnce(ctx, selectProfiles+where+` ORDER BY uid`, args...))
}

// EnabledProfiles implements profile.Store.
func (d *DB) EnabledProfiles(ctx context.Context) ([]profile.Profile, error) {
	return d.profiles(d.query(ctx, selectProfiles+` WHERE enabled = 1 ORDER BY uid`))
}

func (d *DB) profiles(rows *rows, err error) ([]profile.Profile, error) {
	if err != nil {
		return nil, err
	}
	var all []profile.Profile
	for rows.Next() {
		p, err := scanProfile(rows)
		if err != nil {
			return nil, errors.Join(d.classify(err), rows.Close())
		}
		all = append(all, p)
	}
	return all, d.classify(errors.Join(rows.Err(), rows.Close()))
}

// ChangeProfile implements profile.Store.
func (d *DB) ChangeProfile(ctx context.Context, uid string, change func(*profile.Profile) error) error {
	return d.write(ctx, func(tx *Tx) error {
		p, err := scanProfile(tx.row(selectProfiles+` WHERE uid = $1`+tx.lockRow(), uid))
		if errors.Is(err, sql.ErrNoRows) {
			return fault.New(fault.NotFound, "profile [%s] not found", uid)
		}
		if err == nil {
			err = change(&p)
		}
		if err != nil {
			return err
		}
		roles, err := json.Marshal(p.Roles)
		if err != nil {
			return err
		}
		_, err = tx.exec(`
			UPDATE profiles SET roles = $2, full_name = $3, email = $4, enabled = $5, synced_at = $6, labels = $7, data = $8, version = version + 1
			WHERE uid = $1`,
			uid, string(roles), p.FullName, p.Email, flag(p.Enabled), p.SyncedAt.UnixMilli(), string(p.Labels), string(p.Data))
		return err
	})
}
