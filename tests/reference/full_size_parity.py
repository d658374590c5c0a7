#!/usr/bin/env python3
"""Compares `translate` with Hugging Face `generate()`, token for token, on full-size Marian directories.

For each directory and beam size the first lines of FILE are translated by both in f32. A line that differs counts as a tie if
rounding decides it: if Hugging Face itself gives another output in f64, or in f32 with every weight disturbed by some 1e-6 of its
value (about what the rounding of a few hundred products amounts to). Anything else is a difference.

    full_size_parity.py target/release/translate lines.zh MODEL_DIRECTORY... [--beams 1 4] [--lines 200]

What Hugging Face gave is kept in `hf-parity-*.json` beside the weights, so that a second run only needs `translate`.
`--ctranslate2 DIRECTORY` (one model only) adds a converted copy of the model as a third engine.
"""
import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

import torch
from transformers import MarianMTModel, MarianTokenizer


def reference(directory, lines, beams, length, batch_size, dtype=torch.float32, disturbed=None):
    """The pieces Hugging Face generates for each line, sentence end left out; `disturbed` seeds a disturbance of the weights."""
    tokenizer = MarianTokenizer.from_pretrained(directory)
    model = MarianMTModel.from_pretrained(directory, dtype=dtype).eval()
    if disturbed is not None:
        torch.manual_seed(disturbed)
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if "embed_positions" not in name:
                    weight.mul_(1 + 1e-6 * torch.randn_like(weight))
    order = sorted(range(len(lines)), key=lambda i: len(lines[i]))
    pieces = [None] * len(lines)
    for start in range(0, len(order), batch_size):
        part = order[start : start + batch_size]
        inputs = tokenizer([lines[i] for i in part], return_tensors="pt", padding=True)
        pad = model.config.pad_token_id
        with torch.inference_mode():
            rows = model.generate(**inputs, num_beams=beams, do_sample=False, max_length=length + 1, bad_words_ids=[[pad]])
        for i, row in zip(part, rows.tolist()):
            row = row[1:]
            end = row.index(model.config.eos_token_id) if model.config.eos_token_id in row else len(row)
            pieces[i] = tokenizer.convert_ids_to_tokens(row[:end])
    return pieces


def cached_reference(directory, lines, beams, length, batch_size):
    path = Path(directory) / f"hf-parity-{beams}-{length}-{len(lines)}.json"
    if path.exists():
        kept = json.loads(path.read_text())
        if kept["lines"] == lines:
            return kept["pieces"]
    started = time.perf_counter()
    pieces = reference(directory, lines, beams, length, batch_size)
    print(f"  Hugging Face, beam {beams}: {time.perf_counter() - started:.0f} s", flush=True)
    path.write_text(json.dumps(dict(lines=lines, pieces=pieces)))
    return pieces


def ours(binary, directory, lines, beams, length, *more):
    """The pieces `translate` generates with `more` arguments, sentence end left out."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf8") as file:
        file.write("".join(line + "\n" for line in lines))
        file.flush()
        command = [binary, "--format", "json", "--model", directory, "--beam-size", str(beams),
                   "--max-length", str(length), "--threads", "1", "--quiet", *more, file.name]  # fmt: skip
        started = time.perf_counter()
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    print(f"  translate, beam {beams}: {time.perf_counter() - started:.0f} s", flush=True)
    pieces = [json.loads(line)["pieces"] for line in output.splitlines()]
    return [tokens[:-1] if tokens and tokens[-1] == "</s>" else tokens for tokens in pieces]


def ctranslate2_pieces(converted, directory, lines, beams, length):
    import ctranslate2

    tokenizer = MarianTokenizer.from_pretrained(directory)
    engine = ctranslate2.Translator(converted, device="cpu", compute_type="float32", intra_threads=1)
    sources = [tokenizer.convert_ids_to_tokens(tokenizer(line)["input_ids"]) for line in lines]
    results = engine.translate_batch(sources, beam_size=beams, max_decoding_length=length, max_batch_size=16)
    return [result.hypotheses[0] for result in results]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("file")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--beams", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--lines", type=int, default=200)
    parser.add_argument("--max-length", type=int, default=40)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--ctranslate2", help="converted copy of the one model")
    parser.add_argument("--reference-only", action="store_true", help="compute and keep Hugging Face's outputs, no more")
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    lines = [line.strip() for line in open(a.file, encoding="utf8").read().split("\n")]
    lines = [line for line in lines if line][: a.lines]
    for directory in a.models:
        print(f"{Path(directory).name}: {len(lines)} lines, at most {a.max_length} tokens", flush=True)
        for beams in a.beams:
            expected = cached_reference(directory, lines, beams, a.max_length, a.batch_size)
            if a.reference_only:
                continue
            found = ours(a.binary, directory, lines, beams, a.max_length)
            assert len(found) == len(expected)
            differ = [i for i in range(len(lines)) if found[i] != expected[i]]
            ties = []
            for disturbed in [None, *range(5)]:
                left = [i for i in differ if i not in ties]
                dtype = torch.float64 if disturbed is None else torch.float32
                again = reference(directory, [lines[i] for i in left], beams, a.max_length, 1, dtype, disturbed) if left else []
                ties += [i for i, pieces in zip(left, again) if pieces != expected[i]]
            lengths = sorted(map(len, expected))
            print(f"  beam {beams}: {len(lines) - len(differ)} equal, {len(ties)} ties, {len(differ) - len(ties)} differ;"
                  f" lengths {lengths[0]}..{lengths[len(lengths) // 2]}..{lengths[-1]},"
                  f" {len(set(map(tuple, expected)))} distinct", flush=True)  # fmt: skip
            for i in [i for i in differ if i not in ties][:5]:
                print(f"    line {i + 1}\n      HF        {' '.join(expected[i])}\n      translate {' '.join(found[i])}")
            if a.ctranslate2:
                third = ctranslate2_pieces(a.ctranslate2, directory, lines, beams, a.max_length)
                count = lambda x, y: sum(p != q for p, q in zip(x, y))
                print(f"    CTranslate2 differs from Hugging Face on {count(third, expected)} lines,"
                      f" from translate on {count(third, found)}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
