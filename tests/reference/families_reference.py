#!/usr/bin/env python3
"""Writes the fixtures of the published Transformer families to tests/fixtures/models/, in the form and by the means of
models_reference.py.

    families_reference.py [--out DIRECTORY] [--only NAME]

Each is a tiny model of the family's own class in Hugging Face transformers, saved with `save_pretrained`; config.json is then
put back into the form in which the checkpoints are published, where transformers 5 writes another.
"""
import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import (
    FSMTConfig, FSMTForConditionalGeneration, GenerationConfig, M2M100Config, M2M100ForConditionalGeneration, MBartConfig,
    MBartForConditionalGeneration, MT5Config, MT5ForConditionalGeneration, PegasusConfig, PegasusForConditionalGeneration,
    T5Config, T5ForConditionalGeneration, UMT5Config, UMT5ForConditionalGeneration,
)  # fmt: skip

from models_reference import MAX_LENGTH, made_up_pairs, read_arguments, train, write_all

#: The language that mBART and M2M100 translate into here.
LANGUAGE = 5


def publish(directory: Path, names: dict, **keys):
    """Gives tensors the names they are published under and changes config.json: None takes a key out."""
    if names:
        weights = directory / "model.safetensors"
        save_file({names.get(n, n): t for n, t in load_file(weights).items()}, weights, metadata={"format": "pt"})
    path = directory / "config.json"
    config = {**json.loads(path.read_text()), **keys}
    path.write_text(json.dumps({k: v for k, v in config.items() if v is not None}, indent=2) + "\n")


def make(directory: Path, seed: int, model_class, config, generation: dict, steps: int = 200, first=None, published={},
         names={}, prepare=lambda model: None, repair=lambda model: None, eager=True):  # fmt: skip
    """Trains a model, saves it and takes it back from the file. `first` is a token that every target begins with, `repair` is
    for what transformers does not read as it is published."""
    torch.manual_seed(seed)
    model = model_class(config).eval()
    with torch.no_grad():
        prepare(model)

    def pairs(config):
        sources, targets = made_up_pairs(config)
        return sources, [([] if first is None else [first]) + target for target in targets]

    train(model, lambda inputs, fed: model(**inputs, decoder_input_ids=fed, use_cache=False).logits, steps, 3e-3, pairs)
    ids = {key: getattr(config, key) for key in ("pad_token_id", "eos_token_id", "decoder_start_token_id")}
    model.generation_config = GenerationConfig(max_length=MAX_LENGTH, num_beams=4, forced_bos_token_id=first, **ids, **generation)
    model.save_pretrained(directory)
    publish(directory, names, **published)
    how = dict(attn_implementation="eager") if eager else {}
    loaded = model_class.from_pretrained(directory, **how).eval()
    with torch.no_grad():
        repair(loaded)
    probe = dict(input_ids=torch.tensor([[7, 8, 9, ids["eos_token_id"]]]), decoder_input_ids=torch.tensor([[7, 8, 9]]))
    with torch.no_grad():
        before, after = (m(**probe, use_cache=False).logits for m in (model, loaded))
    assert torch.allclose(before, after, atol=1e-5), "the model is another one when it is loaded"
    return loaded


#: The sizes of models with the keys of BART.
SIZES = dict(vocab_size=60, d_model=24, encoder_attention_heads=3, decoder_attention_heads=4, encoder_ffn_dim=40,
             decoder_ffn_dim=32, encoder_layers=2, decoder_layers=1, dropout=0.0, init_std=0.2)  # fmt: skip


def make_m2m_100(directory: Path):
    config = M2M100Config(**SIZES, max_position_embeddings=64, encoder_layerdrop=0.0, decoder_layerdrop=0.0)
    return make(directory, 31, M2M100ForConditionalGeneration, config, {}, first=LANGUAGE)


def bias_logits(model):
    model.final_logits_bias.normal_(0, 0.7)


def make_mbart(directory: Path):
    config = MBartConfig(**SIZES, max_position_embeddings=40, scale_embedding=True, decoder_start_token_id=LANGUAGE)
    generation = dict(forced_eos_token_id=2, bos_token_id=0)
    return make(directory, 32, MBartForConditionalGeneration, config, generation, prepare=bias_logits)


def make_pegasus(directory: Path):
    config = PegasusConfig(**SIZES, max_position_embeddings=64, scale_embedding=True, activation_function="relu")
    generation = dict(forced_eos_token_id=1)
    return make(directory, 33, PegasusForConditionalGeneration, config, generation, prepare=bias_logits)


def make_fsmt(directory: Path):
    sizes = {key: value for key, value in SIZES.items() if key != "vocab_size"}
    config = FSMTConfig(**sizes, src_vocab_size=61, tgt_vocab_size=50, max_position_embeddings=64)
    generation = dict(forced_eos_token_id=2, bos_token_id=0)

    def tie(model):
        """The output layer is the decoder's embedding: transformers 5 neither makes nor reads it so. Positions are fixed."""
        decoder = model.model.decoder
        decoder.embed_tokens.weight = decoder.output_projection.weight
        for side in model.model.encoder, decoder:
            side.embed_positions.weight.requires_grad_(False)

    names = {"model.decoder.embed_tokens.weight": "model.decoder.output_projection.weight"}
    return make(directory, 34, FSMTForConditionalGeneration, config, generation, names=names, prepare=tie, repair=tie,
                eager=False)  # fmt: skip


#: Heads that are together wider than the model, and few buckets, so that short sentences have distances of the last.
T5_SIZES = dict(vocab_size=60, d_model=24, d_kv=10, num_heads=3, d_ff=40, num_layers=2, num_decoder_layers=2,
                relative_attention_num_buckets=12, relative_attention_max_distance=20, dropout_rate=0.0,
                decoder_start_token_id=0, initializer_factor=1.0)  # fmt: skip
#: An output layer of its own: transformers 5 always ties, unless the file holds one; and has another key for the scaling.
UNTIED = dict(tie_word_embeddings=False, scale_decoder_outputs=None)


def own_head(model):
    model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.lm_head.weight) / 5)


def make_t5(directory: Path, seed=35, model_class=T5ForConditionalGeneration, config_class=T5Config, untied=False,
            steps=200, **config):  # fmt: skip
    config = config_class(**T5_SIZES | config, tie_word_embeddings=not untied)
    prepare = own_head if untied else lambda model: None
    published = UNTIED if untied else dict(tie_word_embeddings=None, scale_decoder_outputs=None)
    return make(directory, seed, model_class, config, {}, steps=steps, prepare=prepare, published=published)


def make_gated(directory: Path, seed: int, act: str, **config):
    return make_t5(directory, seed, feed_forward_proj=f"gated-{act}", untied=True, **config)


def make_mt5(directory: Path):
    return make_t5(directory, 38, MT5ForConditionalGeneration, MT5Config, untied=True, num_layers=1)


def make_umt5(directory: Path):
    return make_t5(directory, 39, UMT5ForConditionalGeneration, UMT5Config, untied=True, num_decoder_layers=3)


def make_byt5(directory: Path):
    sizes = dict(vocab_size=384, d_model=16, d_kv=8, num_heads=2, d_ff=24, num_layers=3, num_decoder_layers=1)
    return make_gated(directory, 40, "gelu", steps=1200, **sizes)


def main():
    sizes = (1, 4), 8, 6, 4
    plans = {
        "m2m_100": (make_m2m_100, *sizes),
        "mbart": (make_mbart, *sizes),
        "pegasus": (make_pegasus, *sizes),
        "fsmt": (make_fsmt, *sizes),
        "t5": (make_t5, *sizes),
        "t5_gated_gelu": (lambda directory: make_gated(directory, 36, "gelu"), *sizes),
        "t5_gated_silu": (lambda directory: make_gated(directory, 37, "silu", d_kv=8), *sizes),
        "mt5": (make_mt5, *sizes),
        "umt5": (make_umt5, *sizes),
        "byt5": (make_byt5, *sizes),
    }
    write_all(plans, read_arguments(__doc__))


if __name__ == "__main__":
    main()
