"""What the tests of the API share: programs, requests in each body form, and what a refusal must look like."""

import base64
import http.client
import json
import re
import struct
import unittest
import urllib.parse

import service

SAXPY = """extern "C" __global__ void saxpy(float a, const float *x, float *y, int n)
{ int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) y[i] = a * x[i] + y[i]; }
"""


def floats(*values):
    return struct.pack(f"<{len(values)}f", *values)


def of_floats(data):
    return list(struct.unpack(f"<{len(data) // 4}f", data))


def b64(data):
    return base64.b64encode(data).decode("ascii")


def chunked(server, method, path, body, headers, piece=7):
    """The same request without a Content-Length, in chunks."""
    parts = urllib.parse.urlsplit(server.url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=service.START_S)
    try:
        pieces = (body[i:i + piece] for i in range(0, len(body), piece))
        connection.request(method, path, body=pieces, headers=headers, encode_chunked=True)
        answer = connection.getresponse()
        return service.Answer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


class ApiTest(unittest.TestCase):
    """One server for the class."""

    arguments = ()

    @classmethod
    def setUpClass(cls):
        cls.server = service.Service(*cls.arguments)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def send(self, method, path, body=None, **headers):
        return self.server.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})

    def post_json(self, path, value, **headers):
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        return self.send("POST", path, body, Content_Type="application/json", **headers)

    def compile(self, source=SAXPY, **members):
        answer = self.post_json("/pipelines", {"source": source, **members})
        self.assertIn(answer.status, (200, 201), answer.body[:2000])
        return json.loads(answer.body)

    def counters(self):
        answer = self.send("GET", "/metrics", Accept="application/json")
        self.assertEqual(answer.status, 200)
        return json.loads(answer.body)

    def assert_refused(self, answer, status, number, pointer=None, sent=""):
        self.assertEqual(answer.status, status, answer.body[:1000])
        self.assertEqual(answer.type, "application/problem+json")
        problem = json.loads(answer.body)
        self.assertEqual(problem["number"], number, problem)
        self.assertEqual(problem["status"], status)
        self.assertRegex(problem["detail"], r"\. Fix: .+")
        self.assertEqual(problem["error"], problem["detail"])
        self.assertEqual(problem["instance"], answer.headers["X-Request-ID"])
        # no address, and no path of the host but what the request itself named
        for leak in re.findall(r"(?<![\w.])/(?:etc|proc|home|usr|tmp|root|dev|var)/[\w/.]*|0x7f[0-9a-f]{6}", problem["detail"]):
            self.assertIn(leak, sent, problem["detail"])
        if pointer is not None:
            self.assertEqual([error["pointer"] for error in problem["errors"]], [pointer], problem)
        return problem

    def assert_serves(self):
        """The service answers on: a dispatch, computed."""
        made = self.compile()
        answer = self.send("POST", f"/pipelines/{made['id']}/dispatch?a=2&n=4",
                           floats(1, 2, 3, 4) + floats(10, 20, 30, 40))
        self.assertEqual(answer.status, 200, answer.body[:1000])
        self.assertEqual(of_floats(answer.body), [12, 24, 36, 48])
