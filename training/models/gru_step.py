"""The GRU's training step for CPUs with AMX (`--tiles`).

Same model, same parameters, same gradients but for bfloat16's rounding. Forward and backward are
written out: PyTorch's products in bfloat16, `gru_step.c` between them. A row is one real token, no
padding: on each side the rows of a step follow each other, sentences with the most steps first, so
that those which still go on are the first rows of every step.
"""

import ctypes

import numpy as np
import torch

from . import tiles
from .native import compile_c

# PyTorch compiles a product's code at its first use, which takes longer than the product: the sizes
# that change from batch to batch are made multiples of these.
FEW_ROWS, MANY_ROWS = 32, 256
WIDTH = 128  # of the output layer
CHUNK = 512  # rows whose logits are in the cache together
LONGEST, MOST_CANDIDATES = 512, 32_768
MASKS = 1 << 25
BF16 = torch.bfloat16

_library = None
_pointer, _long = ctypes.c_void_p, ctypes.c_long


def _structure(name, *fields):
    kinds = {"p": _pointer, "l": _long}
    fields = [(field[1:], kinds[field[0]]) for field in fields]
    return type(name, (ctypes.Structure,), {"_fields_": fields})


Cell = _structure(
    "Cell",
    *("lrows", "lsize", "pinput", "pplaces", "linput_stride", "pstate", "lstate_stride"),
    *("pinput_bias", "pstate_bias", "pbefore", "pafter", "pafter16", "pgates"),
)
CellGradient = _structure(
    "CellGradient",
    *("lrows", "lcarried_rows", "pgradient", "lgradient_stride", "pcarried", "pkept"),
    *("pinput", "pplaces", "linput_stride", "pstate", "lstate_stride"),
)
Attention = _structure(
    "Attention",
    *("pstarts", "plengths", "pkeys", "pvalues", "lwidth", "pscore", "pbias"),
    *("pweights", "lweight_stride"),
)
Mixing = _structure(
    "Mixing",
    *("lsentences", "lwidth", "pstarts", "plengths", "psteps", "poffsets"),
    *("pweights", "lweight_stride"),
)

P, L, F = _pointer, _long, ctypes.c_float
SIGNATURES = {
    "gru_transpose": [P, L, L, L, P],
    "gru_sum": [P, L, L, L, P],
    "gru_cell": [P],
    "gru_cell_gradient": [P, P],
    "gru_attend": [P, P],
    "gru_attend_gradient": [P] * 6,
    "gru_mix": [P, P, P, L],
    "gru_mix_back": [P, P, L, P],
    "gru_mix_gradient": [P, P, L, P],
    "gru_softmax": [P, L, L, L, P, P, F, L, P, P],
}


def begin():
    """Compiles the C file. Needs a C compiler and a CPU with AMX."""
    global _library
    tiles.begin()
    if _library is None:
        _library = compile_c("gru_step.c", SIGNATURES)


def _address(array, row=0, column=0):
    """Of a value of a matrix; the matrix must live on while it is used."""
    if isinstance(array, np.ndarray):
        return array.ctypes.data
    return array.data_ptr() + array.element_size() * (row * array.stride(0) + column)


def _up(count, multiple):
    return -(-count // multiple) * multiple


class Steps:
    """Where the rows of one side are. `lengths` falls."""

    def __init__(self, lengths):
        self.lengths = lengths
        self.counts = (lengths[None, :] > np.arange(lengths[0])[:, None]).sum(1)
        ends = np.cumsum(self.counts)
        self.offsets = (ends - self.counts).astype(np.int32)
        self.rows = int(ends[-1])
        # With room for the last step's few.
        self.padded = _up(self.rows + FEW_ROWS, MANY_ROWS)
        self.step = np.repeat(np.arange(len(self.counts)), self.counts)
        self.sentence = np.arange(self.rows) - self.offsets[self.step]
        # The row of the step before, for all rows but those of the first step.
        later = slice(int(self.counts[0]), None)
        self.before = torch.from_numpy(
            self.offsets[self.step[later] - 1].astype(np.int64) + self.sentence[later]
        )
        self.last = torch.from_numpy(self.offsets[lengths - 1].astype(np.int64))
        self.last += torch.arange(len(lengths))
        # The row as far from its sentence's end as this one from its start.
        mirrored = self.offsets[lengths[self.sentence] - 1 - self.step] + self.sentence
        self.mirrored = mirrored.astype(np.int32)

    def previous(self, start, states):
        """The state before every row."""
        before = torch.zeros(self.padded, states.shape[1], dtype=BF16)
        first = int(self.counts[0])
        before[:first] = start[:first]
        torch.index_select(states, 0, self.before, out=before[first : self.rows])
        return before

    def tokens(self, batch, order):
        """[padded], the last ones anything."""
        tokens = torch.zeros(self.padded, dtype=torch.long)
        tokens[: self.rows] = torch.from_numpy(batch.numpy()[order[self.sentence], self.step])
        return tokens

    def empty(self, width):
        """[padded, width], zero past the last row."""
        rows = torch.empty(self.padded, width, dtype=BF16)
        rows[self.rows :] = 0
        return rows


def _product(x, weight):
    """x [rows, in] @ weight [out, in], transposed."""
    return torch.mm(x, weight.t())


class Step:
    """Loss and gradients of a batch; called as `tiles.Step` is."""

    guide_loss = 0.0

    def __init__(self, model):
        begin()
        config = model.config
        self.model, self.flat = model, tiles.Flat(model)
        self.pad = model.pad
        self.size, self.embedding = config["hidden_dim"], config["embedding_dim"]
        if self.size % 64 or self.embedding % 32 or self.size > 682:
            raise SystemExit("--tiles: a state of a multiple of 64, embeddings of a multiple of 32")
        views = dict(zip(self.flat.names, self.flat.views(self.flat.weights)))
        self.weight = views
        self.gradient = dict(zip(self.flat.names, self.flat.views(self.flat.gradients)))
        self.touched = []
        self.masks = {}

    def clear(self):
        """Nothing is kept from step to step."""

    def kept(self, rows, width, probability):
        """A random stretch of a fixed pool of dropout masks, see layers.py."""
        if not self.model.training or probability == 0:
            return None
        if probability not in self.masks:
            generator = torch.Generator().manual_seed(7)
            kept = torch.empty(MASKS, dtype=BF16).bernoulli_(1 - probability, generator=generator)
            self.masks[probability] = kept / (1 - probability)
        count = rows * width
        start = int(torch.randint(0, MASKS - count, ()))
        return self.masks[probability][start : start + count].view(rows, width)

    def embed(self, name, tokens, count, probability):
        rows = self.weight[name].index_select(0, tokens).to(BF16)
        kept = self.kept(*rows.shape, probability)
        if kept is not None:
            rows *= kept

        def gradient(d_rows):
            if kept is not None:
                d_rows = d_rows * kept
            self.add_rows(name, tokens[:count], d_rows[:count].float())

        return rows, gradient

    def add_rows(self, name, rows, values):
        """To the gradient of a table, most of whose rows stay zero."""
        self.gradient[name].index_add_(0, rows, values)
        self.touched.append((name, rows))

    def learn(self, name, d_output, x, columns=slice(None)):
        """The gradient of a weight [out, in], or of some of its columns."""
        self.gradient[name][:, columns] = self.outer(d_output, x)

    def outer(self, d_output, x):
        """d_output [rows, out], transposed, @ x [rows, in]."""
        rows, width = d_output.shape
        transposed = torch.empty(width, rows, dtype=BF16)
        _library.gru_transpose(
            _address(d_output), d_output.stride(0), rows, width, _address(transposed)
        )
        return torch.mm(transposed, x)

    def learn_bias(self, name, d_output):
        rows, width = d_output.shape
        to = _address(self.gradient[name])
        _library.gru_sum(_address(d_output), d_output.stride(0), rows, width, to)

    def __call__(self, source, target_in, target_out, smoothing, candidates=None, guide=None):
        """Mean smoothed loss, mean negative log-likelihood, number of targets.

        Gradients replace what was in the parameters' `grad`.
        """
        if guide is not None:
            raise SystemExit("--guide: with --tiles only for the Transformer")
        with torch.no_grad():
            return self.step(source, target_in, target_out, smoothing, candidates)

    def step(self, source, target_in, target_out, smoothing, candidates):
        if self.touched:
            for name, rows in self.touched:
                self.gradient[name].index_fill_(0, rows, 0)
        else:
            self.flat.gradients.zero_()
        self.touched = []
        size, embedding, weight = self.size, self.embedding, self.weight
        source_lengths = (source != self.pad).sum(1).numpy()
        target_lengths = (target_out != self.pad).sum(1).numpy()
        if max(source_lengths.max(), target_lengths.max()) > LONGEST:
            raise ValueError(f"a sentence of more than {LONGEST} pieces")
        source_order = np.argsort(-source_lengths, kind="stable")
        target_order = np.argsort(-target_lengths, kind="stable")
        sources = Steps(source_lengths[source_order])
        targets = Steps(target_lengths[target_order])
        probability = self.model.config["embedding_dropout"]

        # ---- The encoder, forward. Direction 1 reads every sentence from its own end.
        embedded, embedded_gradient = self.embed(
            "encoder.embedding.weight",
            sources.tokens(source, source_order),
            sources.rows,
            probability,
        )
        ends = ("l0", "l0_reverse")
        inner = torch.cat([weight[f"encoder.rnn.weight_ih_{end}"] for end in ends]).to(BF16)
        outer = [weight[f"encoder.rnn.weight_hh_{end}"].to(BF16) for end in ends]
        gates = _product(embedded, inner)
        sentences = _up(len(source), FEW_ROWS)
        start = torch.zeros(sentences, size)
        start16 = start.to(BF16)
        states = [torch.empty(sources.padded, size) for _ in ends]
        states16 = [sources.empty(size) for _ in ends]
        from_state = [sources.empty(3 * size) for _ in ends]
        saved = [sources.empty(3 * size) for _ in ends]
        outer_t = [matrix.t() for matrix in outer]

        def encoder_cell(side, step):
            offset, count = int(sources.offsets[step]), int(sources.counts[step])
            before = int(sources.offsets[step - 1])
            end = ends[side]
            return Cell(
                rows=count,
                size=size,
                input=_address(gates, 0 if side else offset, 3 * size * side),
                places=_address(sources.mirrored) + 4 * offset if side else None,
                input_stride=6 * size,
                state=_address(from_state[side], offset),
                state_stride=3 * size,
                input_bias=_address(weight[f"encoder.rnn.bias_ih_{end}"]),
                state_bias=_address(weight[f"encoder.rnn.bias_hh_{end}"]),
                before=_address(states[side], before) if step else _address(start),
                after=_address(states[side], offset),
                after16=_address(states16[side], offset),
                gates=_address(saved[side], offset),
            )

        def through(step, steps, states16, start16, product, out):
            """The states before a step, times a weight."""
            offset, count = int(steps.offsets[step]), _up(int(steps.counts[step]), FEW_ROWS)
            before = start16[:count]
            if step:
                before = states16[steps.offsets[step - 1] :][:count]
            torch.mm(before, product, out=out[offset : offset + count])

        for step in range(len(sources.counts)):
            for side in (0, 1):
                through(step, sources, states16[side], start16, outer_t[side], from_state[side])
                cell = encoder_cell(side, step)
                _library.gru_cell(ctypes.addressof(cell))

        # ---- What the decoder reads: sentence after sentence, in the decoder's order.
        place = np.empty(len(source), dtype=np.int64)
        place[source_order] = np.arange(len(source))
        encoder_place = place[target_order]  # each decoder sentence's place in the encoder
        lengths = source_lengths[target_order].astype(np.int32)
        starts = (np.cumsum(lengths) - lengths).astype(np.int32)
        where = np.arange(sources.rows) - np.repeat(starts, lengths)
        forward_rows = sources.offsets[where] + np.repeat(encoder_place, lengths)
        backward_rows = torch.from_numpy(sources.mirrored[forward_rows].astype(np.int64))
        forward_rows = torch.from_numpy(forward_rows)
        outputs = sources.empty(2 * size)
        outputs[: sources.rows, :size] = states16[0].index_select(0, forward_rows)
        outputs[: sources.rows, size:] = states16[1].index_select(0, backward_rows)
        last_rows = sources.last[torch.from_numpy(encoder_place)]
        last = torch.zeros(sentences, 2 * size, dtype=BF16)
        for side in (0, 1):
            share = slice(size * side, size * (side + 1))
            last[: len(source), share] = states16[side].index_select(0, last_rows)
        bridge = weight["encoder.fc.weight"].to(BF16)
        state = torch.tanh(_product(last, bridge).float() + weight["encoder.fc.bias"])
        state16 = state.to(BF16)
        attention_weight = weight["decoder.attention.attn_fc.weight"].to(BF16)
        inner = inner, weight["decoder.rnn.weight_ih_l0"].to(BF16)
        key_weight, value_weight = attention_weight[:, size:], inner[1][:, embedding:]
        keys, values = _product(outputs, key_weight), _product(outputs, value_weight)

        # ---- The decoder, forward.
        words, words_gradient = self.embed(
            "decoder.embedding.weight",
            targets.tokens(target_in, target_order),
            targets.rows,
            probability,
        )
        decoder_gates = _product(words, inner[1][:, :embedding])
        both = torch.cat([weight["decoder.rnn.weight_hh_l0"].to(BF16), attention_weight[:, :size]])
        products = targets.empty(4 * size)
        decoder_saved = targets.empty(3 * size)
        decoder_states = torch.empty(targets.padded, size)
        decoder_states16 = targets.empty(size)
        longest = int(lengths.max())
        weights = torch.zeros(targets.rows, longest)
        score = weight["decoder.attention.v_fc.weight"]

        def decoder_cell(step):
            offset, count = int(targets.offsets[step]), int(targets.counts[step])
            before = int(targets.offsets[step - 1])
            return Cell(
                rows=count,
                size=size,
                input=_address(decoder_gates, offset),
                input_stride=3 * size,
                state=_address(products, offset),
                state_stride=4 * size,
                input_bias=_address(weight["decoder.rnn.bias_ih_l0"]),
                state_bias=_address(weight["decoder.rnn.bias_hh_l0"]),
                before=_address(decoder_states, before) if step else _address(state),
                after=_address(decoder_states, offset),
                after16=_address(decoder_states16, offset),
                gates=_address(decoder_saved, offset),
            ), Attention(
                starts=_address(starts),
                lengths=_address(lengths),
                keys=_address(keys),
                values=_address(values),
                width=size,
                score=_address(score),
                bias=_address(weight["decoder.attention.attn_fc.bias"]),
                weights=_address(weights, offset),
                weight_stride=longest,
            )

        both_t = both.t()
        for step in range(len(targets.counts)):
            through(step, targets, decoder_states16, state16, both_t, products)
            cell, attention = decoder_cell(step)
            _library.gru_attend(ctypes.addressof(cell), ctypes.addressof(attention))

        width = 3 * size + embedding
        hidden = torch.empty(targets.padded, width, dtype=BF16)
        hidden[:, :size] = decoder_states16
        hidden[:, 3 * size :] = words
        target_steps = targets.lengths.astype(np.int32)

        def mixing(width, weights):
            return Mixing(
                sentences=len(source),
                width=width,
                starts=_address(starts),
                lengths=_address(lengths),
                steps=_address(target_steps),
                offsets=_address(targets.offsets),
                weights=_address(weights),
                weight_stride=longest,
            )

        contexts = mixing(2 * size, weights)
        _library.gru_mix(
            ctypes.addressof(contexts), _address(outputs), _address(hidden, 0, size), width
        )
        hidden[targets.rows :] = 0
        kept = self.kept(targets.padded, width, self.model.config["output_dropout"])
        dropped = hidden if kept is None else hidden.mul_(kept)

        wanted = targets.tokens(target_out, target_order)[: targets.rows]
        loss, likelihood, d_hidden = self.loss(dropped, wanted, smoothing, candidates)
        if kept is not None:
            d_hidden *= kept

        # ---- The decoder, backward.
        d_weights = torch.zeros(targets.rows, longest)
        passed = mixing(2 * size, d_weights)
        _library.gru_mix_gradient(
            ctypes.addressof(passed), _address(d_hidden, 0, size), width, _address(outputs)
        )
        d_gates = targets.empty(3 * size)
        d_products = targets.empty(4 * size)
        d_keys = torch.zeros(sources.padded, size)
        d_score = self.gradient["decoder.attention.v_fc.weight"].zero_()
        carried = torch.zeros(sentences, size, dtype=BF16)
        kept_back = torch.zeros(sentences, size)
        later = 0
        for step in reversed(range(len(targets.counts))):
            offset, count = int(targets.offsets[step]), int(targets.counts[step])
            cell, attention = decoder_cell(step)
            back = CellGradient(
                rows=count,
                carried_rows=later,
                gradient=_address(d_hidden, offset),
                gradient_stride=width,
                carried=_address(carried),
                kept=_address(kept_back),
                input=_address(d_gates, offset),
                input_stride=3 * size,
                state=_address(d_products, offset),
                state_stride=4 * size,
            )
            _library.gru_attend_gradient(
                ctypes.addressof(cell),
                ctypes.addressof(back),
                ctypes.addressof(attention),
                _address(d_weights, offset),
                _address(d_keys),
                _address(d_score),
            )
            few = _up(count, FEW_ROWS)
            torch.mm(d_products[offset : offset + few], both, out=carried[:few])
            later = count
        d_state = kept_back + carried.float()
        d_state[len(source) :] = 0

        d_values = sources.empty(3 * size)
        shares = mixing(3 * size, weights)
        _library.gru_mix_back(
            ctypes.addressof(shares), _address(d_gates), 3 * size, _address(d_values)
        )
        d_outputs = sources.empty(2 * size)
        _library.gru_mix_back(
            ctypes.addressof(contexts), _address(d_hidden, 0, size), width, _address(d_outputs)
        )
        d_keys = (d_keys * score).to(BF16)
        self.learn("decoder.attention.attn_fc.weight", d_keys, outputs, slice(size, None))
        self.learn_bias("decoder.attention.attn_fc.bias", d_products[:, 3 * size :])
        self.learn("decoder.rnn.weight_ih_l0", d_values, outputs, slice(embedding, None))
        self.learn("decoder.rnn.weight_ih_l0", d_gates, words, slice(embedding))
        self.learn_bias("decoder.rnn.bias_ih_l0", d_gates)
        self.learn_bias("decoder.rnn.bias_hh_l0", d_products[:, : 3 * size])
        d_both = self.outer(d_products, targets.previous(state16, decoder_states16))
        self.gradient["decoder.rnn.weight_hh_l0"].copy_(d_both[: 3 * size])
        self.gradient["decoder.attention.attn_fc.weight"][:, :size] = d_both[3 * size :]
        words_gradient(d_hidden[:, 3 * size :] + torch.mm(d_gates, inner[1][:, :embedding]))

        # ---- The encoder, backward.
        d_state = (d_state * (1 - state * state)).to(BF16)
        self.learn("encoder.fc.weight", d_state, last)
        self.learn_bias("encoder.fc.bias", d_state)
        d_last = torch.mm(d_state, bridge)
        d_outputs += torch.mm(d_keys, key_weight)
        d_outputs += torch.mm(d_values, value_weight)
        d_gates = sources.empty(6 * size)
        for side, rows in enumerate((forward_rows, backward_rows)):
            share = slice(size * side, size * (side + 1))
            d_states = torch.empty(sources.rows, size, dtype=BF16)
            d_states[rows] = d_outputs[: sources.rows, share]
            d_states[last_rows] += d_last[: len(source), share]
            d_from_state = sources.empty(3 * size)
            later = 0
            for step in reversed(range(len(sources.counts))):
                offset, count = int(sources.offsets[step]), int(sources.counts[step])
                cell = encoder_cell(side, step)
                back = CellGradient(
                    rows=count,
                    carried_rows=later,
                    gradient=_address(d_states, offset),
                    gradient_stride=size,
                    carried=_address(carried),
                    kept=_address(kept_back),
                    input=_address(d_gates, 0 if side else offset, 3 * size * side),
                    places=cell.places,
                    input_stride=6 * size,
                    state=_address(d_from_state, offset),
                    state_stride=3 * size,
                )
                _library.gru_cell_gradient(ctypes.addressof(cell), ctypes.addressof(back))
                few = _up(count, FEW_ROWS)
                torch.mm(d_from_state[offset : offset + few], outer[side], out=carried[:few])
                later = count
            end = ends[side]
            self.learn(
                f"encoder.rnn.weight_hh_{end}",
                d_from_state,
                sources.previous(start16, states16[side]),
            )
            self.learn_bias(f"encoder.rnn.bias_hh_{end}", d_from_state)
            d_side = d_gates[:, 3 * size * side : 3 * size * (side + 1)]
            self.learn(f"encoder.rnn.weight_ih_{end}", d_side, embedded)
            self.learn_bias(f"encoder.rnn.bias_ih_{end}", d_side)
        embedded_gradient(torch.mm(d_gates, inner[0]))
        return loss, likelihood, targets.rows

    def loss(self, hidden, wanted, smoothing, candidates):
        """Loss, likelihood and the gradient of `hidden` [rows, 3 size + embedding]."""
        weight, bias = self.model.output_layer()
        pieces = torch.arange(len(bias))
        addition = torch.zeros(len(bias))
        if candidates is not None:
            pieces, addition, wanted = candidates.choose(wanted)
        vocabulary = len(pieces)
        padded = _up(vocabulary, WIDTH)
        if padded > MOST_CANDIDATES:
            raise ValueError(f"more than {MOST_CANDIDATES} pieces to choose from")
        matrix = torch.zeros(padded, hidden.shape[1], dtype=BF16)
        matrix[:vocabulary] = weight.index_select(0, pieces)
        filled = torch.zeros(padded)
        filled[:vocabulary] = bias[pieces] + addition
        rows = len(wanted)
        logits = torch.empty(len(hidden), padded, dtype=BF16)
        d_hidden = torch.empty_like(hidden)
        d_bias = torch.zeros(padded)
        totals = (ctypes.c_double * 2)()
        transposed = matrix.t()
        for start in range(0, len(hidden), CHUNK):
            part = logits[start : start + CHUNK]
            torch.mm(hidden[start : start + CHUNK], transposed, out=part)
            _library.gru_softmax(
                _address(part),
                max(min(rows - start, len(part)), 0),
                padded,
                vocabulary,
                _address(filled),
                _address(wanted) + 8 * start,
                smoothing,
                rows,
                _address(d_bias),
                ctypes.addressof(totals),
            )
            part[max(rows - start, 0) :] = 0
            torch.mm(part, matrix, out=d_hidden[start : start + CHUNK])
        d_weight = self.outer(logits, hidden)
        self.add_rows("decoder.fc_out.weight", pieces, d_weight[:vocabulary].float())
        self.add_rows("decoder.fc_out.bias", pieces, d_bias[:vocabulary])
        return totals[0] / rows, totals[1] / rows, d_hidden
