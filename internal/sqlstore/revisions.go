package sqlstore

import (
	"context"
	"crypto/rand"
	"database/sql"

	"latchkey/internal/fleet"
)

// The kinds of what a record ends in the memories of nodes. A change without
// names is of everything of its kind.
const (
	EndedAPIKeys               = "api_keys"               // by id
	EndedTokens                = "tokens"                 // by access hash
	EndedUsers                 = "users"                  // by username
	EndedRoles                 = "roles"                  // by name
	EndedRoleMappings          = "role_mappings"          // by name
	EndedServiceTokens         = "service_tokens"         // by account/name
	EndedApplicationPrivileges = "application_privileges" // by application
)

// Masses of keys and tokens have kinds of their own: these behind the kind of what
// they end. A release that does not know a kind forgets everything, so whatever
// changes what a body means is another kind.
const (
	OfOwner  = "/owner"  // all of a username in a realm, which the body names like ids; "" is any
	InFilter = "/filter" // those that a fleet.Filter holds, and perhaps others
)

const (
	maxNamed = 10_000 // names in one change: of more, everything is forgotten
	fewNamed = 1000   // names in one change of which a mass can be told by less
)

// Follow has every change that ends something wait until all nodes of the fleet
// have forgotten it, and every load for a cache be at least as new as what this
// node has forgotten. It comes before anything else is done with the store.
func (d *DB) Follow(node *fleet.Node) { d.fleet = node }

// ended notes what the current act ends. Who has found that there is nothing left
// to end, since somebody else was first, has no names: then it waits for that.
func (tx *Tx) ended(kind string, names ...string) {
	switch a := tx.current; {
	case !tx.dialect.others:
	case len(names) == 0:
		a.repeats = true
	case len(names) > maxNamed:
		a.changes = append(a.changes, fleet.Change{Kind: kind, Body: []byte{}})
	default:
		a.changes = append(a.changes, fleet.Change{Kind: kind, Body: fleet.EncodeIDs(names)})
	}
}

// foundEnded waits, where there are other nodes, until what was read is known to be
// no older than what they have done: a server that was deposed knows less.
func (d *DB) foundEnded(ctx context.Context, kind string) error {
	if d.fleet == nil {
		return nil
	}
	return d.write(ctx, func(tx *Tx) error {
		tx.ended(kind)
		return nil
	})
}

// owner is whose things a mass ends. An empty part is any; without both it is not
// told by its owner.
type owner struct{ username, realm string }

// endedMass is ended for keys or tokens, which may be very many. What else has the
// same owner is read again by whoever has it in memory, and no worse for that.
func (tx *Tx) endedMass(kind string, of owner, names []string) {
	switch a := tx.current; {
	case !tx.dialect.others || len(names) <= fewNamed:
		tx.ended(kind, names...)
	case of != owner{}:
		a.changes = append(a.changes, fleet.Change{Kind: kind + OfOwner, Body: fleet.EncodeIDs([]string{of.username, of.realm})})
	default:
		a.changes = append(a.changes, fleet.Change{Kind: kind + InFilter, Body: fleet.NewFilter(names).Body()})
	}
}

// log notes in the log what the acts of a transaction end. It comes last, since
// whoever else changes the log waits for the commit. Without anything to note, the
// acts that find everything ended learn of the newest record.
func (w *writer) log(live []*act) (written *fleet.Record, err error) {
	var changes []fleet.Change
	repeats := false
	for _, a := range live {
		if a.err == nil {
			changes = append(changes, a.changes...)
			repeats = repeats || a.repeats
		}
	}
	var m fleet.Mark
	switch {
	case len(changes) > 0:
		r := fleet.Record{Mark: fleet.Mark{UID: rand.Text()}}
		r.Kind, r.Body = fleet.Pack(changes)
		err = w.tx.row(`UPDATE lk_rev SET rev = rev + 1, prev = uid, uid = $1 RETURNING rev, prev`, r.UID).Scan(&r.Rev, &r.Prev)
		if err == nil {
			// A statement of its own: it sees the nodes that have joined before the row above was locked, see [FleetStore.Join].
			var longest sql.NullInt64 // nil: there are no nodes
			err = w.tx.row(`INSERT INTO lk_log (rev, uid, prev, kind, body) VALUES ($1, $2, $3, $4, $5) RETURNING (SELECT max(span) FROM lk_node)`,
				r.Rev, r.UID, r.Prev, r.Kind, r.Body).Scan(&longest)
			r.Longest = asMillis(longest.Int64)
		}
		m, written = r.Mark, &r
	case repeats:
		err = w.tx.row(`SELECT rev, uid FROM lk_rev`).Scan(&m.Rev, &m.UID)
	}
	for _, a := range live {
		a.mark = m
	}
	return written, err
}

// pass waits until no node of the fleet accepts what a committed act has ended,
// or has found ended.
func (w *writer) pass(ctx context.Context, a *act) error {
	switch {
	case w.fleet == nil:
		return nil
	case len(a.changes) > 0:
		return w.fleet.Barrier(ctx, a.mark)
	case a.repeats:
		return w.fleet.Repeat(ctx, a.mark)
	}
	return nil
}
