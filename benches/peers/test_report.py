"""Tests of what needs neither a model nor a peer: `python -m unittest discover -s benches/peers`."""

import tempfile
import unittest
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import charts
import report
import rows


def result(row: rows.Row, **changes) -> dict:
    """A made-up measurement of a row."""
    about = dict(date="2026-01-02", machine="2 cores of a processor", kernels=row.kernels or "AVX2", versions={"translate": "0.1.0"})
    numbers = dict(ours=200.0, theirs=100.0, ratio=9.0, spread=[8.5, 9.5], memory=[30, 100], foreign=0.0, rounds=5)
    if row.kind == "start":
        numbers["ours"] = 20.0
    return about | numbers | dict(setting=["--inter", "2", "--intra", "1"]) | changes


class Rows(unittest.TestCase):
    def test_names_are_unique(self):
        names = [row.name for row in [*rows.every(), *rows.SERIES]]
        self.assertEqual(len(names), len(set(names)))

    def test_aims_lie_beyond_what_must_be_reached(self):
        for row in rows.every():
            if row.must is not None:
                self.assertTrue(row.aim < row.must if row.kind == "start" else row.aim > row.must, row.name)

    def test_variables_of_the_environment_are_told_from_options(self):
        found = rows.variables(["--batch", "1", "CT2_FORCE_CPU_ISA=AVX2"])
        self.assertEqual(found, ({"CT2_FORCE_CPU_ISA": "AVX2"}, ["--batch", "1"]))

    def test_the_best_setting_is_found_one_choice_after_the_other(self):
        asked = []

        def speed(setting):
            asked.append(setting)
            return {"a": 1, "b": 2, "c": 1, "d": 3}[setting[0]] + (setting[-1] == "y")

        best, tried = rows.best_choice([[["a"], ["b"], ["c"]], [["x"], ["y"]]], speed)
        self.assertEqual((best, tried), (["b", "y"], len(asked)))
        self.assertEqual(asked, [["a", "x"], ["b", "x"], ["c", "x"], ["b", "y"]])

    def test_one_choice_needs_no_trial(self):
        self.assertEqual(rows.best_choice([[["a"]], [[]]], None), (["a"], 0))

    def test_rounds_shrink_with_the_time_but_not_below_three(self):
        self.assertEqual(rows.rounds_that_fit([10, 20], 150, 5), 5)
        self.assertEqual(rows.rounds_that_fit([10, 20], 125, 5), 4)
        self.assertEqual(rows.rounds_that_fit([10, 20], 30, 5), 3)
        self.assertEqual(rows.rounds_that_fit([10, 20], 30, 1), 1)


class Page(unittest.TestCase):
    def setUp(self):
        self.results = {row.name: result(row) for row in rows.every()}

    def test_rows_below_what_they_must_reach_are_listed(self):
        self.assertIn("Every row that was measured reaches what it must.", report.page(self.results))
        self.results["marian-f32-beam"] |= dict(ratio=1.25)
        self.results["start-builtin-int8"] |= dict(ours=1000.0)
        self.results["marian-f32-greedy"] |= dict(memory=[70, 100])
        page = report.page(self.results)
        self.assertIn("- OPUS-MT size, f32 beam 4, batch 32: 1.25 times CTranslate2 f32, where 1.4 must be reached.", page)
        most = next(row.must for row in rows.every() if row.name == "start-builtin-int8")
        self.assertIn(f"int8: 1000 ms to the first translation, where {most} are the most allowed.", page)
        self.assertIn("0.6 of the peer's is the most allowed: OPUS-MT size, f32 greedy, batch 64 0.70.", page)

    def test_a_row_says_what_it_does_not_share_with_the_others(self):
        self.results["gru-int8-greedy"] |= dict(date="2025-12-31", kernels="AMX", rounds=3, foreign=0.2)
        page = report.page(self.results)
        self.assertIn("GRU, int8 greedy, batch 64, 2025-12-31, kernels AMX, 3 rounds, *disturbed* |", page)
        self.assertEqual(page.count("kernels AMX"), 1)

    def test_what_is_not_measured_has_its_reason(self):
        self.results["marian-int16-greedy"] = dict(skipped="the program refuses it: no int16")
        self.assertIn("int16 greedy, batch 64, against CTranslate2 f32: the program refuses it: no int16.", report.page(self.results))

    def test_the_text_around_the_marks_stays(self):
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder) / "performance.md"
            page.write_text(f"before\n{report.BEGIN}old\n{report.END}after\n", encoding="utf8")
            report.write(dict(rows=self.results), Path(folder))
            text = page.read_text(encoding="utf8")
            self.assertTrue(text.startswith(f"before\n{report.BEGIN}") and text.endswith(f"{report.END}after\n"))
            self.assertNotIn("old\n", text)
            self.assertTrue((Path(folder) / "performance" / "start.svg").exists())


class Charts(unittest.TestCase):
    def assert_is_a_picture(self, picture: str):
        root = ElementTree.fromstring(picture)
        name = "{http://www.w3.org/2000/svg}"
        self.assertTrue(root.find(f"{name}title").text and root.find(f"{name}desc").text)

    def test_lines_and_bars_are_xml_with_a_title_and_a_description(self):
        series = [dict(name="ours & <more>", side="ours", dash=1, points=[(1, 10.0), (128, 5000.0)])]
        self.assert_is_a_picture(charts.lines("A & B", "batch", "tokens/s", series, logarithmic=True))
        self.assert_is_a_picture(charts.bars("Start", "ms", [("int8 <x>", 30.4, 60.0)]))

    def test_ticks_are_round_and_reach_the_largest(self):
        self.assertEqual(charts.ticks(5000), [0, 1000, 2000, 3000, 4000, 5000])
        self.assertEqual(charts.ticks(60), [0, 10, 20, 30, 40, 50, 60])
        self.assertGreaterEqual(charts.ticks(0.7)[-1], 0.7)


if __name__ == "__main__":
    unittest.main()
