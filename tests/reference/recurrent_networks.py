"""The recurrent networks of tutorials, of Keras and of Marian, written from their formulas, step by step and without any masking: each
batch has sentences of one length.

`run(source, fed)` gives logits `[batch, length, vocabulary]` and the attention `[batch, length, source]`, or None without any.
`stored()` gives the tensors under the names that such a checkpoint has.
"""
import torch
from torch import nn

EMBEDDING, HIDDEN = 10, 12


class Plain(nn.Module):
    """A network whose own names are those that are stored."""

    def stored(self):
        return self.state_dict()

    def run(self, source, fed):
        state, memory = self.start(source)
        logits, weights = [], []
        for step in range(fed.shape[1]):
            scores, attention, state = self.step(fed[:, step], state, memory)
            logits.append(scores)
            weights.append(attention)
        return torch.stack(logits, 1), None if weights[0] is None else torch.stack(weights, 1)


# ---------------------------------------------------------------- the tutorials in parts 1, 2 and 4


class TutorialOne(Plain):
    """Two layers of LSTM on each side, and nothing but their states between them (Sutskever, Vinyals and Le 2014)."""

    def __init__(self, source, target):
        super().__init__()
        self.encoder, self.decoder = nn.Module(), nn.Module()
        self.encoder.embedding, self.decoder.embedding = nn.Embedding(source, EMBEDDING), nn.Embedding(target, EMBEDDING)
        self.encoder.rnn, self.decoder.rnn = (nn.LSTM(EMBEDDING, HIDDEN, 2, batch_first=True) for _ in range(2))
        self.decoder.fc_out = nn.Linear(HIDDEN, target)

    def start(self, source):
        return self.encoder.rnn(self.encoder.embedding(source))[1], None

    def step(self, token, state, memory):
        output, state = self.decoder.rnn(self.decoder.embedding(token)[:, None], state)
        return self.decoder.fc_out(output[:, 0]), None, state


class TutorialTwo(Plain):
    """The encoder's last state is fed at every step and read by the output, too (Cho et al. 2014)."""

    def __init__(self, source, target):
        super().__init__()
        self.encoder, self.decoder = nn.Module(), nn.Module()
        self.encoder.embedding, self.decoder.embedding = nn.Embedding(source, EMBEDDING), nn.Embedding(target, EMBEDDING)
        self.encoder.rnn = nn.GRU(EMBEDDING, HIDDEN, batch_first=True)
        self.decoder.rnn = nn.GRU(EMBEDDING + HIDDEN, HIDDEN, batch_first=True)
        self.decoder.fc_out = nn.Linear(EMBEDDING + 2 * HIDDEN, target)

    def start(self, source):
        last = self.encoder.rnn(self.encoder.embedding(source))[1]
        return last, last[0]

    def step(self, token, state, summary):
        embedded = self.decoder.embedding(token)
        output, state = self.decoder.rnn(torch.cat([embedded, summary], 1)[:, None], state)
        return self.decoder.fc_out(torch.cat([embedded, output[:, 0], summary], 1)), None, state


class TutorialFour(Plain):
    """As part 3, with other names for the attention (Bahdanau, Cho and Bengio 2015)."""

    def __init__(self, source, target):
        super().__init__()
        self.encoder, self.decoder = nn.Module(), nn.Module()
        self.encoder.embedding, self.decoder.embedding = nn.Embedding(source, EMBEDDING), nn.Embedding(target, EMBEDDING)
        self.encoder.rnn = nn.GRU(EMBEDDING, HIDDEN, batch_first=True, bidirectional=True)
        self.encoder.fc = nn.Linear(2 * HIDDEN, HIDDEN)
        self.decoder.attention = nn.Module()
        self.decoder.attention.attn = nn.Linear(3 * HIDDEN, HIDDEN)
        self.decoder.attention.v = nn.Linear(HIDDEN, 1, bias=False)
        self.decoder.rnn = nn.GRU(EMBEDDING + 2 * HIDDEN, HIDDEN, batch_first=True)
        self.decoder.fc_out = nn.Linear(EMBEDDING + 3 * HIDDEN, target)

    def start(self, source):
        memory, last = self.encoder.rnn(self.encoder.embedding(source))
        return torch.tanh(self.encoder.fc(torch.cat([last[0], last[1]], 1)))[None], memory

    def step(self, token, state, memory):
        embedded, attention = self.decoder.embedding(token), self.decoder.attention
        query = state[0][:, None].expand(-1, memory.shape[1], -1)
        weights = attention.v(torch.tanh(attention.attn(torch.cat([query, memory], 2)))).squeeze(2).softmax(1)
        context = (weights[:, None] @ memory)[:, 0]
        output, state = self.decoder.rnn(torch.cat([embedded, context], 1)[:, None], state)
        return self.decoder.fc_out(torch.cat([output[:, 0], context, embedded], 1)), weights, state


# ---------------------------------------------------------------- the official tutorial


class Official(Plain):
    def __init__(self, source, target):
        super().__init__()
        self.encoder, self.decoder = nn.Module(), nn.Module()
        self.encoder.embedding, self.decoder.embedding = nn.Embedding(source, HIDDEN), nn.Embedding(target, HIDDEN)
        self.encoder.gru = nn.GRU(HIDDEN, HIDDEN, batch_first=True)
        self.decoder.out = nn.Linear(HIDDEN, target)

    def start(self, source):
        memory, last = self.encoder.gru(self.encoder.embedding(source))
        return last, memory


class OfficialNew(Official):
    """Additive attention, all three of its matrices with a bias."""

    def __init__(self, source, target):
        super().__init__(source, target)
        self.decoder.attention = nn.Module()
        self.decoder.attention.Wa, self.decoder.attention.Ua = nn.Linear(HIDDEN, HIDDEN), nn.Linear(HIDDEN, HIDDEN)
        self.decoder.attention.Va = nn.Linear(HIDDEN, 1)
        self.decoder.gru = nn.GRU(2 * HIDDEN, HIDDEN, batch_first=True)

    def step(self, token, state, memory):
        attention = self.decoder.attention
        scores = attention.Va(torch.tanh(attention.Wa(state[0])[:, None] + attention.Ua(memory))).squeeze(2)
        weights = scores.softmax(1)
        context = (weights[:, None] @ memory)[:, 0]
        output, state = self.decoder.gru(torch.cat([self.decoder.embedding(token), context], 1)[:, None], state)
        return self.decoder.out(output[:, 0]), weights, state


class OfficialOld(Official):
    """One score for each position there may be, from embedding and state alone; positions beyond the sentence have their share."""

    POSITIONS = 10

    def __init__(self, source, target):
        super().__init__(source, target)
        self.decoder.attn = nn.Linear(2 * HIDDEN, self.POSITIONS)
        self.decoder.attn_combine = nn.Linear(2 * HIDDEN, HIDDEN)
        self.decoder.gru = nn.GRU(HIDDEN, HIDDEN, batch_first=True)

    def step(self, token, state, memory):
        embedded, length = self.decoder.embedding(token), memory.shape[1]
        weights = self.decoder.attn(torch.cat([embedded, state[0]], 1)).softmax(1)
        # The memory is zero beyond the sentence.
        context = (weights[:, None, :length] @ memory)[:, 0]
        inputs = torch.relu(self.decoder.attn_combine(torch.cat([embedded, context], 1)))
        output, state = self.decoder.gru(inputs[:, None], state)
        return self.decoder.out(output[:, 0]), weights[:, :length], state


class OfficialPlain(Official):
    """Without attention."""

    def __init__(self, source, target):
        super().__init__(source, target)
        self.decoder.gru = nn.GRU(HIDDEN, HIDDEN, batch_first=True)

    def step(self, token, state, memory):
        output, state = self.decoder.gru(torch.relu(self.decoder.embedding(token))[:, None], state)
        return self.decoder.out(output[:, 0]), None, state


# ---------------------------------------------------------------- Keras


class KerasCell(nn.Module):
    """Gates z, r, h; kernels `[inputs, 3u]`; with `reset_after` two rows of biases, else one."""

    def __init__(self, inputs, units, reset_after):
        super().__init__()
        self.units, self.reset_after = units, reset_after
        self.kernel = nn.Parameter(torch.empty(inputs, 3 * units))
        self.recurrent_kernel = nn.Parameter(torch.empty(units, 3 * units))
        self.bias = nn.Parameter(torch.zeros(2, 3 * units) if reset_after else torch.zeros(3 * units))
        nn.init.xavier_uniform_(self.kernel)
        nn.init.orthogonal_(self.recurrent_kernel)

    def forward(self, x, h):
        of_input = x @ self.kernel + (self.bias[0] if self.reset_after else self.bias)
        z, r, n = of_input.split(self.units, 1)
        u_z, u_r, u_n = self.recurrent_kernel.split(self.units, 1)
        if self.reset_after:
            b_z, b_r, b_n = self.bias[1].split(self.units)
            z, r = torch.sigmoid(z + h @ u_z + b_z), torch.sigmoid(r + h @ u_r + b_r)
            n = torch.tanh(n + r * (h @ u_n + b_n))
        else:
            z, r = torch.sigmoid(z + h @ u_z), torch.sigmoid(r + h @ u_r)
            n = torch.tanh(n + (r * h) @ u_n)
        return z * h + (1 - z) * n


class KerasGru(Plain):
    """A bidirectional GRU whose states are projected, a GRU that starts from zeros, additive attention after it whose query and keys
    are not projected, and a dense layer over [state; context]."""

    UNITS = 8

    def __init__(self, source, target, reset_after):
        super().__init__()
        self.source_embedding, self.target_embedding = nn.Embedding(source, EMBEDDING), nn.Embedding(target, EMBEDDING)
        self.forwards, self.backwards = (KerasCell(EMBEDDING, self.UNITS, reset_after) for _ in range(2))
        self.decoder = KerasCell(EMBEDDING, self.UNITS, reset_after)
        self.project = nn.Linear(2 * self.UNITS, self.UNITS)
        self.scale = nn.Parameter(torch.randn(self.UNITS))
        self.dense = nn.Linear(2 * self.UNITS, target)

    def stored(self):
        cells = {
            "layers/bidirectional/forward_layer/cell": self.forwards, "layers/bidirectional/backward_layer/cell": self.backwards,
            "layers/gru/cell": self.decoder,
        }  # fmt: skip
        tensors = {"layers/embedding/vars/0": self.source_embedding.weight, "layers/embedding_1/vars/0": self.target_embedding.weight}
        for name, cell in cells.items():
            for number, tensor in enumerate([cell.kernel, cell.recurrent_kernel, cell.bias]):
                tensors[f"{name}/vars/{number}"] = tensor
        tensors["layers/additive_attention/vars/0"] = self.scale
        for name, layer in [("layers/time_distributed/layer", self.project), ("layers/dense", self.dense)]:
            tensors |= {f"{name}/vars/0": layer.weight.T, f"{name}/vars/1": layer.bias}
        return tensors

    def start(self, source):
        embedded, towers = self.source_embedding(source), []
        for cell, order in [(self.forwards, 1), (self.backwards, -1)]:
            state, states = embedded.new_zeros(len(source), self.UNITS), []
            for x in list(embedded.unbind(1))[::order]:
                state = cell(x, state)
                states.append(state)
            towers.append(torch.stack(states[::order], 1))
        return embedded.new_zeros(len(source), self.UNITS), self.project(torch.cat(towers, 2))

    def step(self, token, state, memory):
        state = self.decoder(self.target_embedding(token), state)
        weights = (self.scale * torch.tanh(state[:, None] + memory)).sum(2).softmax(1)
        context = (weights[:, None] @ memory)[:, 0]
        return self.dense(torch.cat([state, context], 1)), weights, state


# ---------------------------------------------------------------- Marian


#: The old names of what Marian calls by the name on the left.
NEMATUS = {
    **{f"decoder_cell1_{part}": f"decoder_{part}" for part in ["U", "Ux", "W", "Wx", "b", "bx"]},
    **{f"decoder_cell2_{part}": f"decoder_{part}_nl" for part in ["U", "Ux", "b", "bx"]},
    "decoder_cell2_W": "decoder_Wc", "decoder_cell2_Wx": "decoder_Wcx",
    **{f"decoder_ff_logit_l1_{kind}{n}": f"ff_logit_{name}_{kind}" for n, name in enumerate(["prev", "lstm", "ctx"]) for kind in "Wb"},
    **{f"decoder_ff_logit_l2_{kind}": f"ff_logit_{kind}" for kind in "Wb"},
    **{f"decoder_ff_state_{kind}": f"ff_state_{kind}" for kind in "Wb"},
    "encoder_Wemb": "Wemb", "decoder_Wemb": "Wemb_dec",
    **{f"encoder_bi_{part}": f"encoder_{part}" for part in ["U", "Ux", "W", "Wx", "b", "bx"]},
    **{f"encoder_bi_r_{part}": f"encoder_r_{part}" for part in ["U", "Ux", "W", "Wx", "b", "bx"]},
    **{f"decoder_cell3_{part}": f"decoder_{part}_nl_drt_1" for part in ["U", "Ux", "b", "bx"]},
}  # fmt: skip


class Marian(nn.Module):
    """Types s2s, nematus and amun: matrices `[inputs, outputs]`, biases `[1, outputs]`."""

    def __init__(self, options, source, target):
        super().__init__()
        self.options = options
        e, u = options["dim-emb"], options["dim-rnn"]
        shapes = {}

        def cell(prefix, kind, inputs):
            gates = {"W": 4, "U": 4, "b": 4} if kind == "lstm" else {"W": 2, "Wx": 1, "U": 2, "Ux": 1, "b": 2, "bx": 1}
            for name, count in gates.items():
                if name[0] != "W" or inputs:
                    shapes[f"{prefix}_{name}"] = ({"W": inputs, "U": u, "b": 1}[name[0]], count * u)

        depth, enc, dec = options["enc-depth"], options["enc-cell"], options["dec-cell"]
        towers = depth if options["enc-type"] == "bidirectional" else 1
        for layer in range(1, towers + 1):
            for prefix in ["encoder_bi", "encoder_bi_r"]:
                cell(prefix if layer == 1 else f"{prefix}_l{layer}_cell1", enc, e if layer == 1 else u)
        for layer in range(towers + 1, depth + 1):
            cell(f"encoder_l{layer}_cell1", enc, 2 * u if layer == towers + 1 else u)
        memory = u if depth > towers else 2 * u
        for number in range(1, options["dec-cell-base-depth"] + 1):
            cell(f"decoder_cell{number}", dec, {1: e, 2: memory}.get(number, 0))
        for layer in range(2, options["dec-depth"] + 1):
            cell(f"decoder_l{layer}_cell1", dec, u)
        shapes |= {"decoder_W_comb_att": (u, memory), "decoder_Wc_att": (memory, memory), "decoder_b_att": (1, memory),
                   "decoder_U_att": (memory, 1), "decoder_ff_state_W": (memory, u), "decoder_ff_state_b": (1, u)}  # fmt: skip
        for number, inputs in enumerate([e, u, memory]):
            shapes |= {f"decoder_ff_logit_l1_W{number}": (inputs, e), f"decoder_ff_logit_l1_b{number}": (1, e)}
        shapes |= {"encoder_Wemb": (source, e), "decoder_Wemb": (target, e), "decoder_ff_logit_l2_b": (1, target)}
        if not options["tied-embeddings"]:
            shapes["decoder_ff_logit_l2_W"] = (e, target)
        self.tensors = nn.ParameterDict({name: nn.Parameter(torch.zeros(shape)) for name, shape in shapes.items()})
        for tensor in self.tensors.values():
            if tensor.shape[0] > 1:
                nn.init.xavier_uniform_(tensor)
            else:
                nn.init.normal_(tensor, std=0.1)

    def is_old(self):
        return self.options["type"] != "s2s"

    def stored(self):
        return {NEMATUS.get(name, name) if self.is_old() else name: tensor for name, tensor in self.tensors.items()}

    def read(self, tensors):
        with torch.no_grad():
            for name in self.tensors:
                self.tensors[name].copy_(tensors[NEMATUS.get(name, name) if self.is_old() else name])

    def cell(self, prefix, kind, state, inputs=None, final=False):
        """`state` is a pair of output and, of an LSTM, cell."""
        get = self.tensors.get
        h, c = state
        if kind == "lstm":
            gates = h @ get(f"{prefix}_U") + get(f"{prefix}_b")
            if inputs is not None:
                gates = gates + inputs @ get(f"{prefix}_W")
            f, i, g, o = gates.chunk(4, -1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            return torch.sigmoid(o) * torch.tanh(c), c
        gates, n = get(f"{prefix}_b").expand(len(h), -1), h.new_zeros(h.shape)
        if inputs is not None:
            gates, n = gates + inputs @ get(f"{prefix}_W"), inputs @ get(f"{prefix}_Wx")
        r, z = torch.sigmoid(gates + h @ get(f"{prefix}_U")).chunk(2, -1)
        of_state = h @ get(f"{prefix}_Ux")
        # The cells of a decoder after the first have their bias within the reset.
        n = torch.tanh(n + r * (of_state + get(f"{prefix}_bx"))) if final else torch.tanh(n + r * of_state + get(f"{prefix}_bx"))
        return (1 - z) * n + z * h, c

    def layer(self, prefix, kind, xs, backward=False):
        zeros = xs.new_zeros(len(xs), self.options["dim-rnn"])
        state, states = (zeros, zeros), []
        for x in list(xs.unbind(1))[:: -1 if backward else 1]:
            state = self.cell(prefix, kind, state, x)
            states.append(state[0])
        return torch.stack(states[:: -1 if backward else 1], 1)

    def run(self, source, fed):
        options, get = self.options, self.tensors.get
        depth, enc, dec = options["enc-depth"], options["enc-cell"], options["dec-cell"]
        towers = depth if options["enc-type"] == "bidirectional" else 1
        both = []
        for prefix, backward in [("encoder_bi", False), ("encoder_bi_r", True)]:
            x = get("encoder_Wemb")[source]
            for layer in range(1, towers + 1):
                x = self.layer(prefix if layer == 1 else f"{prefix}_l{layer}_cell1", enc, x, backward)
            both.append(x)
        memory = torch.cat(both, 2)
        for layer in range(towers + 1, depth + 1):
            memory = self.layer(f"encoder_l{layer}_cell1", enc, memory)
        start = torch.tanh(memory.mean(1) @ get("decoder_ff_state_W") + get("decoder_ff_state_b"))
        states = [(start, start)] * options["dec-depth"]
        keys = memory @ get("decoder_Wc_att") + get("decoder_b_att")
        logits, attention = [], []
        for step in range(fed.shape[1]):
            embedded = get("decoder_Wemb")[fed[:, step]]
            if step == 0:
                embedded = torch.zeros_like(embedded)
            states[0] = self.cell("decoder_cell1", dec, states[0], embedded)
            query = states[0][0] @ get("decoder_W_comb_att")
            weights = (torch.tanh(query[:, None] + keys) @ get("decoder_U_att")).squeeze(2).softmax(1)
            context = (weights[:, None] @ memory)[:, 0]
            states[0] = self.cell("decoder_cell2", dec, states[0], context, final=True)
            for number in range(3, options["dec-cell-base-depth"] + 1):
                states[0] = self.cell(f"decoder_cell{number}", dec, states[0], final=True)
            for layer in range(2, options["dec-depth"] + 1):
                states[layer - 1] = self.cell(f"decoder_l{layer}_cell1", dec, states[layer - 1], states[layer - 2][0])
            parts = [embedded, states[-1][0], context]
            hidden = sum(x @ get(f"decoder_ff_logit_l1_W{n}") + get(f"decoder_ff_logit_l1_b{n}") for n, x in enumerate(parts))
            out = get("decoder_Wemb").T if options["tied-embeddings"] else get("decoder_ff_logit_l2_W")
            logits.append(torch.tanh(hidden) @ out + get("decoder_ff_logit_l2_b"))
            attention.append(weights)
        return torch.stack(logits, 1), torch.stack(attention, 1)
