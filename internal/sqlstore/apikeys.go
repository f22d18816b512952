package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"latchkey/internal/apikey"
	"latchkey/internal/fault"
)

var _ apikey.Store = (*DB)(nil)

// InsertAPIKey implements apikey.Store.
func (d *DB) InsertAPIKey(ctx context.Context, k apikey.Key, sets ...apikey.RoleSet) error {
	var limitedBy []byte
	if k.LimitedBy != (apikey.Digest{}) {
		limitedBy = k.LimitedBy[:]
	}
	// The key comes first: it alone can be refused, and then nothing is done.
	return d.writeFirst(ctx, func(tx *Tx) error {
		added, err := changedOne(tx.exec(`
			INSERT INTO api_keys (id, type, name, username, realm, realm_type, hash, created_at, expires_at, roles, limited_by, metadata,
				owner_name, owner_email, owner_metadata, old_hash, old_until, certificate_identity)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
			ON CONFLICT (id) DO NOTHING`,
			k.ID, string(k.Type), k.Name, k.Owner.Username, k.Owner.Realm, k.Owner.RealmType, k.Hash,
			k.CreatedAt.UnixMilli(), millis(k.ExpiresAt), k.Roles[:], limitedBy, string(k.Metadata),
			k.Owner.FullName, k.Owner.Email, string(k.Owner.Metadata), k.OldHash, millis(k.OldUntil), k.CertificateIdentity))
		if err == nil && !added {
			return fault.New(fault.Conflict, "api key [%s] already exists", k.ID)
		}
		if err == nil {
			tx.searchableAdded(&k)
		}
		if err == nil && !k.InvalidatedAt.IsZero() {
			_, err = tx.invalidate([]string{k.ID}, k.InvalidatedAt)
		}
		for _, s := range sets {
			if err == nil {
				err = tx.share(&tx.sets, s.Digest, s.Body)
			}
		}
		return err
	})
}

const selectKeys = `
	SELECT id, type, name, username, realm, realm_type, hash, created_at, expires_at, invalidated_at, roles, limited_by, metadata,
		owner_name, owner_email, owner_metadata, old_hash, old_until, certificate_identity` + fromKeys

// fromKeys are the keys with what became of them.
const fromKeys = ` FROM api_keys LEFT JOIN invalidated_keys ON key_id = id`

func scanKey(row scanner) (apikey.Key, error) {
	var k apikey.Key
	var typ string
	var created int64
	var expires, invalidated, oldUntil sql.NullInt64
	var roles, limitedBy, metadata, ownerMetadata []byte
	err := row.Scan(&k.ID, &typ, &k.Name, &k.Owner.Username, &k.Owner.Realm, &k.Owner.RealmType, &k.Hash,
		&created, &expires, &invalidated, &roles, &limitedBy, &metadata,
		&k.Owner.FullName, &k.Owner.Email, &ownerMetadata, &k.OldHash, &oldUntil, &k.CertificateIdentity)
	if err != nil {
		return k, err
	}
	k.Type, k.Metadata, k.Owner.Metadata = apikey.Type(typ), metadata, ownerMetadata
	k.CreatedAt, k.ExpiresAt, k.InvalidatedAt = time.UnixMilli(created).UTC(), fromMillis(expires), fromMillis(invalidated)
	k.OldUntil = fromMillis(oldUntil)
	copy(k.Roles[:], roles)
	copy(k.LimitedBy[:], limitedBy)
	return k, nil
}

// APIKey implements apikey.Store.
func (d *DB) APIKey(ctx context.Context, id string) (apikey.Key, error) {
	k, err := scanKey(d.load(ctx, selectKeys+` WHERE id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return apikey.Key{}, fault.New(fault.NotFound, "api key [%s] not found", id)
	}
	return k, d.classify(err)
}

// APIKeys implements apikey.Store.
func (d *DB) APIKeys(ctx context.Context, sel apikey.Selector, activeAt time.Time) ([]apikey.Key, error) {
	var keys []apikey.Key
	for _, w := range where(sel) {
		if !activeAt.IsZero() {
			w.add("invalidated_at IS NULL AND (expires_at IS NULL OR expires_at > %s)", activeAt.UnixMilli())
		}
		rows, err := d.queryOnce(ctx, selectKeys+w.String(), w.args...)
		if err != nil {
			return nil, err
		}
		if err := scanKeys(rows, &keys); err != nil {
			return nil, d.classify(err)
		}
	}
	slices.SortFunc(keys, func(a, b apikey.Key) int {
		if c := a.CreatedAt.Compare(b.CreatedAt); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return keys, nil
}

// scanKeys appends the keys of rows to dest and closes them.
func scanKeys(rows *rows, dest *[]apikey.Key) error {
	defer rows.Close()
	for rows.Next() {
		k, err := scanKey(rows)
		if err != nil {
			return err
		}
		*dest = append(*dest, k)
	}
	return rows.Err()
}

// RoleSet implements apikey.Store.
func (d *DB) RoleSet(ctx context.Context, digest apikey.Digest) ([]byte, error) {
	var body []byte
	err := d.get(ctx, `SELECT body FROM role_sets WHERE digest = $1`, []any{digest[:]}, &body)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fault.New(fault.NotFound, "role set [%x] not found", digest)
	}
	return body, err
}

// InvalidateAPIKeys implements apikey.Store.
func (d *DB) InvalidateAPIKeys(ctx context.Context, sel apikey.Selector, restOnly bool, at time.Time, changed func(ids []string)) (apikey.Invalidated, error) {
	var found apikey.Invalidated
	if len(sel.IDs) > fewIDs {
		// Looked up by the readers first: what a stranger invents must not hold up the writer.
		there, err := d.existing(ctx, apikey.Selector{IDs: sel.IDs})
		if err == nil && len(there) == 0 {
			err = d.foundEnded(ctx, EndedAPIKeys)
		}
		if err != nil || len(there) == 0 {
			return found, err
		}
		sel.IDs = there
	}
	m := keyMass{sel: sel, restOnly: restOnly, at: at, changed: changed}
	if err := d.writeEach(ctx, m.next); err != nil {
		return apikey.Invalidated{}, err
	}
	found = m.found
	if d.fleet != nil && m.whose() != (owner{}) {
		// As in CutOffUser: until it had passed the barrier, another node may have made a key for who holds one of them.
		late := keyMass{sel: sel, restOnly: restOnly, at: at, changed: changed}
		if err := d.writeEach(ctx, late.next); err != nil {
			return apikey.Invalidated{}, fault.Wrap(err, fault.Unknown, "a part of the change was made; repeat the request")
		}
		found.IDs = append(found.IDs, late.found.IDs...)
	}
	if len(sel.IDs) > 0 && d.others { // who may have invalidated some since they were found
		found.Before = append(found.Before, without(m.live, found.IDs)...)
		found.NotReached = without(found.NotReached, found.Before)
	}
	slices.Sort(found.IDs)
	slices.Sort(found.Before)
	found.Before = slices.Compact(found.Before)
	slices.Sort(found.NotReached)
	return found, nil
}

// fewIDs are so few that looking for them is not worth a read of its own.
const fewIDs = 100

// existing returns the ids of the keys that sel chooses by id and by what never
// changes of them. No id comes into being later: they are made by us, at random.
func (d *DB) existing(ctx context.Context, sel apikey.Selector) ([]string, error) {
	var there []string
	for _, w := range where(sel) {
		rows, err := d.queryOnce(ctx, `SELECT id FROM api_keys`+w.String(), w.args...)
		if err != nil {
			return nil, err
		}
		if err := scanTexts(rows, &there); err != nil {
			return nil, d.classify(err)
		}
	}
	return there, nil
}

// UpdateAPIKeys implements apikey.Store.
func (d *DB) UpdateAPIKeys(ctx context.Context, sel apikey.Selector, sets []apikey.RoleSet, judge func(k *apikey.Key) bool, changed func(ids []string)) error {
	if len(sel.IDs) > fewIDs {
		there, err := d.existing(ctx, sel)
		if err != nil || len(there) == 0 {
			return err
		}
		sel.IDs = there
	}
	return d.write(ctx, func(tx *Tx) error {
		var ids []string
		p := tx.newPace()
		for step := range slices.Chunk(sel.IDs, updateStep) {
			part := sel
			part.IDs = step
			var keys []apikey.Key
			for _, w := range where(part) {
				if err := tx.lockKeys(w); err != nil {
					return err
				}
				rows, err := tx.queryOnce(selectKeys+w.String(), w.args...)
				if err != nil {
					return err
				}
				if err := scanKeys(rows, &keys); err != nil {
					return err
				}
			}
			for i := range keys {
				k := &keys[i]
				id := k.ID
				if !judge(k) {
					continue
				}
				if err := tx.updateKey(id, k); err != nil {
					return err
				}
				ids = append(ids, id)
			}
			if len(step) < len(sel.IDs) {
				p.step()
			}
		}
		tx.endedMass(EndedAPIKeys, owner{}, ids)
		if len(ids) == 0 {
			return nil
		}
		for _, s := range sets {
			if err := tx.share(&tx.sets, s.Digest, s.Body); err != nil {
				return err
			}
		}
		tx.committed(func() { changed(ids) })
		return nil
	})
}

const updateStep = 50 // keys

func (tx *Tx) updateKey(id string, k *apikey.Key) error {
	var limitedBy []byte
	if k.LimitedBy != (apikey.Digest{}) {
		limitedBy = k.LimitedBy[:]
	}
	_, err := tx.exec(`
		UPDATE api_keys SET realm_type = $2, expires_at = $3, roles = $4, limited_by = $5, metadata = $6,
			owner_name = $7, owner_email = $8, owner_metadata = $9, hash = $10, old_hash = $11, old_until = $12,
			certificate_identity = $13
		WHERE id = $1`,
		id, k.Owner.RealmType, millis(k.ExpiresAt), k.Roles[:], limitedBy, string(k.Metadata),
		k.Owner.FullName, k.Owner.Email, string(k.Owner.Metadata), k.Hash, k.OldHash, millis(k.OldUntil), k.CertificateIdentity)
	if err == nil {
		tx.searchableUpdated(id, k)
	}
	return err
}

// PurgeAPIKeys implements apikey.Store.
func (d *DB) PurgeAPIKeys(ctx context.Context, before time.Time, limit int) ([]string, error) {
	// Finding them reads the whole table, so it happens outside the writer, which looks at each of them again.
	rows, err := d.query(ctx, `
		SELECT key_id FROM invalidated_keys WHERE invalidated_at <= $1
		UNION SELECT id FROM api_keys WHERE expires_at <= $1
		LIMIT $2`, before.UnixMilli(), limit)
	if err != nil {
		return nil, err
	}
	var found []string
	if err := scanTexts(rows, &found); err != nil || len(found) == 0 && !d.others { // who may have spared a set before
		return nil, d.classify(err)
	}
	var ids []string
	err = d.write(ctx, func(tx *Tx) error {
		ids = nil
		for chunk := range slices.Chunk(found, maxIDs) {
			w := where(apikey.Selector{IDs: chunk})[0]
			w.add("(expires_at <= %[1]s OR EXISTS (SELECT 1 FROM invalidated_keys WHERE key_id = id AND invalidated_at <= %[1]s))", before.UnixMilli())
			if err := tx.texts(&ids, `DELETE FROM api_keys`+w.String()+` RETURNING id`, w.args...); err != nil {
				return err
			}
		}
		tx.searchableRemoved(ids)
		// Not only of the keys that went now: another writer may have marked one that is gone.
		for chunk := range slices.Chunk(found, maxIDs) {
			c := &condition{}
			c.oneOf("key_id", chunk)
			c.add("NOT EXISTS (SELECT 1 FROM api_keys WHERE id = key_id)")
			for _, table := range []string{"invalidated_keys", "api_key_uses", "expiry_notices"} {
				if _, err := tx.execOnce(`DELETE FROM `+table+c.String(), c.args...); err != nil {
					return err
				}
			}
		}
		if len(found) == limit {
			return nil
		}
		return tx.purgeShared(&tx.sets)
	})
	return ids, err
}

// condition is a WHERE clause in the making.
type condition struct {
	parts []string
	args  []any
}

// add appends one part; each %s or %[n]s in it becomes the placeholder of a value.
func (c *condition) add(part string, values ...any) *condition {
	marks := make([]any, len(values))
	for i, v := range values {
		c.args = append(c.args, v)
		marks[i] = fmt.Sprintf("$%d", len(c.args))
	}
	c.parts = append(c.parts, fmt.Sprintf(part, marks...))
	return c
}

// oneOf appends that a column has one of the given values.
func (c *condition) oneOf(column string, values []string) {
	marks := make([]string, len(values))
	for i, v := range values {
		c.args = append(c.args, v)
		marks[i] = fmt.Sprintf("$%d", len(c.args))
	}
	c.parts = append(c.parts, column+" IN ("+strings.Join(marks, ",")+")")
}

func (c *condition) clone() *condition {
	return &condition{slices.Clone(c.parts), slices.Clone(c.args)}
}

func (c *condition) String() string {
	if len(c.parts) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(c.parts, " AND ")
}

// maxIDs bounds the ids in one statement: engines bound the placeholders.
const maxIDs = 1000

// where returns the conditions of sel; together they choose what sel chooses.
// It is more than one only for very many ids.
func where(sel apikey.Selector) []*condition {
	var all []*condition
	for chunk := range chunks(sel.IDs) {
		c := &condition{}
		if len(chunk) > 0 {
			c.oneOf("id", chunk)
		}
		if sel.Username != "" {
			c.add("username = %s", sel.Username)
		}
		if sel.Realm != "" {
			c.add("realm = %s", sel.Realm)
		}
		switch {
		case sel.Prefix && sel.Name != "":
			c.add("name >= %s", sel.Name)
			if end, ok := after(sel.Name); ok {
				c.add("name < %s", end)
			}
		case sel.Name != "":
			c.add("name = %s", sel.Name)
		}
		all = append(all, c)
	}
	return all
}

// chunks yields ids in parts of at most maxIDs, and one empty part if there are none.
func chunks(ids []string) func(func([]string) bool) {
	if len(ids) == 0 {
		return func(yield func([]string) bool) { yield(nil) }
	}
	return slices.Chunk(ids, maxIDs)
}

// after returns the least text that is greater than every text with the given
// prefix, in the order of bytes; ok is false if there is none.
func after(prefix string) (end string, ok bool) {
	for prefix != "" {
		r, size := utf8.DecodeLastRuneInString(prefix)
		prefix = prefix[:len(prefix)-size]
		switch {
		case r == 0xD7FF:
			return prefix + "\uE000", true // what lies between are no characters
		case r < utf8.MaxRune:
			return prefix + string(r+1), true
		}
	}
	return "", false
}
