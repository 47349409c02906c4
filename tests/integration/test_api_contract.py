"""The contract on the real server: body forms, answers, identity, reflection, headers, metrics."""

import json
import shutil
import struct
import subprocess
import unittest

import api_client
from api_client import SAXPY, ApiTest, b64, floats, of_floats

OCTETS = "application/octet-stream"
X, Y = floats(1, 2, 3, 4), floats(10, 20, 30, 40)
RESULT = [12, 24, 36, 48]


def multipart(*parts):
    body = b"".join(b'--b-7\r\nContent-Disposition: form-data; name="%s"; filename="f"\r\n\r\n%s\r\n' % part for part in parts)
    return body + b"--b-7--\r\n", "multipart/form-data; boundary=b-7"


class Forms(ApiTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        answer = cls.server.request("POST", "/pipelines?kernel=saxpy", SAXPY.encode())
        cls.id = json.loads(answer.body)["id"]
        cls.path = f"/pipelines/{cls.id}/dispatch"

    def forms(self):
        """Body forms of one meaning: path, body, headers."""
        as_json = {"args": [{"value": 2}, {"data": b64(X)}, {"data": b64(Y)}, {"value": "4"}]}
        by_name = {"args": {"n": {"value": 4}, "y": {"data": b64(Y)}, "a": {"data": b64(floats(2))}, "x": {"data": b64(X)}}}
        header = json.dumps({"args": [{"value": 2}, {"binary_data_size": 16}, {"binary_data_size": 16}, {"value": 4}]}).encode()
        form, form_type = multipart((b"n", b"4"), (b"y", Y), (b"x", X), (b"a", b"2.0"))
        yield self.path, json.dumps(as_json).encode(), {"Content-Type": "application/json", "Accept": OCTETS}
        yield self.path, json.dumps(by_name).encode(), {"Content-Type": "application/json; charset=utf-8", "Accept": OCTETS}
        yield self.path, header + X + Y, {"Content-Type": OCTETS, "Inference-Header-Content-Length": str(len(header))}
        yield self.path + "?a=2&n=4", X + Y, {"Content-Type": OCTETS}
        yield self.path + "?0=2&3=4&x.bytes=16&arg.y.bytes=16", X + Y, {"Content-Type": OCTETS}
        yield "/v1" + self.path.replace(":", "%3A") + "?a=2e0&n=4", X + Y, {"Content-Type": "application/x-www-form-urlencoded"}
        yield self.path, form, {"Content-Type": form_type}

    def test_every_form_computes_the_same_whole_and_chunked(self):
        for path, body, headers in self.forms():
            with self.subTest(path=path, headers=headers):
                answer = self.server.request("POST", path, body, headers)
                self.assertEqual(answer.status, 200, answer.body[:500])
                self.assertEqual(of_floats(answer.body), RESULT)
                for piece in (1, 7, 1 << 16):
                    answer = api_client.chunked(self.server, "POST", path, body, headers, piece)
                    self.assertEqual(answer.status, 200, answer.body[:500])
                    self.assertEqual(of_floats(answer.body), RESULT)

    def test_answers_come_as_json_raw_or_framed(self):
        for path, body, headers in self.forms():
            answer = self.server.request("POST", path, body, {**headers, "Accept": "application/json"})
            value = json.loads(answer.body)
            self.assertEqual(value["outputs"], [{"index": 2, "name": "y", "bytes": 16, "data": b64(floats(*RESULT))}])
            self.assertEqual((value["grid"], value["workgroup_size"]), ([1, 1, 1], [64, 1, 1]))
            self.assertEqual(answer.headers["Vary"], "Accept")
        answer = self.send("POST", self.path + "?a=2&n=4&header=true", X + Y)
        length = int(answer.headers["Inference-Header-Content-Length"])
        value = json.loads(answer.body[:length])
        self.assertEqual(value["outputs"], [{"index": 2, "name": "y", "bytes": 16, "binary_data_size": 16}])
        self.assertEqual(of_floats(answer.body[length:]), RESULT)
        self.assertEqual(self.send("POST", self.path + "?a=2&n=4&outputs=", X + Y).body, b"")

    def test_large_buffers_go_through_every_form(self):
        count = 1 << 20
        x = struct.pack(f"<{count}f", *(float(i % 1000) for i in range(count)))
        y = b"\0" * len(x)
        expected = struct.pack(f"<{count}f", *(2.0 * (i % 1000) for i in range(count)))
        raw = self.send("POST", f"{self.path}?a=2&n={count}", x + y)
        self.assertEqual(raw.status, 200, raw.body[:300])
        self.assertTrue(raw.body == expected)
        answer = self.post_json(self.path, {"args": [{"value": 2}, {"data": b64(x)}, {"bytes": len(x)}, {"value": count}]})
        self.assertEqual(answer.status, 200, answer.body[:300])
        self.assertTrue(json.loads(answer.body)["outputs"][0]["data"] == b64(expected))

    def test_ten_gets_and_heads(self):
        for tail, media in (("", "application/json"), ("/manifest", "application/json"), ("/ptx", "text/plain"),
                            ("/source", "text/x-cuda")):
            got = self.send("GET", f"/pipelines/{self.id}{tail}")
            head = self.send("HEAD", f"/pipelines/{self.id}{tail}")
            self.assertEqual((got.status, got.type, head.status, head.body), (200, media, 200, b""))
            self.assertEqual(got.headers["Content-Length"], head.headers["Content-Length"])
            again = self.send("GET", f"/pipelines/{self.id}{tail}", If_None_Match=got.headers["ETag"])
            self.assertEqual((again.status, again.body), (304, b""))
        self.assertEqual(self.send("GET", f"/pipelines/{self.id}/source").body.decode(), SAXPY)


class Programs(ApiTest):
    def test_the_same_program_has_the_same_id_however_it_is_written(self):
        first = self.compile(kernel="saxpy", options=["-DA=1", "--use_fast_math"], config={"label": "one", "timeout_ms": 5})
        second = self.post_json("/pipelines", json.dumps(
            {"config": {"label": "two"}, "options": ["--use_fast_math", "-DA=1"], "kernel": " saxpy ", "source": SAXPY},
            indent=3).encode())
        self.assertEqual(json.loads(second.body)["id"], first["id"])
        for other in ({"kernel": "saxpy"}, {"kernel": "saxpy", "options": ["-DA=2", "--use_fast_math"]},
                      {"kernel": "saxpy", "options": ["-DA=1", "--use_fast_math"], "workgroup_size": [128]},
                      {"kernel": "saxpy", "options": ["-DA=1", "--use_fast_math"], "config": {"ulp_budget": 1}}):
            self.assertNotEqual(self.compile(**other)["id"], first["id"])
        self.assertNotEqual(self.compile(SAXPY + " ", kernel="saxpy", options=["-DA=1", "--use_fast_math"])["id"], first["id"])

    def test_location_etag_and_cache_status(self):
        source = SAXPY + "// headers\n"
        made = self.post_json("/v1/pipelines", {"source": source})
        identity = json.loads(made.body)["id"]
        self.assertEqual(made.status, 201)
        self.assertEqual(made.headers["Location"], f"/v1/pipelines/{identity}")
        self.assertEqual(made.headers["ETag"], f'"{identity.split(":")[1]}"')
        self.assertTrue(made.headers["Cache-Status"].startswith("gpudispatch; fwd=miss"))
        again = self.post_json("/pipelines", {"source": source})
        self.assertEqual((again.status, again.headers["Cache-Status"]), (200, "gpudispatch; hit"))
        self.assertEqual(json.loads(again.body)["cache_tier"], "memory")
        self.assertEqual(self.send("DELETE", made.headers["Location"]).status, 204)
        self.assert_refused(self.send("GET", made.headers["Location"]), 404, 1010)
        self.assert_refused(self.send("POST", made.headers["Location"] + "/dispatch?a=1&n=1", b""), 404, 1010)
        restored = self.post_json("/pipelines", {"source": source})
        self.assertEqual((restored.status, json.loads(restored.body)["cache_hit"]), (201, True))

    def test_lists_are_paged_in_order(self):
        made = {self.compile(SAXPY + f"// listed {i}\n")["id"] for i in range(4)}
        seen, after = [], ""
        while after is not None:
            page = json.loads(self.send("GET", "/pipelines?limit=2" + (f"&after={after}" if after else "")).body)
            self.assertLessEqual(len(page["items"]), 2)
            seen += [item["id"] for item in page["items"]]
            after = page["next"]
        self.assertEqual(seen, sorted(set(seen)))
        self.assertTrue(made <= set(seen))

    def test_scalars_of_every_type_arrive_exactly(self):
        rows = (("char", "i8", -128, "b"), ("unsigned char", "u8", 255, "B"), ("short", "i16", -32768, "h"),
                ("unsigned short", "u16", 65535, "H"), ("int", "i32", -2**31, "i"), ("unsigned", "u32", 2**32 - 1, "I"),
                ("long long", "i64", -2**63, "q"), ("unsigned long long", "u64", 2**64 - 1, "Q"), ("float", "f32", 0.1, "f"),
                ("double", "f64", 0.1, "d"), ("bool", "bool", True, "?"))
        for written, kind, value, code in rows:
            with self.subTest(type=kind):
                made = self.compile(f"__global__ void keep({written} v, {written} *out) {{ *out = v; }}")
                self.assertEqual(made["manifest"]["params"][0]["type"], kind)
                path = f"/pipelines/{made['id']}/dispatch"
                size = struct.calcsize("<" + code)
                expected = struct.pack("<" + code, value)
                answer = self.post_json(path, {"args": [{"value": value}, {"bytes": size}]}, Accept=OCTETS)
                self.assertEqual(answer.body, expected, answer.body[:300])
                text = str(value).lower() if isinstance(value, bool) else value
                self.assertEqual(self.send("POST", f"{path}?v={text}&out={size}").body, expected)

    def test_structs_go_in_as_bytes_in_every_form(self):
        made = self.compile("struct P { int a; float b; }; __global__ void f(P p, float *y) { *y = p.a * p.b; }")
        path, value = f"/pipelines/{made['id']}/dispatch", struct.pack("<if", 3, 2.5)
        expected = floats(7.5)
        self.assertEqual(self.post_json(path, {"args": [{"data": b64(value)}, {"bytes": 4}]}, Accept=OCTETS).body, expected)
        url_text = b64(value).replace("+", "-").replace("/", "_").rstrip("=")
        self.assertEqual(self.send("POST", f"{path}?p={url_text}&y=4").body, expected)
        body, media = multipart((b"p", value), (b"y.bytes", b"4"))
        self.assertEqual(self.send("POST", path, body, Content_Type=media).body, expected)
        header = json.dumps({"args": {"p": {"binary_data_size": 8}, "y": {"bytes": 4}}}).encode()
        answer = self.send("POST", path, header + value, Content_Type=OCTETS, Inference_Header_Content_Length=str(len(header)))
        self.assertEqual(answer.body, expected)

    def test_templates_and_several_outputs(self):
        made = self.compile("template <class T> __global__ void both(const T *x, T *twice, T *square, int n)\n"
                            "{ int i = threadIdx.x; if (i < n) { twice[i] = x[i] * 2; square[i] = x[i] * x[i]; } }",
                            kernel="both<float>")
        answer = self.send("POST", f"/pipelines/{made['id']}/dispatch?twice=16&square=16&n=4", X)
        self.assertEqual(answer.status, 200, answer.body[:500])
        length = int(answer.headers["Inference-Header-Content-Length"])
        self.assertEqual(of_floats(answer.body[length:]), [2, 4, 6, 8, 1, 4, 9, 16])
        only = self.send("POST", f"/pipelines/{made['id']}/dispatch?twice=16&square=16&n=4&outputs=square", X)
        self.assertEqual(of_floats(only.body), [1, 4, 9, 16])

    def test_a_kernel_without_parameters_and_null_pointers(self):
        made = self.compile("__global__ void nothing() {}")
        self.assertEqual(self.send("POST", f"/pipelines/{made['id']}/dispatch").status, 200)
        made = self.compile("__global__ void is_null(const int *p, int *y) { *y = p == 0; }")
        answer = self.post_json(f"/pipelines/{made['id']}/dispatch", {"args": [{"value": None}, {"bytes": 4}]}, Accept=OCTETS)
        self.assertEqual(answer.body, struct.pack("<i", 1), answer.body[:300])

    def test_warnings_come_with_the_answer(self):
        made = self.compile("__global__ void warns(int *x) { int unused; *x = 1; }")
        self.assertTrue(made["log"])
        self.assertEqual(made["diagnostics"][0]["severity"], "warning")


class Metrics(ApiTest):
    def test_the_text_is_clean_by_promtool(self):
        promtool = shutil.which("promtool")
        if not promtool:
            self.skipTest("promtool is not installed (Debian package prometheus)")
        self.assert_serves()
        self.send("GET", "/nothing")
        text = self.send("GET", "/metrics").body
        done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, b""))

    def test_counters_never_fall_and_count_what_happened(self):
        self.assert_serves()
        before = self.counters()["counters"]
        self.assert_serves()
        after = self.counters()["counters"]
        self.assertTrue(all(after[name] >= value for name, value in before.items()))
        self.assertEqual(after["launches"], before["launches"] + 1)
        self.assertEqual(after["dispatch_ok"], before["dispatch_ok"] + 1)
        self.assertEqual(after["cache_memory_hits"], before["cache_memory_hits"] + 1)
        text = self.send("GET", "/metrics").body.decode()
        self.assertIn('gpudispatch_http_requests_total{route="/pipelines/{id}/dispatch",method="POST",code="200"}', text)

    def test_the_threshold_can_be_asked_for(self):
        for query, status in (("alarm_threshold_bps=10000", 200), ("alarm_threshold_bps=10001", 422), ("other=1", 422)):
            self.assertEqual(self.send("GET", "/metrics?" + query, Accept="application/json").status, status)


if __name__ == "__main__":
    unittest.main()
