// Package httpapi serves the Elasticsearch security API over HTTP. It knows
// routes, JSON shapes, headers and status codes, one file for each resource,
// and nothing about how a key or a user is kept.
package httpapi

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"latchkey/internal/access"
	"latchkey/internal/apikey"
	"latchkey/internal/application"
	"latchkey/internal/fault"
	"latchkey/internal/fleet"
	"latchkey/internal/leak"
	"latchkey/internal/leaver"
	"latchkey/internal/oidc"
	"latchkey/internal/pki"
	"latchkey/internal/profile"
	"latchkey/internal/realm"
	"latchkey/internal/role"
	"latchkey/internal/rolemapping"
	"latchkey/internal/serviceaccount"
	"latchkey/internal/settings"
	"latchkey/internal/token"
	"latchkey/internal/user"
)

// Authenticator finds out who is calling.
type Authenticator interface {
	// Authenticate judges the security headers, and the chain of certificates that
	// the client has shown, if any. A refusal is fault.Unauthenticated and names
	// uri. The header is not changed or kept.
	Authenticate(ctx context.Context, header http.Header, shown []*x509.Certificate, uri string) (*access.Caller, error)
}

// Server answers the requests of the API. It is safe for concurrent use.
type Server struct {
	Services
	opts       Options
	log        *slog.Logger
	router     router
	challenges []string // of a 401
	build      build
	memory     memory
	meters     *meters
	records    http.Handler // of other nodes; nil takes none
}

// Services are the rooms behind the endpoints.
type Services struct {
	Auth    Authenticator
	APIKeys *apikey.Service
	Tokens  *token.Service
	Users   *user.Service
	Roles   *role.Service
	Realms  *realm.Chain

	RoleMappings *rolemapping.Service

	Applications    *application.Service
	ServiceAccounts *serviceaccount.Service
	Profiles        *profile.Service
	Settings        *settings.Service
	Leavers         *leaver.Service
	OIDC            *oidc.Service
	PKI             *pki.Service
	Leaks           *leak.Service

	Fleet        *fleet.Node  // nil: nobody else has the store
	BarrierTimes BarrierTimes // of that
}

// New returns a server for the given services.
func New(opts Options, services Services) *Server {
	s := &Server{Services: services, opts: opts.withDefaults()}
	s.log = s.opts.Log
	s.memory.limit = s.opts.MaxContentLength + bodyMemory
	if opts.Kerberos {
		s.challenges = append(s.challenges, "Negotiate")
	}
	s.challenges = append(s.challenges, `Basic realm="security", charset="UTF-8"`)
	if !opts.TokensDisabled {
		s.challenges = append(s.challenges, `Bearer realm="security"`)
	}
	if !opts.APIKeysDisabled {
		s.challenges = append(s.challenges, "ApiKey")
	}
	s.build = readBuild(s.opts.Version)
	s.meters = newMeters(services, s.opts.Version)
	s.reserve()
	s.routeCluster()
	s.routeAuthenticate()
	s.routeUsers()
	s.routeRoles()
	s.routeRoleMappings()
	s.routePrivileges()
	s.routeApplications()
	s.routeAPIKeys()
	s.routeRotation()
	s.routeCrossCluster()
	s.routeTokens()
	s.routeServiceAccounts()
	s.routeProfiles()
	s.routeSettings()
	s.routeLeavers()
	s.routeLeaked()
	s.routeExpiring()
	s.routeMetrics()
	s.routeFleet()
	s.routeOIDC()
	s.routePKI()
	return s
}

// route registers an endpoint under "METHOD /path/{wildcard}". Only a HEAD that
// is registered by itself is answered.
func (s *Server) route(pattern string, serve endpoint) {
	s.add(&route{pattern: pattern, serve: serve})
}

// routeNew is route for calls whose repetition makes a second thing (create,
// grant, clone): after an unknown outcome they answer 500, which no client
// repeats by itself, and not 503.
func (s *Server) routeNew(pattern string, serve endpoint) {
	s.add(&route{pattern: pattern, serve: serve, makesNew: true})
}

// routeText is route for calls whose body is a text of any type and size, which
// the endpoint reads from [call.text].
func (s *Server) routeText(pattern string, serve endpoint) {
	s.add(&route{pattern: pattern, serve: serve, streams: true})
}

func (s *Server) add(r *route) {
	r.served = s.meters.served(r.pattern)
	s.router.add(r)
}

// reserve names the paths of calls that are not built and that a wildcard would
// take: the description of a node would be a false answer to who asks for statistics.
func (s *Server) reserve() {
	for _, of := range []string{"/_nodes", "/_nodes/{nodes}"} {
		for _, call := range []string{"stats", "usage", "hot_threads", "reload_secure_settings", "shutdown"} {
			s.router.reserve(of + "/" + call)
			s.router.reserve(of + "/" + call + "/{part}")
		}
	}
}

// exchange is one request and what became known of it so far.
type exchange struct {
	w     http.ResponseWriter
	r     *http.Request
	uri   string // as the client wrote it
	view  view
	route *route
	by    *access.Caller
	// repeatable says that the request was read, and that a repetition makes no second thing.
	repeatable bool
}

// ServeHTTP answers one request. The caller is authenticated from the headers
// alone, before the body is read and before routing, so that a stranger learns
// nothing about routes; see [Server.serve] for the order of the rest.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{w: w, r: r, uri: r.RequestURI, view: view{typ: mediaType{format: jsonFormat}, head: r.Method == http.MethodHead}}
	if x.uri == "" { // a request that no connection brought
		x.uri = r.URL.RequestURI()
	}
	if id := r.Header["X-Opaque-Id"]; len(id) > 0 {
		w.Header()["X-Opaque-Id"] = id[:1]
	}
	if r.ContentLength != 0 {
		expectBody(r, true)
	}
	if s.takeRecords(w, r) {
		return
	}
	if !s.log.Enabled(r.Context(), slog.LevelDebug) {
		s.count(x, s.answer(x))
		return
	}
	start := time.Now()
	status := s.answer(x)
	s.count(x, status)
	s.logRequest(x, status, time.Since(start))
}

// count notes an answer for the metrics.
func (s *Server) count(x *exchange, status int) {
	if x.route == nil {
		s.meters.unrouted.count(status)
		return
	}
	x.route.served.count(status)
}

// answer serves x and writes the response, whose status it returns.
func (s *Server) answer(x *exchange) (status int) {
	rep, err := s.serveSafely(x)
	if err != nil {
		return s.fail(x, err)
	}
	if rep.status == 0 {
		rep.status = http.StatusOK
	}
	h := x.w.Header()
	if rep.text != nil {
		h["X-elastic-product"], h["Content-Type"] = product, metricsType
		s.send(x, rep.status, rep.text)
		return rep.status
	}
	if ready, ok := rep.body.(jsontext.Value); ok && x.view.plain() {
		h["X-elastic-product"] = product
		s.send(x, rep.status, ready)
		return rep.status
	}
	b := buffers.Get().(*bytes.Buffer)
	defer release(b)
	if rep.body != nil {
		if err := x.view.encode(x.r.Context(), b, rep.body); err != nil {
			return s.fail(x, fault.Wrap(err, fault.Internal, "encode the answer")) // ours, whatever kind it has
		}
	}
	h["X-elastic-product"] = product
	s.send(x, rep.status, b.Bytes())
	return rep.status
}

// product is the value without which the official clients refuse a server. They
// look for it on every answer but 401 and 403.
var product = []string{"Elasticsearch"}

// fail writes what err means on the wire.
func (s *Server) fail(x *exchange, err error) int {
	f := s.failureOf(err, x.repeatable)
	s.logFailure(x, f, err)
	h := x.w.Header()
	switch f.status {
	case http.StatusUnauthorized:
		h[challengeHeader] = f.challenges
	case http.StatusForbidden:
	default:
		h["X-elastic-product"] = product
	}
	if f.status == http.StatusServiceUnavailable {
		h["Retry-After"] = []string{"1"} // second
	}
	if f.allow != nil {
		h["Allow"] = []string{strings.Join(f.allow, ",")}
	}
	switch {
	case f.hangUp:
		h["Connection"] = []string{"close"}
		setReadDeadline(x.w, hangUpTimeout)
	case x.r.ContentLength != 0:
		setReadDeadline(x.w, headerTimeout) // for what was not read of the body
	}
	if f.status == http.StatusRequestEntityTooLarge {
		h["Content-Length"] = []string{"0"}
		setWriteDeadline(x.w, answerTimeout)
		x.w.WriteHeader(f.status)
		return f.status
	}
	trace := ""
	if x.view.trace && f.status != http.StatusUnauthorized {
		trace = f.typ + ": " + f.reason + "\n\tat " + x.where() + "\n"
	}
	b := buffers.Get().(*bytes.Buffer)
	defer release(b)
	if err := x.view.encode(x.r.Context(), b, f.body(!s.opts.BriefErrors, trace)); err != nil {
		s.log.ErrorContext(x.r.Context(), "an error could not be encoded", "err", err)
	}
	s.send(x, f.status, b.Bytes())
	return f.status
}

func (s *Server) send(x *exchange, status int, body []byte) {
	if err := x.view.send(x.w, status, body); err != nil {
		s.log.DebugContext(x.r.Context(), "the client went away before its answer", "err", err)
	}
}

// serveSafely is serve, with a panic turned into an error.
func (s *Server) serveSafely(x *exchange) (rep reply, err error) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			panic(p)
		default:
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return s.serve(x)
}

// serve takes a request through the steps of spec/http.md 1, in their order.
func (s *Server) serve(x *exchange) (reply, error) {
	r := x.r
	if err := s.checkLine(r, x.uri); err != nil {
		return reply{}, err
	}
	if err := s.checkHeaders(r); err != nil {
		return reply{}, err
	}
	// Read early, so that refusals have the shape the client asked for; what is
	// wrong with it is told after authentication.
	neg := negotiate(r.Header)
	c := &call{held: share{of: &s.memory}}
	defer c.held.release()
	var badQuery error
	if r.URL.RawQuery != "" {
		if c.query, badQuery = parseQuery(r.URL.RawQuery); badQuery != nil {
			badQuery = &failure{status: http.StatusBadRequest, typ: "bad_parameter_exception", reason: "the query string cannot be read: " + badQuery.Error()}
		}
	}
	c.human = x.look(&c.query, &neg, r.ContentLength != 0)
	x.view.gzip = s.opts.Compression && acceptsGzip(r.Header)

	var err error
	if r.Method != http.MethodOptions && !open(r) {
		if s.Fleet != nil {
			if err := s.inStep(x); err != nil {
				return reply{}, err
			}
		}
		x.by, err = s.Auth.Authenticate(r.Context(), r.Header, shown(r), x.uri)
		s.meters.authenticated(r.Header, err)
		if err != nil {
			return reply{}, err
		}
		c.by = x.by
		s.markStale(x)
		s.APIKeys.Used(c.by, r.RemoteAddr, r.UserAgent())
		if proof := x.by.TicketReply; proof != nil {
			x.w.Header()[challengeHeader] = []string{"Negotiate " + base64.StdEncoding.EncodeToString(*proof)}
		}
	}
	if err := checkConsistency(r); err != nil {
		return reply{}, err
	}
	if r.ContentLength != 0 {
		if rt, _ := s.router.find(r.Method, r.URL); rt != nil && rt.streams {
			if c.text, err = s.openText(x, c); err != nil {
				return reply{}, err
			}
			defer c.text.close()
		} else if err := s.readWhole(x, c); err != nil {
			return reply{}, err
		}
	}
	hasBody := len(c.content) > 0 || c.text != nil
	x.view.typ = neg.answer(c.query.String("format"), hasBody)
	if err := neg.check(hasBody); err != nil {
		return reply{}, err
	}
	if badQuery != nil {
		return reply{}, badQuery
	}
	if c.query.err != nil {
		return reply{}, c.query.err
	}
	if x.view.filterPath != "" {
		if x.view.filter, err = parseFilter(x.view.filterPath); err != nil {
			return reply{}, err
		}
	}
	if x.view.trace && s.opts.BriefErrors {
		return reply{}, stringFailure(http.StatusBadRequest, "error traces in responses are disabled")
	}
	if x.route, c.wild = s.router.find(r.Method, r.URL); x.route == nil {
		return s.unrouted(x)
	}
	if hasBody && !x.route.streams {
		if err := neg.unsupported(r.Header["Content-Type"]); err != nil {
			return reply{}, err
		}
	}
	if err := s.checkSecondary(x); err != nil {
		return reply{}, err
	}
	c.route, c.format = x.route, neg.content.format
	if meta := r.Header["X-Elastic-Client-Meta"]; len(meta) > 0 {
		c.java7 = strings.HasPrefix(meta[0], "es=7.") && strings.Contains(meta[0], ",jv=")
	}
	c.repeatable = !x.route.makesNew
	do, err := x.route.serve(c)
	x.repeatable = c.repeatable
	switch {
	case c.query.err != nil:
		return reply{}, c.query.err
	case err != nil:
		return reply{}, err
	}
	if err := c.leftover(r.Method, r.URL.Path, x.uri); err != nil {
		return reply{}, err
	}
	rep, err := do(r.Context())
	if err == nil && x.route.makesNew {
		err = s.stillHolds(x)
	}
	return rep, err
}

// look reads the parameters that every call takes. A bad one is left in q.err.
func (x *exchange) look(q *query, neg *negotiation, hasBody bool) (human bool) {
	x.view.pretty = q.Bool("pretty")
	x.view.trace = q.Bool("error_trace")
	x.view.filterPath = q.String("filter_path")
	x.view.typ = neg.answer(q.String("format"), hasBody)
	return q.Bool("human")
}

// knownMethods are those that HTTP servers know; with any other, an unknown path is 405 too.
var knownMethods = []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"}

// unrouted answers a request that no route takes.
func (s *Server) unrouted(x *exchange) (reply, error) {
	allowed := s.router.allowed(x.r.URL)
	method := x.r.Method
	if len(allowed) == 0 && slices.Contains(knownMethods, method) && method != http.MethodOptions {
		f := stringFailure(http.StatusBadRequest, fmt.Sprintf("no handler found for uri [%s] and method [%s]", x.uri, method))
		f.bare = true
		return reply{}, f
	}
	if method == http.MethodOptions {
		if len(allowed) > 0 {
			x.w.Header()["Allow"] = []string{strings.Join(allowed, ",")}
		}
		x.w.Header()["Content-Type"] = []string{"text/plain; charset=UTF-8"}
		return reply{}, nil
	}
	reason := fmt.Sprintf("uri [%s] does not take the method [%s]", x.uri, method)
	if len(allowed) > 0 {
		reason += fmt.Sprintf(", only [%s]", strings.Join(allowed, ", "))
	}
	f := stringFailure(http.StatusMethodNotAllowed, reason)
	f.allow = allowed
	return reply{}, f
}

// where names the route for traces and logs.
func (x *exchange) where() string {
	if x.route == nil {
		return "no route"
	}
	return x.route.pattern
}

// logFailure tells the operator what the client is not told, once.
func (s *Server) logFailure(x *exchange, f *failure, err error) {
	ctx := x.r.Context()
	switch {
	case f.status < 500:
	case ctx.Err() != nil:
		s.log.DebugContext(ctx, "the client went away", "route", x.where(), "err", err)
	default:
		s.log.ErrorContext(ctx, "request failed", "route", x.where(), "status", f.status, "err", err)
	}
}

func (s *Server) logRequest(x *exchange, status int, took time.Duration) {
	user := ""
	if x.by != nil {
		user = x.by.Username
	}
	s.log.DebugContext(x.r.Context(), "request", "method", x.r.Method, "route", x.where(), "path", x.r.URL.Path,
		"status", status, "user", user, "took", took, "opaque_id", x.r.Header.Get("X-Opaque-Id"), "remote", x.r.RemoteAddr)
}
