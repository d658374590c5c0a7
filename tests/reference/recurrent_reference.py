#!/usr/bin/env python3
"""Writes tests/fixtures/recurrent/grid.json: recurrent networks of every kind, and what PyTorch computes with them.

Each combination is a `config.json` of the family `recurrent-attention`, the shapes of its tensors (their values come from a
generator that the test has, too) and, for a few sources, greedy search with its attention and a beam of 4. The networks are
written from the formulas of the papers, in f64, one sentence at a time and with no thought of speed.

Sources whose result changes when every weight is disturbed by some 1e-6 (near-ties, decided by rounding) are left out.
"""
import json
import math
from pathlib import Path

import torch

VOCABULARY, EMBEDDING, HIDDEN = 20, 6, 8
START, END = 2, 3
MAX_LENGTH, BEAMS, SOURCES = 9, 4, 3
MASK = (1 << 64) - 1


def mixed(number):
    """One step of SplitMix64."""
    number = (number + 0x9E3779B97F4A7C15) & MASK
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & MASK
    return number ^ (number >> 31)


def values(name, count):
    """Numbers in [-1, 1) that a name stands for: 24 bits of SplitMix64, seeded by the name's FNV-1a hash."""
    state = 0xCBF29CE484222325
    for byte in name.encode():
        state = ((state ^ byte) * 0x100000001B3) & MASK
    bits = [mixed((state + index * 0x9E3779B97F4A7C15) & MASK) >> 40 for index in range(count)]
    return [bit / (1 << 23) - 1 for bit in bits]


class Weights:
    """Tensors made when they are first asked for."""

    def __init__(self, seed, disturbed):
        self.seed, self.disturbed, self.made = seed, disturbed, {}

    def __call__(self, name, *shape):
        if name not in self.made:
            made = torch.tensor(values(f"{self.seed}/{name}", math.prod(shape)), dtype=torch.float64).reshape(shape)
            if self.disturbed:
                torch.manual_seed(len(self.made))
                made = made * (1 + 2e-6 * (torch.rand_like(made) - 0.5))
            self.made[name] = made
        assert self.made[name].shape == shape, (name, shape, self.made[name].shape)
        return self.made[name]


def activation(name):
    return {"linear": lambda x: x, "tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid}[name]


def cell_step(kind, W, prefix, suffix, x, state, u):
    """One step of a cell; `x` is None for a transition. A state is (h, c)."""
    gates = {"rnn-tanh": 1, "rnn-relu": 1, "gru": 3, "gru-reset-before": 3, "lstm": 4}[kind]
    h, c = state
    own = W(f"{prefix}.bias_ih{suffix}", gates * u)
    given = own if x is None else W(f"{prefix}.weight_ih{suffix}", gates * u, len(x)) @ x + own
    U, bias = W(f"{prefix}.weight_hh{suffix}", gates * u, u), W(f"{prefix}.bias_hh{suffix}", gates * u)
    if kind == "rnn-tanh":
        return torch.tanh(given + U @ h + bias), None
    if kind == "rnn-relu":
        return torch.relu(given + U @ h + bias), None
    if kind == "lstm":
        i, f, g, o = (given + U @ h + bias).split(u)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c
    (xr, xz, xn), (Ur, Uz, Un), (br, bz, bn) = given.split(u), U.split(u), bias.split(u)
    r, z = torch.sigmoid(xr + Ur @ h + br), torch.sigmoid(xz + Uz @ h + bz)
    new = torch.tanh(xn + r * (Un @ h + bn)) if kind == "gru" else torch.tanh(xn + Un @ (r * h) + bn)
    return (1 - z) * new + z * h, None


class Network:
    """A network of one configuration."""

    def __init__(self, combination, disturbed=False):
        self.config, self.size = combination["config"], {"layers": 1, "encoder_layers": 1} | combination.get("size", {})
        self.W = Weights(combination["name"], disturbed)
        self.has = set(combination.get("has", ()))

    # --- The encoder ---

    def zero(self, kind, u=HIDDEN):
        return torch.zeros(u, dtype=torch.float64), torch.zeros(u, dtype=torch.float64) if kind == "lstm" else None

    def run(self, layer, backward, inputs):
        """One layer one way: its outputs in the order of the sentence, and its last state."""
        config = self.config["encoder"]
        kind, u = config["cell"], self.size.get("encoder_hidden", HIDDEN)
        state, outputs = self.zero(kind, u), []
        for x in reversed(inputs) if backward else inputs:
            direction = "_reverse" if backward else ""
            state = cell_step(kind, self.W, "encoder.rnn", f"_l{layer}{direction}", x, state, u)
            for number in range(config.get("transitions", 0)):
                suffix = f"_l{layer}_cell{number + 2}{direction}"
                state = cell_step(kind, self.W, "encoder.rnn", suffix, None, state, u)
            outputs.append(state[0])
        return (outputs[::-1] if backward else outputs), state

    def encode(self, source):
        config = self.config["encoder"]
        join = (lambda a, b: a + b) if config.get("join") == "summed" else (lambda a, b: torch.cat([a, b]))
        table = self.W("encoder.embedding.weight", VOCABULARY, EMBEDDING)
        inputs, layers, last = [table[token] for token in source], self.size["encoder_layers"], []
        directions, residual = config["directions"], config.get("residual_from", 99)
        behind = inputs
        for layer in range(layers):
            add = (lambda a, b: [x + y for x, y in zip(a, b)]) if layer >= residual else (lambda a, b: a)
            ahead, state = self.run(layer, False, inputs)
            if directions == "forward" or directions == "first-layer" and layer > 0:
                inputs = add(ahead, inputs)
                last.append((state, None))
                continue
            back, other = self.run(layer, True, behind)
            last.append((state, other))
            if directions == "towers":
                inputs, behind = add(ahead, inputs), add(back, behind)
            else:
                inputs = behind = add([join(a, b) for a, b in zip(ahead, back)], inputs)
        if directions == "towers":
            inputs = [join(a, b) for a, b in zip(inputs, behind)]
        def joined(layer, part, forward_only=False):
            a, b = last[layer]
            return a[part] if b is None or forward_only else join(a[part], b[part])
        return torch.stack(inputs), last, joined

    # --- The decoder ---

    def start(self, source):
        H, last, joined = self.encode(source)
        config, layers = self.config["start"], self.size["layers"]
        kind, u = self.config["decoder"]["cell"], HIDDEN
        def made(part, bridge_name):
            origin = config["from"]
            if origin == "zero":
                return [torch.zeros(u, dtype=torch.float64)] * layers
            if config.get("bridge_form") == "viewed":
                flat = torch.cat([state[part] for pair in last for state in pair if state is not None])
                row = len(last) * len(last[0][0][0])
                matrix, bias = self.W(f"{bridge_name}.weight", row, row), self.W(f"{bridge_name}.bias", row)
                function = activation(config["bridge"])
                flat = torch.cat([function(matrix @ part + bias) for part in flat.split(row)])
                return list(flat.split(u))[:layers]
            states = []
            for layer in range(layers):
                if origin == "mean":
                    state = H.mean(0)
                else:
                    at = layer if origin == "each-layer" else len(last) - 1
                    state = joined(at, part, config.get("forward_only", False))
                if "bridge" in config:
                    name = bridge_name + (f"_l{layer}" if config.get("bridge_form") == "per-layer" else "")
                    matrix, bias = self.W(f"{name}.weight", u, len(state)), self.W(f"{name}.bias", u)
                    state = activation(config["bridge"])(matrix @ state + bias)
                states.append(state)
            return states
        hidden = made(0, "encoder.fc")
        cells = [None] * layers
        if kind == "lstm":
            cell = config.get("cell", "own")
            cells = hidden if cell == "state" else made(1, "encoder.fc_cell") if cell == "own" else None
            cells = cells or [torch.zeros(u, dtype=torch.float64)] * layers
        feed = self.config["decoder"].get("feed", "nothing")
        width = {"nothing": 0, "context": self.context_width(H), "attentional": self.size.get("hidden_fc", 0),
                 "state": u, "summary": 0}[feed]  # fmt: skip
        seed = self.config.get("attention", {}).get("seed", 0)
        draws = mixed(seed)
        for token in source:
            draws = mixed(draws ^ token)
        return {"H": H, "summary": joined(-1, 0), "states": list(zip(hidden, cells)), "step": 0, "draws": draws,
                "feed": torch.zeros(width, dtype=torch.float64), "covered": torch.zeros(len(source), dtype=torch.float64)}  # fmt: skip

    def context_width(self, H):
        return self.size.get("output", self.size.get("value", H.shape[1]))

    def attend(self, layer, state, embedded, memo):
        """The context, and the probabilities `[heads, length]`."""
        config, W, H = self.config["attention"], self.W, memo["H"]
        prefix = "decoder.attention." + (f"{layer}." if config.get("every_layer") else "")
        length, memory = H.shape
        heads, width = config.get("heads", 1), self.size.get("width", HIDDEN)
        score = config["score"]
        def projected(name, x):
            if name not in self.has:
                return x
            outputs = self.size.get(name, width)
            y = x @ W(f"{prefix}{name}.weight", outputs, x.shape[-1]).T
            return y + W(f"{prefix}{name}.bias", outputs) if f"{name}.bias" in self.has else y
        V = projected("value", H)
        scale = W(f"{prefix}scale", 1)[0] if "scale" in self.has else config.get("scale", 1.0)
        rows = []
        if score == "location":
            positions = self.size["positions"]
            query = torch.cat([embedded, state]) if config.get("embedding") else state
            e = W(f"{prefix}location.weight", positions, len(query)) @ query + W(f"{prefix}location.bias", positions)
            rows = [e]
        else:
            if "attn_fc" in self.has:
                both = W(f"{prefix}attn_fc.weight", width, HIDDEN + memory)
                q = both[:, :HIDDEN] @ state + W(f"{prefix}attn_fc.bias", width)
                K = H @ both[:, HIDDEN:].T
            else:
                q, K = projected("query", state), projected("key", H)
            assert len(q) == K.shape[1], "queries and keys of one width"
            v = W(f"{prefix}v_fc.weight", 1, width)[0] if "additive" in score or score == "concat" else None
            if score == "normalised-additive":
                v = scale * v / v.norm()
            part = len(q) // heads
            for head in range(heads):
                at = slice(head * part, (head + 1) * part)
                if v is not None:
                    inner = q[at] + K[:, at]
                    if config.get("coverage"):
                        inner = inner + memo["covered"][:, None] * W(f"{prefix}coverage.weight", width, 1)[:, 0]
                    rows.append(torch.tanh(inner) @ v[at])
                elif score == "cosine":
                    rows.append(scale * torch.nn.functional.cosine_similarity(q[None, at], K[:, at], dim=1, eps=1e-8))
                elif score == "scaled-dot":
                    rows.append(K[:, at] @ q[at] / math.sqrt(part))
                else:
                    rows.append(scale * (K[:, at] @ q[at]))
        reach, D = config.get("reach", "global"), config.get("half_window", 0)
        centre = None
        if reach == "local-monotone":
            centre = float(min(memo["step"], length - 1))
        elif reach == "local-predictive":
            inner = W(f"{prefix}position_fc.weight", 5, HIDDEN) @ state + W(f"{prefix}position_fc.bias", 5)
            centre = length * torch.sigmoid(W(f"{prefix}position_v.weight", 1, 5) @ torch.tanh(inner)).item()
        alphas = []
        for e in rows:
            if config.get("beyond"):
                alpha = e.softmax(0)[:length]
            else:
                alpha = torch.zeros(length, dtype=torch.float64)
                within = [i for i in range(min(length, len(e))) if centre is None or abs(i - centre) <= D]
                alpha[within] = e[within].softmax(0)
                if reach == "local-predictive":
                    places = torch.arange(length, dtype=torch.float64)
                    alpha = alpha * torch.exp(-((places - centre) ** 2) / (2 * (D / 2) ** 2))
            alphas.append(torch.nn.functional.pad(alpha, (0, length - len(alpha))))
        context, part = [], V.shape[1] // heads
        for head, alpha in enumerate(alphas):
            chosen, choice = alpha, config.get("choice", "soft")
            if choice == "argmax":
                chosen = torch.nn.functional.one_hot(alpha.argmax(), length).double()
            elif choice == "sampled":
                bits = mixed(memo["draws"] ^ ((layer + 1) << 32 | head))
                left, pick = (bits >> 40) / (1 << 24) * alpha.sum().item(), None
                for i, weight in enumerate(alpha.tolist()):
                    left -= weight
                    if weight > 0 and left < 0:
                        pick = i
                        break
                chosen = torch.nn.functional.one_hot(torch.tensor(pick), length).double()
            context.append(chosen @ V[:, head * part:(head + 1) * part])
        memo["covered"] = memo["covered"] + alphas[0]
        return projected("output", torch.cat(context)), torch.stack(alphas)

    def step(self, memo, token):
        """Logits, attention `[layers, heads, length]`, and what the next step stands on."""
        memo, config, W = dict(memo), self.config["decoder"], self.W
        memo["draws"] = mixed(memo["draws"] ^ token)
        kind, u, layers = config["cell"], HIDDEN, self.size["layers"]
        attention = self.config.get("attention", {"score": "none"})
        place = attention.get("query", "before") if attention["score"] != "none" else None
        every = attention.get("every_layer", False)
        E = W("decoder.embedding.weight", VOCABULARY, EMBEDDING)[token]
        if config.get("starts_from_zero") and memo["step"] == 0:
            E = torch.zeros_like(E)
        fed = {"nothing": None, "summary": memo["summary"]}.get(config.get("feed", "nothing"), memo["feed"])
        x = E if fed is None else torch.cat([E, fed])
        states, alphas, context, below = list(memo["states"]), [], None, x
        top = layers - 1
        outputs = []
        for layer in range(layers):
            read = below
            if place == "before" and (layer == 0 or every):
                context, alpha = self.attend(layer if every else 0, states[layer if every else top][0], E, memo)
                alphas.append(alpha)
                read = torch.cat([below, context])
            elif layer > 0 and (place == "between-layers" or every and place in ("after", "between-cells")):
                read = torch.cat([below, context])
            if layer == 0 and "input_activation" in config:
                if "input_fc" in self.size:
                    outputs_width = self.size["input_fc"]
                    read = W("decoder.input_fc.weight", outputs_width, len(read)) @ read
                    read = read + W("decoder.input_fc.bias", outputs_width)
                read = activation(config["input_activation"])(read)
                below = read
            state = cell_step(kind, W, "decoder.rnn", f"_l{layer}", read, states[layer], u)
            number = 2
            if place == "between-cells" and (layer == 0 or every):
                context, alpha = self.attend(layer if every else 0, state[0], E, memo)
                alphas.append(alpha)
                state = cell_step(kind, W, "decoder.rnn", f"_l{layer}_cell2", context, state, u)
                number = 3
            for further in range(number, number + config.get("transitions", 0)):
                state = cell_step(kind, W, "decoder.rnn", f"_l{layer}_cell{further}", None, state, u)
            states[layer] = state
            below = state[0] + below if layer >= config.get("residual_from", 99) else state[0]
            if place == "after" and (layer == top or every) or place == "between-layers" and layer == 0:
                context, alpha = self.attend(layer if every else 0, below, E, memo)
                alphas.append(alpha)
        named = {"state": below, "context": context, "embedding": E, "summary": memo["summary"]}
        parts = self.config["output"]["parts"]
        features = torch.cat([named[part] for part in parts])
        if "hidden_fc" in self.size:
            width, function = self.size["hidden_fc"], activation(self.config["output"]["hidden_activation"])
            if "apart" in self.has:
                layers_of = [(f"decoder.hidden_fc_{part}", named[part]) for part in parts]
                features = sum(W(f"{n}.weight", width, len(v)) @ v + W(f"{n}.bias", width) for n, v in layers_of)
            else:
                features = W("decoder.hidden_fc.weight", width, len(features)) @ features
                features = features + W("decoder.hidden_fc.bias", width) if "hidden_fc.bias" in self.has else features
            features = function(features)
        fed_on = {"context": context, "attentional": features, "state": below}
        memo["feed"] = fed_on.get(config.get("feed"), memo["feed"])
        if "extra_fc" in self.size:
            features = W("decoder.extra_fc.weight", self.size["extra_fc"], len(features)) @ features
        matrix = W("decoder.embedding.weight", VOCABULARY, EMBEDDING) if "tied" in self.has else W(
            "decoder.fc_out.weight", VOCABULARY, len(features)
        )
        logits = matrix @ features + W("decoder.fc_out.bias", VOCABULARY)
        memo |= {"states": states, "step": memo["step"] + 1}
        return logits, (torch.stack(alphas) if alphas else None), memo


# --- Search ---------------------------------------------------------------------------------------------------------


def greedy(network, source):
    memo, token, tokens, total, attention = network.start(source), START, [], 0.0, []
    while len(tokens) < MAX_LENGTH:
        logits, alpha, memo = network.step(memo, token)
        token = logits.argmax().item()
        total += logits.log_softmax(0)[token].item()
        tokens.append(token)
        attention.append(alpha)
        if token == END:
            break
    return tokens, total, attention


def beam(network, source):
    """`generate()`'s beam search with a length penalty of 1 and early stopping `False`."""
    running, finished = [(0.0, [], START, network.start(source))], []
    for length in range(1, MAX_LENGTH + 1):
        candidates = []
        for total, tokens, token, memo in running:
            logits, _, memo = network.step(memo, token)
            scores = logits.log_softmax(0).tolist()
            candidates += [(total + score, tokens + [next], next, memo) for next, score in enumerate(scores)]
        candidates = sorted(candidates, key=lambda candidate: -candidate[0])[: 2 * BEAMS]
        ended = [(c[0] / length, c[1]) for rank, c in enumerate(candidates) if c[2] == END and rank < BEAMS]
        finished = sorted(finished + ended, key=lambda hypothesis: -hypothesis[0])[:BEAMS]
        running = [candidate for candidate in candidates if candidate[2] != END][:BEAMS]
        if len(finished) == BEAMS and running[0][0] / length <= finished[-1][0]:
            return finished
    finished += [(total / MAX_LENGTH, tokens) for total, tokens, _, _ in running]
    return sorted(finished, key=lambda hypothesis: -hypothesis[0])[:BEAMS]


# --- The grid -------------------------------------------------------------------------------------------------------

CELLS = "gru", "lstm", "rnn-tanh", "gru-reset-before", "rnn-relu"


def combination(name, cell="gru", encoder=None, decoder=None, start=None, attention=None, output=None, size=None, has=()):
    """A configuration: by default a bidirectional encoder of half the width, and a bridge."""
    config = {
        "encoder": {"cell": cell, "directions": "each-layer"} | (encoder or {}),
        "decoder": {"cell": cell} | (decoder or {}),
        "start": {"from": "top-layer", "bridge": "tanh"} | (start or {}),
        "attention": {"score": "general", "query": "after"} | (attention or {}),
        "output": {"parts": ["state", "context", "embedding"]} | (output or {}),
    }
    config["start"] = {key: value for key, value in config["start"].items() if value is not None}
    # Scores that compare nothing of another width need an encoder half as wide.
    return {"name": name, "config": config, "size": {"encoder_hidden": 4} | (size or {}), "has": list(has)}


def grid():
    made, turn = [], 0
    def add(name, **parts):
        nonlocal turn
        parts.setdefault("cell", CELLS[turn % len(CELLS)])
        turn += 1
        made.append(combination(name, **parts))

    scores = {
        "dot": ({"score": "dot"}, (), {}),
        "scaled-dot": ({"score": "scaled-dot"}, ("query", "key"), {"width": 6}),
        "general-query": ({"score": "general"}, ("query",), {}),
        "general-key": ({"score": "general"}, ("key", "scale"), {"encoder_hidden": 5}),
        "additive": ({"score": "additive"}, ("query", "query.bias", "key"), {"width": 7}),
        "concat": ({"score": "concat"}, ("attn_fc",), {"width": 9, "encoder_hidden": 5}),
        "normalised": ({"score": "normalised-additive"}, ("query", "key", "key.bias", "scale"), {}),
        "cosine": ({"score": "cosine", "scale": 2.5}, ("query",), {}),
        "location": ({"score": "location"}, (), {"positions": 7}),
    }
    for score, (attention, has, size) in scores.items():
        for query in "before", "after", "between-cells":
            add(f"{score} {query}", attention=attention | {"query": query}, has=has, size=size)
    for reach in "local-monotone", "local-predictive":
        for score in "dot", "general-key", "additive", "cosine", "location":
            attention, has, size = scores[score]
            settings = {"reach": reach, "half_window": 2 if score != "dot" else 1, "query": ["after", "before"][turn % 2]}
            add(f"{score} {reach}", attention=attention | settings, has=has, size=size)
    for choice in "argmax", "sampled":
        for score in "dot", "additive", "cosine", "location":
            attention, has, size = scores[score]
            settings = {"choice": choice, "query": ["after", "before"][turn % 2]}
            if choice == "sampled":
                settings["seed"] = turn
            add(f"{score} {choice}", attention=attention | settings, has=has, size=size)
    add("sampled in a window", attention={"reach": "local-predictive", "half_window": 2, "choice": "sampled"}, has=("query",))
    for heads, score in (2, "dot"), (2, "scaled-dot"), (4, "additive"), (4, "cosine"), (2, "normalised"):
        attention, has, size = scores[score]
        size = size | {"width": 8, "value": 4, "output": 5}
        settings = {"heads": heads, "query": ["after", "before", "between-cells"][turn % 3]}
        add(f"{heads} heads {score}", attention=attention | settings, has=(*has, "value", "output", "output.bias"), size=size)
    add("2 heads of the memory", attention={"heads": 2, "query": "before"}, has=("query",))
    add("2 heads additive of the memory", attention={"heads": 2, "score": "additive"}, has=("query", "key"))
    add("2 heads in windows", attention={"heads": 2, "score": "cosine", "reach": "local-monotone", "half_window": 1}, has=("query",))
    add("2 heads sampled", attention={"heads": 2, "score": "scaled-dot", "choice": "sampled"}, has=("query", "key"))
    luong = {"parts": ["context", "state"], "hidden_activation": "tanh"}
    for cell in "gru", "lstm":
        for feed in "context", "attentional", "summary", "state":
            for query in ("after", "before") if feed == "context" else ("after",):
                add(f"fed {feed} {cell} {query}", cell=cell, decoder={"feed": feed}, attention={"query": query},
                    output=luong, size={"hidden_fc": 10}, has=("query", "hidden_fc.bias"))  # fmt: skip
    deep = {"size": {"layers": 2, "encoder_layers": 2, "encoder_hidden": 4}, "start": {"from": "each-layer", "bridge": None}}
    for cell in "gru", "lstm":
        add(f"two layers {cell}", cell=cell, has=("query",), **deep)
        add(f"two layers residual {cell}", cell=cell, has=("query",), **deep,
            encoder={"residual_from": 1}, decoder={"residual_from": 1, "feed": "context"})  # fmt: skip
        for query in "before", "after", "between-cells":
            add(f"every layer {query} {cell}", cell=cell, has=("query",), **deep,
                attention={"every_layer": True, "query": query})  # fmt: skip
        add(f"between layers {cell}", cell=cell, has=("query",), **deep, attention={"query": "between-layers"})
        viewed = {"from": "each-layer", "bridge": "relu", "bridge_form": "viewed"}
        add(f"viewed bridge {cell}", cell=cell, has=("query",), size=deep["size"], start=viewed)
    add("towers", encoder={"directions": "towers", "residual_from": 1}, has=("query",), **deep)
    add("towers summed", encoder={"directions": "towers", "join": "summed"}, has=("query",),
        size={"layers": 1, "encoder_layers": 2, "encoder_hidden": 8})  # fmt: skip
    add("first layer both ways", encoder={"directions": "first-layer", "residual_from": 2}, has=("query",),
        size={"encoder_layers": 3, "encoder_hidden": 8, "layers": 2})  # fmt: skip
    add("summed directions", encoder={"join": "summed", "residual_from": 1}, has=("query",), start={"bridge": None},
        size={"encoder_layers": 2, "encoder_hidden": 8})  # fmt: skip
    add("one way", encoder={"directions": "forward"}, has=("query",), size={"encoder_hidden": 8}, start={"bridge": None})
    add("transitions", cell="gru", encoder={"transitions": 1}, decoder={"transitions": 2}, has=("query",))
    add("transitions lstm", cell="lstm", encoder={"transitions": 1}, decoder={"transitions": 1},
        attention={"query": "between-cells"}, has=("query",))  # fmt: skip
    add("mean start", cell="gru", start={"from": "mean"}, has=("query",))
    add("mean start lstm", cell="lstm", start={"from": "mean", "cell": "state"}, has=("query",))
    add("zero start", start={"from": "zero", "bridge": None}, has=("query",))
    add("forward half", cell="lstm", start={"forward_only": True, "bridge": None, "cell": "zero"}, has=("query", "key"),
        size={"encoder_hidden": 8})  # fmt: skip
    add("bridge for each layer", cell="lstm", start={"from": "each-layer", "bridge": "linear", "bridge_form": "per-layer"},
        has=("query",), size={"layers": 2, "encoder_layers": 2})  # fmt: skip
    add("an encoder of other cells", encoder={"cell": "rnn-tanh"}, decoder={"cell": "lstm"}, start={"cell": "zero"}, has=("query",))
    for query in "before", "after", "between-cells":
        add(f"coverage {query}", attention={"score": "additive", "coverage": True, "query": query}, has=("query", "key"))
    add("deep output", decoder={"starts_from_zero": True}, attention={"query": "between-cells", "score": "additive"},
        output={"parts": ["embedding", "state", "context"], "hidden_activation": "tanh"},
        size={"hidden_fc": EMBEDDING}, has=("query", "key", "key.bias", "apart", "tied"))  # fmt: skip
    add("extra layer", output=luong, size={"hidden_fc": 9, "extra_fc": 5}, has=("query",))
    add("memory beyond the sentence", cell="gru", decoder={"input_activation": "relu"},
        attention={"score": "location", "query": "before", "embedding": True, "beyond": True}, output={"parts": ["state"]},
        size={"positions": 12, "input_fc": 8})  # fmt: skip
    none = {"score": "none"}
    add("no attention", cell="lstm", attention=none, output={"parts": ["state"]}, **deep)
    add("no attention, activated", cell="gru", attention=none, decoder={"input_activation": "relu"}, output={"parts": ["state"]})
    add("no attention, a summary", cell="gru", attention=none, decoder={"feed": "summary"},
        output={"parts": ["embedding", "state", "summary"]}, encoder={"directions": "forward"},
        start={"bridge": None}, size={"encoder_hidden": 8})  # fmt: skip
    return made


def rounded(values):
    return [float(f"{value:.6g}") for value in values]


def main():
    torch.set_num_threads(1)
    torch.manual_seed(1)
    lengths = [5, 3, 6, 4, 2, 7, 1, 5, 4, 6]
    sources = [torch.randint(4, VOCABULARY, (length,)).tolist() + [END] for length in lengths]
    out = []
    for item in grid():
        network, other = Network(item), Network(item, disturbed=True)
        cases = []
        # There is no score for a longer source than there are positions.
        most = item["size"].get("positions", 99)
        for source in sources:
            if len(cases) == SOURCES or len(source) > most:
                continue
            tokens, total, attention = greedy(network, source)
            best = beam(network, source)
            same = tokens == greedy(other, source)[0] and [b[1] for b in best] == [b[1] for b in beam(other, source)]
            if not same or tokens[0] == END:
                continue
            case = {"source": source, "tokens": tokens, "log_prob": float(f"{total:.8g}")}
            if attention[0] is not None:
                # [layers, heads, steps, length].
                alphas = torch.stack(attention, 2)
                case |= {"shape": list(alphas.shape), "attention": rounded(alphas.flatten().tolist())}
            case["beam"] = [[tokens, float(f"{score:.8g}")] for score, tokens in best]
            cases.append(case)
        assert len(cases) >= 2, item["name"]
        tensors = {name: list(tensor.shape) for name, tensor in network.W.made.items()}
        out.append({"name": item["name"], "config": item["config"], "tensors": tensors, "cases": cases})
    path = Path(__file__).parents[1] / "fixtures/recurrent/grid.json"
    path.parent.mkdir(exist_ok=True)
    lines = ",\n".join(json.dumps(item) for item in out)
    path.write_text(f"[\n{lines}\n]\n")
    print(f"{len(out)} combinations, {path.stat().st_size} bytes")


main()
