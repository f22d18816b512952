package conformance

import (
	"os/exec"
	"testing"
)

func TestJavaClients(t *testing.T) {
	onEach(t, func(t *testing.T) { runJava(t, shared(t), warned(t)) })
}

// runJava runs the scenarios of the API client 9 and of the high-level REST client
// 7.17 against s in one process; see java/. Without names, it runs all classes that
// share a server. It ends before it is fast, so that the simple compiler serves it best.
func runJava(t *testing.T, s *server, env []string, classes ...string) {
	t.Helper()
	args := append([]string{"-XX:TieredStopAtLevel=1", "-cp", ".installed/java/classes:.installed/java/dependency/*", "conformance.Main"}, classes...)
	runScenarios(t, s, exec.CommandContext(t.Context(), "java", args...), env...)
}
