package httpapi

import (
	"log/slog"
	"net/http"
	"strconv"

	"latchkey/internal/fault"
	"latchkey/internal/secret"
)

// Options are what an operator decides about the edge. The zero value works,
// but for ClusterUUID, which clients keep and which therefore must be stable.
type Options struct {
	ClusterName string // default latchkey
	ClusterUUID string // 22 URL-safe characters
	NodeName    string // default node-1
	NodeID      string // 22 URL-safe characters; default the ClusterUUID
	Version     string // what GET / claims; default 9.5.1

	// PublishAddress returns the ip:port that clients which sniff are sent to;
	// it is called for each such request, since the port may be known late.
	PublishAddress func() string
	// BoundAddresses returns every address that is listened on.
	BoundAddresses func() []string

	MaxContentLength     int64 // bytes of a body, decoded; default 100 MiB
	MaxInitialLineLength int   // bytes of method, URL and protocol; default 4 KiB
	MaxHeaderSize        int   // bytes of all headers together; default 16 KiB

	Compression     bool // answer with gzip where a client takes it
	BriefErrors     bool // http.detailed_errors.enabled is false
	APIKeysDisabled bool // no ApiKey challenge
	TokensDisabled  bool // no Bearer challenge
	Kerberos        bool // a Negotiate challenge, before the others

	FleetSecret secret.Secret // without one, no records of other nodes are taken
	ReadIndex   bool          // every request asks the store what was revoked

	Log *slog.Logger // default: nothing is logged
}

func (o Options) withDefaults() Options {
	setDefault(&o.ClusterName, "latchkey")
	setDefault(&o.NodeName, "node-1")
	setDefault(&o.NodeID, o.ClusterUUID)
	setDefault(&o.Version, "9.5.1")
	setDefault(&o.MaxContentLength, 100<<20)
	setDefault(&o.MaxInitialLineLength, 4<<10)
	setDefault(&o.MaxHeaderSize, 16<<10)
	if o.PublishAddress == nil {
		o.PublishAddress = func() string { return "127.0.0.1:9200" }
	}
	if o.BoundAddresses == nil {
		o.BoundAddresses = func() []string { return nil }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

func setDefault[T comparable](p *T, value T) {
	if *p == *new(T) {
		*p = value
	}
}

// checkLine refuses a request line that is too long.
func (s *Server) checkLine(r *http.Request, uri string) error {
	if n := len(r.Method) + len(uri) + len(r.Proto) + len("  "); n > s.opts.MaxInitialLineLength {
		return &failure{status: http.StatusBadRequest, typ: "too_long_http_line_exception", hangUp: true,
			reason: "An HTTP line is larger than " + strconv.Itoa(s.opts.MaxInitialLineLength) + " bytes."}
	}
	return nil
}

// checkHeaders refuses headers that are too long, and values that contradict each other.
func (s *Server) checkHeaders(r *http.Request) error {
	size, repeated := len("Host: \r\n")+len(r.Host), false
	for name, values := range r.Header {
		repeated = repeated || len(values) > 1
		for _, v := range values {
			size += len(name) + len(v) + len(": \r\n")
		}
	}
	if size > s.opts.MaxHeaderSize {
		return &failure{status: http.StatusBadRequest, typ: "too_long_http_header_exception", hangUp: true,
			reason: "HTTP headers are larger than " + strconv.Itoa(s.opts.MaxHeaderSize) + " bytes."}
	}
	if repeated {
		return checkSingleValued(r.Header)
	}
	return nil
}

// singleValued lists the headers that may be repeated only with the same value.
var singleValued = []string{"Authorization", "Es-Security-Runas-User", "Es-Secondary-Authorization", "Es-Client-Authentication",
	"X-Opaque-Id", "Traceparent", "Tracestate", "X-Elastic-Product-Origin"}

func checkSingleValued(h http.Header) error {
	for _, name := range singleValued {
		values := h[name]
		for i := 1; i < len(values); i++ {
			if values[i] != values[0] {
				return fault.New(fault.Argument, "multiple values for single-valued header [%s].", name)
			}
		}
	}
	return nil
}
