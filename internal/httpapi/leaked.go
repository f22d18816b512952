package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/klauspost/compress/gzip"

	"latchkey"
	"latchkey/internal/fault"
	"latchkey/internal/leak"
)

func (s *Server) routeLeaked() {
	s.routeText("POST /_latchkey/api_key/_invalidate_leaked", s.invalidateLeaked)
}

// POST /_latchkey/api_key/_invalidate_leaked
func (s *Server) invalidateLeaked(c *call) (act, error) {
	dryRun := c.query.Bool("dry_run")
	if c.text == nil {
		return nil, fault.New(fault.Structure, "request body is required")
	}
	return func(ctx context.Context) (reply, error) {
		found, err := s.Leaks.Find(ctx, c.by, c.text)
		if err != nil {
			return reply{}, err
		}
		if err := c.text.authenticateAgain(); err != nil {
			return reply{}, err
		}
		done, err := s.Leaks.Invalidate(ctx, c.by, found, dryRun)
		if err != nil {
			return reply{}, err
		}
		return ok(latchkey.InvalidateLeakedResponse{
			Found:       len(done.Invalidated) + len(done.Before) + len(done.NotReached),
			Invalidated: shownLeaked(done.Invalidated), PreviouslyInvalidated: shownLeaked(done.Before), NotReached: shownLeaked(done.NotReached),
			SecretsWithoutID: found.Alone, NotChecked: found.NotChecked, Bytes: found.Bytes, DryRun: dryRun,
		}), nil
	}, nil
}

func shownLeaked(cs []leak.Credential) []latchkey.LeakedCredential {
	shown := make([]latchkey.LeakedCredential, len(cs))
	for i, c := range cs {
		shown[i] = latchkey.LeakedCredential{Type: c.Kind, ID: c.ID, Name: c.Name, Username: c.Username, Realm: c.Realm}
	}
	return shown
}

// A text may be larger than other bodies, since nobody holds it in memory. Its
// bounds are for a few hours of work, not for a log that somebody has.
const (
	maxText     = 16 << 30 // bytes, decoded and on the wire
	textTimeout = time.Hour
)

// textBody is a body that is read as it comes.
type textBody struct {
	in   io.Reader
	left int64
	gzip *gzip.Reader // nil: it is not compressed
	// authenticateAgain is for when it was read: what was revoked meanwhile must not act.
	authenticateAgain func() error
}

// openText is readBody for a body that is read later.
func (s *Server) openText(x *exchange, c *call) (*textBody, error) {
	if x.r.ContentLength > maxText {
		return nil, errTooLarge
	}
	in, z, err := decoded(x.r.Header["Content-Encoding"], http.MaxBytesReader(x.w, x.r.Body, maxText))
	if err != nil {
		return nil, err
	}
	setReadDeadline(x.w, textTimeout)
	r, uri := x.r, x.uri // and not x, which would be on the heap for every request
	return &textBody{in: in, left: maxText, gzip: z, authenticateAgain: func() error {
		expectBody(r, false)
		return s.authenticateAgain(r, uri, c)
	}}, nil
}

// Read returns errors that the client may see.
func (t *textBody) Read(b []byte) (int, error) {
	n, err := t.in.Read(b)
	switch t.left -= int64(n); {
	case t.left < 0:
		return n, errTooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, argumentHangUp("the body did not arrive within " + textTimeout.String())
	case err != nil && err != io.EOF:
		return n, unreadable(err)
	}
	return n, err
}

func (t *textBody) close() {
	if t.gzip != nil {
		gunzips.Put(t.gzip)
	}
}
