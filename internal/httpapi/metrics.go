package httpapi

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"

	"latchkey/internal/access"
	"latchkey/internal/apikey"
	"latchkey/internal/cache"
	"latchkey/internal/fault"
)

// meters are what a monitoring system reads. Counters of the hot path are
// resolved once, so that a request adds and looks nothing up.
type meters struct {
	registry        *prometheus.Registry
	requests        *prometheus.CounterVec
	unrouted        served
	authentications [len(credentialKinds)][len(outcomes)]prometheus.Counter
	keys            keyGauges
	stale           prometheus.Counter // nil without a fleet
}

// served counts the answers of one route by the first digit of their status.
type served [6]prometheus.Counter

// count adds an answer; one of no status was never sent.
func (s *served) count(status int) {
	if class := status / 100; class > 0 && class < len(s) {
		s[class].Inc()
	}
}

// Kinds of credentials and outcomes, in the order of [meters.authenticated].
var (
	credentialKinds = [...]string{"none", "api_key", "basic", "bearer", "negotiate", "other"}
	outcomes        = [...]string{"success", "failure", "error"}
)

// newMeters registers what there is to read. version is that of this program.
func newMeters(services Services, version string) *meters {
	m := &meters{registry: prometheus.NewRegistry()}
	m.requests = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "latchkey_http_requests_total", Help: "Requests that were answered, by method, route and class of the status.",
	}, []string{"method", "route", "status"})
	m.unrouted = m.served("other unknown")
	authentications := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "latchkey_authentications_total", Help: "Credentials that were judged, by their kind and by the outcome; none is a request without one in its headers.",
	}, []string{"credential", "outcome"})
	for kind := range credentialKinds {
		for outcome := range outcomes {
			m.authentications[kind][outcome] = authentications.WithLabelValues(credentialKinds[kind], outcomes[outcome])
		}
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "latchkey_build_info", Help: "1, with the release that clients are told.", ConstLabels: prometheus.Labels{"version": version}})
	build.Set(1)
	m.registry.MustRegister(m.requests, authentications, build, &m.keys, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if k := services.APIKeys; k != nil {
		m.total("latchkey_api_keys_invalidated_total", "API keys that were invalidated since the start.", nil, func() uint64 { return k.Stats().Invalidated })
		m.total("latchkey_api_keys_purged_total", "Dead API keys that were removed since the start.", nil, func() uint64 { return k.Stats().Purged })
		m.cache("api_keys", func() cache.Stats { return k.Stats().Cache })
	}
	if t := services.Tokens; t != nil {
		m.total("latchkey_tokens_invalidated_total", "Access and refresh tokens that somebody invalidated since the start.", nil, func() uint64 { return t.Stats().Invalidated })
		m.total("latchkey_tokens_purged_total", "Pairs of tokens that were removed since the start.", nil, func() uint64 { return t.Stats().Purged })
		m.cache("tokens", func() cache.Stats { return t.Stats().Cache })
	}
	if f := services.Fleet; f != nil {
		m.fleet(f, services.BarrierTimes)
	}
	return m
}

func (m *meters) total(name, help string, labels prometheus.Labels, read func() uint64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels}, func() float64 { return float64(read()) }))
}

func (m *meters) cache(name string, read func() cache.Stats) {
	labels := prometheus.Labels{"cache": name}
	m.total("latchkey_cache_hits_total", "Look-ups that memory has answered.", labels, func() uint64 { return read().Hits })
	m.total("latchkey_cache_loads_total", "Look-ups that went to the store.", labels, func() uint64 { return read().Loads })
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "latchkey_cache_entries", Help: "Entries in memory.", ConstLabels: labels},
		func() float64 { return float64(read().Entries) }))
}

// served returns the counters of a route by its pattern, "GET /_security/api_key".
func (m *meters) served(pattern string) (s served) {
	method, route, _ := strings.Cut(pattern, " ")
	for class := 1; class < len(s); class++ {
		s[class] = m.requests.WithLabelValues(method, route, string(rune('0'+class))+"xx")
	}
	return s
}

// authenticated counts a credential that was judged.
func (m *meters) authenticated(h http.Header, err error) {
	outcome := 0
	switch {
	case err == nil:
	case fault.KindOf(err) == fault.Unauthenticated:
		outcome = 1
	default:
		outcome = 2
	}
	m.authentications[credentialKind(h["Authorization"])][outcome].Inc()
}

// credentialKind is an index of credentialKinds.
func credentialKind(header []string) int {
	if len(header) == 0 || header[0] == "" {
		return 0
	}
	scheme, _, _ := strings.Cut(header[0], " ")
	switch len(scheme) {
	case len("ApiKey"):
		switch {
		case strings.EqualFold(scheme, "ApiKey"):
			return 1
		case strings.EqualFold(scheme, "Bearer"):
			return 3
		}
	case len("Basic"):
		if strings.EqualFold(scheme, "Basic") {
			return 2
		}
	case len("Negotiate"):
		if strings.EqualFold(scheme, "Negotiate") {
			return 4
		}
	}
	return 5
}

// keyGauges shows how many keys there are. They are counted before a scrape.
type keyGauges struct{ counted atomic.Pointer[keyCounts] }

type keyCounts struct {
	apikey.Counts
	at time.Time
}

// countingPause is how long counts are shown again: each takes a look at every key.
const countingPause = 10 * time.Second

var keyCount = prometheus.NewDesc("latchkey_api_keys", "API keys by state; the expiring ones are live, too.", []string{"state"}, nil)

// refresh counts the keys unless that was done a moment ago. After a failure there is nothing to show.
func (g *keyGauges) refresh(ctx context.Context, now time.Time, count func(context.Context) (apikey.Counts, error)) error {
	if c := g.counted.Load(); c != nil && now.Sub(c.at) < countingPause {
		return nil
	}
	n, err := count(ctx)
	if err != nil {
		g.counted.Store(nil)
		return err
	}
	g.counted.Store(&keyCounts{n, now})
	return nil
}

// Describe implements [prometheus.Collector].
func (g *keyGauges) Describe(to chan<- *prometheus.Desc) { to <- keyCount }

// Collect implements [prometheus.Collector].
func (g *keyGauges) Collect(to chan<- prometheus.Metric) {
	c := g.counted.Load()
	if c == nil {
		return
	}
	show := func(state string, n int) {
		to <- prometheus.MustNewConstMetric(keyCount, prometheus.GaugeValue, float64(n), state)
	}
	show("live", c.Live)
	show("invalidated", c.Invalidated)
	show("expired", c.Expired)
	show("expiring", c.Expiring)
}

func (s *Server) routeMetrics() { s.route("GET /_latchkey/metrics", s.getMetrics) }

// GET /_latchkey/metrics
//
// A store that cannot count takes only the gauges of keys away: the rest is wanted
// most when something is wrong.
func (s *Server) getMetrics(c *call) (act, error) {
	return func(ctx context.Context) (reply, error) {
		if err := c.by.Authorize(access.Request{Action: "cluster:monitor/latchkey/metrics"}); err != nil {
			return reply{}, err
		}
		if err := s.meters.keys.refresh(ctx, time.Now(), s.APIKeys.Count); err != nil {
			s.log.WarnContext(ctx, "the API keys could not be counted", "err", err)
		}
		families, err := s.meters.registry.Gather()
		if err != nil {
			return reply{}, err
		}
		var b bytes.Buffer
		for _, f := range families {
			if _, err := expfmt.MetricFamilyToText(&b, f); err != nil {
				return reply{}, err
			}
		}
		return reply{text: b.Bytes()}, nil
	}, nil
}

// metricsType is the media type of the text that Prometheus reads.
var metricsType = []string{"text/plain; version=0.0.4; charset=utf-8"}
