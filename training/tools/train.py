"""One training loop for both models, on a CPU core or on a GPU.

python -m training train transformer RUN_DIRECTORY --vocabulary vocab --minutes 60
"""

import argparse
import json
import math
import os
import signal
import time
from pathlib import Path

import sacrebleu
import torch

from ..data.alignment import Alignment, attention_loss
from ..data.batches import Stream, teacher_forcing
from ..data.corpus import load_references
from ..data.pair import Pair
from ..data.vocabulary import Vocabulary
from ..models import build, gru_step, products, tiles
from ..models.layers import Candidates, smoothed_cross_entropy
from ..models.search import translate

EMA_EVERY = 4


def learning_rate(step, options):
    rate = options.learning_rate * min(step / options.warm_up, (options.warm_up / step) ** 0.5)
    if options.cooldown_from is not None and step > options.cooldown_from:
        # A straight line to (almost) zero gains what a long tail of small steps would gain.
        done = (step - options.cooldown_from) / options.cooldown_steps
        rate *= max(1 - done, 0.02)
    return rate


class Trainer:
    def __init__(self, options):
        self.options = options
        self.run = Path(options.run)
        self.pair = Pair.of(self.run)
        self.directory = self.run / (options.name or options.kind)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.vocabulary = Vocabulary(options.vocabulary)
        config = {"vocab_size": self.vocabulary.size, "pad_token_id": self.vocabulary.pad}
        for start in (self.checkpoint if options.resume else None, options.start_from):
            if start:
                # Its sizes, so that they need not be said again.
                config.update(torch.load(start, map_location="cpu", weights_only=False)["config"])
                break
        config.update(json.loads(options.config))
        torch.manual_seed(options.seed)
        self.model = build(options.kind, config).to(self.device)
        if options.embeddings_from:
            other = torch.load(options.embeddings_from, map_location="cpu", weights_only=False)
            self.model.begin_with_embeddings(other["model"]["model.shared.weight"])
        self.average = [p.detach().clone() for p in self.model.parameters()]
        self.optimiser = torch.optim.Adam(
            self.model.parameters(), lr=1e-4, betas=(0.9, 0.98), eps=1e-9, fused=True
        )
        self.stream = Stream(
            self.run,
            self.vocabulary,
            options.tokens,
            options.seed,
            json.loads(options.weights),
            options.sampling,
            options.reverse,
            options.noise,
        )
        self.alignment = None
        if options.guide:
            self.alignment = Alignment(self.run, self.vocabulary, self.device)
        self.candidates = None
        if options.candidates:
            counts = self.stream.target_counts().to(self.device)
            self.candidates = Candidates(counts, options.candidates, options.candidates // 3)
        self.tiles = self.adam = None
        self.step = 0
        self.targets_seen = 0
        self.seconds = 0.0
        self.stopping = False

    def use_tiles(self):
        """From here on, steps are those in C. To be called after loading a checkpoint."""
        if self.device.type != "cpu":
            raise SystemExit("--tiles: on a CPU only")
        if self.options.kind == "gru" and self.options.guide:
            raise SystemExit("--guide: with --tiles only for the Transformer")
        step = tiles.Step if self.options.kind == "transformer" else gru_step.Step
        self.tiles = step(self.model)
        self.adam = tiles.Adam(self.tiles.flat, self.optimiser, self.average)

    @property
    def languages(self):
        """What the model translates from and to."""
        languages = (self.pair.source, self.pair.target)
        return languages[::-1] if self.options.reverse else languages

    @property
    def checkpoint(self):
        return self.directory / "last.pt"

    def save(self):
        state = {
            "kind": self.options.kind,
            "config": self.model.config,
            "model": self.model.state_dict(),
            "average": self.average,
            "optimiser": self.optimiser.state_dict(),
            "position": self.stream.position,
            "random": torch.get_rng_state(),
            "step": self.step,
            "targets_seen": self.targets_seen,
            "seconds": self.seconds,
            "options": vars(self.options),
            "languages": self.languages,
        }
        # Written beside and renamed, so that a kill in the middle never costs the old one.
        torch.save(state, self.directory / "new.pt")
        os.replace(self.directory / "new.pt", self.checkpoint)

    def begin_with(self, path):
        """Only the weights of another run: its step, rate and place in the data do not count."""
        state = torch.load(path, map_location=self.device, weights_only=False)
        self.model.load_state_dict(state["model"])
        self.average = [p.detach().clone() for p in self.model.parameters()]

    def load(self, path):
        state = torch.load(path, map_location=self.device, weights_only=False)
        self.model.load_state_dict(state["model"])
        self.average = [a.to(self.device) for a in state["average"]]
        self.optimiser.load_state_dict(state["optimiser"])
        self.stream.position = tuple(state["position"])
        torch.set_rng_state(state["random"].cpu())
        self.step = state["step"]
        self.targets_seen = state["targets_seen"]
        self.seconds = state["seconds"]

    def log(self, **entry):
        entry = {"step": self.step, "minutes": round(self.seconds / 60, 1), **entry}
        line = json.dumps(entry)
        print(line, flush=True)
        with open(self.directory / "log.jsonl", "a") as stream:
            stream.write(line + "\n")

    def swap_average(self):
        for parameter, average in zip(self.model.parameters(), self.average):
            current = parameter.data.clone()
            parameter.data.copy_(average)
            average.copy_(current)

    def update(self, batch):
        source, target_in, target_out = (part.to(self.device) for part in batch)
        if self.options.word_dropout:
            dropped = torch.rand(source.shape, device=self.device) < self.options.word_dropout
            source = source.masked_fill(dropped & (source > 1) & (source < self.vocabulary.pad), 1)
        if self.tiles:
            return self.update_with_tiles(source, target_in, target_out)
        low_precision = self.device.type == "cuda" or self.options.bfloat16
        with torch.autocast(self.device.type, torch.bfloat16, enabled=low_precision):
            hidden, guides = self.model(source, target_in, guided=True)
        real = target_out != self.vocabulary.pad
        # Candidates never hold <pad>, and not cutting it off saves a copy of the whole gradient.
        weight, bias = self.model.output_layer(with_pad=self.candidates is not None)
        hidden = self.model.dropout_output(hidden[real].float())
        loss, likelihood = smoothed_cross_entropy(
            hidden,
            weight,
            bias,
            target_out[real],
            self.options.label_smoothing,
            self.candidates,
            low_precision,
        )
        guide = 0.0
        if self.alignment:
            alignment = self.alignment(source, target_out)
            for attention in guides:
                guide = attention_loss(alignment, attention.float())
                loss = loss + self.options.guide / len(guides) * guide
            guide = guide.detach()
        self.optimiser.zero_grad(set_to_none=True)
        if products.on():
            (loss * products.LOSS_SCALE).backward()
            gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
            torch._foreach_mul_(gradients, 1 / products.LOSS_SCALE)
        else:
            loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.options.clip)
        self.step += 1
        rate = learning_rate(self.step, self.options)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        if math.isfinite(float(norm)):
            self.optimiser.step()
        if self.step % EMA_EVERY == 0:
            torch._foreach_lerp_(
                self.average, [p.data for p in self.model.parameters()], 1 - self.ema_decay()
            )
        count = int(real.sum())
        self.targets_seen += count
        self.guide_loss = float(guide)
        return float(likelihood.detach()), count

    def ema_decay(self):
        # A young average must not remember the random start.
        return min(self.options.ema, 1 - 10 / (10 + self.step)) ** EMA_EVERY

    @torch.no_grad()
    def update_with_tiles(self, source, target_in, target_out):
        guide = None
        if self.alignment:
            guide = self.alignment(source, target_out), self.options.guide
        _, likelihood, count = self.tiles(
            source, target_in, target_out, self.options.label_smoothing, self.candidates, guide
        )
        self.step += 1
        toward = 0.0 if self.step % EMA_EVERY else 1 - self.ema_decay()
        rate = learning_rate(self.step, self.options)
        if not self.adam.step(rate, self.options.clip, toward):
            self.tiles.clear()
        self.targets_seen += count
        self.guide_loss = self.tiles.guide_loss
        return likelihood, count

    @torch.no_grad()
    def evaluate(self):
        """Development loss and greedy BLEU of the averaged weights."""
        self.swap_average()
        self.model.eval()
        for name in self.pair.development:
            if self.stopping:
                break
            source, *references = load_references(self.run, name)
            if self.options.reverse:
                source, references = references[0], [source]
            limit = self.options.evaluate_sentences if name != "flores-dev" else 50
            # Every so many-th sentence: everyday-dev is sorted by kind.
            every = max(len(source) // limit, 1)
            source, *references = (text[::every][:limit] for text in (source, *references))
            pairs = [
                tuple(map(self.vocabulary.encode, sides)) for sides in zip(source, references[0])
            ]
            pairs.sort(key=lambda pair: len(pair[0]))
            total = count = 0
            for start in range(0, len(pairs), 64):
                batch = teacher_forcing(pairs[start : start + 64], self.vocabulary)
                source_in, target_in, target_out = (part.to(self.device) for part in batch)
                real = target_out != self.vocabulary.pad
                weight, bias = self.model.output_layer()
                _, likelihood = smoothed_cross_entropy(
                    self.model(source_in, target_in)[real].float(),
                    weight,
                    bias,
                    target_out[real],
                    0.0,
                )
                total += float(likelihood) * int(real.sum())
                count += int(real.sum())
            outputs = translate(self.model, self.vocabulary, source)
            bleu = sacrebleu.corpus_bleu(outputs, references).score
            self.log(
                set=name, sentences=len(source), loss=round(total / count, 4), bleu=round(bleu, 2)
            )
        self.model.train()
        self.swap_average()

    def train(self):
        options = self.options
        signal.signal(signal.SIGTERM, self.stop)
        signal.signal(signal.SIGINT, self.stop)
        (self.run / "pid").write_text(f"{os.getpid()}\n")
        self.model.train()
        begun = saved = evaluated = logged = time.time()
        last = begun
        total = count = 0
        for batch in self.stream:
            likelihood, targets = self.update(batch)
            now = time.time()
            self.seconds += now - last
            last = now
            total, count = total + likelihood * targets, count + targets
            if now - logged > 60:
                self.log(
                    loss=round(total / count, 4),
                    attention=round(self.guide_loss, 3),
                    rate=round(learning_rate(self.step, options), 6),
                    targets_per_second=round(count / (now - logged)),
                    epoch=self.stream.position[0],
                    targets=self.targets_seen,
                )
                total = count = 0
                logged = now
            over = now - begun > options.minutes * 60 or self.step >= options.steps
            if now - saved > options.save_minutes * 60 or over or self.stopping:
                self.save()
                saved = now
            if over or self.stopping:
                break
            if now - evaluated > options.evaluate_minutes * 60:
                self.evaluate()
                evaluated = logged = time.time()
                last = evaluated
        if not self.stopping:
            self.evaluate()

    def stop(self, *_):
        self.stopping = True


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["transformer", "gru"])
    parser.add_argument("run", help="directory with the prepared data; checkpoints go here too")
    parser.add_argument("--name", help="sub-directory of the checkpoints, default: the kind")
    parser.add_argument("--vocabulary", default="vocab")
    parser.add_argument("--resume", action="store_true", help="continue from last.pt, exactly")
    parser.add_argument(
        "--start-from", help="a checkpoint to begin with, instead of random weights"
    )
    parser.add_argument("--embeddings-from", help="GRU: a Transformer checkpoint to begin with")
    parser.add_argument("--config", default="{}", help="JSON, overrides the model's sizes")
    parser.add_argument(
        "--reverse", action="store_true", help="train from the target to the source language"
    )
    parser.add_argument("--weights", default="{}", help="JSON, draws per epoch of each source")
    parser.add_argument("--tokens", type=int, default=2000, help="padded tokens in a batch")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--warm-up", type=int, default=600)
    parser.add_argument("--cooldown-from", type=int)
    parser.add_argument("--cooldown-steps", type=int, default=1000)
    parser.add_argument("--label-smoothing", type=float, default=0.1)
    parser.add_argument("--sampling", type=float, default=0.0, help="SentencePiece alpha, source")
    parser.add_argument("--noise", type=float, default=0.0, help="share of pairs that are spoilt")
    parser.add_argument("--word-dropout", type=float, default=0.0)
    parser.add_argument("--guide", type=float, default=0.0, help="weight of the alignment loss")
    parser.add_argument("--candidates", type=int, help="frequent pieces in a sampled softmax")
    parser.add_argument("--clip", type=float, default=1.0)
    parser.add_argument("--ema", type=float, default=0.998)
    parser.add_argument("--bfloat16", action="store_true", help="also on the CPU")
    parser.add_argument(
        "--half-products", action="store_true", help="on a CPU with AVX512-FP16: faster products"
    )
    parser.add_argument("--tiles", action="store_true", help="on a CPU with AMX: much the fastest")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--steps", type=int, default=10**9)
    parser.add_argument("--save-minutes", type=float, default=4)
    parser.add_argument("--evaluate-minutes", type=float, default=10)
    parser.add_argument("--evaluate-sentences", type=int, default=200)
    return parser.parse_args()


def main():
    options = arguments()
    torch.set_num_threads(options.threads)
    if options.half_products:
        products.begin()
    trainer = Trainer(options)
    if options.resume:
        trainer.load(trainer.checkpoint)
    elif options.start_from:
        trainer.begin_with(options.start_from)
    if options.tiles:
        trainer.use_tiles()
    trainer.train()


if __name__ == "__main__":
    main()
