"""The phrases become a training source, and none is one of the sentences that judge the models."""

import tempfile
import unittest
from pathlib import Path

from training.data import phrases
from training.data.corpus import normalised
from training.data.pair import Pair


class Phrases(unittest.TestCase):
    def test_a_short_phrase_also_comes_without_full_stop_and_a_held_out_one_not_at_all(self):
        with tempfile.TemporaryDirectory() as directory:
            run = Path(directory)
            (run / "data").mkdir()
            for name in Pair.german_english().held_out:
                (run / "data" / f"{name}.de").write_text("Bis bald.\n", encoding="utf-8")
                (run / "data" / f"{name}.en").write_text("See you later!\n", encoding="utf-8")
            phrases.prepare(run)
            written = (run / "data" / "phrases.tsv").read_text(encoding="utf-8").splitlines()
        for pair in (
            "Frohe Ostern!\tHappy Easter!",
            "Frohe Ostern\tHappy Easter",
            "frohe ostern\tHappy Easter",
        ):
            self.assertIn(pair, written)
        for german in ("Bis bald!", "Bis später!"):
            self.assertNotIn(german, [line.split("\t")[0] for line in written])

    def test_each_phrase_is_a_pair_and_stands_once(self):
        pairs = phrases.phrases()
        self.assertEqual({len(pair) for pair in pairs}, {2})
        german = [pair[0] for pair in pairs]
        self.assertEqual(sorted(set(german)), sorted(german))

    def test_no_phrase_is_one_of_the_everyday_examples(self):
        examples = Path(__file__).parents[3] / "examples" / "everyday.de"
        everyday = set(map(normalised, examples.read_text(encoding="utf-8").splitlines()))
        self.assertEqual(everyday & {normalised(german) for german, _ in phrases.phrases()}, set())


if __name__ == "__main__":
    unittest.main()
