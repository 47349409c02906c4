"""What somebody who wants to harm the service could do with a few small requests, each of which once worked: keep
everybody else from the device, or get an answer that blames the server for what the program is."""

import json
import resource
import time
import unittest

import service
from api_client import SAXPY, ApiTest, b64, floats

SPIN = "__global__ void spin(volatile int *p) { while (!p[0]); }"
ROUNDS = 14  # enough for a doubling wait to reach its longest
LONGEST_GAP_S = 4


class Crowding(ApiTest):
    def compiled(self, source):
        answer = self.send("POST", "/pipelines", source.encode(), Content_Type="text/x-cuda")
        self.assertIn(answer.status, (200, 201), answer.body)
        return json.loads(answer.body)["id"]

    def test_gigabytes_of_zeroes_cost_nobody_else_their_turn(self):
        saxpy = self.compiled(SAXPY)
        small = {"args": [{"value": 2}, {"data": b64(floats(1))}, {"bytes": 4}, {"value": 1}], "timeout_ms": 5000}
        large = {"args": [{"value": 2}, {"data": b64(floats(1))}, {"bytes": 1 << 30}, {"value": 1}], "grid": [1, 1, 1],
                 "outputs": []}
        for _ in range(3):
            answer = self.post_json(f"/pipelines/{saxpy}/dispatch", large)
            if answer.status == 507:
                self.skipTest("too little memory for a buffer of 1 GiB")
            self.assertEqual(answer.status, 200, answer.body)
            answer = self.post_json(f"/pipelines/{saxpy}/dispatch", small)
            self.assertEqual(answer.status, 200, answer.body)

    def test_endless_kernels_in_a_row_do_not_lock_others_out(self):
        spin, saxpy = self.compiled(SPIN), self.compiled(SAXPY)
        small = {"args": [{"value": 2}, {"data": b64(floats(1))}, {"bytes": 4}, {"value": 1}]}
        for _ in range(ROUNDS):
            answer = self.send("POST", f"/pipelines/{spin}/dispatch?p=4&grid=1&timeout_ms=20", b"",
                               Content_Type="application/octet-stream")
            self.assertEqual(answer.status, 504, answer.body)
            deadline = time.monotonic() + LONGEST_GAP_S
            lost = False
            while True:
                answer = self.post_json(f"/pipelines/{saxpy}/dispatch", small)
                lost = lost or answer.status == 503
                if answer.status == 200 and lost:
                    break
                self.assertLess(time.monotonic(), deadline, answer.body)
                time.sleep(0.005)


class Programs(ApiTest):
    def test_what_the_compiler_takes_and_we_cannot_is_the_programs_fault(self):
        many = ", ".join(f"char p{i}" for i in range(513))
        inline = '__global__ void k() {{ asm volatile("{}"); }}'
        for source in (f"__global__ void k({many}) {{}}",
                       inline.format("} .visible .entry x(.param .b8 p[99999999999]) {"),
                       inline.format("} .visible .entry x(nonsense) {")):
            with self.subTest(source=source[-80:]):
                answer = self.send("POST", "/pipelines?kernel=k", source.encode(), Content_Type="text/x-cuda")
                self.assert_refused(answer, 422, 1006)
        self.assert_serves()


class Limits(unittest.TestCase):
    def test_a_service_with_less_than_a_compile_may_take_compiles(self):
        limits = (60, 60)  # seconds of processor time, for a compile that may take 120
        own = resource.getrlimit(resource.RLIMIT_CPU)
        if own[1] != resource.RLIM_INFINITY and own[1] < limits[1]:
            self.skipTest("the limit of processor time is lower than the test's")
        server = service.Service("--compile-timeout-ms", "120000", wrap=("prlimit", f"--cpu={limits[0]}:{limits[1]}"))
        try:
            answer = server.request("POST", "/pipelines", SAXPY.encode(), {"Content-Type": "text/x-cuda"})
            self.assertEqual(answer.status, 201, answer.body)
        finally:
            server.stop()


if __name__ == "__main__":
    unittest.main()
