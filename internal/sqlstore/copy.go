package sqlstore

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"latchkey/internal/fault"
)

// Progress tells how many of the rows of a table were copied.
type Progress func(table string, done, all int64)

// Copy puts all of one store into another one, which is empty or holds the
// beginning of the same copy: that is gone on with. In the end it compares both.
// Nobody else may write to either. One of them is a file.
func Copy(ctx context.Context, from, to *DB, told Progress) error {
	file := from
	if from.others {
		file = to
	}
	if file.others {
		return errors.New("a copy from one database to another one is the work of their own tools: one side has to be a file")
	}
	tables, err := file.tables(ctx)
	if err != nil {
		return err
	}
	state, err := to.beginCopy(ctx, from, tables)
	if err != nil {
		return err
	}
	for _, t := range tables {
		if err := copyTable(ctx, from, to, t, state, told); err != nil {
			return fmt.Errorf("copy the table %s: %w", t.name, err)
		}
	}
	for _, t := range tables {
		was, err := from.sum(ctx, t)
		if err != nil {
			return err
		}
		is, err := to.sum(ctx, t)
		if err != nil {
			return err
		}
		if was != is {
			return fmt.Errorf("the copy of the table %s differs: %d rows, and %d of the copy: empty the copy and begin again, with nobody writing to either", t.name, was.rows, is.rows)
		}
	}
	return to.write(ctx, func(tx *Tx) error {
		_, err := tx.exec(`DELETE FROM meta WHERE name = $1`, unfinishedCopy)
		return err
	})
}

// unfinishedCopy names the value that tells how far a copy has come.
const unfinishedCopy = "unfinished_copy"

// copyState is how far a copy has come.
type copyState struct {
	Of    string              // the cluster UUID of the original
	Ended map[string]bool     // by table
	Last  map[string][][]byte // the key of the last row, by table
}

// Whole returns an error for a store that a copy has begun to fill and not finished.
func (d *DB) Whole(ctx context.Context) error {
	_, err := d.Meta(ctx, unfinishedCopy)
	switch {
	case fault.KindOf(err) == fault.NotFound:
		return nil
	case err != nil:
		return err
	}
	return errors.New("the store is a copy that has not been finished: run latchkey copy again, which goes on with it")
}

// beginCopy reads how far the copy has come, or notes that it begins.
func (d *DB) beginCopy(ctx context.Context, from *DB, tables []table) (*copyState, error) {
	if err := from.Whole(ctx); err != nil {
		return nil, err
	}
	uuid, err := from.Meta(ctx, "cluster_uuid")
	if fault.KindOf(err) == fault.NotFound {
		return nil, errors.New("there is nothing to copy: no node has ever used the store")
	}
	if err != nil {
		return nil, err
	}
	state := &copyState{Of: uuid, Ended: map[string]bool{}, Last: map[string][][]byte{}}
	text, err := d.Meta(ctx, unfinishedCopy)
	switch {
	case err == nil:
		if err := json.Unmarshal([]byte(text), state); err != nil {
			return nil, fmt.Errorf("read how far the copy has come: %w", err)
		}
		if state.Of != uuid {
			return nil, errors.New("the copy that was begun there is of another store")
		}
		return state, nil
	case fault.KindOf(err) != fault.NotFound:
		return nil, err
	}
	for _, t := range tables {
		n, err := d.count(ctx, t)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			return nil, fmt.Errorf("the store to copy into is not empty: rows of its table %s: %d", t.name, n)
		}
	}
	return state, d.write(ctx, func(tx *Tx) error { return tx.noteCopy(state) })
}

func (tx *Tx) noteCopy(state *copyState) error {
	text, err := json.Marshal(state)
	if err != nil {
		return err
	}
	_, err = tx.put(`INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`, `UPDATE meta SET value = $2 WHERE name = $1`, unfinishedCopy, string(text))
	return err
}

// A step of a copy has at most so many rows, or bytes where they are large.
const (
	copyRows  = 500
	copyBytes = 4 << 20
)

func copyTable(ctx context.Context, from, to *DB, t table, state *copyState, told Progress) error {
	if state.Ended[t.name] {
		return nil
	}
	all, err := from.count(ctx, t)
	if err != nil {
		return err
	}
	done, err := to.count(ctx, t)
	if err != nil {
		return err
	}
	if done > 0 { // it goes on
		told(t.name, done, all)
	}
	var after []any
	for i, part := range state.Last[t.name] {
		after = append(after, t.columns[t.key[i]].value(part))
	}
	var step [][]any
	size := 0
	flush := func(ended bool) error {
		if len(step) > 0 {
			state.Last[t.name] = t.keyOf(step[len(step)-1])
		}
		state.Ended[t.name] = ended
		err := to.write(ctx, func(tx *Tx) error {
			if err := tx.insertRows(t, step); err != nil {
				return err
			}
			return tx.noteCopy(state)
		})
		done += int64(len(step))
		step, size = step[:0], 0
		if err == nil {
			told(t.name, done, all)
		}
		return err
	}
	err = from.eachRow(ctx, t, after, func(row []any) error {
		step = append(step, row)
		for _, v := range row {
			size += sizeOf(v)
		}
		if len(step) < copyRows && size < copyBytes {
			return nil
		}
		return flush(false)
	})
	if err != nil {
		return err
	}
	return flush(true)
}

func sizeOf(v any) int {
	switch v := v.(type) {
	case []byte:
		return len(v)
	case *string:
		if v != nil {
			return len(*v)
		}
	}
	return 8
}

// insertRows adds rows. Shared ones count as touched now.
func (tx *Tx) insertRows(t table, rows [][]any) error {
	if len(rows) == 0 {
		return nil
	}
	names := t.names()
	touched := tx.dialect.others && (t.name == tx.sets.table || t.name == tx.identities.table)
	if touched {
		names = append(names, "touched_at")
	}
	var values strings.Builder
	var args []any
	for i, row := range rows {
		if i > 0 {
			values.WriteString(", ")
		}
		if touched {
			row = append(slices.Clip(row), tx.now().UnixMilli())
		}
		values.WriteByte('(')
		for j, v := range row {
			if j > 0 {
				values.WriteByte(',')
			}
			args = append(args, v)
			fmt.Fprintf(&values, "$%d", len(args))
		}
		values.WriteByte(')')
	}
	_, err := tx.execOnce(`INSERT INTO `+t.name+` (`+strings.Join(names, ", ")+`) VALUES `+values.String(), args...)
	return err
}

// sum is what two tables with the same rows have in common, whatever their order.
type sum struct {
	rows int64
	all  [sha256.Size]byte // of the hashes of all rows, the exclusive or
}

func (d *DB) sum(ctx context.Context, t table) (s sum, err error) {
	err = d.eachRow(ctx, t, nil, func(row []any) error {
		text, err := json.Marshal(row)
		if err != nil {
			return err
		}
		s.rows++
		for i, b := range sha256.Sum256(text) {
			s.all[i] ^= b
		}
		return nil
	})
	return s, err
}
