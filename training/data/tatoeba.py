"""More everyday sentences, from Tatoeba's test sets and lists of pairs in all languages.

    python -m training tatoeba TESTSETS PAIRS RUN_DIRECTORY

TESTSETS is the Tatoeba directory of the repository Helsinki-NLP/OPUS-MT-testsets (CC BY 2.0 FR). In
the directory PAIRS lie other extracts of Tatoeba, as far as one has them (HISTORY.md names ours):

    NAME.fra.txt                       lines `English TAB French`, as manythings.org publishes them
    tatoeba.fra-eng.fra and .eng       the test set of the repository facebookresearch/LASER
    NAME.jsonl                         objects with `example_de` and `example_en`, or `sentence_…`

Written to RUN_DIRECTORY/data, without any sentence of the development and test sets and without
what the other sources have:

    tatoeba-older.tsv   pairs of older versions of the German-English test set
    tatoeba-more.tsv    German-English pairs of PAIRS
    tatoeba-pivot.tsv   German and English translations of the same sentence of a third language
    tatoeba-mono.de     German sentences alone, for a teacher
    tatoeba-mono.en     English sentences alone, for back-translation
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path

from .corpus import held_out_sentences, keep, load_pairs, normalised
from .pair import Pair

KNOWN = ["tatoeba-manythings", "tatoeba-testrest", "shortphrases-excluded", "bcontrast-chat"]

# The test sets have one name for what others keep apart.
MACRO_LANGUAGES = {"cmn": "zho"}


def test_sets(directory):
    """Each test set that has German or English: two languages and its pairs of sentences."""
    for path in sorted(directory.glob("testsets/*-*/tatoeba-test-*")):
        languages = path.parent.name.split("-")
        if path.suffix[1:] != languages[0] or languages[0] == languages[1]:
            continue
        if not {"deu", "eng"} & set(languages):
            continue
        files = [path.with_suffix(f".{language}") for language in languages]
        if all(file.exists() for file in files):
            yield languages, columns(*files)


def columns(*files):
    texts = [file.read_text(encoding="utf-8").split("\n") for file in files]
    return list(zip(*texts)) if len(texts[0]) == len(texts[1]) else []


def other_pairs(directory):
    """The same of everything else: lists, other test sets, examples of a dictionary."""
    for path in sorted(directory.glob("*.txt")):
        lines = path.read_text(encoding="utf-8").split("\n")
        yield with_english(path.stem), [line.split("\t")[:2] for line in lines if "\t" in line]
    for path in sorted(directory.glob("tatoeba.*-eng.eng")):
        other = path.stem.removesuffix("-eng")
        yield with_english(other), columns(path, path.with_suffix(Path(other).suffix))
    for path in sorted(directory.glob("*.jsonl")):
        entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        pairs = [
            (entry.get(f"{kind}_en") or "", entry.get(f"{kind}_de") or "")
            for entry in entries
            for kind in ("example", "sentence")
        ]
        yield ["eng", "deu"], pairs


def with_english(name):
    """English and the language after the last dot of `name`."""
    language = name.split(".")[-1]
    return ["eng", MACRO_LANGUAGES.get(language, language)]


def read(sets, german, english):
    """German-English pairs; what German and English sentences translate goes to the last two."""
    direct = set()
    for languages, pairs in sets:
        for sentences in pairs:
            pair = {lang: " ".join(text.split()) for lang, text in zip(languages, sentences)}
            if not all(pair.values()):
                continue
            if {"deu", "eng"} == set(languages):
                direct.add((pair["deu"], pair["eng"]))
            else:
                language, texts = ("deu", german) if "deu" in pair else ("eng", english)
                sentence = pair.pop(language)
                other, text = next(iter(pair.items()))
                texts[other, normalised(text)].add(sentence)
    return direct


def prepare(testsets, others, run):
    held_out = held_out_sentences(run)
    seen = set()
    known = (set(), set())
    for name in KNOWN:
        for pair in load_pairs(run, name):
            seen.add(tuple(map(normalised, pair)))
            for side, sentence in zip(known, pair):
                side.add(normalised(sentence))
    german = defaultdict(set)
    english = defaultdict(set)
    direct = read(test_sets(testsets), german, english)
    more = read(other_pairs(others), german, english)
    pivot = {
        (source, target)
        for other in german.keys() & english.keys()
        for source in german[other]
        for target in english[other]
    }
    kinds = (("tatoeba-older", direct), ("tatoeba-more", more), ("tatoeba-pivot", pivot))
    for name, pairs in kinds:
        lines = []
        for pair in sorted(pairs):
            key = tuple(map(normalised, pair))
            if key in seen or held_out & set(key) or not keep(*pair):
                continue
            seen.add(key)
            for side, sentence in zip(known, key):
                side.add(sentence)
            lines.append("\t".join(pair) + "\n")
        (run / "data" / f"{name}.tsv").write_text("".join(lines), encoding="utf-8")
        print(f"{name}: kept {len(lines)} of {len(pairs)} pairs", flush=True)
    for language, texts, side in (("de", german, known[0]), ("en", english, known[1])):
        sentences = sorted({sentence for group in texts.values() for sentence in group})
        lines = []
        for sentence in sentences:
            key = normalised(sentence)
            # Of `keep` only the tests of one side: a pair of equal sentences would always fail.
            if key in side or key in held_out or not keep(sentence, sentence + " "):
                continue
            side.add(key)
            if len(sentence.split()) <= 25:
                lines.append(sentence + "\n")
        (run / "data" / f"tatoeba-mono.{language}").write_text("".join(lines), encoding="utf-8")
        print(f"tatoeba-mono.{language}: kept {len(lines)} of {len(sentences)}", flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("testsets", type=Path, help="Tatoeba's directory of OPUS-MT-testsets")
    parser.add_argument("pairs", type=Path, help="directory with other extracts of Tatoeba")
    parser.add_argument("run", type=Path, help="directory with the prepared data")
    options = parser.parse_args()
    if not Pair.of(options.run).skips("tatoeba"):
        prepare(options.testsets, options.pairs, options.run)


if __name__ == "__main__":
    main()
