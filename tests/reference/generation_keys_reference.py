"""What Hugging Face generate() makes of the keys of generation_config.json: tests/fixtures/generation/keys.json.

The model is tests/fixtures/models/marian_relu; each case is its configuration with some keys changed, and the target ids of
every source, start token and sentence end left out. Run in the environment of requirements.txt:

    python tests/reference/generation_keys_reference.py
"""

import json
from pathlib import Path

import torch
from transformers import GenerationConfig, MarianMTModel

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "tests/fixtures/models/marian_relu"
CASES = [
    {},
    {"suppress_tokens": [5, 9, 17, 18, 20, 33]},
    {"begin_suppress_tokens": [3, 8, 21, 40, 41, 55]},
    {"min_new_tokens": 9},
    {"min_length": 9},
    {"encoder_no_repeat_ngram_size": 1},
    {"encoder_no_repeat_ngram_size": 2},
    {"exponential_decay_length_penalty": [3, 1.3]},
    {"exponential_decay_length_penalty": [1, 1.05], "min_new_tokens": 3},
    {"forced_bos_token_id": 12, "begin_suppress_tokens": list(range(20, 40))},
    {"suppress_tokens": list(range(1, 30)), "no_repeat_ngram_size": 2, "repetition_penalty": 1.4},
]


def main():
    torch.manual_seed(0)
    model = MarianMTModel.from_pretrained(MODEL).eval()
    generator = torch.Generator().manual_seed(11)
    sources = []
    for length in [1, 2, 3, 4, 5, 6, 8, 10, 12, 15]:
        ids = torch.randint(2, 62, (length,), generator=generator).tolist()
        sources.append(ids + [0])
    # Sources of what the model likes to write, so that it repeats some of them.
    base = GenerationConfig.from_pretrained(MODEL)
    for source in sources[2:10]:
        out = model.generate(torch.tensor([source]), generation_config=base)[0].tolist()[1:]
        sources.append(out[: out.index(0)] + [0])
    runs = []
    for keys in CASES:
        for beams in [1, 4]:
            base = json.loads((MODEL / "generation_config.json").read_text())
            config = GenerationConfig(**{**base, **keys, "num_beams": beams})
            targets = []
            for source in sources:
                with torch.no_grad():
                    out = model.generate(torch.tensor([source]), generation_config=config)[0].tolist()[1:]
                targets.append(out[: out.index(0)] if 0 in out else out)
            runs.append({"keys": {**keys, "num_beams": beams}, "targets": targets})
    # A case that changes nothing shows nothing.
    for number, run in enumerate(runs[2:], 2):
        assert run["targets"] != runs[number % 2]["targets"], run["keys"]
    out = ROOT / "tests/fixtures/generation/keys.json"
    rows = ",\n".join("  " + json.dumps(run) for run in runs)
    out.write_text('{"sources": %s,\n "runs": [\n%s\n]}\n' % (json.dumps(sources), rows))


if __name__ == "__main__":
    main()
