"""The real process and its children: who dies with whom, what is replaced, what an answer of ours looks like.

On the echo device (hidden in --help), which needs neither a GPU nor a kernel; compiling is not what is tested here.
"""

import json
import os
import re
import signal
import subprocess
import time
import unittest

import service
import wire
from wire import head


def children(pid):
    """{pid: name} of the living children of a process."""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                text = file.read()
        except OSError:
            continue
        fields = text.rsplit(")", 1)[1].split()
        if int(fields[1]) == pid and fields[0] != "Z":
            found[int(name)] = text[text.index("(") + 1:text.rindex(")")]
    return found


def zombies(pid):
    count = 0
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                fields = file.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        count += int(fields[1]) == pid and fields[0] == "Z"
    return count


class Life(unittest.TestCase):
    def setUp(self):
        self.service = service.Service(backend="echo")
        self.stopped = False

    def tearDown(self):
        if not self.stopped:
            self.service.stop()

    def address(self):
        host, port = self.service.url[len("http://"):].rsplit(":", 1)
        return host, int(port)

    def pid_of(self, role):
        return [pid for pid, name in children(self.service.process.pid).items() if name == role]

    def test_children_are_named_for_their_role(self):
        self.service.wait_until(lambda: self.pid_of("gd-worker") and self.pid_of("gd-compiler"), "the children")

    def test_a_killed_front_takes_its_children_along(self):
        self.service.wait_until(lambda: self.pid_of("gd-worker") and self.pid_of("gd-compiler"), "the children")
        family = self.service.family()
        self.service.process.kill()
        self.service.process.wait()
        wire.until(lambda: not self.service.alive(family), "end of the children")
        os.unlink(self.service.port_file)  # nobody was left to do it
        self.service.process.returncode = 0
        self.stopped = True

    def test_killed_children_are_replaced_and_reaped(self):
        front = self.service.process.pid
        for role in ("gd-worker", "gd-compiler"):
            self.service.wait_until(lambda: self.pid_of(role), role)
            killed = self.pid_of(role)[0]
            os.kill(killed, signal.SIGKILL)
            self.service.wait_until(lambda: [p for p in self.pid_of(role) if p != killed], f"another {role}")
            self.service.wait_until(lambda: self.service.get("/readyz").status == 200, "readiness")
            self.assertEqual(self.service.get("/livez").status, 200)
        self.service.wait_until(lambda: zombies(front) == 0, "the zombies reaped")
        self.assertIsNone(self.service.process.poll())

    def test_refusals_before_the_api_have_the_common_form(self):
        cases = [
            (head("GET", "/livez", "Host: b"), 400, "invalid_request"),
            (head("POST", "/pipelines", "Content-Length: 5", "Transfer-Encoding: chunked"), 400, "invalid_request"),
            (head("POST", "/pipelines", "Content-Length: x"), 400, "invalid_request"),
            (head("POST", "/pipelines", "Transfer-Encoding: chunked") + b"zz\r\n", 400, "invalid_request"),
            (head("GET", "/a/../b"), 400, "invalid_request"),
            (head("GET", "/livez", "X: " + "v" * 70000), 431, None),
            (head("GET", "/livez", "X: " + "v" * 300000), 431, None),
            (head("GET", "/" + "v" * 20000), 414, None),
            (head("GET", "/" + "v" * 300000), 414, None),
        ]
        for request, status, code in cases:
            with self.subTest(request[:60]), wire.Client(self.address()) as client:
                client.send(request)
                reply = client.reply()
                self.assertEqual(reply.status, status)
                self.assertEqual(reply.headers["content-type"], "application/problem+json")
                problem = json.loads(reply.body)
                self.assertEqual(problem["status"], status)
                self.assertEqual(problem["instance"], reply.headers["x-request-id"])
                self.assertEqual(problem["number"], 1006)
                self.assertIn("Fix: ", problem["detail"])
                if code:
                    self.assertEqual(problem["code"], code)

    def test_requests_and_connections_are_counted(self):
        for _ in range(3):
            self.service.get("/version")
        with wire.Client(self.address()) as client:
            client.get("/livez", "Host: b")
        self.service.wait_until(lambda: 'code="400"' in self.service.get("/metrics").body.decode(), "the refusal")
        text = self.service.get("/metrics").body.decode()
        self.assertIn('gpudispatch_http_requests_total{route="/version",method="GET",code="200"} 3\n', text)
        self.assertTrue(re.search(r"^gpudispatch_http_connections [1-9]", text, re.M), text[:400])

    def test_a_body_over_the_limit_is_refused_before_it_is_sent(self):
        limit = (1 << 30) + 1
        with wire.Client(self.address()) as client:
            client.send(head("POST", "/pipelines", f"Content-Length: {limit}", "Expect: 100-continue"))
            reply = client.reply()
            self.assertEqual(reply.status, 413)
            self.assertEqual(json.loads(reply.body)["number"], 1012)

    def test_readiness_tells_of_draining(self):
        with wire.Client(self.address()) as waiting, wire.Client(self.address()) as busy:
            self.assertEqual(waiting.get("/readyz").status, 200)
            busy.send(head("POST", "/pipelines", "Content-Length: 10", "Content-Type: text/x-cuda") + b"12345")
            wire.until(lambda: b"gpudispatch_inflight_requests 2" in self.service.get("/metrics").body, "the request")
            self.service.process.send_signal(signal.SIGTERM)
            wire.until(lambda: "draining" in self.service.log(), "draining")
            reply = waiting.get("/readyz")
            self.assertEqual(reply.status, 503)
            self.assertIn(b"drain", reply.body)
            busy.send(b"67890")
            self.assertIsNotNone(busy.reply())

    def test_a_second_instance_on_the_port_says_so_in_one_line(self):
        done = subprocess.run([service.binary(), "--listen", self.service.url[len("http://"):], "--backend", "echo"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=wire.WAIT_S, check=False)
        self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (1, "", 1), done.stderr)
        self.assertIn("Address already in use", done.stderr)

    def test_clients_that_leave_at_any_byte_leave_no_request_behind(self):
        source = b'extern "C" __global__ void k(float *x) { x[0] = 1; }\n'
        request = head("POST", "/pipelines", f"Content-Length: {len(source)}", "Content-Type: text/x-cuda") + source
        for cut in range(1, len(request) + 1, 3):
            client = wire.Client(self.address())
            client.send(request[:cut])
            if cut % 2:
                client.drop()
            else:
                client.socket.close()
        wire.until(lambda: b"gpudispatch_inflight_requests 1\n" in self.service.get("/metrics").body, "quiet")

    def test_the_process_is_not_dumpable_and_leaves_no_core(self):
        with open(f"/proc/{self.service.process.pid}/limits", encoding="ascii") as file:
            self.assertRegex(file.read(), r"Max core file size +0 +0")


class Start(unittest.TestCase):
    def test_the_front_loads_neither_cuda_nor_nvrtc(self):
        running = service.Service(backend="echo")
        try:
            with open(f"/proc/{running.process.pid}/maps", encoding="utf-8") as file:
                maps = file.read()
            for library in ("libcuda", "libnvrtc", "libcurl"):
                self.assertNotIn(library, maps)
        finally:
            running.stop()

    def test_start_and_stop_again_and_again(self):
        for _ in range(5):
            running = service.Service(backend="echo")
            began = time.monotonic()
            running.stop()
            self.assertLess(time.monotonic() - began, 20)


if __name__ == "__main__":
    unittest.main()
