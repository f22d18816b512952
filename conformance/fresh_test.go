package conformance

import (
	"testing"
)

// TestFreshServer looks for unknown tokens on a server that has issued none.
// Each client has such a server to itself.
func TestFreshServer(t *testing.T) { onEach(t, freshServers) }

func freshServers(t *testing.T) {
	t.Run("JavaScript 9", func(t *testing.T) { runNode(t, startFor(t), node9(), "js/fresh.test.js") })
	t.Run("JavaScript 8", func(t *testing.T) { runNode(t, startFor(t), node8(), "js/fresh.test.js") })
	t.Run("JavaScript 7.17", func(t *testing.T) { runNode(t, startFor(t), node7(), "js/fresh.test.js") })
	for _, major := range []string{"9", "8", "7"} {
		t.Run("Python "+major, func(t *testing.T) { runPython(t, startFor(t), major, nil, "fresh") })
	}
	t.Run("Java", func(t *testing.T) { runJava(t, startFor(t), nil, "FreshServer") })
	for _, client := range lowLevelClients {
		t.Run("Go "+client.name, func(t *testing.T) { freshServer(t, client.connect) })
	}
}
