package query

import (
	"cmp"
	"math"
	"strconv"
	"strings"
	"time"

	"latchkey/internal/xcontent"
)

// SortKey is one thing to sort by.
type SortKey struct {
	Field   Field
	Name    string // the field's, or a path below it; or [DocOrder]
	Desc    bool
	First   bool   // what has no value comes first, not last
	Instead *Value // what stands for no value
	Max     bool   // of several values the greatest counts, not the least
	Format  string // how dates are shown
}

// DocOrder is the name of the order in which documents came.
const DocOrder = "_doc"

// Value is what a document is sorted by.
type Value struct {
	Text   string
	Number int64 // of everything that is no text: epoch milliseconds, 0 or 1, the number of the document
	None   bool  // of texts; what is missing of numbers is beyond all numbers
}

// sort reads the keys to sort by: an array of names and of objects with one
// member, or one such object.
func (p *parser) sort(v xcontent.Value) ([]SortKey, error) {
	items := v.Items
	switch v.Kind {
	case xcontent.Array:
	case xcontent.Object:
		items = []xcontent.Value{v}
	default:
		return nil, v.Mismatch("an array")
	}
	var keys []SortKey
	for _, item := range items {
		switch item.Kind {
		case xcontent.String:
			keys = append(keys, p.key(item.Text))
		case xcontent.Object:
			if len(item.Members) != 1 {
				return nil, item.Mismatch("an object with one member")
			}
			k, err := p.keyWith(item.Members[0])
			if err != nil {
				return nil, err
			}
			keys = append(keys, k)
		default:
			return nil, item.Mismatch("the name of a field or an object")
		}
		if len(keys) > maxClauses/8 {
			return nil, parsing(v.Line, v.Col, "there are too many keys to sort by")
		}
	}
	return keys, nil
}

func (p *parser) key(name string) SortKey {
	if name == DocOrder {
		return SortKey{Name: name}
	}
	f, ok := p.schema.find(name)
	switch {
	case !ok:
		p.refuse("field [%s] is not allowed in a sort", name)
	case f.Unsorted:
		p.refuse("sorting is not supported for field [%s]", name)
	}
	return SortKey{Name: name, Field: f}
}

func (p *parser) keyWith(m xcontent.Member) (SortKey, error) {
	k := p.key(m.Name)
	if m.Value.Kind != xcontent.Object {
		return k, m.Value.Mismatch("an object such as {\"order\":\"desc\"}")
	}
	var missing xcontent.Value
	order, mode := "asc", ""
	err := m.Value.Read("sort", xcontent.Fields{
		"order": xcontent.ToString(&order), "mode": xcontent.ToString(&mode), "format": xcontent.ToString(&k.Format),
		"missing": toScalar(&missing), "unmapped_type": scalar, "numeric_type": scalar,
		"nested": func(xcontent.Value) error { p.refuse("a nested sort is not supported in this context"); return nil },
	})
	if err != nil {
		return k, err
	}
	order, mode = strings.ToLower(order), strings.ToLower(mode)
	k.Desc = order == "desc"
	k.Max = mode == "max" || mode == "" && k.Desc
	if order != "asc" && order != "desc" {
		p.refuse("the order of a sort is [asc] or [desc], but not [%s]", order)
	}
	if mode != "" && mode != "min" && mode != "max" {
		p.refuse("the mode of a sort is [min] or [max] here, but not [%s]", mode)
	}
	if _, err := readFormat(k.Format); err != nil || k.Format != "" && k.Field.Type != Date {
		p.refuse("the sort by [%s] takes no format [%s]", k.Name, k.Format)
	}
	switch {
	case missing.Kind == xcontent.Null || missing.Text == "_last":
	case missing.Text == "_first":
		k.First = true
	default:
		v := p.boundary(k, missing)
		k.Instead = &v
	}
	return k, nil
}

// Numeric reports whether the key's values are numbers.
func (k SortKey) Numeric() bool {
	return k.Name == DocOrder || k.Field.Type == Boolean || k.Field.Type == Date
}

// Missing returns what stands for no value.
func (k SortKey) Missing() Value {
	switch {
	case k.Instead != nil:
		return *k.Instead
	case !k.Numeric():
		return Value{None: true}
	case k.First == k.Desc:
		return Value{Number: math.MaxInt64}
	}
	return Value{Number: math.MinInt64}
}

// Compare returns a negative number if a comes before b, and a positive one if it comes after.
func (k SortKey) Compare(a, b Value) int {
	if a.None || b.None {
		c := 0
		switch {
		case a.None && !b.None:
			c = 1
		case b.None && !a.None:
			c = -1
		}
		if k.First {
			c = -c
		}
		return c
	}
	c := cmp.Compare(a.Number, b.Number)
	if c == 0 {
		c = strings.Compare(a.Text, b.Text)
	}
	if k.Desc {
		return -c
	}
	return c
}

// Show returns v as an answer tells it, and as search_after takes it.
func (k SortKey) Show(v Value) xcontent.Value {
	beyond := v.Number == math.MaxInt64 || v.Number == math.MinInt64
	switch {
	case v.None:
		return xcontent.Value{}
	case k.Numeric() && k.Format != "" && !beyond:
		if text, err := formatDate(v.Number, k.Format, time.UTC); err == nil {
			return xcontent.Value{Kind: xcontent.String, Text: text}
		}
	case k.Numeric() && k.Field.Type == Boolean && k.Name != DocOrder && !beyond:
		return xcontent.Value{Kind: xcontent.Bool, Text: strconv.FormatBool(v.Number == 1)}
	case !k.Numeric():
		return xcontent.Value{Kind: xcontent.String, Text: v.Text}
	}
	return xcontent.Value{Kind: xcontent.Number, Text: strconv.FormatInt(v.Number, 10)}
}

// boundary reads what Show has shown.
func (p *parser) boundary(k SortKey, v xcontent.Value) Value {
	if v.Kind == xcontent.Null {
		return k.Missing()
	}
	if !k.Numeric() {
		return Value{Text: v.Text}
	}
	if n, err := strconv.ParseInt(v.Text, 10, 64); err == nil {
		return Value{Number: n}
	}
	if k.Name != DocOrder && k.Field.Type == Boolean && (v.Text == "true" || v.Text == "false") {
		return Value{Number: int64(strings.Compare(v.Text, "false"))}
	}
	if k.Name != DocOrder && k.Field.Type == Date {
		if at, _, err := p.instant(v, k.Format, time.UTC); err == nil {
			return Value{Number: at}
		}
	}
	p.refuse("[%s] is no value of field [%s]", v.Text, k.Name)
	return Value{}
}

// after reads search_after.
func (p *parser) after(v xcontent.Value, keys []SortKey, from int) []Value {
	switch {
	case len(keys) == 0:
		p.refuse("[search_after] needs a [sort]")
	case from != 0:
		p.refuse("[from] must be [0] or absent with [search_after], but is [%d]", from)
	case len(v.Items) != len(keys):
		p.refuse("[search_after] has [%d] values, but [sort] has [%d]", len(v.Items), len(keys))
	}
	if p.late != nil {
		return nil
	}
	after := make([]Value, len(keys))
	for i, k := range keys {
		after[i] = p.boundary(k, v.Items[i])
	}
	return after
}
