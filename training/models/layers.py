"""What both models share: a cheap dropout and a loss that never stores all logits."""

import torch
from torch import nn
from torch.nn import functional as F

from .products import Right

POOL = 1 << 23
_pools = {}


def _mask(count, probability):
    """A random stretch of a fixed pool of dropout masks.

    Drawing fresh random numbers for every activation costs a CPU about as much as the matrix
    products do; eight million stored values, entered at a random place, are random enough.
    """
    if probability not in _pools:
        generator = torch.Generator().manual_seed(7)
        kept = torch.rand(POOL, generator=generator) >= probability
        _pools[probability] = kept.float() / (1 - probability)
    start = int(torch.randint(0, POOL - count, ()))
    return _pools[probability][start : start + count]


class Dropout(nn.Module):
    def __init__(self, probability):
        super().__init__()
        self.probability = probability

    def forward(self, x):
        if not self.training or self.probability == 0:
            return x
        if x.is_cuda or x.numel() >= POOL:
            return F.dropout(x, self.probability)
        return x * _mask(x.numel(), self.probability).view(x.shape)


class _SmoothedCrossEntropy(torch.autograd.Function):
    """Output layer, softmax, label-smoothed loss and their gradients, a few rows at a time.

    The logits of a whole batch are the largest tensor of the model by far. Computing the gradient
    in the forward pass, chunk by chunk, keeps each chunk in cache and reads it once.
    """

    @staticmethod
    def forward(context, hidden, weight, bias, targets, smoothing, rows, low_precision):
        vocabulary = weight.shape[0]
        total = hidden.new_zeros((), dtype=torch.float32)
        likelihood = hidden.new_zeros((), dtype=torch.float32)
        hidden_gradient = torch.empty_like(hidden)
        weight_gradient = torch.zeros_like(weight)
        bias_gradient = torch.zeros_like(bias)
        product = weight.to(torch.bfloat16) if low_precision else weight
        to_logits, to_hidden = Right(product.t()), Right(product)
        for start in range(0, hidden.shape[0], rows):
            part = hidden[start : start + rows].to(product.dtype)
            target = targets[start : start + rows].unsqueeze(1)
            logits = to_logits.after(part).float()
            logits += bias
            normaliser = logits.logsumexp(1, keepdim=True)
            chosen = logits.gather(1, target)
            total += (
                normaliser - (1 - smoothing) * chosen - smoothing * logits.mean(1, keepdim=True)
            ).sum()
            likelihood += (normaliser - chosen).sum()
            gradient = logits.sub_(normaliser).exp_()
            gradient -= smoothing / vocabulary
            gradient.scatter_add_(1, target, torch.full_like(chosen, smoothing - 1))
            bias_gradient += gradient.sum(0)
            gradient = gradient.to(product.dtype)
            hidden_gradient[start : start + rows] = to_hidden.after(gradient)
            Right(part).after(gradient.t(), out=weight_gradient)
        count = hidden.shape[0]
        context.save_for_backward(
            hidden_gradient / count, weight_gradient / count, bias_gradient / count
        )
        return total / count, likelihood / count

    @staticmethod
    def backward(context, scale, _):
        hidden, weight, bias = context.saved_tensors
        return hidden * scale, weight * scale, bias * scale, None, None, None, None


class Candidates:
    """Most of the softmax for a third of its cost, for the GRU's 1,792-wide output layer.

    The pieces a batch is scored against are the frequent ones, its own targets, and a random
    `drawn` of the rest; each drawn piece stands for all the rest it was drawn from, which is what
    the addition to its logit says.
    """

    def __init__(self, counts, frequent, drawn):
        order = counts.argsort(descending=True, stable=True)
        self.frequent, self.rest, self.drawn = order[:frequent], order[frequent:], drawn
        self.size = len(counts)

    def choose(self, targets):
        """The candidates, what is added to their logits, and the targets' places among them."""
        addition = torch.full((self.size,), float("-inf"), device=targets.device)
        some = self.rest[torch.randperm(len(self.rest))[: self.drawn]]
        addition[some] = float(torch.tensor(len(self.rest) / self.drawn).log())
        addition[self.frequent] = 0
        addition[targets] = 0
        chosen = addition.isfinite().nonzero().squeeze(1)
        places = torch.empty(self.size, dtype=torch.long, device=targets.device)
        places[chosen] = torch.arange(len(chosen), device=targets.device)
        return chosen, addition[chosen], places[targets]

    def apply(self, weight, bias, targets):
        chosen, addition, places = self.choose(targets)
        return weight.index_select(0, chosen), bias.index_select(0, chosen) + addition, places


def smoothed_cross_entropy(
    hidden, weight, bias, targets, smoothing, candidates=None, low_precision=False
):
    """Mean smoothed loss, and the plain negative log-likelihood per token for the log.

    `low_precision`: products in bfloat16; on a GPU they are anyway.
    """
    if candidates is not None:
        weight, bias, targets = candidates.apply(weight, bias, targets)
    rows = 8192 if hidden.is_cuda else 256
    return _SmoothedCrossEntropy.apply(
        hidden, weight, bias, targets, smoothing, rows, low_precision or hidden.is_cuda
    )
