package conformance

import (
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// Three releases of the JavaScript client go through the same scenarios; see js/.

func TestNodeClient9(t *testing.T) {
	onEach(t, func(t *testing.T) {
		runNode(t, shared(t), node9(), append(slices.Clone(mainFiles), "js/additions.test.js")...)
	})
}

func TestNodeClient8(t *testing.T) {
	onEach(t, func(t *testing.T) { runNode(t, shared(t), node8(), mainFiles...) })
}

func TestNodeClient717(t *testing.T) {
	onEach(t, func(t *testing.T) {
		t.Run("plain JSON", func(t *testing.T) { runNode(t, shared(t), node7(), mainFiles...) })
		t.Run("the media type that names the release", func(t *testing.T) {
			runNode(t, shared(t), append(node7(), "ELASTIC_CLIENT_APIVERSIONING=true"), mainFiles...)
		})
	})
}

var mainFiles = []string{"js/mainjob.test.js", "js/invalidate.test.js", "js/keys.test.js", "js/tokens.test.js", "js/tokens-invalidate.test.js", "js/identity.test.js", "js/transport.test.js"}

func node9() []string {
	return []string{"LATCHKEY_CLIENT=@elastic/elasticsearch", "LATCHKEY_CLIENT_MAJOR=9"}
}

func node8() []string {
	return []string{"LATCHKEY_CLIENT=elasticsearch-8", "LATCHKEY_CLIENT_MAJOR=8"}
}

// node7 warns of every server whose GET / it may not call; the scenarios do so
// on purpose.
func node7() []string {
	return []string{"LATCHKEY_CLIENT=elasticsearch-7", "LATCHKEY_CLIENT_MAJOR=7", "NODE_OPTIONS=--no-warnings"}
}

// runNode runs scenario files against s.
func runNode(t *testing.T, s *server, env []string, files ...string) {
	t.Helper()
	args := append([]string{"--test", "--test-concurrency=1", "--test-reporter=./js/reporter.js"}, files...)
	runScenarios(t, s, exec.CommandContext(t.Context(), nodeBinary(t), args...), env...)
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
