package query

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"latchkey/internal/fault"
	"latchkey/internal/pattern"
	"latchkey/internal/xcontent"
)

// terms has a bucket for each of the most frequent values, or of the first by
// another order.
type terms struct {
	noNames
	size, atLeast    int
	order            []order
	include, exclude *choice
	showError        bool
}

// order is one thing to order buckets by; what ties is in order of the keys.
type order struct {
	by   string // byCount, byKey or the path of a metric
	path []*aggregator
	desc bool
}

const (
	byCount = "_count"
	byKey   = "_key"
)

// choice chooses values.
type choice struct {
	values []Value
	regexp *pattern.Language // of texts
}

// noNames is embedded in plans that read nothing besides their source.
type noNames struct{}

func (noNames) names(map[string]bool) {}

func (p *parser) aggTerms(a *aggregator, v xcontent.Value) error {
	t := &terms{size: 10, atLeast: 1, order: []order{{by: byCount, desc: true}}}
	a.plan, a.typed = t, "sterms"
	var given, include, exclude *xcontent.Value
	keep := func(to **xcontent.Value) func(xcontent.Value) error {
		return func(v xcontent.Value) error { *to = &v; return nil }
	}
	err := p.source(a, v, xcontent.Fields{
		"size": toCount(&t.size), "min_doc_count": toCount(&t.atLeast), "order": keep(&given),
		"include": keep(&include), "exclude": keep(&exclude), "show_term_doc_count_error": xcontent.ToBool(&t.showError),
		"shard_size": scalar, "shard_min_doc_count": scalar, "execution_hint": scalar, "collect_mode": scalar,
	})
	if err != nil {
		return err
	}
	if a.of.field.Type == Date || a.of.field.Type == Boolean {
		a.typed = "lterms"
	}
	if t.size <= 0 {
		p.refuse("[size] of aggregation [%s] must be greater than 0, but is [%d]", a.name, t.size)
	}
	if t.atLeast < 0 {
		p.refuse("[min_doc_count] of aggregation [%s] must not be negative, but is [%d]", a.name, t.atLeast)
	}
	if t.include, err = p.choice(a, "include", include); err != nil {
		return err
	}
	if t.exclude, err = p.choice(a, "exclude", exclude); err != nil {
		return err
	}
	if given != nil {
		t.order, err = orders(*given)
	}
	return err
}

// choice reads include or exclude: a regular expression or an array of values.
func (p *parser) choice(a *aggregator, option string, v *xcontent.Value) (*choice, error) {
	if v == nil || a.of.name == "" {
		return nil, nil
	}
	switch v.Kind {
	case xcontent.Array:
		if len(v.Items) > maxTerms {
			return nil, fault.New(fault.Argument, "[%s] takes at most [%d] values", option, maxTerms)
		}
		c := &choice{}
		for _, item := range v.Items {
			if err := scalar(item); err != nil {
				return nil, parsing(item.Line, item.Col, "["+option+"] "+err.Error())
			}
			c.values = append(c.values, p.boundary(a.of.key(), item))
		}
		return c, nil
	case xcontent.String:
		if a.of.field.Type == Date || a.of.field.Type == Boolean {
			p.refuse("[%s] of aggregation [%s] cannot be a regular expression: field [%s] is no text", option, a.name, a.of.name)
			return nil, nil
		}
		l, err := p.compiler.Parse("/" + v.Text + "/")
		if err != nil {
			p.refuse("[%s] of aggregation [%s] cannot be read: %s", option, a.name, err)
		}
		return &choice{regexp: &l}, nil
	}
	p.refuse("[%s] of aggregation [%s] must be a regular expression or an array of values", option, a.name)
	return nil, nil
}

// test returns which values of v are chosen.
func (c *choice) test(w *work, v *view) func(value int64) bool {
	if c.regexp != nil {
		return func(value int64) bool {
			s := v.text(value)
			return w.spend(1+len(s)) && c.regexp.Matches(s)
		}
	}
	texts, numbers := map[string]bool{}, map[int64]bool{}
	for _, chosen := range c.values {
		texts[chosen.Text], numbers[chosen.Number] = true, true
	}
	if v.isText() {
		return func(value int64) bool { return texts[v.text(value)] }
	}
	return func(value int64) bool { return numbers[value] }
}

// orders reads what buckets are ordered by: an object with one member, or an array
// of such objects.
func orders(v xcontent.Value) ([]order, error) {
	items := v.Items
	if v.Kind != xcontent.Array {
		items = []xcontent.Value{v}
	}
	var all []order
	for _, item := range items {
		if item.Kind != xcontent.Object || len(item.Members) != 1 {
			return nil, parsing(item.Line, item.Col, "[order] must be an object with one member, or an array of such objects")
		}
		m := item.Members[0]
		way := strings.ToLower(m.Value.Text)
		if way != "asc" && way != "desc" {
			return nil, parsing(m.Value.Line, m.Value.Col, "an order is [asc] or [desc], but not ["+m.Value.Text+"]")
		}
		if all = append(all, order{by: m.Name, desc: way == "desc"}); len(all) > maxAggDepth {
			return nil, parsing(v.Line, v.Col, "there are too many orders")
		}
	}
	return all, nil
}

// checkOrder looks for the metrics that terms are ordered by.
func (p *parser) checkOrder(a *aggregator, t *terms) {
	for i, o := range t.order {
		if o.by == byCount || o.by == byKey {
			continue
		}
		subs := a.subs
		names := strings.Split(strings.TrimSuffix(strings.TrimSuffix(o.by, ".value"), "._count"), ">")
		if last := len(names) - 1; last > 0 && names[last] == byCount {
			names = names[:last]
		}
		for _, name := range names {
			at := slices.IndexFunc(subs, func(sub *aggregator) bool { return sub.name == name })
			if at < 0 {
				t.order[i].path = nil
				break
			}
			t.order[i].path = append(t.order[i].path, subs[at])
			subs = subs[at].subs
		}
		ok := len(t.order[i].path) > 0
		for _, sub := range t.order[i].path {
			many, isMany := sub.plan.(*filters)
			ok = ok && (!isMany || many.single) && slices.Contains([]string{"cardinality", "value_count", "missing", "filter"}, sub.kind)
		}
		if !ok {
			p.refuse("aggregation [%s] cannot be ordered by [%s]: that is [_count], [_key] or the path of one number below it", a.name, o.by)
		}
	}
}

// term is a value that may get a bucket.
type term struct {
	value  int64
	count  int
	scores []int // by the metrics of the order
}

func (t *terms) run(ctx context.Context, e *evaluation, a *aggregator, rows []uint32) (answer, error) {
	v := e.view(a.of)
	out := answer{bucketed: true}
	chosen := func(int64) bool { return true }
	if t.include != nil {
		chosen = t.include.test(e.w, v)
	}
	if t.exclude != nil {
		included, excluded := chosen, t.exclude.test(e.w, v)
		chosen = func(value int64) bool { return included(value) && !excluded(value) }
	}
	counts := e.tally(v, rows)
	best := top[term]{room: t.size, worse: func(a, b term) bool { return t.compare(v, a, b) > 0 }}
	total := 0
	add := func(one term) {
		total += one.count
		if one.count < t.atLeast || best.full() && !best.worse(best.items[0], one) {
			return
		}
		best.push(one)
	}
	var all []term
	metrics := slices.ContainsFunc(t.order, func(o order) bool { return o.path != nil })
	for value, n := range counts.all {
		if !chosen(value) {
			continue
		}
		if one := (term{value: value, count: n}); metrics {
			all = append(all, one)
		} else {
			add(one)
		}
	}
	if t.atLeast == 0 { // also values of other documents that were found
		everywhere := e.everywhere(v)
		if err := e.look(max(len(everywhere.few), len(everywhere.many))); err != nil {
			return out, err
		}
		for value := range everywhere.all {
			if counts.has(value) || !chosen(value) {
				continue
			}
			if one := (term{value: value}); metrics {
				all = append(all, one)
			} else {
				add(one)
			}
		}
	}
	if err := cmp.Or(e.w.err, t.score(ctx, e, v, rows, all)); err != nil {
		return out, err
	}
	for _, one := range all {
		add(one)
	}
	shown := best.sorted()
	if err := e.bucket(len(shown)); err != nil {
		return out, err
	}
	values := make([]int64, len(shown))
	for i, one := range shown {
		if err := e.show(v.size(one.value)); err != nil {
			return out, err
		}
		values[i] = one.value
		total -= one.count
	}
	var parts [][]uint32
	if len(a.subs) > 0 {
		parts = e.split(v, rows, values)
	}
	for i, one := range shown {
		b := bucket{members: append(v.members(one.value), number("doc_count", one.count))}
		if t.showError {
			b.members = append(b.members, number("doc_count_error_upper_bound", 0))
		}
		if len(a.subs) > 0 {
			var err error
			if b.subs, err = e.all(ctx, a.subs, parts[i]); err != nil {
				return out, err
			}
		}
		out.buckets = append(out.buckets, b)
	}
	out.members = []xcontent.Member{number("doc_count_error_upper_bound", 0), number("sum_other_doc_count", total)}
	return out, nil
}

// score computes the metrics of the order for each term.
func (t *terms) score(ctx context.Context, e *evaluation, v *view, rows []uint32, all []term) error {
	if len(all) == 0 {
		return nil
	}
	values := make([]int64, len(all))
	for i, one := range all {
		values[i] = one.value
	}
	parts := e.split(v, rows, values)
	for i := range all {
		for _, o := range t.order {
			score := 0
			if o.path != nil {
				var err error
				if score, err = e.metric(ctx, o.path, parts[i]); err != nil {
					return err
				}
			}
			all[i].scores = append(all[i].scores, score)
		}
	}
	return nil
}

// metric returns the number at the end of a path of aggregations.
func (e *evaluation) metric(ctx context.Context, path []*aggregator, rows []uint32) (int, error) {
	if err := cmp.Or(ctx.Err(), e.look(len(rows))); err != nil {
		return 0, err
	}
	a := path[0]
	switch plan := a.plan.(type) {
	case counter:
		return plan.count(e, a, rows), nil
	case missing:
		rows = e.missing(a, rows)
	case *filters:
		var err error
		if rows, err = e.filter(plan.filters[0], rows); err != nil {
			return 0, err
		}
	}
	if len(path) > 1 {
		return e.metric(ctx, path[1:], rows)
	}
	return e.weigh(rows), nil
}

func (t *terms) compare(v *view, a, b term) int {
	for i, o := range t.order {
		c := 0
		switch {
		case o.path != nil:
			c = cmp.Compare(a.scores[i], b.scores[i])
		case o.by == byKey:
			c = v.compare(a.value, b.value)
		default:
			c = cmp.Compare(a.count, b.count)
		}
		switch {
		case c != 0 && o.desc:
			return -c
		case c != 0:
			return c
		}
	}
	return v.compare(a.value, b.value)
}
