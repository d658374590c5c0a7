"""Loss and gradients through gru_step.c are those of the plain model in f32, but for rounding."""

import copy
import math
import unittest

import torch

from training.models import gru_step, tiles
from training.models.gru import GruModel
from training.models.layers import Candidates, smoothed_cross_entropy
from training.tests.test_tiles import PAD, VOCABULARY, batch

CONFIG = {
    "vocab_size": VOCABULARY,
    "pad_token_id": PAD,
    "embedding_dim": 32,
    "hidden_dim": 64,
    "embedding_dropout": 0.0,
    "output_dropout": 0.0,
}
LENGTHS = [(3, 9), (1, 1), (7, 2), (12, 40), (35, 12), (3, 3), (5, 9)]


def model(**config):
    torch.manual_seed(1)
    made = GruModel({**CONFIG, **config})
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.4 / math.sqrt(CONFIG["hidden_dim"]))
    return made.train()


def plain_loss(model, source, target_in, target_out, candidates=None):
    real = target_out != PAD
    hidden = model(source, target_in)[real]
    weight, bias = model.output_layer()
    return smoothed_cross_entropy(hidden, weight, bias, target_out[real], 0.1, candidates)


@unittest.skipUnless(tiles.able(), "needs a C compiler and a CPU with AMX")
class EqualsThePlainModel(unittest.TestCase):
    def assert_alike(self, plain, fast):
        for (name, ours), theirs in zip(fast.named_parameters(), plain.parameters()):
            size = float(theirs.grad.norm())
            difference = float((ours.grad - theirs.grad).norm())
            self.assertLess(difference, 0.02 * size + 1e-4, name)
            cosine = float((ours.grad * theirs.grad).sum() / ours.grad.norm() / size)
            self.assertGreater(cosine, 0.999, name)

    def check(self, lengths, candidates=None):
        plain = model()
        fast = copy.deepcopy(plain)
        step = gru_step.Step(fast)
        for _ in range(2):  # the second time, what the first one left must be gone
            parts = batch(lengths)
            plain.zero_grad()
            torch.manual_seed(2)
            loss, likelihood = plain_loss(plain, *parts, candidates)
            loss.backward()
            torch.manual_seed(2)
            got = step(*parts, 0.1, candidates)
            self.assertAlmostEqual(got[0], loss.item(), delta=0.01 * loss.item())
            self.assertAlmostEqual(got[1], likelihood.item(), delta=0.01 * likelihood.item())
            self.assertEqual(got[2], sum(b for _, b in lengths))
            self.assert_alike(plain, fast)

    def test_sentences_of_all_lengths(self):
        self.check(LENGTHS)

    def test_more_rows_than_are_done_at_a_time(self):
        self.check(LENGTHS * 10)

    def test_one_sentence(self):
        self.check([(4, 6)])

    def test_sampled_softmax(self):
        counts = torch.arange(PAD)
        self.check(LENGTHS * 3, Candidates(counts, 40, 30))


@unittest.skipUnless(tiles.able(), "needs a C compiler and a CPU with AMX")
class Dropout(unittest.TestCase):
    def test_gradients_are_those_of_the_loss_with_the_same_masks(self):
        """The loss falls by what the gradient promises."""
        made = model(embedding_dropout=0.2, output_dropout=0.3)
        step = gru_step.Step(made)
        parts = batch(LENGTHS * 4)

        def loss():
            torch.manual_seed(3)
            return step(*parts, 0.1)[0]

        before = loss()
        gradients = step.flat.gradients.clone()
        rate = 0.02 / float(gradients.norm())
        step.flat.weights -= rate * gradients
        promised = rate * float(gradients.square().sum())
        self.assertAlmostEqual((before - loss()) / promised, 1, delta=0.1)

    def test_none_when_not_training(self):
        made = model(embedding_dropout=0.2, output_dropout=0.3).eval()
        parts = batch(LENGTHS)
        self.assertAlmostEqual(
            gru_step.Step(made)(*parts, 0.1)[0], plain_loss(made, *parts)[0].item(), delta=0.05
        )


if __name__ == "__main__":
    unittest.main()
