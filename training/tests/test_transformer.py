"""The Transformer of training equals transformers.MarianMTModel: logits and translations.

python -m unittest discover -s training/tests -t .
"""

import json
import tempfile
import unittest
from pathlib import Path

import torch
from transformers import MarianMTModel

from training.models.search import beam, greedy
from training.models.transformer import Transformer
from training.tools.export import export

VOCABULARY = 50
PAD = VOCABULARY - 1


def padded_batch():
    torch.manual_seed(3)
    source = torch.randint(2, PAD, (12, 9))
    for row in range(12):
        length = 2 + row % 8
        source[row, length - 1] = 0
        source[row, length:] = PAD
    return source


class EqualsHuggingFace(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        torch.manual_seed(1)
        cls.ours = Transformer(
            {
                "vocab_size": VOCABULARY,
                "pad_token_id": PAD,
                "d_model": 32,
                "encoder_layers": 2,
                "decoder_layers": 2,
                "encoder_attention_heads": 4,
                "decoder_attention_heads": 4,
                "encoder_ffn_dim": 48,
                "decoder_ffn_dim": 48,
            }
        ).eval()
        with torch.no_grad():
            for name, parameter in cls.ours.named_parameters():
                if "shared" not in name:
                    parameter.add_(torch.randn_like(parameter) * 0.1)
            # What is written as f16 must be what is compared.
            for parameter in cls.ours.parameters():
                parameter.copy_(parameter.half().float())
        cls.directory = tempfile.TemporaryDirectory()
        export("transformer", cls.ours, cls.directory.name, "vocab", 5, 1.0)
        cls.theirs = MarianMTModel.from_pretrained(cls.directory.name, dtype=torch.float32).eval()

    @classmethod
    def tearDownClass(cls):
        cls.directory.cleanup()

    def test_logits(self):
        source = padded_batch()
        target = torch.randint(2, PAD, (12, 7))
        target[:, 0] = PAD
        with torch.no_grad():
            weight, bias = self.ours.output_layer()
            ours = self.ours(source, target) @ weight.t() + bias
            theirs = self.theirs(
                input_ids=source,
                attention_mask=(source != PAD).long(),
                decoder_input_ids=target,
                # The first token is <pad> and still counts.
                decoder_attention_mask=torch.ones_like(target),
            ).logits
        self.assertLess((ours - theirs[:, :, :PAD]).abs().max().item(), 1e-4)
        self.assertEqual(theirs[:, :, PAD].abs().max().item(), 0.0)

    def generate(self, beams):
        source = padded_batch()
        outputs = self.theirs.generate(
            input_ids=source,
            attention_mask=(source != PAD).long(),
            num_beams=beams,
            max_length=16,
        )
        translations = []
        for row in outputs.tolist():
            tokens = row[1:]
            translations.append(tokens[: tokens.index(0) + 1])
        return translations

    def test_greedy(self):
        # Hugging Face counts the start token in max_length.
        self.assertEqual(greedy(self.ours, padded_batch(), 15), self.generate(1))

    def test_beam(self):
        self.assertEqual(beam(self.ours, padded_batch(), 15, 5, 1.0), self.generate(5))

    def test_generation_config(self):
        path = Path(self.directory.name) / "generation_config.json"
        self.assertEqual(json.loads(path.read_text())["bad_words_ids"], [[PAD]])


if __name__ == "__main__":
    unittest.main()
