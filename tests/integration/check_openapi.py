"""Check openapi.yaml: well-formed, every example valid, and the same routes as the server.

usage: check_openapi.py [GPUDISPATCHD]

Without a binary only the document is checked. Needs PyYAML and jsonschema (Debian: python3-yaml, python3-jsonschema).
Prints each complaint; the last line counts; exits 1 when there is any.
"""

import os
import re
import subprocess
import sys

import jsonschema
import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
METHODS = ("get", "head", "post", "put", "patch", "delete", "options", "trace")


class UniqueLoader(yaml.SafeLoader):
    """YAML as OpenAPI wants it: no key twice (PyYAML keeps the last and says nothing)."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def load():
    with open(os.path.join(ROOT, "openapi.yaml"), encoding="utf-8") as file:
        return yaml.load(file, UniqueLoader)


def resolve(document, node):
    """Follow $ref within the document; raises KeyError for one that leads nowhere."""
    while isinstance(node, dict) and "$ref" in node:
        reference = node["$ref"]
        if not reference.startswith("#/"):
            raise KeyError(f"{reference}: not a reference within the document")
        node = document
        for part in reference[2:].split("/"):
            part = part.replace("~1", "/").replace("~0", "~")
            if part not in node:
                raise KeyError(f"{reference}: leads nowhere")
            node = node[part]
    return node


def validator(document, schema):
    """A Draft 2020-12 validator of a schema that may refer to the document's components."""
    return jsonschema.Draft202012Validator({**schema, "components": document["components"]})


class Check:
    def __init__(self, document):
        self.document = document
        self.complaints = []
        self.examples = 0

    def complain(self, where, what):
        self.complaints.append(f"{where}: {what}")

    def references(self, node, where):
        """Every $ref leads somewhere."""
        if isinstance(node, dict):
            if "$ref" in node:
                try:
                    resolve(self.document, node)
                except KeyError as error:
                    self.complain(where, error.args[0])
            for key, value in node.items():
                self.references(value, f"{where}/{key}")
        elif isinstance(node, list):
            for index, value in enumerate(node):
                self.references(value, f"{where}/{index}")

    def value(self, schema, value, where):
        self.examples += 1
        for error in validator(self.document, schema).iter_errors(value):
            self.complain(where, f"the example is not valid: {error.message[:200]} at {list(error.absolute_path)}")

    def typed(self, holder, where):
        """What has a schema and maybe examples: a media type, a parameter, a header."""
        holder = resolve(self.document, holder)
        if "content" in holder:
            for media, inner in holder["content"].items():
                self.typed(inner, f"{where} {media}")
            return
        schema = holder.get("schema")
        if schema is None:
            self.complain(where, "has no schema")
            return
        try:
            jsonschema.Draft202012Validator.check_schema(schema)
        except jsonschema.SchemaError as error:
            self.complain(where, f"no valid schema: {error.message}")
        if "example" in holder:
            self.value(schema, holder["example"], where)
        for name, example in holder.get("examples", {}).items():
            self.value(schema, resolve(self.document, example)["value"], f"{where} example {name}")

    def operation(self, path, method, item, operation, ids):
        where = f"{method.upper()} {path}"
        if operation.get("operationId") in ids or "operationId" not in operation:
            self.complain(where, "operationId is absent or not unique")
        ids.add(operation.get("operationId"))
        known = {tag["name"] for tag in self.document["tags"]}
        if not operation.get("tags") or not set(operation["tags"]) <= known:
            self.complain(where, "tags are absent or not declared")
        parameters = [resolve(self.document, p) for p in item.get("parameters", []) + operation.get("parameters", [])]
        in_path = {p["name"] for p in parameters if p["in"] == "path"}
        if in_path != set(re.findall(r"{(\w+)}", path)):
            self.complain(where, f"path parameters {sorted(in_path)} do not match the path")
        for parameter in parameters:
            self.typed(parameter, f"{where} parameter {parameter['name']}")
        for media, holder in operation.get("requestBody", {}).get("content", {}).items():
            self.typed(holder, f"{where} request {media}")
        if not operation.get("responses"):
            self.complain(where, "has no responses")
        for status, response in operation.get("responses", {}).items():
            response = resolve(self.document, response)
            if not re.fullmatch(r"[1-5][0-9][0-9]|default", status) or "description" not in response:
                self.complain(f"{where} {status}", "no status, or no description")
            for media, holder in response.get("content", {}).items():
                self.typed(holder, f"{where} {status} {media}")
            for name, header in response.get("headers", {}).items():
                self.typed(header, f"{where} {status} header {name}")

    def all(self):
        if not re.fullmatch(r"3\.1\.\d+", self.document.get("openapi", "")):
            self.complain("openapi", "is not 3.1")
        self.references(self.document, "#")
        if self.complaints:
            return
        for name, schema in self.document["components"]["schemas"].items():
            self.typed({"schema": schema}, f"schema {name}")
        ids = set()
        for path, item in self.document["paths"].items():
            for method, operation in item.items():
                if method in METHODS:
                    self.operation(path, method, item, operation, ids)

    def routes(self, printed):
        """Routes and document agree in both directions; HEAD goes with GET by rule, and /v1 with everything."""
        served = {tuple(line.split()) for line in printed.split("\n") if line.strip()}
        head = {path for method, path in served if method == "HEAD"}
        for path in sorted(head ^ {path for method, path in served if method == "GET"}):
            self.complain(path, "is served for one of GET and HEAD only")
        served = {(method, path) for method, path in served if method != "HEAD"}
        written = {(method.upper(), path) for path, item in self.document["paths"].items()
                   for method in item if method in METHODS and method != "head"}
        for method, path in sorted(served - written):
            self.complain(f"{method} {path}", "is served and not in openapi.yaml")
        for method, path in sorted(written - served):
            self.complain(f"{method} {path}", "is in openapi.yaml and not served")
        return len(served)


def main():
    check = Check(load())
    check.all()
    routes = ""
    if len(sys.argv) > 1:
        printed = subprocess.run([sys.argv[1], "--print-routes"], check=True, capture_output=True, text=True, timeout=30)
        routes = f", {check.routes(printed.stdout)} routes compared"
    for complaint in check.complaints:
        print(complaint)
    print(f"openapi.yaml: {check.examples} examples{routes}, {len(check.complaints)} complaints")
    sys.exit(1 if check.complaints else 0)


if __name__ == "__main__":
    main()
