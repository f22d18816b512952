package sqlstore

import (
	"context"

	"latchkey/internal/apikey"
	"latchkey/internal/secret"
	"latchkey/internal/token"
	"latchkey/internal/user"
)

// CutOffUser implements user.Store.
func (d *DB) CutOffUser(ctx context.Context, c user.CutOff) (bool, user.Revoked, error) {
	found, done, err := d.cutOff(ctx, c)
	if err != nil || d.fleet == nil || !found && !c.Delete {
		return found, done, err
	}
	// Another node may have made a credential of the user since the act has looked for them. Now that the act has
	// passed the barrier, no node hands out any more.
	_, late, err := d.cutOff(ctx, c)
	if err != nil {
		return false, user.Revoked{}, err
	}
	done.APIKeys += late.APIKeys
	done.Tokens += late.Tokens
	return found, done, nil
}

func (d *DB) cutOff(ctx context.Context, c user.CutOff) (found bool, done user.Revoked, err error) {
	begun := false
	keys := keyMass{sel: apikey.Selector{Username: c.Username, Realm: c.Realm}, restOnly: c.RESTOnly, at: c.At, over: !c.APIKeys, changed: func(ids []string) {
		if len(ids) > 0 {
			c.Ended.Keys(ids)
		}
	}}
	tokens := newTokenMass(token.Selector{Username: c.Username, Realm: c.Realm, ExpiresFrom: c.At, CreatedFrom: c.TokensCreatedFrom}, c.At, func(hashes []secret.TokenHash) {
		if len(hashes) > 0 {
			c.Ended.Tokens(hashes)
		}
	})
	tokens.over = !c.Tokens
	err = d.writeEach(ctx, func(tx *Tx) (more bool, err error) {
		if !begun {
			if found, err = tx.shutOut(c); err != nil || !found && !c.Delete {
				return false, err
			}
			tx.ended(EndedUsers, c.Username)
			tx.committed(func() { begun = true })
			if c.Changed != nil {
				tx.committed(c.Changed)
			}
		}
		for _, mass := range []struct {
			over bool
			next func(*Tx) (bool, error)
		}{{keys.over, keys.next}, {tokens.over, tokens.next}} {
			if mass.over {
				continue
			}
			rest, err := mass.next(tx)
			if err != nil {
				return false, err
			}
			more = more || rest
		}
		return more, nil
	})
	if err != nil {
		return false, user.Revoked{}, err
	}
	return found, user.Revoked{Tokens: tokens.found.Now, APIKeys: len(keys.found.IDs)}, nil
}

// shutOut deletes or disables a user, and reports whether there is one.
func (tx *Tx) shutOut(c user.CutOff) (found bool, err error) {
	switch {
	case c.Delete:
		return changedOne(tx.exec(`DELETE FROM users WHERE username = $1`, c.Username))
	case c.Reserved:
		return changedOne(tx.exec(setReservedEnabled, c.Username, flag(false)))
	}
	return changedOne(tx.exec(`UPDATE users SET enabled = $2 WHERE username = $1`, c.Username, flag(false)))
}
