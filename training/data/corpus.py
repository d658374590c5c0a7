"""Reads the parallel corpora, cleans them and writes one tab-separated file per source.

python -m training corpus CORPORA_DIRECTORY RUN_DIRECTORY
"""

import gzip
import html
import re
import sys
from pathlib import Path

# source: (tokenised?, how often each pair is drawn per epoch)
# Captions and everyday language are what the built-in models are for, so they are drawn most. Interface
# strings and technical handbooks are two thirds of the words; unweighted they would be most of every epoch.
TRAINING_SOURCES = {
    # captions
    "multi30k-train": (False, 2.0),
    # what people say and write every day
    "tatoeba-manythings": (False, 1.0),
    "tatoeba-testrest": (False, 2.0),
    "shortphrases-excluded": (False, 2.0),
    "bcontrast-chat": (False, 0.7),
    "cocoa-mt": (False, 1.5),
    "ding-sentences": (False, 2.0),
    "everyday-apps": (False, 0.8),
    "games-narrative": (False, 0.7),
    "gnome-recipes": (False, 3.0),
    "everyday-vocab": (False, 2.0),
    # news and encyclopedia
    "newstest2008-2018": (False, 1.5),
    "mlqe-pe": (True, 0.7),
    "ud-pud": (False, 1.5),
    "mt-geneval": (False, 0.7),
    "opennmt-wmt10k": (True, 0.7),
    "europarl-ibm1": (True, 0.5),
    # dictionaries: words the sentences lack
    "lex-wiktionary": (False, 0.3),
    "ding-words": (False, 0.3),
    "ding-phrases": (False, 0.6),
    "cldr-names": (False, 0.5),
    # interfaces
    "web-ui": (False, 0.4),
    "desktop-ui": (False, 0.12),
    "tech-ui": (False, 0.05),
    # lessons in copying: every pair holds a placeholder, tag, option, path or address
    "everyday-apps-marked": (False, 0.7),
    "games-narrative-marked": (False, 0.4),
    "web-ui-marked": (False, 0.4),
    "desktop-ui-marked": (False, 0.1),
    "tech-ui-marked": (False, 0.05),
    "gnome-apps-help-marked": (False, 0.3),
    "kde-docs-marked": (False, 0.3),
    "libreoffice-help-marked": (False, 0.3),
    "manpages-de-marked": (False, 0.03),
    # handbooks and help
    "appstream": (False, 1.0),
    "gnome-help": (False, 0.3),
    "gnome-apps-help": (False, 0.25),
    "kde-docs": (False, 0.2),
    "libreoffice-help": (False, 0.15),
    "gimp-help": (False, 0.3),
    "tutorials-hints": (False, 0.5),
    "more-docs": (False, 0.2),
    "debian-handbook": (False, 0.2),
    "debian-docs": (False, 0.15),
    "debconf": (False, 0.15),
    "debian-descriptions": (False, 0.15),
    "tldr-pages": (False, 0.3),
    "manpages-de": (False, 0.04),
}
DEVELOPMENT_SETS = ["multi30k-val", "tatoeba-dev", "flores-dev", "everyday-dev"]
TEST_SETS = [
    "multi30k-test2016",
    "multi30k-test2017flickr",
    "multi30k-test2017mscoco",
    "newstest2019",
    "newstest2020",
    "iwslt17",
]
TWO_REFERENCES = "everyday-dev"  # a directory of its own in CORPORA, not compressed
CAPTIONS = "multi30k-captions-mono"  # not pairs: text for back-translation and for a teacher
MAXIMUM_WORDS = 90

OPENING = set("([{„‚«¿¡")
CLOSING = set(")]}.,;:!?%…”’»") | {"...", "..", "?!", "!!", "!?"}
ENGLISH_CLITIC = re.compile(r"^(?:'(?:s|m|d|ll|re|ve)|n't)$", re.IGNORECASE)


def detokenise(line, language):
    """Glues Moses-style tokens together again: `I 'm here .` becomes `I'm here.`"""
    line = html.unescape(line).replace("@-@", "-").replace("`` ", '" ').replace(" ''", ' "')
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


def clean(line, language, tokenised, marked=False):
    """Single spaces, no entities; what is `marked` keeps them, since it teaches to copy them."""
    line = " ".join((line if marked else html.unescape(line)).split())
    return detokenise(line, language) if tokenised else line


def keep(german, english, marked=False):
    """Drops pairs that cannot be translations of each other; `marked` ones may have many signs."""
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
    # Lines that are mostly digits, markup or code are not sentences.
    letters = sum(character.isalpha() or character == " " for character in german)
    return letters >= (0.4 if marked else 0.7) * len(german)


def normalised(sentence):
    """Letters and digits alone, so that `Tom ist da!` counts as `Tom ist da.`"""
    return "".join(character for character in sentence.casefold() if character.isalnum())


def read_lines(path):
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as stream:
        return [line.rstrip("\r\n") for line in stream]


def read_pairs(corpora, name):
    german = read_lines(corpora / f"{name}.de.gz")
    english = read_lines(corpora / f"{name}.en.gz")
    assert len(german) == len(english), name
    return list(zip(german, english))


def write_held_out_sets(corpora, data):
    """Copies development and test sets to `data`: NAME.de, NAME.en, and NAME.en2 of a second reference."""
    for name in DEVELOPMENT_SETS + TEST_SETS:
        if name == TWO_REFERENCES:
            continue
        for index, language in enumerate(("de", "en")):
            text = "".join(pair[index] + "\n" for pair in read_pairs(corpora, name))
            (data / f"{name}.{language}").write_text(text, encoding="utf-8")
    for ending, ours in (("de", "de"), ("en1", "en"), ("en2", "en2")):
        text = (corpora / TWO_REFERENCES / f"{TWO_REFERENCES}.{ending}").read_text(encoding="utf-8")
        (data / f"{TWO_REFERENCES}.{ours}").write_text(text, encoding="utf-8")


def held_out_sentences(run):
    """The development and test sets in both languages, normalised."""
    texts = []
    for name in DEVELOPMENT_SETS + TEST_SETS:
        german, *references = load_references(run, name)
        texts += [german, *references]
    return {normalised(sentence) for text in texts for sentence in text}


def clean_pairs(pairs, tokenised, marked, held_out, seen):
    """The pairs that may be trained on; `seen` gets them all and keeps later ones from coming twice."""
    for german, english in pairs:
        german = clean(german, "de", tokenised, marked)
        english = clean(english, "en", tokenised, marked)
        if "\t" in german + english or not keep(german, english, marked):
            continue
        if normalised(german) in held_out or normalised(english) in held_out:
            continue
        if (german, english) not in seen:
            seen.add((german, english))
            yield german, english


def prepare(corpora, run):
    data = run / "data"
    data.mkdir(parents=True, exist_ok=True)
    write_held_out_sets(corpora, data)
    held_out = held_out_sentences(run)
    for language in ("de", "en"):
        lines = dict.fromkeys(read_lines(corpora / f"{CAPTIONS}.{language}.gz"))
        text = "".join(line + "\n" for line in lines if normalised(line) not in held_out)
        (data / f"{CAPTIONS}.{language}").write_text(text, encoding="utf-8")
    seen = set()
    for name, (tokenised, _) in TRAINING_SOURCES.items():
        pairs = read_pairs(corpora, name)
        kept = list(clean_pairs(pairs, tokenised, name.endswith("-marked"), held_out, seen))
        if name == "lex-wiktionary":
            kept = [pair for pair in kept if pair[0] != pair[1]]
        text = "".join(f"{german}\t{english}\n" for german, english in kept)
        (data / f"{name}.tsv").write_text(text, encoding="utf-8")
        print(f"{name}: kept {len(kept)} of {len(pairs)} pairs", flush=True)


def load_lines(run, name):
    """The pairs of a source as lines `German TAB English`: half the memory of pairs."""
    return (run / "data" / f"{name}.tsv").read_text(encoding="utf-8").split("\n")[:-1]


def load_pairs(run, name):
    return [tuple(line.split("\t")) for line in load_lines(run, name)]


def load_references(run, name):
    """A development or test set: its sentences, then one list for each reference there is."""
    paths = [run / "data" / f"{name}.{ending}" for ending in ("de", "en", "en2")]
    return [path.read_text(encoding="utf-8").split("\n")[:-1] for path in paths if path.exists()]


def load_set(run, name):
    """A development or test set as two lists of sentences: the source and its first reference."""
    return tuple(load_references(run, name)[:2])


if __name__ == "__main__":
    prepare(Path(sys.argv[1]), Path(sys.argv[2]))
