#!/usr/bin/env python3
"""Trains the tiny models of docs/attention-kinds.md: one a kind of attention, on turning a row of digits around.

    python examples/attention-kinds/train.py [NAME …]

Each takes well under a minute on one thread and becomes a directory beside this file that `translate --model` runs. The
hard ones are trained softly: they are `additive` with another choice. `local-monotone` has another task: a window that moves with
the step can spell digits as letters but cannot turn them around. Needs PyTorch and safetensors.
"""
import json
import math
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch.nn import functional as F

HERE = Path(__file__).parent
DIGITS = [str(digit) for digit in range(10)]
SOURCE = ["<unk>", "<pad>", "<s>", "</s>", *DIGITS]
LETTERS = ["<unk>", "<pad>", "<s>", "</s>", *"abcdefghij"]
START, END, FIRST = 2, 3, 4
EMBEDDING, HIDDEN, LONGEST = 8, 16, 8

#: What is attended to how: the sections of config.json, and the projections there are.
LUONG = {"parts": ["context", "state"], "hidden_activation": "tanh"}
KINDS = {
    "none": dict(cell="gru", attention={"score": "none"}, output={"parts": ["state"]}),
    "additive": dict(cell="gru", attention={"score": "additive", "query": "before"}, has="query key"),
    "concat": dict(cell="gru", attention={"score": "concat", "query": "after"}, has="query key"),
    "dot": dict(cell="rnn-tanh", attention={"score": "dot", "query": "after"}, output=LUONG),
    "general": dict(cell="lstm", attention={"score": "general", "query": "after"}, has="query", output=LUONG, feed="attentional"),
    "cosine": dict(cell="gru", attention={"score": "cosine", "query": "after"}, has="query scale"),
    "two-heads": dict(cell="lstm", attention={"score": "scaled-dot", "query": "after", "heads": 2}, has="query key"),
    "location": dict(cell="gru", attention={"score": "location", "query": "after"}),
    "coverage": dict(cell="gru", attention={"score": "additive", "query": "after", "coverage": True}, has="query key"),
    "nematus": dict(cell="gru", attention={"score": "additive", "query": "between-cells"}, has="query key",
                    output={"parts": ["embedding", "state", "context"], "hidden_activation": "tanh"}),
    "local-monotone": dict(cell="gru", attention={"score": "general", "query": "after", "reach": "local-monotone", "half_window": 1},
                           has="query", spells=True),
    "hard": dict(cell="gru", attention={"score": "additive", "query": "before", "choice": "argmax"}, has="query key"),
    "sampled": dict(cell="gru", attention={"score": "additive", "query": "before", "choice": "sampled", "seed": 1}, has="query key"),
}  # fmt: skip
GATES = {"gru": 3, "lstm": 4, "rnn-tanh": 1}


class Toy(torch.nn.Module):
    """A bidirectional encoder and a decoder, one layer each, with the tensors' names of docs/models.md."""

    def __init__(self, kind):
        super().__init__()
        self.cell, self.attention = kind["cell"], kind["attention"]
        self.output, self.feed = kind.get("output", {"parts": ["state", "context", "embedding"]}), kind.get("feed", "nothing")
        self.has = kind.get("has", "").split()
        self.weights = torch.nn.ParameterDict()
        u, e, v, gates = HIDDEN, EMBEDDING, len(SOURCE), GATES[self.cell]
        def add(name, *shape):
            bound = 1 / math.sqrt(shape[-1]) if len(shape) > 1 else 0.1
            self.weights[name.replace(".", "/")] = torch.nn.Parameter((torch.rand(shape) * 2 - 1) * bound)
        def add_cell(prefix, suffix, inputs, hidden):
            if inputs:
                add(f"{prefix}.weight_ih{suffix}", gates * hidden, inputs)
            add(f"{prefix}.weight_hh{suffix}", gates * hidden, hidden)
            add(f"{prefix}.bias_ih{suffix}", gates * hidden)
            add(f"{prefix}.bias_hh{suffix}", gates * hidden)
        add("encoder.embedding.weight", v, e)
        add("decoder.embedding.weight", v, e)
        add_cell("encoder.rnn", "_l0", e, u // 2)
        add_cell("encoder.rnn", "_l0_reverse", e, u // 2)
        place = self.attention.get("query")
        fed = u if self.feed == "attentional" else 0
        add_cell("decoder.rnn", "_l0", e + fed + (u if place == "before" else 0), u)
        if place == "between-cells":
            add_cell("decoder.rnn", "_l0_cell2", u, u)
        for name in self.has:
            add(f"decoder.attention.{name}" + ("" if name == "scale" else ".weight"), *((1,) if name == "scale" else (u, u)))
        if "scale" in self.has:
            self.weights["decoder/attention/scale"].data.fill_(5.0)
        if self.attention["score"] in ("additive", "concat"):
            add("decoder.attention.v_fc.weight", 1, u)
        if self.attention.get("coverage"):
            add("decoder.attention.coverage.weight", u, 1)
        if self.attention["score"] == "location":
            add("decoder.attention.location.weight", LONGEST + 1, u)
        parts = sum({"state": u, "context": u, "embedding": e}[part] for part in self.output["parts"])
        if "hidden_activation" in self.output:
            add("decoder.hidden_fc.weight", u, parts)
            parts = u
        add("decoder.fc_out.weight", v, parts)
        add("decoder.fc_out.bias", v)

    def w(self, name):
        return self.weights[name.replace(".", "/")]

    def step_cell(self, prefix, suffix, x, state):
        w = [self.w(f"{prefix}.{kind}{suffix}") for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        if self.cell == "lstm":
            return torch.lstm_cell(x, state, *w)
        cell = torch.gru_cell if self.cell == "gru" else torch.rnn_tanh_cell
        return (cell(x, state[0], *w), state[1])

    def encode(self, source):
        """H [batch, length, u] and the last states of both directions side by side."""
        embedded = F.embedding(source, self.w("encoder.embedding.weight"))
        outputs, last = [], []
        for suffix, steps in ("_l0", range(source.shape[1])), ("_l0_reverse", range(source.shape[1] - 1, -1, -1)):
            state = (embedded.new_zeros(len(source), HIDDEN // 2),) * 2
            own = [None] * source.shape[1]
            for step in steps:
                state = self.step_cell("encoder.rnn", suffix, embedded[:, step], state)
                own[step] = state[0]
            outputs.append(torch.stack(own, 1))
            last.append(state)
        return torch.cat(outputs, 2), tuple(torch.cat(parts, 1) for parts in zip(*last))

    def attend(self, H, state, step, covered):
        """The context [batch, u] and α [batch, length]."""
        score, length = self.attention["score"], H.shape[1]
        project = lambda name, x: F.linear(x, self.w(f"decoder.attention.{name}.weight")) if name in self.has else x
        if score == "location":
            scores = F.linear(state, self.w("decoder.attention.location.weight"))[:, None, :length]
        else:
            heads = self.attention.get("heads", 1)
            split = lambda x: x.unflatten(-1, (heads, -1)).transpose(1, 2)
            q, K = split(project("query", state)[:, None]), split(project("key", H))
            if score in ("additive", "concat"):
                inner = q + K
                if covered is not None:
                    inner = inner + (covered[:, :, None] * self.w("decoder.attention.coverage.weight")[:, 0])[:, None]
                scores = torch.tanh(inner) @ self.w("decoder.attention.v_fc.weight")[0]
            elif score == "cosine":
                scores = self.w("decoder.attention.scale") * F.cosine_similarity(q, K, dim=-1)
            else:
                scores = (q * K).sum(-1) / (math.sqrt(q.shape[-1]) if score == "scaled-dot" else 1)
        reach, half = self.attention.get("reach"), self.attention.get("half_window")
        places = torch.arange(length, dtype=H.dtype)
        centre = None
        if reach == "local-monotone":
            centre = torch.full((len(H), 1, 1), float(min(step, length - 1)))
        if centre is not None:
            scores = scores.masked_fill((places - centre).abs() > half, -torch.inf)
        alpha = scores.softmax(-1)
        seen = alpha[..., None] * H.unflatten(-1, (alpha.shape[1], -1)).transpose(1, 2)
        return seen.sum(2).flatten(1), alpha.mean(1)

    def forward(self, source, target):
        """Logits [batch, steps, V] along a target."""
        H, state = self.encode(source)
        logits, covered = [], None
        if self.attention.get("coverage"):
            covered = H.new_zeros(H.shape[:2])
        feed = H.new_zeros(len(H), HIDDEN)
        place = self.attention.get("query")
        inputs = torch.cat([torch.full_like(target[:, :1], START), target[:, :-1]], 1)
        for step in range(target.shape[1]):
            embedded = F.embedding(inputs[:, step], self.w("decoder.embedding.weight"))
            x = torch.cat([embedded, feed], 1) if self.feed == "attentional" else embedded
            context = None
            if place == "before":
                context, alpha = self.attend(H, state[0], step, covered)
                x = torch.cat([x, context], 1)
            state = self.step_cell("decoder.rnn", "_l0", x, state)
            if place in ("after", "between-cells"):
                context, alpha = self.attend(H, state[0], step, covered)
            if place == "between-cells":
                state = self.step_cell("decoder.rnn", "_l0_cell2", context, state)
            if covered is not None:
                covered = covered + alpha
            named = {"state": state[0], "context": context, "embedding": embedded}
            features = torch.cat([named[part] for part in self.output["parts"]], 1)
            if "hidden_activation" in self.output:
                features = feed = torch.tanh(F.linear(features, self.w("decoder.hidden_fc.weight")))
            logits.append(F.linear(features, self.w("decoder.fc_out.weight"), self.w("decoder.fc_out.bias")))
        return torch.stack(logits, 1)


def batch(size, length, spells):
    digits = torch.randint(FIRST, FIRST + 10, (size, length))
    end = torch.full((size, 1), END)
    return torch.cat([digits, end], 1), torch.cat([digits if spells else digits.flip(1), end], 1)


def train(name, kind, steps=1500):
    torch.manual_seed(7)
    toy, spells, began = Toy(kind), kind.get("spells", False), time.time()
    optimiser = torch.optim.Adam(toy.parameters(), 0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.02, steps)
    for step in range(steps):
        source, target = batch(64, int(torch.randint(1, LONGEST + 1, ())), spells)
        loss = F.cross_entropy(toy(source, target).flatten(0, 1), target.flatten())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(toy.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        source, target = batch(500, 6, spells)
        right = (toy(source, target).argmax(-1) == target).all(1).float().mean()
    print(f"{name}: loss {loss:.4f}, {100 * right:.1f} % of rows of six right, {time.time() - began:.0f} s", flush=True)
    directory = HERE / name
    directory.mkdir(exist_ok=True)
    config = {
        "model_type": "recurrent-attention",
        "encoder": {"cell": kind["cell"]},
        "decoder": {"cell": kind["cell"], "feed": toy.feed},
        "attention": kind["attention"],
        "output": toy.output,
        "source_pieces": SOURCE,
        "target_pieces": LETTERS if spells else SOURCE,
    }
    # One key a line, lists and sections in one.
    keys = ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in config.items())
    (directory / "config.json").write_text(f"{{\n{keys}\n}}\n")
    tensors = {name.replace("/", "."): tensor.detach().half() for name, tensor in toy.weights.items()}
    save_file(tensors, directory / "model.safetensors")


def main():
    torch.set_num_threads(1)
    for name, kind in KINDS.items():
        if not sys.argv[1:] or name in sys.argv[1:]:
            train(name, kind)


main()
