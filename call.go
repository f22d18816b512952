package latchkey

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// request is one call before it is sent.
type request struct {
	method, path string // the path is escaped; see under
	query        url.Values
	body         any       // nil: none
	text         io.Reader // a body that is no JSON and can be sent once; it is not closed
	makesNew     bool      // a repetition makes a second thing
	mayMiss      bool      // a 404 that is no error has the same form as the answer
}

// under makes a path of a fixed part and names that a server splits at commas.
func under(path string, names ...string) string {
	escaped := make([]string, len(names))
	for i, n := range names {
		escaped[i] = url.PathEscape(n)
	}
	return path + "/" + strings.Join(escaped, ",")
}

// needName refuses an empty name, which would make the path of another call.
func needName(what, name string) error {
	if name == "" {
		return fmt.Errorf("latchkey: the %s is empty", what)
	}
	return nil
}

// answer is what a server sent, read to its end.
type answer struct {
	resp *http.Response
	body []byte
}

// checked is a form of answer that knows which of its members a reader relies on.
type checked interface{ missing() string }

// call sends r and reads the answer into a T.
func call[T any](ctx context.Context, c *Client, r request) (T, error) {
	var out, none T
	a, err := c.send(ctx, r)
	if err != nil {
		return none, err
	}
	body := bytes.TrimLeft(a.body, " \t\r\n")
	if err := json.Unmarshal(body, &out); err != nil {
		return none, a.unreadable(r, plainer(err, body))
	}
	if body[0] != '{' { // null fits into any type
		return none, a.unreadable(r, errors.New("it is not an object"))
	}
	if v, ok := any(&out).(checked); ok {
		if member := v.missing(); member != "" {
			return none, a.unreadable(r, fmt.Errorf("the member %s is missing", member))
		}
	}
	return out, nil
}

// plainer says what a reader of JSON makes hard to see.
func plainer(err error, body []byte) error {
	if len(body) == 0 {
		return errors.New("it is empty")
	}
	return err
}

// send returns the answer of a call that succeeded, after as many attempts as it takes.
func (c *Client) send(ctx context.Context, r request) (*answer, error) {
	if err := c.checkHeaders(); err != nil {
		return nil, fmt.Errorf("latchkey: %w", err)
	}
	var body []byte
	if r.body != nil {
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return nil, fmt.Errorf("latchkey: write the body of %s %s: %w", r.method, r.path, err)
		}
	}
	sent := false
	for repetition := 1; ; repetition++ {
		at := c.servers.inUse.Load()
		a, err := c.attempt(ctx, r, body, c.servers.addresses[at])
		if noted, ok := errors.AsType[*TransportError](err); ok {
			sent = sent || noted.Sent
			noted.Sent = sent
		} else if noted, ok := errors.AsType[*InterruptedError](err); ok {
			noted.Sent = sent || noted.Sent
		} else {
			sent = true
		}
		if err == nil {
			err = a.failure(c, r)
		}
		if !failedHere(a, err) {
			return a, err
		}
		c.servers.inUse.CompareAndSwap(at, (at+1)%int64(len(c.servers.addresses)))
		if repetition > c.retries || r.makesNew && sent || r.text != nil {
			return a, err
		}
		if again := c.wait(ctx, r, repetition, a, err); again != nil {
			if interrupted, ok := errors.AsType[*InterruptedError](again); ok {
				interrupted.Sent = sent
			}
			return nil, again
		}
	}
}

// attempt sends a call to one address. What it returns is an answer of any
// status, or a TransportError, an InterruptedError or an UnreadableError.
func (c *Client) attempt(ctx context.Context, r request, body []byte, address string) (*answer, error) {
	if err := ctx.Err(); err != nil {
		return nil, interrupted(ctx, r, err)
	}
	target := address + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	var content io.Reader // a nil *bytes.Reader would count as a body
	if r.body != nil {
		content = bytes.NewReader(body)
	} else if r.text != nil {
		content = io.NopCloser(r.text)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, content)
	if err != nil {
		return nil, fmt.Errorf("latchkey: %w", err)
	}
	c.setHeaders(req)
	if r.text != nil {
		req.Header.Set("Content-Type", "text/plain")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, notAnswered(ctx, r, target, err)
	}
	defer resp.Body.Close()
	a := &answer{resp: resp}
	a.body, err = io.ReadAll(io.LimitReader(resp.Body, c.limit+1))
	switch {
	case err != nil && ended(ctx, err) != nil:
		e := interrupted(ctx, r, ended(ctx, err))
		e.Sent = true
		return nil, e
	case err != nil:
		return nil, a.unreadable(r, fmt.Errorf("it is cut off: %w", err))
	case int64(len(a.body)) > c.limit:
		a.body = a.body[:c.limit]
		return nil, a.unreadable(r, ErrTooLong)
	}
	return a, nil
}

func (c *Client) setHeaders(req *http.Request) {
	set := func(name, value string) {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	set("Accept", "application/json")
	if req.Body != nil {
		set("Content-Type", "application/json")
	}
	if c.credential.header != nil {
		set("Authorization", *c.credential.header)
	}
	if c.credential.client != nil {
		set("ES-Client-Authentication", *c.credential.client)
	}
	set("es-security-runas-user", c.runAs)
	set("X-Opaque-Id", c.opaqueID)
	set("User-Agent", c.userAgent)
}

// notAnswered tells a context that ended from a connection that failed.
func notAnswered(ctx context.Context, r request, target string, err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // the rest of it repeats the method and the URL
	}
	sent := !surelyNotSent(err)
	if reason := ended(ctx, err); reason != nil {
		e := interrupted(ctx, r, reason)
		e.Sent = sent
		return e
	}
	return &TransportError{Method: r.method, URL: target, Sent: sent, Err: err}
}

// surelyNotSent reports whether an error arose before there was a connection
// that a request could go over.
func surelyNotSent(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return true
	}
	return distrusted(err)
}

// distrusted reports whether the client refused the server's certificate. Trying
// again would only hide it.
func distrusted(err error) bool {
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	return certificate || errors.Is(err, ErrFingerprint)
}

// ended returns the error of the context if that is why err arose. Dialing may
// see a deadline pass an instant before the context does.
func ended(ctx context.Context, err error) error {
	if reason := ctx.Err(); reason != nil {
		return reason
	}
	if deadline, ok := ctx.Deadline(); ok && errors.Is(err, context.DeadlineExceeded) && !time.Now().Before(deadline) {
		return context.DeadlineExceeded
	}
	return nil
}

func interrupted(ctx context.Context, r request, reason error) *InterruptedError {
	cause := context.Cause(ctx)
	if cause == nil {
		cause = reason
	}
	return &InterruptedError{Method: r.method, Path: r.path, Err: reason, Cause: cause}
}

// failure returns why an answer is not what the call is for, or nil.
func (a *answer) failure(c *Client, r request) error {
	missed := r.mayMiss && a.resp.StatusCode == http.StatusNotFound && !a.isError()
	if a.resp.StatusCode/100 != 2 && !missed {
		return a.refusal(r)
	}
	if !c.anyProduct && !slices.Equal(a.resp.Header.Values("X-Elastic-Product"), []string{"Elasticsearch"}) {
		return a.unreadable(r, ErrUnknownProduct)
	}
	return nil
}

func (a *answer) isError() bool {
	var envelope struct{ Error json.RawMessage }
	return json.Unmarshal(a.body, &envelope) != nil || envelope.Error != nil
}

// refusal reads the envelope of an error. In some answers the error is only a text.
func (a *answer) refusal(r request) error {
	e := &Error{Status: a.resp.StatusCode, call: r.method + " " + r.path, response: a.asError()}
	if r.method == http.MethodHead {
		return e
	}
	var envelope struct {
		Error       json.RawMessage
		Description json.RawMessage `json:"error_description"` // of OAuth2, whose errors are a code
	}
	if err := json.Unmarshal(a.body, &envelope); err != nil {
		return a.unreadable(r, plainer(err, bytes.TrimSpace(a.body)))
	}
	if json.Unmarshal(envelope.Error, &e.Reason) == nil && e.Reason != "" {
		if envelope.Description != nil {
			e.Type, e.Reason = e.Reason, ""
			_ = json.Unmarshal(envelope.Description, &e.Reason) // null, where there is nothing to say
		}
		return e
	}
	var details struct {
		ErrorDetails
		RootCauses []ErrorDetails `json:"root_cause"`
	}
	if err := json.Unmarshal(envelope.Error, &details); err != nil || details.Type == "" {
		return a.unreadable(r, errors.New("its status is a failure, but it holds no error of this API"))
	}
	e.Type, e.Reason, e.CausedBy, e.RootCauses = details.Type, details.Reason, details.CausedBy, details.RootCauses
	return e
}

func (a *answer) unreadable(r request, why error) error {
	return &UnreadableError{Err: why, call: r.method + " " + r.path, response: a.asError()}
}

// asError keeps the answer and drops the request's headers, which hold the credential.
func (a *answer) asError() *ResponseError {
	resp := *a.resp
	resp.Body = io.NopCloser(bytes.NewReader(a.body))
	resp.Request = nil
	if sent := a.resp.Request; sent != nil {
		resp.Request = &http.Request{Method: sent.Method, URL: sent.URL, Host: sent.Host, Header: http.Header{}}
	}
	return &ResponseError{Response: &resp, Body: a.body}
}
