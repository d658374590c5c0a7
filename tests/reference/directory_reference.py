#!/usr/bin/env python3
"""Writes tests/fixtures/directories/: complete Marian directories as they are published, in small, and what other engines
translate with them, text to text.

    directory_reference.py [--out DIRECTORY]

`shared` has one vocabulary with target-language tokens and lies there in every form weights are published in;
`separate` numbers source and target pieces in two tables. Each has `source.spm`, `target.spm` and an `expected.json`:
the `lines` to translate, and `runs` of the program over all of them: its `arguments`, the `engine` that was asked, the
`generation_config.json` to put in the directory first (null: as it is), and each line's `pieces` and `text`.

The engines are Hugging Face `generate()`, CTranslate2 (for `--compat ctranslate2`), and for `--compat marian` the rules of
Marian's decoder written down plainly below. Lines on which any run gives something else in f64 (ties, decided by rounding)
are left out.
"""
import argparse
import io
import json
import shutil
import tempfile
from pathlib import Path

import ctranslate2
import sentencepiece
import torch
from safetensors.torch import load_file, save_file
from transformers import GenerationConfig, MarianMTModel, MarianTokenizer

from models_reference import make_marian
from sentencepiece_reference import sentences

LINES = 48
#: Most tokens a translation, sentence end included.
LENGTH = 24


def train_pieces(lines, size, path):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, vocab_size=size, model_type="bpe", character_coverage=0.98,
        normalization_rule_name="identity", hard_vocab_limit=False, num_threads=1, minloglevel=2)  # fmt: skip
    path.write_bytes(model.getvalue())
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    return [processor.id_to_piece(i) for i in range(3, processor.get_piece_size())]


def table(pieces, end, languages=()):
    """Piece to id: the sentence end at `end`, padding last; every 17th piece is missing, as in some published models."""
    kept = ["<unk>", *languages] + [piece for i, piece in enumerate(dict.fromkeys(pieces)) if i % 17 != 5]
    kept.insert(end, "</s>")
    return {piece: i for i, piece in enumerate(kept + ["<pad>"])}


def make(directory, seed, separate):
    scripts = sentences(1400, 2)
    latin = [line for i, line in enumerate(scripts) if i % 14 == 11]
    cyrillic = [line for i, line in enumerate(scripts) if i % 14 == 3]
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    source = train_pieces(latin, 90, directory / "source.spm")
    target = train_pieces(cyrillic, 80, directory / "target.spm")
    if separate:
        tables = table(source, 0), table(target, 5)
    else:
        tables = 2 * [table(source + target, 0, (">>deu<<", ">>fra<<"))]
    # The sentence end the model was trained with stands on the target side; the source's has an id of its own.
    end = tables[1]["</s>"]
    shape = dict(d_model=16, encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=24, decoder_ffn_dim=24,
                 encoder_layers=1, decoder_layers=1, activation_function="swish")  # fmt: skip
    shape |= dict(share_encoder_decoder_embeddings=False, decoder_vocab_size=len(tables[1])) if separate else {}
    make_marian(directory, seed, steps=150, vocab_size=len(tables[0]), eos_token_id=end, forced_eos_token_id=end, **shape)
    (directory / "vocab.json").write_text(json.dumps(tables[0], ensure_ascii=False))
    if separate:
        (directory / "target_vocab.json").write_text(json.dumps(tables[1], ensure_ascii=False))
    settings = dict(source_lang="lat", target_lang="cyr", separate_vocabs=separate)
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))
    generation = dict(num_beams=4, max_length=LENGTH + 1, bad_words_ids=[[len(tables[1]) - 1]], forced_eos_token_id=end,
                      decoder_start_token_id=len(tables[1]) - 1, eos_token_id=end, pad_token_id=len(tables[1]) - 1)  # fmt: skip
    (directory / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n")
    lines = [line for line in latin if len(line) < 60][: LINES + 16]
    if not separate:
        starts = ["", ">>deu<< ", ">>fra<< ", ">>deu<<", ">>xyz<< "]
        lines = [starts[i % len(starts)] + line for i, line in enumerate(lines)]
    return lines


def runs(directory, separate):
    """(arguments, generation_config.json or None, what to tell generate())."""
    own = json.loads((directory / "generation_config.json").read_text())
    end, pad = own["eos_token_id"], own["pad_token_id"]
    yield [], None, {}
    for beams in (1, 2, 3, 5, 6, 7, 8):
        yield ["--beam-size", str(beams)], None, dict(num_beams=beams)
    if separate:
        return
    yield ["--length-penalty", "0.6"], None, dict(length_penalty=0.6)
    yield ["--max-length", "6"], None, dict(max_length=7)
    yield ["--min-length", "12"], None, dict(min_length=12)
    yield ["--no-repeat-ngram", "2"], None, dict(no_repeat_ngram_size=2)
    yield ["--repetition-penalty", "1.5", "--beam-size", "1"], None, dict(repetition_penalty=1.5, num_beams=1)
    yield ["--target-lang", "fra"], None, {}
    for change in (
        dict(early_stopping=True),
        dict(early_stopping="never", length_penalty=1.5),
        dict(renormalize_logits=True),
        dict(bad_words_ids=[[pad], [7], [20, 21], [30, 30]]),
        dict(bad_words_ids=[[pad], [30], [end]], num_beams=1),
        dict(forced_bos_token_id=25),
        dict(forced_bos_token_id=25, num_beams=1),
        dict(max_new_tokens=7, forced_eos_token_id=None),
        dict(min_length=10, repetition_penalty=1.2, no_repeat_ngram_size=3),
    ):
        yield [], {k: v for k, v in (own | change).items() if v is not None}, None


@torch.inference_mode()
def generate(model, tokenizer, lines, settings):
    """Ids up to and including the sentence end, without start token."""
    end, results = model.config.eos_token_id, []
    for start in range(0, len(lines), 16):
        inputs = tokenizer(lines[start : start + 16], return_tensors="pt", padding=True)
        for row in model.generate(**inputs, generation_config=settings)[:, 1:].tolist():
            results.append(row[: row.index(end) + 1] if end in row else row)
    return results


@torch.inference_mode()
def marian_search(model, tokenizer, line, beams, limit, alpha):
    """Marian's decoder: a finished hypothesis narrows the beam; unknown words and padding do not exist; the score is the
    sum of log-probabilities over length^alpha; at the limit what is running counts as finished."""
    config = model.config
    inputs = tokenizer([line], return_tensors="pt")
    encoded = model.get_encoder()(**inputs)
    running, finished = [([config.decoder_start_token_id], 0.0)], []
    while running and len(finished) < beams:
        candidates = []
        for tokens, total in running:
            logits = model(encoder_outputs=encoded, attention_mask=inputs["attention_mask"],
                           decoder_input_ids=torch.tensor([tokens])).logits[0, -1]  # fmt: skip
            logits[[config.pad_token_id, tokenizer.unk_token_id]] = float("-inf")
            scores = total + logits.log_softmax(-1)
            candidates += [(score, tokens + [token]) for token, score in enumerate(scores.tolist())]
        candidates.sort(key=lambda candidate: -candidate[0])
        running = []
        for score, tokens in candidates[: beams - len(finished)]:
            if tokens[-1] == config.eos_token_id or len(tokens) > limit:
                finished.append((score / (len(tokens) - 1) ** alpha, tokens[1:]))
            else:
                running.append((tokens, score))
    return max(finished, key=lambda hypothesis: hypothesis[0])[1]


def written(tokenizer, ids):
    """Pieces and text of generated ids, sentence end left out."""
    end = tokenizer.target_encoder["</s>"] if tokenizer.separate_vocabs else tokenizer.eos_token_id
    ids = ids[: ids.index(end)] if end in ids else ids
    names = {i: piece for piece, i in (tokenizer.target_encoder if tokenizer.separate_vocabs else tokenizer.encoder).items()}
    pieces = [names[i] for i in ids]
    kept = [piece for piece in pieces if piece not in ("<unk>", "<pad>", "</s>")]
    return dict(pieces=pieces, text=tokenizer.spm_target.decode_pieces(kept).replace("▁", " ").strip())


def translated(directory, converted, lines, plans, dtype, separate):
    tokenizer = MarianTokenizer.from_pretrained(directory)
    model = MarianMTModel.from_pretrained(directory, dtype=dtype).eval()
    own = json.loads((directory / "generation_config.json").read_text())
    results = []
    for arguments, generation, change in plans:
        settings = GenerationConfig(**(own | change if generation is None else generation))
        sources = [">>fra<< " + line for line in lines] if "--target-lang" in arguments else lines
        # generate() fills what is None from the model's own settings; here None means none.
        model.generation_config = settings
        results.append(("huggingface", arguments, generation, generate(model, tokenizer, sources, settings)))
    if separate:
        return tokenizer, results
    for beams, alpha in (1, None), (4, None), (6, 0.7):
        arguments = ["--compat", "marian", "--beam-size", str(beams)] + (["--length-penalty", str(alpha)] if alpha else [])
        found = [marian_search(model, tokenizer, line, beams, LENGTH, alpha or 0.0) for line in lines]
        results.append(("marian", arguments, None, found))
    engine = ctranslate2.Translator(str(converted), device="cpu", compute_type="float32", intra_threads=1)
    sources = [tokenizer.convert_ids_to_tokens(tokenizer(line)["input_ids"]) for line in lines]
    for beams, limit in (1, LENGTH), (2, LENGTH), (4, LENGTH), (8, LENGTH), (4, 6):
        found = engine.translate_batch(sources, beam_size=beams, max_decoding_length=limit, max_batch_size=1)
        found = [[tokenizer.encoder[piece] for piece in result.hypotheses[0]] for result in found]
        arguments = ["--compat", "ctranslate2", "--beam-size", str(beams), "--max-length", str(limit)]
        results.append(("ctranslate2", arguments, None, found))
    return tokenizer, results


def write_forms(directory):
    """The same weights in the other forms they are published in."""
    weights = load_file(directory / "model.safetensors")
    names = sorted(weights)
    (directory / "sharded").mkdir()
    halves = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, part in halves.items():
        save_file({name: weights[name] for name in part}, directory / "sharded" / file, metadata={"format": "pt"})
    index = dict(metadata={}, weight_map={name: file for file, part in halves.items() for name in part})
    (directory / "sharded" / "model.safetensors.index.json").write_text(json.dumps(index))
    for form, legacy in ("bin", False), ("old_bin", True):
        (directory / form).mkdir()
        state = dict(weights)
        for copy in "model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight", "lm_head.weight":
            state[copy] = state["model.shared.weight"]
        torch.save(state, directory / form / "pytorch_model.bin", _use_new_zipfile_serialization=not legacy)


def write(directory, seed, separate):
    lines = make(directory, seed, separate)
    if not separate:
        # Half precision is exact from here on, so that every form holds the same values. The row of the padding token is zero
        # in every published model; CTranslate2 leaves it out.
        weights = load_file(directory / "model.safetensors")
        weights = {name: weight.bfloat16().to(torch.float16).float() for name, weight in weights.items()}
        weights["model.shared.weight"][-1] = 0
        save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    plans = list(runs(directory, separate))
    with tempfile.TemporaryDirectory() as scratch:
        converted = Path(scratch) / "converted"
        if not separate:
            ctranslate2.converters.TransformersConverter(str(directory)).convert(str(converted))
        tokenizer, single = translated(directory, converted, lines, plans, torch.float32, separate)
        _, double = translated(directory, converted, lines, plans, torch.float64, separate)
    stable = [i for i in range(len(lines)) if all(a[3][i] == b[3][i] for a, b in zip(single, double))]
    print(f"{directory.name}: {len(lines) - len(stable)} of {len(lines)} lines have ties; {len(stable[:LINES])} kept")
    stable = stable[:LINES]
    expected = []
    for engine, arguments, generation, found in single:
        best = [written(tokenizer, found[i]) for i in stable]
        lengths = sorted(len(one["pieces"]) for one in best)
        print(f"  {engine:<12} {' '.join(arguments):<50} lengths {lengths[0]}..{lengths[len(lengths) // 2]}..{lengths[-1]},"
              f" {sum(a != b['pieces'] for a, b in zip(expected[0]['pieces'], best)) if expected else 0} not as the first")  # fmt: skip
        expected.append(dict(engine=engine, arguments=arguments, generation_config=generation,
                             pieces=[one["pieces"] for one in best], text=[one["text"] for one in best]))  # fmt: skip
    body = ",\n".join(json.dumps(run, ensure_ascii=False) for run in expected)
    lines = json.dumps([lines[i] for i in stable], ensure_ascii=False)
    (directory / "expected.json").write_text(f'{{"lines": {lines},\n"runs": [\n{body}\n]}}\n', encoding="utf8")
    if not separate:
        write_forms(directory)
        for form, dtype in ("float16", torch.float16), ("bfloat16", torch.bfloat16):
            (directory / form).mkdir()
            halved = {name: weight.to(dtype) for name, weight in load_file(directory / "model.safetensors").items()}
            save_file(halved, directory / form / "model.safetensors", metadata={"format": "pt"})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "fixtures" / "directories")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    write(arguments.out / "shared", 11, False)
    write(arguments.out / "separate", 12, True)


if __name__ == "__main__":
    main()
