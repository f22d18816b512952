package conformance

import (
	"os/exec"
	"testing"
)

// Two releases of the Python client go through the same scenarios; see python/.

func TestPythonClient9(t *testing.T) {
	onEach(t, func(t *testing.T) {
		runPython(t, shared(t), "9", warned(t), "main_job", "invalidate", "keys", "additions", "tokens", "identity", "transport")
	})
}

func TestPythonClient8(t *testing.T) {
	onEach(t, func(t *testing.T) {
		runPython(t, shared(t), "8", warned(t), "main_job", "invalidate", "keys", "tokens", "identity", "transport")
	})
}

func TestPythonClient717(t *testing.T) {
	onEach(t, func(t *testing.T) {
		runPython(t, shared(t), "7", nil, "release7", "release7_keys", "release7_tokens", "release7_identity")
	})
}

// runPython runs scenario modules against s with the given major release of the client.
func runPython(t *testing.T, s *server, major string, env []string, modules ...string) {
	t.Helper()
	args := append([]string{"-B", "python/scenarios.py"}, modules...)
	runScenarios(t, s, exec.CommandContext(t.Context(), ".installed/python/"+major+"/bin/python", args...), env...)
}
