// Package fault names the ways a request can fail, in latchkey's own terms.
//
// Services and stores return a fault when the caller can act on the
// difference; every other error is a plain error and reaches the caller as
// Internal, with its text kept for the log. The HTTP edge is the only place
// that knows which status and which exception type a Kind means.
package fault

import (
	"errors"
	"fmt"
	"strings"
)

// Kind is why a request failed. The zero value is Internal, so an error that
// nobody classified can never be mistaken for one that is safe to show.
type Kind uint8

const (
	Internal        Kind = iota // our mistake or our disk's; the reason is not shown
	Malformed                   // a body that its strict parser refuses (API keys, tokens; syntax of any body)
	Truncated                   // a body that ends too early
	Structure                   // the structure of a user, role or privilege-check body; a missing body
	Parsing                     // the query language and role mappings
	Argument                    // a value that breaks a rule by itself
	Invalid                     // it parses, and the request as a whole breaks numbered rules: see [Problems]
	Search                      // a search that cannot be run; its shown cause says why
	Buckets                     // aggregations whose answer would be too large; only ever the shown cause of a Search
	Refused                     // numbered rules that only the stored state could break
	Disabled                    // the feature is switched off
	Status                      // a refusal of 400 that has no better name
	Security                    // a refusal of 400 by the security features themselves: no token was ever issued
	Unauthenticated             // no credential, or one that does not verify
	Forbidden                   // the caller is known and may not do this
	NotFound                    // the thing named does not exist
	Conflict                    // it exists already, or changed underneath us
	Overloaded                  // too much at once; surely nothing was done
	Unavailable                 // the store cannot be reached; surely nothing was done
	Unknown                     // a write may or may not have been done
	Restricted                  // a workflow restriction; only ever the shown cause of a Forbidden
)

// Field is a further member of the error object on the wire.
type Field struct {
	Name  string
	Value any // string, []string or int
}

// Error is a failure the caller is told about. Reason and all exported fields
// are shown; the cause given to [Wrap] is logged and never shown.
type Error struct {
	Kind   Kind
	Reason string
	Detail string  // for Unauthenticated: which check failed
	Fields []Field // in the order they are shown
	Shown  *Error  // the typed cause that the caller may see
	// Challenges names the schemes that an Unauthenticated answer offers
	// ("Basic"), or holds whole challenges; nil offers all that are switched on.
	Challenges []string
	cause      error
}

func (e *Error) Error() string {
	if e.cause != nil {
		return e.Reason + ": " + e.cause.Error()
	}
	if e.Shown != nil {
		return e.Reason + ": " + e.Shown.Error()
	}
	return e.Reason
}

func (e *Error) Unwrap() error { return e.cause }

// New returns a fault whose reason is shown to the caller.
func New(k Kind, format string, args ...any) *Error {
	return &Error{Kind: k, Reason: fmt.Sprintf(format, args...)}
}

// Wrap is New with a cause for the log.
func Wrap(cause error, k Kind, format string, args ...any) *Error {
	return &Error{Kind: k, Reason: fmt.Sprintf(format, args...), cause: cause}
}

// Because returns a copy of e that shows why as its cause. A why that is not a
// fault is kept for the log only.
func (e *Error) Because(why error) *Error {
	c := *e
	if f, ok := errors.AsType[*Error](why); ok {
		c.Shown = f
	} else {
		c.cause = why
	}
	return &c
}

// KindOf returns the kind of the first fault in err's chain, or Internal.
func KindOf(err error) Kind {
	if f, ok := errors.AsType[*Error](err); ok {
		return f.Kind
	}
	return Internal
}

// Problems collects what is wrong with one request, so that all of it is
// reported together. The zero value has none.
type Problems []string

// Add notes one more problem.
func (p *Problems) Add(format string, args ...any) { *p = append(*p, fmt.Sprintf(format, args...)) }

// Err returns nil if there is no problem, else a fault of kind k whose reason
// numbers them from 1 (spec/http.md 11).
func (p Problems) Err(k Kind) error {
	if len(p) == 0 {
		return nil
	}
	return New(k, "%s", p.text())
}

func (p Problems) text() string {
	var b strings.Builder
	b.WriteString("Validation Failed: ")
	for i, s := range p {
		fmt.Fprintf(&b, "%d: %s;", i+1, s)
	}
	return b.String()
}
