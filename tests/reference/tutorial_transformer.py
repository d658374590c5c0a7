"""The Transformer of the widely used PyTorch seq2seq tutorials (their part 6) as plain modules, parameter names included.

Post-norm, ReLU, learned positions from 0, embeddings times sqrt(size), no final norms. Masks cover the source's padding and
the target's future; the tutorial also hides padding tokens within the target, which translation never feeds.
"""
import math

import torch
from torch import nn


class Attention(nn.Module):
    def __init__(self, size: int, heads: int):
        super().__init__()
        self.heads = heads
        self.fc_q = nn.Linear(size, size)
        self.fc_k = nn.Linear(size, size)
        self.fc_v = nn.Linear(size, size)
        self.fc_o = nn.Linear(size, size)

    def split(self, x):
        """[B, n, size] -> [B, heads, n, size / heads]"""
        return x.view(x.shape[0], x.shape[1], self.heads, -1).transpose(1, 2)

    def forward(self, query, keys, mask):
        """mask is False where nobody may look -> mixed [B, n, size], weights [B, heads, n, m]."""
        q, k, v = self.split(self.fc_q(query)), self.split(self.fc_k(keys)), self.split(self.fc_v(keys))
        energy = q @ k.transpose(2, 3) / math.sqrt(q.shape[-1])
        weights = energy.masked_fill(~mask, -1e10).softmax(dim=-1)
        return self.fc_o((weights @ v).transpose(1, 2).flatten(2)), weights


class Positionwise(nn.Module):
    def __init__(self, size: int, inner: int):
        super().__init__()
        self.fc_1 = nn.Linear(size, inner)
        self.fc_2 = nn.Linear(inner, size)

    def forward(self, x):
        return self.fc_2(torch.relu(self.fc_1(x)))


class EncoderLayer(nn.Module):
    def __init__(self, size: int, heads: int, inner: int):
        super().__init__()
        self.self_attn_layer_norm = nn.LayerNorm(size)
        self.ff_layer_norm = nn.LayerNorm(size)
        self.self_attention = Attention(size, heads)
        self.positionwise_feedforward = Positionwise(size, inner)

    def forward(self, x, mask):
        mixed, weights = self.self_attention(x, x, mask)
        x = self.self_attn_layer_norm(x + mixed)
        return self.ff_layer_norm(x + self.positionwise_feedforward(x)), weights


class DecoderLayer(nn.Module):
    def __init__(self, size: int, heads: int, inner: int):
        super().__init__()
        self.self_attn_layer_norm = nn.LayerNorm(size)
        self.enc_attn_layer_norm = nn.LayerNorm(size)
        self.ff_layer_norm = nn.LayerNorm(size)
        self.self_attention = Attention(size, heads)
        self.encoder_attention = Attention(size, heads)
        self.positionwise_feedforward = Positionwise(size, inner)

    def forward(self, x, memory, own_mask, mask):
        mixed, own = self.self_attention(x, x, own_mask)
        x = self.self_attn_layer_norm(x + mixed)
        mixed, cross = self.encoder_attention(x, memory, mask)
        x = self.enc_attn_layer_norm(x + mixed)
        return self.ff_layer_norm(x + self.positionwise_feedforward(x)), own, cross


class Side(nn.Module):
    """What encoder and decoder share."""

    def __init__(self, layer, vocabulary: int, size: int, heads: int, inner: int, layers: int, rows: int):
        super().__init__()
        self.tok_embedding = nn.Embedding(vocabulary, size)
        self.pos_embedding = nn.Embedding(rows, size)
        self.layers = nn.ModuleList([layer(size, heads, inner) for _ in range(layers)])

    def embed(self, tokens):
        positions = torch.arange(tokens.shape[1])
        return self.tok_embedding(tokens) * math.sqrt(self.tok_embedding.embedding_dim) + self.pos_embedding(positions)


class Decoder(Side):
    def __init__(self, layer, vocabulary: int, size: int, *shape):
        super().__init__(layer, vocabulary, size, *shape)
        self.fc_out = nn.Linear(size, vocabulary)


class TutorialTransformer(nn.Module):
    def __init__(self, source_vocabulary, target_vocabulary, size, heads, inner, encoder_layers, decoder_layers, rows=40):
        super().__init__()
        self.encoder = Side(EncoderLayer, source_vocabulary, size, heads, inner, encoder_layers, rows)
        self.decoder = Decoder(DecoderLayer, target_vocabulary, size, heads, inner, decoder_layers, rows)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def encode(self, source, real, attention=False):
        """source [B, S], real [B, S] -> memory [B, S, size], attention of each layer [B, heads, S, S]."""
        x, all_weights = self.encoder.embed(source), []
        for layer in self.encoder.layers:
            x, weights = layer(x, real[:, None, None])
            all_weights.append(weights)
        return x, tuple(all_weights)

    def decode(self, tokens, memory, real, attention=False):
        """tokens [B, T] -> logits [B, T, V], self-attention [B, heads, T, T] and cross-attention [B, heads, T, S] of each layer."""
        past = torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool).tril()
        x, all_own, all_cross = self.decoder.embed(tokens), [], []
        for layer in self.decoder.layers:
            x, own, cross = layer(x, memory, past, real[:, None, None])
            all_own.append(own)
            all_cross.append(cross)
        return self.decoder.fc_out(x), tuple(all_own), tuple(all_cross)
