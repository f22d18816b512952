package sqlstore

import (
	"context"

	"latchkey/internal/apikey"
	"latchkey/internal/secret"
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
	var keys []string
	err = d.write(ctx, func(tx *Tx) (err error) {
		found, done, keys = false, user.Revoked{}, nil
		switch {
		case c.Delete:
			found, err = changedOne(tx.exec(`DELETE FROM users WHERE username = $1`, c.Username))
		case c.Reserved:
			found, err = changedOne(tx.exec(setReservedEnabled, c.Username, flag(false)))
		default:
			found, err = changedOne(tx.exec(`UPDATE users SET enabled = $2 WHERE username = $1`, c.Username, flag(false)))
		}
		if err != nil || !found && !c.Delete {
			return err
		}
		tx.ended(EndedUsers, c.Username)
		if c.Changed != nil {
			tx.committed(c.Changed)
		}
		if c.APIKeys {
			for _, w := range where(apikey.Selector{Username: c.Username, Realm: c.Realm}) {
				w.add("invalidated_at IS NULL")
				if c.RESTOnly {
					w.add("type = %s", string(apikey.REST))
				}
				if err := tx.texts(&keys, `SELECT id`+fromKeys+w.String(), w.args...); err != nil {
					return err
				}
			}
			if keys, err = tx.invalidate(keys, c.At); err != nil {
				return err
			}
			done.APIKeys = len(keys)
		}
		if len(keys) > 0 {
			tx.ended(EndedAPIKeys, keys...)
			tx.committed(func() { c.Ended.Keys(keys) })
		}
		if !c.Tokens {
			return nil
		}
		if err := tx.lockTokens(c.Username); err != nil {
			return err
		}
		w := (&condition{}).add(liveToken, c.At.UnixMilli(), c.TokensCreatedFrom.UnixMilli()).
			add("username = %s", c.Username).add("realm = %s", c.Realm)
		halves, err := tx.switchOff(c.At, func(hashes []secret.TokenHash) {
			if len(hashes) > 0 {
				c.Ended.Tokens(hashes)
			}
		}, selectHalves+w.String(), w.args...)
		done.Tokens = halves.Now
		return err
	})
	if err != nil {
		return false, user.Revoked{}, err
	}
	return found, done, nil
}
