#!/usr/bin/env python3
"""Writes tests/fixtures/ensemble.json: two of the models in tests/fixtures/models/ that choose every token together.

Hugging Face's `generate()` searches with the first; a logits processor puts the second's distribution beside it, computed anew from
the whole beginning at every step, and hands back the logarithm of the average.
"""
import json
from pathlib import Path

import torch
from transformers import LogitsProcessor, MarianMTModel

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
MODELS = "marian_relu", "marian_gelu_bias"
MAX_LENGTH = 24
BEAMS = 4


def combined(log_probs, weights, average):
    """`[models, rows, V]` to `[rows, V]`."""
    weights = torch.tensor(weights, dtype=torch.float64)[:, None, None] / sum(weights)
    if average == "probabilities":
        return (weights * log_probs.double().exp()).sum(0).log().float()
    return torch.log_softmax((weights * log_probs.double()).sum(0), -1).float()


class Together(LogitsProcessor):
    def __init__(self, models, source, weights, average):
        self.models, self.source, self.weights, self.average = models, source, weights, average

    def __call__(self, input_ids, scores):
        sources = self.source.repeat(len(input_ids), 1)
        own = [model(input_ids=sources, decoder_input_ids=input_ids).logits[:, -1] for model in self.models]
        result = combined(torch.stack([torch.log_softmax(logits, -1) for logits in own]), self.weights, self.average)
        result[:, self.models[0].config.pad_token_id] = -float("inf")
        return result


def along(models, source, target, weights, average):
    """The sum of log-probabilities of a target and its sentence end."""
    config = models[0].config
    fed = torch.tensor([[config.decoder_start_token_id, *target]])
    own = [torch.log_softmax(model(input_ids=source, decoder_input_ids=fed).logits[0], -1) for model in models]
    result = combined(torch.stack(own), weights, average)
    wanted = torch.tensor([*target, config.eos_token_id])
    return result.gather(1, wanted[:, None]).sum().item()


@torch.no_grad()
def main():
    # Many small products: more threads only wait for each other.
    torch.set_num_threads(1)
    models = [MarianMTModel.from_pretrained(FIXTURES / "models" / name, attn_implementation="eager").eval() for name in MODELS]
    expected = json.loads((FIXTURES / "models" / MODELS[0] / "expected.json").read_text())
    config = models[0].config
    cases = []
    for average in "probabilities", "log-probabilities":
        for weights in [1.0, 1.0], [3.0, 1.0]:
            for ids in expected["sources"][:4]:
                source = torch.tensor([ids])

                def search(beams):
                    found = models[0].generate(
                        source, num_beams=beams, num_return_sequences=beams, max_length=MAX_LENGTH + 1, do_sample=False,
                        length_penalty=1.0, early_stopping=False, forced_eos_token_id=None, bad_words_ids=None,
                        renormalize_logits=False, return_dict_in_generate=True, output_scores=True,
                        logits_processor=[Together(models, source, weights, average)],
                    )
                    sequences = []
                    for row in found.sequences.tolist():
                        tokens = [token for token in row[1:] if token != config.pad_token_id]
                        sequences.append(tokens[: tokens.index(config.eos_token_id)] if config.eos_token_id in tokens else tokens)
                    scores = found.sequences_scores.tolist() if beams > 1 else [None]
                    return [{"tokens": tokens, "score": score} for tokens, score in zip(sequences, scores)]

                greedy, beam = search(1)[0]["tokens"], search(BEAMS)
                cases.append({
                    "average": average, "weights": weights, "source": ids, "greedy": greedy, "beam": beam,
                    "log_prob": along(models, source, greedy, weights, average),
                })
    data = {"models": MODELS, "max_length": MAX_LENGTH, "beam_size": BEAMS, "cases": cases}
    (FIXTURES / "ensemble.json").write_text(json.dumps(data, separators=(",", ":")) + "\n")
    print(len(cases), "cases")


if __name__ == "__main__":
    main()
