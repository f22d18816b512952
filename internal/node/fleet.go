package node

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"latchkey/internal/config"
	"latchkey/internal/fleet"
	"latchkey/internal/fleet/peer"
	"latchkey/internal/httpapi"
	"latchkey/internal/sqlstore"
)

// membership is the place of a node among those that share its store.
type membership struct {
	*fleet.Node
	client *peer.Client
	apply  map[string]func([]byte) error
	rooms  []func(names []string) // what forgets, of each room
	times  httpapi.BarrierTimes
	log    *slog.Logger
}

const (
	clockDrift = .01         // by how much the clocks of nodes may go fast or slow
	clockPause = time.Second // for how long one may stand still, as while a machine is moved
)

// newMembership returns the place of a node that holds its data folder. It counts
// once [membership.start] has returned.
func newMembership(cfg *config.Config, db *sqlstore.DB, log *slog.Logger) (*membership, error) {
	scheme, trust := "http", (*followed[*tls.Config])(nil)
	if cfg.TLS.Enabled {
		var err error
		scheme = "https"
		if trust, err = peerTLS(cfg.TLS, log); err != nil {
			return nil, err
		}
	}
	m := &membership{client: peer.NewClient(cfg.Fleet.Secret, peerClient(trust)), apply: map[string]func([]byte) error{}, times: httpapi.NewBarrierTimes(), log: log}
	o := fleet.Options{
		Name: cfg.NodeName, Length: cfg.Fleet.Lease, Drift: clockDrift, Pause: clockPause, Grace: cfg.Fleet.Grace,
		NewID: newUUID, Apply: m.apply, Flush: m.forgetAll, Settled: m.times.Settled,
		Report: func(event string, rev int64, err error) {
			if err == nil {
				log.Info(event, "revision", rev)
				return
			}
			log.Warn(event, "revision", rev, "err", err)
		},
	}
	if cfg.Fleet.Address != "" {
		o.Addr = scheme + "://" + cfg.Fleet.Address
	}
	// Whoever had the data folder before is gone, and with it its place, for which the others would wait.
	o.Predecessor = lastPlace(cfg.DataDir)
	o.Joined = func(id string) {
		if err := notePlace(cfg.DataDir, id); err != nil {
			log.Warn("the place of this node in its fleet was not noted: after a crash, revocations wait until its lease is over", "err", err)
		}
	}
	m.Node = fleet.New(db.Fleet(), m.client, fleet.BootClock(), o)
	db.Follow(m.Node)
	return m, nil
}

// placeFile holds the ID of the row that a node has in its fleet, and where it was
// noted. Noted elsewhere, it has come with a copy of the folder: the place is that of
// another node, which may be alive.
const placeFile = "fleet.id"

func notePlace(dir, id string) error {
	return os.WriteFile(filepath.Join(dir, placeFile), []byte(id+" "+whereabouts(dir)+"\n"), 0o600)
}

// lastPlace returns the ID that was noted in this folder; "" if none was.
func lastPlace(dir string) string {
	text, err := os.ReadFile(filepath.Join(dir, placeFile))
	if err != nil {
		return ""
	}
	id, at, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	if at == "" || at != whereabouts(dir) {
		return ""
	}
	return id
}

// whereabouts tells a folder from its copies, on other machines and on this one, for
// as long as this machine runs; "" if nothing does.
func whereabouts(dir string) string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	info, err := os.Stat(dir)
	if err != nil {
		return ""
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%s %d %d", strings.TrimSpace(string(boot)), s.Dev, s.Ino)
}

// peerTLS returns how other nodes are spoken to, which have the same settings of
// TLS: with this node's certificate, and in the trust of those who sign them.
func peerTLS(cfg config.TLS, log *slog.Logger) (*followed[*tls.Config], error) {
	return follow(cfg, sslPrefix, log, func(cfg config.TLS, files tlsFiles) (*tls.Config, error) { return clientTLS(cfg, files, "full") })
}

// peerClient returns what reaches other nodes. Each new connection goes by the
// newest files; without trust it is plain.
func peerClient(trust *followed[*tls.Config]) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	if trust != nil {
		transport.DialTLSContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			return (&tls.Dialer{Config: trust.get()}).DialContext(ctx, network, address)
		}
	}
	return &http.Client{Transport: transport}
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

// waits is none of a nil membership.
func (m *membership) waits() httpapi.BarrierTimes {
	if m == nil {
		return httpapi.BarrierTimes{}
	}
	return m.times
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
