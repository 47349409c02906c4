"""openapi.yaml and the server agree: routes in both directions, examples, and answers of the real server."""

import json
import re
import subprocess
import unittest

import jsonschema

import check_openapi
import service

SOURCE = """extern "C" __global__ void saxpy(float a, const float *x, float *y, int n)
{ int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) y[i] = a * x[i] + y[i]; }
"""
UNKNOWN = "reference:" + "0" * 64


class Document(unittest.TestCase):
    def test_the_document_is_sound_and_its_examples_are_valid(self):
        check = check_openapi.Check(check_openapi.load())
        check.all()
        self.assertEqual(check.complaints, [])
        self.assertGreater(check.examples, 20)

    def test_routes_and_document_agree_in_both_directions(self):
        printed = subprocess.run([service.binary(), "--print-routes"], check=True, capture_output=True, text=True,
                                 timeout=60).stdout
        check = check_openapi.Check(check_openapi.load())
        check.routes(printed)
        self.assertEqual(check.complaints, [])


class Answers(unittest.TestCase):
    """Each answer has a status, a media type and a body that the document allows."""

    @classmethod
    def setUpClass(cls):
        cls.document = check_openapi.load()
        cls.service = service.Service()
        made = cls.service.request("POST", "/pipelines?kernel=saxpy", SOURCE.encode(), {"Content-Type": "text/x-cuda"})
        cls.id = json.loads(made.body).get("id")

    @classmethod
    def tearDownClass(cls):
        cls.service.stop()

    def allowed(self, answer, method, template):
        operation = self.document["paths"][template][method.lower()]
        self.assertIn(str(answer.status), operation["responses"], f"{method} {template}: {answer.body[:500]}")
        response = check_openapi.resolve(self.document, operation["responses"][str(answer.status)])
        content = response.get("content", {})
        if not content:
            self.assertEqual(answer.body, b"")
            return
        self.assertIn(answer.type, content, f"{method} {template}")
        if answer.type.endswith("json"):
            schema = check_openapi.resolve(self.document, content[answer.type]["schema"])
            errors = check_openapi.validator(self.document, schema).iter_errors(json.loads(answer.body))
            self.assertEqual([f"{list(e.absolute_path)}: {e.message}" for e in errors], [], f"{method} {template}")

    def test_every_get_answers_as_documented(self):
        for template, item in self.document["paths"].items():
            if "get" in item:
                for prefix in ("", "/v1"):
                    with self.subTest(path=prefix + template):
                        self.allowed(self.service.get(prefix + template.replace("{id}", self.id)), "GET", template)

    def test_head_answers_wherever_get_does(self):
        for template, item in self.document["paths"].items():
            if "get" in item:
                with self.subTest(path=template):
                    path = template.replace("{id}", self.id)
                    head, get = self.service.request("HEAD", path), self.service.get(path)
                    self.assertEqual((head.status, head.type, head.body), (get.status, get.type, b""))

    def test_an_unknown_id_is_not_found_on_every_route_that_has_one(self):
        for template, item in self.document["paths"].items():
            for method in ("get", "delete"):
                if "{id}" in template and method in item:
                    with self.subTest(method=method, path=template):
                        answer = self.service.request(method.upper(), template.replace("{id}", UNKNOWN))
                        self.assertEqual(answer.status, 404)
                        self.allowed(answer, method, template)

    def test_compiles_answer_as_documented(self):
        cases = (
            (SOURCE.encode(), "text/x-cuda", 200),
            (json.dumps({"source": SOURCE}).encode(), "application/json", 201),
            (json.dumps({"source": SOURCE.replace(";", "")}).encode(), "application/json", 422),
            (json.dumps({"source": SOURCE, "colour": 1}).encode(), "application/json", 422),
            (b"", "application/json", 422),
            (b"{", "application/json", 400),
            (b"<a/>", "application/xml", 415),
        )
        for body, media, status in cases:
            with self.subTest(body=body[:40], media=media):
                query = "?kernel=saxpy" if media == "text/x-cuda" else ""
                answer = self.service.request("POST", "/pipelines" + query, body, {"Content-Type": media})
                self.assertEqual(answer.status, status, answer.body[:500])
                self.allowed(answer, "POST", "/pipelines")

    def test_dispatches_answer_as_documented(self):
        good = {"args": [{"value": 2.0}, {"data": "AACAPwAAAEAAAEBAAACAQA=="}, {"bytes": 16}, {"value": 4}]}
        cases = (
            (good, {}, 200),
            (good, {"Accept": "application/octet-stream"}, 200),
            (good, {"Accept": "image/png"}, 406),
            ({**good, "grid": [0, 1, 1]}, {}, 422),
            ({"args": good["args"][:2]}, {}, 422),
            ({**good, "colour": 1}, {}, 422),
        )
        template = "/pipelines/{id}/dispatch"
        for body, headers, status in cases:
            with self.subTest(body=body, headers=headers):
                answer = self.service.request("POST", template.replace("{id}", self.id), json.dumps(body).encode(),
                                              {"Content-Type": "application/json", **headers})
                self.assertEqual(answer.status, status, answer.body[:500])
                self.allowed(answer, "POST", template)

    def test_requests_in_the_document_are_understood(self):
        """The examples of POST /pipelines compile."""
        media = self.document["paths"]["/pipelines"]["post"]["requestBody"]["content"]
        for name, example in media["application/json"]["examples"].items():
            with self.subTest(example=name):
                answer = self.service.request("POST", "/pipelines", json.dumps(example["value"]).encode(),
                                              {"Content-Type": "application/json"})
                self.assertIn(answer.status, (200, 201), answer.body[:500])
                self.allowed(answer, "POST", "/pipelines")

    def test_the_served_document_is_the_file(self):
        with open(f"{service.ROOT}/openapi.yaml", "rb") as file:
            self.assertEqual(self.service.get("/openapi.yaml").body, file.read())

    def test_problems_name_a_fix_and_echo_the_request_id(self):
        answer = self.service.get("/nothing/here", X_Request_ID="walk-7")
        problem = json.loads(answer.body)
        self.assertEqual((answer.status, answer.type), (404, "application/problem+json"))
        self.assertEqual(answer.headers["X-Request-ID"], "walk-7")
        self.assertEqual(problem["instance"], "walk-7")
        self.assertTrue(re.search(r"Fix: .+", problem["detail"]))
        jsonschema.Draft202012Validator(check_openapi.resolve(self.document, {"$ref": "#/components/schemas/Problem"}) |
                                        {"components": self.document["components"]}).validate(problem)


if __name__ == "__main__":
    unittest.main()
