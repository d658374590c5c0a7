"""More everyday sentences, from the Tatoeba test sets of all language pairs with German or English.

    python -m training.tatoeba OPUS_MT_TESTSETS RUN_DIRECTORY

OPUS_MT_TESTSETS is a checkout of the repository Helsinki-NLP/OPUS-MT-testsets, whose Tatoeba files
are CC BY 2.0 FR. Written to RUN_DIRECTORY/data, without any sentence of the development and test
sets and without what the other sources have:

    tatoeba-older.tsv   pairs of older versions of the German-English test set
    tatoeba-pivot.tsv   German and English translations of the same sentence of a third language
    tatoeba-mono.de     German sentences alone, for a teacher
    tatoeba-mono.en     English sentences alone, for back-translation
"""

import sys
from collections import defaultdict
from pathlib import Path

from .corpus import DEVELOPMENT_SETS, TEST_SETS, keep, load_pairs, load_set

KNOWN = ["tatoeba-manythings", "tatoeba-testrest", "shortphrases-excluded", "bcontrast-chat"]


def normalised(sentence):
    """Letters and digits alone, so that `Tom ist da!` counts as `Tom ist da.`"""
    return "".join(character for character in sentence.casefold() if character.isalnum())


def read(directory):
    """German-English pairs, and what German and English sentences translate in other languages."""
    direct = set()
    german = defaultdict(set)
    english = defaultdict(set)
    for path in sorted(directory.glob("testsets/*-*/tatoeba-test-*")):
        languages = path.parent.name.split("-")
        if path.suffix[1:] != languages[0] or languages[0] == languages[1]:
            continue
        if not {"deu", "eng"} & set(languages):
            continue
        columns = []
        for language in languages:
            file = path.with_suffix(f".{language}")
            columns.append(file.read_text(encoding="utf-8").split("\n") if file.exists() else [])
        if len(columns[0]) != len(columns[1]):
            continue
        for sentences in zip(*columns):
            pair = {lang: " ".join(text.split()) for lang, text in zip(languages, sentences)}
            if not all(pair.values()):
                continue
            if {"deu", "eng"} == set(languages):
                direct.add((pair["deu"], pair["eng"]))
            else:
                language, texts = ("deu", german) if "deu" in pair else ("eng", english)
                sentence = pair.pop(language)
                texts[next(iter(pair.items()))].add(sentence)
    return direct, german, english


def prepare(testsets, run):
    held_out = set()
    for name in DEVELOPMENT_SETS + TEST_SETS:
        for side in load_set(run, name):
            held_out.update(map(normalised, side))
    seen = set()
    known = (set(), set())
    for name in KNOWN:
        for pair in load_pairs(run, name):
            seen.add(tuple(map(normalised, pair)))
            for side, sentence in zip(known, pair):
                side.add(normalised(sentence))
    direct, german, english = read(testsets)
    pivot = {
        (source, target)
        for other in german.keys() & english.keys()
        for source in german[other]
        for target in english[other]
    }
    for name, pairs in (("tatoeba-older", direct), ("tatoeba-pivot", pivot)):
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


if __name__ == "__main__":
    prepare(Path(sys.argv[1]), Path(sys.argv[2]))
