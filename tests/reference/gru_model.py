"""The bidirectional GRU with additive attention (Bahdanau et al. 2015) as plain PyTorch modules.

The layout and the parameter names are those of the widely used PyTorch tutorial (`attn_fc`, `v_fc`, `fc_out`), with two
things the tutorial leaves out: the encoder packs the batch, so the backward direction starts at each sentence's own last
token, and attention is masked, so a padded batch gives what single sentences give.
"""
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class Encoder(nn.Module):
    def __init__(self, vocabulary: int, embedding: int, hidden: int):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.rnn = nn.GRU(embedding, hidden, bidirectional=True)
        self.fc = nn.Linear(2 * hidden, hidden)

    def forward(self, source, lengths):
        """source [S, B], lengths [B] -> outputs [S, B, 2 * hidden], last states [2, B, hidden], s_0 [B, hidden]."""
        packed = pack_padded_sequence(self.embedding(source), lengths.cpu(), enforce_sorted=False)
        outputs, last = self.rnn(packed)
        outputs, _ = pad_packed_sequence(outputs, total_length=source.shape[0])
        return outputs, last, torch.tanh(self.fc(torch.cat([last[0], last[1]], dim=1)))


class Attention(nn.Module):
    def __init__(self, hidden: int):
        super().__init__()
        self.attn_fc = nn.Linear(3 * hidden, hidden)
        self.v_fc = nn.Linear(hidden, 1, bias=False)

    def forward(self, state, outputs, mask):
        """state [B, hidden], outputs [S, B, 2 * hidden], mask [B, S] -> weights [B, S], each row sums to 1."""
        outputs = outputs.transpose(0, 1)
        query = state.unsqueeze(1).expand(-1, outputs.shape[1], -1)
        energy = self.v_fc(torch.tanh(self.attn_fc(torch.cat([query, outputs], dim=2)))).squeeze(2)
        return energy.masked_fill(~mask, float("-inf")).softmax(dim=1)


class Decoder(nn.Module):
    def __init__(self, vocabulary: int, embedding: int, hidden: int):
        super().__init__()
        self.attention = Attention(hidden)
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.rnn = nn.GRU(embedding + 2 * hidden, hidden)
        self.fc_out = nn.Linear(embedding + 3 * hidden, vocabulary)

    def forward(self, token, state, outputs, mask):
        """One step: token [B], state [B, hidden] -> logits [B, V], new state [B, hidden], attention [B, S]."""
        embedded = self.embedding(token)
        weights = self.attention(state, outputs, mask)
        context = torch.bmm(weights.unsqueeze(1), outputs.transpose(0, 1)).squeeze(1)
        output, _ = self.rnn(torch.cat([embedded, context], dim=1).unsqueeze(0), state.unsqueeze(0))
        state = output.squeeze(0)
        return self.fc_out(torch.cat([state, context, embedded], dim=1)), state, weights


class GruAttention(nn.Module):
    def __init__(self, source_vocabulary: int, target_vocabulary: int, embedding: int, hidden: int):
        super().__init__()
        self.encoder = Encoder(source_vocabulary, embedding, hidden)
        self.decoder = Decoder(target_vocabulary, embedding, hidden)

    def decode(self, tokens, state, outputs, mask):
        """Feeds tokens [B, T] -> logits [B, T, V], attention [B, T, S], last state [B, hidden]."""
        logits, attention = [], []
        for t in range(tokens.shape[1]):
            step, state, weights = self.decoder(tokens[:, t], state, outputs, mask)
            logits.append(step)
            attention.append(weights)
        return torch.stack(logits, dim=1), torch.stack(attention, dim=1), state
