"""Which source piece a target piece comes from, learned from the pairs alone, to guide attention.

    python -m training alignment RUN_DIRECTORY --vocabulary vocab

A translation model learns slowly until its attention finds the right words: until then it is only a
language model. IBM's Model 1 with a preference for the diagonal finds them within a minute. Both
directions are learned and multiplied, which rejects rare words that attract everything.
"""

import argparse
import random
from pathlib import Path

import numpy
import torch

from .corpus import load_pairs
from .pair import Pair
from .vocabulary import Vocabulary

# How many pairs of each source; of sources that are not named here, as many as OTHERS says.
SAMPLE = {
    "multi30k-train": 29_000,
    "tatoeba-manythings": 90_000,
    "everyday-apps": 20_000,
    "ding-sentences": 20_000,
    "newstest2008-2018": 12_000,
    "bcontrast-chat": 6_000,
    "mlqe-pe": 3_000,
    "lex-wiktionary": 10_000,
}
OTHERS = 20_000
LONGEST = 60
ROUNDS = 4
DIAGONAL = 4.0
# Pieces seen once or twice would explain whole sentences; this many uncertain sightings stop them.
DOUBT = 2.0


def links(pairs):
    """Every possible link of every pair: source piece, target piece, prior, and where it sits."""
    sources, targets, priors, source_places, target_places = [], [], [], [], []
    source_total = target_total = 0
    for source, target in pairs:
        s, t = len(source), len(target)
        sources.append(numpy.tile(numpy.array(source, numpy.int32), t))
        targets.append(numpy.repeat(numpy.array(target, numpy.int32), s))
        rows = (numpy.arange(t) + 0.5) / t
        columns = (numpy.arange(s) + 0.5) / s
        distance = numpy.abs(rows[:, None] - columns[None, :])
        priors.append(numpy.exp(-DIAGONAL * distance).ravel().astype(numpy.float32))
        source_places.append(numpy.tile(numpy.arange(s, dtype=numpy.int32) + source_total, t))
        target_places.append(numpy.repeat(numpy.arange(t, dtype=numpy.int32) + target_total, s))
        source_total += s
        target_total += t
    return [
        numpy.concatenate(part) for part in (sources, targets, priors, source_places, target_places)
    ]


def probabilities(given, produced, prior, places, size):
    """P(produced piece | given piece), a dense table indexed by given * size + produced."""
    key = given.astype(numpy.int32) * size + produced
    table = numpy.full(size * size, 1 / size, numpy.float32)
    for _ in range(ROUNDS):
        weight = table[key] * prior
        weight /= numpy.bincount(places, weight)[places] + 1e-12
        counts = numpy.bincount(key, weight, minlength=size * size).reshape(size, size)
        table = counts / (counts.sum(1, keepdims=True) + DOUBT)
        table = table.astype(numpy.float32).ravel()
    return table.reshape(size, size)


def learn(run, vocabulary):
    chooser = random.Random(1)
    pairs = []
    for name in Pair.of(run).among(SAMPLE):
        available = load_pairs(run, name)
        count = SAMPLE.get(name, OTHERS)
        pairs.extend(chooser.sample(available, min(count, len(available))))
    pairs = [(vocabulary.encode(source), vocabulary.encode(target)) for source, target in pairs]
    pairs = [pair for pair in pairs if max(map(len, pair)) <= LONGEST]
    source, target, prior, source_places, target_places = links(pairs)
    print(f"{len(pairs)} pairs, {len(source)} possible links", flush=True)
    size = vocabulary.size
    table = probabilities(source, target, prior, target_places, size)
    table *= probabilities(target, source, prior, source_places, size).T
    numpy.save(run / "alignment.npy", numpy.sqrt(table).astype(numpy.float16))


class Alignment:
    """Soft alignments of a batch, [batch, target, source]; all-zero rows where nothing is known."""

    def __init__(self, run, vocabulary, device):
        self.table = torch.from_numpy(numpy.load(run / "alignment.npy")).to(device)
        self.pad = vocabulary.pad

    def __call__(self, source, target):
        strength = self.table[source[:, None, :], target[:, :, None]].float() ** 2
        batch, rows, columns = strength.shape
        device = source.device
        source_length = (source != self.pad).sum(1)[:, None, None]
        target_length = (target != self.pad).sum(1)[:, None, None]
        row = (torch.arange(rows, device=device)[None, :, None] + 0.5) / target_length
        column = (torch.arange(columns, device=device)[None, None, :] + 0.5) / source_length
        strength = strength * torch.exp(-DIAGONAL * (row - column).abs())
        strength = strength * (source != self.pad)[:, None, :] * (target != self.pad)[:, :, None]
        total = strength.sum(2, keepdim=True)
        return torch.where(total > 1e-4, strength / total.clamp_min(1e-4), 0.0)


def attention_loss(alignment, attention):
    """Mean cross-entropy over the rows that know where they come from."""
    known = alignment.sum((1, 2)).sum().clamp_min(1.0)
    return -(alignment * (attention + 1e-6).log()).sum() / known


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run")
    parser.add_argument("--vocabulary", default="vocab")
    options = parser.parse_args()
    learn(Path(options.run), Vocabulary(options.vocabulary))


if __name__ == "__main__":
    main()
