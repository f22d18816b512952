package sqlstore

import (
	"context"
	"database/sql"
	"runtime"

	"latchkey/internal/query"
)

// view is one state of the store, for several reads.
type view struct {
	ctx  context.Context
	conn conn
}

// snapshot runs reads that see one state of the store.
func (d *DB) snapshot(ctx context.Context, reads func(view) error) error {
	k, err := d.readers.take(ctx)
	if err != nil {
		return d.classify(err)
	}
	defer d.readers.put(k)
	if err := k.snapshot(ctx); err != nil {
		return d.classify(err)
	}
	defer k.rollback()
	return d.classify(reads(view{ctx, k}))
}

// queryOnce runs a read whose text was assembled for this one request.
func (v view) queryOnce(_ context.Context, text string, args ...any) (*rows, error) {
	return read(v.ctx, v.conn, text, once, args, func() {})
}

// first runs a read of one row.
func (v view) first(text string, args []any) row {
	return first(v.queryOnce(v.ctx, text, args...))
}

// table reads a table whose rows are an id, how many documents it stands for, and a
// cell for each field. There is room for some rows, and for more.
func (v view) table(s query.Schema, room int, text string, args []any) (*query.Table, error) {
	rows, err := v.queryOnce(v.ctx, text, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	t := query.NewTable(s, room)
	var id string
	var weight int
	texts, numbers := make([]string, len(s)), make([]sql.NullInt64, len(s))
	dest := []any{&id, &weight}
	for i, f := range s {
		if f.Type == query.Date || f.Type == query.Boolean {
			dest = append(dest, &numbers[i])
		} else {
			dest = append(dest, &texts[i])
		}
	}
	cells := make([]query.Cell, len(s))
	for n := 1; rows.Next(); n++ {
		if n%manyRows == 0 {
			runtime.Gosched() // a mass of them would keep a processor to itself
		}
		if err := rows.Scan(dest...); err != nil {
			return nil, err
		}
		for i, f := range s {
			cells[i] = cellOf(f, texts[i], numbers[i])
		}
		t.Add(id, uint32(weight), cells...)
	}
	return t, rows.Err()
}

func cellOf(f query.Field, text string, number sql.NullInt64) query.Cell {
	switch {
	case f.Type == query.Keyword:
		return query.Text(text)
	case f.Type == query.Flat:
		return query.Object(text)
	case f.Type == query.Boolean:
		return query.Is(number.Int64 != 0)
	case number.Valid:
		return query.At(number.Int64)
	}
	return query.Cell{}
}
