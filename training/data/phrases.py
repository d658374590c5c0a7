"""Phrases and idiomatic sentences as a training source, written for this project.

    python -m training phrases RUN_DIRECTORY

`phrases.tsv` beside this file holds greetings, wishes, signs, sayings and sentences with verbs and words that
dictionary entries or word-by-word reading get wrong: `Frohe Weihnachten!`, `Was hast du heute vor?` Written to
RUN_DIRECTORY/data/phrases.tsv without any sentence of the development and test sets.
"""

import argparse
from pathlib import Path

from .corpus import held_out_sentences, normalised
from .pair import Pair

PHRASES = Path(__file__).with_suffix(".tsv")
SHORT = 4


def phrases():
    return [line.split("\t") for line in PHRASES.read_text(encoding="utf-8").splitlines()]


def variants(german, english):
    """The pair; a short one also as people type in a hurry, without full stop and without capital letters."""
    yield german, english
    if len(german.split()) > SHORT:
        return
    short = german.rstrip(".!?,")
    translation = english.rstrip(".!?,")
    yield short, translation
    yield short.lower(), translation


def prepare(run):
    held_out = held_out_sentences(run)
    kept = {}
    for pair in phrases():
        if not held_out & set(map(normalised, pair)):
            kept.update(("\t".join(variant) + "\n", None) for variant in variants(*pair))
    (run / "data" / "phrases.tsv").write_text("".join(kept), encoding="utf-8")
    print(f"phrases: {len(kept)} pairs from {len(phrases())} lines")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="directory with the prepared data")
    run = parser.parse_args().run
    if not Pair.of(run).skips("phrases"):
        prepare(run)


if __name__ == "__main__":
    main()
