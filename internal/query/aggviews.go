package query

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"latchkey/internal/xcontent"
)

// view shows the values that rows have as numbers, the same for the same value:
// milliseconds of a [Date], 0 and 1 of a [Boolean], of texts any from 1 to count.
type view struct {
	of    source
	c     *column // nil if no row has a value
	path  int64
	count int // 0 for dates
	texts *texts
	extra string // the text of number count, if it is in none of the cells

	instead []int64  // what stands for no value
	at      []uint32 // by cell: where in lists its values are, or 0
	lists   []int64  // for each cell the number of its values, and these

	everywhere *tally // of all rows that were found, once it is needed
}

// view returns the values of a source. Sources that mean the same share it.
func (e *evaluation) view(of source) *view {
	if v := e.views[of]; v != nil {
		return v
	}
	v := &view{of: of}
	e.views[of] = v
	if c, path, ok := e.t.column(of.field, of.name); ok {
		v.c, v.path = c, path
	}
	if of.missing != nil {
		v.instead = []int64{of.missing.Number}
	}
	switch of.field.Type {
	case Date:
		return v
	case Boolean:
		v.count = 2
		return v
	}
	if v.c != nil && v.path == anyPath && !v.c.framed {
		v.texts = v.c.cells
	} else {
		v.texts = newTexts(0)
		v.lists = []int64{0}
		if v.c != nil {
			v.at = make([]uint32, v.c.cells.count()+1)
			for _, row := range e.rows {
				v.learn(v.c.codes[row])
			}
		}
	}
	v.count = v.texts.count() + 1
	if of.missing != nil {
		v.extra, v.instead[0] = of.missing.Text, int64(v.count)
		if known := v.texts.find(v.extra); known != 0 {
			v.instead[0] = int64(known)
		}
	}
	return v
}

// learn numbers the values of a cell.
func (v *view) learn(code uint32) {
	if code == 0 || v.at[code] != 0 {
		return
	}
	from := len(v.lists)
	v.at[code] = uint32(from)
	v.lists = append(v.lists, 0)
	for s := range v.c.values(code, v.path) {
		v.lists = append(v.lists, int64(v.texts.intern(s)))
	}
	list := v.lists[from+1:]
	slices.Sort(list)
	list = slices.Compact(list) // the same text may be at two paths
	v.lists[from] = int64(len(list))
	v.lists = v.lists[:from+1+len(list)]
}

// values returns the numbers of a row's values. Room is where one of them may be put.
func (v *view) values(row uint32, room *[1]int64) []int64 {
	switch {
	case v.c == nil:
	case v.c.field.Type == Date:
		if room[0] = v.c.times[row]; room[0] != never {
			return room[:]
		}
	case v.c.field.Type == Boolean:
		if v.c.given.has(row) {
			room[0] = int64(v.c.yes[row/64] >> (row % 64) & 1)
			return room[:]
		}
	case v.at == nil:
		if room[0] = int64(v.c.codes[row]); room[0] != 0 {
			return room[:]
		}
	default:
		at := v.at[v.c.codes[row]]
		if n := v.lists[at]; n > 0 {
			return v.lists[at+1:][:n]
		}
	}
	return v.instead
}

func (v *view) isText() bool { return v.texts != nil }

func (v *view) text(n int64) string {
	if int(n) > v.texts.count() {
		return v.extra
	}
	return v.texts.text(uint32(n))
}

// size returns how many bytes the text of a value has.
func (v *view) size(n int64) int {
	if n == never || !v.isText() {
		return 0
	}
	return len(v.text(n))
}

func (v *view) compare(a, b int64) int {
	switch {
	case a == b:
		return 0
	case v.isText():
		return strings.Compare(v.text(a), v.text(b))
	}
	return cmp.Compare(a, b)
}

// key returns a value as composite shows it.
func (v *view) key(n int64) xcontent.Value {
	switch {
	case v.isText():
		return xcontent.Value{Kind: xcontent.String, Text: strings.Clone(v.text(n))}
	case v.of.field.Type == Boolean:
		return xcontent.Value{Kind: xcontent.Bool, Text: strconv.FormatBool(n == 1)}
	case v.of.format != "":
		return xcontent.Value{Kind: xcontent.String, Text: v.of.show(n)}
	}
	return xcontent.Value{Kind: xcontent.Number, Text: strconv.FormatInt(n, 10)}
}

// members returns a value as terms shows it.
func (v *view) members(n int64) []xcontent.Member {
	if v.isText() {
		return []xcontent.Member{text("key", strings.Clone(v.text(n)))}
	}
	return []xcontent.Member{{Name: "key", Value: xcontent.Value{Kind: xcontent.Number, Text: strconv.FormatInt(n, 10)}}, text("key_as_string", v.of.show(n))}
}

// show returns a value that is no text as a text.
func (s source) show(n int64) string {
	if s.field.Type == Boolean {
		return strconv.FormatBool(n == 1)
	}
	if shown, err := formatDate(n, cmp.Or(s.format, "epoch_millis"), cmp.Or(s.zone, time.UTC)); err == nil {
		return shown
	}
	return strconv.FormatInt(n, 10)
}

// tally counts documents by value.
type tally struct {
	few  []int   // by value, if there are few values for the rows
	many []count // else, in order
}

// count is how many documents have a value.
type count struct {
	value int64
	n     int
}

func (e *evaluation) tally(v *view, rows []uint32) tally {
	var t tally
	if v.count > 0 && v.count/8 <= len(rows) {
		t.few = make([]int, v.count+1)
	}
	var room [1]int64
	for _, row := range rows {
		n := e.weight(row)
		for _, value := range v.values(row, &room) {
			switch last := len(t.many) - 1; {
			case t.few != nil:
				t.few[value] += n
			case last >= 0 && t.many[last].value == value:
				t.many[last].n += n
			default:
				t.many = append(t.many, count{value, n})
			}
		}
	}
	slices.SortFunc(t.many, func(a, b count) int { return cmp.Compare(a.value, b.value) })
	different := t.many[:0]
	for _, c := range t.many {
		if last := len(different) - 1; last >= 0 && different[last].value == c.value {
			different[last].n += c.n
			continue
		}
		different = append(different, c)
	}
	t.many = different
	return t
}

// everywhere counts the values of all rows that were found.
func (e *evaluation) everywhere(v *view) *tally {
	if v.everywhere == nil {
		t := e.tally(v, e.rows)
		v.everywhere = &t
	}
	return v.everywhere
}

// all yields the values that some document has.
func (t tally) all(yield func(value int64, n int) bool) {
	for value, n := range t.few {
		if n > 0 && !yield(int64(value), n) {
			return
		}
	}
	for _, c := range t.many {
		if !yield(c.value, c.n) {
			return
		}
	}
}

func (t tally) has(value int64) bool {
	if t.few != nil {
		return t.few[value] > 0
	}
	_, has := slices.BinarySearchFunc(t.many, value, func(c count, value int64) int { return cmp.Compare(c.value, value) })
	return has
}

// split returns for each of the values the rows that have it.
func (e *evaluation) split(v *view, rows []uint32, values []int64) [][]uint32 {
	index := make(map[int64]int, len(values))
	for i, value := range values {
		index[value] = i
	}
	counts := make([]int, len(values))
	var room [1]int64
	for _, row := range rows {
		for _, value := range v.values(row, &room) {
			if i, ok := index[value]; ok {
				counts[i]++
			}
		}
	}
	parts := make([][]uint32, len(values))
	for i, n := range counts {
		parts[i] = make([]uint32, 0, n)
	}
	for _, row := range rows {
		for _, value := range v.values(row, &room) {
			if i, ok := index[value]; ok {
				parts[i] = append(parts[i], row)
			}
		}
	}
	return parts
}
