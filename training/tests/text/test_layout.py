"""The parts of the package look one way: tools on models and data, models on data. Every command is listed."""

import ast
import unittest
from pathlib import Path

from training.__main__ import commands

PACKAGE = Path(__file__).parents[2]
BELOW = {"data": {"data"}, "models": {"data", "models"}, "tools": {"data", "models", "tools"}}


def parts_imported(path):
    """The sub-packages that a module of a sub-package imports from."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            names = [node.module] if node.module else [alias.name for alias in node.names]
            for name in names:
                yield path.parent.name if node.level == 1 else name.split(".")[0]


class LayoutTest(unittest.TestCase):
    def test_imports_go_down(self):
        for part, allowed in BELOW.items():
            for path in (PACKAGE / part).glob("*.py"):
                self.assertLessEqual(set(parts_imported(path)), allowed, path.name)

    def test_data_can_be_prepared_without_pytorch(self):
        with_it = {"alignment.py", "batches.py"}
        for path in (PACKAGE / "data").glob("*.py"):
            if path.name not in with_it:
                self.assertNotIn("\nimport torch", path.read_text(encoding="utf-8"), path.name)

    def test_commands_have_a_line_each_and_names_of_their_own(self):
        known = commands()
        self.assertLessEqual({"corpus", "vocabulary", "train", "export", "quality"}, set(known))
        modules = [path.stem for part in BELOW for path in (PACKAGE / part).glob("[a-z]*.py")]
        self.assertEqual(len(modules), len(set(modules)))
        self.assertTrue(all(about.endswith(".") for _, about in known.values()))


if __name__ == "__main__":
    unittest.main()
