package query

import (
	"math/bits"
	"slices"
)

// narrow leaves those rows in found that n matches.
func (t *Table) narrow(w *work, n Node, found set) error {
	if !w.spend(len(found)) {
		return w.err
	}
	switch n := n.(type) {
	case None:
		clear(found)
	case IDs:
		wanted := make(set, len(found))
		for _, id := range n {
			if row, ok := t.row(id); ok && found.has(row) {
				wanted.add(row)
			}
		}
		copy(found, wanted)
	case Leaf:
		t.narrowLeaf(w, n, found)
	case Bool:
		return t.narrowBool(w, n, found)
	}
	return w.err
}

func (t *Table) narrowBool(w *work, n Bool, found set) error {
	must := n.Must
	if n.Enough == len(n.Should) {
		must = slices.Concat(n.Must, n.Should)
	}
	for _, sub := range must {
		if err := t.narrow(w, sub, found); err != nil {
			return err
		}
	}
	some := make(set, len(found))
	for _, sub := range n.MustNot {
		copy(some, found)
		if err := t.narrow(w, sub, some); err != nil {
			return err
		}
		found.minus(some)
	}
	switch {
	case n.Enough <= 0 || n.Enough == len(n.Should):
		return nil
	case n.Enough > len(n.Should):
		clear(found)
		return nil
	case n.Enough == 1:
		return t.narrowToAny(w, n.Should, found, some)
	}
	counts := make([]uint16, t.rows) // queries have fewer clauses
	for _, sub := range n.Should {
		copy(some, found)
		if err := t.narrow(w, sub, some); err != nil {
			return err
		}
		for row := range some.all {
			counts[row]++
		}
	}
	found.keep(func(row uint32) bool { return int(counts[row]) >= n.Enough })
	return nil
}

// narrowToAny leaves those rows in found that one of the nodes matches. Some is room for a set.
func (t *Table) narrowToAny(w *work, nodes []Node, found, some set) error {
	left := slices.Clone(found) // what nothing has matched so far
	for _, sub := range nodes {
		copy(some, left)
		if err := t.narrow(w, sub, some); err != nil {
			return err
		}
		left.minus(some)
	}
	found.minus(left)
	return nil
}

func (t *Table) narrowLeaf(w *work, n Leaf, found set) {
	c, path, ok := t.column(n.Field, n.Name)
	if !ok {
		clear(found)
		return
	}
	switch test := n.Test.(type) {
	case Instants:
		c.narrowTimes(w, test.Spans, found)
		return
	case Exists:
		switch {
		case c.field.Type == Date:
			found.keep(func(row uint32) bool { return c.times[row] != never })
			return
		case c.field.Type == Boolean:
			found.and(c.given)
			return
		case path == anyPath:
			found.keep(func(row uint32) bool { return c.codes[row] != 0 })
			return
		}
	case OneOf:
		if c.field.Type == Boolean {
			found.and(c.given)
			if !slices.Contains(test.Texts, "true") {
				found.minus(c.yes)
			}
			if !slices.Contains(test.Texts, "false") {
				found.and(c.yes)
			}
			return
		}
		if !test.Fold && !c.framed {
			c.narrowToCodes(test.Texts, found)
			return
		}
	}
	c.narrowTexts(w, path, textTest(w, n.Test), found)
}

func (c *column) narrowTimes(w *work, spans [][2]int64, found set) {
	if len(spans) == 1 {
		from, to := max(spans[0][0], never+1), spans[0][1]
		found.keep(func(row uint32) bool { at := c.times[row]; return from <= at && at <= to })
		return
	}
	units := bits.Len(uint(len(spans)))
	found.keep(func(row uint32) bool {
		if !w.spend(units) {
			return false
		}
		at := c.times[row]
		i, _ := slices.BinarySearchFunc(spans, at, func(s [2]int64, at int64) int {
			if s[1] < at {
				return -1
			}
			return 1
		})
		return at != never && i < len(spans) && spans[i][0] <= at
	})
}

// narrowToCodes leaves the rows that hold one of the texts. No cell is framed.
func (c *column) narrowToCodes(wanted []string, found set) {
	codes := newSet(c.cells.count() + 1)
	last, n := uint32(0), 0
	for _, s := range wanted {
		if code := c.cells.find(s); code != 0 {
			codes.add(code)
			last = code
			n++
		}
	}
	switch n {
	case 0:
		clear(found)
	case 1:
		found.keep(func(row uint32) bool { return c.codes[row] == last })
	default:
		found.keep(func(row uint32) bool { return codes.has(c.codes[row]) })
	}
}

// narrowTexts leaves the rows with a value that is good, each of which is judged
// once: those of the rows, or all if these are fewer.
func (c *column) narrowTexts(w *work, path int64, good func(string) bool, found set) {
	passes := func(code uint32) bool {
		for s := range c.values(code, path) {
			if !w.spend(1+len(s)/8) || good(s) {
				return w.err == nil
			}
		}
		return false
	}
	if found.count() < c.cells.count() {
		found.keep(func(row uint32) bool { return passes(c.codes[row]) })
		return
	}
	codes := newSet(c.cells.count() + 1)
	for code := range uint32(c.cells.count()) {
		if passes(code + 1) {
			codes.add(code + 1)
		}
	}
	found.keep(func(row uint32) bool { return codes.has(c.codes[row]) })
}
