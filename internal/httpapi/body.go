package httpapi

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"

	"latchkey/internal/fault"
)

// errTooLarge is a body beyond the limit: 413 without a body, and the connection is closed.
var errTooLarge = &failure{status: http.StatusRequestEntityTooLarge, reason: "the body is too large", hangUp: true}

var gunzips sync.Pool // of *gzip.Reader

// readBody reads the whole body into c and decodes it. The limit counts both
// the bytes of the wire and the decoded ones. What cannot be read is
// fault.Argument. The body of an OPTIONS request is refused unread, since
// nobody has shown a credential.
func (s *Server) readBody(x *exchange, c *call) error {
	r, limit := x.r, s.opts.MaxContentLength
	switch {
	case r.ContentLength == 0 || r.Body == nil || r.Body == http.NoBody:
		return nil
	case r.Method == http.MethodOptions:
		return argumentHangUp("request [OPTIONS " + x.uri + "] does not support having a body")
	case r.ContentLength > limit:
		return errTooLarge
	}
	setReadDeadline(x.w, bodyTimeout)
	in, z, err := decoded(r.Header["Content-Encoding"], http.MaxBytesReader(x.w, r.Body, limit))
	if err != nil {
		return err
	}
	size := r.ContentLength
	if z != nil {
		defer gunzips.Put(z)
		size = -1
	}
	return c.readAll(in, size, limit)
}

// decoded returns what a body holds, and what decodes it, for gunzips; nil if
// nothing has to.
func decoded(encoding []string, body io.Reader) (io.Reader, *gzip.Reader, error) {
	switch {
	case len(encoding) == 0 || len(encoding) == 1 && strings.EqualFold(encoding[0], "identity"):
		return body, nil, nil
	case len(encoding) == 1 && (strings.EqualFold(encoding[0], "gzip") || strings.EqualFold(encoding[0], "x-gzip")):
		z, _ := gunzips.Get().(*gzip.Reader)
		if z == nil {
			z = new(gzip.Reader)
		}
		switch err := z.Reset(body); {
		case err == io.EOF: // no byte at all: no body
			return http.NoBody, z, nil
		case err != nil:
			gunzips.Put(z)
			return nil, nil, unreadable(err)
		}
		return z, z, nil
	}
	return nil, nil, fault.New(fault.Argument, "Content-Encoding [%s] is not supported; send gzip or none", strings.Join(encoding, ", "))
}

// firstBuffer is what a body gets before its first byte has arrived. From there
// its buffer doubles, so that a client that declares much and sends little holds little.
const firstBuffer = 16 << 10 // bytes

// readAll reads in to its end. Size is what the client declared, or -1.
func (c *call) readAll(in io.Reader, size, limit int64) error {
	if size < 0 {
		size = limit
	}
	most := int(size) + 1 // one byte more, so that a reader that tells its end late is not given a larger buffer
	var content []byte
	for {
		if len(content) == cap(content) {
			room := min(max(2*cap(content), firstBuffer), most)
			if room == cap(content) {
				return errTooLarge
			}
			if err := c.held.take(int64(room - cap(content))); err != nil {
				return err
			}
			content = append(make([]byte, 0, room), content...)
		}
		n, err := in.Read(content[len(content):cap(content)])
		content = content[:len(content)+n]
		switch {
		case int64(len(content)) > limit:
			return errTooLarge
		case err == io.EOF:
			c.content = content
			return nil
		case err != nil:
			return unreadable(err)
		}
	}
}

func unreadable(err error) error {
	switch _, tooLarge := errors.AsType[*http.MaxBytesError](err); {
	case tooLarge:
		return errTooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return argumentHangUp("the body did not arrive within " + bodyTimeout.String())
	default:
		return argumentHangUp("the body cannot be read: " + strings.TrimPrefix(err.Error(), "http: "))
	}
}

// argumentHangUp is fault.Argument for a request after which the connection cannot be used again.
func argumentHangUp(reason string) error {
	on := failures[fault.Argument]
	return &failure{status: on.status, typ: on.typ, reason: reason, hangUp: true}
}

// setReadDeadline and setWriteDeadline bound what follows on the connection of
// w. One that knows no deadlines goes without.
func setReadDeadline(w http.ResponseWriter, after time.Duration) {
	if c, ok := w.(interface{ SetReadDeadline(time.Time) error }); ok {
		_ = c.SetReadDeadline(time.Now().Add(after))
	}
}

func setWriteDeadline(w http.ResponseWriter, after time.Duration) {
	if c, ok := w.(interface{ SetWriteDeadline(time.Time) error }); ok {
		_ = c.SetWriteDeadline(time.Now().Add(after))
	}
}
