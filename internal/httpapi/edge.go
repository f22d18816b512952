package httpapi

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"latchkey/internal/authn"
)

// Times a connection may take. They bound what a slow or silent client can
// hold: an honest one never meets them.
const (
	headerTimeout = 30 * time.Second // also for a new connection until its first request, its TLS handshake included
	bodyTimeout   = 5 * time.Minute
	promptBody    = 100 * time.Millisecond // within it, the caller is still who the headers told
	answerTimeout = 5 * time.Minute
	// hangUpTimeout is for what follows a refusal that ends the connection: a
	// client that is still sending should see the answer first.
	hangUpTimeout = 5 * time.Second
)

// Edge is a net/http server that bounds how long a client may take over the
// headers of a request. net/http would set a timer for each request, which costs
// as much as our part of a cached one; here it is set only for headers that do not
// come at once. [Server.HTTPServer] makes one.
type Edge struct{ http.Server }

// HTTPServer returns a net/http server for s, set so that as much as possible
// is answered by s: limits are judged here, OPTIONS * too. Connections stay
// open between requests for as long as the client likes.
func (s *Server) HTTPServer() *Edge {
	return &Edge{http.Server{
		Handler:                      s,
		MaxHeaderBytes:               s.opts.MaxInitialLineLength + s.opts.MaxHeaderSize + 64<<10,
		DisableGeneralOptionsHandler: true,
		ConnState:                    follow,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return authn.Remembering(context.WithValue(ctx, edgeKey{}, edgeOf(c)))
		},
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}}
}

// Serve is [http.Server.Serve].
func (e *Edge) Serve(l net.Listener) error { return e.Server.Serve(edgeListener{l}) }

// ServeTLS is [http.Server.ServeTLS] with the certificates of the TLSConfig.
func (e *Edge) ServeTLS(l net.Listener) error { return e.Server.ServeTLS(edgeListener{l}, "", "") }

type edgeListener struct{ net.Listener }

func (l edgeListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	e := &edgeConn{Conn: c, until: time.Now().Add(headerTimeout)}
	e.stage.Store(bounded)
	return e, nil
}

// edgeConn is a connection that knows how far its next request has come.
type edgeConn struct {
	net.Conn
	stage atomic.Int32
	body  atomic.Bool // what comes now is the body of the request that is being served
	early atomic.Bool // some of the next request came while one is being served
	until time.Time   // when the headers must be there, if bounded; for Read alone
}

const (
	resting = iota // between requests
	begun          // something of a request was read
	bounded        // the rest of its headers has a deadline
	serving
)

// Read reads what is there. Whoever has to wait for more of the headers waits
// with a deadline; it is set each time, since net/http takes it back.
func (c *edgeConn) Read(b []byte) (int, error) {
	switch c.stage.Load() {
	case begun:
		c.until = time.Now().Add(headerTimeout)
		c.stage.Store(bounded)
		fallthrough
	case bounded:
		_ = c.SetReadDeadline(c.until) // fails only where the connection has
	}
	n, err := c.Conn.Read(b)
	if n > 0 && !c.stage.CompareAndSwap(resting, begun) && c.stage.Load() == serving && !c.body.Load() {
		c.early.Store(true)
	}
	return n, err
}

// CloseWrite tells the client that nothing more comes, and lets it read what did.
func (c *edgeConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

type edgeKey struct{}

// edgeOf returns the connection below TLS, or nil for one of another kind.
func edgeOf(conn net.Conn) *edgeConn {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	c, _ := conn.(*edgeConn)
	return c
}

// expectBody tells the connection of r whether more of its body is to come.
func expectBody(r *http.Request, more bool) {
	if c, _ := r.Context().Value(edgeKey{}).(*edgeConn); c != nil {
		c.body.Store(more)
	}
}

// follow hears from net/http when the headers of a request are complete, and
// when its answer is.
func follow(conn net.Conn, state http.ConnState) {
	c := edgeOf(conn)
	if c == nil {
		return
	}
	switch state {
	case http.StateActive:
		if c.stage.Swap(serving) == bounded {
			_ = c.SetReadDeadline(time.Time{})
		}
	case http.StateIdle:
		c.body.Store(false)
		if c.early.Swap(false) {
			c.stage.Store(begun)
		} else {
			c.stage.Store(resting)
		}
	}
}
