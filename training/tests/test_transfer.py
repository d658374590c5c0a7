"""A model with another vocabulary: known pieces keep their rows, new ones are made of the old pieces."""

import unittest
from pathlib import Path

import torch

from training.data.vocabulary import Vocabulary
from training.tools.transfer import Cutter, exchange, transfer

ROOT = Path(__file__).parent.parent.parent


class Pieces:
    """A vocabulary of a few pieces, as far as `Cutter` and `exchange` look at one."""

    def __init__(self, *pieces):
        self.pieces = ["</s>", "<unk>"] + [f"<0x{byte:02X}>" for byte in range(256)] + list(pieces)
        self.processor = self
        self.pad = len(self.pieces)
        self.size = self.pad + 1
        self.get_piece_size = lambda: self.pad
        self.is_control = lambda index: index == 0
        self.is_unknown = lambda index: index == 1
        self.is_byte = lambda index: 2 <= index < 258
        self.get_score = lambda index: -float(index - 257)
        self.id_to_piece = lambda index: self.pieces[index]
        self.piece_to_id = lambda piece: self.pieces.index(piece) if piece in self.pieces else 1


class TransferTest(unittest.TestCase):
    def test_text_is_cut_as_sentencepiece_cuts_it(self):
        vocabulary = Vocabulary(ROOT / "vocab")
        cut = Cutter(vocabulary)
        for text in ("Die Kinder spielen im Schnee.", "Hustensaft", "the neighbourhood"):
            ids = vocabulary.processor.encode(text)
            self.assertEqual(cut("▁" + text.replace(" ", "▁")), ids)

    def test_letters_the_vocabulary_lacks_are_bytes(self):
        self.assertEqual(Cutter(Pieces("a", "b"))("aé"), [258, 2 + 0xC3, 2 + 0xA9])

    def test_known_pieces_keep_their_rows_and_new_ones_are_near_their_parts(self):
        old, new = Pieces("ab", "c", "d"), Pieces("d", "abc")
        torch.manual_seed(1)
        weight, bias = torch.randn(old.size, 8), torch.randn(old.size - 1)
        rows, biases, made = exchange(weight, bias, old, new)
        self.assertEqual((made, rows.shape), (1, (new.size, 8)))
        self.assertTrue(torch.equal(rows[258], weight[260]) and biases[258] == bias[260])
        wanted = 0.5 * weight[258] + 0.5 * weight[258:260].mean(0)
        self.assertAlmostEqual(float(torch.cosine_similarity(rows[259], wanted, 0)), 1.0, places=5)
        self.assertTrue(bool((rows[new.pad] == 0).all()))

    def test_with_its_own_vocabulary_a_model_stays_what_it_was(self):
        moved, made = transfer(ROOT / "models/transformer", ROOT / "models/transformer")
        self.assertEqual(made, 0)
        from training.tools.evaluate import load_directory

        model, _ = load_directory(ROOT / "models/transformer")
        for (name, before), after in zip(model.state_dict().items(), moved.state_dict().values()):
            self.assertTrue(torch.equal(before[: model.pad], after[: model.pad]), name)


if __name__ == "__main__":
    unittest.main()
