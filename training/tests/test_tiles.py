"""Loss and gradients through tiles.c are those of the plain model in f32, but for rounding."""

import copy
import math
import tempfile
import unittest
from pathlib import Path

import torch
from torch.nn import functional as F

from training.data.alignment import attention_loss
from training.models import tiles
from training.models.layers import Candidates, smoothed_cross_entropy
from training.models.transformer import Transformer

VOCABULARY = 203
PAD = VOCABULARY - 1
CONFIG = {
    "vocab_size": VOCABULARY,
    "pad_token_id": PAD,
    "d_model": 64,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 96,
    "decoder_ffn_dim": 160,
    "dropout": 0.0,
}


def model(**config):
    torch.manual_seed(1)
    made = Transformer({**CONFIG, **config})
    size = made.config["d_model"]
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if "shared" not in name:
                parameter.add_(torch.randn_like(parameter) * 0.4 / math.sqrt(size))
    return made.train()


def batch(lengths):
    """source, target_in, target_out of sentences with so many pieces."""
    source = torch.full((len(lengths), max(a for a, _ in lengths)), PAD)
    target = torch.full((len(lengths), max(b for _, b in lengths)), PAD)
    for row, (a, b) in enumerate(lengths):
        source[row, :a] = torch.randint(2, PAD, (a,))
        target[row, :b] = torch.randint(2, PAD, (b,))
        source[row, a - 1] = target[row, b - 1] = 0
    start = torch.full((len(lengths), 1), PAD)
    return source, torch.cat([start, target[:, :-1]], dim=1), target


def alignment(source, target_in, target_out):
    """Where some of the target's pieces come from, [batch, target, source]."""
    shares = torch.rand(*target_out.shape, source.shape[1])
    shares *= (source != PAD)[:, None, :] * (target_out % 3 > 0)[:, :, None]
    shares *= (target_out != PAD)[:, :, None]
    return shares / shares.sum(2, keepdim=True).clamp_min(1e-9)


BATCHES = {
    "short": [(3, 2), (5, 6), (1, 1), (9, 12), (7, 4), (20, 25), (16, 16), (17, 15)],
    "one block": [(32, 32), (32, 31), (31, 32)],
    "long": [(120, 119), (33, 40), (70, 2), (2, 70)],
    "single": [(4, 5)],
}


def plain_gradients(plain, source, target_in, target_out, smoothing, candidates, guide):
    hidden, attentions = plain(source, target_in, guided=True)
    real = target_out != PAD
    weight, bias = plain.output_layer()
    loss, likelihood = smoothed_cross_entropy(
        hidden[real], weight, bias, target_out[real], smoothing, candidates
    )
    found, guide_loss = loss.item(), 0.0
    if guide:
        wanted, weight = guide
        guided = sum(attention_loss(wanted, attention) for attention in attentions)
        guide_loss = guided.item() / len(attentions)
        loss = loss + weight / len(attentions) * guided
    plain.zero_grad()
    loss.backward()
    return found, likelihood.item(), guide_loss


@unittest.skipUnless(tiles.able(), "needs a C compiler and a CPU with AMX")
class EqualsPlain(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        tiles.begin()

    def check(self, plain, lengths, smoothing=0.1, candidates=None, guided=False):
        torch.manual_seed(5)
        step, data = tiles.Step(copy.deepcopy(plain)), batch(lengths)
        guide = (alignment(*data), 0.5) if guided else None
        for _ in range(2):  # the second time buffers hold what the first left
            torch.manual_seed(6)
            found = step(*data, smoothing, candidates, guide)
            torch.manual_seed(6)
            wanted = plain_gradients(plain, *data, smoothing, candidates, guide)
            self.assertLess(abs(step.guide_loss - wanted[2]), 0.01 * wanted[2] + 1e-6)
            self.assertLess(abs(found[0] - wanted[0]), 0.01 * wanted[0])
            self.assertLess(abs(found[1] - wanted[1]), 0.01 * wanted[1])
            self.assertEqual(found[2], sum(b for _, b in lengths))
            largest = max(float(p.grad.norm()) for p in plain.parameters())
            pairs = zip(plain.named_parameters(), step.model.parameters())
            for (name, parameter), other in pairs:
                a, b = parameter.grad.flatten(), other.grad.flatten()
                # The keys' bias changes nothing: its gradient is rounding and no more.
                if float(a.norm()) < 1e-5 * largest:
                    self.assertLess(float(b.norm()), 1e-2 * largest, name)
                    continue
                self.assertGreater(float(F.cosine_similarity(a, b, 0)), 0.995, name)
                self.assertLess(abs(float(b.norm() / a.norm()) - 1), 0.05, name)

    def test_gradients(self):
        for name, lengths in BATCHES.items():
            with self.subTest(name):
                self.check(model(), lengths)

    def test_gradients_with_a_guide(self):
        # Not of a single sentence, where rounding is 6 % of some gradients.
        for name in ("short", "one block", "long"):
            with self.subTest(name):
                self.check(model(), BATCHES[name], guided=True)

    def test_gradients_with_candidates(self):
        counts = torch.arange(PAD).flip(0)
        self.check(model(), BATCHES["short"], candidates=Candidates(counts, 90, 30))

    def test_gradients_of_the_real_size(self):
        config = {"d_model": 256, "encoder_ffn_dim": 1024, "decoder_ffn_dim": 2048}
        config.update(encoder_attention_heads=8, decoder_attention_heads=8)
        self.check(model(**config), BATCHES["short"] * 10)

    def test_dropout(self):
        plain = model(dropout=0.25)
        step, data = tiles.Step(plain), batch(BATCHES["short"] * 8)
        torch.manual_seed(7)
        step(*data, 0.1)
        mask = step.buffers["source kept"]
        rows = int((data[0] != PAD).sum())
        count = rows * CONFIG["d_model"]
        kept = sum(bin(word & 0xFFFFFFFF).count("1") for word in mask[: count // 32].tolist())
        self.assertLess(abs(kept / count - 0.75), 0.01)
        # The same random numbers, the same loss; and the gradient leads down.
        torch.manual_seed(7)
        before = step(*data, 0.1)[0]
        norm = float(sum(p.grad.square().sum() for p in plain.parameters()))
        with torch.no_grad():
            for parameter in plain.parameters():
                parameter.sub_(parameter.grad, alpha=1e-2 / math.sqrt(norm))
        torch.manual_seed(7)
        after = step(*data, 0.1)[0]
        self.assertAlmostEqual((before - after) / (1e-2 * math.sqrt(norm)), 1, delta=0.1)

    def test_optimiser(self):
        torch.manual_seed(8)
        plain = model()
        other = copy.deepcopy(plain)
        make = {"lr": 1e-3, "betas": (0.9, 0.98), "eps": 1e-9}
        wanted = torch.optim.Adam(plain.parameters(), fused=True, **make)
        optimiser = torch.optim.Adam(other.parameters(), fused=True, **make)
        average = [p.detach().clone() for p in other.parameters()]
        plain_average = [a.clone() for a in average]
        adam = None
        for index in range(4):
            gradients = [torch.randn_like(p) for p in plain.parameters()]
            if index == 1:
                # A checkpoint of PyTorch's optimiser is where this one goes on.
                flat = tiles.Flat(other)
                adam = tiles.Adam(flat, optimiser, average)
            for p, q, gradient in zip(plain.parameters(), other.parameters(), gradients):
                p.grad = gradient.clone()
                if adam is None:
                    q.grad = gradient.clone()
                else:
                    q.grad.copy_(gradient)
            torch.nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
            wanted.step()
            torch._foreach_lerp_(plain_average, [p.data for p in plain.parameters()], 0.1)
            if adam is None:
                torch.nn.utils.clip_grad_norm_(other.parameters(), 1.0)
                optimiser.step()
                torch._foreach_lerp_(average, [p.data for p in other.parameters()], 0.1)
            else:
                adam.step(1e-3, 1.0, 0.1)
        # And the other way round.
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "state.pt"
            torch.save(optimiser.state_dict(), path)
            loaded = torch.load(path, weights_only=False)
        for key, state in wanted.state_dict()["state"].items():
            for name, value in state.items():
                torch.testing.assert_close(loaded["state"][key][name], value)
        for pair in zip(plain.parameters(), other.parameters()):
            torch.testing.assert_close(*pair)
        for pair in zip(plain_average, average):
            torch.testing.assert_close(*pair)


if __name__ == "__main__":
    unittest.main()
