#!/usr/bin/env python3
"""Writes tests/fixtures/checkpoint/pickles/: small files of PyTorch that hold more than tensors, and copies them to the seeds of the
fuzz target (fuzz/seeds/pickle/).

`protocol_N.pt` holds the same with every protocol that torch.save can use, `protocol_0.pkl` and `protocol_1.pkl` with the two it cannot
(tensors left out); `module.pt` is a module that was saved whole, of classes that exist nowhere else; `fields.pt` what OpenNMT-py 1 keeps
beside a network.
"""
import argparse
import functools
import pickle
import shutil
from collections import Counter, OrderedDict, defaultdict
from pathlib import Path

import torch

import toolkit_stubs

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "tests/fixtures/checkpoint/pickles"


class Layer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = torch.nn.Linear(3, 2)
        self.register_buffer("mask", torch.ones(2, dtype=torch.bool))
        self.activation = torch.nn.functional.relu
        self.options = argparse.Namespace(heads=4)


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.ModuleList([Layer(), Layer()])


def options():
    return {
        "args": argparse.Namespace(arch="transformer", layers=6, dropout=0.1, tied=True, path=None, betas=(0.9, 0.98)),
        "numbers": [0, -1, 255, 65536, -(2**40), 2**70, 1.5],
        "text": "naïve \\ 'both' \"quotes\" ☃\n",
        "bytes": b"\x00ab",
        "size": torch.Size([2, 3]),
        "set": {7},
        "ordered": OrderedDict([("b", 1), ("a", 2)]),
        "counter": Counter("aab"),
        "default": defaultdict(list, {"x": [1]}),
        "nested": {"deeper": {"deepest": [[], {}, ()]}},
        3: "three",
    }


def main():
    torch.manual_seed(7)
    OUT.mkdir(parents=True, exist_ok=True)
    state = {"weight": torch.tensor([[1.0, 2.0], [3.0, 4.0]]), "bias": torch.nn.Parameter(torch.tensor([5.0]))}
    optimizer = {"state": {0: {"exp_avg": torch.zeros(2, 2)}}, "param_groups": [{"lr": 1e-3}]}
    for protocol in range(2, 6):
        saved = options() | {"model": state, "optimizer": optimizer}
        torch.save(saved, OUT / f"protocol_{protocol}.pt", pickle_protocol=protocol)
    for protocol in [0, 1]:
        (OUT / f"protocol_{protocol}.pkl").write_bytes(pickle.dumps(options(), protocol))
    for kind in [Layer, Network]:
        kind.__module__ = "their.models"
    import sys
    import types

    theirs = types.ModuleType("their.models")
    theirs.Layer, theirs.Network = Layer, Network
    sys.modules |= {"their": types.ModuleType("their"), "their.models": theirs}
    torch.save(Network(), OUT / "module.pt")
    toolkit_stubs.old_torchtext()
    vocabulary = toolkit_stubs.Vocab(Counter({"a": 2, "b": 1}), ["<unk>", "<blank>"])
    vocabulary.stoi = dict(vocabulary.stoi)
    field = toolkit_stubs.Field(tokenize=functools.partial(str.split, sep=" "))
    field.vocab = vocabulary
    fields = {"src": field, "tgt": field, "indices": toolkit_stubs.Field(use_vocab=False, dtype=torch.long)}
    torch.save({"model": {"w": torch.ones(2)}, "generator": {"0.bias": torch.zeros(2)}, "vocab": fields}, OUT / "fields.pt")
    for name in ["protocol_2", "protocol_4", "module", "fields"]:
        shutil.copy(OUT / f"{name}.pt", ROOT / "fuzz/seeds/pickle" / name)


if __name__ == "__main__":
    main()
