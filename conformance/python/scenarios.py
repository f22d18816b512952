"""Runs the scenarios of the modules that are named, and prints the outcome of
each as a line of JSON for go test to read."""

import importlib
import json
import sys
import traceback
import unittest

lines = sys.stdout
sys.stdout = sys.stderr  # what a scenario prints must not be taken for an outcome


class Lines(unittest.TestResult):
    def addSuccess(self, test):
        self.tell(test)

    def addFailure(self, test, err):
        self.tell(test, failed=True, error="".join(traceback.format_exception(*err)))

    addError = addFailure

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.addFailure(subtest, err)

    def addSkip(self, test, reason):
        self.tell(test, skipped=True)

    def addExpectedFailure(self, test, err):
        self.tell(test, skipped=True)

    addUnexpectedSuccess = addExpectedFailure

    def tell(self, test, failed=False, skipped=False, error=None):
        name = test.shortDescription() or test.id()
        outcome = {"name": f"{type(test).__name__}/{name}", "failed": failed, "skipped": skipped}
        if error is not None:
            outcome["error"] = error
        print(json.dumps(outcome), file=lines, flush=True)


def main(modules):
    suite = unittest.TestSuite()
    for name in modules:
        suite.addTests(unittest.defaultTestLoader.loadTestsFromModule(importlib.import_module(name)))
    suite.run(Lines())


main(sys.argv[1:])
