"""A Transformer checkpoint with more encoder layers and wider feed-forward layers, same outputs.

    python -m training grow CHECKPOINT RUN_DIRECTORY NEW_CHECKPOINT --encoder-layers 6 --decoder-ffn 2048

A larger model begins with what a smaller one has learnt instead of from random weights. After every
old encoder layer comes a new one that hands its input on: its sublayers add zero, and its layer
norms, which cannot be left out, are fitted so that they undo themselves. New feed-forward units are
random and multiplied by zero. (The idea is Net2Net's: Chen et al., 2016.)
"""

import argparse
import copy
from pathlib import Path

import torch
from torch.nn import functional as F

from ..data.batches import pad
from ..data.corpus import load_pairs
from ..data.pair import Pair
from ..data.vocabulary import Vocabulary
from ..models.transformer import Layer
from .export import load_model


def widen(layer, units):
    """`units` feed-forward units instead of fewer: the new ones have no weight in the output."""
    old = layer.fc1.out_features
    size = layer.fc1.in_features
    first, second = torch.nn.Linear(size, units), torch.nn.Linear(units, size)
    torch.nn.init.xavier_uniform_(first.weight)
    torch.nn.init.zeros_(first.bias)
    first.weight.data[:old], first.bias.data[:old] = layer.fc1.weight.data, layer.fc1.bias.data
    second.weight.data.zero_()
    second.weight.data[:, :old], second.bias.data = layer.fc2.weight.data, layer.fc2.bias.data
    layer.fc1, layer.fc2 = first, second


def fit(norm, inputs, outputs):
    """Sets gain and bias of a layer norm to come as near to `outputs` as a straight line can."""
    standard = F.layer_norm(inputs, inputs.shape[-1:])
    mean, wanted = standard.mean(0), outputs.mean(0)
    covariance = ((standard - mean) * (outputs - wanted)).mean(0)
    norm.weight.data = covariance / standard.var(0, correction=0)
    norm.bias.data = wanted - norm.weight.data * mean
    return F.layer_norm(inputs, inputs.shape[-1:], norm.weight.data, norm.bias.data)


def passing_on(layer, config, states):
    """A layer that hands on its inputs, of which `states` [positions, d_model] are examples."""
    new = Layer(config, "encoder", cross=False)
    new.load_state_dict(layer.state_dict())
    for silent in (new.self_attn.out_proj, new.fc2):
        silent.weight.data.zero_()
        silent.bias.data.zero_()
    between = fit(new.self_attn_layer_norm, states, states)
    fit(new.final_layer_norm, between, states)
    return new


@torch.no_grad()
def grow(model, source, encoder_layers, encoder_ffn, decoder_ffn):
    """`source` [batch, length] holds examples of sentences; `model` stays as it is."""
    config = dict(model.config)
    old = config["encoder_layers"]
    assert old <= encoder_layers <= 2 * old, "every old layer is followed by at most one new one"
    grown = copy.deepcopy(model)
    sides = (grown.model.encoder, encoder_ffn), (grown.model.decoder, decoder_ffn)
    for side, units in sides:
        for layer in side.layers:
            widen(layer, units or layer.fc1.out_features)
    config["encoder_layers"] = encoder_layers
    config["encoder_ffn_dim"] = encoder_ffn or config["encoder_ffn_dim"]
    config["decoder_ffn_dim"] = decoder_ffn or config["decoder_ffn_dim"]
    real = source != model.pad
    mask = torch.zeros(source.shape).masked_fill(~real, float("-inf"))[:, None, None, :]
    x = model.embed(source)
    layers = torch.nn.ModuleList()
    for index, layer in enumerate(grown.model.encoder.layers):
        layers.append(layer)
        attended = layer.self_attn.attend(*layer.self_attn.queries_keys_and_values(x), mask)
        x = layer.feed_forward(layer.attend_to_self(x, attended))
        if index < encoder_layers - old:
            layers.append(passing_on(layer, config, x[real]))
    grown.model.encoder.layers = layers
    grown.config = config
    return grown


def save_start(model, path):
    """Saves a Transformer as a checkpoint that `train.py --start-from` begins with."""
    state = {
        "kind": "transformer",
        "config": model.config,
        "model": model.state_dict(),
        "average": [parameter.detach() for parameter in model.parameters()],
    }
    torch.save(state, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("run", type=Path)
    parser.add_argument("output")
    parser.add_argument("--vocabulary", default="vocab")
    parser.add_argument("--encoder-layers", type=int)
    parser.add_argument("--encoder-ffn", type=int)
    parser.add_argument("--decoder-ffn", type=int)
    options = parser.parse_args()
    torch.manual_seed(1)
    _, model = load_model([options.checkpoint])
    vocabulary = Vocabulary(options.vocabulary)
    # Captions and what people say: sentences like those that the model translates.
    sources = Pair.of(options.run).among(("multi30k-train", "tatoeba-manythings"))
    sentences = [pair[0] for name in sources for pair in load_pairs(options.run, name)[::100]]
    source = pad([vocabulary.encode(sentence) for sentence in sentences], vocabulary.pad)
    layers = options.encoder_layers or model.config["encoder_layers"]
    grown = grow(model, source, layers, options.encoder_ffn, options.decoder_ffn)
    print(f"parameters: {sum(p.numel() for p in grown.parameters()):,}")
    save_start(grown, options.output)


if __name__ == "__main__":
    main()
