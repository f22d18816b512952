package query

import (
	"cmp"
	"math"
	"strconv"
	"strings"
	"time"

	"latchkey/internal/xcontent"
)

// key is one thing to sort by.
type key struct {
	field   Field
	name    string // the field, or a path below it; _doc is the order of the documents
	desc    bool
	first   bool // what has no value comes first, not last
	instead *value
	max     bool // of several values the greatest counts, not the least
	format  string
}

const docOrder = "_doc"

// value is what a document is sorted by.
type value struct {
	text   string
	number int64 // of everything that is no text
	none   bool  // of texts; what is missing of numbers is beyond all numbers
}

// sort reads the keys to sort by: an array of names and of objects with one
// member, or one such object.
func (p *parser) sort(v xcontent.Value) ([]key, error) {
	items := v.Items
	switch v.Kind {
	case xcontent.Array:
	case xcontent.Object:
		items = []xcontent.Value{v}
	default:
		return nil, v.Mismatch("an array")
	}
	var keys []key
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

func (p *parser) key(name string) key {
	if name == docOrder {
		return key{name: name}
	}
	f, ok := p.schema.find(name)
	switch {
	case !ok:
		p.refuse("field [%s] is not allowed in a sort", name)
	case f.Unsorted:
		p.refuse("sorting is not supported for field [%s]", name)
	}
	return key{name: name, field: f}
}

func (p *parser) keyWith(m xcontent.Member) (key, error) {
	k := p.key(m.Name)
	if m.Value.Kind != xcontent.Object {
		return k, m.Value.Mismatch("an object such as {\"order\":\"desc\"}")
	}
	var missing xcontent.Value
	order, mode := "asc", ""
	err := m.Value.Read("sort", xcontent.Fields{
		"order": xcontent.ToString(&order), "mode": xcontent.ToString(&mode), "format": xcontent.ToString(&k.format),
		"missing": toScalar(&missing), "unmapped_type": scalar, "numeric_type": scalar,
		"nested": func(xcontent.Value) error { p.refuse("a nested sort is not supported in this context"); return nil },
	})
	if err != nil {
		return k, err
	}
	order, mode = strings.ToLower(order), strings.ToLower(mode)
	k.desc = order == "desc"
	k.max = mode == "max" || mode == "" && k.desc
	if order != "asc" && order != "desc" {
		p.refuse("the order of a sort is [asc] or [desc], but not [%s]", order)
	}
	if mode != "" && mode != "min" && mode != "max" {
		p.refuse("the mode of a sort is [min] or [max] here, but not [%s]", mode)
	}
	if _, err := readFormat(k.format); err != nil || k.format != "" && k.field.Type != Date {
		p.refuse("the sort by [%s] takes no format [%s]", k.name, k.format)
	}
	switch {
	case missing.Kind == xcontent.Null || missing.Text == "_last":
	case missing.Text == "_first":
		k.first = true
	default:
		v := p.boundary(k, missing)
		k.instead = &v
	}
	return k, nil
}

// numeric reports whether the key's values are numbers.
func (k key) numeric() bool {
	return k.name == docOrder || k.field.Type == Boolean || k.field.Type == Date
}

// of returns what d, which is at the given place, is sorted by.
func (k key) of(d Document, at int) value {
	if k.name == docOrder {
		return value{number: int64(at)}
	}
	all := d.Values(k.name)
	if len(all) == 0 {
		return k.missing()
	}
	best := k.read(all[0])
	for _, s := range all[1:] {
		v := k.read(s)
		if c := cmp.Or(cmp.Compare(v.number, best.number), cmp.Compare(v.text, best.text)); c > 0 == k.max {
			best = v
		}
	}
	return best
}

func (k key) read(s string) value {
	switch {
	case k.field.Type == Date:
		return value{number: millis(s)}
	case k.field.Type == Boolean && s == "true":
		return value{number: 1}
	case k.field.Type == Boolean:
		return value{}
	}
	return value{text: s}
}

func (k key) missing() value {
	switch {
	case k.instead != nil:
		return *k.instead
	case !k.numeric():
		return value{none: true}
	case k.first == k.desc:
		return value{number: math.MaxInt64}
	}
	return value{number: math.MinInt64}
}

func (k key) compare(a, b value) int {
	if a.none || b.none {
		c := 0
		switch {
		case a.none && !b.none:
			c = 1
		case b.none && !a.none:
			c = -1
		}
		if k.first {
			c = -c
		}
		return c
	}
	c := cmp.Or(cmp.Compare(a.number, b.number), cmp.Compare(a.text, b.text))
	if k.desc {
		return -c
	}
	return c
}

// show returns v as an answer tells it, and as search_after takes it.
func (k key) show(v value) xcontent.Value {
	beyond := v.number == math.MaxInt64 || v.number == math.MinInt64
	switch {
	case v.none:
		return xcontent.Value{}
	case k.numeric() && k.format != "" && !beyond:
		if text, err := formatDate(v.number, k.format); err == nil {
			return xcontent.Value{Kind: xcontent.String, Text: text}
		}
	case k.numeric() && k.field.Type == Boolean && k.name != docOrder && !beyond:
		return xcontent.Value{Kind: xcontent.Bool, Text: strconv.FormatBool(v.number == 1)}
	case !k.numeric():
		return xcontent.Value{Kind: xcontent.String, Text: v.text}
	}
	return xcontent.Value{Kind: xcontent.Number, Text: strconv.FormatInt(v.number, 10)}
}

// boundary reads what show has shown.
func (p *parser) boundary(k key, v xcontent.Value) value {
	if v.Kind == xcontent.Null {
		return k.missing()
	}
	if !k.numeric() {
		return value{text: v.Text}
	}
	if n, err := strconv.ParseInt(v.Text, 10, 64); err == nil {
		return value{number: n}
	}
	if k.name != docOrder && k.field.Type == Boolean && (v.Text == "true" || v.Text == "false") {
		return k.read(v.Text)
	}
	if k.name != docOrder && k.field.Type == Date {
		if at, _, err := p.instant(v, k.format, time.UTC); err == nil {
			return value{number: at}
		}
	}
	p.refuse("[%s] is no value of field [%s]", v.Text, k.name)
	return value{}
}

// after reads search_after.
func (p *parser) after(v xcontent.Value, keys []key, from int) []value {
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
	after := make([]value, len(keys))
	for i, k := range keys {
		after[i] = p.boundary(k, v.Items[i])
	}
	return after
}
