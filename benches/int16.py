"""How many tokens of greedy translations in int16, and in int8, are those of f32.

    python benches/int16.py --translate target/release/translate --lines FILE MODEL_DIRECTORY...
    python benches/int16.py --outliers 64 --translate ... --lines FILE MODEL_DIRECTORY...

With --outliers FACTOR the model is changed first, to one that computes the same function with a strong outlier in every head:
the first channel of each attention's values is FACTOR times as large, and the layer behind it divides by FACTOR. Only a Marian
directory in safetensors can be changed so.

It needs numpy and safetensors. A line with another token goes on differently, so equal tokens are those of the longest common parts, one after the other.
"""

import argparse
import difflib
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy
from safetensors.numpy import load_file, save_file


def with_outliers(directory: Path, copy: Path, factor: float) -> Path:
    """A copy of a Marian directory, its tensors in f32, with one channel of every head's values `factor` times as large."""
    shutil.copytree(directory, copy)
    config = json.loads((directory / "config.json").read_text())
    # Files that it names may lie elsewhere, and tokens are compared, not texts.
    config.pop("text_defaults", None)
    (copy / "config.json").write_text(json.dumps(config))
    tensors = {
        name: tensor.astype(numpy.float32)
        for name, tensor in load_file(directory / "model.safetensors").items()
    }
    for name in [name for name in tensors if name.endswith(".v_proj.weight")]:
        side = "encoder" if ".encoder." in name else "decoder"
        head_width = config["d_model"] // config[f"{side}_attention_heads"]
        tensors[name][::head_width] *= factor
        tensors[name.replace("weight", "bias")][::head_width] *= factor
        tensors[name.replace("v_proj", "out_proj")][:, ::head_width] /= factor
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    return copy


def tokens(options, model: Path, precision: str) -> list[list[str]]:
    command = [options.translate, "--model", str(model), "--precision", precision, "--beam-size", "1"]
    command += ["--format", "json", "--quiet", *options.more.split(), str(options.lines)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return [json.loads(line)["pieces"] for line in done.stdout.splitlines()]


def equal(ours: list[list[str]], reference: list[list[str]]) -> tuple[float, int]:
    """The share of the reference's tokens that are there in the same order, and how many lines differ."""
    count, same, differing = 0, 0, 0
    for left, right in zip(ours, reference, strict=True):
        count += len(right)
        differing += left != right
        blocks = difflib.SequenceMatcher(None, left, right, autojunk=False).get_matching_blocks()
        same += len(right) if left == right else sum(block.size for block in blocks)
    return same / max(count, 1), differing


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--translate", required=True)
    parser.add_argument("--lines", type=Path, required=True)
    parser.add_argument("--outliers", type=float)
    parser.add_argument("--more", default="", help="further options of translate, in one word")
    parser.add_argument("models", nargs="+", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for number, model in enumerate(options.models):
            if options.outliers:
                model = with_outliers(model, Path(folder) / str(number), options.outliers)
            reference = tokens(options, model, "f32")
            for precision in ("int16", "int8"):
                share, differing = equal(tokens(options, model, precision), reference)
                print(f"{options.models[number]}\t{precision}\t{share:.3%} of tokens\t{differing} of {len(reference)} lines differ")


if __name__ == "__main__":
    main()
