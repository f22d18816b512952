// Package pgtest runs a private PostgreSQL for tests: one for each test binary,
// in a folder of its own, without a password, on a Unix socket and a free port of
// loopback. It is there from its first use until the process ends, whatever ends it.
// A [Pair] is a primary with a standby, for one test.
//
// It is the newest that is installed, or the one whose programs lie in the folder
// that the environment variable LATCHKEY_TEST_POSTGRES names.
package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Main runs the tests of a package, and ends what they have started. It belongs
// into the TestMain of every package that uses a Server.
func Main(m *testing.M) int {
	defer func() {
		if s, err := shared(); started.Load() && err == nil {
			s.Stop()
		}
	}()
	return m.Run()
}

var (
	started atomic.Bool
	shared  = sync.OnceValues(func() (*Server, error) {
		if !started.Load() {
			return nil, errors.New("nobody has asked for it")
		}
		return Start()
	})
)

// URL returns the URL of an empty schema, for one test. Where there is no
// PostgreSQL the test is skipped, or fails if CI is true.
func URL(t testing.TB) string {
	t.Helper()
	started.Store(true)
	s, err := shared()
	needed(t, err)
	schema, err := s.schema()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Exec(t, "DROP SCHEMA "+schema+" CASCADE") })
	return s.URL(url.Values{"search_path": {schema}})
}

// needed ends a test whose server did not start.
func needed(t testing.TB, err error) {
	t.Helper()
	switch {
	case errors.Is(err, exec.ErrNotFound) && os.Getenv("CI") != "true":
		t.Skip("there is no PostgreSQL; scripts/prepare installs it")
	case err != nil:
		t.Fatalf("start PostgreSQL: %v", err)
	}
}

// Server is a running PostgreSQL.
type Server struct {
	Port int

	held     int // a socket that keeps the port for this server, also while it does not run
	dir      string
	bin      string // the folder of its programs
	as       *syscall.SysProcAttr
	settings []string // of the caller
	cmd      *exec.Cmd
	ended    chan struct{}
	output   bytes.Buffer

	schemas atomic.Int64 // that were made
}

// Start makes a cluster and starts its server, with more settings, as fsync=on, that
// take the place of those for tests. The error is exec.ErrNotFound if there is no
// PostgreSQL here. The caller stops it.
func Start(settings ...string) (*Server, error) {
	s, err := newServer()
	if err != nil {
		return nil, err
	}
	s.settings = settings
	if err = s.initialize(); err == nil {
		err = s.Run()
	}
	if err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// newServer returns a server that has no data yet.
func newServer() (*Server, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "latchkey-pg-")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, bin: bin, as: &syscall.SysProcAttr{}}
	if os.Geteuid() == 0 { // whom it refuses
		err = s.unprivileged()
	}
	if err == nil {
		s.held, s.Port, err = holdPort()
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

// holdPort returns a free port of loopback, and a socket that keeps it from
// everybody who does not ask for just this one.
func holdPort() (socket, port int, err error) {
	socket, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, 0, err
	}
	err = syscall.SetsockoptInt(socket, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1) // as the server, who so can have it too
	if err == nil {
		err = syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	var at syscall.Sockaddr
	if err == nil {
		at, err = syscall.Getsockname(socket)
	}
	if err != nil {
		return 0, 0, errors.Join(err, syscall.Close(socket))
	}
	return socket, at.(*syscall.SockaddrInet4).Port, nil
}

func (s *Server) initialize() error {
	return s.command(filepath.Join(s.bin, "initdb"), "-D", s.data(), "-U", "latchkey", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// command runs a program as the user of the server.
func (s *Server) command(name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.SysProcAttr = s.dir, s.as
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(name), err, out)
	}
	return nil
}

// programs returns the folder with the programs of the server to run.
func programs() (string, error) {
	if chosen := os.Getenv("LATCHKEY_TEST_POSTGRES"); chosen != "" {
		return chosen, nil
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path), nil
		}
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", exec.ErrNotFound
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })
	return filepath.Dir(newest), nil
}

func version(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	return n
}

// unprivileged hands the folder to a user who may run the server.
func (s *Server) unprivileged() error {
	u, err := user.Lookup("postgres")
	if err != nil {
		u, err = user.Lookup("nobody")
	}
	if err != nil {
		return err
	}
	uid, errU := strconv.Atoi(u.Uid)
	gid, errG := strconv.Atoi(u.Gid)
	if err := errors.Join(errU, errG); err != nil {
		return err
	}
	s.as.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return os.Chown(s.dir, uid, gid)
}

// Run starts the server, on its data of before if it has any, and waits until it answers.
func (s *Server) Run() error {
	args := []string{"-D", s.data(), "-k", s.dir, "-p", strconv.Itoa(s.Port), "-h", "127.0.0.1"}
	quick := []string{"fsync=off", "full_page_writes=off", "shared_buffers=32MB", "max_connections=300", "deadlock_timeout=50ms", "autovacuum=off", "wal_retrieve_retry_interval=100ms"}
	for _, setting := range append(quick, s.settings...) { // the last of each name counts
		args = append(args, "-c", setting)
	}
	s.output.Reset()
	s.cmd = exec.Command(filepath.Join(s.bin, "postgres"), args...)
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = s.dir, &s.output, &s.output
	as := *s.as
	as.Pdeathsig = syscall.SIGQUIT // ends it at once
	s.cmd.SysProcAttr = &as
	began, ended := make(chan error), make(chan struct{})
	go func() { // ends with the server; its thread is the one whose death the server notices
		runtime.LockOSThread()
		defer close(ended)
		err := s.cmd.Start()
		began <- err
		if err == nil {
			_ = s.cmd.Wait() // it is killed more often than not
		}
	}()
	if err := <-began; err != nil {
		return err
	}
	s.ended = ended
	for range 1200 {
		c, err := pgx.Connect(context.Background(), s.URL(nil))
		if err == nil {
			return c.Close(context.Background())
		}
		select {
		case <-ended:
			return fmt.Errorf("the server has ended: %s", &s.output)
		case <-time.After(50 * time.Millisecond):
		}
	}
	s.Kill()
	return errors.New("the server does not answer")
}

// Kill ends the server as a crash would, and leaves its data.
func (s *Server) Kill() {
	if s.ended == nil { // it did not even start
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGQUIT) // it may have ended
	<-s.ended
}

// Stop ends the server and removes its data.
func (s *Server) Stop() {
	s.Kill()
	_ = syscall.Close(s.held)
	_ = os.RemoveAll(s.dir) // it lies among temporary files
}

// URL returns where the server is, with more parameters.
func (s *Server) URL(more url.Values) string {
	query := url.Values{"sslmode": {"disable"}}
	for name, values := range more {
		query[name] = values
	}
	return fmt.Sprintf("postgres://latchkey@127.0.0.1:%d/postgres?%s", s.Port, strings.ReplaceAll(query.Encode(), "+", "%20"))
}

// Empty returns the URL of an empty schema.
func (s *Server) Empty() (string, error) {
	schema, err := s.schema()
	return s.URL(url.Values{"search_path": {schema}}), err
}

// schema makes an empty one and returns its name.
func (s *Server) schema() (string, error) {
	schema := fmt.Sprintf("test%d", s.schemas.Add(1))
	_, err := s.Query("CREATE SCHEMA " + schema)
	return schema, err
}

// Exec runs statements in the server, beside whatever is tested.
func (s *Server) Exec(t testing.TB, statements string) {
	t.Helper()
	c, err := pgx.Connect(context.Background(), s.URL(nil))
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.PgConn().Exec(context.Background(), statements).ReadAll()
	if err := errors.Join(err, c.Close(context.Background())); err != nil {
		t.Fatalf("%s: %v", statements, err)
	}
}

// Query returns the only value of a query, as text; "" of a statement without one.
func (s *Server) Query(query string) (string, error) {
	c, err := pgx.Connect(context.Background(), s.URL(nil))
	if err != nil {
		return "", err
	}
	results, err := c.PgConn().Exec(context.Background(), query).ReadAll()
	if err := errors.Join(err, c.Close(context.Background())); err != nil {
		return "", err
	}
	if len(results[0].Rows) == 0 {
		return "", nil
	}
	return string(results[0].Rows[0][0]), nil
}
