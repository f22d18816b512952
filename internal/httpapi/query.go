package httpapi

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"latchkey/internal/fault"
	"latchkey/internal/xcontent"
)

// query holds the parameters of a query string. Reading one marks it as
// known. A value that breaks its rule is remembered, and fails the request
// once the endpoint has read everything: readers return no error. Of a
// repeated parameter the last value counts.
type query struct {
	params []param
	known  []string // names somebody asked for, given or not
	err    error    // the first bad value
}

type param struct {
	name, value string
	read        bool
}

// parseQuery reads the raw query string. The error names what cannot be decoded.
func parseQuery(raw string) (query, error) {
	var q query
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		rawName, rawValue, _ := strings.Cut(part, "=")
		name, err := url.QueryUnescape(rawName)
		if err != nil {
			return query{}, err
		}
		value, err := url.QueryUnescape(rawValue)
		if err != nil {
			return query{}, err
		}
		if i := slices.IndexFunc(q.params, func(p param) bool { return p.name == name }); i >= 0 {
			q.params[i].value = value
			continue
		}
		if len(q.params) == maxParams {
			return query{}, errTooManyParams
		}
		q.params = append(q.params, param{name: name, value: value})
	}
	return q, nil
}

// maxParams bounds the work of a query string; no call of the API takes a fifth of it.
const maxParams = 128

var errTooManyParams = errors.New("there are too many parameters")

// Lookup returns the value of a parameter and whether it was given.
func (q *query) Lookup(name string) (string, bool) {
	if len(q.params) == 0 {
		return "", false
	}
	q.known = append(q.known, name)
	for i := range q.params {
		if q.params[i].name == name {
			q.params[i].read = true
			return q.params[i].value, true
		}
	}
	return "", false
}

// String returns the value of a parameter, or "" if it was not given.
func (q *query) String(name string) string {
	s, _ := q.Lookup(name)
	return s
}

// List returns the parts of a comma-separated parameter that are not empty.
func (q *query) List(name string) []string {
	var parts []string
	for p := range strings.SplitSeq(q.String(name), ",") {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return parts
}

// Bool returns a boolean parameter: false if it was not given, true if it is empty.
func (q *query) Bool(name string) bool { return q.BoolOr(name, false) }

// BoolOr is Bool with another value for a parameter that was not given.
func (q *query) BoolOr(name string, absent bool) bool {
	switch s, given := q.Lookup(name); {
	case !given:
		return absent
	case s == "true" || s == "":
		return true
	case s == "false":
		return false
	default:
		q.refuse(fault.New(fault.Argument, "cannot read [%s] of parameter [%s] as only [true] or [false] are allowed", s, name))
		return absent
	}
}

// Duration returns a duration such as 30s, or absent if none was given.
func (q *query) Duration(name string, absent time.Duration) time.Duration {
	s, given := q.Lookup(name)
	if !given {
		return absent
	}
	d, err := xcontent.ParseDuration(s, name)
	if err != nil {
		q.refuse(err)
	}
	return d
}

// OneOf returns a parameter that takes one of the given values, or "" if it was
// not given. An empty value among them is allowed and not told.
func (q *query) OneOf(name string, values ...string) string {
	s, given := q.Lookup(name)
	if given && !slices.Contains(values, s) {
		shown := slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == "" })
		q.refuse(fault.New(fault.Argument, "parameter [%s] must be one of [%s], but is [%s]", name, strings.Join(shown, ", "), s))
	}
	return s
}

// Refresh accepts the parameter refresh, as every write but those of API keys'
// invalidation does. It changes nothing here: an answer leaves after its
// commit, and every read sees it.
func (q *query) Refresh() { q.OneOf("refresh", "true", "false", "wait_for", "") }

func (q *query) refuse(err error) {
	if q.err == nil {
		q.err = err
	}
}

// leftover refuses parameters that nobody asked for, all of them together. Path
// is the decoded path.
func (q *query) leftover(path string) error {
	var unknown []string
	for _, p := range q.params {
		if !p.read {
			unknown = append(unknown, p.name)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	slices.Sort(unknown)
	near := make(map[string]bool, len(q.known))
	for _, k := range q.known {
		near[k] = true
	}
	var b strings.Builder
	for i, name := range unknown {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("[" + name + "]" + xcontent.DidYouMean(name, near))
	}
	plural := ""
	if len(unknown) > 1 {
		plural = "s"
	}
	return fault.New(fault.Argument, "request [%s] contains unrecognized parameter%s: %s", path, plural, b.String())
}
