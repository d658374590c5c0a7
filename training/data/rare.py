"""Pairs that teach a rare German word, as training sources of their own that can weigh more.

    python -m training rare RUN_DIRECTORY SOURCE...

Half of the everyday pairs hold only words the model has long learnt; half of the sentences people
type hold one it has hardly seen. For each SOURCE, RUN_DIRECTORY/data/SOURCE-rare.tsv gets the pairs
whose rarest German word occurs in at most 50 sentences that people wrote. Words that none of them
holds do not count: a model that translates back makes words up.
"""

import argparse
from collections import Counter
from pathlib import Path

from .choose import words
from .corpus import load_pairs
from .lexicon import SOURCES
from .pair import Pair

GERMAN_TEXT = "tatoeba-mono.de"
RARE = 50


def rare_pairs(pairs, counts):
    chosen = []
    for pair in pairs:
        rarest = min((counts[word] for word in words(pair[0])), default=0)
        if 0 < rarest <= RARE:
            chosen.append(pair)
    return chosen


def prepare(run, sources):
    written = [german for name in SOURCES for german, _ in load_pairs(run, name)]
    written += (run / "data" / GERMAN_TEXT).read_text(encoding="utf-8").split("\n")
    counts = Counter(word for sentence in set(written) for word in set(words(sentence)))
    for name in sources:
        pairs = load_pairs(run, name)
        rare = rare_pairs(pairs, counts)
        text = "".join("\t".join(pair) + "\n" for pair in rare)
        (run / "data" / f"{name}-rare.tsv").write_text(text, encoding="utf-8")
        print(f"{name}-rare: {len(rare)} of {len(pairs)} pairs")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="directory with the prepared data")
    parser.add_argument("sources", nargs="+", help="training sources")
    options = parser.parse_args()
    if not Pair.of(options.run).skips("rare"):
        prepare(options.run, options.sources)


if __name__ == "__main__":
    main()
