package conformance

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Two releases of the JavaScript client go through the same scenarios; see js/.

func TestNodeClient9(t *testing.T) { runNode(t, shared, node9(), mainFiles...) }
func TestNodeClient8(t *testing.T) { runNode(t, shared, node8(), mainFiles...) }

var mainFiles = []string{"js/mainjob.test.js", "js/invalidate.test.js", "js/transport.test.js"}

func node9() []string {
	return []string{"LATCHKEY_CLIENT=@elastic/elasticsearch", "LATCHKEY_CLIENT_MAJOR=9"}
}

func node8() []string {
	return []string{"LATCHKEY_CLIENT=elasticsearch-8", "LATCHKEY_CLIENT_MAJOR=8"}
}

// scenario is a line that js/reporter.js prints.
type scenario struct {
	Name    string
	Failed  bool
	Skipped bool
	Error   string
	Output  string // what a scenario printed; then there is no name
}

// runNode runs scenario files against s, each scenario as a subtest.
func runNode(t *testing.T, s *server, env []string, files ...string) {
	args := append([]string{"--test", "--test-concurrency=1", "--test-reporter=./js/reporter.js"}, files...)
	cmd := exec.CommandContext(t.Context(), nodeBinary(t), args...)
	cmd.Env = append(os.Environ(), "LATCHKEY_URL="+s.url, "LATCHKEY_PASSWORD="+password)
	cmd.Env = append(cmd.Env, env...)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	passed, failed := 0, 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var sc scenario
		if err := json.Unmarshal(lines.Bytes(), &sc); err != nil {
			t.Errorf("not a line of the reporter: %s", lines.Text())
			continue
		}
		if sc.Name == "" {
			t.Logf("%s", sc.Output)
			continue
		}
		t.Run(sc.Name, func(t *testing.T) {
			switch {
			case sc.Failed:
				failed++
				t.Error(sc.Error)
			case sc.Skipped:
				t.Error("a scenario was skipped")
			default:
				passed++
			}
		})
	}
	if err := cmd.Wait(); err != nil && failed == 0 {
		t.Errorf("node: %v\n%s", err, &complaints)
	}
	if passed+failed == 0 {
		t.Error("no scenario was run")
	}
}

// nodeBinary returns the Node that package.json pins. On machines that it has no
// build for, the installed one must do. Not every npm links it under
// node_modules/.bin.
func nodeBinary(t *testing.T) string {
	t.Helper()
	if pinned, _ := filepath.Glob("node_modules/node-*/bin/node"); len(pinned) == 1 {
		return pinned[0]
	}
	installed, err := exec.LookPath("node")
	if err != nil {
		t.Fatalf("there is no Node: %v", err)
	}
	return installed
}
