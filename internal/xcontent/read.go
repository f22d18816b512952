package xcontent

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"latchkey/internal/fault"
)

// Fields says what an object may hold: for each member, what to do with its value.
type Fields map[string]func(Value) error

// Read hands every member of v to its field. What does not fit is
// fault.Malformed with the reason "[line:col] [parser] ..." (spec/http.md 9): v
// is no object, a member is unknown, a value has the wrong type. A field that
// fails with another fault becomes the shown cause of a Malformed one.
func (v Value) Read(parser string, fields Fields) error {
	if v.Kind != Object {
		return fault.New(fault.Malformed, "[%d:%d] [%s] expected an object but found [%s]", v.Line, v.Col, parser, v.Kind.token())
	}
	for _, m := range v.Members {
		read, ok := fields[m.Name]
		if !ok {
			return fault.New(fault.Malformed, "[%d:%d] [%s] unknown field [%s]%s", m.Line, m.Col, parser, m.Name, DidYouMean(m.Name, fields))
		}
		err := read(m.Value)
		if err == nil {
			continue
		}
		if w, ok := errors.AsType[*mismatch](err); ok {
			return fault.New(fault.Malformed, "[%d:%d] [%s] field [%s] %s", w.at.Line, w.at.Col, parser, m.Name, w)
		}
		if f, ok := errors.AsType[*fault.Error](err); ok && f.Kind != fault.Malformed {
			return fault.New(fault.Malformed, "[%d:%d] [%s] failed to parse field [%s]", m.Value.Line, m.Value.Col, parser, m.Name).Because(f)
		}
		return err
	}
	return nil
}

// DidYouMean returns a hint at the names of known that are close to name, or "".
func DidYouMean[V any](name string, known map[string]V) string {
	var near []string
	for k := range known {
		if EditDistance(name, k) <= 1+len(name)/4 {
			near = append(near, k)
		}
	}
	slices.Sort(near)
	switch len(near) {
	case 0:
		return ""
	case 1:
		return " did you mean [" + near[0] + "]?"
	default:
		return " did you mean any of [" + strings.Join(near, ", ") + "]?"
	}
}

// EditDistance is how many bytes have to be changed, added or removed to make b of
// a. Names longer than 64 bytes are far from everything.
func EditDistance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return math.MaxInt
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		left := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := left
			if a[i] != b[j] {
				cost = 1 + min(left, row[j], row[j+1])
			}
			left, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}

// mismatch is a value of the wrong type, before anybody said which field it is.
type mismatch struct {
	at   Value
	want string
}

func (m *mismatch) Error() string {
	return fmt.Sprintf("must be %s, but found [%s]", m.want, m.at.Kind.token())
}

// Mismatch is the refusal of v because it is not want ("a string"). [Value.Read]
// completes the sentence with position, parser and field.
func (v Value) Mismatch(want string) error { return &mismatch{v, want} }

// ToString reads a string into p.
func ToString(p *string) func(Value) error {
	return func(v Value) error {
		s, err := v.AsString()
		if err == nil {
			*p = s
		}
		return err
	}
}

// ToOptional reads a string or null into p; null leaves it nil.
func ToOptional(p **string) func(Value) error {
	return func(v Value) error {
		if v.Kind == Null {
			*p = nil
			return nil
		}
		s, err := v.AsString()
		*p = &s
		return err
	}
}

// ToBool reads a boolean, or the strings "true" and "false", into p.
func ToBool(p *bool) func(Value) error {
	return func(v Value) error {
		if v.Kind != Bool && v.Kind != String || v.Text != "true" && v.Text != "false" {
			return v.Mismatch("a boolean")
		}
		*p = v.Text == "true"
		return nil
	}
}

// ToStrings reads an array of strings, or one string, into p, which is never nil afterwards.
func ToStrings(p *[]string) func(Value) error {
	return func(v Value) error {
		items := v.Items
		switch v.Kind {
		case String:
			items = []Value{v}
		case Array:
		default:
			return v.Mismatch("a string or an array of strings")
		}
		texts := make([]string, len(items))
		for i, e := range items {
			if e.Kind != String {
				return e.Mismatch("an array of strings")
			}
			texts[i] = e.Text
		}
		*p = texts
		return nil
	}
}

// ToObject keeps an object as it is.
func ToObject(p *Value) func(Value) error {
	return func(v Value) error {
		if v.Kind != Object {
			return v.Mismatch("an object")
		}
		*p = v
		return nil
	}
}

// AsString returns the content of a string.
func (v Value) AsString() (string, error) {
	if v.Kind != String {
		return "", v.Mismatch("a string")
	}
	return v.Text, nil
}

var units = []struct {
	suffix string
	unit   time.Duration
}{ // a suffix stands before the ones it ends with
	{"nanos", time.Nanosecond}, {"micros", time.Microsecond}, {"ms", time.Millisecond},
	{"s", time.Second}, {"m", time.Minute}, {"h", time.Hour}, {"d", 24 * time.Hour},
}

// ParseDuration reads a duration of the field: a whole number and one of
// nanos, micros, ms, s, m, h, d; "0" and "-1" need no unit (spec/api-keys.md 0.3). "-1"
// is returned as -1. What is the setting, parameter or field that is named in
// the fault.Argument. Letter case is free but for M, which is not minutes.
func ParseDuration(s, what string) (time.Duration, error) {
	text := strings.TrimSpace(s)
	switch text {
	case "0":
		return 0, nil
	case "-1":
		return -1, nil
	}
	lower := strings.ToLower(text)
	for _, u := range units {
		number, ok := strings.CutSuffix(lower, u.suffix)
		if !ok || strings.HasSuffix(text, "M") {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimSpace(number), 10, 63)
		if err != nil {
			break
		}
		if n > uint64(math.MaxInt64/u.unit) {
			return 0, fault.New(fault.Argument, "[%s] is longer than latchkey can count: [%s]", what, s)
		}
		return time.Duration(n) * u.unit, nil
	}
	return 0, fault.New(fault.Argument, "[%s] needs a whole number and a unit (nanos, micros, ms, s, m, h, d), as in [30m], but is [%s]", what, s)
}
