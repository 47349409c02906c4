"""Bad input of every kind gets the right status, number and fix, and the service answers on."""

import json
import socket
import unittest
import urllib.parse

from api_client import SAXPY, ApiTest, b64, floats

OCTETS = "application/octet-stream"
A, X, Y, N = {"value": 2}, {"data": b64(floats(1))}, {"bytes": 4}, {"value": 1}


class Programs(ApiTest):
    def refused(self, status, number, body, pointer=None, media="application/json", sent=""):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        return self.assert_refused(self.send("POST", "/pipelines", body, Content_Type=media), status, number, pointer, sent)

    def test_bodies_that_are_none(self):
        self.refused(422, 1006, b"")
        self.refused(422, 1006, b"", media="text/x-cuda")
        self.refused(400, 1006, b"{")
        self.refused(422, 1006, b"7")
        self.refused(415, 1006, b"<a/>", media="application/xml")
        self.assertIn(self.refused(400, 1006, b"[" * (3 << 20))["status"], (400, 413))
        self.refused(413, 1012, b"[" * ((3 << 20) + 1))
        self.refused(413, 1012, b" " * ((1 << 20) + 1), media="text/x-cuda")
        self.assert_serves()

    def test_members_that_are_wrong(self):
        self.refused(422, 1006, b'{"source": "a", "source": "b"}', "/source")
        self.refused(422, 1006, {"source": SAXPY, "colour": 1}, "/colour")
        self.refused(422, 1006, {"source": SAXPY, "config": {"colour": 1}}, "/config/colour")
        self.refused(422, 1006, {"source": SAXPY, "config": {"timeout_ms": 0}}, "/config/timeout_ms")
        self.refused(422, 1006, {"source": SAXPY, "workgroup_size": [1025]})
        self.refused(422, 1006, {"source": SAXPY, "workgroup_size": [0]}, "/workgroup_size")
        self.refused(422, 1006, {"source": SAXPY, "workgroup_size": [64, 64]}, "/workgroup_size")
        self.refused(422, 1006, {"source": SAXPY, "backend": "metal"}, "/backend")
        self.assert_serves()

    def test_a_backend_that_is_not_here_is_never_replaced_by_another(self):
        here = json.loads(self.send("GET", "/readyz").body)["backend"]
        other = "reference" if here == "cuda" else "cuda"
        self.refused(503, 1002, {"source": SAXPY, "backend": other})

    def test_a_kernel_expression_that_does_not_compile_says_why(self):
        source = """namespace ops { struct Mul { static __device__ float f(float a, float b) { return a * b; } }; }
template <class T, class Op> __global__ void zip(const T *a, T *c) { c[0] = Op::f(a[0], a[1]); }"""
        answer = self.refused(422, 1006, {"source": source, "kernel": "zip<float, ops::Sub>"}, "/kernel")
        self.assertIn('has no member "Sub"', answer["detail"])

    def test_options_outside_the_list(self):
        for option in ("-I/etc", "--pre-include=/etc/hostname", "-include=x", "--ptxas-options=-v", "-arch=sm_90", "-time=f",
                       "--pch", "-dlto", "@file", "-DX=1 -I/etc", "--std=c++98", "--fmad=maybe", "", "-"):
            with self.subTest(option=option):
                self.refused(422, 1006, {"source": SAXPY, "options": [option]}, "/options/0", sent=option)
        self.assert_serves()

    def test_a_syntax_error_is_told_with_line_and_column(self):
        problem = self.refused(422, 1004, {"source": '__global__ void f(int *x)\n{\n\t*x = 1\n}\n'})
        first = problem["diagnostics"][0]
        self.assertEqual((first["severity"], first["line"]), ("error", 4))
        self.assertGreaterEqual(first["column"], 0)
        self.assertIn("expected", first["message"])
        self.assertIn("expected", problem["log"])
        self.assert_serves()

    def test_files_of_the_host_stay_closed(self):
        with open("/etc/passwd", encoding="utf-8", errors="replace") as file:
            secret = file.readline().strip()
        for line in ('#include "/etc/passwd"', "#include </etc/passwd>", "#include </proc/self/environ>",
                     '#include "../../../../../../etc/passwd"', '__device__ unsigned x[] = {\n#include "/proc/sys/kernel/pid_max"\n};'):
            with self.subTest(line=line):
                answer = self.post_json("/pipelines", {"source": f"{line}\n{SAXPY}"})
                self.assert_refused(answer, 422, 1004, sent=line)
                self.assertNotIn(secret, answer.body.decode("utf-8", "replace"))
                self.assertNotIn("PATH=", answer.body.decode("utf-8", "replace"))
        probe = '#if __has_include("/etc/passwd") || __has_include("/proc/self/environ")\n#error there\n#endif\n'
        self.assertEqual(self.post_json("/pipelines", {"source": probe + SAXPY}).status, 201)
        self.assert_serves()

    def test_kernels_that_are_not_there(self):
        self.refused(422, 1006, {"source": SAXPY, "kernel": "nothing"})
        self.refused(422, 1006, {"source": SAXPY, "kernel": "saxpy; int x"}, "/kernel")
        self.refused(422, 1006, {"source": "__device__ void f() {}"})
        self.refused(422, 1006, {"source": SAXPY + "__global__ void second() {}"})
        self.refused(422, 1006, {"source": SAXPY, "params": [{"name": "a", "type": "i32"}]})
        self.assert_serves()


class Dispatches(ApiTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        answer = cls.server.request("POST", "/pipelines", SAXPY.encode())
        cls.path = f"/pipelines/{json.loads(answer.body)['id']}/dispatch"

    def refused(self, status, number, value, pointer=None):
        return self.assert_refused(self.post_json(self.path, value), status, number, pointer)

    def test_json_that_is_wrong(self):
        self.refused(422, 1006, b"")
        self.refused(400, 1006, b"{")
        self.refused(413, 1012, b"[" * (3 << 20))
        self.refused(400, 1006, b"[" * 100000)
        self.refused(422, 1006, b'{"args": [], "args": []}', "/args")
        self.refused(422, 1006, {"args": [A, X, Y, N], "colour": 1}, "/colour")
        self.refused(422, 1006, {"args": [A, X, Y]}, "/args/3")
        self.refused(422, 1006, {"args": [A, X, Y, N, N]}, "/args/4")
        self.refused(422, 1006, {"args": {"z": A}}, "/args/z")
        self.assert_serves()

    def test_scalars_and_sizes_that_are_wrong(self):
        for value in (2.5, 1 << 31, -(1 << 31) - 1, 1 << 64, "x", True, None, [], "2.0"):
            with self.subTest(value=value):
                self.refused(422, 1006, {"args": [A, X, Y, {"value": value}]}, "/args/3/value")
        for value in ("two", "1", None, True, 1e39):
            with self.subTest(value=value):
                self.refused(422, 1006, {"args": [{"value": value}, X, Y, N]}, "/args/0/value")
        self.refused(422, 1006, {"args": [A, X, {"bytes": 3}, N]}, "/args/2")
        self.refused(422, 1006, {"args": [A, {"data": b64(b"12345")}, Y, N]}, "/args/1")
        self.refused(422, 1006, {"args": [{"data": b64(b"123")}, X, Y, N]}, "/args/0/data")
        self.refused(422, 1006, {"args": [A, X, {"bytes": -1}, N]}, "/args/2/bytes")
        answer = self.post_json(self.path, {"args": [A, X, {"bytes": (1 << 63) - 4}, N], "grid": [1]})
        self.assertIn(answer.status, (413, 507), answer.body[:300])
        self.assert_serves()

    def test_base64_that_is_none(self):
        for text in ("AACAPw=", "AACAPw", "AACAP===", "AAC*Pw==", "AACAPx==", " AACAPw==", "AACAPw==\n", "AACA-w==", "===="):
            with self.subTest(text=text):
                self.refused(422, 1006, {"args": [A, {"data": text}, Y, N]}, "/args/1/data")
        self.assert_serves()

    def test_bodies_shorter_or_longer_than_announced(self):
        header = json.dumps({"args": [A, {"binary_data_size": 8}, {"bytes": 8}, N]}).encode()
        for rest in (b"", b"1234567", b"123456789"):
            with self.subTest(rest=rest):
                answer = self.send("POST", self.path, header + rest, Content_Type=OCTETS,
                                   Inference_Header_Content_Length=str(len(header)))
                self.assert_refused(answer, 400, 1006)
        for length in ("-1", "x", "999999"):
            answer = self.send("POST", self.path, header + b"12345678", Content_Type=OCTETS,
                               Inference_Header_Content_Length=length)
            self.assertIn(answer.status, (400, 413))
        for query, bytes_count, status in (("y=4&x.bytes=8", 4, 400), ("y=4&x.bytes=4", 8, 400), ("", 7, 422), ("", 0, 400)):
            with self.subTest(query=query, bytes_count=bytes_count):
                answer = self.send("POST", f"{self.path}?a=1&n=1&{query}", b"1" * bytes_count)
                self.assert_refused(answer, status, 1006)
        self.assert_serves()

    def test_grids_and_workgroups_over_their_limits(self):
        good = {"args": [A, X, Y, N]}
        for more in ({"grid": [0, 1, 1]}, {"grid": [1 << 31]}, {"grid": [1, 65536]}, {"grid": [1, 1, 65536]},
                     {"workgroup_size": [1025]}, {"workgroup_size": [0]}, {"workgroup_size": [32, 32, 2]},
                     {"workgroup_size": [1, 1, 65], "grid": [1]}, {"workgroup_size": [8, 8]}, {"shared_bytes": 1 << 20},
                     {"grid": [1], "config": {"grid": [1]}}, {"iterations": 0}, {"timeout_ms": 0}, {"timeout_ms": 300001}):
            with self.subTest(more=more):
                self.refused(422, 1006, {**good, **more})
        self.refused(413, 1012, {**good, "max_output_bytes": 3})
        self.assert_serves()

    def test_what_comes_later_is_refused_clearly(self):
        for name, value in (("batch", []), ("verify", {"against": "reference"}), ("check", True), ("measure", {})):
            self.refused(501, 1002, {"args": [A, X, Y, N], name: value}, f"/{name}")
        self.refused(404, 1010, {"args": [A, {"buffer": "b-1"}, Y, N]}, "/args/1/buffer")

    def test_unknown_ids_and_paths(self):
        for path in ("/pipelines/reference:00/dispatch", "/pipelines/x/dispatch", f"{self.path}/more", "/nothing"):
            answer = self.post_json(path, {"args": []})
            self.assert_refused(answer, 404, 1010)
        answer = self.send("PUT", self.path, b"")
        self.assert_refused(answer, 405, 1006)
        self.assertEqual(answer.headers["Allow"], "POST")

    def test_a_client_that_goes_away_half_way(self):
        parts = urllib.parse.urlsplit(self.server.url)
        body = floats(*range(4096))
        for sent in (0, 1, 4096, len(body) - 1, len(body)):
            with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
                head = f"POST {self.path}?a=1&n=1 HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
                connection.sendall(head.encode() + body[:sent])
        self.assert_serves()


class Kernels(ApiTest):
    """What only a device that executes can refuse."""

    def test_a_kernel_that_reads_out_of_bounds_is_told_so(self):
        made = self.compile("__global__ void f(const int *x, int *y) { *y = x[1 << 28]; }")
        answer = self.send("POST", f"/pipelines/{made['id']}/dispatch?y=4&grid=1", b"1234")
        self.assert_refused(answer, 422, 1005)
        self.assert_serves()

    def test_a_kernel_that_loops_for_ever_ends_at_its_deadline(self):
        made = self.compile("__global__ void f(volatile int *y) { while (*y == 0) { } }")
        answer = self.post_json(f"/pipelines/{made['id']}/dispatch",
                                {"args": [{"bytes": 4}], "timeout_ms": 300})
        self.assert_refused(answer, 504, 1009)
        self.server.wait_until(lambda: self.send("GET", "/readyz").status == 200, "recovery")
        self.assert_serves()


if __name__ == "__main__":
    unittest.main()
