"""Raw sockets against the server with a fake API (tests/unit/server/fake_api.c), for the tests named test_wire_*.

The binary stands beside the real one: GPUDISPATCHD is build/X/server/gpudispatchd, this one is
build/X/tests/unit/server/gd_fake_server. GD_FAKE_SERVER names another.
"""

import json
import os
import select
import signal
import socket
import subprocess
import tempfile
import shutil
import time
import unittest

WAIT_S = 30  # for anything; sanitizers and a busy machine are slow


def binary():
    path = os.environ.get("GD_FAKE_SERVER", "")
    if not path:
        real = os.path.abspath(os.environ.get("GPUDISPATCHD", ""))
        path = os.path.join(os.path.dirname(os.path.dirname(real)), "tests", "unit", "server", "gd_fake_server")
    if not os.path.exists(path):
        raise unittest.SkipTest("no gd_fake_server beside GPUDISPATCHD")
    return path


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def __repr__(self):
        return f"Reply({self.status}, {self.headers}, {self.body[:200]!r})"


class Client:
    """One connection. Reads exactly one response at a time, so that pipelines can be told apart."""

    def __init__(self, address, receive_buffer=None):
        self.socket = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(WAIT_S)
        self.socket.connect(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.data = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def get(self, target, *headers, method="GET"):
        self.send(head(method, target, *headers))
        return self.reply(method)

    def post(self, target, body, *headers):
        self.send(head("POST", target, f"Content-Length: {len(body)}", *headers) + body)
        return self.reply()

    def fill(self):
        more = self.socket.recv(65536)
        self.data += more
        return bool(more)

    def reply(self, method="GET"):
        """The next response; None when the server closed instead."""
        while b"\r\n\r\n" not in self.data:
            if not self.fill():
                if self.data:
                    raise AssertionError(f"closed inside a head: {self.data!r}")
                return None
        text, self.data = self.data.split(b"\r\n\r\n", 1)
        lines = text.decode("latin-1").split("\r\n")
        version, status, _ = lines[0].split(" ", 2)
        assert version == "HTTP/1.1", lines[0]
        headers = {}
        for line in lines[1:]:
            name, value = line.split(": ", 1)
            assert name.lower() not in headers, f"{name} twice in {lines}"
            headers[name.lower()] = value
        status = int(status)
        if status == 100:
            return Reply(status, headers, b"")
        length = int(headers.get("content-length", "0"))
        if method == "HEAD" or status in (204, 304):
            return Reply(status, headers, b"")
        while len(self.data) < length:
            if not self.fill():
                raise AssertionError(f"closed after {len(self.data)} of {length} bytes")
        body, self.data = self.data[:length], self.data[length:]
        return Reply(status, headers, body)

    def is_closed(self, within_s=WAIT_S):
        """Nothing more comes and the server has closed."""
        deadline = time.monotonic() + within_s
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.socket], [], [], left)[0]:
                return False
            try:
                if not self.fill():
                    return not self.data
            except OSError:
                return not self.data

    def drop(self):
        """Close with a reset, as a killed client with unread data does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.socket.close()


def head(method, target, *headers, host="Host: a"):
    lines = [f"{method} {target} HTTP/1.1"] + ([host] if host else []) + list(headers)
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def chunked(pieces):
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


class FakeServer:
    def __init__(self, *arguments, listen="127.0.0.1:0"):
        self.folder = tempfile.mkdtemp()
        self.port_file = os.path.join(self.folder, "port")
        self.log_path = os.path.join(self.folder, "log")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [binary(), "--listen", listen, "--port-file", self.port_file, *arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            until(lambda: os.path.exists(self.port_file) or self.process.poll() is not None, "the port file")
            with open(self.port_file, encoding="ascii") as file:
                self.url = file.read().strip()
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        host, port = self.url[len("http://"):].rsplit(":", 1)
        self.address = (host.strip("[]"), int(port))

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.stop(check=kind is None)

    def client(self, **options):
        return Client(self.address, **options)

    def counts(self):
        with self.client() as client:
            counts = json.loads(client.get("/counts").body)
        counts["alive"] -= 1  # this very request
        return counts

    def until_nothing_is_alive(self):
        """All exchanges were freed and all connections but ours are gone."""
        until(lambda: (lambda c: c["alive"] == 0 and c["connections"] == 1)(self.counts()), "a quiet server")

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def stop(self, check=True):
        try:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM)
            status = self.process.wait(WAIT_S)
            if check:
                assert status == 0, f"ended with status {status}:\n{self.log()[-3000:]}"
                assert "were not freed" not in self.log(), self.log()[-3000:]
                assert os.listdir(self.folder) == ["log"], os.listdir(self.folder)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            shutil.rmtree(self.folder)


def until(condition, what):
    deadline = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"no {what} within {WAIT_S} s")
        time.sleep(0.01)
