"""Writes tests/fixtures/numbering.json: vocabularies as published families lay them out, over the small SentencePiece models of
this project, and the ids that Hugging Face transformers gives.

Run with transformers 4.57 (slow tokenizers, which later versions no longer have) and sentencepiece:

    python tests/reference/numbering_reference.py
"""

import json
import pathlib
import tempfile

from transformers import (
    BartTokenizer,
    ByT5Tokenizer,
    M2M100Tokenizer,
    MBart50Tokenizer,
    MBartTokenizer,
    NllbTokenizer,
    PegasusTokenizer,
    T5Tokenizer,
)

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "fixtures"
DIRECTORIES = {}
TEXTS = ["der hund läuft", "Ein kleines Kind, das spielt.", "☃ und 12 Häuser", "zwei   Wörter", "ein fremdes 中文 Wort"]


def spm(name):
    return str(FIXTURES / "sentencepiece" / name)


def write(name, tokenizer, model=None, targets=(), config=None, files=None):
    """One directory: its files (a model is named with its place among the fixtures), and what is expected of it."""
    cases = []
    for text in TEXTS:
        ids = tokenizer(text, add_special_tokens=False).input_ids
        cases.append({"text": text, "ids": ids, "decoded": tokenizer.decode(ids, skip_special_tokens=True)})
    DIRECTORIES[name] = {
        "model": list(model) if model else None,
        "files": {"tokenizer_config.json": json.dumps(config), **(files or {})},
        "cases": cases,
        "tokens": {token: tokenizer.convert_tokens_to_ids(token) for token in targets},
    }


def bare(tokenizer):
    """Ids of a tokenizer without its special tokens: those of mBART and its kin ignore `add_special_tokens`."""
    tokenizer.prefix_tokens, tokenizer.suffix_tokens = [], []
    return tokenizer


def main():
    t5 = T5Tokenizer(spm("unigram.spm"), extra_ids=5, legacy=True)
    write("t5", t5, ("unigram.spm", "spiece.model"), ["<extra_id_0>", "<extra_id_4>"],
          {"tokenizer_class": "T5Tokenizer", "extra_ids": 5})
    mt5 = T5Tokenizer(spm("unigram-bytes.spm"), extra_ids=0, legacy=True)
    write("mt5", mt5, ("unigram-bytes.spm", "spiece.model"), [], {"tokenizer_class": "T5Tokenizer", "extra_ids": 0})
    pegasus = PegasusTokenizer(spm("unigram.spm"), pad_token="<pad>", eos_token="</s>")
    write("pegasus", pegasus, ("unigram.spm", "spiece.model"), ["<pad>", "</s>", "<mask_1>", "<mask_2>", "<unk_2>"],
          {"tokenizer_class": "PegasusTokenizer"})
    mbart = bare(MBartTokenizer(spm("unigram.spm"), src_lang="de_DE"))
    write("mbart", mbart, ("unigram.spm", "sentencepiece.bpe.model"), ["ar_AR", "de_DE", "zh_CN", "<mask>", "<pad>", "<unk>"],
          {"tokenizer_class": "MBartTokenizer"})
    fifty = bare(MBart50Tokenizer(spm("unigram.spm"), src_lang="de_DE"))
    write("mbart50", fifty, ("unigram.spm", "sentencepiece.bpe.model"), ["ar_AR", "af_ZA", "sl_SI", "<mask>"],
          {"tokenizer_class": "MBart50Tokenizer"})
    # A tokenizer made from the model alone puts <mask> before the languages; published directories have it last, and say so.
    nllb = bare(NllbTokenizer(spm("bpe.spm"), src_lang="deu_Latn"))
    write("nllb", nllb, ("bpe.spm", "sentencepiece.bpe.model"), ["<s>", "<pad>", "</s>", "<unk>"],
          {"tokenizer_class": "NllbTokenizer"})
    pieces = T5Tokenizer(spm("bpe.spm"), extra_ids=0, legacy=True).sp_model
    table = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}
    for id in range(3, len(pieces)):
        # A published table lacks some pieces of its model.
        if id % 17:
            table[pieces.id_to_piece(id)] = len(table)
    table = json.dumps(table, ensure_ascii=False)
    with tempfile.TemporaryDirectory() as path:
        path = pathlib.Path(path)
        (path / "vocab.json").write_text(table, encoding="utf-8")
        m2m = bare(M2M100Tokenizer(str(path / "vocab.json"), spm("bpe.spm"), src_lang="de"))
    write("m2m100", m2m, ("bpe.spm", "sentencepiece.bpe.model"), ["__af__", "__de__", "__zu__"],
          {"tokenizer_class": "M2M100Tokenizer"}, {"vocab.json": table})
    write("byt5", ByT5Tokenizer(), None, ["<extra_id_0>", "<extra_id_124>"], {"tokenizer_class": "ByT5Tokenizer"})
    bpe = FIXTURES / "directories" / "bart_tokenizer" / "tokenizer.json"
    tokenizer = json.loads(bpe.read_text(encoding="utf-8"))
    vocabulary, merges = tokenizer["model"]["vocab"], tokenizer["model"]["merges"]
    for token in tokenizer["added_tokens"]:
        vocabulary.setdefault(token["content"], token["id"])
    lines = [merge if isinstance(merge, str) else " ".join(merge) for merge in merges]
    files = {
        "vocab.json": json.dumps(vocabulary, ensure_ascii=False),
        "merges.txt": "#version: 0.2\n" + "\n".join(lines) + "\n",
    }
    with tempfile.TemporaryDirectory() as path:
        path = pathlib.Path(path)
        for name, content in files.items():
            (path / name).write_text(content, encoding="utf-8")
        bart = BartTokenizer(str(path / "vocab.json"), str(path / "merges.txt"))
    write("bart", bart, None, ["<s>", "</s>", "<mask>"], {"tokenizer_class": "BartTokenizer"}, files)
    text = json.dumps(DIRECTORIES, ensure_ascii=False, separators=(",", ":"))
    (FIXTURES / "numbering.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
