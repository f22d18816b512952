package httpapi

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"latchkey/internal/access"
	"latchkey/internal/fault"
)

// testServer is a server on a port of its own.
type testServer struct {
	addr string
	api  *Server
	http *Edge
}

// newServer starts a server, with options that change may alter. It knows the
// users of [newServices], and beside the API the routes of [routeProbes].
func newServer(t testing.TB, change ...func(*Options)) *testServer {
	t.Helper()
	return startServer(t, newServices(t, true), change...)
}

func startServer(t testing.TB, services Services, change ...func(*Options)) *testServer {
	t.Helper()
	opts := Options{ClusterName: "latchkey", ClusterUUID: "zk-HjQtYQGyL3NFSSu7InA", NodeName: "node-1", NodeID: "n-HjQtYQGyL3NFSSu7InAx",
		Version: "9.1.0", Compression: true}
	for _, f := range change {
		f(&opts)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	opts.PublishAddress = func() string { return addr }
	opts.BoundAddresses = func() []string { return []string{addr} }
	api := New(opts, services)
	api.routeProbes()
	srv := &testServer{addr: addr, api: api, http: api.HTTPServer()}
	done := make(chan error, 1)
	go func() { done <- srv.http.Serve(listener) }()
	t.Cleanup(func() {
		_ = srv.http.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serve: %v", err)
		}
	})
	return srv
}

func (s *testServer) dial(t testing.TB) *wire {
	w := &wire{t: t, addr: s.addr, bound: map[string]string{}}
	t.Cleanup(w.hangUp)
	return w
}

// routeProbes adds endpoints that show what a resource sees and answers.
func (s *Server) routeProbes() {
	echo := func(c *call) (act, error) {
		body, err := c.body()
		if err != nil {
			return nil, err
		}
		id := ""
		if len(c.wild) > 0 {
			id = c.path("id")
		}
		return func(context.Context) (reply, error) {
			if err := c.by.Authorize(access.Request{Action: "cluster:admin/xpack/security/api_key/create"}); err != nil {
				return reply{}, err
			}
			return ok(map[string]any{"id": id, "body": string(body.JSON())}), nil
		}, nil
	}
	s.route("PUT /_probe/{id}/echo", echo)
	s.route("POST /_probe/echo", echo)
	s.route("DELETE /_probe/echo", echo)
	fails := func(how func() error) endpoint {
		return func(*call) (act, error) {
			return func(context.Context) (reply, error) { return reply{}, how() }, nil
		}
	}
	s.route("GET /_probe/missing", fails(func() error { return fault.New(fault.NotFound, "there is no such thing") }))
	s.route("GET /_probe/broken", fails(func() error { return errors.New("the secret text of a disk error") }))
	// deep is an answer that nothing of ours can read: as if a store had been tampered with.
	deep := jsontext.Value(strings.Repeat("[", 2000) + strings.Repeat("]", 2000))
	s.route("GET /_probe/unshowable", func(*call) (act, error) {
		return func(context.Context) (reply, error) { return ok(deep), nil }, nil
	})
	s.route("GET /_probe/panics", fails(func() error { panic("a mistake of ours") }))
	s.route("POST /_probe/uncertain", fails(func() error { return fault.New(fault.Unknown, "the outcome is not known") }))
	s.routeNew("PUT /_probe/uncertain", fails(func() error { return fault.New(fault.Unknown, "the outcome is not known") }))
	s.route("GET /_probe/unavailable", fails(func() error { return fault.New(fault.Unavailable, "the store cannot be reached") }))
}
