package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"latchkey/internal/fault"
	"latchkey/internal/serviceaccount"
)

var _ serviceaccount.Store = (*DB)(nil)

// InsertServiceToken implements serviceaccount.Store.
func (d *DB) InsertServiceToken(ctx context.Context, t serviceaccount.Token) error {
	return d.write(ctx, func(tx *Tx) error {
		_, err := tx.exec(`INSERT INTO service_tokens (account, name, hash, created_at) VALUES ($1, $2, $3, $4)`,
			t.Account, t.Name, t.Hash, t.CreatedAt.UnixMilli())
		if d.taken(err) {
			return fault.Wrap(err, fault.Conflict, "service account [%s] already has a token [%s]", t.Account, t.Name)
		}
		return err
	})
}

// ServiceToken implements serviceaccount.Store.
func (d *DB) ServiceToken(ctx context.Context, account, name string) (serviceaccount.Token, error) {
	t := serviceaccount.Token{Account: account, Name: name}
	var created int64
	err := d.load(ctx, `SELECT hash, created_at FROM service_tokens WHERE account = $1 AND name = $2`, account, name).Scan(&t.Hash, &created)
	if errors.Is(err, sql.ErrNoRows) {
		err = fault.New(fault.NotFound, "service account [%s] has no token [%s]", account, name)
	}
	if err != nil {
		return serviceaccount.Token{}, d.classify(err)
	}
	t.CreatedAt = time.UnixMilli(created).UTC()
	return t, nil
}

// ServiceTokens implements serviceaccount.Store.
func (d *DB) ServiceTokens(ctx context.Context, account string) ([]string, error) {
	rows, err := d.query(ctx, `SELECT name FROM service_tokens WHERE account = $1 ORDER BY name`, account)
	if err != nil {
		return nil, err
	}
	var names []string
	err = scanTexts(rows, &names)
	return names, d.classify(err)
}

// DeleteServiceToken implements serviceaccount.Store.
func (d *DB) DeleteServiceToken(ctx context.Context, account, name string, deleted func()) (found bool, err error) {
	err = d.write(ctx, func(tx *Tx) error {
		tx.ended(EndedServiceTokens, account+"/"+name)
		found, err = changedOne(tx.exec(`DELETE FROM service_tokens WHERE account = $1 AND name = $2`, account, name))
		if found {
			tx.committed(deleted)
		}
		return err
	})
	return found && err == nil, err
}
