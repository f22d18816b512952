package node_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// wantMode checks the permissions of a file.
func wantMode(t *testing.T, path string, want fs.FileMode) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Error(err)
		return
	}
	if got := info.Mode().Perm(); got != want {
		t.Errorf("%s has mode %#o, want %#o", path, got, want)
	}
}

// contents is every regular file of a folder, by name.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			all[e.Name()] = e.Type().String()
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(b)
	}
	return all
}

// wantSame checks that a folder holds what it held before.
func wantSame(t *testing.T, dir string, before map[string]string) {
	t.Helper()
	after := contents(t, dir)
	for name, content := range before {
		if got, ok := after[name]; !ok || got != content {
			t.Errorf("%s was changed or is gone", name)
		}
	}
	for name := range after {
		if _, ok := before[name]; !ok {
			t.Errorf("%s was made", name)
		}
	}
}

func TestTheDataFolderIsForItsOwnerAlone(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	dir := filepath.Join(dataFolder(t), "deeper")
	p := node(t, dir)
	wantMode(t, filepath.Dir(dir), 0o700)
	wantMode(t, dir, 0o700)
	for _, name := range []string{"latchkey.db", "latchkey.db-wal", "latchkey.db-shm", "node.lock", "control.sock"} {
		wantMode(t, filepath.Join(dir, name), 0o600)
	}
	p.stops(t)
	for name := range contents(t, dir) {
		if name != "latchkey.db" && name != "node.lock" {
			t.Errorf("after a clean stop there is still %s", name)
		}
	}
}

func TestModesThatAreTooWide(t *testing.T) {
	dir := dataFolder(t)
	p := node(t, dir)
	if strings.Contains(p.err.String(), "WARN") {
		t.Errorf("a folder that latchkey made is warned of:\n%s", p.err)
	}
	p.kill() // which leaves the files beside the store
	widen := func() {
		t.Helper()
		for name, mode := range map[string]fs.FileMode{"": 0o750, "latchkey.db": 0o644, "latchkey.db-wal": 0o664, "latchkey.db-shm": 0o600} {
			if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	wantWarned := func(log string) {
		t.Helper()
		for _, want := range []string{
			"its mode is 0600 now\" file=" + dir + "/latchkey.db was=0644\n", "its mode is 0600 now\" file=" + dir + "/latchkey.db-wal was=0664\n",
			"run chmod 700 on it\" folder=" + dir + " mode=0750\n",
		} {
			if !strings.Contains(log, want) {
				t.Errorf("the log lacks %q:\n%s", want, log)
			}
		}
		if strings.Contains(log, "-shm") {
			t.Errorf("a file that others could not use is warned of:\n%s", log)
		}
		wantMode(t, filepath.Join(dir, "latchkey.db"), 0o600)
		wantMode(t, dir, 0o750)
	}
	widen()
	p = node(t, dir)
	wantMode(t, filepath.Join(dir, "latchkey.db-wal"), 0o600)
	wantWarned(p.err.String())
	p.kill()
	widen()
	wantWarned(run(t, command(t, nil, resetArgs(dir)...)).err)
}

func TestASecondProcessOnTheSameFolder(t *testing.T) {
	dir := dataFolder(t)
	p := node(t, dir)
	k := p.key(t, elastic, "mine")
	before := contents(t, dir)
	refuses(t, command(t, []string{"ELASTIC_PASSWORD=other"}, serveArgs(dir)...), "["+dir+"]", "another process uses it", "path.data")
	wantSame(t, dir, before)
	p.wantLogin(t, http.StatusOK, k.Encoded)
	p.wantLogin(t, http.StatusOK, elastic)
	reset := run(t, command(t, nil, resetArgs(dir)...)) // through the socket, which must still be the first one's
	p.wantLogin(t, http.StatusOK, "elastic:"+strings.TrimSpace(reset.out))

	p.kill() // the lock ends with the process that holds it
	p = node(t, dir)
	p.wantLogin(t, http.StatusOK, k.Encoded)
	p.stops(t)
}

func TestASignalLetsRequestsUnderWayEnd(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			dir := dataFolder(t)
			p := node(t, dir)
			conn, body := underWay(t, p)
			if err := p.cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			if p.err.find("stopping: waiting for requests under way") == nil {
				t.Fatalf("it does not say that it waits:\n%s", p.err)
			}
			if _, err := io.WriteString(conn, body); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Fatalf("the request under way got %v (%v), want 200", resp, err)
			}
			<-p.ended
			if code := p.cmd.ProcessState.ExitCode(); code != 0 {
				t.Errorf("the node ended with %d, want 0:\n%s", code, p.err)
			}
			if c, err := net.Dial("tcp", conn.RemoteAddr().String()); err == nil {
				c.Close()
				t.Error("somebody still listens")
			}
			p = node(t, dir)
			var list struct {
				Keys []storedKey `json:"api_keys"`
			}
			p.want(t, http.StatusOK, "GET", "/_security/api_key?name=under-way", elastic, "", &list)
			if len(list.Keys) != 1 {
				t.Errorf("the key of the request under way is there %d times, want once", len(list.Keys))
			}
			p.stops(t)
		})
	}
}

// underWay begins a request that makes a key and returns once the node waits
// for its body.
func underWay(t *testing.T, p *process) (conn net.Conn, body string) {
	t.Helper()
	u, err := url.Parse(p.url)
	if err != nil {
		t.Fatal(err)
	}
	if conn, err = net.Dial("tcp", u.Host); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	body = `{"name":"under-way"}`
	req, err := http.NewRequest("POST", p.url+"/_security/api_key", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("elastic", password)
	fmt.Fprintf(conn, "POST /_security/api_key HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n",
		u.Host, req.Header.Get("Authorization"), len(body))
	want := "HTTP/1.1 100 Continue\r\n\r\n"
	got := make([]byte, len(want))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != want {
		t.Fatalf("got %q (%v), want %q", got, err, want)
	}
	return conn, body
}

func TestASecondSignalEndsTheNodeAtOnce(t *testing.T) {
	p := node(t, dataFolder(t))
	underWay(t, p)
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.err.find("stopping: waiting for requests under way")
	for again := time.NewTicker(20 * time.Millisecond); ; { // one may be merged with the first
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
		select {
		case <-again.C:
			continue
		case <-p.ended:
		}
		break
	}
	if status := p.cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGTERM {
		t.Errorf("got the status %v, want the end by SIGTERM", status)
	}
}

func TestARequestThatDoesNotEndIsCutOff(t *testing.T) {
	p := node(t, dataFolder(t), "-E", "latchkey.shutdown.timeout=100ms")
	conn, _ := underWay(t, p)
	p.stops(t)
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("the request that did not end got an answer")
	}
	if !strings.Contains(p.err.String(), "did not end in time") {
		t.Errorf("the log does not tell:\n%s", p.err)
	}
}

func resetArgs(dir string) []string {
	return []string{"reset-password", "-u", "elastic", "-s", "-E", "path.data=" + dir}
}

func TestResetPassword(t *testing.T) {
	dir := dataFolder(t)
	long := filepath.Join(filepath.Dir(dir), strings.Repeat("long/", 30)+"data") // no socket fits below it
	reset := func(t *testing.T, dir string) string {
		t.Helper()
		r := run(t, command(t, nil, resetArgs(dir)...))
		if r.code != 0 || len(r.out) < 16 {
			t.Fatalf("reset-password ended with %d:\n%s%s", r.code, r.out, r.err)
		}
		return "elastic:" + strings.TrimSpace(r.out)
	}
	t.Run("before the first start there is nothing to set", func(t *testing.T) {
		r := run(t, command(t, nil, resetArgs(dir)...))
		if r.code != 1 || r.out != "" || !strings.Contains(r.err, "there is no store in ["+dir+"] yet") {
			t.Errorf("got %d, %q, %q", r.code, r.out, r.err)
		}
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the data folder was made: %v", err)
		}
	})
	t.Run("on a running node the new password counts at once, and the old one no longer", func(t *testing.T) {
		p := node(t, dir)
		p.wantLogin(t, http.StatusOK, elastic) // warms the cache
		first := reset(t, dir)
		p.wantLogin(t, http.StatusUnauthorized, elastic)
		p.wantLogin(t, http.StatusOK, first)
		second := reset(t, dir)
		p.wantLogin(t, http.StatusUnauthorized, first)
		p.wantLogin(t, http.StatusOK, second)
		p.kill()
		p = node(t, dir) // ELASTIC_PASSWORD counts until a password was set
		p.wantLogin(t, http.StatusOK, second)
		p.wantLogin(t, http.StatusUnauthorized, elastic)
		p.stops(t)
	})
	t.Run("on a stopped node", func(t *testing.T) {
		was := reset(t, dir)
		p := node(t, dir)
		p.wantLogin(t, http.StatusOK, was)
		p.stops(t)
	})
	t.Run("on a node that was killed and left its socket", func(t *testing.T) {
		p := node(t, dir)
		p.kill()
		was := reset(t, dir)
		p = node(t, dir)
		p.wantLogin(t, http.StatusOK, was)
		p.stops(t)
	})
	t.Run("one that the operator types", func(t *testing.T) {
		p := node(t, dir)
		cmd := command(t, nil, append(resetArgs(dir), "-i")...)
		cmd.Stdin = strings.NewReader("typed by hand\n")
		if r := run(t, cmd); r.code != 0 || r.out != "" {
			t.Errorf("got %d, %q, %q", r.code, r.out, r.err)
		}
		p.wantLogin(t, http.StatusOK, "elastic:typed by hand")
		p.stops(t)
	})
	t.Run("of nobody", func(t *testing.T) {
		cmd := func() []string { return append(resetArgs(dir), "-u", "nobody") }
		stopped := run(t, command(t, nil, cmd()...))
		p := node(t, dir)
		running := run(t, command(t, nil, cmd()...))
		p.stops(t)
		for _, r := range []result{stopped, running} {
			if r.code != 1 || r.out != "" || !strings.Contains(r.err, "user [nobody] not found") {
				t.Errorf("got %d, %q, %q", r.code, r.out, r.err)
			}
		}
	})
	t.Run("in a folder whose path is too long for a socket", func(t *testing.T) {
		p := node(t, long)
		if r := run(t, command(t, nil, resetArgs(long)...)); r.code != 1 || !strings.Contains(r.err, "["+long+"]") || !strings.Contains(r.err, "its socket ["+long+"/control.sock] is not available; its log says why") {
			t.Errorf("while it runs: got %d, %q, %q", r.code, r.out, r.err)
		}
		p.wantLogin(t, http.StatusOK, elastic)
		p.stops(t)
		was := reset(t, long)
		p = node(t, long)
		p.wantLogin(t, http.StatusOK, was)
		p.stops(t)
	})
}

// madePassword is the password of elastic that a first start has printed.
func madePassword(t *testing.T, p *process) string {
	t.Helper()
	shown := p.out.find(`password of elastic[^:]*shown this once:\s+(?:export ELASTIC_PASSWORD=)?(\S+)\n`)
	if shown == nil {
		t.Fatalf("no password of elastic was shown:\n%s", p.out)
	}
	return shown[1]
}

func TestThePasswordOfElastic(t *testing.T) {
	t.Run("is made and printed once if none is given", func(t *testing.T) {
		dir := dataFolder(t)
		p := start(t, command(t, nil, serveArgs(dir)...))
		shown := madePassword(t, p)
		made := "elastic:" + shown
		p.wantLogin(t, http.StatusOK, made)
		p.wantLogin(t, http.StatusUnauthorized, elastic)
		p.stops(t)
		for name, content := range contents(t, dir) {
			if strings.Contains(content, shown) {
				t.Errorf("%s holds the password in clear", name)
			}
		}
		if strings.Contains(p.err.String(), shown) {
			t.Error("the log holds the password")
		}

		p = start(t, command(t, nil, serveArgs(dir)...))
		p.wantLogin(t, http.StatusOK, made)
		p.stops(t)
		if strings.Contains(p.out.String(), "password of elastic") {
			t.Errorf("it was shown again, or another was made:\n%s", p.out)
		}
		p = node(t, dir)
		p.wantLogin(t, http.StatusOK, elastic)
		p.wantLogin(t, http.StatusUnauthorized, made)
		p.stops(t)

		// Whoever has given a password does not expect the first one back.
		p = start(t, command(t, nil, serveArgs(dir)...))
		again := madePassword(t, p)
		if again == shown {
			t.Error("the password of the first start came back")
		}
		p.wantLogin(t, http.StatusOK, "elastic:"+again)
		p.wantLogin(t, http.StatusUnauthorized, made)
		p.wantLogin(t, http.StatusUnauthorized, elastic)
		p.stops(t)
	})
	t.Run("is what ELASTIC_PASSWORD says until one is set", func(t *testing.T) {
		dir := dataFolder(t)
		p := node(t, dir)
		if strings.Contains(p.out.String(), "password of elastic") || strings.Contains(p.out.String()+p.err.String(), password) {
			t.Errorf("a password that the operator knows was printed:\n%s%s", p.out, p.err)
		}
		p.stops(t)
		other := func() *process {
			return start(t, command(t, []string{"ELASTIC_PASSWORD=other one"}, serveArgs(dir)...))
		}
		p = other()
		p.wantLogin(t, http.StatusOK, "elastic:other one")
		p.wantLogin(t, http.StatusUnauthorized, elastic)
		p.want(t, http.StatusOK, "POST", "/_security/user/elastic/_password", "elastic:other one", `{"password":"set by hand"}`, nil)
		p.wantLogin(t, http.StatusUnauthorized, "elastic:other one")
		p.stops(t)
		for _, tt := range []struct {
			env    []string
			warned int // times
		}{{[]string{"ELASTIC_PASSWORD=other one"}, 1}, {[]string{"ELASTIC_PASSWORD=set by hand"}, 0}, {nil, 0}} {
			p = start(t, command(t, tt.env, serveArgs(dir)...))
			p.wantLogin(t, http.StatusOK, "elastic:set by hand")
			p.wantLogin(t, http.StatusUnauthorized, "elastic:other one")
			p.stops(t)
			if got := strings.Count(p.err.String(), "ELASTIC_PASSWORD (bootstrap.password) has no effect"); got != tt.warned {
				t.Errorf("with %q it warns %d times, want %d:\n%s", tt.env, got, tt.warned, p.err)
			}
		}
	})
}

func TestSettingsThatStopTheStart(t *testing.T) {
	tests := []struct {
		name string
		env  []string
		args []string
		want []string
	}{
		{"security switched off", nil, []string{"-E", "xpack.security.enabled=false"}, []string{"xpack.security.enabled", "remove the setting"}},
		{"security switched off by the environment", []string{"xpack.security.enabled=false"}, nil, []string{"xpack.security.enabled", "remove the setting"}},
		{"a setting that does not exist", nil, []string{"-E", "http.prot=9200"}, []string{"http.prot", "unknown setting", "http.port"}},
		{"a value that is none", nil, []string{"-E", "xpack.security.authc.api_key.cache.ttl=5"}, []string{"xpack.security.authc.api_key.cache.ttl", "5s"}},
		{"something that is no setting", nil, []string{"cluster.name=x"}, []string{"[cluster.name=x]", "-E name=value"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := dataFolder(t)
			refuses(t, command(t, tt.env, serveArgs(dir, tt.args...)...), tt.want...)
			if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the data folder was made: %v", err)
			}
		})
	}
}

func TestPorts(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	if port > 65000 {
		t.Skip("the system chose a port with too few above it") // it may; the next run has another
	}
	at := func(url string) int {
		n, err := strconv.Atoi(url[strings.LastIndex(url, ":")+1:])
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	t.Run("nodes on one range take the next that is free", func(t *testing.T) {
		among := []string{"-E", fmt.Sprintf("http.port=%d-%d", port, port+200)}
		a := node(t, dataFolder(t), among...)
		b := node(t, dataFolder(t), among...)
		if pa, pb := at(a.url), at(b.url); pa <= port || pb <= pa || pb > port+200 {
			t.Errorf("with port %d taken, got %d and then %d", port, pa, pb)
		}
		a.wantLogin(t, http.StatusOK, elastic)
		b.wantLogin(t, http.StatusOK, elastic)
		a.stops(t)
		b.stops(t)
	})
	for _, tt := range []struct {
		name string
		args []string
		want []string
	}{
		{"no port is free", []string{"-E", fmt.Sprintf("http.port=%d", port)}, []string{fmt.Sprintf("port %d of http.port is not free", port)}},
		{"an address of somebody else", []string{"-E", "http.host=192.0.2.1"}, []string{"cannot listen on http.host and http.port", "192.0.2.1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := dataFolder(t)
			cmd := command(t, nil, serveArgs(dir, tt.args...)...)
			refuses(t, cmd, tt.want...)
			// The password must not have been made for nobody to see.
			p := start(t, command(t, nil, serveArgs(dir)...))
			p.wantLogin(t, http.StatusOK, "elastic:"+madePassword(t, p))
			p.stops(t)
		})
	}
}

// HT-6: clients keep the cluster UUID, so it survives a restart.
func TestTheClusterKeepsItsUUID(t *testing.T) {
	dir := dataFolder(t)
	var seen []string
	for range 2 {
		var info struct {
			UUID string `json:"cluster_uuid"`
		}
		p := node(t, dir)
		p.want(t, http.StatusOK, "GET", "/", elastic, "", &info)
		p.stops(t)
		seen = append(seen, info.UUID)
	}
	if seen[0] != seen[1] || !regexp.MustCompile(`^[A-Za-z0-9_-]{22}$`).MatchString(seen[0]) {
		t.Errorf("the cluster UUID is %q and after a restart %q; want 22 URL-safe characters, twice the same", seen[0], seen[1])
	}
}
