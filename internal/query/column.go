package query

import (
	"cmp"
	"encoding/binary"
	"iter"
	"math"
	"slices"

	"latchkey/internal/xcontent"
)

// Cell is what one row holds of one field. The zero Cell is no value.
type Cell struct {
	given  bool
	number int64
	text   string
	many   []string
}

// Text is the one value of a [Keyword].
func Text(s string) Cell { return Cell{given: true, text: s} }

// Texts are the values of a [Keyword]; there may be none.
func Texts(all []string) Cell {
	if len(all) == 1 {
		return Text(all[0])
	}
	return Cell{given: len(all) > 0, many: all}
}

// At is a [Date], in epoch milliseconds.
func At(millis int64) Cell { return Cell{given: true, number: millis} }

// Is is a [Boolean].
func Is(b bool) Cell {
	c := Cell{given: true}
	if b {
		c.number = 1
	}
	return c
}

// Object is what a [Flat] field holds: a JSON object. What cannot be read has no values.
func Object(json string) Cell { return Cell{given: json != "", text: json} }

// column holds one field of all rows.
type column struct {
	field Field

	// Keyword and Flat: what is in a cell is held once, and rows have its number, 0 for nothing.
	codes  []uint32
	cells  *texts
	framed bool              // some cells are framed
	paths  map[string]uint32 // of Flat, to their numbers
	known  map[string]uint32 // some objects as they were written, to the numbers of their cells
	named  int               // bytes of paths
	fresh  int               // bytes of cells and paths that new rows came with, or that were in use when it was tidied

	times []int64 // Date; never is no value

	given, yes set // Boolean
}

const (
	never     = math.MinInt64
	frame     = '\xff' // begins a cell that is framed, and no text: for each value the number of its path, its length, its bytes
	anyPath   = -1
	maxPath   = 256 // bytes: members inside of a long name must not each repeat it
	tooLong   = "-" // what all longer paths are to paths; no name of a query is that
	maxKnown  = 4096
	maxToKnow = 1024 // bytes
)

func newColumn(f Field, room int) *column {
	c := &column{field: f}
	switch f.Type {
	case Date:
		c.times = make([]int64, 0, room)
	case Boolean:
	default:
		c.codes, c.cells = make([]uint32, 0, room), newTexts(0)
		c.paths, c.known = map[string]uint32{}, map[string]uint32{}
	}
	return c
}

// add writes a cell of a new row.
func (c *column) add(row uint32, v Cell) {
	if c.cells == nil {
		c.put(row, v)
		return
	}
	before := c.bytes()
	c.put(row, v)
	c.fresh += c.bytes() - before
}

func (c *column) bytes() int { return c.cells.arena.Len() + c.named }

// put writes a cell; a row behind the last one makes the column longer.
func (c *column) put(row uint32, v Cell) {
	switch c.field.Type {
	case Date:
		at := int64(never)
		if v.given {
			at = v.number
		}
		c.times = write(c.times, row, at)
	case Boolean:
		if int(row/64) == len(c.given) {
			c.given, c.yes = append(c.given, 0), append(c.yes, 0)
		}
		c.given.drop(row)
		c.yes.drop(row)
		if v.given {
			c.given.add(row)
		}
		if v.number != 0 {
			c.yes.add(row)
		}
	default:
		c.codes = write(c.codes, row, c.code(v))
	}
}

func write[T any](to []T, row uint32, v T) []T {
	if int(row) == len(to) {
		return append(to, v)
	}
	to[row] = v
	return to
}

// code returns the number of what a cell holds.
func (c *column) code(v Cell) uint32 {
	switch {
	case !v.given:
		return 0
	case c.field.Type == Flat:
		code, known := c.known[v.text]
		if known {
			return code
		}
		object, err := xcontent.ParseOwn([]byte(v.text))
		var leaves []leaf
		if err == nil {
			leaves = c.leaves(nil, object, "")
		}
		if code = c.intern(leaves); len(v.text) <= maxToKnow {
			if len(c.known) >= maxKnown {
				clear(c.known)
			}
			c.known[v.text] = code
		}
		return code
	case len(v.many) > 0:
		var leaves []leaf
		for _, s := range v.many {
			leaves = append(leaves, leaf{0, s})
		}
		return c.intern(leaves)
	case v.text != "" && v.text[0] == frame:
		return c.intern([]leaf{{0, v.text}})
	}
	return c.cells.intern(v.text)
}

// leaf is a value, and the number of its path.
type leaf struct {
	path uint32
	text string
}

func (c *column) leaves(to []leaf, v xcontent.Value, path string) []leaf {
	switch v.Kind {
	case xcontent.Object:
		for _, m := range v.Members {
			if below := len(path) + 1 + len(m.Name); path == tooLong || below > maxPath {
				to = c.leaves(to, m.Value, tooLong)
			} else {
				to = c.leaves(to, m.Value, path+"."+m.Name)
			}
		}
	case xcontent.Array:
		for _, item := range v.Items {
			to = c.leaves(to, item, path)
		}
	case xcontent.Null:
	default:
		to = append(to, leaf{c.number(path), v.Text})
	}
	return to
}

// number returns the number of a path, which may be new.
func (c *column) number(path string) uint32 {
	number, known := c.paths[path]
	if !known {
		number = uint32(len(c.paths))
		c.paths[path] = number
		c.named += len(path)
	}
	return number
}

// intern returns the number of a cell with these values. Their order, and values
// that are there twice, make no difference.
func (c *column) intern(leaves []leaf) uint32 {
	if len(leaves) == 0 {
		return 0
	}
	slices.SortFunc(leaves, func(a, b leaf) int { return cmp.Or(cmp.Compare(a.path, b.path), cmp.Compare(a.text, b.text)) })
	cell := []byte{frame}
	for _, l := range slices.Compact(leaves) {
		cell = binary.AppendUvarint(cell, uint64(l.path))
		cell = append(binary.AppendUvarint(cell, uint64(len(l.text))), l.text...)
	}
	c.framed = true
	return c.cells.intern(string(cell))
}

// path returns the number of the path that a name means, or [anyPath]. It is not ok
// if no row has a value there.
func (c *column) path(name string) (path int64, ok bool) {
	if name == c.field.Name {
		return anyPath, true
	}
	number, ok := c.paths[name[len(c.field.Name):]]
	return int64(number), ok
}

// values yields the values of a cell at a path.
func (c *column) values(code uint32, path int64) iter.Seq[string] {
	return func(yield func(string) bool) {
		if code == 0 {
			return
		}
		cell := c.cells.text(code)
		if cell == "" || cell[0] != frame {
			yield(cell)
			return
		}
		for cell = cell[1:]; cell != ""; {
			at, text, rest := next(cell)
			if (path == anyPath || path == int64(at)) && !yield(text) {
				return
			}
			cell = rest
		}
	}
}

// next reads the first value of a framed cell, behind the frame.
func next(cell string) (path uint64, text, rest string) {
	path, n := uvarint(cell)
	size, m := uvarint(cell[n:])
	cell = cell[n+m:]
	return path, cell[:size], cell[size:]
}

// uvarint is [binary.Uvarint] of a string.
func uvarint(s string) (n uint64, size int) {
	for i := range len(s) {
		n |= uint64(s[i]&0x7f) << (7 * i)
		if s[i] < 0x80 {
			return n, i + 1
		}
	}
	return n, len(s)
}

// worn reports whether the greater part of the cells, or of their bytes, may be what
// no row holds any more.
func (c *column) worn(rows int) bool {
	return c.cells != nil && (c.cells.count() > 2*rows+block || c.bytes() > 2*c.fresh+maxWaste)
}

// maxWaste is how many bytes may be out of use in any case.
const maxWaste = 16 << 20

// tidy returns a column with what the first rows of c hold, without those that are
// left out, and with nothing that none of these holds.
func (c *column) tidy(rows int, without set, room int) *column {
	to := newColumn(c.field, room)
	paths := make([]string, len(c.paths))
	for path, number := range c.paths {
		paths[number] = path
	}
	var moved []uint32 // new numbers of cells, by their old ones
	if c.cells != nil {
		moved = make([]uint32, c.cells.count()+1)
	}
	at := uint32(0)
	for row := range uint32(rows) {
		if without != nil && without.has(row) {
			continue
		}
		switch c.field.Type {
		case Date:
			to.times = append(to.times, c.times[row])
		case Boolean:
			to.put(at, Cell{given: c.given.has(row), number: int64(c.yes[row/64] >> (row % 64) & 1)})
		default:
			code := c.codes[row]
			if code != 0 && moved[code] == 0 {
				moved[code] = to.move(c.cells.text(code), paths)
			}
			to.codes = append(to.codes, moved[code])
		}
		at++
	}
	if to.cells != nil {
		to.fresh = to.bytes()
	}
	return to
}

// move returns the number of a cell of another column with the given paths.
func (c *column) move(cell string, paths []string) uint32 {
	if cell == "" || cell[0] != frame {
		return c.cells.intern(cell)
	}
	var leaves []leaf
	for cell = cell[1:]; cell != ""; {
		path, text, rest := next(cell)
		l := leaf{uint32(path), text}
		if c.field.Type == Flat {
			l.path = c.number(paths[path])
		}
		leaves, cell = append(leaves, l), rest
	}
	return c.intern(leaves)
}
