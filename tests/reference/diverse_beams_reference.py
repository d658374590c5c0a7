#!/usr/bin/env python3
"""Writes tests/fixtures/diverse_beams.json: diverse beam search (Vijayakumar et al. 2018, Hamming diversity) on a model of
tests/fixtures/models/, written down plainly.

Group beam search left transformers (as of 4.57 it is code fetched from the hub), so this follows what it documented: every group is a
beam of its own; the scores of a group's step are log-probabilities less `diversity` for each running hypothesis of an earlier group
that took the same token in this step, and these scores add up; the answer is the best of all groups' finished hypotheses.
"""
import json
from pathlib import Path

import torch
from transformers import MarianMTModel

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
MODEL = "marian_relu"
MAX_LENGTH = 24
SEARCHES = [(4, 2, 0.5), (4, 4, 1.0), (6, 3, 0.2), (6, 2, 5.0)]


class Group:
    def __init__(self, width):
        self.width, self.running, self.finished, self.done = width, [([], 0.0)], [], False

    def step(self, log_probs, end, length, early_stopping):
        """`log_probs`: one row for each running hypothesis, penalised. Returns the tokens that go on."""
        candidates = []
        for (tokens, total), row in zip(self.running, log_probs):
            values, places = row.topk(2 * self.width)
            candidates += [(total + value, tokens + [place]) for value, place in zip(values.tolist(), places.tolist())]
        candidates.sort(key=lambda candidate: -candidate[0])
        self.running = []
        for rank, (total, tokens) in enumerate(candidates[: 2 * self.width]):
            if tokens[-1] == end or length == MAX_LENGTH:
                if rank < self.width:
                    self.finished.append((total / length, tokens[:-1] if tokens[-1] == end else tokens))
            elif len(self.running) < self.width:
                self.running.append((tokens, total))
        self.finished = sorted(self.finished, key=lambda own: -own[0])[: self.width]
        full = len(self.finished) == self.width
        hopeless = not self.running or (full and self.running[0][1] / length <= self.finished[-1][0])
        self.done = hopeless or (full and early_stopping)
        return [] if self.done else [tokens[-1] for tokens, _ in self.running]


def search(model, source, beams, groups, diversity, early_stopping):
    config = model.config
    own = [Group(beams // groups) for _ in range(groups)]
    for length in range(1, MAX_LENGTH + 1):
        taken = []
        for group in own:
            if group.done:
                continue
            fed = torch.tensor([[config.decoder_start_token_id, *tokens] for tokens, _ in group.running])
            logits = model(input_ids=source.repeat(len(fed), 1), decoder_input_ids=fed).logits[:, -1]
            log_probs = torch.log_softmax(logits, -1)
            log_probs[:, config.pad_token_id] = -float("inf")
            for token in taken:
                log_probs[:, token] -= diversity
            taken += group.step(log_probs, config.eos_token_id, length, early_stopping)
    finished = sorted((own for group in own for own in group.finished), key=lambda own: -own[0])
    return [{"tokens": tokens, "score": score} for score, tokens in finished[:beams]]


@torch.no_grad()
def main():
    # Many small products: more threads only wait for each other.
    torch.set_num_threads(1)
    model = MarianMTModel.from_pretrained(FIXTURES / "models" / MODEL, attn_implementation="eager").eval()
    expected = json.loads((FIXTURES / "models" / MODEL / "expected.json").read_text())
    cases = []
    for beams, groups, diversity in SEARCHES:
        for early_stopping in False, True:
            for ids in expected["sources"][:6]:
                hypotheses = search(model, torch.tensor([ids]), beams, groups, diversity, early_stopping)
                cases.append({"beams": beams, "groups": groups, "diversity": diversity, "early_stopping": early_stopping,
                              "source": ids, "hypotheses": hypotheses})
    data = {"model": MODEL, "max_length": MAX_LENGTH, "cases": cases}
    (FIXTURES / "diverse_beams.json").write_text(json.dumps(data, separators=(",", ":")) + "\n")
    print(len(cases), "cases")


if __name__ == "__main__":
    main()
