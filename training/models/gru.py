"""The GRU with additive attention, with the tensor names of the well-known PyTorch tutorial.

The recurrences are written by hand, forward and backward. Autograd would add every step's weight
gradient to a full-size matrix; here the steps only store their gate gradients, and one large matrix
product per weight follows after the last step. On one core that is a third of the whole time.
"""

import torch
from torch import nn
from torch.amp import custom_bwd, custom_fwd
from torch.nn import functional as F

from .layers import Dropout

DEFAULTS = {
    "model_type": "gru-attention",
    "embedding_dim": 256,
    "hidden_dim": 512,
    "embedding_dropout": 0.2,
    "output_dropout": 0.2,
}


def gru_cell(from_input, from_state, previous):
    """PyTorch's cell: gates r, z, n; n uses r * (W_hn h + b_hn). Also returns what backward needs."""
    size = previous.shape[-1]
    reset_update = (from_input[..., : 2 * size] + from_state[..., : 2 * size]).sigmoid_()
    reset, update = reset_update.chunk(2, dim=-1)
    candidate_state = from_state[..., 2 * size :]
    candidate = torch.addcmul(from_input[..., 2 * size :], reset, candidate_state).tanh_()
    new = torch.lerp(candidate, previous, update)
    return new, (reset, update, candidate, candidate_state)


def gru_cell_backward(gradient, previous, saved):
    """Gradients of the input's gates, of the state's gates, and of the previous state."""
    reset, update, candidate, candidate_state = saved
    kept = gradient * update
    d_candidate = (gradient - kept).mul_(1 - candidate * candidate)
    d_update = (kept * (1 - update)).mul_(previous - candidate)
    d_reset = (d_candidate * candidate_state).mul_(reset).mul_(1 - reset)
    from_input = torch.cat([d_reset, d_update, d_candidate], dim=-1)
    from_state = torch.cat([d_reset, d_update, d_candidate * reset], dim=-1)
    return from_input, from_state, kept


class _Recurrence(torch.autograd.Function):
    """Both directions of the encoder. Steps first: gates [S, 2, B, 3H], mask [S, 2, B, 1]."""

    @staticmethod
    @custom_fwd(device_type="cuda", cast_inputs=torch.float32)
    def forward(context, gates, weight, bias, mask):
        steps, directions, batch, width = gates.shape
        state = gates.new_zeros(directions, batch, width // 3)
        states, saved = [state], []
        transposed = weight.transpose(1, 2)
        for step in range(steps):
            from_state = torch.baddbmm(bias.unsqueeze(1), state, transposed)
            new, parts = gru_cell(gates[step], from_state, state)
            # A padded position leaves the state as it is, so the backward direction starts
            # at each sentence's own last token.
            state = new if mask is None else torch.lerp(state, new, mask[step])
            states.append(state)
            saved.append(parts)
        context.states, context.parts, context.mask = states, saved, mask
        context.save_for_backward(weight)
        return torch.stack(states[1:])

    @staticmethod
    @custom_bwd(device_type="cuda")
    def backward(context, gradient):
        (weight,) = context.saved_tensors
        carried = torch.zeros_like(gradient[0])
        inputs, hiddens = [], []
        for step in reversed(range(len(context.parts))):
            total = gradient[step] + carried
            previous = context.states[step]
            passed = None
            if context.mask is not None:
                real = total * context.mask[step]
                passed, total = total - real, real
            from_input, from_state, carried = gru_cell_backward(
                total, previous, context.parts[step]
            )
            carried = torch.baddbmm(carried, from_state, weight)
            if passed is not None:
                carried += passed
            inputs.append(from_input)
            hiddens.append(from_state)
        inputs.reverse()
        hiddens.reverse()
        d_gates = torch.stack(inputs)
        d_hidden = torch.stack(hiddens)  # [S, 2, B, 3H]
        before = torch.stack(context.states[:-1])
        d_weight = torch.stack(
            [
                d_hidden[:, side].flatten(0, 1).t() @ before[:, side].flatten(0, 1)
                for side in range(weight.shape[0])
            ]
        )
        return d_gates, d_weight, d_hidden.sum((0, 2)), None


class _AttendingRecurrence(torch.autograd.Function):
    """The decoder's loop: returns all states [T, B, H] and attention weights [T, B, S].

    `gates` is the embeddings' share of the gates [T, B, 3H], `keys` is W_a H + b_a [B, S, A],
    `values` is the context's share of the gates per source position, W_c H [B, S, 3H]: a weighted
    sum of products is the product of the weighted sum, and this way the product is done once per
    sentence in one piece.
    """

    @staticmethod
    @custom_fwd(device_type="cuda", cast_inputs=torch.float32)
    def forward(context, gates, keys, values, state, query_weight, score, weight, bias, mask):
        states, attention, parts, energies = [state], [], [], []
        both = torch.cat([weight, query_weight]).t()
        width = weight.shape[0]
        for step in range(gates.shape[0]):
            products = state @ both
            from_state = products[:, :width] + bias
            energy = (keys + products[:, None, width:]).tanh_()
            scores = energy @ score
            if mask is not None:
                scores = scores.masked_fill(mask, float("-inf"))
            weights = scores.softmax(1)
            from_input = torch.baddbmm(gates[step].unsqueeze(1), weights.unsqueeze(1), values)
            state, saved = gru_cell(from_input.squeeze(1), from_state, state)
            states.append(state)
            attention.append(weights)
            parts.append(saved)
            energies.append(energy)
        context.states, context.parts, context.energies = states, parts, energies
        attention = torch.stack(attention)
        context.save_for_backward(values, query_weight, score, weight, attention)
        return torch.stack(states[1:]), attention

    @staticmethod
    @custom_bwd(device_type="cuda")
    def backward(context, d_states, d_attention):
        values, query_weight, score, weight, attention = context.saved_tensors
        carried = torch.zeros_like(d_states[0])
        d_keys = None
        inputs, hiddens = [], []
        d_score = torch.zeros_like(score)
        both = torch.cat([weight, query_weight])
        for step in reversed(range(len(context.parts))):
            previous = context.states[step]
            from_input, from_state, carried = gru_cell_backward(
                d_states[step] + carried, previous, context.parts[step]
            )
            d_weights = torch.baddbmm(
                d_attention[step].unsqueeze(2), values, from_input.unsqueeze(2)
            ).squeeze(2)
            weights = attention[step]
            d_weights *= weights
            d_scores = d_weights - weights * d_weights.sum(1, keepdim=True)
            energy = context.energies[step]
            d_score += torch.mv(energy.flatten(0, 1).t(), d_scores.flatten())
            # Freed early and overwritten: this is the largest tensor of the loop.
            context.energies[step] = None
            slope = energy.mul_(energy).neg_().add_(1).mul_(d_scores.unsqueeze(2))
            d_query = slope.sum(1) * score
            d_keys = slope if d_keys is None else d_keys.add_(slope)
            hidden = torch.cat([from_state, d_query], dim=1)
            carried = torch.addmm(carried, hidden, both)
            inputs.append(from_input)
            hiddens.append(hidden)
        inputs.reverse()
        hiddens.reverse()
        d_gates = torch.stack(inputs)
        d_values = torch.bmm(attention.permute(1, 2, 0), d_gates.transpose(0, 1))
        hidden = torch.stack(hiddens).flatten(0, 1)
        before = torch.stack(context.states[:-1]).flatten(0, 1)
        d_both = hidden.t() @ before
        width = weight.shape[0]
        d_bias = hidden[:, :width].sum(0)
        d_keys = d_keys * score
        return (
            d_gates,
            d_keys,
            d_values,
            carried,
            d_both[width:],
            d_score,
            d_both[:width],
            d_bias,
            None,
        )


class Encoder(nn.Module):
    def __init__(self, vocabulary, embedding, hidden):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.rnn = nn.GRU(embedding, hidden, bidirectional=True)
        self.fc = nn.Linear(2 * hidden, hidden)


class AdditiveAttention(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.attn_fc = nn.Linear(3 * hidden, hidden)
        self.v_fc = nn.Linear(hidden, 1, bias=False)


class Decoder(nn.Module):
    def __init__(self, vocabulary, embedding, hidden):
        super().__init__()
        self.attention = AdditiveAttention(hidden)
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.rnn = nn.GRU(embedding + 2 * hidden, hidden)
        self.fc_out = nn.Linear(3 * hidden + embedding, vocabulary)


class GruModel(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = {**DEFAULTS, **config}
        self.pad = config["pad_token_id"]
        sizes = (config["vocab_size"], self.config["embedding_dim"], self.config["hidden_dim"])
        self.embedding_size, self.hidden_size = sizes[1:]
        self.encoder = Encoder(*sizes)
        self.decoder = Decoder(*sizes)
        self.dropout = Dropout(self.config["embedding_dropout"])
        self.dropout_output = Dropout(self.config["output_dropout"])
        self.reset()

    def reset(self):
        for name, parameter in self.named_parameters():
            if name.endswith("embedding.weight"):
                nn.init.normal_(parameter, std=0.1)
            elif "weight_hh" in name:
                for gate in parameter.data.chunk(3):
                    nn.init.orthogonal_(gate)
            elif parameter.dim() == 2:
                nn.init.xavier_uniform_(parameter)
            else:
                nn.init.zeros_(parameter)
        with torch.no_grad():
            # <pad> is a decoder input only; it can never be chosen.
            self.decoder.fc_out.weight[self.pad].zero_()
            self.decoder.fc_out.bias[self.pad] = -10_000

    def begin_with_embeddings(self, shared):
        """Starts from the Transformer's embeddings, which already know what the pieces mean.

        The output layer is their product with a random matrix: words that are alike start alike.
        """
        scaled = shared / shared[: self.pad].std() * 0.1
        with torch.no_grad():
            self.encoder.embedding.weight.copy_(scaled)
            self.decoder.embedding.weight.copy_(scaled)
            weight = self.decoder.fc_out.weight
            mixing = torch.randn(shared.shape[1], weight.shape[1]) * shared.shape[1] ** -0.5
            weight.copy_(shared / shared[: self.pad].std() @ mixing * 0.02)
            weight[self.pad].zero_()

    def output_layer(self, with_pad=False):
        size = self.pad + with_pad
        return self.decoder.fc_out.weight[:size], self.decoder.fc_out.bias[:size]

    def encode(self, source):
        rnn = self.encoder.rnn
        padding = source == self.pad
        mask = None
        if bool(padding.any()):
            real = (~padding).t().to(self.encoder.fc.weight.dtype)
            mask = torch.stack([real, real.flip(0)], dim=1).unsqueeze(3)
        embedded = self.dropout(self.encoder.embedding(source)).transpose(0, 1)
        weight = torch.cat([rnn.weight_ih_l0, rnn.weight_ih_l0_reverse])
        bias = torch.cat([rnn.bias_ih_l0, rnn.bias_ih_l0_reverse])
        forward, backward = F.linear(embedded, weight, bias).chunk(2, dim=2)
        gates = torch.stack([forward, backward.flip(0)], dim=1)
        states = _Recurrence.apply(
            gates,
            torch.stack([rnn.weight_hh_l0, rnn.weight_hh_l0_reverse]),
            torch.stack([rnn.bias_hh_l0, rnn.bias_hh_l0_reverse]),
            mask,
        )
        last = torch.cat([states[-1, 0], states[-1, 1]], dim=1)
        outputs = torch.cat([states[:, 0], states[:, 1].flip(0)], dim=2).transpose(0, 1)
        start = torch.tanh(self.encoder.fc(last))
        # The keys, and the context's share of the decoder's gates, once per sentence.
        attention, size = self.decoder.attention.attn_fc, self.hidden_size
        keys = F.linear(outputs, attention.weight[:, size:], attention.bias)
        values = F.linear(outputs, self.decoder.rnn.weight_ih_l0[:, self.embedding_size :])
        return {
            "outputs": outputs,
            "keys": keys,
            "values": values,
            "start": start,
            "mask": padding if mask is not None else None,
        }

    def forward(self, source, target, guided=False):
        """[s_t; w_t; E(y_{t-1})] for every target position, the input of `fc_out`.

        With `guided` also a list of the attention weights [batch, length, source].
        """
        memory = self.encode(source)
        rnn, attention = self.decoder.rnn, self.decoder.attention
        embedded = self.dropout(self.decoder.embedding(target))
        gates = F.linear(
            embedded, rnn.weight_ih_l0[:, : self.embedding_size], rnn.bias_ih_l0
        ).transpose(0, 1)
        states, weights = _AttendingRecurrence.apply(
            gates,
            memory["keys"],
            memory["values"],
            memory["start"],
            attention.attn_fc.weight[:, : self.hidden_size],
            attention.v_fc.weight[0],
            rnn.weight_hh_l0,
            rnn.bias_hh_l0,
            memory["mask"],
        )
        contexts = torch.bmm(weights.transpose(0, 1), memory["outputs"])
        hidden = torch.cat([states.transpose(0, 1), contexts, embedded], dim=2)
        return (hidden, [weights.transpose(0, 1)]) if guided else hidden

    def start(self, memory, rows):
        return {"state": memory["start"]}

    def step(self, memory, state, tokens):
        rnn, attention = self.decoder.rnn, self.decoder.attention
        previous = state["state"]
        embedded = self.dropout(self.decoder.embedding(tokens))
        query = F.linear(previous, attention.attn_fc.weight[:, : self.hidden_size])
        scores = (memory["keys"] + query.unsqueeze(1)).tanh() @ attention.v_fc.weight[0]
        if memory["mask"] is not None:
            scores = scores.masked_fill(memory["mask"], float("-inf"))
        weights = scores.softmax(1).unsqueeze(1)
        from_input = F.linear(
            embedded, rnn.weight_ih_l0[:, : self.embedding_size], rnn.bias_ih_l0
        ) + torch.bmm(weights, memory["values"]).squeeze(1)
        from_state = F.linear(previous, rnn.weight_hh_l0, rnn.bias_hh_l0)
        new, _ = gru_cell(from_input, from_state, previous)
        context = torch.bmm(weights, memory["outputs"]).squeeze(1)
        weight, bias = self.output_layer()
        return F.linear(torch.cat([new, context, embedded], dim=1), weight, bias), {"state": new}
