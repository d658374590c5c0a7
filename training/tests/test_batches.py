"""The stream of batches: it goes on where it was, draws by weight, and spoils the same pairs again."""

import tempfile
import unittest
from itertools import islice
from pathlib import Path

import torch

from training.data.batches import Stream
from training.data.pair import Pair
from training.data.vocabulary import Vocabulary

ROOT = Path(__file__).parent.parent.parent
NO_OTHERS = dict.fromkeys(Pair.german_english().training, 0)


class StreamTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.run_directory = Path(directory.name)
        (self.run_directory / "data").mkdir()
        self.vocabulary = Vocabulary(ROOT / "vocab")
        self.write("ours", [f"Ich habe {n} Hunde.\tI have {n} dogs." for n in range(40)])

    def write(self, name, lines):
        text = "".join(line + "\n" for line in lines)
        (self.run_directory / "data" / f"{name}.tsv").write_text(text, encoding="utf-8")

    def stream(self, weight=1.0, **options):
        weights = {**NO_OTHERS, "ours": weight}
        return Stream(self.run_directory, self.vocabulary, 200, 1, weights, **options)

    def sentences(self, stream, batches, part=0):
        drawn = [batch[part] for batch in islice(iter(stream), batches)]
        return [self.vocabulary.decode(row.tolist()) for batch in drawn for row in batch]

    def test_it_goes_on_where_it_was(self):
        stream = self.stream(noise=0.5)
        all_at_once = self.sentences(self.stream(noise=0.5), 6)
        first = self.sentences(stream, 3)
        again = self.stream(noise=0.5)
        again.position = stream.position
        self.assertEqual(first + self.sentences(again, 3), all_at_once)

    def test_a_weight_says_how_often_a_pair_comes(self):
        for weight, count in ((0.5, 20), (1, 40), (2.25, 90)):
            self.assertEqual(len(self.stream(weight)._epoch(0)), count)

    def test_reverse_exchanges_the_sides(self):
        self.assertTrue(self.sentences(self.stream(reverse=True), 1)[0].startswith("I have"))
        self.assertTrue(self.sentences(self.stream(), 1)[0].startswith("Ich habe"))

    def test_some_pairs_are_spoilt(self):
        clean = self.sentences(self.stream(), 8)
        spoilt = self.sentences(self.stream(noise=0.5), 8)
        self.assertTrue(all(line.startswith("Ich habe") for line in clean))
        self.assertTrue(any(not line.startswith("Ich habe") for line in spoilt))

    def test_the_decoder_begins_with_padding_and_is_one_behind(self):
        _, target_in, target_out = next(iter(self.stream()))
        self.assertTrue(bool((target_in[:, 0] == self.vocabulary.pad).all()))
        self.assertTrue(torch.equal(target_in[:, 1:], target_out[:, :-1]))


if __name__ == "__main__":
    unittest.main()
