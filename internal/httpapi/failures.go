package httpapi

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"latchkey/internal/fault"
	"latchkey/internal/token"
	"latchkey/internal/xcontent"
)

// failures says what each kind of fault is on the wire (spec/http.md 11).
var failures = map[fault.Kind]struct {
	status int
	typ    string
}{
	fault.Internal:        {http.StatusInternalServerError, "exception"},
	fault.Malformed:       {http.StatusBadRequest, "x_content_parse_exception"},
	fault.Truncated:       {http.StatusBadRequest, "x_content_e_o_f_exception"},
	fault.Structure:       {http.StatusBadRequest, "parse_exception"},
	fault.Parsing:         {http.StatusBadRequest, "parsing_exception"},
	fault.Argument:        {http.StatusBadRequest, "illegal_argument_exception"},
	fault.Invalid:         {http.StatusBadRequest, "action_request_validation_exception"},
	fault.Search:          {http.StatusBadRequest, "search_phase_execution_exception"},
	fault.Buckets:         {http.StatusBadRequest, "too_many_buckets_exception"},
	fault.Refused:         {http.StatusBadRequest, "validation_exception"},
	fault.Disabled:        {http.StatusBadRequest, "feature_not_enabled_exception"},
	fault.Status:          {http.StatusBadRequest, "status_exception"},
	fault.Security:        {http.StatusBadRequest, "security_exception"},
	fault.Unauthenticated: {http.StatusUnauthorized, "security_exception"},
	fault.Forbidden:       {http.StatusForbidden, "security_exception"},
	fault.Restricted:      {http.StatusForbidden, "role_restriction_exception"},
	fault.NotFound:        {http.StatusNotFound, "resource_not_found_exception"},
	fault.Conflict:        {http.StatusConflict, "version_conflict_engine_exception"},
	fault.Overloaded:      {http.StatusTooManyRequests, "es_rejected_execution_exception"},
	fault.Unavailable:     {http.StatusServiceUnavailable, "unavailable_shards_exception"},
	// Clients repeat a 503 by themselves; see unknownOutcome for the calls
	// where that would do harm.
	fault.Unknown: {http.StatusServiceUnavailable, "unavailable_shards_exception"},
}

// challengeHeader is the name of a response header and of the member that repeats it.
const challengeHeader = "WWW-Authenticate"

// failure is a refusal in the words of the wire: what a fault becomes, and what
// the edge itself refuses. Its text is shown.
type failure struct {
	status     int
	typ        string // "" for a failure whose error is a plain string
	oauth      bool   // the error is typ, described by reason, and nothing else (spec/tokens.md 3.4)
	reason     string
	bare       bool // no status member: the unknown route
	fields     []fault.Field
	challenges []string
	cause      *failure
	allow      []string // for 405
	hangUp     bool     // the connection cannot be used again
}

func (f *failure) Error() string { return f.reason }

// stringFailure is a failure whose error is a string on the wire.
func stringFailure(status int, reason string) *failure {
	return &failure{status: status, reason: reason}
}

// failureOf translates err. What is neither a fault nor a failure of ours is
// Internal, and its text is not part of the result.
//
// repeatable says that a repetition of the request does no harm.
func (s *Server) failureOf(err error, repeatable bool) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	if r, ok := errors.AsType[*token.Refusal](err); ok {
		return &failure{status: http.StatusBadRequest, typ: r.Code, reason: r.Description, oauth: true}
	}
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Kind == fault.Internal {
		return &failure{status: http.StatusInternalServerError, typ: failures[fault.Internal].typ, reason: "internal error; the cause is in the log of the server"}
	}
	out := translate(f)
	switch {
	case f.Kind == fault.Unauthenticated:
		out.challenges = s.offered(f.Challenges)
	case f.Kind == fault.Unknown && !repeatable:
		out.status, out.typ = unknownOutcome.status, unknownOutcome.typ
	}
	return out
}

// offered returns the challenges of the given schemes, or all. What holds a
// blank is a challenge already.
func (s *Server) offered(schemes []string) []string {
	if schemes == nil {
		return s.challenges
	}
	some := slices.DeleteFunc(slices.Clone(schemes), func(c string) bool { return !strings.Contains(c, " ") })
	for _, c := range s.challenges {
		scheme, _, _ := strings.Cut(c, " ")
		if slices.Contains(schemes, scheme) {
			some = append(some, c)
		}
	}
	return some
}

// unknownOutcome is a write that may have been done on a route whose repetition makes a second thing.
var unknownOutcome = failures[fault.Internal]

func translate(f *fault.Error) *failure {
	on := failures[f.Kind]
	out := &failure{status: on.status, typ: on.typ, reason: f.Reason}
	if f.Detail != "" {
		out.fields = append(out.fields, fault.Field{Name: "additional_unsuccessful_credentials", Value: f.Detail})
	}
	out.fields = append(out.fields, f.Fields...)
	if f.Shown != nil {
		out.cause = translate(f.Shown)
	}
	return out
}

// root is what root_cause shows: the innermost cause of a body that could not
// be parsed and of a search, else the failure itself.
func (f *failure) root() *failure {
	deepest := f
	for f.typ == failures[fault.Structure].typ || f.typ == failures[fault.Malformed].typ || f.typ == failures[fault.Search].typ {
		if deepest.cause == nil {
			break
		}
		deepest = deepest.cause
	}
	return deepest
}

// body returns the whole body of the failure. With detailed errors off it has
// type and reason only; trace, if not empty, becomes the stack trace.
func (f *failure) body(detailed bool, trace string) xcontent.Value {
	var doc xcontent.Value
	switch {
	case f.oauth:
		description := text(f.reason)
		if f.reason == "" {
			description = xcontent.Value{Kind: xcontent.Null}
		}
		return object(member("error", text(f.typ)), member("error_description", description))
	case f.typ == "":
		doc = object(member("error", text(f.reason)))
	case !detailed:
		doc = object(member("error", object(member("type", text(f.typ)), member("reason", text(f.reason)))))
	default:
		e := f.object(true)
		root := xcontent.Value{Kind: xcontent.Array, Items: []xcontent.Value{f.root().object(false)}}
		e.Members = append([]xcontent.Member{member("root_cause", root)}, e.Members...)
		if trace != "" {
			e.Members = append(e.Members, member("stack_trace", text(trace)))
		}
		doc = object(member("error", e))
	}
	if !f.bare {
		doc.Members = append(doc.Members, member("status", number(f.status)))
	}
	return doc
}

// object returns the error object: type, reason, further members, cause, header.
func (f *failure) object(withCause bool) xcontent.Value {
	o := object(member("type", text(f.typ)), member("reason", text(f.reason)))
	for _, field := range f.fields {
		o.Members = append(o.Members, member(field.Name, fieldValue(field.Value)))
	}
	if withCause && f.cause != nil {
		o.Members = append(o.Members, member("caused_by", f.cause.object(true)))
	}
	if len(f.challenges) > 0 {
		o.Members = append(o.Members, member("header", object(member(challengeHeader, fieldValue(f.challenges)))))
	}
	return o
}

// fieldValue renders several values as an array and one value bare.
func fieldValue(v any) xcontent.Value {
	switch v := v.(type) {
	case int:
		return number(v)
	case string:
		return text(v)
	case []string:
		if len(v) == 1 {
			return text(v[0])
		}
		list := xcontent.Value{Kind: xcontent.Array}
		for _, s := range v {
			list.Items = append(list.Items, text(s))
		}
		return list
	default:
		return xcontent.Value{}
	}
}
