package query

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strconv"
	"strings"

	"latchkey/internal/fault"
	"latchkey/internal/xcontent"
)

// ranges has a bucket for each of some ranges of numbers.
type ranges struct {
	noNames
	spans []span
	keyed bool
}

// span is a range; from belongs to it, to does not.
type span struct {
	key      string
	from, to float64
}

func (p *parser) ranges(a *aggregator, v xcontent.Value) error {
	r := &ranges{}
	a.plan = r
	var list *xcontent.Value
	zone := ""
	fields := xcontent.Fields{
		"ranges": func(v xcontent.Value) error { list = &v; return nil },
		"keyed":  xcontent.ToBool(&r.keyed),
	}
	if a.kind == "date_range" {
		fields["time_zone"] = xcontent.ToString(&zone)
	}
	if err := p.source(a, v, fields); err != nil {
		return err
	}
	var err error
	a.of.zone, err = location(zone)
	switch {
	case err != nil:
		p.late = cmp.Or(p.late, err)
		return nil
	case list == nil || len(list.Items) == 0:
		p.refuse("aggregation [%s] has no [ranges]", a.name)
		return nil
	case len(list.Items) > maxClauses:
		return fault.New(fault.Argument, "an aggregation may have at most [%d] ranges", maxClauses)
	}
	if f := a.of.field; f.Name == "" || f.Type != Date && (f.Type != Boolean || a.kind == "date_range") {
		p.refuse("field [%s] is not supported by aggregation [%s] of type [%s]", a.of.name, a.name, a.kind)
		return nil
	}
	for _, item := range list.Items {
		s, err := p.span(a, item)
		if err != nil {
			return err
		}
		r.spans = append(r.spans, s)
	}
	slices.SortStableFunc(r.spans, func(x, y span) int { return cmp.Or(cmp.Compare(x.from, y.from), cmp.Compare(x.to, y.to)) })
	return nil
}

func (p *parser) span(a *aggregator, v xcontent.Value) (span, error) {
	s := span{from: math.Inf(-1), to: math.Inf(1)}
	var from, to xcontent.Value
	bound := func(to *xcontent.Value) func(xcontent.Value) error {
		return func(v xcontent.Value) error {
			if v.Kind == xcontent.Null {
				return nil
			}
			return toScalar(to)(v)
		}
	}
	err := v.Read(a.kind, xcontent.Fields{"key": xcontent.ToString(&s.key), "from": bound(&from), "to": bound(&to)})
	if err != nil {
		return s, err
	}
	s.from, s.to = p.bound(a, from, s.from), p.bound(a, to, s.to)
	if s.key == "" {
		s.key = a.of.bound(s.from) + "-" + a.of.bound(s.to)
	}
	return s, nil
}

// bound reads one end of a range: a number, or a date as text.
func (p *parser) bound(a *aggregator, v xcontent.Value, absent float64) float64 {
	if v.Kind == xcontent.Null {
		return absent
	}
	if v.Kind == xcontent.String && a.of.field.Type == Date {
		first, _, err := p.instant(v, a.of.format, a.of.zone)
		if err != nil {
			p.late = cmp.Or(p.late, err)
		}
		return float64(first)
	}
	n, err := strconv.ParseFloat(v.Text, 64)
	if err != nil || math.IsNaN(n) || math.Abs(n) > math.MaxInt64/2 {
		p.refuse("[%s] is no number for a range of field [%s]", v.Text, a.of.name)
	}
	return n
}

// bound shows one end of a range.
func (s source) bound(n float64) string {
	switch {
	case math.IsInf(n, 0):
		return "*"
	case s.field.Type == Date:
		return s.show(int64(n))
	}
	return float(n)
}

// float returns a number as Java writes a double, as clients know it from there.
func float(n float64) string {
	if math.Abs(n) < 1e7 {
		s := strconv.FormatFloat(n, 'f', -1, 64)
		if !strings.Contains(s, ".") {
			s += ".0"
		}
		return s
	}
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(n, 'E', -1, 64), "E+")
	if !strings.Contains(mantissa, ".") {
		mantissa += ".0"
	}
	return mantissa + "E" + strings.TrimPrefix(exponent, "0")
}

func (r *ranges) run(ctx context.Context, e *evaluation, a *aggregator, rows []uint32) (answer, error) {
	out := answer{bucketed: true, keyed: r.keyed}
	v := e.view(a.of)
	var room [1]int64
	for _, s := range r.spans {
		if err := cmp.Or(e.bucket(1), e.look(len(rows)), e.show(len(s.key))); err != nil {
			return out, err
		}
		var some []uint32
		for _, row := range rows {
			for _, value := range v.values(row, &room) { // there is one at most
				if n := float64(value); s.from <= n && n < s.to {
					some = append(some, row)
				}
			}
		}
		one, err := e.single(ctx, a, some)
		if err != nil {
			return out, err
		}
		b := bucket{name: s.key, subs: one.subs}
		if !r.keyed {
			b.members = append(b.members, text("key", s.key))
		}
		b.members = append(b.members, a.of.ends("from", s.from)...)
		b.members = append(b.members, a.of.ends("to", s.to)...)
		b.members = append(b.members, one.members...)
		out.buckets = append(out.buckets, b)
	}
	return out, nil
}

// ends shows one end of a range, unless it is open.
func (s source) ends(name string, n float64) []xcontent.Member {
	if math.IsInf(n, 0) {
		return nil
	}
	all := []xcontent.Member{{Name: name, Value: xcontent.Value{Kind: xcontent.Number, Text: float(n)}}}
	if s.field.Type == Date {
		all = append(all, text(name+"_as_string", s.show(int64(n))))
	}
	return all
}
