package httpapi

import (
	"bufio"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/fault"
)

// TestTimeouts lets hours pass on connections without a network.
func TestTimeouts(t *testing.T) {
	const get = "GET /_security/_authenticate HTTP/1.1\r\nHost: x\r\n\r\n"
	const post = "POST /_probe/length HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n"
	tests := []struct {
		name string
		run  func(*testing.T, *piped)
	}{
		{"a body may take longer than the headers", func(t *testing.T, c *piped) {
			c.write(post)
			for _, b := range []byte(`"0123456789"`) {
				time.Sleep(24 * time.Second)
				c.write(string(b))
			}
			c.answers(200)
			c.write(post + `"0123456789"`) // and the connection goes on
			c.answers(200)
		}},
		{"a body that stalls is 400 in the end", func(t *testing.T, c *piped) {
			c.write(post + `"0123`)
			if body := c.answers(400); !strings.Contains(body, "did not arrive") {
				t.Errorf("the answer is %s", body)
			}
			c.endsAfter(bodyTimeout, hangUpTimeout)
		}},
		{"what follows a refusal is waited for only shortly", func(t *testing.T, c *piped) {
			c.write(strings.Replace(post, "POST", "OPTIONS", 1) + `"0123`)
			c.answers(400)
			c.endsAfter(hangUpTimeout, time.Second)
		}},
		{"a client without credentials waits for the rest of its body only as long as for headers", func(t *testing.T, c *piped) {
			c.write(strings.Replace(post, "Host: x", "Host: x\r\nX-Stranger: 1", 1) + `"0123`)
			c.answers(401)
			c.endsAfter(headerTimeout, time.Second)
		}},
		{"headers that stall end the connection", func(t *testing.T, c *piped) {
			c.write("GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
			c.endsAfter(headerTimeout, 0)
		}},
		{"headers that stall on a connection in use end it as well", func(t *testing.T, c *piped) {
			c.write(get)
			c.answers(200)
			c.write("GET / HTTP/1.1\r\n")
			c.endsAfter(headerTimeout, 0)
		}},
		{"a connection may rest between requests", func(t *testing.T, c *piped) {
			for range 3 {
				c.write(get)
				c.answers(200)
				c.write(post + `"0123456789"`)
				c.answers(200)
				time.Sleep(24 * time.Hour)
			}
		}},
		{"a connection may rest after a body that came by itself", func(t *testing.T, c *piped) {
			for range 3 {
				c.write(post)
				c.write(`"012345`)
				c.write(`6789"`)
				c.answers(200)
				time.Sleep(24 * time.Hour)
				c.write(strings.Replace(post, "Host: x", "Host: x\r\nX-Stranger: 1", 1)) // whose body is not read
				c.write(`"0123456789"`)
				c.answers(401)
				time.Sleep(24 * time.Hour)
			}
		}},
		{"an act may take longer than the headers", func(t *testing.T, c *piped) {
			c.write(strings.Replace(get, "_security/_authenticate", "_probe/slow", 1))
			c.answers(200)
		}},
		{"a client that does not read a large answer loses its connection", func(t *testing.T, c *piped) {
			c.write(strings.Replace(get, "_security/_authenticate", "_probe/large", 1))
			c.closesAfter(answerTimeout)
		}},
		{"a stranger who does not read loses the connection", func(t *testing.T, c *piped) {
			c.write(strings.Replace(get, "Host: x", "Host: x\r\nX-Stranger: 1", 1))
			c.closesAfter(answerTimeout)
		}},
		{"a large answer may be followed by another one much later", func(t *testing.T, c *piped) {
			for range 2 {
				c.write(strings.Replace(get, "_security/_authenticate", "_probe/large", 1))
				c.answers(200)
				time.Sleep(2 * answerTimeout)
			}
			c.write(get)
			c.answers(200)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { tt.run(t, dialPiped(t)) })
		})
	}
}

// piped is one connection to a server of its own, in memory: deadlines work, and
// nothing is buffered on the way.
type piped struct {
	t       *testing.T
	conn    net.Conn
	in      *bufio.Reader
	closed  chan struct{} // when the server's end is
	started time.Time
}

func dialPiped(t *testing.T) *piped {
	api := New(Options{}, Services{Auth: acquainted{}})
	api.route("POST /_probe/length", func(c *call) (act, error) {
		body, err := c.body()
		return func(context.Context) (reply, error) { return ok(len(body.Text)), nil }, err
	})
	api.route("GET /_probe/large", func(*call) (act, error) {
		return func(context.Context) (reply, error) { return ok(strings.Repeat("x", 1<<20)), nil }, nil
	})
	api.route("GET /_probe/slow", func(*call) (act, error) {
		return func(ctx context.Context) (reply, error) {
			time.Sleep(10 * headerTimeout)
			return ok("done"), ctx.Err()
		}, nil
	})
	ours, theirs := net.Pipe()
	p := &piped{t: t, conn: ours, in: bufio.NewReader(ours), closed: make(chan struct{}), started: time.Now()}
	server := api.HTTPServer()
	server.ConnState = func(c net.Conn, state http.ConnState) {
		follow(c, state)
		if state == http.StateClosed {
			close(p.closed)
		}
	}
	listener := &oneConn{conn: theirs, done: make(chan struct{})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() {
		_ = ours.Close()
		_ = server.Close()
	})
	return p
}

func (p *piped) write(s string) {
	p.t.Helper()
	if _, err := io.WriteString(p.conn, s); err != nil {
		p.t.Fatal(err)
	}
}

func (p *piped) answers(status int) string {
	p.t.Helper()
	r, err := http.ReadResponse(p.in, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != status {
		p.t.Fatalf("status %d, %v; want %d\n%s", r.StatusCode, err, status, body)
	}
	return string(body)
}

// endsAfter waits for the server to end the connection, which takes as long as
// given, and up to grace longer.
func (p *piped) endsAfter(want, grace time.Duration) {
	p.t.Helper()
	if b, err := p.in.ReadByte(); !errors.Is(err, io.EOF) {
		p.t.Fatalf("read %q, %v; want the end", b, err)
	}
	p.endedAfter(want, grace)
}

// closesAfter is endsAfter without reading what comes before the end.
func (p *piped) closesAfter(want time.Duration) {
	p.t.Helper()
	<-p.closed
	p.endedAfter(want, 0)
}

func (p *piped) endedAfter(want, grace time.Duration) {
	p.t.Helper()
	if took := time.Since(p.started); took < want || took > want+grace {
		p.t.Errorf("the connection ends after %v; want %v, or up to %v later", took, want, grace)
	}
}

// oneConn is a listener with one connection.
type oneConn struct {
	conn net.Conn
	done chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	if c := l.conn; c != nil {
		l.conn = nil
		return c, nil
	}
	<-l.done
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error   { close(l.done); return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

var errStranger = fault.New(fault.Unauthenticated, "nobody knows you")

// acquainted knows everybody but those who say that they are strangers.
type acquainted struct{}

func (acquainted) Authenticate(_ context.Context, h http.Header, _ []*x509.Certificate, _ string) (*access.Caller, error) {
	if h.Get("X-Stranger") != "" {
		return nil, errStranger
	}
	return &access.Caller{Subject: access.Subject{Username: "u"}}, nil
}
