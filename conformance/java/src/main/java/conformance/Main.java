package conformance;

import jakarta.json.Json;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.List;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.discovery.DiscoverySelectors;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.TestPlan;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

/** Runs the scenarios of both clients in one process: of the classes that are named, or of all that share a server. */
public final class Main {
    private static final List<String> shared = List.of("ApiClient9", "ApiClient9Identity", "ApiClient9Invalidation", "ApiClient9Keys", "ApiClient9Queries",
        "ApiClient9Tokens", "HighLevelClient717", "HighLevelClient717Identity", "HighLevelClient717Invalidation", "HighLevelClient717Keys",
        "HighLevelClient717Tokens", "LowLevelClients");

    public static void main(String[] args) {
        PrintStream lines = System.out;
        System.setOut(System.err); // what a scenario prints must not be taken for an outcome
        LauncherFactory.create().execute(
            LauncherDiscoveryRequestBuilder.request().selectors(
                (args.length > 0 ? List.of(args) : shared).stream().map(name -> DiscoverySelectors.selectClass("conformance." + name)).toList()).build(),
            new Reporter(lines));
        System.exit(0); // the clients keep threads
    }

    /** Prints the outcome of each scenario as a line of JSON for go test to read. */
    private static final class Reporter implements TestExecutionListener {
        private final PrintStream lines;
        private TestPlan plan;

        Reporter(PrintStream lines) {
            this.lines = lines;
        }

        @Override
        public void testPlanExecutionStarted(TestPlan plan) {
            this.plan = plan;
        }

        @Override
        public void executionFinished(TestIdentifier test, TestExecutionResult result) {
            boolean failed = result.getStatus() != TestExecutionResult.Status.SUCCESSFUL;
            // A container fails with its scenarios; it is told only when it fails by itself.
            if (!test.isTest() && !failed) {
                return;
            }
            StringWriter stack = new StringWriter();
            result.getThrowable().ifPresent(t -> t.printStackTrace(new PrintWriter(stack)));
            tell(test, failed, false, stack.toString());
        }

        @Override
        public void executionSkipped(TestIdentifier test, String reason) {
            tell(test, false, true, reason);
        }

        private void tell(TestIdentifier test, boolean failed, boolean skipped, String error) {
            StringBuilder name = new StringBuilder(test.getDisplayName());
            // The outermost is the engine, which says nothing.
            for (var up = plan.getParent(test); up.isPresent() && up.get().getParentId().isPresent(); up = plan.getParent(up.get())) {
                name.insert(0, up.get().getDisplayName() + "/");
            }
            lines.println(Json.createObjectBuilder()
                .add("name", name.toString()).add("failed", failed).add("skipped", skipped).add("error", error).build());
            lines.flush();
        }
    }
}
