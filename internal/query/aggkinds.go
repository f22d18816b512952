package query

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"latchkey/internal/fault"
	"latchkey/internal/xcontent"
)

// aggregators reads the body of each kind into a and its plan.
var aggregators = map[string]func(p *parser, a *aggregator, v xcontent.Value) error{
	"terms":       (*parser).aggTerms,
	"range":       (*parser).ranges,
	"date_range":  (*parser).ranges,
	"missing":     (*parser).missing,
	"cardinality": (*parser).counter,
	"value_count": (*parser).counter,
	"composite":   (*parser).composite,
	"filter":      (*parser).filter,
	"filters":     (*parser).filters,
}

// otherAggregators are those that exist elsewhere: to name one is no mistake of spelling.
var otherAggregators = strings.Fields(`adjacency_matrix auto_date_histogram avg avg_bucket boxplot bucket_correlation bucket_count_ks_test bucket_script
	bucket_selector bucket_sort categorize_text change_point children cumulative_cardinality cumulative_sum date_histogram derivative
	diversified_sampler extended_stats extended_stats_bucket frequent_item_sets geo_bounds geo_centroid geo_distance geo_line geohash_grid
	geohex_grid geotile_grid global histogram inference ip_prefix ip_range matrix_stats max max_bucket median_absolute_deviation min min_bucket
	moving_fn moving_percentiles multi_terms nested normalize parent percentile_ranks percentiles percentiles_bucket random_sampler rare_terms rate
	reverse_nested sampler scripted_metric serial_diff significant_terms significant_text stats stats_bucket string_stats sum sum_bucket
	t_test time_series top_hits top_metrics variable_width_histogram weighted_avg`)

// source reads a body with a field and the options that go with it.
func (p *parser) source(a *aggregator, v xcontent.Value, fields xcontent.Fields) error {
	var missing xcontent.Value
	scripted := p.sourceFields(&a.of, fields)
	fields["missing"] = toScalar(&missing)
	if err := v.Read(a.kind, fields); err != nil {
		return err
	}
	if !p.settle(&a.of, *scripted) {
		return nil
	}
	if missing.Kind != xcontent.Null {
		instead := p.boundary(a.of.key(), missing)
		a.of.missing = &instead
	}
	return nil
}

// sourceFields are the options of everything that looks at a field.
func (p *parser) sourceFields(to *source, fields xcontent.Fields) (scripted *bool) {
	scripted = new(bool)
	fields["field"], fields["format"] = xcontent.ToString(&to.name), xcontent.ToString(&to.format)
	fields["value_type"] = scalar
	fields["script"] = func(xcontent.Value) error {
		*scripted = true
		p.refuse("[script] is not supported in this context")
		return nil
	}
	return scripted
}

// settle looks up the field of a source that was read, and reports whether it may be used.
func (p *parser) settle(s *source, scripted bool) bool {
	if s.name == "" && !scripted {
		p.refuse("an aggregation needs a [field]")
	}
	if s.name == "" {
		return false
	}
	f, ok := p.schema.find(s.name)
	if !ok {
		p.refuse("field [%s] is not allowed in an aggregation", s.name)
		return false
	}
	s.field = f
	if _, err := readFormat(s.format); err != nil || s.format != "" && f.Type != Date {
		p.refuse("field [%s] takes no format [%s]", s.name, s.format)
	}
	return true
}

// key returns s as something to sort by, to read its values as search_after is read.
func (s source) key() SortKey { return SortKey{Field: s.field, Name: s.name, Format: s.format} }

// missing is one bucket of what has no value.
type missing struct{ noNames }

func (p *parser) missing(a *aggregator, v xcontent.Value) error {
	a.plan = missing{}
	return p.source(a, v, xcontent.Fields{})
}

func (missing) run(ctx context.Context, e *evaluation, a *aggregator, rows []uint32) (answer, error) {
	return e.single(ctx, a, e.missing(a, rows))
}

// missing returns those of the rows that have no value.
func (e *evaluation) missing(a *aggregator, rows []uint32) []uint32 {
	v := e.view(a.of)
	var room [1]int64
	var some []uint32
	for _, row := range rows {
		if len(v.values(row, &room)) == 0 {
			some = append(some, row)
		}
	}
	return some
}

// counter is a number: of values, or of different values.
type counter struct {
	noNames
	different bool
}

func (p *parser) counter(a *aggregator, v xcontent.Value) error {
	a.plan = counter{different: a.kind == "cardinality"}
	fields := xcontent.Fields{}
	if a.kind == "cardinality" {
		fields["precision_threshold"], fields["rehash"], fields["execution_hint"] = scalar, scalar, scalar
	}
	return p.source(a, v, fields)
}

func (c counter) run(_ context.Context, e *evaluation, a *aggregator, rows []uint32) (answer, error) {
	return answer{bucket: bucket{members: []xcontent.Member{number("value", c.count(e, a, rows))}}}, nil
}

func (c counter) count(e *evaluation, a *aggregator, rows []uint32) int {
	v := e.view(a.of)
	var room [1]int64
	n := 0
	if !c.different {
		for _, row := range rows {
			n += e.weight(row) * len(v.values(row, &room))
		}
		return n
	}
	if v.count > 0 && v.count/64 <= len(rows) {
		seen := newSet(v.count + 1)
		for _, row := range rows {
			for _, value := range v.values(row, &room) {
				seen.add(uint32(value))
			}
		}
		return seen.count()
	}
	all := make([]int64, 0, len(rows))
	for _, row := range rows {
		all = append(all, v.values(row, &room)...)
	}
	slices.Sort(all)
	return len(slices.Compact(all))
}

// filters has a bucket for each of some queries.
type filters struct {
	filters []*filter
	single  bool   // one filter, and no list of buckets
	keyed   bool   // the filters have names
	named   bool   // and are shown by them
	other   string // the name of the bucket of what no filter matches, if there is one
	rest    bool
}

// filter is a query with a name.
type filter struct {
	name string
	node Node
}

func (f *filters) names(to map[string]bool) {
	for _, one := range f.filters {
		namesIn(one.node, to)
	}
}

// filter reads the query of an aggregation.
func (p *parser) filter(a *aggregator, v xcontent.Value) error {
	one, err := p.oneFilter("", v)
	a.plan = &filters{filters: []*filter{one}, single: true}
	return err
}

func (p *parser) oneFilter(name string, v xcontent.Value) (*filter, error) {
	if p.filtered++; p.filtered > maxFilters {
		return nil, fault.New(fault.Argument, "the aggregations of a search may have at most [%d] filters", maxFilters)
	}
	n, err := p.query(v, 0)
	return &filter{name, n}, err
}

func (p *parser) filters(a *aggregator, v xcontent.Value) error {
	f := &filters{other: "_other_", named: true}
	a.plan = f
	var queries *xcontent.Value
	otherKey := ""
	err := v.Read("filters", xcontent.Fields{
		"filters":          func(v xcontent.Value) error { queries = &v; return nil },
		"other_bucket":     xcontent.ToBool(&f.rest),
		"other_bucket_key": xcontent.ToString(&otherKey),
		"keyed":            xcontent.ToBool(&f.named),
	})
	if err != nil {
		return err
	}
	if otherKey != "" {
		f.rest, f.other = true, otherKey
	}
	switch {
	case queries == nil || len(queries.Items)+len(queries.Members) == 0:
		p.refuse("[filters] cannot be empty")
		return nil
	case queries.Kind == xcontent.Array:
		for _, q := range queries.Items {
			one, err := p.oneFilter("", q)
			if err != nil {
				return err
			}
			f.filters = append(f.filters, one)
		}
		return nil
	}
	f.keyed = true
	for _, m := range queries.Members {
		one, err := p.oneFilter(m.Name, m.Value)
		if err != nil {
			return err
		}
		f.filters = append(f.filters, one)
	}
	slices.SortFunc(f.filters, func(a, b *filter) int { return cmp.Compare(a.name, b.name) })
	if f.rest && slices.ContainsFunc(f.filters, func(one *filter) bool { return one.name == f.other }) {
		p.refuse("[other_bucket_key] [%s] is the name of a filter", f.other)
	}
	return nil
}

func (f *filters) run(ctx context.Context, e *evaluation, a *aggregator, rows []uint32) (answer, error) {
	if f.single {
		some, err := e.filter(f.filters[0], rows)
		if err != nil {
			return answer{}, err
		}
		return e.single(ctx, a, some)
	}
	out := answer{bucketed: true, keyed: f.keyed && f.named}
	add := func(name string, rows []uint32) error {
		if err := cmp.Or(e.bucket(1), e.look(len(rows)), e.show(len(name))); err != nil {
			return err
		}
		one, err := e.single(ctx, a, rows)
		one.bucket.name = name
		if f.keyed && !f.named {
			one.members = append([]xcontent.Member{text("key", name)}, one.members...)
		}
		out.buckets = append(out.buckets, one.bucket)
		return err
	}
	for _, one := range f.filters {
		some, err := e.filter(one, rows)
		if err == nil {
			err = add(one.name, some)
		}
		if err != nil {
			return out, err
		}
	}
	if !f.rest {
		return out, nil
	}
	rest := slices.DeleteFunc(slices.Clone(rows), func(row uint32) bool {
		return slices.ContainsFunc(f.filters, func(one *filter) bool { return e.filters[one].has(row) })
	})
	return out, add(f.other, rest)
}

// filter returns those of the rows that match.
func (e *evaluation) filter(f *filter, rows []uint32) ([]uint32, error) {
	matches, known := e.filters[f]
	if !known {
		matches = slices.Clone(e.found)
		if err := e.t.narrow(e.w, f.node, matches); err != nil {
			return nil, err
		}
		e.filters[f] = matches
	}
	var some []uint32
	for _, row := range rows {
		if matches.has(row) {
			some = append(some, row)
		}
	}
	return some, e.look(len(rows))
}
