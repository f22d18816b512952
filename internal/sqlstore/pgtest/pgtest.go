// Package pgtest runs a private PostgreSQL for tests: one for each test binary,
// in a folder of its own, without a password, on a Unix socket and a free port of
// loopback. It is there from its first use until the process ends, whatever ends it.
package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
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
	switch {
	case errors.Is(err, exec.ErrNotFound) && os.Getenv("CI") != "true":
		t.Skip("there is no PostgreSQL; scripts/prepare installs it")
	case err != nil:
		t.Fatalf("start PostgreSQL: %v", err)
	}
	schema := fmt.Sprintf("test%d", schemas.Add(1))
	s.Exec(t, "CREATE SCHEMA "+schema)
	t.Cleanup(func() { s.Exec(t, "DROP SCHEMA "+schema+" CASCADE") })
	return s.URL(url.Values{"search_path": {schema}})
}

var schemas atomic.Int64

// Server is a running PostgreSQL.
type Server struct {
	Port int

	dir      string
	bin      string // the folder of its programs
	as       *syscall.SysProcAttr
	settings []string // of the caller
	cmd      *exec.Cmd
	ended    chan struct{}
	output   bytes.Buffer
}

// Start makes a cluster and starts its server, with more settings, as fsync=on, that
// come before those for tests. The error is exec.ErrNotFound if there is no PostgreSQL
// here. The caller stops it.
func Start(settings ...string) (_ *Server, err error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "latchkey-pg-")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, bin: bin, as: &syscall.SysProcAttr{}, settings: settings}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	if os.Geteuid() == 0 { // whom it refuses
		if err := s.unprivileged(); err != nil {
			return nil, err
		}
	}
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", filepath.Join(dir, "data"), "-U", "latchkey", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	initdb.Dir, initdb.SysProcAttr = dir, s.as
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.Port = l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		return nil, err
	}
	return s, s.Run()
}

// programs returns the newest folder with the programs of a server.
func programs() (string, error) {
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
	args := []string{"-D", filepath.Join(s.dir, "data"), "-k", s.dir, "-p", strconv.Itoa(s.Port), "-h", "127.0.0.1"}
	quick := []string{"fsync=off", "full_page_writes=off", "shared_buffers=32MB", "max_connections=300", "deadlock_timeout=50ms", "autovacuum=off"}
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
	for range 600 {
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
	_ = s.cmd.Process.Signal(syscall.SIGQUIT) // it may have ended
	<-s.ended
}

// Stop ends the server and removes its data.
func (s *Server) Stop() {
	s.Kill()
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

// Query returns the only value of a query, as text.
func (s *Server) Query(query string) (string, error) {
	c, err := pgx.Connect(context.Background(), s.URL(nil))
	if err != nil {
		return "", err
	}
	results, err := c.PgConn().Exec(context.Background(), query).ReadAll()
	if err := errors.Join(err, c.Close(context.Background())); err != nil {
		return "", err
	}
	return string(results[0].Rows[0][0]), nil
}
