#!/usr/bin/env python3
"""Writes the fixtures of further model layouts to tests/fixtures/models/, in the form and by the means of models_reference.py.

    layouts_reference.py [--out DIRECTORY] [--only NAME]

`pytorch_transformer` and `pytorch_transformer_written_out` are built on `torch.nn.Transformer`, `tutorial_transformer` is
the one of the PyTorch seq2seq tutorials, `bart` is Hugging Face's. Each lies there as its users store it: safetensors, a
training checkpoint, a bare state dictionary, what `save_pretrained` writes.
"""
import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import BartConfig, BartForConditionalGeneration, GenerationConfig

from models_reference import MAX_LENGTH, made_up_pairs, read_arguments, train, write_all
from pytorch_transformer import Seq2SeqTransformer, WrittenOut
from transformer_generation import NetworkConfig, NetworkForGeneration
from tutorial_transformer import TutorialTransformer

#: What every config.json of the first three says.
TOKENS = dict(unk_token_id=0, pad_token_id=1, decoder_start_token_id=2, eos_token_id=3)
SOURCE_START = dict(add_source_bos=True, source_bos_token_id=2)

NAMES_OF_THE_AUTHOR = {
    "src_embed.weight": "source_embedding.weight",
    "tgt_embed.weight": "target_embedding.weight",
    "pos_src.weight": "source_positions.weight",
    "pos_tgt.weight": "target_positions.weight",
    "enc.": "encoder.",
    "dec.": "decoder.",
    "out_layer.weight": "output.weight",
    "out_layer.bias": "output.bias",
}


def make_network(directory: Path, seed: int, build, save, load, description: dict, generation: dict, steps: int = 200,
                 sizes=(60, 50), width: int = 32, **shape):  # fmt: skip
    """Trains a plain PyTorch network, saves it and takes it back from the file."""
    torch.manual_seed(seed)
    config = NetworkConfig(*sizes, add_source_bos=description.get("add_source_bos", False), bos_token_id=2, **TOKENS)
    network = build(*sizes, size=width, heads=description["nhead"], **shape).eval()
    wrapper = NetworkForGeneration(config, network)
    train(wrapper, lambda inputs, fed: wrapper(**inputs, decoder_input_ids=fed).logits, steps, 3e-3)
    directory.mkdir(parents=True, exist_ok=True)
    save(network.state_dict(), directory)
    generation = GenerationConfig(
        max_length=MAX_LENGTH, num_beams=4, pad_token_id=1, bos_token_id=2, eos_token_id=3, decoder_start_token_id=2,
        forced_eos_token_id=3, **generation,
    )  # fmt: skip
    generation.save_pretrained(directory)
    (directory / "config.json").write_text(json.dumps(description, indent=2) + "\n")

    network = build(*sizes, size=width, heads=description["nhead"], **shape).eval()
    network.load_state_dict(load(directory))
    model = NetworkForGeneration(config, network).eval()
    model.generation_config = generation
    return model


def make_pytorch(directory: Path):
    description = dict(model_type="pytorch-transformer", nhead=4) | TOKENS | SOURCE_START
    return make_network(
        directory, 21, Seq2SeqTransformer, lambda state, d: save_file(state, d / "model.safetensors"),
        lambda d: load_file(d / "model.safetensors"), description,
        dict(bad_words_ids=[[1], [2]], renormalize_logits=True), sizes=(50, 44), inner=40, encoder_layers=2,
        decoder_layers=2,
    )  # fmt: skip


def make_written_out(directory: Path):
    description = dict(model_type="pytorch-transformer", nhead=4, norm_first=True, activation="gelu", layer_norm_eps=1e-6,
                       scale_embedding=False, positions="learned", **TOKENS, tensor_names=NAMES_OF_THE_AUTHOR)  # fmt: skip

    def save(state, directory):
        # A training checkpoint; of the optimiser's state, the part of the smallest parameter is enough.
        smallest = state["dec.norm.bias"]
        optimizer = {
            "state": {0: {"step": torch.tensor(200.0), "exp_avg": smallest / 7, "exp_avg_sq": smallest**2}},
            "param_groups": [{"lr": 3e-3, "betas": (0.9, 0.999), "eps": 1e-8, "amsgrad": False, "params": [0]}],
        }
        checkpoint = {"epoch": 17, "model_state_dict": state, "optimizer": optimizer}
        torch.save(checkpoint, directory / "pytorch_model.bin")

    return make_network(
        directory, 22, WrittenOut, save,
        lambda d: torch.load(d / "pytorch_model.bin", weights_only=True)["model_state_dict"], description,
        dict(bad_words_ids=[[1]]), sizes=(61, 47), width=24, inner=48, encoder_layers=1, decoder_layers=3,
    )  # fmt: skip


def make_tutorial(directory: Path):
    description = dict(model_type="tutorial-transformer", weights="model.pt", nhead=4) | TOKENS | SOURCE_START
    return make_network(
        directory, 23, TutorialTransformer, lambda state, d: torch.save(state, d / "model.pt"),
        lambda d: torch.load(d / "model.pt", weights_only=True), description,
        dict(bad_words_ids=[[1], [2]], renormalize_logits=True), sizes=(50, 44), inner=40, encoder_layers=2,
        decoder_layers=2,
    )  # fmt: skip


def started_pairs(config, count: int = 32):
    """Pairs of the made-up language whose targets begin with `<s>`, as BART's do."""
    sources, targets = made_up_pairs(config, count)
    return sources, [[config.bos_token_id] + target for target in targets]


def make_bart(directory: Path, seed: int = 24, steps: int = 200, pairs=started_pairs, max_length: int = MAX_LENGTH, **config):
    torch.manual_seed(seed)
    config = dict(
        vocab_size=60, d_model=32, encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=40,
        decoder_ffn_dim=40, encoder_layers=2, decoder_layers=2, max_position_embeddings=40, dropout=0.0,
        activation_function="gelu", scale_embedding=False, bos_token_id=0, pad_token_id=1, eos_token_id=2,
        decoder_start_token_id=2, forced_eos_token_id=2, init_std=0.15,
    ) | config  # fmt: skip
    model = BartForConditionalGeneration(BartConfig(**config)).eval()
    model.final_logits_bias.normal_(0, 0.7)
    train(model, lambda inputs, fed: model(**inputs, decoder_input_ids=fed, use_cache=False).logits, steps, 3e-3, pairs)
    model.generation_config = GenerationConfig(
        max_length=max_length, num_beams=4, bos_token_id=0, pad_token_id=1, eos_token_id=2, decoder_start_token_id=2,
        forced_bos_token_id=0, forced_eos_token_id=2,
    )  # fmt: skip
    model.save_pretrained(directory)
    return BartForConditionalGeneration.from_pretrained(directory, attn_implementation="eager").eval()


def main():
    sizes = (1, 4, 5), 20, 20, 4
    plans = {
        "pytorch_transformer": (make_pytorch, *sizes),
        "pytorch_transformer_written_out": (make_written_out, *sizes),
        "tutorial_transformer": (make_tutorial, *sizes),
        "bart": (make_bart, *sizes),
    }
    write_all(plans, read_arguments(__doc__))


if __name__ == "__main__":
    main()
