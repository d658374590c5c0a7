#!/usr/bin/env python3
"""Write one tiny Marian model, and one tiny tutorial GRU, in every checkpoint format and naming people have.

    python tests/reference/make_checkpoint_fixtures.py tests/fixtures/checkpoint

Every value is a small multiple of 1/8, so that f16 and bf16 copies hold exactly the same numbers as f32.
"""

import json
import pathlib
import shutil
import sys
import zlib

import torch
from safetensors.torch import save_file
from transformers import MarianConfig, MarianMTModel

out = pathlib.Path(sys.argv[1])
shutil.rmtree(out, ignore_errors=True)


def exact(model):
    """Fills every parameter with values all formats can hold, the same for a parameter's older and newer names."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            name = name.replace("attn_fc", "attn").replace("v_fc.weight", "v").replace("v.weight", "v")
            torch.manual_seed(zlib.crc32(name.replace("fc_out", "out").encode()))
            parameter.copy_(torch.randint(-16, 17, parameter.shape) / 8)
    return model.eval()


def folder(name, *copies):
    path = out / name
    path.mkdir(parents=True)
    for copy in copies:
        shutil.copy(copy, path)
    return path


config = MarianConfig(
    vocab_size=11, decoder_vocab_size=11, d_model=4, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
    decoder_attention_heads=2, encoder_ffn_dim=6, decoder_ffn_dim=6, pad_token_id=10, eos_token_id=0,
    decoder_start_token_id=10, max_position_embeddings=4, scale_embedding=True, activation_function="swish",
    static_position_embeddings=True)
marian = exact(MarianMTModel(config))
marian.save_pretrained(out / "safetensors")
(out / "safetensors/generation_config.json").unlink()
(out / "safetensors/config.json").write_text(json.dumps(
    {"model_type": "marian", **{k: getattr(config, k) for k in (
        "vocab_size", "d_model", "encoder_layers", "decoder_layers", "encoder_attention_heads",
        "decoder_attention_heads", "encoder_ffn_dim", "decoder_ffn_dim", "pad_token_id", "eos_token_id",
        "decoder_start_token_id", "max_position_embeddings", "scale_embedding", "activation_function",
        "static_position_embeddings")}}, indent=2) + "\n")
config_file = out / "safetensors/config.json"

marian.save_pretrained(out / "sharded", max_shard_size="1KB")
(out / "sharded/generation_config.json").unlink()
shutil.copy(config_file, out / "sharded")

state = marian.state_dict()
for dtype in (torch.float16, torch.bfloat16, torch.float64):
    target = folder("safetensors_" + str(dtype).removeprefix("torch."), config_file)
    # `model.` left out: the names of a bare MarianModel.
    unique = {k.removeprefix("model."): v.to(dtype).contiguous() for k, v in state.items()
              if k not in ("lm_head.weight", "model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight")
              and "embed_positions" not in k}
    save_file(unique, target / "model.safetensors")

torch.save(state, folder("zip", config_file) / "pytorch_model.bin")
torch.save({k: v.half() for k, v in state.items()}, folder("zip_half", config_file) / "pytorch_model.bin")
torch.save(state, folder("old", config_file) / "pytorch_model.bin", _use_new_zipfile_serialization=False)
# Parameters, a transposed view, and a state dict inside a training checkpoint.
views = {k: torch.nn.Parameter(v.t().contiguous().t()) if v.dim() == 2 else v for k, v in state.items()}
torch.save({"epoch": 3, "state_dict": views, "best": 1.5}, folder("zip_views", config_file) / "pytorch_model.bin")

bin_shards = folder("sharded_bin", config_file)
names = sorted(state)
halves = {"pytorch_model-00001-of-00002.bin": names[::2], "pytorch_model-00002-of-00002.bin": names[1::2]}
for file, members in halves.items():
    torch.save({k: state[k].clone() for k in members}, bin_shards / file)
(bin_shards / "pytorch_model.bin.index.json").write_text(json.dumps(
    {"metadata": {"total_size": 1}, "weight_map": {k: f for f, members in halves.items() for k in members}}))


class Hostile:
    """Its pickle would call a function; a reader that executes nothing refuses it."""

    def __reduce__(self):
        return (eval, ("1 + 1",))


torch.save({"weight": Hostile()}, folder("hostile", config_file) / "pytorch_model.bin")


class Encoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(9, 3)
        self.rnn = torch.nn.GRU(3, 4, bidirectional=True)
        self.fc = torch.nn.Linear(8, 4)


class Attention(torch.nn.Module):
    def __init__(self, generation):
        super().__init__()
        if generation == "current":
            self.attn_fc = torch.nn.Linear(12, 4)
            self.v_fc = torch.nn.Linear(4, 1, bias=False)
        else:
            self.attn = torch.nn.Linear(12, 4)
            self.v = torch.nn.Parameter(torch.zeros(4)) if generation == "first" else torch.nn.Linear(4, 1, bias=False)


class Decoder(torch.nn.Module):
    def __init__(self, generation):
        super().__init__()
        self.attention = Attention(generation)
        self.embedding = torch.nn.Embedding(7, 3)
        self.rnn = torch.nn.GRU(11, 4)
        setattr(self, "out" if generation == "first" else "fc_out", torch.nn.Linear(15, 7))


class Tutorial(torch.nn.Module):
    def __init__(self, generation):
        super().__init__()
        self.encoder = Encoder()
        self.decoder = Decoder(generation)


for generation in ("first", "second", "current"):
    target = folder("gru_" + generation)
    (target / "config.json").write_text('{"model_type": "gru-attention"}\n')
    gru = exact(Tutorial(generation)).state_dict()
    if generation == "current":
        save_file(gru, target / "model.safetensors")
    elif generation == "second":
        torch.save({"module." + k: v for k, v in gru.items()}, target / "pytorch_model.bin")
    else:
        torch.save(gru, target / "pytorch_model.bin", _use_new_zipfile_serialization=False)
