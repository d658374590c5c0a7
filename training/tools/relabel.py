"""Translates sentences with one or several checkpoints: teacher labels and back-translations.

    python -m training relabel CHECKPOINT... --vocabulary vocab --input FILE --output FILE.tsv

Several checkpoints are an ensemble: their probabilities are averaged at every step. The output has
the two columns of a training source, the pair's source language first; `--reverse` is for a model that translates
English into German. `--sample` draws from the model instead of taking its best translation, which
makes back-translations varied. An interrupted run continues where it stopped.
"""

import argparse
import random
from pathlib import Path

import torch

from ..data.batches import pad
from ..data.vocabulary import Vocabulary
from ..models.search import beam, greedy
from .export import load_model


class Ensemble:
    """Has the three methods search needs; every state is a dictionary of the members' states."""

    def __init__(self, models, temperature):
        self.models = models
        self.pad = models[0].pad
        self.temperature = temperature

    @staticmethod
    def _merge(parts):
        return {f"{i} {key}": value for i, part in enumerate(parts) for key, value in part.items()}

    @staticmethod
    def _own(merged, index):
        start = f"{index} "
        return {k[len(start) :]: v for k, v in merged.items() if k.startswith(start)}

    def encode(self, source):
        return self._merge([model.encode(source) for model in self.models])

    def start(self, memory, rows):
        parts = [m.start(self._own(memory, i), rows) for i, m in enumerate(self.models)]
        return self._merge(parts)

    def step(self, memory, state, tokens):
        total, states = 0, []
        for index, model in enumerate(self.models):
            logits, new = model.step(self._own(memory, index), self._own(state, index), tokens)
            total = total + logits.float().softmax(1)
            states.append(new)
        scores = (total / len(self.models)).log()
        if self.temperature:
            # The largest of the scores plus Gumbel noise is a sample from the softmax.
            noise = -torch.empty_like(scores).exponential_().log()
            scores = scores + self.temperature * noise
        return scores, self._merge(states)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoints", nargs="+")
    parser.add_argument("--vocabulary", default="vocab")
    parser.add_argument("--input", required=True, help="one sentence a line")
    parser.add_argument("--output", required=True)
    parser.add_argument("--reverse", action="store_true", help="input is the target language")
    parser.add_argument("--beam", type=int, default=1)
    parser.add_argument("--sample", type=float, default=0.0, help="temperature, 0 = best")
    parser.add_argument("--tokens", type=int, default=4000, help="source tokens in a batch")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    device = "cuda" if torch.cuda.is_available() else "cpu"

    vocabulary = Vocabulary(options.vocabulary)
    models = [load_model([path])[1].to(device) for path in options.checkpoints]
    ensemble = Ensemble(models, options.sample)
    sentences = Path(options.input).read_text(encoding="utf-8").split("\n")
    sentences = [" ".join(sentence.split()) for sentence in sentences if sentence.strip()]
    output = Path(options.output)
    done = output.read_text(encoding="utf-8").count("\n") if output.exists() else 0
    # A fixed shuffle first: an unfinished file is then a fair sample of the whole.
    random.Random(1).shuffle(sentences)
    sentences = sentences[done:]
    block = 2000
    for start in range(0, len(sentences), block):
        part = sentences[start : start + block]
        encoded = [vocabulary.encode(sentence)[:250] for sentence in part]
        order = sorted(range(len(part)), key=lambda index: len(encoded[index]))
        results = [""] * len(part)
        while order:
            longest = len(encoded[order[-1]])
            count = max(1, options.tokens // (longest * options.beam))
            chosen, order = order[-count:], order[:-count]
            source = pad([encoded[index] for index in chosen], vocabulary.pad).to(device)
            maximum = min(2 * longest + 10, 250)
            if options.beam > 1:
                outputs = beam(ensemble, source, maximum, options.beam, 1.0)
            else:
                outputs = greedy(ensemble, source, maximum)
            for index, ids in zip(chosen, outputs):
                results[index] = " ".join(vocabulary.decode(ids).split())
        with open(output, "a", encoding="utf-8") as stream:
            for sentence, result in zip(part, results):
                source, target = (result, sentence) if options.reverse else (sentence, result)
                stream.write(f"{source}\t{target}\n")
        print(f"{done + start + len(part)} of {done + len(sentences)}", flush=True)


if __name__ == "__main__":
    main()
