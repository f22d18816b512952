package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	password = "a-password-for-the-bench"
	elastic  = "Basic ZWxhc3RpYzphLXBhc3N3b3JkLWZvci10aGUtYmVuY2g="
)

// basic is the credential of a user with the same password.
func basic(username string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(username+":"+password))
}

// server is a process under load.
type server struct {
	cmd  *exec.Cmd
	addr string
	log  *os.File
}

// startLatchkey runs the binary on a data folder and waits for its first
// answer, whose delay since the start it returns.
func startLatchkey(binary, data string, settings ...string) (*server, time.Duration, error) {
	addr, err := freeAddress()
	if err != nil {
		return nil, 0, err
	}
	return startLatchkeyAt(addr, binary, data, settings...)
}

func startLatchkeyAt(addr, binary, data string, settings ...string) (*server, time.Duration, error) {
	_, port, _ := net.SplitHostPort(addr)
	args := []string{"serve", "-E", "path.data=" + data, "-E", "http.port=" + port}
	for _, s := range settings {
		args = append(args, "-E", s)
	}
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), "ELASTIC_PASSWORD="+password)
	return start(cmd, addr)
}

// startSelf runs this program as one of [handlers].
func startSelf(handler string, args ...string) (*server, error) {
	addr, err := freeAddress()
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s, _, err := start(exec.Command(self, append([]string{handler, addr}, args...)...), addr)
	return s, err
}

func start(cmd *exec.Cmd, addr string) (*server, time.Duration, error) {
	log, err := os.CreateTemp("", "latchkey-bench-*.log")
	if err != nil {
		return nil, 0, err
	}
	cmd.Stdout, cmd.Stderr = log, log
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, 0, err
	}
	s := &server{cmd, addr, log}
	for time.Since(began) < time.Minute {
		resp, err := http.Get("http://" + addr + "/") // a 401 is an answer
		if err == nil {
			took := time.Since(began)
			return s, took, resp.Body.Close()
		}
		time.Sleep(time.Millisecond)
	}
	text, _ := os.ReadFile(log.Name())
	return nil, 0, errors.Join(fmt.Errorf("no answer within a minute: %s", text), s.stop())
}

func (s *server) stop() error {
	err := s.cmd.Process.Signal(os.Interrupt)
	return errors.Join(err, s.cmd.Wait(), s.log.Close(), os.Remove(s.log.Name()))
}

// kill is stop for one of [handlers]: it knows no way to stop but the signal, so its
// status tells nothing.
func (s *server) kill() { _ = s.stop() }

// addresses returns where servers are reached.
func addresses(servers []*server) []string {
	addrs := make([]string, len(servers))
	for i, s := range servers {
		addrs[i] = s.addr
	}
	return addrs
}

// resident returns the resident memory now, and the most there ever was, in MiB.
func (s *server) resident() (now, most float64, err error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(s.cmd.Process.Pid), "status"))
	if err != nil {
		return 0, 0, err
	}
	field := func(name string) float64 {
		_, rest, _ := strings.Cut(string(text), name+":")
		n, _ := strconv.ParseFloat(strings.Fields(rest + " 0")[0], 64)
		return n / 1024
	}
	return field("VmRSS"), field("VmHWM"), nil
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
