package sqlstore

import (
	"context"
	"slices"

	"latchkey/internal/fleet"
)

// What rooms forget at somebody's wish, all other nodes have to forget, too. Each
// of these returns once none of them uses what it had.

// EndedLogins is the kind of what realms keep of their users: names of realms, an
// empty one, and names of users; no users are all of them.
const EndedLogins = "logins"

// ForgetAPIKeys implements apikey.Store.
func (d *DB) ForgetAPIKeys(ctx context.Context, ids []string) error {
	return d.forget(ctx, EndedAPIKeys, ids)
}

// ForgetRoles implements role.Store.
func (d *DB) ForgetRoles(ctx context.Context, names []string) error {
	return d.forget(ctx, EndedRoles, names)
}

// ForgetServiceTokens implements serviceaccount.Store.
func (d *DB) ForgetServiceTokens(ctx context.Context, names []string) error {
	return d.forget(ctx, EndedServiceTokens, names)
}

// ForgetApplicationPrivileges implements application.Store.
func (d *DB) ForgetApplicationPrivileges(ctx context.Context, applications []string) error {
	return d.forget(ctx, EndedApplicationPrivileges, applications)
}

// ForgetLogins is for [realm.Options].
func (d *DB) ForgetLogins(ctx context.Context, realms, usernames []string) error {
	if len(realms) == 0 {
		return nil
	}
	return d.forget(ctx, EndedLogins, slices.Concat(realms, []string{""}, usernames))
}

// forget has all nodes forget what they have of a kind, or all of it for no names.
func (d *DB) forget(ctx context.Context, kind string, names []string) error {
	if d.fleet == nil {
		return nil
	}
	return d.write(ctx, func(tx *Tx) error {
		if len(names) == 0 {
			tx.current.changes = append(tx.current.changes, fleet.Change{Kind: kind, Body: []byte{}})
		} else {
			tx.ended(kind, names...)
		}
		return nil
	})
}
