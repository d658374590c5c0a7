"""The Transformer, with the tensor names and the arithmetic of Hugging Face's Marian models."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from .layers import Dropout

DEFAULTS = {
    "model_type": "marian",
    "d_model": 256,
    "encoder_layers": 6,
    "decoder_layers": 2,
    "encoder_attention_heads": 8,
    "decoder_attention_heads": 8,
    "encoder_ffn_dim": 1024,
    "decoder_ffn_dim": 1024,
    "activation_function": "relu",
    "dropout": 0.1,
    "max_position_embeddings": 512,
}


def positions(length, size):
    """Sines in the first half of each vector, cosines in the second."""
    place = torch.arange(length, dtype=torch.float64).unsqueeze(1)
    rate = 10000.0 ** (-2 * torch.arange(size // 2, dtype=torch.float64) / size)
    return torch.cat([torch.sin(place * rate), torch.cos(place * rate)], dim=1).float()


def plain_attention(queries, keys, values, mask=None, causal=False):
    """What `scaled_dot_product_attention` computes, in f32: [batch, heads, length, size / heads].

    On a CPU its bfloat16 kernel takes half of a training step, ten times as long as these products.
    """
    batch, heads, length, size = queries.shape
    with torch.autocast("cpu", enabled=False):
        queries, keys, values = (part.float().flatten(0, 1) for part in (queries, keys, values))
        scores = torch.bmm(queries, keys.transpose(1, 2)) / math.sqrt(size)
        scores = scores.view(batch, heads, length, -1)
        if mask is not None:
            scores = scores + mask
        if causal:
            scores = scores + torch.full((length, length), float("-inf")).triu(1)
        return torch.bmm(scores.softmax(-1).flatten(0, 1), values).view(batch, heads, length, size)


class Attention(nn.Module):
    def __init__(self, size, heads):
        super().__init__()
        self.heads = heads
        self.k_proj = nn.Linear(size, size)
        self.v_proj = nn.Linear(size, size)
        self.q_proj = nn.Linear(size, size)
        self.out_proj = nn.Linear(size, size)

    def _split(self, x):
        batch, length, size = x.shape
        return x.view(batch, length, self.heads, size // self.heads).transpose(1, 2)

    def keys_and_values(self, memory):
        # One product for both: fewer, larger matrix products are faster.
        weight = torch.cat([self.k_proj.weight, self.v_proj.weight])
        bias = torch.cat([self.k_proj.bias, self.v_proj.bias])
        keys, values = F.linear(memory, weight, bias).chunk(2, dim=-1)
        return self._split(keys), self._split(values)

    def queries_keys_and_values(self, x):
        weight = torch.cat([self.q_proj.weight, self.k_proj.weight, self.v_proj.weight])
        bias = torch.cat([self.q_proj.bias, self.k_proj.bias, self.v_proj.bias])
        return [self._split(part) for part in F.linear(x, weight, bias).chunk(3, dim=-1)]

    def attend(self, queries, keys, values, mask=None, causal=False):
        if queries.dtype == torch.bfloat16 and not queries.is_cuda:
            mixed = plain_attention(queries, keys, values, mask, causal)
        else:
            mixed = F.scaled_dot_product_attention(
                queries, keys, values, attn_mask=mask, is_causal=causal
            )
        return self.out_proj(mixed.transpose(1, 2).flatten(2))


class Layer(nn.Module):
    """One encoder layer, or one decoder layer when `cross` is set."""

    def __init__(self, config, side, cross):
        super().__init__()
        size = config["d_model"]
        heads = config[f"{side}_attention_heads"]
        self.self_attn = Attention(size, heads)
        self.self_attn_layer_norm = nn.LayerNorm(size)
        if cross:
            self.encoder_attn = Attention(size, heads)
            self.encoder_attn_layer_norm = nn.LayerNorm(size)
        self.fc1 = nn.Linear(size, config[f"{side}_ffn_dim"])
        self.fc2 = nn.Linear(config[f"{side}_ffn_dim"], size)
        self.final_layer_norm = nn.LayerNorm(size)
        self.dropout = Dropout(config["dropout"])
        self.activation = {"relu": F.relu, "swish": F.silu}[config["activation_function"]]

    def attend_to_self(self, x, attended):
        return self.self_attn_layer_norm(x + self.dropout(attended))

    def attend_to_memory(self, x, keys, values, mask):
        batch, length, _ = x.shape
        queries = self.encoder_attn._split(self.encoder_attn.q_proj(x))
        attended = self.encoder_attn.attend(queries, keys, values, mask)
        return self.encoder_attn_layer_norm(x + self.dropout(attended))

    def feed_forward(self, x):
        transformed = self.fc2(self.activation(self.fc1(x)))
        return self.final_layer_norm(x + self.dropout(transformed))


class Side(nn.Module):
    def __init__(self, config, side):
        super().__init__()
        self.layers = nn.ModuleList(
            Layer(config, side, side == "decoder") for _ in range(config[f"{side}_layers"])
        )


class Body(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.shared = nn.Embedding(
            config["vocab_size"], config["d_model"], padding_idx=config["pad_token_id"]
        )
        self.encoder = Side(config, "encoder")
        self.decoder = Side(config, "decoder")


class Transformer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = {**DEFAULTS, **config}
        self.pad = config["pad_token_id"]
        self.model = Body(self.config)
        self.dropout = Dropout(self.config["dropout"])
        # The logit of <pad> is never learned: it stays zero and every decoder forbids it.
        self.output_bias = nn.Parameter(torch.zeros(self.config["vocab_size"] - 1))
        self.register_buffer(
            "positions",
            positions(self.config["max_position_embeddings"], self.config["d_model"]),
            persistent=False,
        )
        self.reset()

    def reset(self):
        for name, parameter in self.named_parameters():
            if "shared" in name:
                nn.init.normal_(parameter, std=self.config["d_model"] ** -0.5)
                with torch.no_grad():
                    parameter[self.pad].zero_()
            elif parameter.dim() == 2:
                # The encoder's layers begin close to doing nothing. With the usual start six
                # post-norm layers forgot, within some hundred steps, which position is which:
                # all outputs were alike and attention stayed uniform for good.
                quiet = "encoder.layers" in name and ("out_proj" in name or "fc2" in name)
                nn.init.xavier_uniform_(parameter, gain=0.25 if quiet else 1.0)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def output_layer(self, with_pad=False):
        return self.model.shared.weight[: self.pad], self.output_bias

    def dropout_output(self, hidden):
        return hidden

    def embed(self, tokens, start=0):
        embedded = self.model.shared(tokens) * math.sqrt(self.config["d_model"])
        embedded = embedded + self.positions[start : start + tokens.shape[1]]
        return self.dropout(embedded)

    def encode(self, source):
        """Memory as the decoder needs it: keys and values of each layer, and the mask."""
        mask = None
        if bool((source == self.pad).any()):
            mask = torch.zeros(source.shape, dtype=torch.float32, device=source.device)
            mask = mask.masked_fill(source == self.pad, float("-inf"))[:, None, None, :]
        x = self.embed(source)
        for layer in self.model.encoder.layers:
            attended = layer.self_attn.attend(*layer.self_attn.queries_keys_and_values(x), mask)
            x = layer.feed_forward(layer.attend_to_self(x, attended))
        memory = {"mask": mask}
        for index, layer in enumerate(self.model.decoder.layers):
            keys, values = layer.encoder_attn.keys_and_values(x)
            memory[f"keys{index}"], memory[f"values{index}"] = keys, values
        return memory

    def guided_attention(self, layer, x, keys, mask):
        """Cross-attention of the layer's first head, which an alignment may guide."""
        attention = layer.encoder_attn
        size = keys.shape[-1]
        queries = F.linear(x, attention.q_proj.weight[:size], attention.q_proj.bias[:size])
        scores = queries @ keys[:, 0].transpose(1, 2) / math.sqrt(size)
        if mask is not None:
            scores = scores + mask[:, 0]
        return scores.softmax(2)

    def forward(self, source, target, guided=False):
        """Hidden states [batch, length, d_model] that predict the token after each target token.

        With `guided` also a list of attention weights [batch, length, source].
        """
        memory = self.encode(source)
        x = self.embed(target)
        guides = []
        for index, layer in enumerate(self.model.decoder.layers):
            parts = layer.self_attn.queries_keys_and_values(x)
            x = layer.attend_to_self(x, layer.self_attn.attend(*parts, causal=True))
            if guided:
                guides.append(
                    self.guided_attention(layer, x, memory[f"keys{index}"], memory["mask"])
                )
            x = layer.attend_to_memory(
                x, memory[f"keys{index}"], memory[f"values{index}"], memory["mask"]
            )
            x = layer.feed_forward(x)
        return (x, guides) if guided else x

    # The three methods that search needs besides `encode`.

    def start(self, memory, rows):
        return {"length": 0}

    def step(self, memory, state, tokens):
        """Logits [rows, vocabulary without <pad>] after `tokens`, and the new state."""
        x = self.embed(tokens.unsqueeze(1), state["length"])
        new = {"length": state["length"] + 1}
        for index, layer in enumerate(self.model.decoder.layers):
            queries, keys, values = layer.self_attn.queries_keys_and_values(x)
            if f"keys{index}" in state:
                keys = torch.cat([state[f"keys{index}"], keys], dim=2)
                values = torch.cat([state[f"values{index}"], values], dim=2)
            new[f"keys{index}"], new[f"values{index}"] = keys, values
            x = layer.attend_to_self(x, layer.self_attn.attend(queries, keys, values))
            x = layer.attend_to_memory(
                x, memory[f"keys{index}"], memory[f"values{index}"], memory["mask"]
            )
            x = layer.feed_forward(x)
        weight, bias = self.output_layer()
        return F.linear(x[:, 0], weight, bias), new
