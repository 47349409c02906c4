"""Start the real server on a free port, and stop it by its pid; for the tests that talk to it.

GPUDISPATCHD names the binary. Everything it writes goes to a temporary folder. `stop` insists on a clean end: exit
status 0, no process left, the port file gone.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
START_S = 90  # sanitizers and a busy machine make it slow
STOP_S = 60


def binary():
    path = os.environ.get("GPUDISPATCHD", "")
    if not os.path.exists(path):
        raise unittest.SkipTest("GPUDISPATCHD names no server binary")
    return os.path.abspath(path)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def type(self):
        return (self.headers.get("Content-Type") or "").split(";")[0].strip()


class Service:
    def __init__(self, *arguments, backend="reference", wrap=()):  # wrap: a command that runs its arguments
        self.folder = tempfile.mkdtemp()
        self.port_file = os.path.join(self.folder, "port")
        self.log_path = os.path.join(self.folder, "log")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [*wrap, binary(), "--listen", "127.0.0.1:0", "--port-file", self.port_file, "--backend", backend,
                 "--state-dir", os.path.join(self.folder, "state"), *arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            self.wait_until(lambda: os.path.exists(self.port_file), "the port file")
            with open(self.port_file, encoding="ascii") as file:
                self.url = file.read().strip()
            self.wait_until(lambda: self.get("/readyz").status == 200, "readiness")
        except BaseException:
            self.process.kill()
            self.process.wait()
            shutil.rmtree(self.folder)
            raise

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait_until(self, condition, what):
        deadline = time.monotonic() + START_S
        while not condition():
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with status {self.process.returncode}:\n{self.log()[-4000:]}")
            if time.monotonic() > deadline:
                raise AssertionError(f"no {what} within {START_S} s:\n{self.log()[-4000:]}")
            time.sleep(0.02)

    def request(self, method, path, body=None, headers=None):
        request = urllib.request.Request(self.url + path, data=body, method=method, headers=headers or {})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=START_S) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as answer:
            with answer:
                return Answer(answer.code, answer.headers, answer.read())

    def get(self, path, **headers):
        return self.request("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})

    def family(self):
        """The server and its descendants, as {(pid, start time)}; a pid alone could be somebody else's later."""
        parents = {}
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                    fields = file.read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if fields[0] != "Z":
                parents[int(name), fields[19]] = int(fields[1])
        family = {self.process.pid}
        grown = True
        while grown:
            more = {pid for (pid, _), parent in parents.items() if parent in family} - family
            family |= more
            grown = bool(more)
        return {key for key in parents if key[0] in family}

    def alive(self, processes):
        """Those of {(pid, start time)} that still run."""
        left = []
        for pid, start in processes:
            try:
                with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                    fields = file.read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if fields[19] == start and fields[0] != "Z":
                left.append(pid)
        return left

    def stop(self):
        try:
            family = self.family()
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM)
            status = self.process.wait(STOP_S)
            assert status == 0, f"the server ended with status {status}:\n{self.log()[-4000:]}"
            left = self.alive(family)
            assert not left, f"processes left: {left}"
            assert not os.path.exists(self.port_file), "the port file is still there"
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            shutil.rmtree(self.folder)
