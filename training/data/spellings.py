"""Writes the list of usual spellings with which the program mends German that was typed carelessly.

    python -m training spellings RUN_DIRECTORY vocab/spellings.txt

One word a line, as it is written within a sentence: `für`, `Haustür`, `gehen`. Lines are sorted by a key in which the
careless ways to type a word are one: small letters without accents, `ss` for `ß`, and no `e` after `a`, `o` or `u`. Of
words with one key the more frequent stands first. Counted is the German side of the training sources, but for words
that begin a sentence, whose capital says nothing. No development or test set is read.
"""

import argparse
import re
import unicodedata
from collections import Counter, defaultdict
from pathlib import Path

from .corpus import load_lines
from .pair import Pair

# Made-up sentences say nothing of how words are written.
MADE_UP = {"copies", "numbers", "exchanged", "lexicon-sentences"}
# The list is part of the program, whose licence is another than that of the dictionary Ding.
LEFT_OUT = {"ding-words", "ding-phrases", "ding-sentences"}
# In this one every word stands as within a sentence.
DICTIONARIES = {"lex-wiktionary"}
WORD = re.compile(r"[^\W\d_]+")
# A word behind another, with at most a comma between.
WITHIN = re.compile(r"(?<=[^\W\d_],\s)[^\W\d_]+|(?<=[^\W\d_]\s)[^\W\d_]+")
# Foreign names have other accents, and are written without them as often.
LETTERS = re.compile(r"[a-zäöüßéèêàâç]{2,}")
# A spelling that is rarer than this beside one that it may be a careless form of is taken for a mistake.
MISTAKE = 0.03
# A word with a capital has it so often at least.
CAPITAL = 0.9
# A word that is so many times more frequent in English sentences is English.
ENGLISH = 3
LARGEST = 500_000  # bytes


def fold(text):
    """Small letters without accents, `ss` for `ß`."""
    apart = unicodedata.normalize("NFD", text.lower().replace("ß", "ss"))
    return "".join(letter for letter in apart if not unicodedata.combining(letter))


def key(word):
    """What is the same in all careless forms of a word."""
    return re.sub(r"(?<=[aou])e+", "", fold(word))


def is_careless(typed, word):
    """Whether `typed` is `word` without accents, with `ae` for `ä`, or with `ss` for `ß`; both in small letters."""
    if not word:
        return not typed
    first, rest = word[0], word[1:]
    forms = {first, fold(first)} | ({fold(first) + "e"} if first in "äöü" else set())
    return any(typed.startswith(f) and is_careless(typed[len(f) :], rest) for f in forms)


def count(run):
    """How often each German spelling stands within a sentence, and each English word, every source with its weight."""
    german, english = Counter(), Counter()
    weights = Pair.of(run).weights
    for path in sorted((run / "data").glob("*.tsv")):
        name = path.stem
        if (
            name in MADE_UP | LEFT_OUT
            or name.startswith("teacher-")
            or "-back" in name
            or name.endswith("-marked")
        ):
            continue
        weight = weights.get(name, 1.0)
        pattern = WORD if name in DICTIONARIES else WITHIN
        own = Counter(), Counter()
        for line in load_lines(run, name):
            source, target = line.split("\t")[:2]
            own[0].update(pattern.findall(source))
            own[1].update(WORD.findall(target.lower()))
        for counts, of_source in zip((german, english), own):
            for word, times in of_source.items():
                counts[word] += weight * times
    return german, english


def in_usual_case(counts):
    """Each word in small letters: how it is usually written, and how often it occurs."""
    cases = defaultdict(Counter)
    for word, times in counts.items():
        if LETTERS.fullmatch(word.lower()):
            cases[word.lower()][word] += times
    words = {}
    for small, spellings in cases.items():
        total = sum(spellings.values())
        capital = sum(times for word, times in spellings.items() if word[0].isupper())
        word = small
        if capital >= CAPITAL * total:
            word = max(spellings, key=lambda word: (spellings[word], word))
        # Of a shouted headline.
        if word.isupper() and spellings[word] < CAPITAL * total:
            word = word.capitalize()
        words[small] = (word, total)
    return words


def usual(german, english):
    """The words in their usual spelling with how often they occur, the most frequent first."""
    words = in_usual_case(german)
    groups = defaultdict(list)
    for small in words:
        groups[key(small)].append(small)
    kept = []
    for group in groups.values():
        for small in group:
            word, times = words[small]
            others = [w for w in group if w != small]
            better = max((words[w][1] for w in others if is_careless(small, w)), default=0)
            # An English word is of use where it keeps itself from being mended.
            is_english = english[small] > ENGLISH * times
            if times >= MISTAKE * better and not (is_english and better == 0):
                kept.append((word, times))
    return sorted(kept, key=lambda entry: (-entry[1], entry[0]))


def choose(words, largest):
    """As many of the words as the file may hold, in its order."""
    size, chosen = 0, []
    for word, times in words:
        size += len(word.encode()) + 1
        if size > largest:
            break
        chosen.append((word, times))
    return sorted(chosen, key=lambda entry: (key(entry[0]), -entry[1], entry[0]))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="directory with the prepared data")
    parser.add_argument("list", type=Path, help="file to write")
    parser.add_argument("--largest", type=int, default=LARGEST, help="so many bytes at most")
    options = parser.parse_args()
    if Pair.of(options.run).skips("spellings", target=None):
        return
    words = choose(usual(*count(options.run)), options.largest)
    options.list.write_text("".join(f"{word}\n" for word, _ in words), encoding="utf-8")
    rarest = min(words, key=lambda entry: entry[1])
    print(f"{len(words)} words, the rarest {rarest[0]} with a weight of {rarest[1]:.1f}")


if __name__ == "__main__":
    main()
