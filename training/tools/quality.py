"""Prints how good a model directory is, through the program: BLEU, spoilt lines, numbers, copies, odd lines.

    python -m training quality RUN_DIRECTORY models/transformer --translate target/release/translate

`--sentences 200` and `--only bleu numbers` make it shorter; the table says so. Numbers, in digits and words, copies and symbols come
from the generators of `tests/reference/protected_spans.py`, which share no sentence with `generate.py`. They are
counted with the program's defaults, and for the bare model (`--protect none --no-normalize`). They are German, and left out of the
table of another pair.
"""

import argparse
import importlib.util
import json
import random
import re
import subprocess
import time
from pathlib import Path

import sacrebleu

from ..data import noise
from ..data.corpus import load_pairs, load_references
from ..data.pair import Pair

# Where a pair has none of these, all its sets.
SETS = [
    "everyday-dev",
    "tatoeba-dev",
    "newstest2019",
    "flores-dev",
    "iwslt17",
    "multi30k-test2016",
    "multi30k-test2017flickr",
]
SPOILT = [
    noise.capitals,
    noise.lower_case,
    noise.umlauts_as_two_letters,
    noise.umlauts_without_dots,
    noise.sharp_s_as_two_letters,
    noise.no_commas,
    noise.soft_hyphens,
]
OF_GERMAN = {"numbers", "words", "copies", "symbols"}
KINDS = ["bleu", "spoilt", "numbers", "words", "copies", "symbols", "odd"]
ODD_SOURCES = [
    "tatoeba-manythings",
    "everyday-apps",
    "desktop-ui",
    "ding-words",
    "manpages-de-marked",
]
GENERATORS = Path(__file__).parents[2] / "tests/reference/protected_spans.py"
BARE = ("--protect", "none", "--no-normalize")


class Program:
    """The `translate` program with one model; remembers how long it ran."""

    def __init__(self, path, model, options):
        self.command = [path, "--model", str(model), "--quiet", *options]
        self.seconds = 0.0

    def __call__(self, lines, *options):
        begun = time.time()
        text = "".join(line + "\n" for line in lines)
        command = [*self.command, *options]
        done = subprocess.run(command, input=text.encode(), stdout=subprocess.PIPE, check=True)
        self.seconds += time.time() - begun
        outputs = done.stdout.decode().split("\n")[:-1]
        assert len(outputs) == len(lines), (len(outputs), len(lines))
        return outputs


def every(texts, limit):
    """At most `limit` lines of each text, from all over it: everyday-dev is sorted by kind."""
    step = max(len(texts[0]) // limit, 1) if limit else 1
    return [text[::step][:limit] for text in texts]


def score(outputs, references):
    return sacrebleu.corpus_bleu(outputs, references).score


def generators():
    specification = importlib.util.spec_from_file_location("protected_spans", GENERATORS)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def repeated(line, output):
    """Whether one to four words come four times on end, and do not in the line."""
    again = re.compile(r"(?<!\S)(\S+(?: \S+){0,3})(?: \1){3}(?!\S)")
    return bool(again.search(output)) and not again.search(line)


def fault(line, output):
    """`empty`, `repeated`, `runaway`, or nothing."""
    if line.strip() and not output.strip():
        return "empty"
    if repeated(line, output):
        return "repeated"
    if len(output) > 3 * len(line) + 40:
        return "runaway"
    return None


def odd_lines(run, number):
    """What people also paste: words alone, the target language, capitals, keys at random, other scripts, cut lines, tables."""
    order = random.Random(19)
    source, target = [], []
    for name in Pair.of(run).among(ODD_SOURCES):
        pairs = load_pairs(run, name)
        for sides in order.sample(pairs, min(len(pairs), 4000)):
            source.append(sides[0])
            target.append(sides[1])
    letters = "abcdefghijklmnopqrstuvwxyzäöüß"
    alphabets = [
        "абвгдежзиклмнопрстуфхцчшыьюя",
        "αβγδεζηθικλμνοπρστυφχψω",
        "日本語中文字漢仮名東京",
        "אבגדהוזחטיכלמנ",
        "ابتثجحخدذرز",
    ]
    romance = "le chien court dans la neige el perro corre por la calle un uomo che legge il giornale o menino gosta de gelado".split()

    def word(some, least, most):
        return "".join(order.choice(some) for _ in range(order.randrange(least, most)))

    kinds = [
        lambda: order.choice(target),
        lambda: order.choice(target).upper(),
        lambda: order.choice(source).upper(),
        lambda: order.choice(source)[: order.randrange(1, 30)],
        lambda: " ".join(order.sample(order.choice(source).split() * 3, 3)),
        lambda: word(letters, 1, 25),
        lambda: " ".join(word(letters, 1, 9) for _ in range(order.randrange(1, 15))),
        lambda: " ".join(word(order.choice(alphabets), 1, 8) for _ in range(order.randrange(1, 8))),
        lambda: " ".join(order.choice(romance) for _ in range(order.randrange(2, 12))),
        lambda: (order.choice(source).split()[0] + " ") * order.randrange(2, 12),
        lambda: (
            order.choice(
                [
                    "?!",
                    "...",
                    "---",
                    "===",
                    "§ 5",
                    "=",
                    "+",
                    "a",
                    "ß",
                    "&",
                    "%",
                    "1",
                    "0,5",
                    ":-)",
                    "<3",
                ]
            )
            * order.randrange(1, 5)
        ),
        lambda: " | ".join(order.choice(source).split()[0] for _ in range(order.randrange(2, 7))),
        lambda: word("0123456789.,:-/ ", 1, 25),
        lambda: (
            order.choice(source)
            + " "
            + word("=+*#~^°§$€&%|<>{}[]\\", 1, 6)
            + " "
            + order.choice(source)
        ),
        lambda: order.choice(source).replace(" ", ""),
        lambda: order.choice(source).replace(" ", order.choice(["  ", " - ", "_", "...", " / "])),
    ]
    return [kinds[number % len(kinds)]().strip() or "-" for number in range(number)]


def report_bleu(program, options):
    for name in options.sets:
        source, *references = every(load_references(options.run, name), options.sentences)
        outputs = program(source)
        print(f"| {name} | {len(source)} | {score(outputs, references):.2f} BLEU |", flush=True)


def report_spoilt(program, options):
    pair = Pair.of(options.run)
    name = "everyday-dev" if "everyday-dev" in pair.development else options.sets[0]
    source, *references = every(load_references(options.run, name), options.sentences)
    clean = score(program(source), references)
    for kind in SPOILT:
        if kind not in noise.kinds(pair.source, pair.target):
            continue
        order = random.Random(19)
        spoilt = [kind(line, "", order)[0] for line in source]
        wanted, before = references, clean
        if kind is noise.capitals:
            wanted = [[line.upper() for line in text] for text in references]
        lost = before - score(program(spoilt), wanted)
        what = kind.__name__.replace("_", " ")
        print(f"| {name}, {what} | {len(source)} | {lost:.2f} BLEU lost |", flush=True)


def report_share(name, good):
    print(f"| {name} | {len(good)} | {100 * sum(good) / len(good):.1f} % |", flush=True)


def report_numbers(program, made):
    def digits(text):
        return re.sub(r"(?<=\d)[.,:/ '-](?=\d)", "", text)

    lines = list(made.numbers(random.Random(20)))
    for label, extra in (("", ()), (", bare model", BARE)):
        outputs = program([line for line, _ in lines], *extra)
        good = [
            re.search(rf"(?<!\d){digits(number)}(?!\d)", digits(output)) is not None
            for (_, number), output in zip(lines, outputs)
        ]
        report_share(f"numbers{label}", good)


def report_words(program, made):
    lines = list(made.words(random.Random(20)))
    for label, extra in (("", ()), (", bare model", BARE)):
        outputs = program([line for line, _ in lines], *extra)
        good = [made.has_value(output, forms) for (_, forms), output in zip(lines, outputs)]
        report_share(f"numbers in words{label}", good)


def report_copies(program, made):
    lines = list(made.copies(random.Random(20)))
    for label, extra in (("", ()), (", bare model", BARE)):
        outputs = program([line for line, _ in lines], *extra)
        good = [
            all(output.count(part) == line.count(part) for part in parts)
            for (line, parts), output in zip(lines, outputs)
        ]
        report_share(f"copies{label}", good)


def report_symbols(program, made):
    lines = list(made.symbols(random.Random(20)))
    for label, extra in (("", ()), (", bare model", BARE)):
        outputs = program([line for line, _, _ in lines], *extra)
        plain = program([without for _, without, _ in lines], *extra)
        good = [
            made.bare(output, parts) == made.bare(clean, parts)
            for (_, _, parts), output, clean in zip(lines, outputs, plain)
        ]
        report_share(f"symbols{label}", good)


def report_odd(program, options):
    """Faults, and those of them that the program does not warn of.

    It warns of truncated translations and of those that repeat themselves; its JSON says the same of each line, where
    the warnings name only the first.
    """
    lines = odd_lines(options.run, options.odd)
    found = [json.loads(output) for output in program(lines, "--format", "json")]
    outputs = [line["translation"] for line in found]
    warned = [
        any(line[key] for key in ("truncated", "looping", "unlikely_length")) for line in found
    ]
    faults = [fault(line, output) for line, output in zip(lines, outputs)]
    for kind in ("empty", "repeated", "runaway"):
        silent = sum(what == kind and not said for what, said in zip(faults, warned))
        result = f"{faults.count(kind)}, {silent} of them not reported"
        print(f"| odd lines, {kind} | {len(lines)} | {result} |", flush=True)
    print(f"| odd lines, reported | {len(lines)} | {sum(warned)} |", flush=True)
    for line, output, what, said in zip(lines, outputs, faults, warned):
        if what and options.verbose:
            print(
                f"    {what}, {'reported' if said else 'not reported'}: {line}\n        {output[:200]}"
            )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="directory with the prepared data")
    parser.add_argument("model", help="model directory, or the name of a built-in one")
    parser.add_argument("--translate", required=True, help="path of the `translate` program")
    parser.add_argument("--only", nargs="*", choices=KINDS, default=KINDS)
    parser.add_argument("--sets", nargs="*", help="default: those that the cards name")
    parser.add_argument("--sentences", type=int, help="so many lines of each set")
    parser.add_argument("--odd", type=int, default=20_000, help="how many odd lines")
    parser.add_argument("--options", default="", help="for the program: '--precision int8'")
    parser.add_argument("--verbose", action="store_true", help="with the odd lines that fail")
    options = parser.parse_args()
    pair = Pair.of(options.run)
    if options.sets is None:
        options.sets = [name for name in SETS if name in pair.held_out] or pair.held_out
    program = Program(options.translate, options.model, options.options.split())
    print("| what | lines | result |")
    print("|---|---:|---:|")
    reports = {
        "bleu": lambda: report_bleu(program, options),
        "spoilt": lambda: report_spoilt(program, options),
        "numbers": lambda: report_numbers(program, generators()),
        "words": lambda: report_words(program, generators()),
        "copies": lambda: report_copies(program, generators()),
        "symbols": lambda: report_symbols(program, generators()),
        "odd": lambda: report_odd(program, options),
    }
    for kind in options.only:
        if kind in OF_GERMAN and pair.skips(kind):
            continue
        reports[kind]()
    settings = {"model": options.model, "options": options.options, "sentences": options.sentences}
    print(f"\n{json.dumps(settings)}; the program ran for {program.seconds:.0f} seconds")


if __name__ == "__main__":
    main()
