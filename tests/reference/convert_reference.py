#!/usr/bin/env python3
"""Checks that what `translate convert` writes is a directory Hugging Face loads as the same model.

    convert_reference.py target/release/translate [MODEL_DIRECTORY...]

Without directories: every form in tests/fixtures/directories. Each is converted to f32 and f16; Hugging Face loads the result
with its tokenizer, without missing or unexpected tensors; its parameters equal the original's (after rounding to f16), and so does
what `generate()` makes of some lines with the directory's own settings.
"""
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from transformers import MarianMTModel, MarianTokenizer

FIXTURES = Path(__file__).parent.parent / "fixtures" / "directories"
LINES = ["der hund läuft schnell", "ein kind spielt im garten", "water house", "3,14 100%"]


def load(directory, dtype=torch.float32):
    model, report = MarianMTModel.from_pretrained(directory, dtype=dtype, output_loading_info=True)
    for problem in "missing_keys", "unexpected_keys", "mismatched_keys":
        assert not report[problem], f"{directory}: {problem}: {report[problem]}"
    return model.eval()


@torch.inference_mode()
def generate(model, tokenizer):
    return [model.generate(**tokenizer([line], return_tensors="pt"), max_length=30)[0].tolist() for line in LINES]


def check(binary, original, name, scratch):
    before = load(original)
    for dtype in "f32", "f16":
        out = Path(scratch) / f"{name}-{dtype}"
        subprocess.run([binary, "convert", str(original), str(out), "--dtype", dtype], check=True, stderr=subprocess.DEVNULL)
        after = load(out)
        state, wanted = after.state_dict(), before.state_dict()
        assert state.keys() == wanted.keys()
        for key, tensor in wanted.items():
            rounded = tensor.half().float() if dtype == "f16" and "embed_positions" not in key else tensor
            assert torch.equal(state[key], rounded), f"{name}: {key}"
        for key in "pad_token_id", "eos_token_id", "decoder_start_token_id", "forced_eos_token_id", "num_beams":
            a, b = getattr(before.generation_config, key), getattr(after.generation_config, key)
            assert a == b or a is None, f"{name}: {key} was {a}, is {b}"
        if dtype == "f32":
            assert generate(before, MarianTokenizer.from_pretrained(original)) == generate(
                after, MarianTokenizer.from_pretrained(out)
            ), f"{name}: other translations"
        shutil.rmtree(out)
    print(f"{name}: f32 and f16 load as the same model")


def main():
    binary, *directories = sys.argv[1:]
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        for directory in map(Path, directories):
            check(binary, directory, directory.name, scratch)
        if directories:
            return
        check(binary, FIXTURES / "separate", "separate", scratch)
        check(binary, FIXTURES / "shared", "shared", scratch)
        for form in sorted(path for path in (FIXTURES / "shared").iterdir() if path.is_dir()):
            whole = Path(scratch) / f"whole-{form.name}"
            shutil.copytree(FIXTURES / "shared", whole, ignore=lambda *_: ["model.safetensors", "expected.json"])
            for path in form.iterdir():
                shutil.copy(path, whole)
            check(binary, whole, form.name, scratch)


if __name__ == "__main__":
    main()
