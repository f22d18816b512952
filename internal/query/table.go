package query

import "slices"

// Table holds documents as columns, a row for each, to be searched as a whole: what
// a query asks of a value is asked once for all rows that have it. A row takes some
// 100 bytes. A Table is not safe for concurrent use, but for any number of searches
// at once.
type Table struct {
	columns []*column // in the order of the schema
	ids     *texts    // their numbers are those of the rows, and one more
	rows    int       // also those that were removed
	removed set       // nil if there are none
	gone    int       // how many were removed
	weights []uint32  // nil while all are 1
	docs    []uint32  // of rows that were moved together, the numbers they had
	next    uint32    // the number of the next document
}

// NewTable returns an empty table with room for about that many rows.
func NewTable(s Schema, room int) *Table {
	t := &Table{ids: newTexts(room)}
	for _, f := range s {
		t.columns = append(t.columns, newColumn(f, room))
	}
	return t
}

// Len returns the number of rows.
func (t *Table) Len() int { return t.rows - t.gone }

// Add appends a row that counts as weight documents. The cells are in the order of
// the schema. The id is new, or it is empty, and then it is never found.
func (t *Table) Add(id string, weight uint32, cells ...Cell) {
	row := uint32(t.rows)
	for i, c := range t.columns {
		c.add(row, cells[i])
	}
	if t.ids.append(id); id != "" {
		t.ids.slots[t.ids.slot(id)] = row + 1
		t.ids.grow()
	}
	if weight != 1 && t.weights == nil {
		t.weights = slices.Repeat([]uint32{1}, t.rows)
	}
	if t.weights != nil {
		t.weights = append(t.weights, weight)
	}
	if t.docs != nil {
		t.docs = append(t.docs, t.next)
	}
	if t.removed != nil && len(t.removed)*64 == t.rows {
		t.removed = append(t.removed, 0)
	}
	t.rows++
	t.next++
}

// Put changes all cells of the row with an id, or adds one. A row that is there
// keeps its place.
func (t *Table) Put(id string, cells ...Cell) {
	row, ok := t.row(id)
	if !ok {
		t.Add(id, 1, cells...)
		return
	}
	for i := range t.columns {
		t.change(i, row, cells[i])
	}
}

// Set changes one cell of the row with an id, and reports whether there is one.
func (t *Table) Set(id, field string, to Cell) bool {
	row, ok := t.row(id)
	i := slices.IndexFunc(t.columns, func(c *column) bool { return c.field.Name == field })
	if ok && i >= 0 {
		t.change(i, row, to)
	}
	return ok
}

// change writes a cell. Contents of cells that no row has any more are thrown away
// once they are the greater part.
func (t *Table) change(i int, row uint32, to Cell) {
	c := t.columns[i]
	c.put(row, to)
	if c.worn(t.rows) {
		t.columns[i] = c.tidy(t.rows, nil, t.rows)
	}
}

// Remove takes out the row with an id, and reports whether there was one.
func (t *Table) Remove(id string) bool {
	row, ok := t.row(id)
	if !ok {
		return false
	}
	t.ids.forget(id)
	if t.removed == nil {
		t.removed = newSet(t.rows)
	}
	t.removed.add(row)
	if t.gone++; t.gone > t.rows/2 && t.rows >= block {
		t.compact()
	}
	return true
}

// row returns the row with an id.
func (t *Table) row(id string) (uint32, bool) {
	if id == "" {
		return 0, false
	}
	number := t.ids.find(id)
	return number - 1, number > 0
}

// doc returns the number of a row's document, which it keeps for good.
func (t *Table) doc(row uint32) uint32 {
	if t.docs != nil {
		return t.docs[row]
	}
	return row
}

// compact moves the rows that are left together.
func (t *Table) compact() {
	left := t.Len()
	for i, c := range t.columns {
		t.columns[i] = c.tidy(t.rows, t.removed, left)
	}
	ids, docs := newTexts(left), make([]uint32, 0, left)
	var weights []uint32
	for row := range uint32(t.rows) {
		if t.removed.has(row) {
			continue
		}
		id := t.ids.text(row + 1)
		if ids.append(id); id != "" {
			ids.slots[ids.slot(id)] = uint32(ids.count())
			ids.grow()
		}
		docs = append(docs, t.doc(row))
		if t.weights != nil {
			weights = append(weights, t.weights[row])
		}
	}
	t.ids, t.docs, t.weights = ids, docs, weights
	t.rows, t.gone, t.removed = left, 0, nil
}

// column returns the column that a name means, and the path in it. It is not ok if
// no row has a value there.
func (t *Table) column(f Field, name string) (c *column, path int64, ok bool) {
	for _, c := range t.columns {
		if c.field.Name == f.Name {
			path, ok := c.path(name)
			return c, path, ok
		}
	}
	return nil, 0, false
}
