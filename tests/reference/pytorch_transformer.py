"""`torch.nn.Transformer` as users build translators on it.

`Seq2SeqTransformer` is the model of the official tutorial "Language Translation with nn.Transformer", parameter names
included. `WrittenOut` uses `nn.TransformerEncoder` and `nn.TransformerDecoder` separately, with names and choices of its own.

Both give logits from the module's own forward pass. For attention, which that does not give, the layers' parts are run one by
one; that this computes the same is asserted every time.
"""
import math

import torch
from torch import nn

# One reference for all batches: the fused encoder layer would be another way to round.
torch.backends.mha.set_fastpath_enabled(False)


# --- Running the layers part by part --------------------------------------------------------------------------------


def attend(module, query, keys, **masks):
    """What the attention module gives, and its weights [B, heads, rows, columns]."""
    return module(query, keys, keys, need_weights=True, average_attn_weights=False, **masks)


def encoder_attention(encoder, x, ignored):
    """Runs an nn.TransformerEncoder part by part -> output and the attention of each layer."""
    weights = []
    for layer in encoder.layers:
        inner = layer.norm1(x) if layer.norm_first else x
        mixed, attention = attend(layer.self_attn, inner, inner, key_padding_mask=ignored)
        x = x + mixed if layer.norm_first else layer.norm1(x + mixed)
        x = feed_forward(layer, x, layer.norm2)
        weights.append(attention)
    return (x if encoder.norm is None else encoder.norm(x)), tuple(weights)


def decoder_attention(decoder, x, memory, future, ignored):
    """Runs an nn.TransformerDecoder part by part -> output, self-attention and cross-attention of each layer."""
    own, cross = [], []
    for layer in decoder.layers:
        inner = layer.norm1(x) if layer.norm_first else x
        mixed, attention = attend(layer.self_attn, inner, inner, attn_mask=future)
        x = x + mixed if layer.norm_first else layer.norm1(x + mixed)
        own.append(attention)
        inner = layer.norm2(x) if layer.norm_first else x
        mixed, attention = attend(layer.multihead_attn, inner, memory, key_padding_mask=ignored)
        x = x + mixed if layer.norm_first else layer.norm2(x + mixed)
        cross.append(attention)
        x = feed_forward(layer, x, layer.norm3)
    return (x if decoder.norm is None else decoder.norm(x)), tuple(own), tuple(cross)


def feed_forward(layer, x, norm):
    inner = norm(x) if layer.norm_first else x
    inner = layer.linear2(layer.activation(layer.linear1(inner)))
    return x + inner if layer.norm_first else norm(x + inner)


def assert_same(by_parts, module, what):
    assert torch.allclose(by_parts, module, atol=1e-5), f"{what}: the parts give something else than the module"


def future_mask(length):
    """True where a position must not look."""
    return torch.ones(length, length, dtype=torch.bool).triu(1)


# --- The tutorial's model -------------------------------------------------------------------------------------------


class PositionalEncoding(nn.Module):
    """Interleaved: sine at even dimensions, cosine at odd ones. The tutorial keeps 5,000 rows."""

    def __init__(self, size: int, rows: int):
        super().__init__()
        frequencies = torch.exp(-torch.arange(0, size, 2) * math.log(10000) / size)
        angles = torch.arange(rows).reshape(rows, 1) * frequencies
        table = torch.zeros(rows, size)
        table[:, 0::2] = torch.sin(angles)
        table[:, 1::2] = torch.cos(angles)
        self.register_buffer("pos_embedding", table.unsqueeze(-2))

    def forward(self, x):
        return x + self.pos_embedding[: x.shape[0]]


class TokenEmbedding(nn.Module):
    def __init__(self, vocabulary: int, size: int):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, size)
        self.size = size

    def forward(self, tokens):
        return self.embedding(tokens) * math.sqrt(self.size)


class Seq2SeqTransformer(nn.Module):
    """Sequence first, as in the tutorial: x [S, B, d]. `encode` and `decode` take and give batch first."""

    def __init__(self, source_vocabulary, target_vocabulary, size, heads, inner, encoder_layers, decoder_layers, rows=200):
        super().__init__()
        self.transformer = nn.Transformer(size, heads, encoder_layers, decoder_layers, inner, dropout=0.0)
        self.generator = nn.Linear(size, target_vocabulary)
        self.src_tok_emb = TokenEmbedding(source_vocabulary, size)
        self.tgt_tok_emb = TokenEmbedding(target_vocabulary, size)
        self.positional_encoding = PositionalEncoding(size, rows)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def encode(self, source, real, attention=False):
        """source [B, S], real [B, S] -> memory [B, S, d], attention of each layer [B, heads, S, S]."""
        x = self.positional_encoding(self.src_tok_emb(source.T))
        memory = self.transformer.encoder(x, src_key_padding_mask=~real)
        weights = None
        if attention:
            again, weights = encoder_attention(self.transformer.encoder, x, ~real)
            assert_same(again.transpose(0, 1)[real], memory.transpose(0, 1)[real], "encoder")
        return memory.transpose(0, 1), weights

    def decode(self, tokens, memory, real, attention=False):
        """tokens [B, T] -> logits [B, T, V], self-attention [B, heads, T, T] and cross-attention [B, heads, T, S] of each layer."""
        x = self.positional_encoding(self.tgt_tok_emb(tokens.T))
        memory, future = memory.transpose(0, 1), future_mask(tokens.shape[1])
        output = self.transformer.decoder(x, memory, tgt_mask=future, memory_key_padding_mask=~real)
        own = cross = None
        if attention:
            again, own, cross = decoder_attention(self.transformer.decoder, x, memory, future, ~real)
            assert_same(again, output, "decoder")
        return self.generator(output).transpose(0, 1), own, cross


# --- A model by an author with names and choices of his own ---------------------------------------------------------


class WrittenOut(nn.Module):
    """Pre-norm, GELU, learned positions, embeddings unscaled; a final norm in the decoder only.

    The embeddings start small, so that the epsilon of the norms shows in what comes out.
    """

    def __init__(self, source_vocabulary, target_vocabulary, size, heads, inner, encoder_layers, decoder_layers, rows=40):
        super().__init__()
        self.src_embed = nn.Embedding(source_vocabulary, size)
        self.tgt_embed = nn.Embedding(target_vocabulary, size)
        self.pos_src = nn.Embedding(rows, size)
        self.pos_tgt = nn.Embedding(rows, size)
        shape = dict(d_model=size, nhead=heads, dim_feedforward=inner, dropout=0.0, activation="gelu", layer_norm_eps=1e-6,
                     norm_first=True, batch_first=True)  # fmt: skip
        encoder_layer, decoder_layer = nn.TransformerEncoderLayer(**shape), nn.TransformerDecoderLayer(**shape)
        self.enc = nn.TransformerEncoder(encoder_layer, encoder_layers, enable_nested_tensor=False)
        self.dec = nn.TransformerDecoder(decoder_layer, decoder_layers, norm=nn.LayerNorm(size, eps=1e-6))
        self.out_layer = nn.Linear(size, target_vocabulary)
        for table in self.src_embed, self.tgt_embed, self.pos_src, self.pos_tgt:
            nn.init.normal_(table.weight, std=0.02)

    def encode(self, source, real, attention=False):
        x = self.src_embed(source) + self.pos_src.weight[: source.shape[1]]
        memory = self.enc(x, src_key_padding_mask=~real)
        weights = None
        if attention:
            again, weights = encoder_attention(self.enc, x, ~real)
            assert_same(again[real], memory[real], "encoder")
        return memory, weights

    def decode(self, tokens, memory, real, attention=False):
        x = self.tgt_embed(tokens) + self.pos_tgt.weight[: tokens.shape[1]]
        future = future_mask(tokens.shape[1])
        output = self.dec(x, memory, tgt_mask=future, memory_key_padding_mask=~real)
        own = cross = None
        if attention:
            again, own, cross = decoder_attention(self.dec, x, memory, future, ~real)
            assert_same(again, output, "decoder")
        return self.out_layer(output), own, cross
