"""The Annotated Transformer (Rush 2018; Huang et al. 2022) as plain PyTorch modules, under the names its state dictionaries have.

Sublayers are normalised before, and each side after the last layer. Its normalisation divides by the standard deviation with n - 1, to which
epsilon is added: a_2 (x - mean) / (deviation + epsilon) + b_2.
"""
import math

import torch
from torch import nn


class Normalisation(nn.Module):
    def __init__(self, size, epsilon=1e-6):
        super().__init__()
        self.a_2, self.b_2, self.epsilon = nn.Parameter(torch.ones(size)), nn.Parameter(torch.zeros(size)), epsilon

    def forward(self, x):
        centred = x - x.mean(-1, keepdim=True)
        return self.a_2 * centred / (x.std(-1, keepdim=True, unbiased=True) + self.epsilon) + self.b_2


class Attention(nn.Module):
    def __init__(self, size, heads):
        super().__init__()
        self.heads, self.linears = heads, nn.ModuleList(nn.Linear(size, size) for _ in range(4))

    def forward(self, queries, memory, causal=False):
        def split(x):
            return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

        q, k, v = split(self.linears[0](queries)), split(self.linears[1](memory)), split(self.linears[2](memory))
        scores = q @ k.mT / math.sqrt(q.shape[-1])
        if causal:
            scores = scores.masked_fill(torch.ones_like(scores[0, 0]).triu(1).bool(), -1e9)
        return self.linears[3]((scores.softmax(-1) @ v).transpose(1, 2).flatten(-2))


class FeedForward(nn.Module):
    def __init__(self, size, inner):
        super().__init__()
        self.w_1, self.w_2 = nn.Linear(size, inner), nn.Linear(inner, size)

    def forward(self, x):
        return self.w_2(self.w_1(x).relu())


class Sublayer(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.norm = Normalisation(size)

    def forward(self, x, inside):
        return x + inside(self.norm(x))


class Layer(nn.Module):
    def __init__(self, size, inner, heads, has_source):
        super().__init__()
        self.self_attn = Attention(size, heads)
        if has_source:
            self.src_attn = Attention(size, heads)
        self.feed_forward = FeedForward(size, inner)
        self.sublayer = nn.ModuleList(Sublayer(size) for _ in range(3 if has_source else 2))

    def forward(self, x, memory=None):
        x = self.sublayer[0](x, lambda x: self.self_attn(x, x, causal=memory is not None))
        if memory is not None:
            x = self.sublayer[1](x, lambda x: self.src_attn(x, memory))
        return self.sublayer[-1](x, self.feed_forward)


class Stack(nn.Module):
    def __init__(self, layers, size, inner, heads, has_source):
        super().__init__()
        self.layers = nn.ModuleList(Layer(size, inner, heads, has_source) for _ in range(layers))
        self.norm = Normalisation(size)

    def forward(self, x, memory=None):
        for layer in self.layers:
            x = layer(x, memory)
        return self.norm(x)


class Lookup(nn.Module):
    def __init__(self, size, vocabulary):
        super().__init__()
        self.lut, self.size = nn.Embedding(vocabulary, size), size

    def forward(self, ids):
        return self.lut(ids) * math.sqrt(self.size)


class Positions(nn.Module):
    def __init__(self, size, rows):
        super().__init__()
        angles = torch.arange(rows).unsqueeze(1) * torch.exp(torch.arange(0, size, 2) * -(math.log(10000.0) / size))
        self.register_buffer("pe", torch.stack([angles.sin(), angles.cos()], -1).flatten(1).unsqueeze(0))

    def forward(self, x):
        return x + self.pe[:, : x.shape[1]]


class Generator(nn.Module):
    def __init__(self, size, vocabulary):
        super().__init__()
        self.proj = nn.Linear(size, vocabulary)


class AnnotatedTransformer(nn.Module):
    """`forward(source, fed)`: ids `[batch, length]` to logits `[batch, length, vocabulary]`."""

    def __init__(self, source_vocabulary, target_vocabulary, layers, size, inner, heads, rows):
        super().__init__()
        self.encoder = Stack(layers, size, inner, heads, has_source=False)
        self.decoder = Stack(layers, size, inner, heads, has_source=True)
        self.src_embed = nn.Sequential(Lookup(size, source_vocabulary), Positions(size, rows))
        self.tgt_embed = nn.Sequential(Lookup(size, target_vocabulary), Positions(size, rows))
        self.generator = Generator(size, target_vocabulary)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def forward(self, source, fed):
        return self.generator.proj(self.decoder(self.tgt_embed(fed), self.encoder(self.src_embed(source))))
