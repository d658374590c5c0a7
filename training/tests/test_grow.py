"""Larger checkpoints begin where the smaller ones are, and parallel runs meet in the middle."""

import unittest

import torch

from training.models.transformer import Transformer
from training.tools.grow import grow
from training.tools.meet import meet

PAD = 49


def model():
    torch.manual_seed(1)
    sizes = {"d_model": 32, "encoder_layers": 2, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64}
    return Transformer({"vocab_size": PAD + 1, "pad_token_id": PAD, **sizes}).eval()


def sentences():
    source = torch.randint(2, PAD, (200, 9))
    source[::2, 6:] = PAD
    return source


class Grow(unittest.TestCase):
    def outputs(self, some):
        torch.manual_seed(2)
        source, target = sentences()[:20], torch.randint(2, PAD, (20, 7))
        with torch.no_grad():
            return some(source, target)

    def test_wider_feed_forward_layers_change_nothing(self):
        small = model()
        grown = grow(small, sentences(), 2, 96, 128)
        self.assertEqual(grown.model.encoder.layers[0].fc1.out_features, 96)
        self.assertEqual(grown.model.decoder.layers[0].fc1.out_features, 128)
        torch.testing.assert_close(self.outputs(grown), self.outputs(small), atol=1e-5, rtol=0)

    def test_new_encoder_layers_hand_on_what_they_get(self):
        small = model()
        grown = grow(small, sentences(), 4, None, None)
        self.assertEqual(len(grown.model.encoder.layers), 4)
        error = (self.outputs(grown) - self.outputs(small)).pow(2).mean().sqrt()
        self.assertLess(float(error), 0.1)  # of outputs whose standard deviation is 1

    def test_the_new_checkpoint_can_be_loaded_by_its_config(self):
        grown = grow(model(), sentences(), 3, 96, 128)
        Transformer(grown.config).load_state_dict(grown.state_dict())


class Meet(unittest.TestCase):
    def test_weights_and_moments_become_the_mean_and_the_rest_stays(self):
        states = [
            {
                "model": {"w": torch.full((2,), float(n))},
                "average": [torch.full((2,), 2.0 * n)],
                "step": 100 + n,
                "optimiser": {"state": {0: {"exp_avg": torch.tensor(float(n))}}, "param_groups": n},
                "position": (n, 0, 0),
            }
            for n in (1, 3)
        ]
        first, second = meet(states)
        for state in (first, second):
            self.assertEqual(state["model"]["w"].tolist(), [2.0, 2.0])
            self.assertEqual(state["average"][0].tolist(), [4.0, 4.0])
            self.assertEqual(float(state["optimiser"]["state"][0]["exp_avg"]), 2.0)
            self.assertEqual(state["step"], 102)
        self.assertEqual(first["position"], (1, 0, 0))
        self.assertEqual(second["optimiser"]["param_groups"], 3)


if __name__ == "__main__":
    unittest.main()
