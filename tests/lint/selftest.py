"""Each lint rule is fed something bad and must fail, and something good beside it and must not.

A lint that never failed proves nothing. Fixtures are made in a temporary folder outside the tree.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest

LINT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lint.py")
HEADER = "/*\n * A header that says what it is for.\n */\n#ifndef GD_%s_H\n#define GD_%s_H\n#endif\n"

# rule: (file, bad content, words of the complaint; file, good content)
CASES = {
    "a_lower_layer_including_a_higher_one": (
        "includes", "gpu/program/a.c", '#include "gpu/dispatch/engine.h"\n', "gpu/program may not include",
        "gpu/dispatch/b.c", '#include "gpu/program/program.h"\n'),
    "gpu_including_api": (
        "includes", "gpu/dispatch/a.c", '#include "api/api.h"\n', "gpu/dispatch may not include",
        "api/b.c", '#include "gpu/dispatch/engine.h"\n'),
    "cache_including_worker": (
        "includes", "gpu/cache/a.c", '#include "gpu/worker/worker.h"\n', "gpu/cache may not include",
        "gpu/cache/b.c", '#include "gpu/program/program.h"\n'),
    "gpu_including_jansson": (
        "includes", "gpu/base/a.c", "#include <jansson.h>\n", "only api, client may include jansson.h",
        "api/b.c", "#include <jansson.h>\n"),
    "api_including_microhttpd": (
        "includes", "api/a.c", "#include <microhttpd.h>\n", "only server may include microhttpd.h",
        "server/b.c", "#include <microhttpd.h>\n"),
    "a_folder_that_is_no_layer": (
        "includes", "gpu/misc/a.c", "int a;\n", "no layer",
        "gpu/base/b.c", "int a;\n"),
    "another_header_before_its_own": (
        "own_header_first", "gpu/base/a.c", '#include <stdio.h>\n#include "gpu/base/a.h"\n', "should be gpu/base/a.h",
        "gpu/base/b.c", '#include "gpu/base/b.h"\n#include <stdio.h>\n'),
    "strcpy": (
        "banned_calls", "gpu/base/a.c", "void f(char *a, char *b)\n{\n\tstrcpy(a, b);\n}\n", ":3: strcpy is banned",
        "gpu/base/b.c", "/* not strcpy(a, b) */ const char *s = \"sprintf(\";\nvoid f(void) { snprintf(a, 1, s); }\n"),
    "strtok": (
        "banned_calls", "api/a.c", "char *f(char *s) { return strtok(s, \",\"); }\n", "strtok is banned",
        "api/b.c", "char *f(char *s, char **t) { return strtok_r(s, \",\", t); }\n"),
    "alloca": (
        "banned_calls", "api/a.c", "void *f(int n) { return alloca (n); }\n", "alloca is banned",
        "api/b.c", "void *f(int n) { return gd_alloca_free(n); }\n"),
    "a_struct_typedef": (
        "banned_calls", "api/a.h", "typedef struct a { int b; } a;\n", "never typedef'd",
        "api/b.h", "typedef int (*callback)(struct a *);\n"),
    "an_unbounded_scanf": (
        "banned_calls", "api/a.c", "void f(char *s) { sscanf(s, \"%s\", s); }\n", "unbounded",
        "api/b.c", "void f(char *s) { sscanf(s, \"%9s %d\", s, &n); }\n"),
    "a_file_too_long": (
        "file_size", "gpu/base/a.c", "\n" * 501, "501 lines",
        "gpu/base/b.c", "\n" * 500),
    "a_header_without_comment": (
        "header_form", "gpu/base/a.h", "#ifndef GD_BASE_A_H\n#define GD_BASE_A_H\n#endif\n", "block comment",
        "gpu/base/b.h", HEADER % ("BASE_B", "BASE_B")),
    "a_header_without_guard": (
        "header_form", "gpu/base/a.h", "/*\n * A header that says what it is for.\n */\n", "no include guard",
        "gpu/base/b.h", HEADER % ("BASE_B", "BASE_B")),
    "a_guard_whose_names_differ": (
        "header_form", "gpu/base/a.h", HEADER % ("BASE_A", "BASE_X"), "no include guard",
        "gpu/base/b.h", HEADER % ("BASE_B", "BASE_B")),
    "a_note_for_later": (
        "unfinished", "gpu/base/a.c", "/* TO" "DO: later */\n", "TO" "DO",
        "gpu/base/b.c", "int autodo;\n"),
    "a_path_of_a_machine": (
        "machine_paths", "README.md", "see /ho" "me/someone/notes\n", "README.md:1",
        "b.md", "see ~/notes and network/homepage\n"),
    "json_with_a_comma_too_many": (
        "data_files", "a.json", "{\"a\": 1,}\n", "a.json",
        "b.json", "{\"a\": 1}\n"),
    "python_that_does_not_parse": (
        "data_files", "a.py", "def f(:\n", "a.py",
        "b.py", "def f(): pass\n"),
    "yaml_that_does_not_parse": (
        "yaml_files", "a.yaml", "a: [1, 2\n", "a.yaml",
        "b.yaml", "a: [1, 2]\n"),
    "a_library_that_nobody_installs": (
        "packages", "server/CMakeLists.txt", "pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)\n", "yaml-0.1",
        "server/CMakeLists.txt", "# none\n"),
    "code_that_clang_format_would_change": (
        "clang_format", "gpu/base/a.c", "int   a ;\n", "a.c",
        "gpu/base/b.c", "int a;\n"),
    "a_script_that_does_not_parse": (
        "shell_syntax", "deploy/a.sh", "#!/bin/sh\nif true; then\n", "deploy/a.sh",
        "deploy/b.sh", "#!/bin/sh\nif true; then :; fi\n"),
    "a_script_that_shellcheck_dislikes": (
        "shellcheck", "deploy/a.sh", "#!/bin/sh\nrm -rf $1\n", "SC2086",
        "deploy/b.sh", "#!/bin/sh\nrm -rf \"$1\"\n"),
}


def lint(root, rule):
    done = subprocess.run([sys.executable, "-B", LINT, root, "--only", rule], capture_output=True, text=True, timeout=60,
                          check=False)
    return done.returncode, done.stdout


class LintFails(unittest.TestCase):
    def tree(self, name, content):
        root = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, root)
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(content)
        if name.endswith(".c"):
            with open(path[:-2] + ".h", "w", encoding="utf-8"):
                pass
        return root

    def check(self, rule, bad_name, bad, words, good_name, good):
        status, output = lint(self.tree(bad_name, bad), rule)
        if output.startswith("skip"):
            self.skipTest(output.strip().split(": ", 1)[1])
        self.assertEqual(status, 1, f"{rule} let the bad fixture pass: {output}")
        self.assertIn(words, output)
        status, output = lint(self.tree(good_name, good), rule)
        self.assertEqual(status, 0, f"{rule} refused the good fixture: {output}")


def make(case):
    return lambda self: self.check(*case)


for title, fixture in CASES.items():
    setattr(LintFails, f"test_{title}", make(fixture))

if __name__ == "__main__":
    unittest.main()
