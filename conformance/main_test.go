package conformance

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// password is what every server of these tests takes from elastic.
const password = "conformance-password"

func TestMain(m *testing.M) {
	status, err := runAll(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

func runAll(m *testing.M) (status int, err error) {
	if os.Getenv("LATCHKEY_BINARY") == "" {
		return 1, errors.New("LATCHKEY_BINARY is not set: start these tests with conformance/run")
	}
	base, err := startPostgres()
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, base.stop()) }()
	engines = []*engine{
		{name: "SQLite", store: func() ([]string, error) { return nil, nil }},
		{name: "PostgreSQL", store: base.store},
	}
	for _, e := range engines {
		if e.shared, err = e.start(); err != nil {
			return 1, err
		}
		defer func() { err = errors.Join(err, e.shared.stop()) }()
	}
	return m.Run(), nil
}

// server is a running binary on a data folder of its own.
type server struct {
	url    string // http://127.0.0.1:PORT
	folder string
	cmd    *exec.Cmd
	log    bytes.Buffer // complete once the process has ended
}

// listening finds the address in what serve prints. The port was 0.
var listening = regexp.MustCompile(`https?://[^\s/]+:\d+`)

// start runs the binary of LATCHKEY_BINARY on an empty store with the given
// settings, and returns when it listens.
func (e *engine) start(settings ...string) (*server, error) {
	store, err := e.store()
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "latchkey-conformance-")
	if err != nil {
		return nil, err
	}
	s := &server{folder: folder}
	args := []string{"serve"}
	for _, setting := range slices.Concat([]string{"path.data=" + folder, "http.host=127.0.0.1", "http.port=0"}, store, settings) {
		args = append(args, "-E", setting)
	}
	s.cmd = exec.Command(os.Getenv("LATCHKEY_BINARY"), args...)
	s.cmd.Env = []string{"ELASTIC_PASSWORD=" + password}
	s.cmd.Stderr = &s.log
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	slow := time.AfterFunc(time.Minute, func() { s.cmd.Process.Kill() })
	defer slow.Stop()
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if s.url = listening.FindString(lines.Text()); s.url != "" {
			go io.Copy(io.Discard, out) // ends with the process
			return s, nil
		}
	}
	err = s.cmd.Wait()
	return nil, fmt.Errorf("latchkey did not start: %v\n%s", err, &s.log)
}

// stop ends the server as an operator does, and tells what went wrong in its life.
func (s *server) stop() error {
	defer os.RemoveAll(s.folder)
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	err := s.cmd.Wait()
	if err != nil || strings.Contains(s.log.String(), "level=ERROR") {
		return fmt.Errorf("latchkey ended with %v; its log:\n%s", err, &s.log)
	}
	return nil
}

// startFor starts a server on the engine of a test, for its length.
func startFor(t *testing.T, settings ...string) *server {
	t.Helper()
	s, err := engineOf(t).start(settings...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// unique returns a name that no other test uses.
func unique(prefix string) string {
	return prefix + "-" + strings.ToLower(rand.Text()[:10])
}
