package conformance

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"testing"
)

// scenario is a line that the scenarios of another language print: js/reporter.js,
// python/scenarios.py and Main of java/.
type scenario struct {
	Name    string
	Failed  bool
	Skipped bool
	Error   string
	Output  string // what a scenario printed; then there is no name
}

// runScenarios starts cmd, which drives s with a client of its language, and
// makes each scenario that it tells of a subtest.
func runScenarios(t *testing.T, s *server, cmd *exec.Cmd, env ...string) {
	t.Helper()
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
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20) // a failure carries its stack
	for lines.Scan() {
		var sc scenario
		if err := json.Unmarshal(lines.Bytes(), &sc); err != nil {
			t.Errorf("not a line about a scenario: %s", lines.Text())
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
	if err := lines.Err(); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil && failed == 0 {
		t.Errorf("%s: %v\n%s", cmd.Path, err, &complaints)
	}
	if passed+failed == 0 {
		t.Error("no scenario was run")
	}
}
