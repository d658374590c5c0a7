"""What counts as empty, repeated or runaway output; which lines are taken; odd lines come again the same."""

import contextlib
import io
import json
import tempfile
import unittest
from argparse import Namespace
from pathlib import Path

from training.tools import quality


class QualityTest(unittest.TestCase):
    def test_faults_of_outputs(self):
        self.assertEqual(quality.fault("Hallo", " "), "empty")
        self.assertEqual(quality.fault("Hallo du", "you you you you"), "repeated")
        self.assertEqual(quality.fault("Hallo du", "to the to the to the to the end"), "repeated")
        self.assertEqual(quality.fault("Hallo", "x" * 60), "runaway")

    def test_what_is_no_fault(self):
        self.assertIsNone(quality.fault("", ""))
        self.assertIsNone(quality.fault("Hallo du", "hello you"))
        self.assertIsNone(quality.fault("ha ha ha ha", "ha ha ha ha"))

    def test_a_part_of_a_set_is_from_all_over_it(self):
        german, english = [str(n) for n in range(10)], [str(n) for n in range(10, 20)]
        self.assertEqual(quality.every([german, english], 3), [["0", "3", "6"], ["10", "13", "16"]])
        self.assertEqual(quality.every([german, english], None), [german, english])

    def test_odd_lines_are_the_same_every_time_and_never_empty(self):
        with tempfile.TemporaryDirectory() as directory:
            run = Path(directory)
            (run / "data").mkdir()
            for name in quality.ODD_SOURCES:
                text = "Das ist ein Hund.\tThis is a dog.\nGuten Tag!\tHello!\n"
                (run / "data" / f"{name}.tsv").write_text(text, encoding="utf-8")
            once, again = quality.odd_lines(run, 300), quality.odd_lines(run, 300)
        self.assertEqual((once, len(once)), (again, 300))
        self.assertTrue(all(line.strip() and "\n" not in line for line in once))

    def test_a_fault_that_is_reported_is_told_from_one_that_is_not(self):
        outputs = iter([("", False), ("no no no no", False), ("go go go go", True), ("fine", True)])

        def program(lines, *options):
            for translation, looping in outputs:
                line = {"translation": translation, "truncated": False, "looping": looping}
                yield json.dumps(line)

        said = io.StringIO()
        with tempfile.TemporaryDirectory() as directory, contextlib.redirect_stdout(said):
            run = Path(directory)
            (run / "data").mkdir()
            for name in quality.ODD_SOURCES:
                text = "Das ist ein Hund.\tThis is a dog.\n"
                (run / "data" / f"{name}.tsv").write_text(text, encoding="utf-8")
            quality.report_odd(program, Namespace(run=run, odd=4, verbose=False))
        results = [line.split(" | ")[-1] for line in said.getvalue().splitlines()]
        self.assertEqual(results[0], "1, 1 of them not reported |")
        self.assertEqual(results[1], "2, 1 of them not reported |")
        self.assertEqual(results[3], "2 |")

    def test_the_generators_of_the_program_s_own_tests_are_found(self):
        made = quality.generators()
        self.assertTrue(
            all(hasattr(made, name) for name in ("numbers", "copies", "symbols", "bare"))
        )


if __name__ == "__main__":
    unittest.main()
