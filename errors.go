package latchkey

import (
	"errors"
	"fmt"
	"net/http"
)

// Error is a refusal by the server. It unwraps to the [*ResponseError] that
// holds the answer as it came.
type Error struct {
	Status     int            // of HTTP
	Type       string         // as security_exception, or of OAuth2 as invalid_grant; empty where the server wrote a text only
	Reason     string         // for people; may be empty
	RootCauses []ErrorDetails // the deepest causes; often the error itself once more
	CausedBy   *ErrorDetails
	call       string
	response   *ResponseError
}

// ErrorDetails is an error inside an answer: a cause, or a failure of a part of
// what succeeded as a whole.
type ErrorDetails struct {
	Type     string        `json:"type"`
	Reason   string        `json:"reason"`
	CausedBy *ErrorDetails `json:"caused_by,omitempty"`
}

func (e *Error) Error() string {
	text := fmt.Sprintf("latchkey: %s: %d %s", e.call, e.Status, http.StatusText(e.Status))
	if e.Type != "" {
		text += ": " + e.Type
	}
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	return text
}

// Unwrap returns a [*ResponseError].
func (e *Error) Unwrap() error {
	if e.response == nil { // made by a test of the caller's
		return nil
	}
	return e.response
}

// TransportError says that no answer came. If Sent is false, surely nothing
// reached a server and the call was not carried out; otherwise it may have been.
// It unwraps to what the network, TLS or the HTTP client said.
type TransportError struct {
	Method string
	URL    string
	Sent   bool
	Err    error
}

func (e *TransportError) Error() string {
	return fmt.Sprintf("latchkey: %s %s: no answer: %v", e.Method, e.URL, e.Err)
}

func (e *TransportError) Unwrap() error { return e.Err }

// Timeout reports whether a limit of the HTTP client or of the network passed,
// which is not the context's.
func (e *TransportError) Timeout() bool {
	var t interface{ Timeout() bool }
	return errors.As(e.Err, &t) && t.Timeout()
}

// InterruptedError says that the context of a call ended before the answer was
// there. It unwraps to the error of the context and to its cause. If Sent is
// false, the call was surely not carried out; otherwise it may have been.
type InterruptedError struct {
	Method string
	Path   string
	Sent   bool
	Err    error // context.Canceled or context.DeadlineExceeded
	Cause  error // as of context.Cause
	// Last is how the last attempt failed, if the context ended before a
	// repetition. It is not unwrapped.
	Last error
}

func (e *InterruptedError) Error() string {
	text := fmt.Sprintf("latchkey: %s %s: interrupted: %v", e.Method, e.Path, e.Err)
	if e.Cause != nil && e.Cause != e.Err {
		text += fmt.Sprintf(" (%v)", e.Cause)
	}
	if e.Last != nil {
		text += fmt.Sprintf("; before that: %v", e.Last)
	}
	return text
}

// Unwrap returns Err and Cause.
func (e *InterruptedError) Unwrap() []error { return []error{e.Err, e.Cause} }

// UnreadableError says that an answer came which is not one of this API: another
// form, cut off, too long, or from a product that is not known. What was asked for may
// have been done. It unwraps to the reason and to the [*ResponseError].
type UnreadableError struct {
	Err      error
	call     string
	response *ResponseError
}

func (e *UnreadableError) Error() string {
	return fmt.Sprintf("latchkey: %s: the answer (%v) cannot be read: %v", e.call, e.response, e.Err)
}

// Unwrap returns the reason and a [*ResponseError].
func (e *UnreadableError) Unwrap() []error {
	if e.response == nil {
		return []error{e.Err}
	}
	return []error{e.Err, e.response}
}

var (
	// ErrUnknownProduct is the reason of an [*UnreadableError] if the server does
	// not say that it speaks this API; see [WithoutProductCheck].
	ErrUnknownProduct = errors.New("the server does not say that it is Elasticsearch or speaks its API (X-elastic-product)")
	// ErrTooLong is the reason of an [*UnreadableError] if the answer is longer
	// than [WithResponseLimit] allows.
	ErrTooLong = errors.New("it is too long")
)

// ResponseError holds an answer. Errors unwrap to it, so that errors.As finds it.
type ResponseError struct {
	// Response has the status and the header. Its Body reads what Body holds, and
	// its Request is without the credential.
	Response *http.Response
	Body     []byte // as much as was read; it may hold a secret
}

// Error tells the status and the form of the answer, and nothing of its body.
func (e *ResponseError) Error() string {
	if e == nil || e.Response == nil {
		return "no response"
	}
	form := e.Response.Header.Get("Content-Type")
	if form == "" {
		form = "no content type"
	}
	return fmt.Sprintf("%s, %s, %d bytes", e.Response.Status, form, len(e.Body))
}
