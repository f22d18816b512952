package query

import (
	"cmp"
	"context"
	"encoding/binary"
	"slices"
	"strings"

	"latchkey/internal/xcontent"
)

// composite has a bucket for each combination of values of some sources, in their
// order, so that all of them can be paged through.
type composite struct {
	sources []part
	size    int
	after   []Value // the last combination of the page before, or nil
}

// part is a source of a composite.
type part struct {
	name string
	of   source
	desc bool
	bare bool // what has no value counts, as null
	last bool // null comes last
}

const maxParts = 16

func (c *composite) names(to map[string]bool) {
	for _, s := range c.sources {
		to[s.of.name] = true
	}
}

func (p *parser) composite(a *aggregator, v xcontent.Value) error {
	c := &composite{size: 10}
	a.plan = c
	var list, after *xcontent.Value
	err := v.Read("composite", xcontent.Fields{
		"sources": func(v xcontent.Value) error { list = &v; return nil },
		"size":    toCount(&c.size),
		"after":   func(v xcontent.Value) error { after = &v; return nil },
	})
	if err != nil {
		return err
	}
	if c.size <= 0 {
		p.refuse("[size] of aggregation [%s] must be greater than 0, but is [%d]", a.name, c.size)
	}
	items := []xcontent.Value{}
	if list != nil {
		if items = list.Items; list.Kind == xcontent.Object {
			items = []xcontent.Value{*list}
		}
	}
	if len(items) == 0 || len(items) > maxParts {
		p.refuse("aggregation [%s] needs [sources], and at most [%d]", a.name, maxParts)
		return nil
	}
	for _, item := range items {
		s, err := p.part(item)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(c.sources, func(other part) bool { return other.name == s.name }) {
			p.refuse("two sources of aggregation [%s] have the name [%s]", a.name, s.name)
		}
		c.sources = append(c.sources, s)
	}
	if after != nil && p.late == nil {
		return p.compositeAfter(a, c, *after)
	}
	return nil
}

// part reads a source: {name: {"terms": {...}}}.
func (p *parser) part(v xcontent.Value) (part, error) {
	if v.Kind != xcontent.Object || len(v.Members) != 1 {
		return part{}, parsing(v.Line, v.Col, "a source must be an object with one member, its name")
	}
	s := part{name: v.Members[0].Name}
	body := v.Members[0].Value
	if body.Kind != xcontent.Object || len(body.Members) != 1 {
		return s, parsing(body.Line, body.Col, "source ["+s.name+"] must be an object with one member, its type")
	}
	switch m := body.Members[0]; m.Name {
	case "terms":
		body = m.Value
	case "histogram", "date_histogram", "geotile_grid":
		p.refuse("source [%s] of type [%s] is not supported in this context", s.name, m.Name)
		return s, nil
	default:
		return s, parsing(m.Line, m.Col, "unknown type ["+m.Name+"] of source ["+s.name+"]")
	}
	way, nulls := "asc", "default"
	fields := xcontent.Fields{
		"order": xcontent.ToString(&way), "missing_order": xcontent.ToString(&nulls), "missing_bucket": xcontent.ToBool(&s.bare),
	}
	scripted := p.sourceFields(&s.of, fields)
	if err := body.Read("terms", fields); err != nil {
		return s, err
	}
	p.settle(&s.of, *scripted)
	s.desc = way == "desc"
	s.last = nulls == "last" || nulls == "default" && s.desc
	if way != "asc" && way != "desc" {
		p.refuse("the order of a source is [asc] or [desc], but not [%s]", way)
	}
	if !slices.Contains([]string{"first", "last", "default"}, nulls) {
		p.refuse("[missing_order] is [first], [last] or [default], but not [%s]", nulls)
	}
	return s, nil
}

// compositeAfter reads the combination to go on from.
func (p *parser) compositeAfter(a *aggregator, c *composite, v xcontent.Value) error {
	if v.Kind != xcontent.Object {
		return parsing(v.Line, v.Col, "[after] must be an object")
	}
	if len(v.Members) != len(c.sources) {
		p.refuse("[after] of aggregation [%s] has [%d] values, but [sources] has [%d]", a.name, len(v.Members), len(c.sources))
		return nil
	}
	for _, s := range c.sources {
		value, ok := v.Get(s.name)
		switch {
		case !ok:
			p.refuse("[after] of aggregation [%s] has no value for source [%s]", a.name, s.name)
			return nil
		case value.Kind == xcontent.Null && s.bare:
			c.after = append(c.after, Value{None: true})
			continue
		case value.Kind == xcontent.Null || scalar(value) != nil:
			p.refuse("[after] of aggregation [%s] must have a single value for source [%s]", a.name, s.name)
			return nil
		}
		c.after = append(c.after, p.boundary(s.of.key(), value))
	}
	return nil
}

// combination is a value of each source; null is never.
type combination struct {
	values []int64
	rows   []uint32
	count  int
}

// compare compares values of a source as it orders them.
func (s *part) compare(aNone, bNone bool, c func() int) int {
	switch {
	case aNone && bNone:
		return 0
	case aNone == s.last && (aNone || bNone):
		return 1
	case aNone || bNone:
		return -1
	case s.desc:
		return -c()
	}
	return c()
}

func (c *composite) run(ctx context.Context, e *evaluation, a *aggregator, rows []uint32) (answer, error) {
	out := answer{bucketed: true}
	views := make([]*view, len(c.sources))
	for i, s := range c.sources {
		views[i] = e.view(s.of)
	}
	compare := func(x, y []int64) int {
		for i := range c.sources {
			r := c.sources[i].compare(x[i] == never, y[i] == never, func() int { return views[i].compare(x[i], y[i]) })
			if r != 0 {
				return r
			}
		}
		return 0
	}
	best := top[*combination]{room: min(c.size, maxBuckets+1), worse: func(x, y *combination) bool { return compare(x.values, y.values) > 0 }}
	known := map[string]*combination{}
	now := make([]int64, len(views))
	var key []byte
	each := func(row uint32) {
		if c.after != nil && c.compareAfter(views, now) <= 0 {
			return
		}
		if best.full() && compare(now, best.items[0].values) > 0 {
			return
		}
		key = appendKey(key[:0], now)
		one := known[string(key)]
		if one == nil {
			one = &combination{values: slices.Clone(now)}
			if best.full() {
				delete(known, string(appendKey(nil, best.items[0].values)))
			}
			known[string(key)] = one
			best.push(one)
		}
		one.count += e.weight(row)
		if len(a.subs) > 0 {
			one.rows = append(one.rows, row)
		}
	}
	var combine func(row uint32, i int) error
	combine = func(row uint32, i int) error {
		if i == len(views) {
			each(row)
			return e.look(0)
		}
		var room [1]int64
		values := views[i].values(row, &room)
		if len(values) == 0 && c.sources[i].bare {
			values = []int64{never}
		}
		for _, now[i] = range values {
			if err := combine(row, i+1); err != nil {
				return err
			}
		}
		return nil
	}
	for i, row := range rows {
		if i%4096 == 0 && ctx.Err() != nil {
			return out, ctx.Err()
		}
		if err := combine(row, 0); err != nil {
			return out, err
		}
	}
	shown := best.sorted()
	if err := e.bucket(len(shown)); err != nil {
		return out, err
	}
	for _, one := range shown {
		size := 0
		for i, value := range one.values {
			size += len(c.sources[i].name) + views[i].size(value)
		}
		if err := e.show(size); err != nil {
			return out, err
		}
		key := c.key(views, one.values)
		b := bucket{members: []xcontent.Member{{Name: "key", Value: key}, number("doc_count", one.count)}}
		var err error
		if b.subs, err = e.all(ctx, a.subs, one.rows); err != nil {
			return out, err
		}
		out.buckets = append(out.buckets, b)
		out.members = []xcontent.Member{{Name: "after_key", Value: key}}
	}
	return out, nil
}

func appendKey(key []byte, values []int64) []byte {
	for _, n := range values {
		key = binary.LittleEndian.AppendUint64(key, uint64(n))
	}
	return key
}

// compareAfter compares a combination with the one to go on from.
func (c *composite) compareAfter(views []*view, now []int64) int {
	for i := range c.sources {
		s, v, after := &c.sources[i], views[i], c.after[i]
		r := s.compare(now[i] == never, after.None, func() int {
			if v.isText() {
				return strings.Compare(v.text(now[i]), after.Text)
			}
			return cmp.Compare(now[i], after.Number)
		})
		if r != 0 {
			return r
		}
	}
	return 0
}

// key shows a combination.
func (c *composite) key(views []*view, values []int64) xcontent.Value {
	key := xcontent.Value{Kind: xcontent.Object}
	for i, s := range c.sources {
		m := xcontent.Member{Name: s.name}
		if values[i] != never {
			m.Value = views[i].key(values[i])
		}
		key.Members = append(key.Members, m)
	}
	return key
}
