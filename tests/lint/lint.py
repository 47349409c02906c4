"""What the compiler does not check: layers, banned calls, sizes, form. Run by tests/run.sh.

usage: lint.py [ROOT] [--only RULE]...

One line a rule: `ok RULE`, `not ok RULE` or `skip RULE: reason`, after the complaints, each with its place. Exits 1 when
any rule fails. Standard library only; clang-format-14, shellcheck and PyYAML are used where present. Each function
below is a rule; selftest.py shows that each can fail.
"""

import json
import os
import re
import shutil
import subprocess
import sys

LINES_MAX = 500

# Which folder may include from which, the closure of the link graph (gd_layer in the CMakeLists.txt files).
GPU_BASE = {"gpu/base"}
PROGRAM = GPU_BASE | {"gpu/program"}
DEVICE = GPU_BASE | {"gpu/device"}
LAYERS = {
    "gpu/base": GPU_BASE,
    "gpu/program": PROGRAM,
    "gpu/compile": PROGRAM | {"gpu/compile"},
    "gpu/cache": PROGRAM | {"gpu/cache"},
    "gpu/device": DEVICE | {"gpu/device/echo", "gpu/device/reference", "gpu/device/cuda"},
    "gpu/device/echo": DEVICE | {"gpu/device/echo"},
    "gpu/device/reference": DEVICE | {"gpu/device/reference"},
    "gpu/device/cuda": DEVICE | {"gpu/device/cuda"},
    "gpu/worker": DEVICE | {"gpu/worker"},
}
LAYERS["gpu/dispatch"] = set().union(PROGRAM, DEVICE, {"gpu/compile", "gpu/cache", "gpu/worker", "gpu/dispatch"})
GPU = set(LAYERS)
LAYERS["api"] = GPU | {"api"}
LAYERS["server"] = GPU | {"api", "server"}
LAYERS["client"] = GPU_BASE | {"client"}

# Libraries, by the folders that alone may include them.
LIBRARIES = {"microhttpd.h": ("server",), "jansson.h": ("api", "client"), "curl/": ("client",)}

BANNED = ("strcpy", "strcat", "sprintf", "vsprintf", "atoi", "atol", "atoll", "atof", "strtok", "gets", "alloca",
          "strcpya", "strdupa")
UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX)\b")
MACHINE = re.compile(r"(?<![\w.])/(?:wo" r"rk|home)/[a-z]|(?<![\w.])/ro" r"ot/[a-z.]|deb\.deb" r"ian\.org|py" r"pi\.org|pythonhos" r"ted")
C_CODE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
TEXT = (".c", ".h", ".cu", ".py", ".sh", ".md", ".yaml", ".yml", ".json", ".txt", ".cmake", ".lua", "")


class Tree:
    def __init__(self, root):
        self.root = root
        listed = subprocess.run(["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                                capture_output=True, text=True, check=False)
        if listed.returncode == 0 and os.path.exists(os.path.join(root, ".git")):
            names = listed.stdout.split("\0")
        else:
            names = []
            for folder, folders, files in os.walk(root):
                folders[:] = [f for f in folders if f not in ("build", ".git", ".toolchain", "__pycache__")]
                names += [os.path.relpath(os.path.join(folder, f), root) for f in files]
        self.names = sorted(n for n in set(names) if n and os.path.isfile(os.path.join(root, n)))

    def having(self, *suffixes):
        return [n for n in self.names if n.endswith(suffixes)]

    def c_files(self):
        return self.having(".c", ".h")

    def text(self, name):
        with open(os.path.join(self.root, name), encoding="utf-8", errors="replace") as file:
            return file.read()


def blank(match):
    """Comments and literals become blanks; line breaks stay, so that line numbers do."""
    return re.sub(r"[^\n]", " ", match.group())


def code_of(text):
    return C_CODE.sub(blank, text)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def layer_of(folder):
    """The layer that a folder belongs to: its own, or the nearest above it; None outside of all."""
    while folder and folder not in LAYERS:
        folder = os.path.dirname(folder)
    return folder or None


def includes(tree):
    """Includes go one way: server, api, gpu, gpu/base; within gpu as the link graph says."""
    for name in tree.c_files():
        folder = os.path.dirname(name)
        if folder.split("/")[0] not in ("gpu", "api", "server", "client"):
            continue
        layer = layer_of(folder)
        if layer is None:
            yield f"{name}: the folder {folder} is no layer that tests/lint/lint.py knows"
            continue
        for number, line in enumerate(tree.text(name).split("\n"), 1):
            found = re.match(r'\s*#\s*include\s*([<"])([^>"]+)', line)
            if not found:
                continue
            path = found.group(2)
            if found.group(1) == '"' and layer_of(os.path.dirname(path)) not in LAYERS[layer]:
                yield f"{name}:{number}: {layer} may not include {path}"
            for library, homes in LIBRARIES.items():
                if path.startswith(library) and folder.split("/")[0] not in homes:
                    yield f"{name}:{number}: only {', '.join(homes)} may include {library}"


def own_header_first(tree):
    """foo.c includes foo.h first, which proves that foo.h stands alone."""
    for name in tree.having(".c"):
        own = name[:-2] + ".h"
        if own in tree.names:
            first = re.search(r'^\s*#\s*include\s*[<"]([^>"]+)', tree.text(name), re.M)
            if not first or first.group(1) not in (own, os.path.basename(own)):
                yield f"{name}: the first include should be {own}"


def banned_calls(tree):
    """Calls that invite overflow, and struct typedefs."""
    for name in tree.c_files():
        text = tree.text(name)
        code = code_of(text)
        for found in re.finditer(r"(?<![\w.>])(%s)\s*\(" % "|".join(BANNED), code):
            yield f"{name}:{line_of(code, found.start())}: {found.group(1)} is banned"
        for found in re.finditer(r"\btypedef\s+struct\b(?!\s+\w+\s*\*)", code):
            yield f"{name}:{line_of(code, found.start())}: structs are never typedef'd"
        for found in re.finditer(r"\b\w*scanf\s*\(", code):
            call = text[found.start():text.find(";", found.start())]
            if re.search(r"%l?(?:s|\[)", call):
                yield f"{name}:{line_of(code, found.start())}: scanf with an unbounded %s or %["


def file_size(tree):
    """No source file is over the limit, without exception."""
    for name in tree.having(".c", ".h", ".cu", ".py", ".sh"):
        lines = tree.text(name).count("\n")
        if lines > LINES_MAX:
            yield f"{name}: {lines} lines, {LINES_MAX} at most"


def header_form(tree):
    """Each header begins with the comment that explains it, and has a guard of its own."""
    guards = {}
    for name in tree.having(".h"):
        text = tree.text(name)
        if not text.startswith("/*") or text.find("*/") < 20:
            yield f"{name}: does not begin with a block comment that says what it is for"
        guard = re.search(r"^#ifndef (\w+)\n#define (\w+)$", text, re.M)
        wanted = re.sub(r"\W", "_", os.path.basename(name)).upper()
        if not guard or guard.group(1) != guard.group(2) or not re.fullmatch(rf"GD_\w*{wanted}", guard.group(1)):
            yield f"{name}: has no include guard GD_..._{wanted}"
        elif guard.group(1) in guards:
            yield f"{name}: has the same include guard as {guards[guard.group(1)]}"
        else:
            guards[guard.group(1)] = name


def unfinished(tree):
    """Nothing is left for later in the text."""
    for name in tree.names:
        if os.path.splitext(name)[1] in TEXT:
            for number, line in enumerate(tree.text(name).split("\n"), 1):
                if UNFINISHED.search(line):
                    yield f"{name}:{number}: {line.strip()[:80]}"


def machine_paths(tree):
    """No path of somebody's machine and no registry's host name."""
    for name in tree.names:
        if os.path.splitext(name)[1] in TEXT:
            for number, line in enumerate(tree.text(name).split("\n"), 1):
                if MACHINE.search(line):
                    yield f"{name}:{number}: {line.strip()[:80]}"


def data_files(tree):
    """JSON, YAML and Python can be parsed."""
    for name in tree.having(".json"):
        try:
            json.loads(tree.text(name))
        except ValueError as error:
            yield f"{name}: {error}"
    for name in tree.having(".py"):
        try:
            compile(tree.text(name), name, "exec")
        except SyntaxError as error:
            yield f"{name}: {error}"


def yaml_files(tree):
    """YAML can be parsed."""
    try:
        import yaml
    except ImportError:
        return "PyYAML (python3-yaml) is not installed"
    complaints = []
    for name in tree.having(".yaml", ".yml"):
        try:
            list(yaml.safe_load_all(tree.text(name)))
        except yaml.YAMLError as error:
            complaints.append(f"{name}: {error}")
    return complaints


def run_on(tree, command, names):
    """Complaints of a program that takes file names and exits non-zero when it has any."""
    if not names:
        return []
    done = subprocess.run(command + names, cwd=tree.root, capture_output=True, text=True, check=False)
    return [] if done.returncode == 0 else (done.stdout + done.stderr).strip().split("\n")


def clang_format(tree):
    """Layout is clang-format-14's; other versions differ in detail."""
    for program in ("clang-format-14", "clang-format"):
        found = shutil.which(program)
        if found and " 14." in subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout:
            said = run_on(tree, [found, "--dry-run", "-Werror"], tree.having(".c", ".h", ".cu"))
            return [line for line in said if "error:" in line]
    return "clang-format 14 is not installed"


def shell_scripts(tree):
    return tree.having(".sh") + [n for n in tree.names if n.startswith(".ci/")]


def shell_syntax(tree):
    """Every script is one that its shell can read; those for sh also by dash where it is sh."""
    for name in shell_scripts(tree):
        shell = "bash" if tree.text(name).split("\n", 1)[0].endswith("bash") else "sh"
        yield from run_on(tree, [shell, "-n"], [name])


def shellcheck(tree):
    """shellcheck has nothing to say."""
    if not shutil.which("shellcheck"):
        return "shellcheck is not installed"
    return run_on(tree, ["shellcheck", "-x"], shell_scripts(tree))


def packages(tree):
    """What the build looks for, deploy/lib.sh and tests/run.sh can install."""
    scripts = "".join(tree.text(n) for n in tree.names if n in ("deploy/lib.sh", "tests/run.sh"))
    for name in tree.having("CMakeLists.txt"):
        for found in re.finditer(r"pkg_check_modules\(\w+ (?:REQUIRED )?(?:IMPORTED_TARGET )?([\w.-]+)", tree.text(name)):
            if f"library_needs {found.group(1)} " not in scripts:
                yield f"{name}: deploy/lib.sh does not know {found.group(1)} (library_needs MODULE PACKAGE)"


RULES = (includes, own_header_first, banned_calls, file_size, header_form, unfinished, machine_paths, data_files,
         yaml_files, packages, clang_format, shell_syntax, shellcheck)


def main(arguments):
    only = [arguments[i + 1] for i, a in enumerate(arguments) if a == "--only"]
    roots = [a for i, a in enumerate(arguments) if a != "--only" and (i == 0 or arguments[i - 1] != "--only")]
    here = os.path.dirname(os.path.abspath(__file__))
    tree = Tree(os.path.abspath(roots[0]) if roots else os.path.dirname(os.path.dirname(here)))
    failed = False
    for rule in RULES:
        if only and rule.__name__ not in only:
            continue
        complaints = rule(tree)
        if isinstance(complaints, str):
            print(f"skip lint {rule.__name__}: {complaints}")
            continue
        complaints = list(complaints)
        for complaint in complaints:
            print(f"  {complaint}")
        print(f"{'not ok' if complaints else 'ok'} lint {rule.__name__}")
        failed = failed or bool(complaints)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
