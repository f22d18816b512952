package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"latchkey/internal/fault"
	"latchkey/internal/fleet"
)

var _ fleet.Store = (*FleetStore)(nil)

// FleetStore keeps the log and the rows of the nodes that share a store. Its
// connections are its own: no lease waits for somebody's search or mass of changes.
type FleetStore struct {
	conns *pool
	dialect
}

const (
	fleetConns   = 5               // who renews, who looks after the others, who asks how they are, who trims, and who takes turns
	fleetTimeout = 2 * time.Second // of every call
)

func newFleetStore(config *pgconn.Config) (*FleetStore, error) {
	conns, err := openPool(fleetConns, func() (conn, error) { return newPGWriter(config), nil })
	return &FleetStore{conns, postgresDialect}, err
}

// Fleet returns what the nodes of the store keep of each other; nil where there
// can be no other node.
func (d *DB) Fleet() *FleetStore { return d.nodes }

// do has one statement run by itself, and scan its rows. A warning is no success,
// see [pgConn.commit].
func (s *FleetStore) do(ctx context.Context, scan func(*rows) error, query string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, fleetTimeout)
	defer cancel()
	k, err := s.conns.take(ctx)
	if err != nil {
		return s.classify(err)
	}
	defer s.conns.put(k)
	pg := k.(*pgConn)
	pg.warned = ""
	rows, err := read(ctx, k, query, kept, args, func() {})
	if err != nil {
		return s.classify(err)
	}
	for err == nil && rows.Next() {
		err = scan(rows)
	}
	if err := errors.Join(err, rows.Err(), rows.Close()); err != nil {
		return s.classify(err)
	}
	if pg.warned != "" {
		return fmt.Errorf("the server has committed with a warning: %s", pg.warned)
	}
	return nil
}

// one is do for a statement that returns at most one row.
func (s *FleetStore) one(ctx context.Context, dest []any, query string, args ...any) (found bool, err error) {
	err = s.do(ctx, func(r *rows) error {
		found = true
		return r.Scan(dest...)
	}, query, args...)
	return found && err == nil, err
}

// Head implements fleet.Store.
func (s *FleetStore) Head(ctx context.Context) (m fleet.Mark, err error) {
	found, err := s.one(ctx, []any{&m.Rev, &m.UID}, `SELECT rev, uid FROM lk_rev`)
	if err == nil && !found {
		err = errors.New("the counter of revisions is gone")
	}
	return m, err
}

// Log implements fleet.Store.
func (s *FleetStore) Log(ctx context.Context, after int64, limit int) ([]fleet.Record, error) {
	var records []fleet.Record
	err := s.do(ctx, func(rows *rows) error {
		var r fleet.Record
		err := rows.Scan(&r.Rev, &r.UID, &r.Prev, &r.Kind, &r.Body)
		records = append(records, r)
		return err
	}, `SELECT rev, uid, prev, kind, body FROM lk_log WHERE rev > $1 ORDER BY rev LIMIT $2`, after, limit)
	return records, err
}

// Join implements fleet.Store.
func (s *FleetStore) Join(ctx context.Context, m fleet.Member, replaces string) error {
	span := (m.Span + time.Millisecond - 1).Milliseconds() // rounded up
	_, err := s.one(ctx, nil, `
		WITH replaced AS (DELETE FROM lk_node WHERE node_id = $1), turn AS (SELECT one FROM lk_rev FOR SHARE)
		INSERT INTO lk_node (node_id, name, addr, acked_rev, lease_seq, span) SELECT $2, $3, $4, $5, $6, $7 FROM turn
		ON CONFLICT (node_id) DO NOTHING`, replaces, m.ID, m.Name, m.Addr, m.Acked, m.Seq, span)
	return err
}

func asMillis(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

// Leave implements fleet.Store.
func (s *FleetStore) Leave(ctx context.Context, id string) error {
	_, err := s.one(ctx, nil, `DELETE FROM lk_node WHERE node_id = $1`, id)
	return err
}

// Renew implements fleet.Store.
func (s *FleetStore) Renew(ctx context.Context, id string, applied fleet.Mark) (fleet.Renewal, error) {
	var r fleet.Renewal
	var longest int64
	done, err := s.one(ctx, []any{&r.Head.Rev, &r.Head.UID, &longest}, `
		UPDATE lk_node SET acked_rev = $2, lease_seq = lease_seq + 1
		WHERE node_id = $1 AND EXISTS (SELECT 1 FROM lk_log WHERE rev = $2 AND uid = $3)
		RETURNING (SELECT rev FROM lk_rev), (SELECT uid FROM lk_rev), (SELECT max(span) FROM lk_node)`, id, applied.Rev, applied.UID)
	r.Longest = asMillis(longest)
	if err != nil || done {
		return r, err
	}
	there, err := s.one(ctx, []any{new(int64)}, `SELECT lease_seq FROM lk_node WHERE node_id = $1`, id)
	return fleet.Renewal{Gone: !there, Forked: there}, err
}

// Members implements fleet.Store.
func (s *FleetStore) Members(ctx context.Context, applied fleet.Mark) (fleet.Membership, error) {
	var all fleet.Membership
	err := s.do(ctx, func(rows *rows) error {
		var id, name, addr *string // nil: there is no node at all
		var acked, seq, span sql.NullInt64
		err := rows.Scan(&all.Head.Rev, &all.Head.UID, &all.Holds, &id, &name, &addr, &acked, &seq, &span)
		if err == nil && id != nil {
			all.Members = append(all.Members, fleet.Member{ID: *id, Name: *name, Addr: *addr, Acked: acked.Int64, Seq: seq.Int64, Span: asMillis(span.Int64)})
		}
		return err
	}, `
		SELECT rev, uid, EXISTS (SELECT 1 FROM lk_log WHERE rev = $1 AND uid = $2), node_id, name, addr, acked_rev, lease_seq, span
		FROM lk_rev LEFT JOIN lk_node ON TRUE WHERE one = 1 ORDER BY node_id`, applied.Rev, applied.UID)
	return all, err
}

// Fence implements fleet.Store.
func (s *FleetStore) Fence(ctx context.Context, id string, seq int64) (bool, error) {
	return s.one(ctx, []any{new(int64)}, `DELETE FROM lk_node WHERE node_id = $1 AND lease_seq = $2 RETURNING lease_seq`, id, seq)
}

// TakeTurn reports whether a task that one node does for all is taker's for the next
// time d: it was already, or is nobody's any more.
func (s *FleetStore) TakeTurn(ctx context.Context, task, taker string, d time.Duration) (bool, error) {
	return s.one(ctx, []any{new(int64)}, `
		WITH clock AS (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now)
		INSERT INTO lk_turn (task, taker, until) SELECT $1, $2, now + $3 FROM clock
		ON CONFLICT (task) DO UPDATE SET taker = excluded.taker, until = excluded.until
		WHERE lk_turn.taker = excluded.taker OR lk_turn.until <= (SELECT now FROM clock)
		RETURNING until`, task, taker, d.Milliseconds())
}

// Trim implements fleet.Store.
func (s *FleetStore) Trim(ctx context.Context, age time.Duration) (removed int, err error) {
	err = s.do(ctx, func(rows *rows) error {
		removed++
		return rows.Scan(new(int64))
	}, `
		DELETE FROM lk_log
		WHERE noted_at < (extract(epoch FROM clock_timestamp()) * 1000)::bigint - $1 AND rev < (SELECT rev FROM lk_rev)
			AND rev < COALESCE((SELECT min(acked_rev) FROM lk_node), 9223372036854775807)
		RETURNING rev`, age.Milliseconds())
	return removed, err
}

// load is [DB.row] for what a room keeps in memory.
func (d *DB) load(ctx context.Context, query string, args ...any) row {
	if err := ctx.Err(); err != nil {
		return row{err: err}
	}
	return first(d.readRecent(ctx, query, point, args))
}

// readRecent runs a SELECT which has to be at least as new as what this node has
// forgotten: else it may bring that back, from a server that was deposed. A read
// that finds nothing is believed in any case: nobody may do more for want of a row.
func (d *DB) readRecent(ctx context.Context, query string, u use, args []any) (*rows, error) {
	var seen fleet.Mark // before the statement
	if d.fleet != nil {
		seen = d.fleet.Seen()
	}
	if seen.UID == "" { // no fleet; or not joined yet, and joining empties the memory
		return d.read(ctx, query, u, args)
	}
	_, columns, _ := strings.Cut(query, "SELECT ")
	query = fmt.Sprintf("SELECT EXISTS (SELECT 1 FROM lk_log WHERE rev = $%d AND uid = $%d), %s", len(args)+1, len(args)+2, columns)
	r, err := d.read(ctx, query, u, append(args[:len(args):len(args)], seen.Rev, seen.UID))
	if err == nil {
		r.cursor = recent{r.cursor}
	}
	return r, err
}

// recent is a cursor whose first column says whether the read was new enough.
type recent struct{ cursor }

var errOutdated = fault.New(fault.Unavailable, "the store does not know yet what was revoked; repeat the request")

func (c recent) scan(dest []any) error {
	var seen bool
	if err := c.cursor.scan(append([]any{&seen}, dest...)); err != nil {
		return err
	}
	if !seen {
		return errOutdated
	}
	return nil
}
