#!/usr/bin/env python3
"""Compares `translate` with Hugging Face and CTranslate2, greedy search in f32, on a model directory of this repository.

    builtin_parity.py target/release/translate models/transformer LINES.de[.gz] [--lines 200] [--beam 1]

The directory is used as it is: Hugging Face loads it with MarianMTModel, CTranslate2 converts it with its own converter; only the
vocabulary, which may lie elsewhere (the config's key `vocabulary`), is put beside it for them. Prints for each engine how many
lines differ from `translate`; exit status 1 if a line differs from Hugging Face that is no tie (see full_size_parity.py).
"""
import argparse
import gzip
import json
import shutil
import sys
import tempfile
from pathlib import Path

import ctranslate2
import torch

from full_size_parity import ctranslate2_pieces, ours, reference


# What the engines do not do around the model.
BARE = ["--no-split-sentences", "--no-normalize", "--protect", "none"]


def together(directory, scratch):
    """A copy of the model with its vocabulary beside it."""
    config = json.loads((directory / "config.json").read_text())
    copy = scratch / "model"
    shutil.copytree(directory / config.get("vocabulary", "."), copy)
    for path in directory.iterdir():
        if path.is_file():
            shutil.copy(path, copy)
    return copy


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("model", type=Path)
    parser.add_argument("file")
    parser.add_argument("--lines", type=int, default=200)
    parser.add_argument("--beam", type=int, default=1)
    parser.add_argument("--max-length", type=int, default=100)
    a = parser.parse_args()
    torch.set_num_threads(1)
    opened = gzip.open if a.file.endswith(".gz") else open
    with opened(a.file, "rt", encoding="utf8") as file:
        lines = [line.strip() for line in file.read().split("\n")]
    lines = [line for line in lines if line][: a.lines]
    with tempfile.TemporaryDirectory() as scratch:
        copy = together(a.model, Path(scratch))
        found = ours(a.binary, str(a.model), lines, a.beam, a.max_length, *BARE)
        expected = reference(copy, lines, a.beam, a.max_length, 8)
        differ = [i for i in range(len(lines)) if found[i] != expected[i]]
        ties = []
        for disturbed in [None, *range(5)]:
            left = [i for i in differ if i not in ties]
            dtype = torch.float64 if disturbed is None else torch.float32
            again = reference(copy, [lines[i] for i in left], a.beam, a.max_length, 1, dtype, disturbed) if left else []
            ties += [i for i, pieces in zip(left, again) if pieces != expected[i]]
        converted = Path(scratch) / "ctranslate2"
        ctranslate2.converters.TransformersConverter(str(copy)).convert(str(converted))
        third = ctranslate2_pieces(str(converted), copy, lines, a.beam, a.max_length)
    compat = ours(a.binary, str(a.model), lines, a.beam, a.max_length, *BARE, "--compat", "ctranslate2")
    other, compat = (sum(x != y for x, y in zip(pieces, third)) for pieces in (found, compat))
    print(f"{a.model}, {len(lines)} lines of {Path(a.file).name}, beam {a.beam}, f32")
    print(f"  Hugging Face: {len(differ)} lines differ from translate, {len(ties)} of them ties")
    print(f"  CTranslate2:  {other} lines differ from translate, {compat} from translate --compat ctranslate2")
    for i in [i for i in differ if i not in ties][:5]:
        print(f"    line {i + 1}\n      HF        {' '.join(expected[i])}\n      translate {' '.join(found[i])}")
    sys.exit(len(differ) > len(ties))


if __name__ == "__main__":
    main()
