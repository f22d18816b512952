package sqlstore

import (
	"time"

	"latchkey/internal/access"
)

// sharedRows is a table of rows that many keys or tokens carry, under the digest
// of what they hold. Most carry a few of them, so the writer remembers those that
// it has seen committed. What nobody carries any more is removed by the purges.
//
// Where there are other writers, one of them may purge while another inserts a
// key whose row it remembers. So there each row tells when a writer last counted
// on it: a purge spares it for an hour, and it is remembered for ten minutes. The
// clocks of the writers may differ by the rest.
type sharedRows struct {
	table   string
	carried string                      // an EXCEPT for each column whose rows carry one
	seen    map[access.Digest]time.Time // when a row was put there, or found
}

const (
	maxKnownRows = 10_000
	remembered   = 10 * time.Minute
	spared       = time.Hour
)

// share adds a row unless the store has it.
func (tx *Tx) share(s *sharedRows, digest access.Digest, body []byte) error {
	now := tx.now()
	if at, ok := s.seen[digest]; ok && (!tx.dialect.others || now.Sub(at) < remembered) {
		return nil
	}
	query, args := `INSERT INTO `+s.table+` (digest, body) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING`, []any{digest[:], body}
	if tx.dialect.others {
		query, args = `INSERT INTO `+s.table+` (digest, body, touched_at) VALUES ($1, $2, $3)
			ON CONFLICT (digest) DO UPDATE SET touched_at = excluded.touched_at WHERE `+s.table+`.touched_at < excluded.touched_at`, append(args, now.UnixMilli())
	}
	if _, err := tx.exec(query, args...); err != nil {
		return err
	}
	tx.committed(func() {
		if s.seen == nil || len(s.seen) >= maxKnownRows {
			s.seen = make(map[access.Digest]time.Time)
		}
		s.seen[digest] = now
	})
	return nil
}

// purgeShared removes the rows that nobody carries.
func (tx *Tx) purgeShared(s *sharedRows) error {
	clear(s.seen)
	// Once more then: what came before in this transaction may note a row that goes now.
	tx.committed(func() { clear(s.seen) })
	query, args := `DELETE FROM `+s.table+` WHERE digest IN (SELECT digest FROM `+s.table+s.carried+`)`, []any(nil)
	if tx.dialect.others {
		query, args = query+` AND touched_at < $1`, []any{tx.now().Add(-spared).UnixMilli()}
	}
	_, err := tx.exec(query, args...)
	return err
}
