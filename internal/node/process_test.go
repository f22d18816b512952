package node_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"latchkey/internal/sqlstore/pgtest"
)

// These tests run the binary that people run: its files, signals and exit
// statuses are part of what is promised.

var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "latchkey-binary-")
	if err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // another user runs it, too
		return "", err
	}
	built = dir
	path := filepath.Join(dir, "latchkey")
	if out, err := exec.Command("go", "build", "-o", path, "latchkey/cmd/latchkey").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

var built string // the folder of the binary, if it was built

func TestMain(m *testing.M) {
	code := pgtest.Main(m)
	if built != "" {
		if err := os.RemoveAll(built); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	os.Exit(code)
}

// command is latchkey with the given environment and arguments, in a folder
// without a configuration.
func command(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatalf("build latchkey: %v", err)
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = os.TempDir()
	cmd.Env = append([]string{ // the command line wins over these
		"LATCHKEY_PATH_CONF=" + t.TempDir(),
		"ES_SETTING_HTTP_PORT=0",
		"ES_SETTING_XPACK_SECURITY_AUTHC_PASSWORD__HASHING_ALGORITHM=bcrypt4",
	}, env...)
	return cmd
}

// result is what a command that ended left behind.
type result struct {
	code     int // -1: a signal ended it
	out, err string
}

func run(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		if _, ok := errors.AsType[*exec.ExitError](err); !ok {
			t.Fatal(err)
		}
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), complaints.String()}
}

// refuses runs serve, which must end by itself with status 1 and a message that
// holds every text of want.
func refuses(t *testing.T, cmd *exec.Cmd, want ...string) {
	t.Helper()
	timer := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	r := run(t, cmd)
	if r.code != 1 {
		t.Errorf("it ended with %d, want 1\n%s%s", r.code, r.out, r.err)
	}
	last := r.err[strings.LastIndex("\n"+strings.TrimSuffix(r.err, "\n"), "\n"):]
	for _, text := range want {
		if !strings.Contains(last, text) {
			t.Errorf("its last line is %q, want it to say %q", last, text)
		}
	}
}

// watched collects output and lets a test wait for a text in it.
type watched struct {
	mu   sync.Mutex // guards what follows
	text []byte
	more chan struct{} // closed at the next write
	over bool          // nothing follows
}

func newWatched() *watched { return &watched{more: make(chan struct{})} }

func (w *watched) add(p []byte, over bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text, w.over = append(w.text, p...), over
	close(w.more)
	w.more = make(chan struct{})
}

// Write implements io.Writer.
func (w *watched) Write(p []byte) (int, error) {
	w.add(p, false)
	return len(p), nil
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.text)
}

// find waits for a match of pattern and returns it with its groups; nil if the
// output ends without one, or does not show it for half a minute.
func (w *watched) find(pattern string) []string {
	re := regexp.MustCompile(pattern)
	late := time.After(30 * time.Second)
	for {
		w.mu.Lock()
		found, over, more := re.FindStringSubmatch(string(w.text)), w.over, w.more
		w.mu.Unlock()
		if found != nil || over {
			return found
		}
		select {
		case <-more:
		case <-late:
			return nil
		}
	}
}

// process is a running node.
type process struct {
	cmd      *exec.Cmd
	url      string
	out, err *watched
	client   *http.Client
	ended    chan struct{} // closed when the process has ended
}

// elastic is the credential of the built-in user in tests that set its password.
const (
	password = "correct horse"
	elastic  = "elastic:" + password
)

// serveArgs serves the data folder dir, on a port that the system chooses unless more says which.
func serveArgs(dir string, more ...string) []string {
	return append([]string{"serve", "-E", "path.data=" + dir}, more...)
}

// start starts a node and waits until it listens.
func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, out: newWatched(), err: newWatched(), ended: make(chan struct{}),
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}}}
	cmd.Stdout, cmd.Stderr = p.out, p.err
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = cmd.Wait() // tests look at its state
		p.out.add(nil, true)
		p.err.add(nil, true)
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended long ago
		<-p.ended
		p.client.CloseIdleConnections()
	})
	listening := p.out.find(`Listening on (https?://[^ ]+)\. Try`)
	if listening == nil {
		t.Fatalf("the node did not start:\n%s%s", p.out, p.err)
	}
	p.url = listening[1]
	return p
}

// node starts a node on dir whose elastic has the usual password.
func node(t *testing.T, dir string, more ...string) *process {
	t.Helper()
	return start(t, command(t, []string{"ELASTIC_PASSWORD=" + password}, serveArgs(dir, more...)...))
}

// kill ends the process with no chance to tidy up.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.ended
}

// stop sends a signal and returns the exit status.
func (p *process) stop(t *testing.T, s os.Signal) int {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Errorf("send %v: %v", s, err)
	}
	<-p.ended
	return p.cmd.ProcessState.ExitCode()
}

// stops sends SIGINT and checks that the node ends as it should.
func (p *process) stops(t *testing.T) {
	t.Helper()
	if code := p.stop(t, syscall.SIGINT); code != 0 {
		t.Errorf("the node ended with %d, want 0:\n%s", code, p.err)
	}
}

// call makes a request and decodes the answer into answer, unless that is nil.
// The credential is user:password, "Bearer " and a token, or an encoded API key.
func (p *process) call(method, path, credential, body string, answer any) (status int, err error) {
	req, err := http.NewRequest(method, p.url+path, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	if user, pass, ok := strings.Cut(credential, ":"); ok {
		req.SetBasicAuth(user, pass)
	} else if strings.HasPrefix(credential, "Bearer ") {
		req.Header.Set("Authorization", credential)
	} else {
		req.Header.Set("Authorization", "ApiKey "+credential)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && answer != nil && resp.StatusCode == http.StatusOK {
		err = json.Unmarshal(text, answer)
	}
	return resp.StatusCode, err
}

// want makes a request and checks its status.
func (p *process) want(t *testing.T, status int, method, path, credential, body string, answer any) {
	t.Helper()
	got, err := p.call(method, path, credential, body, answer)
	if err != nil || got != status {
		t.Errorf("%s %s: got %d (%v), want %d", method, path, got, err, status)
	}
}

// wantLogin checks what the node says to a credential.
func (p *process) wantLogin(t *testing.T, status int, credential string) {
	t.Helper()
	p.want(t, status, "GET", "/_security/_authenticate", credential, "", nil)
}

type createdKey struct{ ID, Name, Encoded string }

// key makes an API key that its owner's rights bound.
func (p *process) key(t *testing.T, credential, name string) createdKey {
	t.Helper()
	var k createdKey
	p.want(t, http.StatusOK, "POST", "/_security/api_key", credential, `{"name":"`+name+`"}`, &k)
	return k
}

// dataFolder returns a path at which nothing is yet, short enough for a socket below it.
func dataFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "latchkey-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return filepath.Join(dir, "data")
}
