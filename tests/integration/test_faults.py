"""Kernels that crash or hang, and workers that are killed, through the real server: who gets which error, and that the
service answers on. GPUDISPATCH_TEST_BACKEND chooses the device (reference by default; cuda on a machine with a GPU)."""

import json
import os
import signal
import struct
import threading
import time
import unittest

import service

BACKEND = os.environ.get("GPUDISPATCH_TEST_BACKEND", "reference")

SAXPY = b"""extern "C" __global__ void saxpy(float a, const float *x, float *y, int n)
{ int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) y[i] = a * x[i] + y[i]; }"""
OUT_OF_BOUNDS = b"__global__ void bad(int *p, long at) { p[at] = 1; }"
TRAP = b"__global__ void trap(int *p) { if (p) __trap(); }"
# ends by its own clock, so that no test leaves the device busy for long
SPIN = b"""__global__ void spin(unsigned long long ns, int *out)
{ unsigned long long from, now;
  asm volatile("mov.u64 %0, %globaltimer;" : "=l"(from));
  do asm volatile("mov.u64 %0, %globaltimer;" : "=l"(now)); while (now - from < ns);
  out[0] = 7; }"""


class Faults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = service.Service(backend=BACKEND)
        cls.saxpy = cls.compile(SAXPY)

    @classmethod
    def tearDownClass(cls):
        cls.service.stop()

    @classmethod
    def compile(cls, source):
        answer = cls.service.request("POST", "/pipelines", source, {"Content-Type": "text/x-cuda"})
        assert answer.status in (200, 201), answer.body
        return json.loads(answer.body)["id"]

    def dispatch(self, pipeline, query, body=b""):
        answer = self.service.request("POST", f"/pipelines/{pipeline}/dispatch?{query}", body,
                                      {"Content-Type": "application/octet-stream"})
        return answer, (json.loads(answer.body) if answer.type == "application/problem+json" else None)

    def assert_works(self):
        """A right answer comes, within the time that a new worker needs."""
        deadline = time.monotonic() + service.START_S
        while True:
            body = struct.pack("<4f", 1, 2, 3, 4) + struct.pack("<4f", 10, 20, 30, 40)
            answer, problem = self.dispatch(self.saxpy, "a=2&n=4", body)
            if answer.status == 200:
                self.assertEqual(struct.unpack("<4f", answer.body), (12, 24, 36, 48))
                return
            self.assertEqual(problem["number"], 1008, problem)
            self.assertTrue(problem["retryable"])
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def worker_pid(self):
        for pid, _ in self.service.family():
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    if file.read().startswith(b"gd-worker\0"):
                        return pid
            except OSError:
                pass
        return None

    def test_an_access_out_of_bounds_is_the_senders_error(self):
        bad = self.compile(OUT_OF_BOUNDS)
        for at in (1 << 40, -(1 << 40)):
            answer, problem = self.dispatch(bad, f"p=64&at={at}&grid=1")
            self.assertEqual((answer.status, problem["number"]), (422, 1005), problem)
            self.assertEqual(problem["cuda"]["name"], "CUDA_ERROR_ILLEGAL_ADDRESS")
            self.assertIn("Fix: ", problem["detail"])
            self.assertNotIn("0x7f", problem["detail"])
            self.assert_works()

    @unittest.skipIf(BACKEND == "cuda", "a GPU has no guard right behind each buffer")
    def test_one_element_past_the_end_is_found(self):
        bad = self.compile(OUT_OF_BOUNDS)
        answer, _ = self.dispatch(bad, "p=64&at=15&grid=1&config=" + '{"workgroup_size":[1,1,1]}')
        self.assertEqual(answer.status, 200, answer.body)
        answer, problem = self.dispatch(bad, "p=64&at=16&grid=1&config=" + '{"workgroup_size":[1,1,1]}')
        self.assertEqual((answer.status, problem["number"]), (422, 1005))
        self.assert_works()

    def test_a_trap_is_the_senders_error(self):
        trap = self.compile(TRAP)
        answer, problem = self.dispatch(trap, "p=64&grid=1")
        self.assertEqual((answer.status, problem["number"]), (422, 1005), problem)
        self.assert_works()

    def test_a_kernel_that_does_not_end_is_ended(self):
        spin = self.compile(SPIN)
        before = self.worker_pid()
        began = time.monotonic()
        answer, problem = self.dispatch(spin, "ns=20000000000&out=4&grid=1&timeout_ms=300")
        self.assertEqual((answer.status, problem["number"]), (504, 1009), problem)
        self.assertLess(time.monotonic() - began, 20)
        self.service.wait_until(lambda: self.worker_pid() not in (None, before), "another worker")
        self.assert_works()

    def test_a_killed_worker_costs_a_retryable_error_and_is_replaced(self):
        spin = self.compile(SPIN)
        self.assert_works()
        answers = []

        def send():
            answers.append(self.dispatch(spin, "ns=20000000000&out=4&grid=1&timeout_ms=60000"))

        sender = threading.Thread(target=send)
        sender.start()
        pid = self.worker_pid()
        self.service.wait_until(lambda: self.busy(), "the launch to be in the worker")
        os.kill(pid, signal.SIGKILL)
        sender.join(service.START_S)
        answer, problem = answers[0]
        self.assertEqual((answer.status, problem["number"], problem["retryable"]), (503, 1008, True), problem)
        self.assert_works()

    def busy(self):
        for line in self.service.get("/metrics").body.decode().splitlines():
            if line.startswith("gpudispatch_queue_depth{"):
                return float(line.rsplit(" ", 1)[1]) > 0
        return False

    def test_variables_have_their_initial_values_at_every_dispatch(self):
        counting = self.compile(b"__device__ int counter = 5; __global__ void count(int *out) { out[0] = ++counter; }")
        for _ in range(3):
            answer, _ = self.dispatch(counting, 'out=4&grid=1&config={"workgroup_size":[1,1,1]}')
            self.assertEqual(struct.unpack("<i", answer.body), (6,))

    def test_large_payloads_survive_the_way_through_windows(self):
        count = 1_500_000
        x = struct.pack("<%df" % count, *(float(i % 1000) for i in range(count)))
        y = struct.pack("<%df" % count, *(float(i % 7) for i in range(count)))
        answer, problem = self.dispatch(self.saxpy, f"a=2&n={count}", x + y)
        self.assertEqual(answer.status, 200, problem)
        got = struct.unpack("<%df" % count, answer.body)
        for i in (0, 1, 255, 256, 262143, 262144, 1048575, 1048576, count - 1):
            self.assertEqual(got[i], 2.0 * (i % 1000) + i % 7, i)


if __name__ == "__main__":
    unittest.main()
