"""Reads the parallel corpora, cleans them and writes one tab-separated file per source.

    python -m training corpus CORPORA RUN
    python -m training corpus CORPORA RUN --from cs --to en

CORPORA holds NAME.SOURCE.gz and NAME.TARGET.gz, a sentence a line. Of the German-English corpora `de-en.toml` says which
they are and how often each is drawn. Of any others NAME-dev are development sets, NAME-test test sets, NAME-mono single
sentences, and all others are trained on, each pair once per epoch; `--sources TABLE.toml` says otherwise. In a source
NAME-marked every pair has something to be copied. A set with two references may be a directory of its own: NAME/NAME.SOURCE,
NAME/NAME.TARGET1 and NAME/NAME.TARGET2, not compressed.
"""

import argparse
import gzip
import html
import re
import tomllib
from pathlib import Path

from .pair import GERMAN_ENGLISH, Pair

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


def keep(source, target, marked=False):
    """Drops pairs that cannot be translations of each other; `marked` ones may have many signs."""
    if not source or not target:
        return False
    source_words, target_words = len(source.split()), len(target.split())
    if max(source_words, target_words) > MAXIMUM_WORDS:
        return False
    if max(source_words, target_words) > 4:
        if not 0.4 <= source_words / target_words <= 2.5:
            return False
        if source == target:
            return False
    # Lines that are mostly digits, markup or code are not sentences.
    letters = sum(character.isalpha() or character == " " for character in source)
    return letters >= (0.4 if marked else 0.7) * len(source)


def normalised(sentence):
    """Letters and digits alone, so that `Tom ist da!` counts as `Tom ist da.`"""
    return "".join(character for character in sentence.casefold() if character.isalnum())


def read_lines(path):
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as stream:
        return [line.rstrip("\r\n") for line in stream]


def read_pairs(corpora, name, pair):
    sides = [
        read_lines(corpora / f"{name}.{language}.gz") for language in (pair.source, pair.target)
    ]
    assert len(sides[0]) == len(sides[1]), name
    return list(zip(*sides))


def write_held_out_sets(corpora, data, pair):
    """Copies development and test sets to `data`: NAME.SOURCE, NAME.TARGET, and NAME.TARGET2 of a second reference."""
    for name in pair.held_out:
        own = corpora / name
        if own.is_dir():
            for language in (pair.source, pair.target, pair.target + "2"):
                # The first reference may have a number.
                for ending in (language, language + "1"):
                    if (own / f"{name}.{ending}").exists():
                        text = (own / f"{name}.{ending}").read_text(encoding="utf-8")
                        (data / f"{name}.{language}").write_text(text, encoding="utf-8")
            continue
        sides = zip(*read_pairs(corpora, name, pair))
        for language, sentences in zip((pair.source, pair.target), sides):
            text = "".join(sentence + "\n" for sentence in sentences)
            (data / f"{name}.{language}").write_text(text, encoding="utf-8")


def held_out_sentences(run):
    """The development and test sets in both languages, normalised."""
    texts = []
    for name in Pair.of(run).held_out:
        source, *references = load_references(run, name)
        texts += [source, *references]
    return {normalised(sentence) for text in texts for sentence in text}


def clean_pairs(pairs, languages, tokenised, marked, held_out, seen):
    """The pairs that may be trained on; `seen` gets them all and keeps later ones from coming twice."""
    for sides in pairs:
        source, target = (
            clean(side, language, tokenised, marked) for side, language in zip(sides, languages)
        )
        if "\t" in source + target or not keep(source, target, marked):
            continue
        if normalised(source) in held_out or normalised(target) in held_out:
            continue
        if (source, target) not in seen:
            seen.add((source, target))
            yield source, target


def prepare(corpora, run, pair):
    data = run / "data"
    data.mkdir(parents=True, exist_ok=True)
    pair.save(run)
    if not pair.development:
        print("no development set: training will say its loss only")
    write_held_out_sets(corpora, data, pair)
    held_out = held_out_sentences(run)
    languages = (pair.source, pair.target)
    for name in pair.monolingual:
        for language in languages:
            lines = dict.fromkeys(read_lines(corpora / f"{name}.{language}.gz"))
            text = "".join(line + "\n" for line in lines if normalised(line) not in held_out)
            (data / f"{name}.{language}").write_text(text, encoding="utf-8")
    seen = set()
    for name, source in pair.training.items():
        pairs = read_pairs(corpora, name, pair)
        marked = name.endswith("-marked")
        kept = list(clean_pairs(pairs, languages, source.tokenised, marked, held_out, seen))
        if source.unequal:
            kept = [sides for sides in kept if sides[0] != sides[1]]
        text = "".join("\t".join(sides) + "\n" for sides in kept)
        (data / f"{name}.tsv").write_text(text, encoding="utf-8")
        print(f"{name}: kept {len(kept)} of {len(pairs)} pairs", flush=True)


def load_lines(run, name):
    """The pairs of a source as lines `source TAB target`: half the memory of pairs."""
    return (run / "data" / f"{name}.tsv").read_text(encoding="utf-8").split("\n")[:-1]


def load_pairs(run, name):
    return [tuple(line.split("\t")) for line in load_lines(run, name)]


def load_references(run, name):
    """A development or test set: its sentences, then one list for each reference there is."""
    pair = Pair.of(run)
    endings = (pair.source, pair.target, pair.target + "2")
    paths = [run / "data" / f"{name}.{ending}" for ending in endings]
    return [path.read_text(encoding="utf-8").split("\n")[:-1] for path in paths if path.exists()]


def load_set(run, name):
    """A development or test set as two lists of sentences: the source and its first reference."""
    return tuple(load_references(run, name)[:2])


def described(options):
    """The pair that the options ask for."""
    languages = options.source, options.target
    table = options.sources
    if table is None and sorted(languages) == ["de", "en"]:
        table = GERMAN_ENGLISH
    if table is None:
        return Pair.found_in(options.corpora, *languages)
    keys = tomllib.loads(table.read_text(encoding="utf-8"))
    pair = Pair.of_table({**keys, "source": languages[0], "target": languages[1]})
    names = [*pair.training, *pair.held_out, *pair.monolingual]
    lacking = [name for name in names if not is_there(options.corpora, name, pair.source)]
    if lacking == names and options.sources is None:
        # Somebody else's German-English corpora.
        return Pair.found_in(options.corpora, *languages)
    if lacking:
        text = ", ".join(lacking)
        raise SystemExit(f"{options.corpora} lacks {text}; --sources TABLE.toml describes others")
    return pair


def is_there(corpora, name, language):
    return (corpora / f"{name}.{language}.gz").exists() or (corpora / name).is_dir()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpora", type=Path, help="directory with the parallel text")
    parser.add_argument("run", type=Path, help="directory to prepare; checkpoints go there too")
    parser.add_argument("--from", dest="source", default="de", help="source language")
    parser.add_argument("--to", dest="target", default="en", help="target language")
    parser.add_argument("--sources", type=Path, help="TOML like de-en.toml: which texts, how often")
    options = parser.parse_args()
    prepare(options.corpora, options.run, described(options))


if __name__ == "__main__":
    main()
