package node

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"latchkey/internal/config"
	"latchkey/internal/fleet"
	"latchkey/internal/fleet/peer"
	"latchkey/internal/sqlstore"
)

// membership is the place of a node among those that share its store.
type membership struct {
	*fleet.Node
	client *peer.Client
	apply  map[string]func([]byte) error
	rooms  []func(names []string) // what forgets, of each room
	log    *slog.Logger
}

const (
	clockDrift = .01         // by how much the clocks of nodes may go fast or slow
	clockPause = time.Second // for how long one may stand still, as while a machine is moved
)

// newMembership returns the place of a node that holds its data folder. It counts
// once [membership.start] has returned.
func newMembership(cfg *config.Config, db *sqlstore.DB, log *slog.Logger) (*membership, error) {
	client, scheme, err := peerClient(cfg.TLS)
	if err != nil {
		return nil, err
	}
	m := &membership{client: peer.NewClient(cfg.Fleet.Secret, client), apply: map[string]func([]byte) error{}, log: log}
	o := fleet.Options{
		Name: cfg.NodeName, Length: cfg.Fleet.Lease, Drift: clockDrift, Pause: clockPause, Grace: cfg.Fleet.Grace,
		NewID: newUUID, Apply: m.apply, Flush: m.forgetAll,
		Report: func(event string, rev int64, err error) { log.Warn(event, "revision", rev, "err", err) },
	}
	if cfg.Fleet.Address != "" {
		o.Addr = scheme + "://" + cfg.Fleet.Address
	}
	// Whoever had the data folder before is gone, and with it its place, for which the others would wait. What was
	// noted before the machine started may have come with a copy of the folder, whose place is another's.
	path, boot := filepath.Join(cfg.DataDir, placeFile), bootID()
	if text, err := os.ReadFile(path); err == nil {
		if id, of, _ := strings.Cut(strings.TrimSpace(string(text)), " "); of != "" && of == boot {
			o.Predecessor = id
		}
	}
	o.Joined = func(id string) {
		if err := os.WriteFile(path, []byte(id+" "+boot+"\n"), 0o600); err != nil {
			log.Warn("the place of this node in its fleet was not noted: after a crash, revocations wait until its lease is over", "err", err)
		}
	}
	m.Node = fleet.New(db.Fleet(), m.client, fleet.BootClock(), o)
	db.Follow(m.Node)
	return m, nil
}

// placeFile holds the ID of the row that a node has in its fleet, and that of the
// start of the machine.
const placeFile = "fleet.id"

// bootID returns what names the present start of this machine; "" if nothing does.
func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}

// peerClient returns what reaches other nodes, which have the same settings of TLS.
func peerClient(cfg config.TLS) (*http.Client, string, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	if !cfg.Enabled {
		return &http.Client{Transport: transport}, "http", nil
	}
	files := (&certificates{cfg: cfg}).read()
	id, err := readIdentity(cfg, files)
	if err != nil {
		return nil, "", fmt.Errorf("%s%w", sslPrefix, err)
	}
	authorities, err := readAuthorities(cfg, files)
	if err != nil {
		return nil, "", fmt.Errorf("%s%w", sslPrefix, err)
	}
	transport.TLSClientConfig = &tls.Config{MinVersion: cfg.MinVersion, Certificates: []tls.Certificate{id.certificate()}}
	if len(authorities) > 0 {
		transport.TLSClientConfig.RootCAs = x509.NewCertPool()
		for _, ca := range authorities {
			transport.TLSClientConfig.RootCAs.AddCert(ca)
		}
	}
	return &http.Client{Transport: transport}, "https", nil
}

// forgets names who forgets what other nodes end. It comes before start.
func (m *membership) forgets(rooms map[string]func(names []string)) {
	for kind, forget := range rooms {
		m.rooms = append(m.rooms, forget)
		m.apply[kind] = func(body []byte) error {
			names, err := fleet.DecodeIDs(body)
			if err == nil {
				forget(names)
			}
			return err
		}
	}
}

func (m *membership) forgetAll() {
	for _, forget := range m.rooms {
		forget(nil)
	}
}

// node is nil of a nil membership.
func (m *membership) node() *fleet.Node {
	if m == nil {
		return nil
	}
	return m.Node
}

// start takes the place and returns with a lease. stop gives it up: nobody may
// accept or change anything any more. A nil membership is of a node that has its
// store for itself.
func (m *membership) start(ctx context.Context) (stop func(), err error) {
	if m == nil {
		return func() {}, nil
	}
	quiet, silence := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- m.Run(quiet) }()
	stop = func() {
		silence()
		if err := <-ended; err != nil {
			m.log.Warn("the node stops without a word to the others", "err", err)
		}
		m.client.Close()
	}
	if err := m.ReadIndex(ctx); err != nil {
		stop()
		return nil, fmt.Errorf("join the nodes of the store: %w", err)
	}
	return stop, nil
}
