"""A run knows its language pair; what is made for German stays with German, and says so."""

import contextlib
import io
import random
import tempfile
import unittest
from pathlib import Path

from training.data import noise
from training.data.pair import Pair, Source

ROOT = Path(__file__).parents[3]


class PairTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = Path(directory.name)

    def test_it_is_saved_and_read_again(self):
        pair = Pair("cs", "en", {"news": Source(0.5, tokenised=True)}, ["a-dev"], ["b-test"])
        pair.save(self.root)
        self.assertEqual(Pair.of(self.root), pair)
        self.assertEqual(pair.held_out, ["a-dev", "b-test"])

    def test_a_run_that_does_not_say_is_german_english(self):
        self.assertEqual(Pair.of(self.root), Pair.german_english())
        self.assertEqual(Pair.german_english().training["mlqe-pe"], Source(0.7, tokenised=True))

    def test_the_card_says_the_licence_of_every_source(self):
        card = (ROOT / "models/transformer/README.md").read_text(encoding="utf-8")
        table = card[card.index("| source |") : card.index("`vocab/spellings.txt`")]
        pair = Pair.german_english()
        for name in [*pair.training, *pair.monolingual]:
            self.assertIn(f"`{name.removesuffix('-marked')}`", table)

    def test_names_of_files_say_what_a_text_is_for(self):
        for name in ("news", "talks-dev", "talks-test", "web-mono"):
            for language in ("cs", "en"):
                (self.root / f"{name}.{language}.gz").touch()
        (self.root / "lonely.cs.gz").touch()
        pair = Pair.found_in(self.root, "cs", "en")
        self.assertEqual(pair.training, {"news": Source()})
        held = pair.development, pair.test, pair.monolingual
        self.assertEqual(held, (["talks-dev"], ["talks-test"], ["web-mono"]))
        with self.assertRaises(SystemExit):
            Pair.found_in(self.root, "cs", "fr")

    def test_what_is_made_for_german_is_skipped_with_a_line(self):
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            self.assertTrue(Pair("cs", "en").skips("phrases"))
            self.assertTrue(Pair("de", "fr").skips("phrases"))
            self.assertFalse(Pair("de", "en").skips("phrases"))
            self.assertFalse(Pair("de", "fr").skips("spellings", target=None))
        lines = said.getvalue().splitlines()
        self.assertEqual(lines[0], "phrases: skipped, made for de-en and not for cs-en")
        self.assertEqual(len(lines), 2)

    def test_other_languages_get_no_umlauts_and_no_german_quotation_marks(self):
        self.assertIs(noise.kinds("de", "en"), noise.KINDS)
        for pair in (("cs", "en"), ("en", "de")):
            kinds = noise.kinds(*pair)
            self.assertFalse(set(noise.OF_GERMAN) & set(kinds))
            order = random.Random(1)
            lines = [noise.spoil("Größe, bitte", "size", order, kinds)[0] for _ in range(500)]
            self.assertFalse(any("„" in line or "Groesse" in line for line in lines))
        self.assertIn(noise.umlauts_as_two_letters, noise.kinds("de", "fr"))


if __name__ == "__main__":
    unittest.main()
