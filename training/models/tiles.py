"""The Transformer's training step through `tiles.c`, for CPUs with AMX (`--tiles`).

Same model, same parameters, same gradients but for bfloat16's rounding of the products' factors.
Forward and backward are written out, one call of C for each sublayer: what PyTorch would keep
between operations stays in registers and caches, and padded positions are left out altogether.
"""

import ctypes
import math
import shutil
from pathlib import Path

import numpy as np
import torch

from .native import compile_c

SIDE = 32  # of the blocks that tiles.c works in
LONGEST = 512
HUGE_PAGE = 1 << 21

_library = None

_pointer, _long, _float = ctypes.c_void_p, ctypes.c_long, ctypes.c_float


def _structure(name, fields):
    return type(name, (ctypes.Structure,), {"_fields_": fields})


Ending = _structure(
    "Ending",
    [("rows", _long), ("size", _long)]
    + [(name, _pointer) for name in ("bias", "gain", "shift", "kept")]
    + [("keep_scale", _float)]
    + [(name, _pointer) for name in ("residual", "x", "x16", "normal", "deviation")],
)
EndingGradient = _structure(
    "EndingGradient",
    [(name, _pointer) for name in ("bias", "gain", "shift", "residual", "output")],
)
FeedForwardGradient = _structure(
    "FeedForwardGradient",
    [(name, _pointer) for name in ("first", "first_bias", "second", "left", "right")],
)
Heads = _structure(
    "Heads",
    [(name, _long) for name in ("rows", "key_rows", "size", "heads")]
    + [("groups", _pointer), ("group_count", _long)]
    + [(name, _pointer) for name in ("first", "last", "queries", "keys", "values")]
    + [("query_stride", _long), ("key_stride", _long)]
    + [("mixed", _pointer), ("normaliser", _pointer)],
)
AttentionGradient = _structure(
    "AttentionGradient",
    [(name, _pointer) for name in ("inner", "inner_bias", "outer", "mixed")]
    + [(name, _pointer) for name in ("queries", "keys", "values", "left", "right")]
    + [("guide", _pointer), ("guide_stride", _long), ("guide_weight", _float)]
    + [("guide_loss", ctypes.c_double)],
)
Loss = _structure(
    "Loss",
    [(name, _long) for name in ("rows", "size", "vocabulary")]
    + [(name, _pointer) for name in ("x", "weight", "forward", "backward", "bias", "targets")]
    + [("pieces", _pointer), ("smoothing", _float)]
    + [(name, _pointer) for name in ("powers", "sums", "scaled", "left", "right")]
    + [(name, _pointer) for name in ("dx", "dweight", "dbias")]
    + [("loss", ctypes.c_double), ("likelihood", ctypes.c_double)],
)

P, L, F = _pointer, _long, _float
SIGNATURES = {
    "tiles_pack_weight": [P, L, L, P, P],
    "tiles_dropout": [ctypes.c_uint64, ctypes.c_double, L, P],
    "tiles_embed": [P, P, P, P, L, L, F, P, F, P, P],
    "tiles_embed_gradient": [P, P, L, L, F, P, F, ctypes.c_int32, P],
    "tiles_feed_forward": [P, P, P, L] + [P] * 5,
    "tiles_feed_forward_gradient": [P, P, L] + [P] * 6,
    "tiles_attention": [P, P, P, L, P, P, P],
    "tiles_attention_gradient": [P, P, L, P, P, P, P, P],
    "tiles_memory": [P, P, P, L, L, P],
    "tiles_memory_gradient": [P, P, L, L, P, P, P, P, P, P],
    "tiles_loss": [P],
    "tiles_adam": [P, P, P, P, P, L] + [F] * 5 + [L, F],
    "tiles_free": [P, L],
    "tiles_begin": ([], ctypes.c_int),
    "tiles_allocate": ([L], P),
    "tiles_norm": ([P, L], ctypes.c_double),
}


def able():
    return "amx_bf16" in Path("/proc/cpuinfo").read_text() and shutil.which("cc") is not None


def begin():
    """Compiles the C file. Needs a C compiler and a CPU with AMX."""
    global _library
    if _library is not None:
        return
    if not able():
        raise SystemExit("--tiles: needs a C compiler and a CPU with AMX")
    library = compile_c("tiles.c", SIGNATURES)
    if library.tiles_begin() != 0:
        raise SystemExit("--tiles: the system does not permit AMX")
    _library = library


def allocate(count, dtype):
    """A zeroed tensor [count] in huge pages."""
    size = -(-count * dtype.itemsize // HUGE_PAGE) * HUGE_PAGE
    address = _library.tiles_allocate(size)
    if not address:
        raise MemoryError(f"{size} bytes")
    memory = (ctypes.c_char * size).from_address(address)
    return torch.frombuffer(memory, dtype=dtype)[:count]


class Flat:
    """Parameters, gradients, Adam's moments and average, each kind in one array.

    The model's parameters become views of it, so that everything else uses them as before.
    """

    def __init__(self, model):
        names = [name for name, _ in model.named_parameters()]
        # Queries, keys and values side by side: one product for the three of them.
        order = {"q_proj.weight": 0, "k_proj.weight": 1, "v_proj.weight": 2}
        order.update({"q_proj.bias": 3, "k_proj.bias": 4, "v_proj.bias": 5})

        def place(name):
            parent, _, last = name.rpartition("attn.")
            return (parent, order.get(last, 6)) if parent else (name, 0)

        named = dict(model.named_parameters())
        self.offsets, end = {}, 0
        for name in sorted(names, key=place):
            self.offsets[name] = end
            end += -(-named[name].numel() // 16) * 16
        self.count = -(-end // SIDE) * SIDE
        self.names = names
        self.shapes = {name: parameter.shape for name, parameter in named.items()}
        self.weights, self.gradients = self.array(), self.array()
        for (_, parameter), view in zip(model.named_parameters(), self.views(self.weights)):
            view.copy_(parameter.data)
            parameter.data = view
        for parameter, view in zip(model.parameters(), self.views(self.gradients)):
            parameter.grad = view

    def array(self):
        return allocate(self.count, torch.float32)

    def views(self, array):
        """In the order of the model's parameters."""
        views = []
        for name in self.names:
            start, shape = self.offsets[name], self.shapes[name]
            views.append(array[start : start + shape.numel()].view(shape))
        return views


class Adam:
    """`torch.optim.Adam`'s step, clipping and the running average in one pass over `flat`.

    The moments stand in `optimiser.state`, as views, so that checkpoints are the same.
    """

    def __init__(self, flat, optimiser, average):
        self.flat, self.optimiser = flat, optimiser
        self.mean, self.square, self.average = flat.array(), flat.array(), flat.array()
        for view, value in zip(flat.views(self.average), average):
            view.copy_(value)
        average[:] = flat.views(self.average)
        parameters = optimiser.param_groups[0]["params"]
        moments = zip(parameters, flat.views(self.mean), flat.views(self.square))
        for parameter, mean, square in moments:
            state = optimiser.state[parameter]
            if "exp_avg" in state:
                mean.copy_(state["exp_avg"])
                square.copy_(state["exp_avg_sq"])
            step = torch.tensor(float(state.get("step", 0)))
            state.update(step=step, exp_avg=mean, exp_avg_sq=square)
        self.steps = [optimiser.state[parameter]["step"] for parameter in parameters]

    def step(self, rate, clip, toward):
        """One update, and True, unless the gradient is not finite.

        `toward` is how far the average goes to the new weights; 0 leaves it alone.
        """
        flat = self.flat
        norm = _library.tiles_norm(flat.gradients.data_ptr(), flat.count)
        if not math.isfinite(norm):
            return False
        torch._foreach_add_(self.steps, 1)
        group = self.optimiser.param_groups[0]
        arrays = (flat.weights, flat.gradients, self.mean, self.square, self.average)
        _library.tiles_adam(
            *(array.data_ptr() for array in arrays),
            flat.count,
            min(clip / (norm + 1e-6), 1.0),
            rate,
            *group["betas"],
            group["eps"],
            int(self.steps[0]),
            toward,
        )
        return True


class Sentences:
    """Where the sentences of one side begin, rows of all of them one after the other."""

    def __init__(self, lengths):
        self.lengths = lengths
        self.ends = np.cumsum(lengths)
        self.starts = self.ends - lengths
        self.rows = int(self.ends[-1])
        self.places = (np.arange(self.rows) - np.repeat(self.starts, lengths)).astype(np.int32)


class Visible:
    """Which rows of `keys` each row of `queries` sees, and the groups tiles.c works through."""

    def __init__(self, queries, keys, causal=False):
        groups = []
        query = key = query_count = key_count = 0
        for more_queries, more_keys in zip(queries.lengths.tolist(), keys.lengths.tolist()):
            if query_count and (query_count + more_queries > SIDE or key_count + more_keys > SIDE):
                groups.append((query, query_count, key, key_count))
                query, key = query + query_count, key + key_count
                query_count = key_count = 0
            query_count += more_queries
            key_count += more_keys
        groups.append((query, query_count, key, key_count))
        self.groups = np.array(groups, dtype=np.int32)
        self.first = np.repeat(keys.starts, queries.lengths).astype(np.int32)
        if causal:
            self.last = np.arange(1, queries.rows + 1, dtype=np.int32)
        else:
            self.last = np.repeat(keys.ends, queries.lengths).astype(np.int32)


def _address(array):
    return array.ctypes.data if isinstance(array, np.ndarray) else array.data_ptr()


class Step:
    """Loss and gradients of a batch; what is needed between the two passes is in `buffers`."""

    def __init__(self, model):
        begin()
        config = model.config
        self.model, self.flat = model, Flat(model)
        self.pad = model.pad
        self.size = config["d_model"]
        self.heads = config["encoder_attention_heads"]
        self.probability = config["dropout"]
        widths = [config["encoder_ffn_dim"], config["decoder_ffn_dim"]]
        if (
            config["decoder_attention_heads"] != self.heads
            or self.size != self.heads * SIDE
            or self.size > 1024
            or any(width % SIDE for width in widths)
            or config["activation_function"] != "relu"
        ):
            raise SystemExit("--tiles: heads of 32 numbers, layers of multiples of 32, relu")
        self.widest = max(*widths, 3 * self.size)
        self.buffers = {}
        self.packed = {}
        self.endings = []

    def buffer(self, name, count, dtype=torch.bfloat16):
        """Room for `count` numbers, kept from batch to batch."""
        if name not in self.buffers or self.buffers[name].numel() < count:
            if name in self.buffers:
                old = self.buffers.pop(name)
                _library.tiles_free(
                    old.data_ptr(), -(-old.numel() * dtype.itemsize // HUGE_PAGE) * HUGE_PAGE
                )
            self.buffers[name] = allocate(count * 5 // 4, dtype)
        return self.buffers[name].data_ptr()

    def clear(self):
        """After a step that overflowed: what lies past the last row must be finite."""
        for buffer in self.buffers.values():
            buffer.zero_()

    def matrix(self, name, rows, columns, dtype=torch.bfloat16):
        """With the rest of the last block and one more, see `clear_after` in tiles.c."""
        return self.buffer(name, (-(-rows // SIDE) + 1) * SIDE * columns, dtype)

    def weight(self, name):
        return self.flat.weights.data_ptr() + 4 * self.flat.offsets[name]

    def gradient(self, name):
        return self.flat.gradients.data_ptr() + 4 * self.flat.offsets[name]

    def pack(self, name, outputs, inputs):
        """A weight [outputs, inputs], packed for the forward and the backward products."""
        count = outputs * inputs
        forward, backward = (self.buffer(f"{name} {way}", count) for way in ("forward", "backward"))
        _library.tiles_pack_weight(self.weight(name), outputs, inputs, forward, backward)
        self.packed[name] = forward, backward
        return forward

    def kept(self, name, count):
        """Bits of a dropout mask; PyTorch's random numbers decide which."""
        if not self.model.training or self.probability == 0:
            return None
        bits = self.buffer(f"{name} kept", count // 32, torch.int32)
        seed = int(torch.randint(0, 1 << 62, ()))
        _library.tiles_dropout(seed, self.probability, count, bits)
        return bits

    @property
    def keep_scale(self):
        return 1 / (1 - self.probability) if self.model.training else 1.0

    # Each of these returns the new x, in f32 and bf16, and leaves its gradient on `self.undo`.

    def embed(self, name, tokens, sentences):
        rows, size = sentences.rows, self.size
        x = self.matrix(f"{name} x", rows, size, torch.float32)
        x16 = self.matrix(f"{name} x16", rows, size)
        kept = self.kept(name, rows * size)
        table, scale = "model.shared.weight", math.sqrt(size)
        _library.tiles_embed(
            self.weight(table),
            _address(tokens),
            self.model.positions.data_ptr(),
            _address(sentences.places),
            rows,
            size,
            scale,
            kept,
            self.keep_scale,
            x,
            x16,
        )

        def gradient(dx):
            _library.tiles_embed_gradient(
                dx,
                _address(tokens),
                rows,
                size,
                scale,
                kept,
                self.keep_scale,
                self.pad,
                self.gradient(table),
            )

        self.undo.append(gradient)
        return x, x16

    def ending(self, name, rows, x, bias, norm):
        size = self.size
        end = Ending(
            rows=rows,
            size=size,
            bias=self.weight(bias),
            gain=self.weight(f"{norm}.weight"),
            shift=self.weight(f"{norm}.bias"),
            kept=self.kept(name, rows * size),
            keep_scale=self.keep_scale,
            residual=x,
            x=self.matrix(f"{name} x", rows, size, torch.float32),
            x16=self.matrix(f"{name} x16", rows, size),
            normal=self.matrix(f"{name} normal", rows, size),
            deviation=self.matrix(f"{name} deviation", rows, 1, torch.float32),
        )

        def gradient(dx):
            return EndingGradient(
                bias=self.gradient(bias),
                gain=self.gradient(f"{norm}.weight"),
                shift=self.gradient(f"{norm}.bias"),
                residual=dx,
                output=self.matrix("output gradient", rows, size),
            )

        return end, gradient

    def room(self, rows):
        """For both factors of a weight's gradient: see `panels` in tiles.c."""
        return {side: self.matrix(side, rows, self.widest) for side in ("left", "right")}

    def feed_forward(self, layer, rows, x, x16, width):
        first, second = f"{layer}.fc1.weight", f"{layer}.fc2.weight"
        self.pack(first, width, self.size)
        self.pack(second, self.size, width)
        hidden = self.matrix(f"{layer} hidden", rows, width)
        opened = self.matrix(f"{layer} open", rows, width // SIDE, torch.int32)
        end, ended = self.ending(
            f"{layer} fc", rows, x, f"{layer}.fc2.bias", f"{layer}.final_layer_norm"
        )
        _library.tiles_feed_forward(
            x16,
            self.packed[first][0],
            self.weight(f"{layer}.fc1.bias"),
            width,
            self.packed[second][0],
            hidden,
            opened,
            self.matrix("feed-forward sums", rows, self.size, torch.float32),
            ctypes.addressof(end),
        )

        def gradient(dx):
            ending = ended(dx)
            room = FeedForwardGradient(
                first=self.gradient(first),
                first_bias=self.gradient(f"{layer}.fc1.bias"),
                second=self.gradient(second),
                **self.room(rows),
            )
            _library.tiles_feed_forward_gradient(
                x16,
                self.packed[first][1],
                width,
                self.packed[second][1],
                hidden,
                opened,
                ctypes.addressof(end),
                ctypes.addressof(ending),
                ctypes.addressof(room),
            )

        self.undo.append(gradient)
        return end.x, end.x16

    def attention(self, name, rows, x, x16, visible, memory=None, guide=None):
        """To itself; or, with `memory` (keys and values, their gradients), to the encoder.

        `guide` is where the first head should look, [rows, longest source], and its weight.
        """
        size = self.size
        inner, outer = f"{name}.q_proj.weight", f"{name}.out_proj.weight"
        inner_size = size if memory else 3 * size
        self.pack(inner, inner_size, size)
        self.pack(outer, size, size)
        queries = self.matrix(f"{name} inner", rows, inner_size)
        pairs = memory[0] if memory else queries + 2 * size
        heads = Heads(
            rows=rows,
            size=size,
            heads=self.heads,
            groups=_address(visible.groups),
            group_count=len(visible.groups),
            first=_address(visible.first),
            last=_address(visible.last),
            queries=queries,
            keys=pairs,
            values=pairs + 2 * size,
            query_stride=inner_size,
            key_stride=2 * size if memory else inner_size,
            mixed=self.matrix(f"{name} mixed", rows, size),
            normaliser=self.buffer(f"{name} normaliser", rows * self.heads, torch.float32),
        )
        end, ended = self.ending(name, rows, x, f"{name}.out_proj.bias", f"{name}_layer_norm")
        _library.tiles_attention(
            x16,
            self.packed[inner][0],
            self.weight(f"{name}.q_proj.bias"),
            inner_size,
            self.packed[outer][0],
            ctypes.addressof(heads),
            ctypes.addressof(end),
        )

        def gradient(dx):
            ending = ended(dx)
            dqueries = self.matrix("inner gradient", rows, inner_size)
            dpairs = memory[1] if memory else dqueries + 2 * size
            room = AttentionGradient(
                inner=self.gradient(inner),
                inner_bias=self.gradient(f"{name}.q_proj.bias"),
                outer=self.gradient(outer),
                mixed=self.matrix("mixed gradient", rows, size),
                queries=dqueries,
                keys=dpairs,
                values=dpairs + 2 * size,
                **self.room(rows),
            )
            if guide:
                wanted, room.guide_weight = guide
                room.guide, room.guide_stride = wanted.data_ptr(), wanted.shape[1]
            _library.tiles_attention_gradient(
                x16,
                self.packed[inner][1],
                inner_size,
                self.packed[outer][1],
                ctypes.addressof(heads),
                ctypes.addressof(end),
                ctypes.addressof(ending),
                ctypes.addressof(room),
            )
            self.guide_loss += room.guide_loss

        self.undo.append(gradient)
        return end.x, end.x16

    def memory(self, name, rows, x16, dx):
        """Keys and values for one decoder layer, and room for their gradient."""
        weight, bias = f"{name}.k_proj.weight", f"{name}.k_proj.bias"
        forward = self.pack(weight, 2 * self.size, self.size)
        pairs = self.matrix(f"{name} pairs", rows, 2 * self.size)
        dpairs = self.matrix("pairs gradient", rows, 2 * self.size)
        _library.tiles_memory(x16, forward, self.weight(bias), rows, self.size, pairs)

        def gradient(_):
            room = self.room(rows)
            _library.tiles_memory_gradient(
                x16,
                self.packed[weight][1],
                rows,
                self.size,
                dpairs,
                self.gradient(weight),
                self.gradient(bias),
                dx,
                room["left"],
                room["right"],
            )

        self.undo.append(gradient)
        return pairs, dpairs

    def loss(self, rows, x16, targets, smoothing, candidates):
        """Loss, likelihood and the gradient of x."""
        size = self.size
        weight, bias = self.model.output_layer()
        weight, bias = weight.detach(), bias.detach()
        pieces = torch.arange(len(bias))
        if candidates is not None:
            pieces, addition, targets = candidates.choose(targets)
            weight, bias = weight.index_select(0, pieces), bias[pieces] + addition
        vocabulary = len(bias)
        width = -(-vocabulary // SIDE) * SIDE
        filled = torch.full((width,), -1e30)
        filled[:vocabulary] = bias
        targets = targets.int()
        forward = self.buffer("output forward", width * size)
        backward = self.buffer("output backward", width * size)
        _library.tiles_pack_weight(weight.data_ptr(), vocabulary, size, forward, backward)
        dx = self.matrix("target dx", rows, size, torch.float32)
        loss = Loss(
            rows=rows,
            size=size,
            vocabulary=vocabulary,
            x=x16,
            weight=weight.data_ptr(),
            forward=forward,
            backward=backward,
            bias=filled.data_ptr(),
            targets=targets.data_ptr(),
            pieces=pieces.data_ptr(),
            smoothing=smoothing,
            powers=self.matrix("powers", rows, width),
            sums=self.matrix("sums", rows, 16, torch.float32),
            scaled=self.matrix("scaled", rows, size),
            **self.room(rows),
            dx=dx,
            dweight=self.gradient("model.shared.weight"),
            dbias=self.gradient("output_bias"),
        )
        _library.tiles_loss(ctypes.addressof(loss))
        return loss.loss, loss.likelihood, dx

    def __call__(self, source, target_in, target_out, smoothing, candidates=None, guide=None):
        """Mean smoothed loss, mean negative log-likelihood, number of targets.

        Gradients replace what was in the parameters' `grad`. `guide` is the alignment of the batch,
        [batch, target, source], and its weight in the loss; `guide_loss` then holds how far the
        first heads of the decoder's layers are from it.
        """
        size, config = self.size, self.model.config
        real_source, real = source != self.pad, target_out != self.pad
        sources = Sentences(real_source.sum(1).numpy())
        targets = Sentences(real.sum(1).numpy())
        if max(sources.lengths.max(), targets.lengths.max()) > LONGEST:
            raise ValueError(f"a sentence of more than {LONGEST} pieces")
        source_tokens = source[real_source].int().numpy()
        target_tokens = target_in[real].int().numpy()
        self.undo, self.guide_loss, heads = [], 0.0, None
        if guide:
            alignment, weight = guide
            wanted = alignment[real].contiguous()
            layers = config["decoder_layers"]
            known = max(float(wanted.sum()), 1.0)
            heads = wanted, weight / layers / known
        # Everything else is written, not added to.
        named = dict(self.model.named_parameters())
        named["model.shared.weight"].grad.zero_()
        named["output_bias"].grad.zero_()

        to_itself = Visible(sources, sources)
        x, x16 = self.embed("source", source_tokens, sources)
        for index in range(config["encoder_layers"]):
            layer = f"model.encoder.layers.{index}"
            x, x16 = self.attention(f"{layer}.self_attn", sources.rows, x, x16, to_itself)
            x, x16 = self.feed_forward(layer, sources.rows, x, x16, config["encoder_ffn_dim"])
        encoder_undo, self.undo = self.undo, []

        memory16 = x16
        dmemory = self.matrix("source dx", sources.rows, size, torch.float32)
        self.buffers["source dx"].zero_()
        causal, to_memory = Visible(targets, targets, causal=True), Visible(targets, sources)
        x, x16 = self.embed("target", target_tokens, targets)
        for index in range(config["decoder_layers"]):
            layer = f"model.decoder.layers.{index}"
            x, x16 = self.attention(f"{layer}.self_attn", targets.rows, x, x16, causal)
            pairs = self.memory(f"{layer}.encoder_attn", sources.rows, memory16, dmemory)
            x, x16 = self.attention(
                f"{layer}.encoder_attn", targets.rows, x, x16, to_memory, pairs, heads
            )
            x, x16 = self.feed_forward(layer, targets.rows, x, x16, config["decoder_ffn_dim"])

        loss, likelihood, dx = self.loss(targets.rows, x16, target_out[real], smoothing, candidates)
        for gradient in reversed(self.undo):
            gradient(dx)
        for gradient in reversed(encoder_undo):
            gradient(dmemory)
        self.undo = []
        if guide:
            self.guide_loss /= layers * known
        return loss, likelihood, targets.rows
