"""Models to measure with: seeded random weights, since speed does not depend on their values."""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file


def marian(tokenizer: Path, out: Path) -> None:
    """An OPUS-MT-sized Transformer in `out`, in the form both engines read.

    `tokenizer` holds the config.json, source.spm, target.spm and vocab.json of a published model. Embeddings are drawn
    larger than usual, queries and keys sharper, and the last norm has random signs: otherwise a random model repeats one
    token for ever.
    """
    from transformers import MarianConfig, MarianMTModel

    torch.manual_seed(0)
    config = MarianConfig.from_pretrained(tokenizer)
    model = MarianMTModel(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "embed_positions" in name:
                continue
            if "shared" in name or "embed_tokens" in name:
                weight.normal_(0, 2 * config.d_model**-0.5)
                weight[config.pad_token_id] = 0
            elif weight.dim() == 2:
                sharp = "q_proj" in name or "k_proj" in name
                torch.nn.init.xavier_normal_(weight, gain=3.0 if sharp else 0.7)
        model.model.decoder.layers[-1].final_layer_norm.weight.normal_()
    model.save_pretrained(out)
    for file in ("source.spm", "target.spm", "vocab.json", "tokenizer_config.json"):
        shutil.copyfile(tokenizer / file, out / file)


# The sizes of the published tutorial model, and the vocabulary of the row in the table.
GRU = dict(embedding_dim=256, hidden_dim=512, vocabulary=8000)


def gru(vocabulary: Path, out: Path) -> None:
    """A random GRU with additive attention in `out`, with the state-dict names of the PyTorch tutorial."""
    torch.manual_seed(0)
    embedding, hidden, size = GRU["embedding_dim"], GRU["hidden_dim"], GRU["vocabulary"]
    memory = 2 * hidden
    shapes = {
        "encoder.embedding.weight": (size, embedding),
        "encoder.fc.weight": (hidden, memory),
        "encoder.fc.bias": (hidden,),
        "decoder.attention.attn_fc.weight": (hidden, hidden + memory),
        "decoder.attention.attn_fc.bias": (hidden,),
        "decoder.attention.v_fc.weight": (1, hidden),
        "decoder.embedding.weight": (size, embedding),
        "decoder.fc_out.weight": (size, hidden + memory + embedding),
        "decoder.fc_out.bias": (size,),
    }
    for suffix in ("", "_reverse"):
        shapes[f"encoder.rnn.weight_ih_l0{suffix}"] = (3 * hidden, embedding)
        shapes[f"encoder.rnn.weight_hh_l0{suffix}"] = (3 * hidden, hidden)
        shapes[f"encoder.rnn.bias_ih_l0{suffix}"] = (3 * hidden,)
        shapes[f"encoder.rnn.bias_hh_l0{suffix}"] = (3 * hidden,)
    shapes["decoder.rnn.weight_ih_l0"] = (3 * hidden, embedding + memory)
    shapes["decoder.rnn.weight_hh_l0"] = (3 * hidden, hidden)
    shapes["decoder.rnn.bias_ih_l0"] = (3 * hidden,)
    shapes["decoder.rnn.bias_hh_l0"] = (3 * hidden,)
    out.mkdir(parents=True, exist_ok=True)
    save_file({name: torch.randn(shape) * 2 * shape[-1] ** -0.5 for name, shape in shapes.items()}, out / "model.safetensors")
    config = dict(model_type="gru-attention", source_vocab_size=size, target_vocab_size=size, embedding_dim=embedding)
    config |= dict(hidden_dim=hidden, pad_token_id=size - 1, eos_token_id=0, decoder_start_token_id=size - 1, unk_token_id=1)
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf8")
    for file in ("source.spm", "target.spm", "vocab.json"):
        shutil.copyfile(vocabulary / file, out / file)


# A Luong model of OpenNMT-py's default size (Luong, Pham and Manning 2015: general score, input feeding).
LUONG = dict(width=512, layers=2, vocabulary=16_000)


def luong(out: Path, lines: int = 512) -> None:
    """A random LSTM encoder-decoder in `out`, and `lines.txt`, rows of made-up words between spaces."""
    torch.manual_seed(0)
    width, layers, size = LUONG["width"], LUONG["layers"], LUONG["vocabulary"]
    half = width // 2
    shapes = {"encoder.embedding.weight": (size, width), "decoder.embedding.weight": (size, width)}
    for layer in range(layers):
        for side, suffix, hidden, inputs in (
            ("encoder", "", half, width),
            ("encoder", "_reverse", half, width),
            ("decoder", "", width, width if layer else 2 * width),
        ):
            prefix, ending = f"{side}.rnn", f"_l{layer}{suffix}"
            shapes[f"{prefix}.weight_ih{ending}"] = (4 * hidden, inputs)
            shapes[f"{prefix}.weight_hh{ending}"] = (4 * hidden, hidden)
            shapes[f"{prefix}.bias_ih{ending}"] = shapes[f"{prefix}.bias_hh{ending}"] = (4 * hidden,)
    shapes["decoder.attention.query.weight"] = (width, width)
    shapes["decoder.hidden_fc.weight"] = (width, 2 * width)
    shapes["decoder.fc_out.weight"], shapes["decoder.fc_out.bias"] = (size, width), (size,)
    out.mkdir(parents=True, exist_ok=True)
    save_file({name: torch.randn(shape) * 2 * shape[-1] ** -0.5 for name, shape in shapes.items()}, out / "model.safetensors")
    pieces = ["<unk>", "<pad>", "<s>", "</s>", *(f"w{id}" for id in range(4, size))]
    config = dict(
        model_type="recurrent-attention",
        encoder=dict(cell="lstm"),
        decoder=dict(cell="lstm", feed="attentional"),
        start={"from": "each-layer"},
        attention=dict(score="general", query="after"),
        output=dict(parts=["context", "state"], hidden_activation="tanh"),
        source_pieces=pieces,
    )
    (out / "config.json").write_text(json.dumps(config) + "\n", encoding="utf8")
    words = [" ".join(pieces[int(id)] for id in torch.randint(4, size, (int(length),))) for length in torch.randint(8, 40, (lines,))]
    (out / "lines.txt").write_text("\n".join(words) + "\n", encoding="utf8")


def t5_small(tokenizer: Path, out: Path) -> None:
    """A model of T5-small's size in `out`, with the tokenizer of a published T5."""
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    config = T5Config(d_model=512, d_kv=64, d_ff=2048, num_layers=6, num_heads=8, vocab_size=32128, decoder_start_token_id=0)
    T5ForConditionalGeneration(config).save_pretrained(out)
    for file in ("spiece.model", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        shutil.copyfile(tokenizer / file, out / file)


def builtin(model: Path, out: Path) -> None:
    """The built-in Transformer and its vocabulary in one directory, as the converter wants them."""
    out.mkdir(parents=True, exist_ok=True)
    config = json.loads((model / "config.json").read_text(encoding="utf8"))
    vocabulary = model / config.pop("vocabulary", ".")
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf8")
    for file in ("generation_config.json", "model.safetensors"):
        shutil.copyfile(model / file, out / file)
    for file in ("source.spm", "target.spm", "vocab.json", "tokenizer_config.json"):
        shutil.copyfile(vocabulary / file, out / file)


def convert(model: Path, out: Path, quantization: str) -> None:
    """CTranslate2's copy of a directory."""
    from ctranslate2.converters import TransformersConverter

    TransformersConverter(str(model)).convert(str(out), quantization=quantization, force=True)
