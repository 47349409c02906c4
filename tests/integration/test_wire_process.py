"""The process: settings, start, signals, draining, exit status. With the fake API, so that nothing else takes part."""

import json
import os
import signal
import socket
import subprocess
import time
import unittest

import wire
from wire import head


def run(*arguments, environment=None):
    done = subprocess.run([wire.binary(), *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=wire.WAIT_S, env={**os.environ, **(environment or {})}, check=False)
    return done.returncode, done.stdout, done.stderr


class Settings(unittest.TestCase):
    def test_help_and_version_and_routes(self):
        status, out, err = run("--help")
        self.assertEqual((status, err), (0, ""))
        for flag in ("--listen", "--backend", "--max-body-mb", "--insecure"):
            self.assertIn(flag, out)
        status, out, _ = run("--version")
        self.assertEqual(status, 0)
        self.assertRegex(out, r"^gpudispatchd \d+\.\d+\.\d+\n$")
        self.assertEqual(run("--print-routes")[:2], (0, "GET /livez\n"))

    def test_a_wrong_flag_is_one_line_and_status_2(self):
        for arguments, says in [(("--lisen", "x"), "did you mean --listen?"), (("--shards", "x"), "must be a number"),
                                (("--listen", "nonsense"), "is not HOST:PORT"),
                                (("--listen", "0.0.0.0:0"), "--insecure"),
                                (("--config", "/nonexistent"), "No such file")]:
            status, out, err = run(*arguments)
            self.assertEqual((status, out, err.count("\n")), (2, "", 1), err)
            self.assertIn(says, err)
            self.assertTrue(err.startswith("gpudispatchd: "))

    def test_a_wrong_variable_is_one_line_and_status_2(self):
        status, _, err = run(environment={"GPUDISPATCH_LOG_LEVEL": "loud"})
        self.assertEqual((status, err.count("\n")), (2, 1))
        self.assertIn("GPUDISPATCH_LOG_LEVEL", err)

    def test_print_config_tells_sources(self):
        status, out, _ = run("--print-config", "--shards", "3", environment={"GPUDISPATCH_CACHE_MB": "9"})
        self.assertEqual(status, 0)
        self.assertIn("shards: 3  # flag\n", out)
        self.assertIn("cache-mb: 9  # environment\n", out)
        self.assertIn("max-body-mb: 1024  # default\n", out)

    def test_what_cannot_run_is_one_line_and_status_1(self):
        for arguments, says in [(("--backend", "cuda"), "there is no GPU here"),
                                (("--state-dir", "/dev/null/x"), "cannot make the state folder"),
                                (("--port-file", "/nonexistent/x/port"), "cannot write the port file")]:
            status, out, err = run("--listen", "127.0.0.1:0", "--log-level", "error", *arguments)
            self.assertEqual((status, out, err.count("\n")), (1, "", 1), err)
            self.assertIn(says, err)

    def test_a_port_in_use_is_one_line_and_status_1(self):
        with wire.FakeServer() as server:
            address = server.url[len("http://"):]
            status, out, err = run("--listen", address)
            self.assertEqual((status, out, err.count("\n")), (1, "", 1), err)
            self.assertIn("Address already in use", err)
            with server.client() as client:
                self.assertEqual(client.get("/livez").status, 200)


class Life(unittest.TestCase):
    def test_the_address_is_told_on_stdout_and_in_the_port_file(self):
        with wire.FakeServer() as server:
            self.assertIn(f"listening on {server.url}\n", server.log())
            self.assertRegex(server.url, r"^http://127\.0\.0\.1:[1-9]\d*$")
        self.assertFalse(os.path.exists(server.port_file))

    def test_several_addresses_and_ipv6(self):
        try:
            with socket.socket(socket.AF_INET6) as probe:
                probe.bind(("::1", 0))
        except OSError:
            self.skipTest("no IPv6 loopback here")
        with wire.FakeServer(listen="[::1]:0,127.0.0.1:0") as server:
            self.assertTrue(server.url.startswith("http://[::1]:"))
            urls = [line.split()[-1] for line in server.log().splitlines() if line.startswith("listening on")]
            self.assertEqual(len(urls), 2)
            for url in urls:
                host, port = url[len("http://"):].rsplit(":", 1)
                with wire.Client((host.strip("[]"), int(port))) as client:
                    self.assertEqual(client.get("/livez").status, 200)

    def test_both_signals_end_it_cleanly(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            server = wire.FakeServer()
            server.process.send_signal(number)
            server.stop()

    def test_sighup_is_ignored(self):
        with wire.FakeServer() as server:
            server.process.send_signal(signal.SIGHUP)
            wire.until(lambda: "SIGHUP is ignored" in server.log(), "the log line")
            with server.client() as client:
                self.assertEqual(client.get("/livez").status, 200)

    def test_draining_finishes_what_is_under_way_and_refuses_the_rest(self):
        server = wire.FakeServer()
        with server.client() as busy, server.client() as waiting:
            self.assertEqual(waiting.get("/readyz").status, 200)
            busy.send(head("GET", "/slow?ms=1500"))
            wire.until(lambda: server.counts()["alive"] == 1, "the request")
            server.process.send_signal(signal.SIGTERM)
            wire.until(lambda: "draining" in server.log(), "draining")
            reply = waiting.get("/readyz")
            self.assertEqual((reply.status, reply.headers["connection"]), (503, "close"))
            with self.assertRaises(OSError), socket.create_connection(server.address, wire.WAIT_S):
                pass
            reply = busy.reply()
            self.assertEqual((reply.status, reply.body), (200, b"slow"))
            self.assertEqual(reply.headers["connection"], "close")
        server.stop()

    def test_draining_ends_after_its_time(self):
        server = wire.FakeServer("--drain-timeout-ms", "300")
        with server.client() as client:
            client.send(head("GET", "/hang"))
            wire.until(lambda: server.counts()["alive"] == 1, "the request")
            began = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            self.assertEqual(server.process.wait(wire.WAIT_S), 0)
            self.assertGreaterEqual(time.monotonic() - began, 0.25)
            self.assertTrue(client.is_closed())
        self.assertIn("requests are cut off", server.log())
        server.stop()

    def test_a_second_signal_ends_it_at_once(self):
        server = wire.FakeServer("--drain-timeout-ms", "60000")
        with server.client() as client:
            client.send(head("POST", "/gate", "Content-Length: 100000") + b"x" * 2000)
            wire.until(lambda: server.counts()["alive"] == 1, "the request")
            server.process.send_signal(signal.SIGTERM)
            wire.until(lambda: "draining" in server.log(), "draining")
            self.assertIsNone(server.process.poll())
            server.process.send_signal(signal.SIGTERM)
            self.assertEqual(server.process.wait(wire.WAIT_S), 0)
        server.stop()

    def test_access_lines_are_json_when_asked_for(self):
        with wire.FakeServer("--log-format", "json", "--log-access") as server:
            with server.client() as client:
                client.get("/livez?secret=1", "X-Request-ID: id-1", "traceparent: 00-aa-bb-01")
                client.post("/echo", b"hello")
            wire.until(lambda: server.log().count('"message":"request"') == 2, "two lines")
            lines = [json.loads(line) for line in server.log().splitlines() if line.startswith("{")]
            requests = [line for line in lines if line["message"] == "request"]
            self.assertEqual(requests[0]["request_id"], "id-1")
            self.assertEqual(requests[0]["path"], "/livez")
            self.assertEqual(requests[0]["traceparent"], "00-aa-bb-01")
            self.assertEqual((requests[1]["status"], requests[1]["body_bytes"]), (200, 5))
            self.assertNotIn("secret", server.log())

    def test_no_descriptor_leaks(self):
        with wire.FakeServer() as server:
            def descriptors():
                return len(os.listdir(f"/proc/{server.process.pid}/fd"))
            self.assertEqual(server.counts()["connections"], 1)
            wire.until(lambda: server.counts()["connections"] == 1, "quiet")
            before = descriptors()
            for _ in range(100):
                with server.client() as client:
                    client.get("/livez")
            server.until_nothing_is_alive()
            wire.until(lambda: descriptors() <= before, "the descriptors back")


if __name__ == "__main__":
    unittest.main()
