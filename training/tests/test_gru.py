"""The hand-written GRU equals the same model made of PyTorch's own modules, gradients included."""

import unittest

import torch
from torch import nn

from training.models.gru import GruModel
from training.models.search import beam, greedy

VOCABULARY = 40
PAD = VOCABULARY - 1


def plain(model, source, target):
    """Logits step by step, packed sequences, nothing precomputed: the textbook's way."""
    lengths = (source != PAD).sum(1)
    embedded = model.encoder.embedding(source).transpose(0, 1)
    packed = nn.utils.rnn.pack_padded_sequence(embedded, lengths, enforce_sorted=False)
    outputs, last = model.encoder.rnn(packed)
    outputs, _ = nn.utils.rnn.pad_packed_sequence(outputs, total_length=source.shape[1])
    state = torch.tanh(model.encoder.fc(torch.cat([last[0], last[1]], dim=1)))
    outputs = outputs.transpose(0, 1)
    logits = []
    for step in range(target.shape[1]):
        token = model.decoder.embedding(target[:, step])
        repeated = state.unsqueeze(1).expand(-1, source.shape[1], -1)
        attention = model.decoder.attention
        energy = torch.tanh(attention.attn_fc(torch.cat([repeated, outputs], dim=2)))
        scores = attention.v_fc(energy).squeeze(2).masked_fill(source == PAD, float("-inf"))
        context = torch.bmm(scores.softmax(1).unsqueeze(1), outputs).squeeze(1)
        _, state = model.decoder.rnn(
            torch.cat([token, context], dim=1).unsqueeze(0), state.unsqueeze(0)
        )
        state = state[0]
        logits.append(model.decoder.fc_out(torch.cat([state, context, token], dim=1)))
    return torch.stack(logits, dim=1)


class EqualsPlainModules(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(1)
        config = {"vocab_size": VOCABULARY, "pad_token_id": PAD}
        self.model = GruModel({**config, "embedding_dim": 6, "hidden_dim": 8}).double().eval()
        for parameter in self.model.parameters():
            parameter.data.add_(torch.randn_like(parameter) * 0.2)
        self.source = torch.randint(2, PAD, (7, 9))
        for row in range(7):
            self.source[row, 2 + row - 1] = 0
            self.source[row, 2 + row :] = PAD
        self.target = torch.randint(2, PAD, (7, 5))

    def test_logits_and_gradients(self):
        goal = torch.randn(7, 5, PAD, dtype=torch.float64)
        weight, bias = self.model.output_layer()
        ours = self.model(self.source, self.target) @ weight.t() + bias
        (ours * goal).sum().backward()
        gradients = {n: p.grad.clone() for n, p in self.model.named_parameters()}
        self.model.zero_grad()
        theirs = plain(self.model, self.source, self.target)[:, :, :PAD]
        (theirs * goal).sum().backward()
        self.assertLess((ours - theirs).abs().max().item(), 1e-6)
        for name, parameter in self.model.named_parameters():
            difference = (gradients[name] - parameter.grad).abs().max().item()
            self.assertLess(difference, 1e-5, name)

    def test_greedy_does_not_depend_on_the_batch(self):
        together = greedy(self.model, self.source, 12)
        for row in range(7):
            alone = greedy(self.model, self.source[row : row + 1, : 2 + row], 12)
            self.assertEqual(alone[0], together[row])

    def test_beam_of_one_is_greedy(self):
        self.assertEqual(
            beam(self.model, self.source, 12, 1, 1.0), greedy(self.model, self.source, 12)
        )


if __name__ == "__main__":
    unittest.main()
