package cli_test

import (
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// atTerminal starts latchkey at a terminal of its own.
func atTerminal(t *testing.T, env []string, args ...string) (*screen, *os.File, *exec.Cmd) {
	t.Helper()
	s, slave := terminals(t)
	cmd := process(t, args...)
	cmd.Env = append(cmd.Env, env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return s, slave, cmd
}

func TestInvalidationIsConfirmed(t *testing.T) {
	const few, many = "Invalidate 3 API keys for good? [y/N] ", "To invalidate these 2500 API keys for good, type their number: "
	tests := []struct {
		name    string
		keys    int
		prompt  string
		typed   string // what is typed
		success bool
		last    string
	}{
		{"by a y", 3, few, "y\r", true, "invalidated  3"},
		{"by a Yes", 3, few, " Yes\r", true, "invalidated  3"},
		{"by nothing", 3, few, "\r", false, "latchkey: not confirmed; nothing was changed"},
		{"by the end of the input", 3, few, "\x04", false, "latchkey: not confirmed; nothing was changed"},
		{"by Ctrl-C", 3, few, "y\x03", false, "latchkey: interrupted; nothing was changed"},
		{"by their number", 2500, many, "2500\r", true, "invalidated  2500"},
		{"by a y, though they are many", 2500, many, "y\r", false, "latchkey: not confirmed; nothing was changed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := newKeyServer(t, func(int) int { return http.StatusOK }, tt.keys, 0)
			s, _, cmd := atTerminal(t, asElastic(server.URL), "api-key", "invalidate", "--name", "x")
			s.wait(tt.prompt)
			if _, err := s.master.WriteString(tt.typed); err != nil {
				t.Fatal(err)
			}
			s.wait(tt.last)
			err := cmd.Wait()
			if (err == nil) != tt.success || (len(server.batches) > 0) != tt.success {
				t.Errorf("it ended with %v after %d calls; success wanted: %v", err, len(server.batches), tt.success)
			}
			if bar := strings.Contains(s.shown.String(), "invalidating"); bar != (tt.success && tt.keys > 1000) {
				t.Errorf("a bar was shown: %v: %q", bar, &s.shown)
			}
			if !strings.Contains(s.shown.String(), "key-0-0  first") {
				t.Errorf("no preview was shown: %q", &s.shown)
			}
		})
	}
}

func TestThePasswordOfACallIsTyped(t *testing.T) {
	address, _ := startNode(t)
	s, slave, cmd := atTerminal(t, []string{"LATCHKEY_URL=" + address}, "api-key", "get", "-u", "elastic", "--owner")
	s.wait("Password of elastic: ")
	s.enter(slave, "elastic-password\r")
	s.wait("STATE")
	if err := cmd.Wait(); err != nil || strings.Contains(s.shown.String(), "elastic-password") {
		t.Errorf("it ended with %v; the screen shows %q", err, &s.shown)
	}
}

func TestATextForLeaksShowsItsProgress(t *testing.T) {
	address, _ := startNode(t)
	s, _, cmd := atTerminal(t, asElastic(address), "api-key", "invalidate-leaked", file(t, strings.Repeat("a line of a log\n", 100_000)))
	s.wait("RESULT")
	if err := cmd.Wait(); err != nil || !strings.Contains(s.shown.String(), "reading") {
		t.Errorf("it ended with %v; the screen shows %q", err, &s.shown)
	}
}
