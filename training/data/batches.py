"""An endless, resumable stream of training batches of about equal size."""

import random

import sentencepiece
import torch

from .corpus import load_lines
from .noise import KINDS, spoil
from .noise import kinds as noise_kinds
from .pair import Pair

POOL = 20_000
MAXIMUM_PIECES = 120


def pad(sentences, value):
    length = max(len(sentence) for sentence in sentences)
    return torch.tensor([sentence + [value] * (length - len(sentence)) for sentence in sentences])


def teacher_forcing(pairs, vocabulary):
    """source, decoder input (starts with <pad>), and the tokens to predict."""
    source = pad([pair[0] for pair in pairs], vocabulary.pad)
    target = pad([pair[1] for pair in pairs], vocabulary.pad)
    start = torch.full((len(pairs), 1), vocabulary.pad)
    return source, torch.cat([start, target[:, :-1]], dim=1), target


class Stream:
    """Position (epoch, pool, batch) is all the state there is: each is drawn from its own seed."""

    def __init__(
        self, run, vocabulary, tokens, seed, weights=None, sampling=0.0, reverse=False, noise=0.0
    ):
        self.vocabulary = vocabulary
        self.tokens = tokens
        self.seed = seed
        self.sampling = sampling
        self.noise = noise
        pair = Pair.of(run)
        languages = (pair.target, pair.source) if reverse else (pair.source, pair.target)
        self.noise_kinds = noise_kinds(*languages)
        if noise and len(self.noise_kinds) < len(KINDS):
            print("noise: without umlauts and ß, which are German", flush=True)
        self.weights = {**pair.weights, **(weights or {})}
        self.sources = {
            name: load_lines(run, name) for name, weight in self.weights.items() if weight > 0
        }
        self.reverse = reverse
        self.position = (0, 0, 0)

    def target_counts(self):
        """How often each piece occurs in a sample of the target side."""
        counts = torch.zeros(self.vocabulary.pad, dtype=torch.long)
        sample = self._epoch(0)[:POOL]
        targets = (self._pair(line)[1] for line in sample)
        ids = [token for target in targets for token in self.vocabulary.encode(target)]
        return counts.index_add_(0, torch.tensor(ids), torch.ones(len(ids), dtype=torch.long))

    def _pair(self, line):
        source, target = line.split("\t")
        return (target, source) if self.reverse else (source, target)

    def _epoch(self, epoch):
        order = random.Random(f"{self.seed} {epoch}")
        drawn = []
        for name, lines in self.sources.items():
            weight = self.weights[name]
            for _ in range(int(weight)):
                drawn.extend(lines)
            drawn.extend(order.sample(lines, int((weight % 1) * len(lines))))
        order.shuffle(drawn)
        return drawn

    def _pool(self, lines, epoch, pool):
        order = random.Random(f"{self.seed} {epoch} {pool}")
        # SentencePiece keeps its own random state, which cannot be saved, so seed it per pool.
        sentencepiece.set_random_generator_seed(order.randrange(1 << 30))
        encoded = []
        for source, target in map(self._pair, lines):
            if self.noise and order.random() < self.noise:
                source, target = spoil(source, target, order, self.noise_kinds)
            # Half of the sentences keep their best segmentation, the one used when translating.
            sampling = self.sampling if self.sampling and order.random() < 0.5 else 0.0
            source = self.vocabulary.encode(source, sampling)
            target = self.vocabulary.encode(target)
            if max(len(source), len(target)) <= MAXIMUM_PIECES:
                encoded.append((len(source), order.random(), source, target))
        encoded.sort(key=lambda item: (item[0], len(item[3]), item[1]))
        batches, current, width = [], [], 0
        for length, _, source, target in encoded:
            width = max(width, length, len(target))
            if current and width * (len(current) + 1) > self.tokens:
                batches.append(current)
                current, width = [], max(length, len(target))
            current.append((source, target))
        batches.append(current)
        order.shuffle(batches)
        return batches

    def __iter__(self):
        epoch, first_pool, first_batch = self.position
        while True:
            lines = self._epoch(epoch)
            for pool in range(first_pool, -(-len(lines) // POOL)):
                chosen = lines[pool * POOL : (pool + 1) * POOL]
                batches = self._pool(chosen, epoch, pool)
                for index in range(first_batch, len(batches)):
                    self.position = (epoch, pool, index + 1)
                    yield teacher_forcing(batches[index], self.vocabulary)
                first_batch = 0
            epoch, first_pool = epoch + 1, 0
