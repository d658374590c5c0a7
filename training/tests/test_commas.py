"""The network for commas learns from texts as the program reads them, and its file is as long as the program expects."""

import tempfile
import unittest
from collections import Counter
from pathlib import Path

from training.tools.commas import UNKNOWN_CASE, Encoder, Network, frequent, hashed, write


class CommasTest(unittest.TestCase):
    def test_commas_are_taken_out_and_remembered(self):
        rows = Encoder(["ich", "glaube", "0", "ja"])("Ja, ich glaube „3,5“, ja.")
        words, _, cases, may, commas = zip(*rows)
        # Ja ich glaube „ 3 , 5 “ ja .
        self.assertEqual(words, (4, 1, 2, 0, 3, 0, 3, 0, 4, 0))
        self.assertEqual(cases, (1, 0, 0, 0, 0, 0, 0, 0, 0, 0))
        self.assertEqual(may, (1, 1, 1, 0, 0, 0, 0, 1, 0, 0))
        self.assertEqual(commas, (1, 0, 0, 0, 0, 0, 0, 1, 0, 0))

    def test_a_line_without_capitals_has_no_case(self):
        _, _, cases, _, _ = zip(*Encoder([])("ich glaube"))
        self.assertEqual(cases, (UNKNOWN_CASE, UNKNOWN_CASE))

    def test_frequent_words_are_sorted_by_their_hashes_and_english_ones_left_out(self):
        words = frequent({"der der the Hund": 1.0}, Counter({"the": 50, "der": 1}))
        self.assertEqual(words, sorted(["der", "hund"], key=hashed))

    def test_the_file_has_the_size_the_program_expects(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "commas.bin"
            write(path, Network(), ["der"])
            self.assertEqual(path.stat().st_size, 251976)
            self.assertEqual(path.read_bytes()[:8], b"commas 1")


if __name__ == "__main__":
    unittest.main()
