"""Dictionary words in sentences: rare words put in the place of frequent ones.

    python -m training lexicon RUN_DIRECTORY

Reads the dictionaries `lex-wiktionary` and `ding-words` and the everyday sentence pairs, and writes
RUN_DIRECTORY/data/lexicon-sentences.tsv. Where a pair holds a word of the dictionary and its
translation, each once, both are exchanged for another entry of the same kind: a noun for a noun of
the same gender, an adjective with the same ending, an infinitive for an infinitive. The new words are
rare in German and known in English. The sentences need not make sense. (Fadaee, Bisazza and Monz,
2017, "Data Augmentation for Low-Resource Neural Machine Translation", with a language model instead of
a dictionary.)
"""

import argparse
import random
import re
from collections import Counter, defaultdict
from pathlib import Path

from .corpus import held_out_sentences, load_pairs, normalised
from .pair import Pair

SOURCES = [
    "tatoeba-manythings",
    "tatoeba-testrest",
    "tatoeba-older",
    "tatoeba-more",
    "tatoeba-pivot",
]
ENGLISH_TEXTS = ["tatoeba-mono.en", "multi30k-captions-mono.en"]
RARE = 20
SENTENCES_PER_WORD = 6
# A word of the larger dictionary counts when it has few translations: it lists every sense of every trade.
MOST_TRANSLATIONS = 3
LONGEST_TERM = 3  # English words: Hustensaft is a `cough syrup`
SHORTEST, LONGEST = 4, 14
ENDINGS = ["em", "en", "er", "es", "e", ""]
# They have adjectives' endings and are none.
DETERMINERS = set("ein kein mein dein sein ihr unser euer jed dies all manch solch welch".split())
GENDERS = {
    "m": {"den", "einen", "keinen", "meinen", "deinen", "seinen", "ihren", "unseren", "diesen"},
    "f": {"die", "eine", "keine", "meine", "deine", "seine", "ihre", "unsere", "diese", "einer"},
    "n": {"das", "dieses"},
}
GENDER_OF = {word: gender for gender, words in GENDERS.items() for word in words}


BEFORE, AFTER = r"(?<![\w'’-])", r"(?![\w'’-])"


def words(sentence):
    return re.findall(rf"{BEFORE}[^\W\d_]+(?:['’-][^\W\d_]+)*{AFTER}", sentence)


def kind(german):
    if german[0].isupper():
        return "noun"
    return "verb" if re.search(r"(en|eln|ern)$", german) else "adjective"


class Genders:
    """Guesses a noun's gender from the articles before it, or before nouns with the same ending."""

    def __init__(self, sentences):
        self.seen = defaultdict(Counter)
        for sentence in sentences:
            tokens = words(sentence)
            for article, noun in zip(tokens, tokens[1:]):
                gender = GENDER_OF.get(article.lower())
                if gender and noun[0].isupper():
                    for start in range(max(len(noun) - 2, 1)):
                        self.seen[noun[start:].lower()][gender] += 1

    def __call__(self, noun):
        for start in range(max(len(noun) - 2, 1)):
            counts = self.seen.get(noun[start:].lower())
            if counts and sum(counts.values()) >= 2:
                return counts.most_common(1)[0][0]
        return "?"


def article(sentence, position):
    """`a` and `an` before the word that begins at `position` follow its first letter."""
    before = re.search(r"\b([Aa])n? $", sentence[:position])
    if not before:
        return sentence
    right = before[1] + ("n " if sentence[position].lower() in "aeiou" else " ")
    return sentence[: before.start()] + right + sentence[position:]


def exchange(sentence, old, new):
    position = re.search(BEFORE + re.escape(old) + AFTER, sentence).start()
    return sentence[:position] + new + sentence[position + len(old) :], position


def contexts(pairs, entries, genders):
    """By kind of word: a pair, the dictionary word in it, its ending, and its translation."""
    found = defaultdict(list)
    for pair in pairs:
        german, english = map(words, pair)
        if not SHORTEST <= len(german) <= LONGEST:
            continue
        in_german, in_english = Counter(german), Counter(english)
        for word in dict.fromkeys(german[1:]):  # not a set: its order is chance
            for ending in ENDINGS:
                base = word[: len(word) - len(ending)]
                if not word.endswith(ending) or base not in entries or base in DETERMINERS:
                    continue
                what = kind(base)
                if ending and what != "adjective":
                    continue
                matching = [t for t in entries[base] if in_english[t] == 1]
                if in_german[word] == 1 and len(matching) == 1:
                    group = (what, ending, genders(base) if what == "noun" else "")
                    found[group, matching[0][0].isupper()].append((pair, word, matching[0]))
                break
    return found


def term(german, english):
    """The English term of a dictionary entry for one German word, `to` of verbs left out; or nothing."""
    english = english.removeprefix("to ")
    plain = all(re.fullmatch(r"[A-Za-z'-]+", word) for word in english.split())
    if german.isalpha() and plain and len(english.split()) <= LONGEST_TERM:
        return english
    return None


def dictionary(wiktionary, ding):
    """German words and their English terms, the first one the likeliest."""
    entries = defaultdict(list)
    for german, english in wiktionary:
        if len(german.split()) == len(english.split()) == 1 and german.isalpha():
            entries[german].append(english)
    more = defaultdict(list)
    for german, english in ding:
        english = term(german, english)
        if english and german not in entries:
            more[german].append(english)
    entries.update((word, terms) for word, terms in more.items() if len(terms) <= MOST_TRANSLATIONS)
    return entries


def prepare(run):
    order = random.Random(1)
    entries = dictionary(load_pairs(run, "lex-wiktionary"), load_pairs(run, "ding-words"))
    pairs = [pair for name in SOURCES for pair in load_pairs(run, name)]
    texts = [(run / "data" / name).read_text(encoding="utf-8") for name in ENGLISH_TEXTS]
    known = Counter(words("\n".join(texts + [pair[1] for pair in pairs])))
    seen = Counter(word for pair in pairs for word in words(pair[0]))
    held_out = held_out_sentences(run)
    genders = Genders(pair[0] for pair in pairs)
    found = contexts(pairs, entries, genders)
    lines = set()
    used = set()
    for german, translations in entries.items():
        # Its first translation is the commonest, as far as English texts know it at all.
        good = [e for e in translations if min(known[word] for word in e.split()) >= 3]
        what = kind(german)
        endings = ENDINGS if what == "adjective" else [""]
        if not good or sum(seen[german + ending] for ending in endings) > RARE:
            continue
        for _ in range(SENTENCES_PER_WORD):
            ending = order.choice(endings)
            english = good[0] if order.random() < 0.75 else order.choice(good)
            group = (what, ending, genders(german) if what == "noun" else "")
            examples = found.get((group, english[0].isupper()))
            if not examples:
                continue
            pair, word, translation = order.choice(examples)
            source, _ = exchange(pair[0], word, german + ending)
            target, position = exchange(pair[1], translation, english)
            target = article(target, position)
            if {normalised(source), normalised(target)} & held_out:
                continue
            used.add(german)
            lines.add(f"{source}\t{target}\n")
    (run / "data" / "lexicon-sentences.tsv").write_text("".join(sorted(lines)), encoding="utf-8")
    print(f"lexicon-sentences: {len(lines)} sentences with {len(used)} rare words")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="directory with the prepared data")
    run = parser.parse_args().run
    if not Pair.of(run).skips("lexicon"):
        prepare(run)


if __name__ == "__main__":
    main()
