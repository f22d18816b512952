package query

import (
	"math"
	"strconv"
	"strings"
	"time"

	"latchkey/internal/fault"
	"latchkey/internal/xcontent"
)

// between returns the test of dates for being in a range. A bound that stands for a span, such
// as a day, takes it in or leaves it out as a whole.
func (p *parser) between(low, high xcontent.Value, includeLow, includeHigh bool, format, zone string) (Test, error) {
	in, err := location(zone)
	if err != nil {
		return nil, err
	}
	from, to := int64(math.MinInt64), int64(math.MaxInt64)
	if low.Kind != xcontent.Null {
		first, last, err := p.instant(low, format, in)
		if err != nil {
			return nil, err
		}
		switch from = first; {
		case !includeLow && last == math.MaxInt64:
			return Instants{}, nil
		case !includeLow:
			from = last + 1
		}
	}
	if high.Kind != xcontent.Null {
		first, last, err := p.instant(high, format, in)
		if err != nil {
			return nil, err
		}
		switch to = last; {
		case !includeHigh && first == math.MinInt64:
			return Instants{}, nil
		case !includeHigh:
			to = first - 1
		}
	}
	return instants([][2]int64{{from, to}}), nil
}

func location(zone string) (*time.Location, error) {
	switch t, err := time.Parse("Z07:00", zone); {
	case zone == "":
		return time.UTC, nil
	case err == nil:
		return t.Location(), nil
	}
	in, err := time.LoadLocation(zone)
	if err != nil || zone == "Local" {
		return nil, fault.New(fault.Argument, "unknown time zone [%s]; write an offset, as in [+01:00]", zone)
	}
	return in, nil
}

// instant reads a date, which may end with date math: the first and the last
// millisecond that it stands for. Without a format it is in milliseconds.
func (p *parser) instant(v xcontent.Value, format string, in *time.Location) (first, last int64, err error) {
	text := v.Text
	var from, to time.Time
	math, relative := strings.CutPrefix(text, "now")
	if relative {
		from = p.now.In(in)
		to = from
	} else {
		date := text
		date, math, _ = strings.Cut(text, "||")
		if from, to, err = parseDate(date, format, in); err != nil {
			return 0, 0, err
		}
	}
	if from, to, err = dateMath(from, to, math); err != nil {
		return 0, 0, fault.New(fault.Argument, "[%s] cannot be read as a date: %s", text, err)
	}
	return from.UnixMilli(), to.UnixMilli(), nil
}

type mathError string

func (e mathError) Error() string { return string(e) }

// dateMath moves and rounds: +1d, -2h, /M and so on, in turn.
func dateMath(from, to time.Time, steps string) (time.Time, time.Time, error) {
	for n := 0; steps != ""; n++ {
		op := steps[0]
		steps = steps[1:]
		digits := len(steps) - len(strings.TrimLeft(steps, "0123456789"))
		count := 1
		if digits > 0 {
			var err error
			if count, err = strconv.Atoi(steps[:digits]); err != nil || count > 1_000_000 {
				return from, to, mathError("the numbers of date math may be at most 1000000")
			}
			steps = steps[digits:]
		}
		if steps == "" || n > 20 {
			return from, to, mathError("date math is steps such as +1d or /d, and at most 20 of them")
		}
		unit := steps[0]
		steps = steps[1:]
		if unit == 'H' {
			unit = 'h'
		}
		if !strings.ContainsRune("yMwdhms", rune(unit)) || op != '+' && op != '-' && (op != '/' || digits > 0) {
			return from, to, mathError("date math knows +, - and /, and the units y, M, w, d, h, m, s")
		}
		switch op {
		case '/':
			from = floor(from, unit)
			to = add(floor(to, unit), unit, 1).Add(-time.Millisecond)
		case '-':
			from, to = add(from, unit, -count), add(to, unit, -count)
		default:
			from, to = add(from, unit, count), add(to, unit, count)
		}
		if y := from.Year(); y < -9999 || y > 99_999 {
			return from, to, mathError("it is too far away")
		}
	}
	return from, to, nil
}

func add(t time.Time, unit byte, n int) time.Time {
	switch unit {
	case 'y':
		return months(t, 12*n)
	case 'M':
		return months(t, n)
	case 'w':
		return t.AddDate(0, 0, 7*n)
	case 'd':
		return t.AddDate(0, 0, n)
	case 'h':
		return t.Add(time.Duration(n) * time.Hour)
	case 'm':
		return t.Add(time.Duration(n) * time.Minute)
	default:
		return t.Add(time.Duration(n) * time.Second)
	}
}

// months goes on by calendar months; a month that is too short ends it.
func months(t time.Time, n int) time.Time {
	first := time.Date(t.Year(), t.Month()+time.Month(n), 1, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), t.Location())
	return first.AddDate(0, 0, min(t.Day(), first.AddDate(0, 1, -1).Day())-1)
}

func floor(t time.Time, unit byte) time.Time {
	y, m, d := t.Date()
	h, minute, s := t.Clock()
	switch unit {
	case 'y':
		m, d, h, minute, s = 1, 1, 0, 0, 0
	case 'M':
		d, h, minute, s = 1, 0, 0, 0
	case 'w': // of Monday
		d, h, minute, s = d-(int(t.Weekday())+6)%7, 0, 0, 0
	case 'd':
		h, minute, s = 0, 0, 0
	case 'h':
		minute, s = 0, 0
	case 'm':
		s = 0
	}
	return time.Date(y, m, d, h, minute, s, 0, t.Location())
}

// layout is a form of dates, and the unit that it is exact to; 0 is a millisecond.
type layout struct {
	form string // of package time, or epoch_millis or epoch_second
	unit byte
}

var (
	zoned = []layout{{"2006-01-02T15:04:05Z07:00", 0}}
	dates = []layout{{"2006-01-02", 'd'}}
	free  = []layout{
		{"2006-01-02T15:04:05Z07:00", 0}, {"2006-01-02T15:04:05", 0}, {"2006-01-02T15:04Z07:00", 'm'}, {"2006-01-02T15:04", 'm'},
		{"2006-01-02T15Z07:00", 'h'}, {"2006-01-02T15", 'h'}, {"2006-01-02", 'd'}, {"2006-01", 'M'}, {"2006", 'y'},
	}
)

var layouts = map[string][]layout{
	"epoch_millis":                    {{"epoch_millis", 0}},
	"epoch_second":                    {{"epoch_second", 's'}},
	"date_time":                       zoned,
	"strict_date_time":                zoned,
	"date_time_no_millis":             zoned,
	"strict_date_time_no_millis":      zoned,
	"date":                            dates,
	"strict_date":                     dates,
	"basic_date":                      {{"20060102", 'd'}},
	"date_optional_time":              free,
	"strict_date_optional_time":       free,
	"strict_date_optional_time_nanos": free,
	"iso8601":                         free,
}

// shown is how the formats show a date that are known by a name.
var shown = map[string]string{
	"date": "2006-01-02", "strict_date": "2006-01-02", "basic_date": "20060102",
	"date_time_no_millis": "2006-01-02T15:04:05Z07:00", "strict_date_time_no_millis": "2006-01-02T15:04:05Z07:00",
}

// readFormat returns the layouts of a format: a name, a pattern of letters, or
// several of these with || between them.
func readFormat(format string) ([]layout, error) {
	if format == "" {
		return layouts["epoch_millis"], nil
	}
	var all []layout
	for part := range strings.SplitSeq(format, "||") {
		named, ok := layouts[part]
		if !ok {
			l, ok := translate(part)
			if !ok {
				return nil, fault.New(fault.Argument, "unknown date format [%s]", part)
			}
			named = []layout{l}
		}
		all = append(all, named...)
	}
	return all, nil
}

// letters are those that patterns of dates are made of, the longest run first.
var letters = []struct {
	from, to string
	unit     byte
}{
	{"yyyy", "2006", 'y'}, {"uuuu", "2006", 'y'}, {"MM", "01", 'M'}, {"dd", "02", 'd'}, {"HH", "15", 'h'}, {"mm", "04", 'm'}, {"ss", "05", 's'},
	{"SSS", "000", 0}, {"XXX", "Z07:00", 1}, {"X", "Z07", 1}, {"'T'", "T", 1}, {"'Z'", "Z", 1},
}

func translate(pattern string) (layout, bool) {
	const order = "yMdhms" // from coarse to fine
	var l layout
	finest := -1
next:
	for rest := pattern; rest != ""; {
		for _, run := range letters {
			if after, ok := strings.CutPrefix(rest, run.from); ok {
				l.form, rest = l.form+run.to, after
				switch {
				case run.unit == 0:
					finest = len(order)
				case run.unit != 1:
					finest = max(finest, strings.IndexByte(order, run.unit))
				}
				continue next
			}
		}
		if c := rest[0]; c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '\'' {
			return layout{}, false
		}
		l.form, rest = l.form+rest[:1], rest[1:]
	}
	if finest >= 0 && finest < len(order) {
		l.unit = order[finest]
	}
	return l, finest >= 0
}

func parseDate(text, format string, in *time.Location) (first, last time.Time, err error) {
	all, err := readFormat(format)
	if err != nil {
		return first, last, err
	}
	for _, l := range all {
		switch l.form {
		case "epoch_millis", "epoch_second":
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				continue
			}
			if first = time.UnixMilli(n).UTC(); l.unit != 0 && n < math.MaxInt64/1000 && n > math.MinInt64/1000 {
				first = time.Unix(n, 0).UTC()
			}
		default:
			if first, err = time.ParseInLocation(l.form, text, in); err != nil {
				continue
			}
		}
		if l.unit == 0 {
			return first, first, nil
		}
		return first, add(first, l.unit, 1).Add(-time.Millisecond), nil
	}
	if format == "" {
		format = "epoch_millis"
	}
	return first, last, fault.New(fault.Argument, "[%s] is no date of the format [%s]", text, format)
}

// formatDate shows a date by the first of the formats.
func formatDate(at int64, format string, in *time.Location) (string, error) {
	first, _, _ := strings.Cut(format, "||")
	l, err := readFormat(first)
	if err != nil {
		return "", err
	}
	t := time.UnixMilli(at).In(in)
	form, named := shown[first]
	if _, known := layouts[first]; known && !named {
		form = "2006-01-02T15:04:05.000Z07:00"
	}
	switch {
	case first == "epoch_millis":
		return strconv.FormatInt(at, 10), nil
	case first == "epoch_second":
		return strconv.FormatInt(t.Unix(), 10), nil
	case form != "":
		return t.Format(form), nil
	}
	return t.Format(l[0].form), nil
}
