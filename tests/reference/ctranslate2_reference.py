#!/usr/bin/env python3
"""Writes tests/fixtures/ctranslate2/: tiny models in CTranslate2's own format, and what CTranslate2 translates with them.

    ctranslate2_reference.py [--out DIRECTORY] [--only NAME]

Most are made by CTranslate2's own converters from the models of tests/fixtures/ (and tests/fixtures/marian/), in all number
formats; a few are random specifications with what no converter makes of those: relative positions, sinusoids that are not
stored, tokens around the source. Each directory holds `model.bin`, `config.json` and the vocabularies, and `expected.json`: the
`lines` to translate (pieces with spaces between them), and `runs` of the program over all of them, each with its `arguments`,
and of each line the `text` and the `score`.

Lines on which CTranslate2 gives something else in 16-bit integers (near ties) are left out.
"""
import argparse
import json
import shutil
from pathlib import Path

import ctranslate2
import numpy as np
from ctranslate2.converters import MarianConverter, TransformersConverter
from ctranslate2.specs import common_spec, transformer_spec

FIXTURES = Path(__file__).parent.parent / "fixtures"
LINES = 12
LENGTH = 12
NUMBERS = {"int8": "int8", "int16": "int16", "float16": "float32", "bfloat16": "float32", None: "float32"}


class Words:
    """What a converter asks of a tokenizer, for a model whose vocabulary is a list of words."""

    additional_special_tokens: list = []
    special_tokens_map: dict = {}

    def __init__(self, directory, start):
        self.words = (directory / "target_vocab.txt").read_text(encoding="utf8").splitlines()
        config = json.loads((directory / "config.json").read_text())
        self.eos_token, self.pad_token = (self.words[config[key]] for key in ("eos_token_id", "pad_token_id"))
        self.bos_token = self.words[config["decoder_start_token_id"]] if start else self.eos_token
        self.unk_token = "<unk>" if "<unk>" in self.words else self.words[3]

    def get_vocab(self):
        return {word: i for i, word in enumerate(self.words)}

    def convert_ids_to_tokens(self, ids):
        return self.words[ids] if isinstance(ids, int) else [self.words[i] for i in ids]


def of_transformers(name, start=False):
    def convert(out, quantization):
        directory = FIXTURES / "models" / name

        class Converter(TransformersConverter):
            def load_tokenizer(self, tokenizer_class, model_name_or_path, **kwargs):
                return Words(directory, start)

        Converter(str(directory)).convert(str(out), quantization=quantization, force=True)
        # Every one of them was trained with the sentence end on the source.
        change(out, add_source_eos=True)

    return convert


def of_marian(name):
    def convert(out, quantization):
        directory = FIXTURES / "marian" / name
        vocabulary = str(directory / "vocab.yml")
        MarianConverter(str(directory / "model.npz"), [vocabulary] * 2).convert(str(out), quantization=quantization, force=True)

    return convert


def change(out, **keys):
    path = out / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | keys, indent=2) + "\n")


def random_spec(seed, config, **options):
    """A specification with random weights; `options` are those of TransformerSpec.from_config."""

    def convert(out, quantization):
        random, d, heads, f, size = np.random.default_rng(seed), 16, 2, 24, 26
        settings = dict(options)
        scale, zero, positions = settings.pop("scale", None), settings.pop("zero", False), settings.pop("positions", None)
        spec = transformer_spec.TransformerSpec(
            transformer_spec.TransformerEncoderSpec(2, heads, **settings), transformer_spec.TransformerDecoderSpec(2, heads, **settings))
        spec.encoder.scale_embeddings = spec.decoder.scale_embeddings = True if scale is None else np.float32(scale)
        spec.decoder.start_from_zero_embedding = zero
        distances = 2 * 3 + 1

        def fill(layer, name=""):
            if isinstance(layer, common_spec.LayerNormSpec):
                layer.gamma = random.normal(1, 0.2, d).astype(np.float32)
                if hasattr(layer, "beta"):
                    layer.beta = random.normal(0, 0.2, d).astype(np.float32)
            elif isinstance(layer, common_spec.EmbeddingsSpec):
                layer.weight = random.normal(0, 0.5, (size, d)).astype(np.float32)
            elif isinstance(layer, common_spec.LinearSpec):
                outputs = dict(projection=size, ffn_0=f, ffn_0_noact=f, self_0=3 * d, attention_1=2 * d).get(name, d)
                inputs = f if name == "ffn_1" else d
                layer.weight = random.normal(0, 2.2 / np.sqrt(inputs), (outputs, inputs)).astype(np.float32)
                if not settings.get("rms_norm"):
                    layer.bias = random.normal(0, 0.3, outputs).astype(np.float32)
                    if name == "projection":
                        layer.bias[2] += 2.0

        def attention(layer, name):
            for i, linear in enumerate(layer.linear):
                fill(linear, f"{name}_{i}")
            fill(layer.layer_norm)
            if name == "self" and settings.get("relative_position"):
                layer.relative_position_keys = random.normal(0, 0.5, (distances, d // heads)).astype(np.float32)
                layer.relative_position_values = random.normal(0, 0.5, (distances, d // heads)).astype(np.float32)
            if name == "self" and settings.get("relative_attention_bias"):
                layer.relative_attention_bias = random.normal(0, 1, (8, heads)).astype(np.float32)
                layer.relative_attention_max_distance = np.dtype("int32").type(20)
            if settings.get("rms_norm"):
                layer.queries_scale = np.float32(1)

        for side in (spec.encoder, spec.decoder):
            for embeddings in side.embeddings if isinstance(side.embeddings, list) else [side.embeddings]:
                fill(embeddings)
            for part in ("layer_norm", "layernorm_embedding"):
                if hasattr(side, part):
                    fill(getattr(side, part))
            if hasattr(side, "position_encodings") and positions:
                side.position_encodings.encodings = random.normal(0, 0.5, (positions, d)).astype(np.float32)
            for layer in side.layer:
                attention(layer.self_attention, "self")
                if hasattr(layer, "attention"):
                    attention(layer.attention, "attention")
                fill(layer.ffn.layer_norm)
                for part in ("linear_0", "linear_0_noact", "linear_1"):
                    if hasattr(layer.ffn, part):
                        fill(getattr(layer.ffn, part), part.replace("linear", "ffn"))
        if settings.get("relative_attention_bias"):
            for side in (spec.encoder, spec.decoder):
                for layer in side.layer[1:]:
                    layer.self_attention.relative_attention_bias = side.layer[0].self_attention.relative_attention_bias
        fill(spec.decoder.projection, "projection")
        pieces = ["<blank>", "<s>", "</s>"] + [f"w{i}" for i in range(size - 4)]
        spec.register_source_vocabulary(pieces + ["<unk>"])
        spec.register_target_vocabulary(pieces + ["<unk>"])
        spec.validate()
        spec.optimize(quantization=quantization)
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        spec.save(str(out))
        change(out, **config)

    return convert


MODELS = {
    "marian": (of_transformers("marian_relu"), None),
    "marian_int8": (of_marian("post_norm"), "int8"),
    "marian_pre_norm": (of_marian("pre_norm"), "float16"),
    "m2m_100": (of_transformers("m2m_100"), "int16"),
    "m2m_100_int8": (of_transformers("m2m_100"), "int8"),
    "t5": (of_transformers("t5", True), None),
    "t5_gated": (of_transformers("t5_gated_gelu", True), "bfloat16"),
    "t5_int8": (of_transformers("t5_gated_silu", True), "int8"),
    "relative_positions": (random_spec(1, {}, relative_position=True), "int8"),
    "sinusoids": (random_spec(2, dict(add_source_bos=True, add_source_eos=True), pre_norm=False, scale=1.5,
                              activation=common_spec.Activation.GELUSigmoid), "bfloat16"),  # fmt: skip
    "zero": (random_spec(3, dict(add_source_eos=True, decoder_start_token="</s>"), pre_norm=True, no_final_norm=True, zero=True,
                         layernorm_embedding=True, positions=40, activation=common_spec.Activation.Tanh), None),  # fmt: skip
}  # fmt: skip


def translate(out, lines, beams, compute):
    engine = ctranslate2.Translator(str(out), device="cpu", compute_type=compute, intra_threads=1)
    sources = [line.split(" ") for line in lines]
    limits = dict(max_decoding_length=LENGTH, max_batch_size=1, return_scores=True)
    found = engine.translate_batch(sources, beam_size=beams, **limits)
    return [(" ".join(result.hypotheses[0]), result.scores[0]) for result in found]


def write(name, directory, seed):
    convert, quantization = MODELS[name]
    shutil.rmtree(directory, ignore_errors=True)
    convert(directory, quantization)
    random = np.random.default_rng(1000 + seed)
    lists = [directory / f"{side}_vocabulary.json" for side in ("source", "shared")]
    pieces = json.loads(next(path for path in lists if path.exists()).read_text())
    usable = [piece for piece in pieces if not piece.startswith("<") and not set(piece) & set(" \x84<>_\u2581")]
    lines = [" ".join(random.choice(usable, random.integers(1, 9))) for _ in range(LINES + 30)]
    compute = NUMBERS[quantization]
    plans = [(["--beam-size", "1"], 1), ([], 2), (["--beam-size", "4"], 4)]
    runs = [(arguments, translate(directory, lines, beams, compute)) for arguments, beams in plans]
    # A near tie shows when the arithmetic changes a little: 16-bit integers round to a part in a thousand.
    others = [translate(directory, lines, beams, "int16") for _, beams in plans]
    stable = [i for i in range(len(lines)) if all(run[i][0] == other[i][0] and run[i][0] for (_, run), other in zip(runs, others))]
    print(f"{name}: {len(stable)} of {len(lines)} lines are stable, {len({runs[1][1][i][0] for i in stable})} different")
    stable = stable[:LINES]
    precision = ["--precision", "int8" if quantization == "int8" else "f32"]
    usual = ["--pieces", "--max-length", str(LENGTH), *precision]
    expected = dict(lines=[lines[i] for i in stable], runs=[
        dict(arguments=usual + arguments, text=[run[i][0] for i in stable], score=[round(run[i][1], 6) for i in stable])
        for arguments, run in runs])  # fmt: skip
    (directory / "expected.json").write_text(json.dumps(expected, ensure_ascii=False, indent=1) + "\n", encoding="utf8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=FIXTURES / "ctranslate2")
    parser.add_argument("--only", choices=MODELS)
    arguments = parser.parse_args()
    for seed, name in enumerate(MODELS):
        if arguments.only in (None, name):
            write(name, arguments.out / name, seed)


if __name__ == "__main__":
    main()
