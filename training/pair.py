"""Puts a text and its translation by one of our models side by side, as a training source.

    python -m training.pair GERMAN ENGLISH OUTPUT.tsv

Both files have one sentence a line. Failed translations go: those far too short or too long, and
those that repeat themselves.
"""

import sys
from pathlib import Path

from .corpus import keep


def repeats(sentence):
    words = sentence.split()
    return len(words) > 8 and len(set(words)) < 0.5 * len(words)


def main(german, english, output):
    sides = [Path(path).read_text(encoding="utf-8").split("\n")[:-1] for path in (german, english)]
    if len(sides[0]) != len(sides[1]):
        sys.exit(f"{german} has {len(sides[0])} lines, {english} {len(sides[1])}")
    pairs = [tuple(" ".join(side.split()) for side in pair) for pair in zip(*sides)]
    good = []
    for pair in pairs:
        short, long = sorted(map(len, pair))
        if keep(*pair) and long < 3 * short + 20 and not any(map(repeats, pair)):
            good.append("\t".join(pair) + "\n")
    Path(output).write_text("".join(good), encoding="utf-8")
    print(f"{output}: kept {len(good)} of {len(pairs)} pairs")


if __name__ == "__main__":
    main(*sys.argv[1:])
