"""What the system that this one descends from promised, by the names of its tests, on the real server."""

import json
import unittest

from api_client import SAXPY, ApiTest, b64, floats, of_floats


class Original(ApiTest):
    def dispatch(self, pipeline, **more):
        return self.post_json(f"/pipelines/{pipeline}/dispatch",
                              {"args": [{"value": 2.0}, {"data": b64(floats(1, 2, 3, 4))},
                                        {"data": b64(floats(1, 1, 1, 1))}, {"value": 4}], **more})

    def test_dispatch_routes_every_call_to_the_device(self):
        made = self.compile()
        before = self.counters()["counters"]["launches"]
        for _ in range(10):
            self.assertEqual(self.dispatch(made["id"]).status, 200)
        self.assertEqual(self.counters()["counters"]["launches"], before + 10)

    def test_compile_from_each_body_form_gives_the_same_pipeline(self):
        source = SAXPY + "// each form\n"
        ids = {self.compile(source, kernel="saxpy", workgroup_size=[128])["id"]}
        for media in ("text/x-cuda", "text/plain", "application/x-www-form-urlencoded"):
            answer = self.send("POST", "/v1/pipelines?kernel=saxpy&workgroup_size=128", source.encode(), Content_Type=media)
            self.assertEqual(answer.status, 200, answer.body[:500])
            ids.add(json.loads(answer.body)["id"])
        self.assertEqual(len(ids), 1)

    def test_compile_answers_id_and_manifest(self):
        made = self.compile(kernel="saxpy")
        manifest = made["manifest"]
        self.assertEqual(list(manifest)[:6], ["schema", "backend_id", "pipeline_id", "program_digest", "dispatch_policy",
                                              "cache_hit"])
        self.assertEqual(manifest["schema"], 1)
        self.assertEqual(manifest["backend_id"], made["id"].split(":")[0])
        self.assertEqual(manifest["pipeline_id"], made["id"])
        self.assertEqual([param["name"] for param in manifest["params"]], ["a", "x", "y", "n"])
        self.assertEqual([param["type"] for param in manifest["params"]], ["f32", "buffer", "buffer", "i32"])

    def test_id_begins_with_its_backend(self):
        backend = json.loads(self.send("GET", "/readyz").body)["backend"]
        self.assertRegex(self.compile()["id"], f"^{backend}:[0-9a-f]{{64}}$")

    def test_audit_tracks_hits_misses_and_unknowns(self):
        before = self.counters()["cache_audit"]
        source = SAXPY + "// audited\n"
        self.compile(source)
        self.compile(source)
        self.compile(source)
        self.compile(source, cache="bypass")
        after = self.counters()["cache_audit"]
        self.assertEqual([after[name] - before[name] for name in ("hits", "misses", "unknowns")], [2, 1, 1])

    def test_prewarm_compiles_and_never_launches(self):
        before = self.counters()["counters"]
        answer = self.post_json("/pipelines", {"source": SAXPY + "// prewarmed\n", "mode": "prewarm"})
        self.assertEqual(answer.status, 201, answer.body[:500])
        self.assertTrue(json.loads(answer.body)["devices"])
        after = self.counters()["counters"]
        self.assertEqual(after["launches"], before["launches"])
        self.assertEqual(after["compiles_ok"], before["compiles_ok"] + 1)

    def test_prewarm_reports_cache_hit(self):
        for expected in (False, True):
            answer = self.post_json("/pipelines", {"source": SAXPY + "// twice\n", "mode": "prewarm"})
            made = json.loads(answer.body)
            self.assertIs(made["cache_hit"], expected)
            self.assertIs(made["manifest"]["cache_hit"], expected)
            self.assertIs(made["devices"][0]["cache_hit"], expected)

    def test_dispatch_counts_launches_bytes_and_slots(self):
        made = self.compile("__global__ void copy(const unsigned char *x, unsigned char *y) { y[threadIdx.x] = x[threadIdx.x]; }",
                            workgroup_size=[3])
        path = f"/pipelines/{made['id']}/dispatch?y=3"
        self.assertEqual(self.send("POST", path, b"abc").body, b"abc")
        # every shard keeps slots of its own: ask until one is reused, at most once for each
        for _ in range(64):
            before = self.counters()["counters"]
            self.assertEqual(self.send("POST", path, b"xyz").body, b"xyz")
            after = self.counters()["counters"]
            for name, rise in (("launches", 1), ("input_bytes", 3), ("output_bytes", 3), ("output_slots", 1)):
                self.assertEqual(after[name] - before[name], rise, name)
            if after["output_slots_reused"] - before["output_slots_reused"] == 1:
                return
        self.fail("no slot was ever reused")

    def test_request_config_replaces_pipeline_config(self):
        made = self.compile(workgroup_size=[16], config={"profile": "compiled", "workgroup_size": [32]})
        kept = json.loads(self.dispatch(made["id"]).body)
        self.assertEqual((kept["profile"], kept["workgroup_size"]), ("compiled", [32, 1, 1]))
        replaced = json.loads(self.dispatch(made["id"], config={"profile": "asked"}).body)
        self.assertEqual((replaced["profile"], replaced["workgroup_size"]), ("asked", [16, 1, 1]))
        merged = json.loads(self.dispatch(made["id"], config={"profile": "asked"}, config_mode="merge").body)
        self.assertEqual((merged["profile"], merged["workgroup_size"]), ("asked", [32, 1, 1]))

    def test_native_pipeline_is_used_when_the_device_has_one(self):
        made = self.compile()
        kinds = [artifact["kind"] for artifact in made["manifest"]["artifacts"]]
        cubin = self.send("GET", f"/pipelines/{made['id']}/cubin")
        if made["id"].startswith("cuda:"):
            self.assertEqual((cubin.status, cubin.body[:4]), (200, b"\x7fELF"))
            self.assertIn("cubin", kinds)
        else:
            self.assert_refused(cubin, 404, 1010)
            self.assertEqual(kinds, ["ptx"])

    def test_binary_dispatch_takes_the_path_without_copies(self):
        """What can be seen of it from outside: the bytes arrive, and the answer is nothing but bytes."""
        made = self.compile()
        answer = self.send("POST", f"/pipelines/{made['id']}/dispatch?a=2&n=4", floats(1, 2, 3, 4) + floats(0, 0, 0, 0))
        self.assertEqual(answer.type, "application/octet-stream")
        self.assertEqual(of_floats(answer.body), [2, 4, 6, 8])

    def test_compile_refuses_a_program_without_an_entry_kernel(self):
        self.assert_refused(self.post_json("/pipelines", {"source": "__device__ int f() { return 1; }"}), 422, 1006)

    def test_device_time_of_a_launch_is_never_zero(self):
        made = self.compile()
        timing = json.loads(self.dispatch(made["id"]).body)["timing"]
        self.assertGreater(timing["kernel_ns"], 0)
        self.assertEqual(set(timing), {"queue_ns", "compile_ns", "h2d_ns", "kernel_ns", "d2h_ns", "total_ns"})


if __name__ == "__main__":
    unittest.main()
