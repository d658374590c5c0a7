"""Translations by a model of our own as a training source: teacher labels and back-translations.

    translate --model MODEL --beam-size 4 --n-best 4 --format json < FILE > TRANSLATIONS.json
    python -m training choose RUN_DIRECTORY FILE TRANSLATIONS.json OUTPUT.tsv [--reverse]

A small model guesses at the words it has seldom seen. Of the candidates for a sentence this takes the
one with the best score, where every rare word that is translated as the dictionary `lex-wiktionary`
says adds a bonus. A sentence goes when a word next to unknown to the model is translated otherwise,
or is in no dictionary and does not stand in the translation as it is, as a name would; and when its
translation is far too short or too long, or repeats itself. `--reverse` says that FILE is English.
"""

import argparse
import json
import re
from collections import Counter, defaultdict
from pathlib import Path

from .corpus import keep, load_pairs
from .lexicon import SOURCES
from .pair import Pair

RARE, UNKNOWN = 30, 3
BONUS = 0.5  # in log-probability a piece
ENDINGS = {
    "de": ["", "e", "n", "s", "t", "en", "er", "es", "em", "st", "te", "ten", "test", "tet"],
    "en": ["", "s", "d", "es", "ed", "er", "ly", "ing", "'s"],
}


def words(sentence):
    return re.findall(r"[^\W\d_]+", sentence.lower())


def repeats(sentence):
    tokens = sentence.split()
    return len(tokens) > 8 and len(set(tokens)) < 0.5 * len(tokens)


def plausible(german, english):
    short, long = sorted((len(german), len(english)))
    return (
        keep(german, english)
        and long < 3 * short + 20
        and not repeats(german)
        and not repeats(english)
    )


def stem(word):
    return word[: max(4, len(word) - 2)]


class Dictionary:
    def __init__(self, pairs, language):
        self.endings = ENDINGS[language]
        self.entries = defaultdict(list)
        for word, translation in pairs:
            word = [part for part in words(word) if part not in ("to", "sich")]
            translation = [stem(part) for part in words(translation) if part not in ("to", "sich")]
            if len(word) == 1 and translation:
                self.entries[word[0]].append(translation)

    def __getitem__(self, word):
        """Its translations, each a list of stems; those of its possible base forms, too."""
        found = []
        for ending in self.endings:
            if word.endswith(ending):
                base = word[: len(word) - len(ending)]
                for form in {base, base + "en", base + "e"}:
                    if len(base) > 2:
                        found += self.entries.get(form, [])
        return found


def agrees(translations, sentence):
    tokens = words(sentence)
    return any(
        all(any(token.startswith(part) for token in tokens) for part in translation)
        for translation in translations
    )


def choose(sentence, candidates, counts, dictionary):
    """The best of `candidates` (translation, score), or None if it cannot be trusted."""
    rare = {word: dictionary[word] for word in words(sentence) if counts[word] <= RARE}

    def worth(candidate):
        translation, score = candidate
        return score + BONUS * sum(agrees(entries, translation) for entries in rare.values())

    translation, _ = max(candidates, key=worth)
    for word, entries in rare.items():
        if counts[word] <= UNKNOWN and word not in words(translation):
            if not agrees(entries, translation):
                return None
    return translation


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("input", type=Path)
    parser.add_argument("translations", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--reverse", action="store_true", help="FILE is English")
    options = parser.parse_args()
    if Pair.of(options.run).skips("choose"):
        return
    side = 1 if options.reverse else 0
    entries = load_pairs(options.run, "lex-wiktionary")
    if options.reverse:
        entries = [pair[::-1] for pair in entries]
    dictionary = Dictionary(entries, "en" if options.reverse else "de")
    known = [pair[side] for name in SOURCES for pair in load_pairs(options.run, name)]
    counts = Counter(word for sentence in known for word in set(words(sentence)))
    lines = options.input.read_text(encoding="utf-8").split("\n")[:-1]
    kept, changed = [], 0
    with open(options.translations, encoding="utf-8") as stream:
        for line, result in zip(lines, stream, strict=True):
            result = json.loads(result)
            ranked = result.get("translations", [result])
            candidates = [(entry["translation"], entry["score"]) for entry in ranked]
            best = choose(line, candidates, counts, dictionary)
            if best is None:
                continue
            changed += best != candidates[0][0]
            pair = (best, line) if options.reverse else (line, best)
            if plausible(*pair):
                kept.append("\t".join(" ".join(part.split()) for part in pair) + "\n")
    options.output.write_text("".join(kept), encoding="utf-8")
    print(
        f"{options.output}: kept {len(kept)} of {len(lines)}; {changed} are not the model's first"
    )


if __name__ == "__main__":
    main()
