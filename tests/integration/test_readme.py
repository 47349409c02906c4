"""README.md's walk-through works as it is printed.

Its fenced blocks marked `sh walkthrough` are run in order by one shell, in a folder where examples/ is, with the
address replaced by the test server's. A block marked `text` right after one is what it prints: `…` stands for anything.
"""

import os
import re
import shutil
import subprocess
import tempfile
import unittest

import service

ADDRESS = "http://127.0.0.1:8080"
BLOCK = re.compile(r"```(sh walkthrough|text)\n(.*?)```", re.S)


def steps():
    """[(command, expected output or None), ...] in README order."""
    with open(os.path.join(service.ROOT, "README.md"), encoding="utf-8") as file:
        found = BLOCK.findall(file.read())
    result = []
    for kind, text in found:
        if kind == "text":
            if result:
                result[-1] = (result[-1][0], text)
        else:
            result.append((text, None))
    return result


def pattern(expected):
    """Blanks at line ends and between words do not matter; `…` matches anything, across lines too."""
    words = [".*".join(re.escape(piece) for piece in word.split("…")) for word in expected.split()]
    return re.compile(r"\s*" + r"\s+".join(words) + r"\s*", re.S)


class Readme(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = service.Service()

    @classmethod
    def tearDownClass(cls):
        cls.service.stop()

    def test_the_walk_through_prints_what_the_readme_says(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        os.symlink(os.path.join(service.ROOT, "examples"), os.path.join(folder, "examples"))
        commands = steps()
        self.assertGreaterEqual(len(commands), 5, "README.md has lost its walk-through")
        script = "set -eu\n" + "".join(f"{command}\nprintf '\\036'\n" for command, _ in commands)
        done = subprocess.run(["sh"], input=script.replace(ADDRESS, self.service.url), cwd=folder, text=True,
                              capture_output=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 0, f"{done.stdout}\n{done.stderr}")
        outputs = done.stdout.split("\036")
        for (command, expected), output in zip(commands, outputs):
            if expected is not None:
                self.assertRegex(output, re.compile(rf"\A{pattern(expected).pattern}\Z", re.S), f"after: {command}")


if __name__ == "__main__":
    unittest.main()
