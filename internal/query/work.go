package query

import (
	"context"

	"latchkey/internal/fault"
)

// What the queries of one search may cost, beyond minTests for all in proportion to
// the rows. A unit is the test of a short value, or a few rows: some nanoseconds.
const (
	minTests    = 20_000_000
	testsPerRow = 128
	lookEvery   = 100_000 // units between two looks at the context
)

// work is what one search may still do.
type work struct {
	ctx  context.Context // of the one search that it is for
	left int
	look int   // ctx is looked at when as much is left
	err  error // why nothing more is to be done
}

func (t *Table) newWork(ctx context.Context) *work {
	left := minTests + testsPerRow*t.rows
	return &work{ctx: ctx, left: left, look: left, err: ctx.Err()}
}

// spend takes some units and reports whether the search goes on. If it does not,
// no test passes any more, and whoever has begun to look ends with w.err.
func (w *work) spend(units int) bool {
	w.left -= units
	return w.left > w.look && w.err == nil || w.goesOn()
}

func (w *work) goesOn() bool {
	switch {
	case w.err != nil:
	case w.left < 0:
		w.err = fault.New(fault.Search, "the search failed").Because(fault.New(fault.Argument, "the query is too much work; ask for fewer things at once"))
	default:
		w.look = max(w.left-lookEvery, 0)
		w.err = w.ctx.Err()
	}
	return w.err == nil
}
