"""Reads the parallel corpora, cleans them and writes one tab-separated file per source.

    python -m training.corpus CORPORA_DIRECTORY RUN_DIRECTORY
"""

import gzip
import html
import re
import sys
from pathlib import Path

# source: (tokenised?, how often each pair is drawn per epoch)
# Captions and everyday sentences are what the built-in models are for, so they are drawn most;
# the technical handbooks would otherwise fill a third of every epoch with sentences nobody types.
TRAINING_SOURCES = {
    "multi30k-train": (False, 5.0),
    "tatoeba-manythings": (False, 1.0),
    "tatoeba-testrest": (False, 1.0),
    "shortphrases-excluded": (False, 2.0),
    "bcontrast-chat": (False, 0.7),
    "cocoa-mt": (False, 1.0),
    "newstest2008-2018": (False, 0.6),
    "mlqe-pe": (True, 0.5),
    "ud-pud": (False, 0.7),
    "mt-geneval": (False, 0.4),
    "opennmt-wmt10k": (True, 0.4),
    "europarl-ibm1": (True, 0.4),
    "gnome-help": (False, 0.3),
    "debian-handbook": (False, 0.2),
    "tldr-pages": (False, 0.5),
    "lex-wiktionary": (False, 0.15),
}
DEVELOPMENT_SETS = ["multi30k-val", "tatoeba-dev", "flores-dev"]
TEST_SETS = [
    "multi30k-test2016",
    "multi30k-test2017flickr",
    "multi30k-test2017mscoco",
    "newstest2019",
    "newstest2020",
    "iwslt17",
]
CAPTIONS = "multi30k-captions-mono"  # not pairs: text for back-translation and for a teacher
MAXIMUM_WORDS = 90

OPENING = set("([{„‚«¿¡")
CLOSING = set(")]}.,;:!?%…”’»") | {"...", "..", "?!", "!!", "!?"}
ENGLISH_CLITIC = re.compile(r"^(?:'(?:s|m|d|ll|re|ve)|n't)$", re.IGNORECASE)


def detokenise(line, language):
    """Glues Moses-style tokens together again: `I 'm here .` becomes `I'm here.`"""
    line = html.unescape(line).replace("@-@", "-").replace("`` ", "\" ").replace(" ''", " \"")
    tokens = line.split()
    pieces = []
    glue_next = True
    open_quotes = set()
    for token in tokens:
        glue = glue_next
        glue_next = False
        if token in OPENING:
            glue_next = True
        elif token in CLOSING or (language == "de" and token == "“"):
            glue = True
        elif token == "“":
            glue_next = True
        elif token in ('"', "'"):
            # A straight quotation mark opens the first time and closes the second time.
            if token in open_quotes:
                open_quotes.remove(token)
                glue = True
            elif token == "'" and language == "en" and pieces and pieces[-1].endswith("s"):
                glue = True
            else:
                open_quotes.add(token)
                glue_next = True
        elif language == "en" and ENGLISH_CLITIC.match(token):
            glue = True
        elif token == "/":
            glue = glue_next = True
        if pieces and glue:
            pieces[-1] += token
        else:
            pieces.append(token)
    return " ".join(pieces)


def clean(line, language, tokenised):
    line = " ".join(html.unescape(line).split())
    return detokenise(line, language) if tokenised else line


def keep(german, english):
    """Drops pairs that cannot be translations of each other."""
    if not german or not english:
        return False
    german_words, english_words = len(german.split()), len(english.split())
    if max(german_words, english_words) > MAXIMUM_WORDS:
        return False
    if max(german_words, english_words) > 4:
        if not 0.4 <= german_words / english_words <= 2.5:
            return False
        if german == english:
            return False
    # Lines that are mostly digits, markup or code teach copying, which the model learns anyway.
    letters = sum(character.isalpha() or character == " " for character in german)
    return letters >= 0.7 * len(german)


def read_lines(path):
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as stream:
        return [line.rstrip("\r\n") for line in stream]


def read_pairs(corpora, name):
    german = read_lines(corpora / f"{name}.de.gz")
    english = read_lines(corpora / f"{name}.en.gz")
    assert len(german) == len(english), name
    return list(zip(german, english))


def prepare(corpora, run):
    data = run / "data"
    data.mkdir(parents=True, exist_ok=True)
    held_out = set()
    for name in DEVELOPMENT_SETS + TEST_SETS:
        pairs = read_pairs(corpora, name)
        held_out.update(german.lower() for german, _ in pairs)
        held_out.update(english.lower() for _, english in pairs if len(english.split()) > 4)
        for index, language in enumerate(("de", "en")):
            text = "".join(pair[index] + "\n" for pair in pairs)
            (data / f"{name}.{language}").write_text(text, encoding="utf-8")
    for language in ("de", "en"):
        lines = dict.fromkeys(read_lines(corpora / f"{CAPTIONS}.{language}.gz"))
        text = "".join(line + "\n" for line in lines if line.lower() not in held_out)
        (data / f"{CAPTIONS}.{language}").write_text(text, encoding="utf-8")
    for name, (tokenised, _) in TRAINING_SOURCES.items():
        seen = set()
        kept = []
        pairs = read_pairs(corpora, name)
        for german, english in pairs:
            german = clean(german, "de", tokenised)
            english = clean(english, "en", tokenised)
            if (german, english) in seen or not keep(german, english):
                continue
            if german.lower() in held_out or english.lower() in held_out:
                continue
            if name == "lex-wiktionary" and german == english:
                continue
            seen.add((german, english))
            kept.append(f"{german}\t{english}\n")
        (data / f"{name}.tsv").write_text("".join(kept), encoding="utf-8")
        print(f"{name}: kept {len(kept)} of {len(pairs)} pairs", flush=True)


def load_pairs(run, name):
    text = (run / "data" / f"{name}.tsv").read_text(encoding="utf-8")
    return [tuple(line.split("\t")) for line in text.split("\n") if line]


def load_set(run, name):
    """A development or test set as two lists of sentences."""
    return tuple(
        (run / "data" / f"{name}.{language}").read_text(encoding="utf-8").split("\n")[:-1]
        for language in ("de", "en")
    )


if __name__ == "__main__":
    prepare(Path(sys.argv[1]), Path(sys.argv[2]))
