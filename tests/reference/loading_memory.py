#!/usr/bin/env python3
"""Measures how much memory loading takes: the peak resident size of `translate` on one short line, one thread.

    loading_memory.py target/release/translate MODEL_DIRECTORY [--forms]

Prints the peak and its ratio to the size of the weights for f32 and int8. `--forms` (needs torch) also measures the same weights
as pytorch_model.bin (both formats) and in f16.
"""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path


WRITE = """
import sys, torch
from safetensors.torch import load_file, save_file
weights, form, name = load_file(sys.argv[1]), sys.argv[2], sys.argv[3]
if name.endswith("f16"):
    save_file({key: value.half() for key, value in weights.items()}, f"{form}/model.safetensors")
else:
    torch.save(weights, f"{form}/pytorch_model.bin", _use_new_zipfile_serialization=name == "bin")
"""


def peak(binary, directory, precision):
    """Peak resident size in bytes, as the kernel counts it (`ru_maxrss`)."""
    command = [binary, "--model", str(directory), "--precision", precision, "--threads", "1", "--max-length", "5", "--quiet"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    child.stdin.write("1\n".encode())
    child.stdin.close()
    _, status, usage = os.wait4(child.pid, 0)
    assert status == 0
    return usage.ru_maxrss * 1024


def measure(binary, directory, name):
    size = sum(path.stat().st_size for path in directory.iterdir() if path.suffix in (".safetensors", ".bin"))
    for precision in "f32", "int8":
        most = peak(binary, directory, precision)
        print(f"{name:<24} {size / 1e6:7.1f} MB  {precision:<4} peak {most / 1e6:7.1f} MB  {most / size:.2f} x", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("model", type=Path)
    parser.add_argument("--forms", action="store_true")
    a = parser.parse_args()
    measure(a.binary, a.model, "as it is")
    if not a.forms:
        return
    with tempfile.TemporaryDirectory() as scratch:
        for name in "bin", "old bin", "safetensors f16":
            form = Path(scratch) / name
            shutil.copytree(a.model, form, ignore=lambda *_: ["model.safetensors"])
            # In a process of its own: the kernel counts what the parent held at the fork as the child's.
            subprocess.run([sys.executable, "-c", WRITE, str(a.model / "model.safetensors"), str(form), name], check=True)
            measure(a.binary, form, name)
            shutil.rmtree(form)


if __name__ == "__main__":
    main()
