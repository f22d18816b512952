package chaos

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"latchkey/internal/sqlstore/pgtest"
)

const (
	fleetSize = 3
	lease     = time.Second     // the shortest
	patience  = 2 * time.Second // about how long a revocation waits for a node that is lost
	password  = "correct horse"

	startTimeout = 2 * time.Minute // of a node, on a machine that has other work
)

// cluster is three nodes, their store, and the links between all of them.
type cluster struct {
	store *pgtest.Pair
	nodes [fleetSize]*node
}

// node is one that may be down now, and its links.
type node struct {
	cluster *cluster
	number  int
	data    string          // its folder
	store   link            // to the store
	peers   [fleetSize]link // from each of the others
	args    []string
	client  *http.Client

	mu      sync.Mutex     // guards what follows
	process *process       // nil while there is none
	server  *pgtest.Server // where the link to the store leads
}

// process is a node that runs.
type process struct {
	cmd   *exec.Cmd
	host  string // where it listens
	ended chan struct{}
	log   tail
}

// startCluster starts all. Everything ends with the test, or with its process.
func startCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{store: pgtest.StartPair(t, true)}
	for i := range c.nodes {
		n := &node{cluster: c, number: i, data: filepath.Join(t.TempDir(), "data"), server: c.store.Primary}
		n.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32, IdleConnTimeout: time.Second}}
		c.nodes[i] = n
		toStore := enter(t, func(net.Conn) (*link, string) { return &n.store, n.database() })
		toNode := enter(t, func(from net.Conn) (*link, string) {
			if p := c.dialler(from); p != nil {
				return &n.peers[p.number], n.host()
			}
			return nil, "" // it has ended since
		})
		n.args = []string{
			"serve", "-E", "path.data=" + n.data, "-E", "node.name=node" + strconv.Itoa(i),
			"-E", "latchkey.store.url=postgres://latchkey@" + toStore.address() + "/postgres?sslmode=disable",
			"-E", "latchkey.fleet.address=" + toNode.address(), "-E", "latchkey.fleet.secret=a secret that all nodes of a fleet share",
			"-E", "latchkey.fleet.lease=" + lease.String(),
		}
	}
	t.Cleanup(func() {
		for _, n := range c.nodes {
			n.kill()
			n.client.CloseIdleConnections()
		}
	})
	sound, _ := build(t)
	for _, n := range c.nodes {
		if err := n.start(sound); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// database is where the node's link to the store leads.
func (n *node) database() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(n.server.Port))
}

// move has the node's link lead to another server.
func (n *node) move(to *pgtest.Server) {
	n.mu.Lock()
	n.server = to
	n.mu.Unlock()
	n.store.reset()
}

// host is where the node listens; "" if it does not.
func (n *node) host() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.process == nil {
		return ""
	}
	return n.process.host
}

var listening = regexp.MustCompile(`Listening on http://([^ ]+)\. Try`)

// start starts the node, which must be down, and waits until it listens.
func (n *node) start(binary string, environment ...string) error {
	cmd := exec.Command(binary, n.args...)
	cmd.Dir = os.TempDir()
	cmd.Env = append([]string{
		"LATCHKEY_PATH_CONF=" + filepath.Dir(n.data), "ELASTIC_PASSWORD=" + password, "ES_SETTING_HTTP_PORT=0",
		"ES_SETTING_XPACK_SECURITY_AUTHC_PASSWORD__HASHING_ALGORITHM=bcrypt4",
	}, environment...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, in, err := os.Pipe()
	if err != nil {
		return err
	}
	p := &process{cmd: cmd, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = in, in
	began := make(chan error)
	go func() { // ends with the process; its thread is the one whose death the process notices
		runtime.LockOSThread()
		defer close(p.ended)
		err := cmd.Start()
		began <- err
		if err == nil {
			_ = cmd.Wait() // it is killed more often than not
		}
	}()
	err = errors.Join(<-began, in.Close())
	if err != nil {
		return errors.Join(err, out.Close())
	}
	host := make(chan string, 1)
	go func() { // ends with the process
		defer out.Close()
		for lines := bufio.NewReader(out); ; {
			line, err := lines.ReadString('\n')
			p.log.add(line)
			if found := listening.FindStringSubmatch(line); found != nil {
				host <- found[1]
			}
			if err != nil {
				return
			}
		}
	}()
	select {
	case p.host = <-host:
	case <-p.ended:
		return fmt.Errorf("node %d did not start: %s", n.number, &p.log)
	case <-time.After(startTimeout):
		_ = cmd.Process.Kill() // it may end just now
		return fmt.Errorf("node %d does not listen: %s", n.number, &p.log)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.process = p
	return nil
}

// signal sends a signal to the process, if there is one, and returns it.
func (n *node) signal(s syscall.Signal) *process {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.process != nil {
		_ = n.process.cmd.Process.Signal(s) // it may end just now
	}
	return n.process
}

// kill ends the process without a chance to tidy up.
func (n *node) kill() { n.end(syscall.SIGKILL) }

// stop ends the process in order.
func (n *node) stop() { n.end(syscall.SIGTERM) }

func (n *node) end(s syscall.Signal) {
	p := n.signal(s)
	if p == nil {
		return
	}
	<-p.ended
	n.mu.Lock()
	n.process = nil
	n.mu.Unlock()
	for i := range n.peers {
		n.peers[i].reset()
	}
	n.client.CloseIdleConnections()
}

// dialler is the node that has made a connection to here, or nil. It is the one
// whose process holds the other end.
func (c *cluster) dialler(conn net.Conn) *node {
	socket, err := socketOf(conn.RemoteAddr().(*net.TCPAddr), conn.LocalAddr().(*net.TCPAddr))
	if err != nil {
		return nil
	}
	for _, n := range c.nodes {
		p := n.signal(0)
		if p == nil {
			continue
		}
		files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p.cmd.Process.Pid))
		if err != nil {
			return nil
		}
		for _, f := range files {
			if to, err := os.Readlink(f); err == nil && to == socket {
				return n
			}
		}
	}
	return nil
}

// socketOf names the socket of a connection on this machine, as links to it do.
func socketOf(local, remote *net.TCPAddr) (string, error) {
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return "", err
	}
	hex := func(a *net.TCPAddr) string {
		ip := a.IP.To4()
		return fmt.Sprintf("%02X%02X%02X%02X:%04X", ip[3], ip[2], ip[1], ip[0], a.Port)
	}
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); len(f) > 9 && f[1] == hex(local) && f[2] == hex(remote) {
			return "socket:[" + f[9] + "]", nil
		}
	}
	return "", errors.New("the connection is gone")
}

// call makes a request to the node. Without an answer the status is 0.
func (n *node) call(ctx context.Context, r request) (status int, body []byte, err error) {
	host := n.host()
	if host == "" {
		return 0, nil, errors.New("it is down")
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, r.method, "http://"+host+r.path, strings.NewReader(r.body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", r.by)
	if r.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.strict {
		req.Header.Set("X-Latchkey-Consistency", "strict")
	}
	resp, err := n.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil, err
	}
	return resp.StatusCode, body, nil
}

// request is one that a client makes, with the Authorization header by.
type request struct {
	method, path, by, body string
	strict                 bool
	timeout                time.Duration
}

const maxTail = 64 << 10 // bytes

// tail is the end of an output.
type tail struct {
	mu   sync.Mutex // guards text
	text string
}

func (l *tail) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text += line
	if len(l.text) > 2*maxTail {
		l.text = l.text[len(l.text)-maxTail:]
	}
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text
}
