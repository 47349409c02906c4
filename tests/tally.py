"""Turn what test programs say into one line a test, for tests/run.sh to count.

usage: tally.py junit FILE       ctest's JUnit file, whose tests are cmocka programs that wrote TAP
       tally.py unittest FILE    run a file of Python unittests
       tally.py cases NAME       standard input: what the device conformance programs print, passed through

Lines: `ok NAME`, `not ok NAME` (after what the test said), `skip NAME: reason`. Exits 1 when any test failed.
A cmocka test that skips prints `SKIP: reason` before it calls skip().
"""

import importlib.util
import os
import re
import sys
import unittest
import xml.etree.ElementTree


def tap(binary, output, completed):
    """(result lines, number of failures) of one cmocka program. cmocka writes a skipped test as `not ok 3 # SKIP name`,
    a failed one's reasons as comments after its line, and a plan for each group.
    """
    lines, failures, reason, said, planned, seen = [], 0, None, [], 0, 0
    for line in output.split("\n"):
        plan = re.match(r"1\.\.(\d+)", line)
        result = re.match(r"(ok|not ok) \d+ (- |# SKIP ?)(.*)", line)
        if plan:
            planned += int(plan.group(1))
        elif result:
            seen += 1
            name = f"{binary}: {result.group(3).strip()}"
            if result.group(2).startswith("#"):
                lines.append(f"skip {name}: {reason or 'no reason given'}")
            elif result.group(1) == "ok":
                lines.append(f"ok {name}")
            else:
                failures += 1
                lines += [f"    {text}" for text in said] + [f"not ok {name}"]
            reason, said = None, []
        elif re.search(r"\bSKIP: ", line):
            reason = line.split("SKIP: ", 1)[1].strip()
        elif line.startswith("# ") and lines and lines[-1].startswith(("not ok", "    #")):
            lines.append(f"    {line}")
        elif line.strip():
            said.append(line)
    if planned != seen or seen == 0 or not completed and failures == 0:
        lines += [f"    {text}" for text in said[-60:]]
        lines.append(f"not ok {binary}: ended early ({seen} of {planned} tests seen): a crash, a sanitizer, the time limit")
        failures += 1
    return lines, failures


CASE = re.compile(r"(pass|FAIL|skip)  (.+?)(?:\s+[\d.]+ ms.*)?$")


def case_line(binary, line):
    """The result line for one case of a conformance program (`pass  saxpy of all sizes  430.8 ms`), or None."""
    found = CASE.match(line)
    if not found:
        return None
    word, text = found.groups()
    if word == "skip":
        name, _, reason = text.partition(" (")
        return f"skip {binary}: {name}: {reason.rstrip(')') or 'no reason given'}"
    return f"{'ok' if word == 'pass' else 'not ok'} {binary}: {text}"


def conformance(binary, output, completed):
    """As tap(), for a program that prints such cases."""
    lines, said = [], []
    for line in output.split("\n"):
        result = case_line(binary, line)
        if result and result.startswith("not ok"):
            lines += [f"    {line}"]
        lines += [result] if result else []
        said += [f"    {line}"] if line.strip() and not result else []
    failures = sum(line.startswith("not ok") for line in lines)
    if not completed and failures == 0:
        lines += said[-20:] + [f"not ok {binary}: ended early: a crash, a sanitizer, the time limit"]
        failures = 1
    return lines, failures


def junit(path):
    if not os.path.exists(path):
        print("not ok ctest wrote no results")
        return 1
    failures = total = 0
    for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
        total += 1
        output = case.findtext("system-out") or ""
        name, completed = case.get("name"), case.get("status") == "run"
        if case.find("skipped") is not None:
            said = [line.strip() for line in output.split("\n") if line.strip()]
            lines, bad = [f"skip {name}: {said[-1] if said else 'no reason given'}"], 0
        elif any(map(CASE.match, output.split("\n"))):
            lines, bad = conformance(name, output, completed)
        else:
            lines, bad = tap(name, output, completed)
        failures += bad
        print("\n".join(lines))
    if total == 0:
        print("not ok ctest found no test program")
    return 1 if failures or total == 0 else 0


def cases(name):
    """Pass standard input through, naming results as it goes; `== PROGRAM` lines say whose they are."""
    failures = 0
    for line in sys.stdin:
        heading = re.match(r"== (.+)", line)
        name = heading.group(1) if heading else name
        result = case_line(name, line.rstrip("\n"))
        failures += bool(result and result.startswith("not ok"))
        print(result or line.rstrip("\n"), flush=True)
    return 1 if failures else 0


class Lines(unittest.TextTestResult):
    """Print each test's line when it ends, with the traceback before a failure's."""

    def name(self, test):
        # A whole class that could not be set up has no method name of its own.
        method = getattr(test, "_testMethodName", None)
        return f"{self.file}: {method[5:] if method and method.startswith('test_') else test}"

    def said(self, kind, test, reason=""):
        print(f"{kind} {self.name(test)}{reason}", flush=True)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.said("ok", test)

    def bad(self, test, error):
        print("\n".join(f"    {line}" for line in self._exc_info_to_string(error, test).rstrip().split("\n")))
        self.said("not ok", test)

    def addError(self, test, error):
        super().addError(test, error)
        self.bad(test, error)

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.bad(test, error)

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            print("\n".join(f"    {line}" for line in self._exc_info_to_string(error, test).rstrip().split("\n")))
            print(f"not ok {self.name(test)} {subtest._subDescription()}", flush=True)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.said("skip", test, f": {reason}")

    def addExpectedFailure(self, test, error):
        super().addExpectedFailure(test, error)
        self.said("ok", test)

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.said("not ok", test)


def unittests(path):
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    name = os.path.splitext(os.path.basename(path))[0]
    Lines.file = name
    try:
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    except unittest.SkipTest as skipped:
        print(f"skip {name}: {skipped}")
        return 0
    suite = unittest.defaultTestLoader.loadTestsFromModule(module)
    if suite.countTestCases() == 0:
        print(f"not ok {name}: holds no test")
        return 1
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        runner = unittest.TextTestRunner(stream=nowhere, resultclass=Lines, buffer=False)
        return 0 if runner.run(suite).wasSuccessful() else 1


MODES = {"junit": junit, "unittest": unittests, "cases": cases}

if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in MODES:
        sys.exit(__doc__)
    sys.exit(MODES[sys.argv[1]](sys.argv[2]))
