"""Matrix products in half precision on CPUs that can (AVX512-FP16), through `half_products.c`.

Off until `begin()`; then `F.linear`, and with it every `nn.Linear`, uses them, forward and
backward. The gradients must come in a range halves can hold: scale the loss by `LOSS_SCALE`.
"""

import ctypes
from pathlib import Path

import torch
from torch.nn import functional as F

from .native import compile_c

LOSS_SCALE = 2048.0
FEWEST_ROWS = 24  # below, the packing costs more than it gains

_library = None
_plain_linear = F.linear


def begin():
    """Compiles the C file and replaces `F.linear`. Needs a C compiler and a CPU with AVX512-FP16."""
    global _library
    if "avx512_fp16" not in Path("/proc/cpuinfo").read_text():
        raise SystemExit("--half-products: this CPU has no AVX512-FP16")
    pointer, number = ctypes.c_void_p, ctypes.c_long
    signatures = {
        "half_packed_size": ([number, number], number),
        "half_pack": [pointer, number, number, number, number, pointer],
        "half_product": [pointer, number, number, pointer, pointer]
        + [number] * 4
        + [pointer, ctypes.c_int],
    }
    _library = compile_c("half_products.c", signatures)
    F.linear = linear


def end():
    """Back to PyTorch's own products."""
    global _library
    _library = None
    F.linear = _plain_linear


def on():
    return _library is not None


def _readable(matrix):
    return matrix if 1 in matrix.stride() else matrix.contiguous()


class Right:
    """The right factor of a product [depth, columns], packed once for any number of products."""

    def __init__(self, matrix):
        self.matrix = _readable(matrix)
        self.depth, self.columns = matrix.shape
        self.packed = None
        if on():
            size = _library.half_packed_size(self.columns, self.depth)
            self.packed = torch.empty(size, dtype=torch.float16)
            _library.half_pack(
                self.matrix.data_ptr(),
                *self.matrix.stride(),
                self.columns,
                self.depth,
                self.packed.data_ptr(),
            )

    def after(self, left, bias=None, out=None):
        """left @ self [rows, columns], plus bias; or added to `out` in place."""
        if self.packed is None or left.shape[0] < FEWEST_ROWS:
            if out is not None and out.dtype == left.dtype:
                return out.addmm_(left, self.matrix)
            product = left @ self.matrix if bias is None else torch.addmm(bias, left, self.matrix)
            return product if out is None else out.add_(product)
        left = _readable(left)
        add = out is not None
        if not add:
            out = torch.empty(left.shape[0], self.columns)
        _library.half_product(
            left.data_ptr(),
            *left.stride(),
            self.packed.data_ptr(),
            out.data_ptr(),
            out.stride(0),
            left.shape[0],
            self.columns,
            self.depth,
            None if bias is None else bias.data_ptr(),
            add,
        )
        return out


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(context, x, weight, bias):
        context.save_for_backward(x, weight)
        context.biased = bias is not None
        return Right(weight.t()).after(x, bias)

    @staticmethod
    def backward(context, gradient):
        x, weight = context.saved_tensors
        gradient = gradient.contiguous()
        return (
            Right(weight).after(gradient) if context.needs_input_grad[0] else None,
            Right(x).after(gradient.t()),
            gradient.sum(0) if context.biased else None,
        )


def linear(x, weight, bias=None):
    """x [.., in] @ weightᵀ [in, out] + bias [out], in half precision while training."""
    rows = x.numel() // x.shape[-1]
    if not torch.is_grad_enabled() or rows < FEWEST_ROWS:
        return _plain_linear(x, weight, bias)
    flat = x.reshape(rows, x.shape[-1]).contiguous()
    return _Linear.apply(flat, weight, bias).view(*x.shape[:-1], weight.shape[0])
