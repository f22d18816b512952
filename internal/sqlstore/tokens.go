package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"latchkey/internal/fault"
	"latchkey/internal/token"
)

var _ token.Store = (*DB)(nil)

// InsertToken implements token.Store.
func (d *DB) InsertToken(ctx context.Context, r token.Record) error {
	return d.writeFirst(ctx, func(tx *Tx) error { return tx.insertToken(r) })
}

func (tx *Tx) insertToken(r token.Record) error {
	_, err := tx.exec(`
		INSERT INTO tokens (created_at, access_hash, access_expires_at, access_off_at, refresh_hash, refresh_off_at, refreshed_at, sealed, username, realm, identity)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		r.CreatedAt.UnixMilli(), r.Access[:], r.ExpiresAt.UnixMilli(), millis(r.AccessOffAt), hashOrNull(r.Refresh), millis(r.RefreshOffAt),
		millis(r.RefreshedAt), r.Sealed, r.Username, r.Realm, r.Identity.Digest[:])
	if err == nil {
		err = tx.share(&tx.identities, r.Identity.Digest, r.Identity.Body)
	}
	if err == nil && !tx.tokenIssued {
		_, err = tx.exec(`INSERT INTO meta (name, value) VALUES ($1, 'yes') ON CONFLICT (name) DO NOTHING`, tokenIssued)
		tx.committed(func() { tx.tokenIssued = true })
	}
	return err
}

// tokenIssued names the value that is set with the first token, and stays.
const tokenIssued = "token_issued"

func hashOrNull(h token.Hash) []byte {
	if h == (token.Hash{}) {
		return nil
	}
	return h[:]
}

// Issued implements token.Store.
func (d *DB) Issued(ctx context.Context) (bool, error) {
	_, err := d.Meta(ctx, tokenIssued)
	if fault.KindOf(err) == fault.NotFound {
		return false, nil
	}
	return err == nil, err
}

const selectTokens = `
	SELECT created_at, access_hash, access_expires_at, access_off_at, refresh_hash, refresh_off_at, refreshed_at, sealed, username, realm, digest, body
	FROM tokens JOIN token_identities ON digest = identity`

func scanToken(row scanner) (token.Record, error) {
	var r token.Record
	var created, expires int64
	var accessOff, refreshOff, refreshed sql.NullInt64
	var accessHash, refreshHash, digest []byte
	err := row.Scan(&created, &accessHash, &expires, &accessOff, &refreshHash, &refreshOff, &refreshed, &r.Sealed,
		&r.Username, &r.Realm, &digest, &r.Identity.Body)
	if errors.Is(err, sql.ErrNoRows) {
		return r, fault.New(fault.NotFound, "token not found")
	}
	copy(r.Access[:], accessHash)
	copy(r.Refresh[:], refreshHash)
	copy(r.Identity.Digest[:], digest)
	r.CreatedAt, r.ExpiresAt = time.UnixMilli(created).UTC(), time.UnixMilli(expires).UTC()
	r.AccessOffAt, r.RefreshOffAt, r.RefreshedAt = fromMillis(accessOff), fromMillis(refreshOff), fromMillis(refreshed)
	return r, err
}

// Token implements token.Store.
func (d *DB) Token(ctx context.Context, access token.Hash) (token.Record, error) {
	r, err := scanToken(d.load(ctx, selectTokens+` WHERE access_hash = $1`, access[:]))
	return r, d.classify(err)
}

// RefreshToken implements token.Store.
func (d *DB) RefreshToken(ctx context.Context, refresh token.Hash) (token.Record, error) {
	r, err := scanToken(d.row(ctx, selectTokens+` WHERE refresh_hash = $1`, refresh[:]))
	return r, d.classify(err)
}

// UseRefreshToken implements token.Store.
func (d *DB) UseRefreshToken(ctx context.Context, refresh token.Hash, judge func(token.Record) token.Use, changed func([]token.Hash)) (token.Record, error) {
	var r token.Record
	err := d.write(ctx, func(tx *Tx) (err error) {
		if err = tx.lockRefresh(refresh); err != nil {
			return err
		}
		if r, err = scanToken(tx.row(selectTokens+` WHERE refresh_hash = $1`+tx.lock(), refresh[:])); err != nil {
			return err
		}
		use := judge(r)
		switch {
		case use.Next != nil:
			if err := tx.insertToken(*use.Next); err != nil {
				return err
			}
			_, err := tx.exec(`UPDATE tokens SET refreshed_at = $1, successor = $2, sealed = $3 WHERE refresh_hash = $4`,
				use.At.UnixMilli(), use.Next.Refresh[:], use.Sealed, refresh[:])
			return err
		case use.EndFamily:
			if err := tx.lockTokens(r.Username); err != nil {
				return err
			}
			if _, _, err = tx.switchOff(use.At, changed, owner{}, `
				WITH RECURSIVE family (hash) AS (
					SELECT successor FROM tokens WHERE refresh_hash = $1 AND successor IS NOT NULL
					UNION
					SELECT successor FROM tokens JOIN family ON refresh_hash = hash WHERE successor IS NOT NULL)
				`+selectHalves+` JOIN family ON refresh_hash = hash WHERE `+anyHalfOn+tx.lock(), refresh[:]); err != nil {
				return err
			}
			// None of them can have a descendant any more, so nobody has to go this way again: it may be long.
			_, err = tx.exec(`UPDATE tokens SET successor = NULL WHERE refresh_hash = $1 AND successor IS NOT NULL`, refresh[:])
			return err
		}
		return nil
	})
	return r, err
}

// InvalidateTokens implements token.Store.
func (d *DB) InvalidateTokens(ctx context.Context, sel token.Selector, at time.Time, changed func([]token.Hash)) (token.Halves, error) {
	if sel.Access != (token.Hash{}) || sel.Refresh != (token.Hash{}) {
		var found token.Halves
		err := d.write(ctx, func(tx *Tx) (err error) {
			if sel.Access != (token.Hash{}) {
				found, err = tx.switchOffHalf("access_hash", "access_off_at", sel.Access, at, changed)
			} else {
				found, err = tx.switchOffHalf("refresh_hash", "refresh_off_at", sel.Refresh, at, changed)
			}
			return err
		})
		if err != nil {
			return token.Halves{}, err
		}
		return found, nil
	}
	m := newTokenMass(sel, at, changed)
	if err := d.writeEach(ctx, m.next); err != nil {
		return token.Halves{}, err
	}
	return m.found, nil
}

// switchOffHalf switches off one half of one token. The names of the columns are constants.
func (tx *Tx) switchOffHalf(hashColumn, offColumn string, hash token.Hash, at time.Time, changed func([]token.Hash)) (token.Halves, error) {
	var accessHash []byte
	var off sql.NullInt64
	err := tx.row(`SELECT access_hash, `+offColumn+` FROM tokens WHERE `+hashColumn+` = $1`+tx.lock(), hash[:]).Scan(&accessHash, &off)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return token.Halves{}, nil
	case err != nil:
		return token.Halves{}, err
	case off.Valid:
		tx.ended(EndedTokens)
		return token.Halves{Before: 1}, nil
	}
	tx.ended(EndedTokens, string(accessHash))
	_, err = tx.exec(`UPDATE tokens SET `+offColumn+` = $1 WHERE `+hashColumn+` = $2`, at.UnixMilli(), hash[:])
	tx.committed(func() { changed([]token.Hash{token.Hash(accessHash)}) })
	return token.Halves{Now: 1}, err
}

const (
	// liveToken takes the time from which an access half expires, and the one from which a refresh half was created.
	liveToken    = `(access_off_at IS NULL AND access_expires_at >= %s OR refresh_hash IS NOT NULL AND refresh_off_at IS NULL AND created_at >= %s)`
	selectHalves = `SELECT id, access_hash, access_off_at IS NULL, CASE WHEN refresh_hash IS NULL THEN NULL ELSE refresh_off_at IS NULL END FROM tokens`
	anyHalfOn    = `(access_off_at IS NULL OR refresh_hash IS NOT NULL AND refresh_off_at IS NULL)`
)

// switchOff switches off both halves of the tokens that a selection of halves
// finds, and returns the ids of these. A mass of them goes in steps, as invalidate
// has it. Where there are other writers, the tokens are locked, and so is their user.
func (tx *Tx) switchOff(at time.Time, changed func([]token.Hash), of owner, selection string, args ...any) (token.Halves, []any, error) {
	found, ids, hashes, err := tx.halves(selection, args)
	if err != nil {
		return found, nil, err
	}
	size := invalidationStep
	if tx.dialect.others {
		size = maxIDs
	}
	p := tx.newPace()
	for step := range slices.Chunk(ids, size) {
		if err := tx.execIn(`
			UPDATE tokens SET access_off_at = COALESCE(access_off_at, $1),
				refresh_off_at = CASE WHEN refresh_hash IS NOT NULL THEN COALESCE(refresh_off_at, $1) END
			WHERE id IN (`, step, size, at.UnixMilli()); err != nil {
			return found, nil, err
		}
		if len(step) < len(ids) {
			p.step()
		}
	}
	names := make([]string, len(hashes))
	for i, h := range hashes {
		names[i] = string(h[:])
	}
	tx.endedMass(EndedTokens, of, names)
	tx.committed(func() { changed(hashes) })
	return found, ids, nil
}

// halves counts what a selection of halves finds, and returns the ids of the
// tokens and their access hashes.
func (tx *Tx) halves(selection string, args []any) (found token.Halves, ids []any, hashes []token.Hash, err error) {
	rows, err := tx.queryOnce(selection, args...)
	if err != nil {
		return found, nil, nil, err
	}
	count := func(on bool) {
		if on {
			found.Now++
		} else {
			found.Before++
		}
	}
	var accessHash []byte
	p := tx.newPace()
	for rows.Next() {
		if len(ids)%manyRows == manyRows-1 {
			p.step()
		}
		var id int64
		var accessOn bool
		var refreshOn sql.NullBool
		if err := rows.Scan(&id, &accessHash, &accessOn, &refreshOn); err != nil {
			return found, nil, nil, errors.Join(err, rows.Close())
		}
		ids, hashes = append(ids, id), append(hashes, token.Hash(accessHash))
		count(accessOn)
		if refreshOn.Valid {
			count(refreshOn.Bool)
		}
	}
	return found, ids, hashes, errors.Join(rows.Err(), rows.Close())
}

// execIn runs a statement that ends with a list of values after its other
// arguments. full is how many values the usual list has: its text is prepared once.
func (tx *Tx) execIn(query string, values []any, full int, args ...any) error {
	var b strings.Builder
	b.WriteString(query)
	for i := range values {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(len(args) + 1 + i))
	}
	b.WriteByte(')')
	args = append(args, values...)
	var err error
	if len(values) == full {
		_, err = tx.exec(b.String(), args...)
	} else {
		_, err = tx.execOnce(b.String(), args...)
	}
	return err
}

// PurgeTokens implements token.Store.
func (d *DB) PurgeTokens(ctx context.Context, before time.Time, limit int) ([]token.Hash, error) {
	// Finding them happens outside the writer; none of them can become younger.
	rows, err := d.query(ctx, `SELECT id, access_hash FROM tokens WHERE created_at <= $1 ORDER BY id LIMIT $2`, before.UnixMilli(), limit)
	if err != nil {
		return nil, err
	}
	var ids []any
	var hashes []token.Hash
	for rows.Next() {
		var id int64
		var hash []byte
		if err := rows.Scan(&id, &hash); err != nil {
			return nil, errors.Join(err, rows.Close())
		}
		ids, hashes = append(ids, id), append(hashes, token.Hash(hash))
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil || len(ids) == 0 && !d.others { // who may have spared an identity before
		return nil, d.classify(err)
	}
	err = d.write(ctx, func(tx *Tx) error {
		for step := range slices.Chunk(ids, maxIDs) {
			// The time once more: the engine may give the id of a token that is gone to a new one.
			if err := tx.execIn(`DELETE FROM tokens WHERE created_at <= $1 AND id IN (`, step, maxIDs, before.UnixMilli()); err != nil {
				return err
			}
		}
		if len(ids) == limit {
			return nil
		}
		return tx.purgeShared(&tx.identities)
	})
	if err != nil {
		return nil, err
	}
	return hashes, nil
}
