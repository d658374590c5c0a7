#!/usr/bin/env python3
"""What text is before a list of pieces numbers it: Moses in its options, truecasing, subword-nmt.

    segmentation_reference.py fixture           tests/fixtures/segmentation.json, from the lines of moses_reference.py
    segmentation_reference.py lines FILE COUNT  the same of COUNT lines for each of six languages, out of the translations of
                                                installed programs (gettext catalogues in /usr/share/locale)

    TRANSLATE_SEGMENTATION=FILE cargo test --test it segmentation::texts -- --nocapture

compares this program with a FILE. Needs sacremoses 0.1.1 and subword-nmt 0.3.8.

Each of `lines` has a `language`, a `text` and

    punctuation  the text with its punctuation normalised, nothing else
    tokens       its Moses tokens as it stands: no normalising, no splitting of hyphens
    argos        the same after `punctuation`
    bare         with hyphens split, not escaped
    protected    as `bare`, but escaped and with `protected_patterns`
    truecased    `tokens` in their usual case
    detruecased  those, the first of a sentence with a capital
    detokenized  `detruecased` as a text
    second       `tokens` in pieces by codes of version 0.2 (and by the same with counts, as fastBPE writes them)
    first        the same by codes of version 0.1
    limited      as `second`, with a vocabulary and a threshold
    glossary     as `second`, with a glossary
"""
import collections
import gettext
import io
import json
import random
import sys
import tempfile
from pathlib import Path

import sacremoses
from sacremoses import MosesDetokenizer, MosesDetruecaser, MosesPunctNormalizer, MosesTokenizer, MosesTruecaser
from subword_nmt import learn_bpe
from subword_nmt.apply_bpe import BPE, read_vocabulary

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES = ["en", "de", "fr", "it", "ru", "cs"]
PROTECTED = MosesTokenizer.BASIC_PROTECTED_PATTERNS + MosesTokenizer.WEB_PROTECTED_PATTERNS
GLOSSARY = ["USA", r"\d{2}", "&apos;", "Größe"]
THRESHOLD = 3


def catalogue_lines(language, count):
    """Lines of installed programs' messages, each once, in the order of a seed."""
    lines = set()
    # English is what the catalogues translate from.
    for path in sorted(Path("/usr/share/locale").glob(f"{'de' if language == 'en' else language}/LC_MESSAGES/*.mo")):
        try:
            with path.open("rb") as file:
                catalogue = gettext.GNUTranslations(file)._catalog
        except (OSError, UnicodeDecodeError):
            continue
        for source, target in catalogue.items():
            text = (source[0] if isinstance(source, tuple) else source) if language == "en" else target
            lines.update(line for line in text.split("\n") if len(line) > 20)
    lines = sorted(lines)
    random.Random(1).shuffle(lines)
    if len(lines) < count:
        print(f"{language}: only {len(lines)} lines", file=sys.stderr)
    return lines[:count]


def merges(words, count, end_is_piece):
    """Pairs in the order of their merging, with how often each was seen, as learn_bpe finds them."""
    def pieces(word):
        return (*word, "</w>") if end_is_piece else (*word[:-1], word[-1] + "</w>")
    vocabulary = sorted(((pieces(word), times) for word, times in words.items()), key=lambda entry: entry[1], reverse=True)
    statistics, indices = learn_bpe.get_pair_statistics(vocabulary)
    found = []
    while len(found) < count:
        best = max(statistics, key=lambda pair: (statistics[pair], pair))
        if statistics[best] < 2:
            break
        found.append((best, statistics[best]))
        changes = learn_bpe.replace_pair(best, vocabulary, indices)
        learn_bpe.update_pair_statistics(best, changes, statistics, indices)
        statistics[best] = 0
    return found


def truecase_model(texts):
    with tempfile.NamedTemporaryFile(suffix=".truecase") as file:
        MosesTruecaser().train([text.split() for text in texts], save_to=file.name)
        return Path(file.name).read_text(encoding="utf-8"), MosesTruecaser(file.name)


def segmented(texts, merge_count):
    """`texts` are pairs of a language and a text."""
    tokenizers = {language: MosesTokenizer(lang=language) for language in LANGUAGES}
    lines = []
    for language, text in texts:
        tokenizer = tokenizers[language]
        punctuation = MosesPunctNormalizer(lang=language).normalize(text)
        lines.append({
            "language": language, "text": text, "punctuation": punctuation,
            "tokens": " ".join(tokenizer.tokenize(text)),
            "argos": " ".join(tokenizer.tokenize(punctuation)),
            "bare": " ".join(tokenizer.tokenize(text, aggressive_dash_splits=True, escape=False)),
            "protected": " ".join(tokenizer.tokenize(text, aggressive_dash_splits=True, protected_patterns=PROTECTED)),
        })
    models = {}
    for language in LANGUAGES:
        own = [line for line in lines if line["language"] == language]
        models[language], truecaser = truecase_model([line["tokens"] for line in own])
        for line in own:
            # As truecase.perl does, which leaves words in a case they are known in.
            line["truecased"] = " ".join(truecaser.truecase(line["tokens"], use_known=True))
            line["detruecased"] = " ".join(MosesDetruecaser().detruecase(line["truecased"]))
            try:
                line["detokenized"] = MosesDetokenizer(lang=language).detokenize(line["detruecased"].split())
            except TypeError:
                line["detokenized"] = None  # Czech dashes, on which sacremoses fails.

    words = collections.Counter(word for line in lines for word in line["tokens"].split())
    second, first = merges(words, merge_count, False), merges(words, merge_count, True)
    codes = {
        "second": "#version: 0.2\n" + "".join(f"{left} {right}\n" for (left, right), _ in second),
        "counted": "".join(f"{left} {right} {count}\n" for (left, right), count in second),
        "first": "".join(f"{left} {right}\n" for (left, right), _ in first),
    }
    bpe = {name: BPE(io.StringIO(codes[name])) for name in ("second", "first")}
    # Counts of some lines only, so that the others have pieces it lacks.
    pieces = collections.Counter(piece for line in lines[::2] for piece in bpe["second"].segment(line["tokens"]).split())
    vocabulary = "".join(f"{piece} {count}\n" for piece, count in pieces.most_common())
    bpe["limited"] = BPE(io.StringIO(codes["second"]), vocab=read_vocabulary(io.StringIO(vocabulary), THRESHOLD))
    bpe["glossary"] = BPE(io.StringIO(codes["second"]), glossaries=GLOSSARY)
    for line in lines:
        for name, codes_of in bpe.items():
            line[name] = " ".join(codes_of.segment(line["tokens"]).split())
    return {"sacremoses": sacremoses.__version__, "protected_patterns": PROTECTED, "truecase_models": models, "codes": codes,
            "vocabulary": vocabulary, "threshold": THRESHOLD, "glossary": GLOSSARY, "lines": lines}


def write(content, path):
    """One line for each entry."""
    def value(entry):
        dump = lambda entry: json.dumps(entry, ensure_ascii=False, separators=(",", ":"))
        return "[\n" + ",\n".join(map(dump, entry)) + "\n]" if isinstance(entry, list) else dump(entry)
    body = ",\n".join(f"{json.dumps(key)}:{value(entry)}" for key, entry in content.items())
    path.write_text("{" + body + "}\n", encoding="utf-8")


def main():
    if sacremoses.__version__ != "0.1.1":
        sys.exit(f"needs sacremoses 0.1.1, not {sacremoses.__version__}")
    if sys.argv[1] == "fixture":
        from moses_reference import TEXTS
        texts = [(LANGUAGES[at % len(LANGUAGES)], text) for at, text in enumerate(TEXTS)]
        write(segmented(texts, 120), ROOT / "tests/fixtures/segmentation.json")
    else:
        count = int(sys.argv[3])
        texts = [(language, text) for language in LANGUAGES for text in catalogue_lines(language, count)]
        write(segmented(texts, 4000), Path(sys.argv[2]))


if __name__ == "__main__":
    main()
