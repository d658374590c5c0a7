#!/usr/bin/env python3
"""Writes tests/fixtures/directories/bart_tokenizer/: a complete little BART directory with its own `tokenizer.json`, and what
Hugging Face translates with it, text to text.

    bart_tokenizer_reference.py [--out DIRECTORY]

The tokenizer is byte-level BPE with `<s> ... </s>` around every sentence. `expected.json` holds the `lines`, their
`source_ids` (special tokens included) and `runs` as the other directories have them, with three things more: of the best
hypothesis the `ids` that `generate()` gives after the start token (the forced `<s>` and the sentence end included) and the
`score`; `pieces` leaves out the sentence end only, `text` all special tokens.

Lines on which any run gives something else in f64 (ties, decided by rounding) are left out.
"""
import argparse
import json
import random
import shutil
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import BartForConditionalGeneration

from layouts_reference import make_bart
from models_reference import search
from sentencepiece_reference import WORDS, sentences

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
#: Most ids of a translation, start token included.
LENGTH = 40
#: Lines that the training sentences have nothing like: every byte has a piece.
EDGES = ["a  b", "HUND und Hund", "der Hund 😀 läuft", "e\u0301te\u0301 être", "狗 hund", "3,14... 100%?!", "x"]


def make_tokenizer(lines, path):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=SPECIAL, show_progress=False,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))  # fmt: skip
    tokenizer.train_from_iterator(lines, trainer)
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)])  # fmt: skip
    path.parent.mkdir(parents=True)
    tokenizer.save(str(path))
    return Tokenizer.from_file(str(path))


def translation(line, rng):
    """A made-up language: every Latin word has its Cyrillic word; now and then one is lost or another."""
    words, theirs = WORDS["latin"].split(), WORDS["cyrillic"].split()
    said = []
    for word in line.lower().rstrip(".!?。").split():
        known = words.index(word) if word in words else len(word)
        chance = rng.random()
        if chance > 0.05:
            said.append(theirs[known % len(theirs)] if chance < 0.9 else rng.choice(theirs))
    return " ".join(said)


def make(directory):
    scripts = sentences(14 * 400, 3)
    latin = [line for i, line in enumerate(scripts) if i % 14 == 11 and len(line) < 50]
    cyrillic = [line for i, line in enumerate(scripts) if i % 14 == 3]
    shutil.rmtree(directory, ignore_errors=True)
    tokenizer = make_tokenizer(latin + cyrillic, directory / "tokenizer.json")
    rng = random.Random(31)

    def pairs(_):
        lines = rng.sample(latin, 32)
        spoken = [translation(line, rng) for line in lines]
        return [tokenizer.encode(line).ids for line in lines], [tokenizer.encode(line).ids for line in spoken]

    shape = dict(d_model=24, encoder_layers=1, decoder_layers=1, max_position_embeddings=128)
    make_bart(directory, 31, 400, pairs, LENGTH, vocab_size=tokenizer.get_vocab_size(), **shape)
    return tokenizer, EDGES + latin[:12]


def runs(directory):
    """(arguments, generation_config.json or None, what to tell generate())."""
    own = json.loads((directory / "generation_config.json").read_text())
    yield [], None, dict(num_beams=4)
    yield ["--beam-size", "1"], None, dict(num_beams=1)
    # What the published BART that sums up articles asks for, in small.
    change = dict(num_beams=4, no_repeat_ngram_size=3, length_penalty=2.0, early_stopping=True, min_length=10)
    yield [], own | change, change


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "fixtures" / "directories")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    directory = arguments.out / "bart_tokenizer"
    tokenizer, lines = make(directory)
    sources = [tokenizer.encode(line).ids for line in lines]
    plans = list(runs(directory))
    found = []
    for dtype in torch.float32, torch.float64:
        model = BartForConditionalGeneration.from_pretrained(directory, dtype=dtype, attn_implementation="eager").eval()
        found.append([[best[0] for best in search(model, sources, options)] for _, _, options in plans])
    single, double = found
    stable = [i for i in range(len(lines)) if all(a[i]["tokens"] == b[i]["tokens"] for a, b in zip(single, double))]
    print(f"{directory.name}: {len(lines) - len(stable)} of {len(lines)} lines have ties")
    stable = stable[:14]

    expected = []
    for (options, generation, _), results in zip(plans, single):
        ids = [results[i]["tokens"] for i in stable]
        pieces = [[tokenizer.id_to_token(token) for token in one if token != 2] for one in ids]
        text = [tokenizer.decode(one) for one in ids]
        scores = [results[i]["score"] for i in stable]
        expected.append(dict(engine="huggingface", arguments=options, generation_config=generation, ids=ids, pieces=pieces,
                             text=text, score=scores))  # fmt: skip
        print(f"  {options} lengths {sorted(map(len, ids))}, {sum(a != b for a, b in zip(expected[0]['ids'], ids))} not as the first")
    body = ",\n".join(json.dumps(run, ensure_ascii=False) for run in expected)
    head = f'"lines": {json.dumps([lines[i] for i in stable], ensure_ascii=False)},\n'
    head += f'"source_ids": {json.dumps([sources[i] for i in stable])},\n'
    (directory / "expected.json").write_text(f'{{{head}"runs": [\n{body}\n]}}\n', encoding="utf8")


if __name__ == "__main__":
    main()
