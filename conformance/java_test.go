package conformance

import (
	"os/exec"
	"testing"
)

// TestJavaClients runs the scenarios of the API client 9 and of the high-level
// REST client 7.17 in one process; see java/. It ends before it is fast, so that
// the simple compiler serves it best.
func TestJavaClients(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "java", "-XX:TieredStopAtLevel=1", "-cp", ".installed/java/classes:.installed/java/dependency/*", "conformance.Main")
	runScenarios(t, shared, cmd, warned(t)...)
}
