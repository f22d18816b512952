package query

import (
	"context"
	"math"
	"slices"
	"strings"

	"latchkey/internal/xcontent"
)

// Result is the answer to a search of a [Table].
type Result struct {
	Total        int // all documents that match
	Hits         []RowHit
	Aggregations Aggregations // nil if nothing matches, or none were asked for
}

// RowHit is a row that was found.
type RowHit struct {
	Row  int // how many rows were added before it, as long as none is removed
	ID   string
	Sort []xcontent.Value // what it was sorted by; nil if the request does not sort
}

// Search finds what r asks for among the rows that visible matches; nothing else has
// any influence on the result. It fails as [Request.Err] says, with ctx, or with
// fault.Search if the query or the aggregations are too much.
func (t *Table) Search(ctx context.Context, r *Request, visible Node) (Result, error) {
	if err := r.Err(); err != nil {
		return Result{}, err
	}
	w := t.newWork(ctx)
	found, err := t.find(w, visible, r.where)
	if err != nil {
		return Result{}, err
	}
	result := Result{Total: t.weigh(found)}
	if result.Hits, err = t.page(ctx, r, found); err != nil {
		return Result{}, err
	}
	if result.Total > 0 {
		result.Aggregations, err = t.aggregate(w, r.aggs, found)
	}
	return result, err
}

// Aggregate answers the aggregations of r over the rows that where matches, whatever
// r itself looks for. It fails as [Table.Search] does.
func (t *Table) Aggregate(ctx context.Context, r *Request, where Node) (Aggregations, error) {
	if err := r.Err(); err != nil {
		return nil, err
	}
	w := t.newWork(ctx)
	found, err := t.find(w, where)
	if err != nil || t.weigh(found) == 0 {
		return nil, err
	}
	return t.aggregate(w, r.aggs, found)
}

// find returns the rows that all nodes match.
func (t *Table) find(w *work, nodes ...Node) (set, error) {
	found := newSet(t.rows)
	found.fill(t.rows)
	found.minus(t.removed)
	for _, n := range nodes {
		if err := t.narrow(w, n, found); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// weigh returns how many documents rows stand for.
func (t *Table) weigh(rows set) int {
	if t.weights == nil {
		return rows.count()
	}
	n := 0
	for row := range rows.all {
		n += int(t.weights[row])
	}
	return n
}

// page returns those rows of found that the request shows.
func (t *Table) page(ctx context.Context, r *Request, found set) ([]RowHit, error) {
	best := top[ranked]{room: r.From + r.Size}
	readers := make([]reader, len(r.sort))
	for i, k := range r.sort {
		readers[i] = t.reader(k)
	}
	if len(readers) > 0 {
		best.worse = func(a, b ranked) bool {
			for i := range readers {
				if c := readers[i].key.Compare(a.by[i], b.by[i]); c != 0 {
					return c > 0
				}
			}
			return a.row > b.row
		}
	}
	dates := newWindow(readers, r.after)
	seen := 0
	for row := range found.all {
		if seen++; seen%4096 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if dates.excludes(row) {
			continue
		}
		if best.room == 0 || len(readers) == 0 && len(best.items) == best.room {
			break
		}
		m := ranked{row: row}
		if len(readers) > 0 {
			if r.after != nil && compareRow(readers, row, r.after) <= 0 {
				continue
			}
			if best.full() {
				if compareRow(readers, row, best.items[0].by) >= 0 { // an earlier row wins
					continue
				}
				m.by = best.items[0].by // it makes room
			} else {
				m.by = make([]Value, len(readers))
			}
			for i := range readers {
				m.by[i] = readers[i].value(row)
			}
		}
		if best.push(m); best.full() && len(readers) > 0 {
			dates.narrow(best.items[0].by[0])
		}
	}
	items := best.sorted()
	items = items[min(r.From, len(items)):]
	hits := make([]RowHit, len(items))
	for i, m := range items {
		hits[i] = RowHit{Row: int(m.row), ID: strings.Clone(t.ids.text(m.row + 1))}
		for j, v := range m.by {
			v.Text = strings.Clone(v.Text)
			hits[i].Sort = append(hits[i].Sort, r.sort[j].Show(v))
		}
	}
	return hits, nil
}

// window bounds the dates that may still be shown, where the first key is a date:
// most rows are passed over by a look at it.
type window struct {
	dates     []int64 // by row; nil if the first key is none
	desc      bool
	low, high int64
}

func newWindow(readers []reader, after []Value) window {
	w := window{low: never, high: math.MaxInt64}
	if len(readers) == 0 || readers[0].c == nil || readers[0].c.field.Type != Date {
		return w
	}
	w.dates, w.desc = readers[0].c.times, readers[0].key.Desc
	switch {
	case after == nil:
	case w.desc:
		w.high = after[0].Number
	default:
		w.low = after[0].Number
	}
	return w
}

// narrow notes that the last of those that are shown would be sorted by v.
func (w *window) narrow(v Value) {
	if w.desc {
		w.low = v.Number
	} else {
		w.high = v.Number
	}
}

func (w *window) excludes(row uint32) bool {
	if w.dates == nil {
		return false
	}
	at := w.dates[row]
	return (at < w.low || at > w.high) && at != never
}

// ranked is a row and what it is sorted by.
type ranked struct {
	row uint32
	by  []Value
}

// compareRow compares a row with what another is sorted by.
func compareRow(readers []reader, row uint32, with []Value) int {
	for i := range readers {
		if c := readers[i].key.Compare(readers[i].value(row), with[i]); c != 0 {
			return c
		}
	}
	return 0
}

// reader reads what rows are sorted by.
type reader struct {
	key     SortKey
	t       *Table
	c       *column // nil if no row has a value
	path    int64
	missing Value
}

func (t *Table) reader(k SortKey) reader {
	r := reader{key: k, t: t}
	if k.Name == DocOrder {
		return r
	}
	r.missing = k.Missing()
	if c, path, ok := t.column(k.Field, k.Name); ok {
		r.c, r.path = c, path
	}
	return r
}

func (r *reader) value(row uint32) Value {
	switch {
	case r.key.Name == DocOrder:
		return Value{Number: int64(r.t.doc(row))}
	case r.c == nil:
		return r.missing
	case r.c.field.Type == Date:
		if at := r.c.times[row]; at != never {
			return Value{Number: at}
		}
		return r.missing
	case r.c.field.Type == Boolean:
		switch {
		case !r.c.given.has(row):
			return r.missing
		case r.c.yes.has(row):
			return Value{Number: 1}
		}
		return Value{}
	}
	best, some := "", false
	for s := range r.c.values(r.c.codes[row], r.path) {
		if !some || s > best == r.key.Max {
			best, some = s, true
		}
	}
	if !some {
		return r.missing
	}
	return Value{Text: best}
}

// top keeps the best of many items. The worst of them stands first.
type top[T any] struct {
	room  int
	worse func(a, b T) bool // nil: all are as good
	items []T               // a heap, once it is full
}

func (t *top[T]) full() bool { return len(t.items) == t.room }

// push adds an item; if it is full, in place of the worst, which has to be worse.
func (t *top[T]) push(item T) {
	if !t.full() {
		t.items = append(t.items, item)
		if t.full() && t.worse != nil {
			for i := len(t.items)/2 - 1; i >= 0; i-- {
				t.sink(i)
			}
		}
		return
	}
	t.items[0] = item
	t.sink(0)
}

func (t *top[T]) sink(i int) {
	for {
		child := 2*i + 1
		if child >= len(t.items) {
			return
		}
		if child+1 < len(t.items) && t.worse(t.items[child+1], t.items[child]) {
			child++
		}
		if !t.worse(t.items[child], t.items[i]) {
			return
		}
		t.items[i], t.items[child] = t.items[child], t.items[i]
		i = child
	}
}

// sorted returns the items, the best first.
func (t *top[T]) sorted() []T {
	if t.worse != nil {
		slices.SortFunc(t.items, func(a, b T) int {
			switch {
			case t.worse(a, b):
				return 1
			case t.worse(b, a):
				return -1
			}
			return 0
		})
	}
	return t.items
}
