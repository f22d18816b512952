package httpapi

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"latchkey"
	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/fleet"
	"latchkey/internal/fleet/peer"
)

const (
	livePath  = "/_latchkey/live"
	readyPath = "/_latchkey/ready"

	consistencyHeader = "X-Latchkey-Consistency"
	strict            = "strict" // not a revocation that was answered before may be missing
	staleHeader       = "X-Latchkey-Stale"
)

func (s *Server) routeFleet() {
	if s.Fleet != nil && !s.opts.FleetSecret.IsZero() {
		s.records = peer.Handler(s.opts.FleetSecret, s.Fleet)
	}
	s.route("GET "+livePath, s.getLive)
	s.route("GET "+readyPath, s.getReady)
	s.route("GET /_latchkey/fleet", s.getFleet)
	s.route("GET /_latchkey/barrier/{revision}", s.getBarrier)
}

// takeRecords serves what another node of the fleet sends, which shows a proof of
// its own in place of a credential. It reports whether that is what r is.
func (s *Server) takeRecords(w http.ResponseWriter, r *http.Request) bool {
	if s.records == nil || r.URL.Path != peer.Path {
		return false
	}
	held := share{of: &s.memory} // a body is read before anybody knows who has sent it
	defer held.release()
	switch {
	case r.ContentLength < 0:
		http.Error(w, "records have a length", http.StatusLengthRequired)
	case held.take(r.ContentLength) != nil:
		http.Error(w, errMemory.reason, errMemory.status)
	default:
		setReadDeadline(w, headerTimeout)
		s.records.ServeHTTP(w, r)
	}
	expectBody(r, false)
	return true
}

// open reports whether a request needs no credential: whoever watches over the
// node has none, and learns one bit. Nothing is read of a stranger's body.
func open(r *http.Request) bool {
	return (r.URL.Path == livePath || r.URL.Path == readyPath) && r.Method == http.MethodGet && r.ContentLength == 0
}

// inStep has a request that asks for it wait until this node knows what was
// revoked before the request came. It costs the store a write, so whoever is not
// even known before does not get that far.
func (s *Server) inStep(x *exchange) error {
	if s.opts.ReadIndex || consistency(x.r) == strict {
		if !showed(x.r, "Negotiate") { // a ticket is good for one look
			_, err := s.Auth.Authenticate(x.r.Context(), x.r.Header, shown(x.r), x.uri)
			if fault.KindOf(err) == fault.Unauthenticated {
				s.meters.authenticated(x.r.Header, err)
				return err
			}
		}
		if err := s.Fleet.ReadIndex(x.r.Context()); err != nil {
			return err
		}
	}
	s.markStale(x)
	return nil
}

// markStale marks and counts answers that may rest on less than a lease promises.
// It is called before a credential is judged and after, since the lease may end in
// between.
func (s *Server) markStale(x *exchange) {
	if s.Fleet == nil || !s.Fleet.Lease().Stale() || x.w.Header()[staleHeader] != nil {
		return
	}
	x.w.Header()[staleHeader] = []string{"true"}
	s.meters.stale.Inc()
}

// consistency is what a request asks for; "" leaves it to the settings.
func consistency(r *http.Request) string {
	if wish := r.Header[consistencyHeader]; len(wish) > 0 {
		return wish[0]
	}
	return ""
}

// checkConsistency refuses a wish that nobody knows.
func checkConsistency(r *http.Request) error {
	switch wish := consistency(r); wish {
	case "", "lease", strict:
		return nil
	default:
		return stringFailure(http.StatusBadRequest, "the header ["+consistencyHeader+"] is lease or strict, not ["+wish+"]")
	}
}

// GET /_latchkey/live
func (s *Server) getLive(*call) (act, error) {
	return func(context.Context) (reply, error) { return ok(latchkey.HealthResponse{Status: "live"}), nil }, nil
}

// GET /_latchkey/ready
//
// A node without a lease accepts nobody, so nobody should be sent to it.
func (s *Server) getReady(*call) (act, error) {
	return func(context.Context) (reply, error) {
		if s.Fleet != nil {
			if err := s.Fleet.Lease().Check(); err != nil {
				return reply{}, err
			}
		}
		return ok(latchkey.HealthResponse{Status: "ready"}), nil
	}, nil
}

// mayWatch judges who asks about the fleet.
func (s *Server) mayWatch(c *call) error {
	if err := c.by.Authorize(access.Request{Action: "cluster:monitor/latchkey/fleet"}); err != nil {
		return err
	}
	if s.Fleet == nil {
		return fault.New(fault.NotFound, "this node is in no fleet: its store is its own")
	}
	return nil
}

// GET /_latchkey/fleet
func (s *Server) getFleet(c *call) (act, error) {
	return func(ctx context.Context) (reply, error) {
		if err := s.mayWatch(c); err != nil {
			return reply{}, err
		}
		f, err := s.Fleet.Status(ctx)
		if err != nil {
			return reply{}, err
		}
		answer := latchkey.FleetResponse{
			Node: f.Node, Applied: f.Applied.Rev, Newest: f.Head,
			LeaseMillis: max(0, f.LeaseLeft.Milliseconds()), Nodes: []latchkey.FleetNode{},
		}
		for _, m := range f.Members {
			answer.Nodes = append(answer.Nodes, latchkey.FleetNode{ID: m.ID, Name: m.Name, Address: m.Addr, Acknowledged: m.Acked, Lag: m.Lag, LeaseMillis: m.Span.Milliseconds()})
		}
		return ok(answer), nil
	}, nil
}

// GET /_latchkey/barrier/{revision}
func (s *Server) getBarrier(c *call) (act, error) {
	text := c.path("revision")
	return func(ctx context.Context) (reply, error) {
		if err := s.mayWatch(c); err != nil {
			return reply{}, err
		}
		rev, err := strconv.ParseInt(text, 10, 64)
		if err != nil || rev < 0 {
			return reply{}, fault.New(fault.Argument, "[%s] is no revision", text)
		}
		m, err := s.Fleet.Mark(rev)
		if err == nil {
			err = s.Fleet.Repeat(ctx, m)
		}
		if err != nil {
			return reply{}, err
		}
		return ok(latchkey.BarrierResponse{Revision: rev}), nil
	}, nil
}

// BarrierTimes is how long answers have waited for other nodes, by what let them pass.
type BarrierTimes struct{ *prometheus.HistogramVec }

// NewBarrierTimes returns one without times.
func NewBarrierTimes() BarrierTimes {
	t := BarrierTimes{prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "latchkey_barrier_seconds", Help: "How long answers have waited for other nodes, by what let them pass: acknowledgements of all, the fence of a node, or the end of all leases.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15, 30, 60, 120},
	}, []string{"exit"})}
	for _, by := range []fleet.Exit{fleet.Acknowledged, fleet.Fenced, fleet.Expired} {
		t.WithLabelValues(string(by))
	}
	return t
}

// Settled adds one; it is for [fleet.Options].
func (t BarrierTimes) Settled(by fleet.Exit, after time.Duration) {
	t.WithLabelValues(string(by)).Observe(after.Seconds())
}

// fleet registers what a node tells of its place among others.
func (m *meters) fleet(f *fleet.Node, waits BarrierTimes) {
	m.stale = prometheus.NewCounter(prometheus.CounterOpts{Name: "latchkey_stale_total", Help: "Answers to requests that were judged out of grace."})
	m.registry.MustRegister(m.stale, waits)
	for _, c := range []struct {
		name, help string
		of         func(fleet.Counters) int64
	}{
		{"renewals", "Leases that were asked for.", func(c fleet.Counters) int64 { return c.Renewals }},
		{"failed_renewals", "Leases that were asked for and not granted.", func(c fleet.Counters) int64 { return c.FailedRenewals }},
		{"pushes", "Messages to other nodes.", func(c fleet.Counters) int64 { return c.Pushes }},
		{"failed_pushes", "Messages to other nodes that were in vain.", func(c fleet.Counters) int64 { return c.FailedPushes }},
		{"fences", "Nodes that were shut out, since they had no lease any more.", func(c fleet.Counters) int64 { return c.Fences }},
		{"rejoins", "Times that this node was shut out.", func(c fleet.Counters) int64 { return c.Rejoins }},
		{"history_forks", "Times that the store had lost what this node had seen.", func(c fleet.Counters) int64 { return c.Forks }},
		{"lapsed", "Times that somebody was refused for want of a lease.", func(c fleet.Counters) int64 { return c.Lapsed }},
	} {
		m.total("latchkey_"+c.name+"_total", c.help, nil, func() uint64 {
			counters, _ := f.Metrics()
			return uint64(c.of(counters))
		})
	}
	for _, g := range []struct {
		name, help string
		of         func(fleet.Gauges) float64
	}{
		{"lease_remaining_seconds", "How much longer this node accepts credentials if it hears nothing of the store.", func(g fleet.Gauges) float64 { return max(0, g.LeaseLeft.Seconds()) }},
		{"applied_lag", "Revisions that this node knows of and has not applied.", func(g fleet.Gauges) float64 { return float64(g.Lag) }},
		{"barrier_waiting", "Answers that wait for other nodes.", func(g fleet.Gauges) float64 { return float64(g.Waiting) }},
	} {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "latchkey_" + g.name, Help: g.help}, func() float64 {
			_, gauges := f.Metrics()
			return g.of(gauges)
		}))
	}
}
