package query

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"latchkey/internal/fault"
	"latchkey/internal/xcontent"
)

// What the aggregations of one search may be made of, and come to.
const (
	maxAggregations = 100
	maxAggDepth     = 10
	maxFilters      = 256      // of all filters aggregations
	maxBuckets      = 65_536   // in the answer
	maxShown        = 64 << 20 // bytes of keys, names and all that comes with them in the answer, about
	perAnswer       = 100      // of these
	minWork         = 10_000_000
	workPerRow      = 256 // how often each row may be looked at, beyond minWork for all
)

// aggregator is one aggregation that was asked for.
type aggregator struct {
	name  string
	kind  string // how it is asked for
	typed string // how its answer is called
	meta  *xcontent.Value
	size  int    // bytes of its name and of meta
	of    source // what most kinds look at
	subs  []*aggregator
	plan  plan
}

// source is the values of a field that an aggregation looks at.
type source struct {
	field   Field
	name    string         // the field's, or a path below it
	missing *Value         // what stands for no value
	format  string         // how dates are read and shown
	zone    *time.Location // in which they are; nil is UTC
}

// plan is what one kind of aggregation does.
type plan interface {
	// run answers a over rows, which are in order.
	run(ctx context.Context, e *evaluation, a *aggregator, rows []uint32) (answer, error)
	// names adds what it reads besides the source.
	names(to map[string]bool)
}

func (a *aggregator) names(to map[string]bool) {
	if a.of.name != "" {
		to[a.of.name] = true
	}
	a.plan.names(to)
	for _, sub := range a.subs {
		sub.names(to)
	}
}

// Aggregations are the answers to the aggregations of a request, in its order.
type Aggregations []answer

// answer has buckets or is one bucket.
type answer struct {
	name, typed string
	meta        *xcontent.Value
	bucket
	bucketed bool
	keyed    bool // the buckets have names
	buckets  []bucket
}

type bucket struct {
	name    string
	members []xcontent.Member
	subs    Aggregations
}

// Render returns the aggregations as the wire shows them: an object; with typed,
// names begin with the type of the answer, as in sterms#name.
func (a Aggregations) Render(typed bool) xcontent.Value {
	return xcontent.Value{Kind: xcontent.Object, Members: a.members(typed)}
}

func (a Aggregations) members(typed bool) []xcontent.Member {
	var all []xcontent.Member
	for _, one := range a {
		object := xcontent.Value{Kind: xcontent.Object}
		if one.meta != nil {
			object.Members = append(object.Members, xcontent.Member{Name: "meta", Value: *one.meta})
		}
		object.Members = append(object.Members, one.render(typed)...)
		if one.bucketed {
			object.Members = append(object.Members, xcontent.Member{Name: "buckets", Value: one.list(typed)})
		}
		name := one.name
		if typed {
			name = one.typed + "#" + name
		}
		all = append(all, xcontent.Member{Name: name, Value: object})
	}
	return all
}

func (b bucket) render(typed bool) []xcontent.Member {
	return append(slices.Clip(b.members), b.subs.members(typed)...)
}

func (a answer) list(typed bool) xcontent.Value {
	list := xcontent.Value{Kind: xcontent.Array}
	if a.keyed {
		list.Kind = xcontent.Object
	}
	for _, b := range a.buckets {
		v := xcontent.Value{Kind: xcontent.Object, Members: b.render(typed)}
		if a.keyed {
			list.Members = append(list.Members, xcontent.Member{Name: b.name, Value: v})
		} else {
			list.Items = append(list.Items, v)
		}
	}
	return list
}

func number(name string, n int) xcontent.Member {
	return xcontent.Member{Name: name, Value: xcontent.Value{Kind: xcontent.Number, Text: strconv.Itoa(n)}}
}

func text(name, s string) xcontent.Member {
	return xcontent.Member{Name: name, Value: xcontent.Value{Kind: xcontent.String, Text: s}}
}

// evaluation answers the aggregations of one search.
type evaluation struct {
	t       *Table
	w       *work
	found   set
	rows    []uint32 // of found
	views   map[source]*view
	filters map[*filter]set
	buckets int // so far
	work    int // how many rows may still be looked at
	shown   int // bytes so far
}

// aggregate answers aggregations over the rows of found, of which there are some.
func (t *Table) aggregate(w *work, aggs []*aggregator, found set) (Aggregations, error) {
	if len(aggs) == 0 {
		return nil, nil
	}
	e := &evaluation{t: t, w: w, found: found, views: map[source]*view{}, filters: map[*filter]set{}}
	e.rows = slices.AppendSeq(make([]uint32, 0, found.count()), found.all)
	e.work = minWork + workPerRow*len(e.rows)
	return e.all(w.ctx, aggs, e.rows)
}

func (e *evaluation) all(ctx context.Context, aggs []*aggregator, rows []uint32) (Aggregations, error) {
	var all Aggregations
	for _, a := range aggs {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := cmp.Or(e.look(len(rows)), e.show(perAnswer+a.size)); err != nil {
			return nil, err
		}
		one, err := a.plan.run(ctx, e, a, rows)
		if err != nil {
			return nil, err
		}
		one.name, one.typed, one.meta = a.name, a.typed, a.meta
		all = append(all, one)
	}
	return all, nil
}

// look counts rows that are looked at.
func (e *evaluation) look(rows int) error {
	if e.work -= rows + 1; e.work < 0 {
		return fault.New(fault.Search, "the search failed").Because(fault.New(fault.Argument, "the aggregations are too much work; ask for fewer at once"))
	}
	return nil
}

// show counts bytes of the answer.
func (e *evaluation) show(bytes int) error {
	if e.shown += bytes; e.shown > maxShown {
		why := fault.New(fault.Argument, "the answers of the aggregations are larger than [%d] bytes; ask for fewer", maxShown)
		return fault.New(fault.Search, "the search failed").Because(why)
	}
	return nil
}

// bucket counts buckets of the answer.
func (e *evaluation) bucket(n int) error {
	if e.buckets += n; e.buckets > maxBuckets {
		why := fault.New(fault.Buckets, "the aggregations have more than [%d] buckets; ask for fewer", maxBuckets)
		why.Fields = []fault.Field{{Name: "max_buckets", Value: maxBuckets}}
		return fault.New(fault.Search, "the search failed").Because(why)
	}
	return nil
}

// weigh returns how many documents rows stand for.
func (e *evaluation) weigh(rows []uint32) int {
	if e.t.weights == nil {
		return len(rows)
	}
	n := 0
	for _, row := range rows {
		n += int(e.t.weights[row])
	}
	return n
}

// weight returns how many documents a row stands for.
func (e *evaluation) weight(row uint32) int {
	if e.t.weights == nil {
		return 1
	}
	return int(e.t.weights[row])
}

// single answers an aggregation that has one bucket.
func (e *evaluation) single(ctx context.Context, a *aggregator, rows []uint32) (answer, error) {
	subs, err := e.all(ctx, a.subs, rows)
	return answer{bucket: bucket{members: []xcontent.Member{number("doc_count", e.weigh(rows))}, subs: subs}}, err
}

// aggregations reads named aggregations.
func (p *parser) aggregations(v xcontent.Value, to *[]*aggregator, depth int) error {
	switch {
	case v.Kind != xcontent.Object:
		return parsing(v.Line, v.Col, "[aggregations] must be an object")
	case *to != nil:
		return parsing(v.Line, v.Col, "[aggs] and [aggregations] are the same, and only one of them can be given")
	case depth > maxAggDepth:
		return fault.New(fault.Argument, "aggregations may be nested at most [%d] deep", maxAggDepth)
	}
	*to = []*aggregator{}
	for _, m := range v.Members {
		if m.Name == "" || strings.ContainsAny(m.Name, "[]>") {
			return parsing(m.Line, m.Col, "the name of an aggregation must not be empty, and must not hold [, ] or >, but is ["+m.Name+"]")
		}
		if p.aggs++; p.aggs > maxAggregations {
			return fault.New(fault.Argument, "a search may have at most [%d] aggregations", maxAggregations)
		}
		a, err := p.aggregation(m, depth)
		if err != nil {
			return err
		}
		*to = append(*to, a)
	}
	return nil
}

func (p *parser) aggregation(m xcontent.Member, depth int) (*aggregator, error) {
	a := &aggregator{name: m.Name, size: len(m.Name), plan: missing{}}
	if m.Value.Kind != xcontent.Object {
		return nil, parsing(m.Value.Line, m.Value.Col, "aggregation ["+a.name+"] must be an object")
	}
	for _, m := range m.Value.Members {
		switch m.Name {
		case "meta":
			if m.Value.Kind != xcontent.Object {
				return nil, parsing(m.Value.Line, m.Value.Col, "[meta] of aggregation ["+a.name+"] must be an object")
			}
			a.meta = &m.Value
			a.size += len(m.Value.JSON())
			continue
		case "aggs", "aggregations":
			if err := p.aggregations(m.Value, &a.subs, depth+1); err != nil {
				return nil, err
			}
			continue
		}
		read, known := aggregators[m.Name]
		switch {
		case a.kind != "":
			return nil, parsing(m.Line, m.Col, "aggregation ["+a.name+"] has two types, ["+a.kind+"] and ["+m.Name+"]")
		case !known && !slices.Contains(otherAggregators, m.Name):
			return nil, parsing(m.Line, m.Col, "unknown aggregation type ["+m.Name+"]"+xcontent.DidYouMean(m.Name, aggregators))
		}
		if a.kind, a.typed = m.Name, m.Name; !known {
			p.refuse("aggregation [%s] of type [%s] is not supported in this context", a.name, a.kind)
			continue
		}
		if err := read(p, a, m.Value); err != nil {
			return nil, err
		}
	}
	if a.kind == "" {
		return nil, parsing(m.Value.Line, m.Value.Col, "aggregation ["+a.name+"] has no type")
	}
	p.checkSubs(a)
	return a, nil
}

// checkSubs refuses what cannot be below an aggregation.
func (p *parser) checkSubs(a *aggregator) {
	if (a.kind == "cardinality" || a.kind == "value_count") && len(a.subs) > 0 {
		p.refuse("aggregation [%s] of type [%s] cannot have aggregations below it", a.name, a.kind)
	}
	for _, sub := range a.subs {
		if slices.Contains([]string{"key", "key_as_string", "doc_count", "from", "from_as_string", "to", "to_as_string", "meta", "buckets"}, sub.name) {
			p.refuse("an aggregation below another cannot have the name [%s], which its bucket needs itself", sub.name)
		}
	}
	if t, ok := a.plan.(*terms); ok {
		p.checkOrder(a, t)
	}
}
