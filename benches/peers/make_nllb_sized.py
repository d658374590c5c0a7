#!/usr/bin/env python3
"""Writes a directory of NLLB-200-600M's size: seeded random weights, a made-up vocabulary, lines to translate.

    make_nllb_sized.py OUT [--model-type m2m_100|marian] [--dtype float32|bfloat16|float16] [--layers 12] [--seed 0]

12 + 12 layers, width 1024, inner width 4096, 16 heads, one embedding of 256,206 tokens shared by three places: 615 million
numbers, 2.46 GB in float32. The tensors are those of `M2M100ForConditionalGeneration`, which are those of a pre-norm Marian
model too, so that either configuration reads the same file. `lines.txt` holds 128 lines of made-up words, some 28 pieces each.
Speed does not depend on the values; they are drawn so that outputs vary (see `models.marian`). Needs numpy and nothing else.
"""

import argparse
import json
from pathlib import Path

import numpy as np

WIDTH, INNER, HEADS, VOCABULARY = 1024, 4096, 16, 256_206
SPECIALS = ["<s>", "<pad>", "</s>", "<unk>"]
LANGUAGES = ["deu_Latn", "eng_Latn", "fra_Latn"] + [f"q{chr(97 + n // 26)}{chr(97 + n % 26)}_Latn" for n in range(199)]
SPACE = "\u2581"


def vocabulary(random: np.random.Generator) -> tuple[list[str], list[tuple[str, str]]]:
    """Pieces in the order of their ids, and the merges of a byte-pair encoding that make them of letters."""
    letters = [SPACE, *"etaoinsrhldcumfpgwybvkxjqz", *"äöüßéèàçñ", *"ETAOINSRHLDCUMFPGWYBVKXJQZ", *"0123456789", *".,:;!?'-()\""]
    pieces, merges, known = list(letters), [], set(letters)
    wanted = VOCABULARY - len(SPECIALS) - len(LANGUAGES) - 1
    while len(pieces) < wanted:
        # Squares make early, short pieces likelier, as they are in a real vocabulary.
        for left, right in zip(*(np.square(random.random((2, 4096))) * len(pieces)).astype(int)):
            left, right = pieces[left], pieces[right]
            whole = left + right
            if SPACE not in right and len(whole) <= 12 and whole not in known and len(pieces) < wanted:
                known.add(whole)
                pieces.append(whole)
                merges.append((left, right))
    return pieces, merges


def write_vocabulary(out: Path, pieces: list[str], merges: list[tuple[str, str]]) -> None:
    """tokenizer.json in the form NLLB's has, and the configuration beside it."""
    mask = VOCABULARY - 1
    special = dict(enumerate(SPECIALS)) | {4 + len(pieces) + n: code for n, code in enumerate(LANGUAGES)} | {mask: "<mask>"}
    ids = {piece: id for id, piece in enumerate([*SPECIALS, *pieces])}
    token = dict(single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
    metaspace = dict(type="Metaspace", replacement=SPACE, prepend_scheme="always", split=True)
    around = [{"SpecialToken": dict(id="eng_Latn", type_id=0)}, {"Sequence": dict(id="A", type_id=0)}]
    end = {"SpecialToken": dict(id="</s>", type_id=0)}
    named = {name: dict(id=name, ids=[id], tokens=[name]) for id, name in special.items() if name in ("eng_Latn", "</s>")}
    template = dict(
        type="TemplateProcessing",
        single=[*around, end],
        pair=[*around, {"Sequence": dict(id="B", type_id=0)}, end],
        special_tokens=named,
    )
    tokenizer = dict(
        version="1.0",
        truncation=None,
        padding=None,
        added_tokens=[dict(id=id, content=name, **token) for id, name in sorted(special.items())],
        normalizer=None,
        pre_tokenizer=metaspace,
        post_processor=template,
        decoder=metaspace,
        model=dict(
            type="BPE",
            dropout=None,
            unk_token="<unk>",
            continuing_subword_prefix=None,
            end_of_word_suffix=None,
            fuse_unk=True,
            byte_fallback=False,
            ignore_merges=False,
            vocab=ids,
            merges=merges,
        ),
    )
    (out / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf8")
    config = dict(
        tokenizer_class="NllbTokenizer",
        src_lang="eng_Latn",
        tgt_lang="fra_Latn",
        bos_token="<s>",
        eos_token="</s>",
        sep_token="</s>",
        cls_token="<s>",
        unk_token="<unk>",
        pad_token="<pad>",
        mask_token="<mask>",
        additional_special_tokens=LANGUAGES,
        model_max_length=1024,
    )
    (out / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf8")


def write_lines(out: Path, pieces: list[str], random: np.random.Generator) -> None:
    """128 lines of made-up words of 6 to 34 of them."""
    words = [piece[1:] for piece in pieces if piece.startswith(SPACE) and piece[1:].isalpha() and len(piece) > 3]
    pick = lambda: words[int(random.random() ** 2 * len(words))]
    lines = [" ".join(pick() for _ in range(random.integers(6, 35))) + "." for _ in range(128)]
    (out / "lines.txt").write_text("\n".join(lines) + "\n", encoding="utf8")


def write_config(out: Path, model_type: str, layers: int, dtype: str) -> None:
    """config.json and generation_config.json."""
    ids = dict(bos_token_id=0, pad_token_id=1, eos_token_id=2, decoder_start_token_id=2)
    config = dict(
        architectures=["M2M100ForConditionalGeneration" if model_type == "m2m_100" else "MarianMTModel"],
        model_type=model_type,
        d_model=WIDTH,
        encoder_layers=layers,
        decoder_layers=layers,
        encoder_attention_heads=HEADS,
        decoder_attention_heads=HEADS,
        encoder_ffn_dim=INNER,
        decoder_ffn_dim=INNER,
        vocab_size=VOCABULARY,
        max_position_embeddings=1024,
        activation_function="relu",
        scale_embedding=True,
        is_encoder_decoder=True,
        num_hidden_layers=layers,
        torch_dtype=dtype,
        tie_word_embeddings=True,
        **ids,
    )
    if model_type == "marian":
        config |= dict(normalize_before=True, add_final_layer_norm=True, static_position_embeddings=True)
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf8")
    (out / "generation_config.json").write_text(json.dumps(ids | dict(max_length=200), indent=2) + "\n", encoding="utf8")


def tensors(layers: int):
    """Name, shape and how to draw it, of every tensor."""
    yield "model.shared.weight", (VOCABULARY, WIDTH), 2 * WIDTH**-0.5
    norm = lambda prefix, last: [(f"{prefix}.weight", (WIDTH,), "random" if last else 1.0), (f"{prefix}.bias", (WIDTH,), 0.0)]
    for side, attentions in ("encoder", ["self_attn"]), ("decoder", ["self_attn", "encoder_attn"]):
        for layer in range(layers):
            prefix = f"model.{side}.layers.{layer}"
            linears = [(f"{kind}.{part}_proj", WIDTH, WIDTH) for kind in attentions for part in ("q", "k", "v", "out")]
            for name, outputs, inputs in [*linears, ("fc1", INNER, WIDTH), ("fc2", WIDTH, INNER)]:
                gain = 3.0 if "q_proj" in name or "k_proj" in name else 0.7
                yield f"{prefix}.{name}.weight", (outputs, inputs), gain * (2 / (outputs + inputs)) ** 0.5
                yield f"{prefix}.{name}.bias", (outputs,), 0.02
            for kind in attentions:
                yield from norm(f"{prefix}.{kind}_layer_norm", False)
            yield from norm(f"{prefix}.final_layer_norm", False)
        yield from norm(f"model.{side}.layer_norm", side == "decoder")


def write_weights(path: Path, layers: int, dtype: str, seed: int) -> int:
    """model.safetensors, one tensor in memory at a time; returns how many numbers it holds."""
    name = dict(float32="F32", bfloat16="BF16", float16="F16")[dtype]
    size = 4 if dtype == "float32" else 2
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for tensor, shape, _ in tensors(layers):
        start, end = end, end + size * int(np.prod(shape))
        header[tensor] = dict(dtype=name, shape=shape, data_offsets=[start, end])
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    random = np.random.default_rng(seed)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor, shape, spread in tensors(layers):
            if len(shape) == 1 and isinstance(spread, float) and "norm" in tensor:
                values = np.full(shape, spread, np.float32)
            else:
                values = random.standard_normal(shape, np.float32) * np.float32(1.0 if spread == "random" else spread)
            if tensor == "model.shared.weight":
                values[1] = 0
            if dtype == "bfloat16":
                # Cut off below, rounded half up.
                values = ((values.view(np.uint32) + 0x8000) >> 16).astype(np.uint16)
            elif dtype == "float16":
                values = values.astype(np.float16)
            file.write(values.tobytes())
    return end // size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model-type", default="m2m_100", choices=["m2m_100", "marian"])
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--layers", type=int, default=12, help="of each side")
    parser.add_argument("--seed", type=int, default=0)
    a = parser.parse_args()
    a.out.mkdir(parents=True)
    random = np.random.default_rng(a.seed)
    pieces, merges = vocabulary(random)
    write_vocabulary(a.out, pieces, merges)
    write_lines(a.out, pieces, random)
    write_config(a.out, a.model_type, a.layers, a.dtype)
    count = write_weights(a.out / "model.safetensors", a.layers, a.dtype, a.seed)
    print(f"{count / 1e6:.1f} million numbers in {a.out}")


if __name__ == "__main__":
    main()
