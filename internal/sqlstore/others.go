package sqlstore

import (
	"database/sql"
	"errors"
	"hash/fnv"
	"slices"

	"latchkey/internal/token"
)

// What acts need where other writers change the same store: each statement sees
// what they have committed before it, and a row that was read may be another one
// when it is written.

// put inserts a row or, where it is there already, updates it. Both statements take
// all args.
func (tx *Tx) put(insert, update string, args ...any) (created bool, err error) {
	for {
		created, err = changedOne(tx.exec(insert, args...))
		if err != nil || created {
			return created, err
		}
		if updated, err := changedOne(tx.exec(update, args...)); err != nil || updated {
			return false, err
		}
		// Another writer has removed it in between.
	}
}

// lock keeps other writers from changing the tokens that a query finds until the
// act is done, and has the query tell what they have left.
func (tx *Tx) lock() string {
	if !tx.dialect.others {
		return ""
	}
	return ` ORDER BY id FOR UPDATE OF tokens`
}

// lockRow is lock for a query of one row of one table.
func (tx *Tx) lockRow() string {
	if !tx.dialect.others {
		return ""
	}
	return ` FOR UPDATE`
}

// keepRow is lock for a query of keys that others may go on changing, but not
// remove.
func (tx *Tx) keepRow() string {
	if !tx.dialect.others {
		return ""
	}
	return ` FOR KEY SHARE OF api_keys`
}

// A refresh elsewhere makes a token that a statement, which began before, does not
// see: whoever keeps ahead of somebody who ends the tokens of a user, would outlive
// that. So users have locks, several one of them: refreshes share it, and who ends
// tokens by user has it alone.
const tokenLocks = 64

// lockRefresh has nobody end the tokens of the user to whom a refresh token
// belongs, until the act is done.
func (tx *Tx) lockRefresh(refresh token.Hash) error {
	if !tx.dialect.others {
		return nil
	}
	var username string
	err := tx.row(`SELECT username FROM tokens WHERE refresh_hash = $1`, refresh[:]).Scan(&username)
	if err == nil {
		_, err = tx.exec(`SELECT slot FROM token_locks WHERE slot = $1 FOR SHARE`, lockOf(username))
	}
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return err
}

// lockTokens has nobody refresh tokens of a user, or of anybody if it is "", until
// the act is done.
func (tx *Tx) lockTokens(username string) (err error) {
	switch {
	case !tx.dialect.others:
	case username == "":
		_, err = tx.exec(`SELECT slot FROM token_locks ORDER BY slot FOR UPDATE`)
	default:
		_, err = tx.exec(`SELECT slot FROM token_locks WHERE slot = $1 FOR UPDATE`, lockOf(username))
	}
	return err
}

func lockOf(username string) int64 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(username)) // it cannot fail
	return int64(h.Sum32() % tokenLocks)
}

// lockKeys keeps other writers from changing the keys of a condition until the
// act is done. What is read after that is what they have left.
func (tx *Tx) lockKeys(w *condition) error {
	if !tx.dialect.others {
		return nil
	}
	var locked []string
	return tx.texts(&locked, `SELECT id FROM api_keys`+w.String()+` ORDER BY id FOR UPDATE`, w.args...)
}

// without returns the texts of all that are not in some.
func without(all, some []string) []string {
	in := make(map[string]bool, len(some))
	for _, s := range some {
		in[s] = true
	}
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return in[s] })
}
