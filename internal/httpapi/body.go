package httpapi

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"

	"latchkey/internal/fault"
)

// errTooLarge is a body beyond the limit: 413 without a body, and the connection is closed.
var errTooLarge = &failure{status: http.StatusRequestEntityTooLarge, reason: "the body is too large", hangUp: true}

var gunzips sync.Pool // of *gzip.Reader

// readBody reads the whole body and decodes it. The limit counts both the bytes
// of the wire and the decoded ones. What cannot be read is fault.Argument.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength == 0 || r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	if r.ContentLength > limit {
		return nil, errTooLarge
	}
	var in io.Reader = http.MaxBytesReader(w, r.Body, limit)
	switch encoding := r.Header["Content-Encoding"]; {
	case len(encoding) == 0 || strings.EqualFold(encoding[0], "identity"):
	case len(encoding) == 1 && (strings.EqualFold(encoding[0], "gzip") || strings.EqualFold(encoding[0], "x-gzip")):
		z, _ := gunzips.Get().(*gzip.Reader)
		if z == nil {
			z = new(gzip.Reader)
		}
		defer gunzips.Put(z)
		switch err := z.Reset(in); {
		case err == io.EOF: // no byte at all: no body
			return nil, nil
		case err != nil:
			return nil, unreadable(err)
		}
		in = z
	default:
		return nil, fault.New(fault.Argument, "Content-Encoding [%s] is not supported; send gzip or none", strings.Join(encoding, ", "))
	}
	var out bytes.Buffer
	if r.ContentLength > 0 {
		out.Grow(int(min(r.ContentLength, 1<<20)) + bytes.MinRead)
	}
	n, err := io.Copy(&out, io.LimitReader(in, limit+1))
	switch {
	case err != nil:
		return nil, unreadable(err)
	case n > limit:
		return nil, errTooLarge
	}
	return out.Bytes(), nil
}

func unreadable(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return errTooLarge
	}
	f := fault.New(fault.Argument, "the body cannot be read: %s", strings.TrimPrefix(err.Error(), "http: "))
	return &failure{status: http.StatusBadRequest, typ: failures[f.Kind].typ, reason: f.Reason, hangUp: true}
}
