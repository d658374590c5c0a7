"""Made-up lessons: numbers, dates, prices and clock times; addresses, placeholders and tags that are copied.

    python -m training generate RUN_DIRECTORY

Writes to RUN_DIRECTORY/data, the same lines every time:

    numbers.tsv    sentences with numbers of all kinds, in the signs of each language
    exchanged.tsv  pairs of the corpora, their number exchanged for another one on both sides
    copies.tsv     pairs of the corpora and sentences of our own with something to be copied

The sentences of our own stand in `lessons.tsv`: the kind of what is put in, German and English with X for it.
No line is one of the development and test sets. Of other pairs than German-English the corpora's pairs alone get numbers,
whole ones without signs between the digits, and something to be copied.
"""

import argparse
import random
import re
from collections import defaultdict
from itertools import islice
from pathlib import Path

from .corpus import held_out_sentences, load_pairs, normalised
from .pair import Pair

LESSONS = Path(__file__).with_name("lessons.tsv")
SEED = 19
NUMBERS, EXCHANGED, COPIES = 40_000, 40_000, 40_000
TRIES = 20  # for each line: small corpora do not have so many
EVERYDAY = [
    "tatoeba-manythings",
    "newstest2008-2018",
    "everyday-apps",
    "games-narrative",
    "bcontrast-chat",
]

HOURS = {
    1: ("eins", "one"), 2: ("zwei", "two"), 3: ("drei", "three"), 4: ("vier", "four"), 5: ("fünf", "five"),
    6: ("sechs", "six"), 7: ("sieben", "seven"), 8: ("acht", "eight"), 9: ("neun", "nine"), 10: ("zehn", "ten"),
    11: ("elf", "eleven"), 12: ("zwölf", "twelve"),
}  # fmt: skip
MONTHS = dict(
    zip(
        "Januar Februar März April Mai Juni Juli August September Oktober November Dezember".split(),
        "January February March April May June July August September October November December".split(),
    )
)
DAYS = dict(
    zip(
        "Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag".split(),
        "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split(),
    )
)
NAMES = "anna ben clara david emma felix greta hans ida jan karla lukas mia noah olga paul rosa simon tina uwe".split()
THINGS = (
    "garten rechnung bericht foto liste plan urlaub schule musik wetter karte reise projekt vertrag menu notes "
    "report image backup user session index config order ticket data table main test"
).split()


def grouped(number, sign):
    return f"{number:,}".replace(",", sign)


def integer(order):
    """A number of one to eight digits, each length as likely; without grouping up to four digits."""
    digits = order.choice([1, 2, 2, 3, 3, 4, 4, 5, 6, 7, 8])
    number = order.randrange(10 ** (digits - 1), 10**digits)
    if digits < 4 or (digits == 4 and order.random() < 0.4):
        return str(number), str(number)
    return grouped(number, "."), grouped(number, ",")


def count(order):
    """A number that is at least two, for plurals."""
    german, english = integer(order)
    return (german, english) if german not in ("0", "1") else ("17", "17")


def decimal(order):
    whole, rest = (
        order.choice([order.randrange(10), order.randrange(100), order.randrange(5000)]),
        order.choice([1, 1, 2]),
    )
    digits = f"{order.randrange(10**rest):0{rest}}"
    return f"{grouped(whole, '.')},{digits}", f"{grouped(whole, ',')}.{digits}"


def amount(order):
    whole, cents = (
        order.choice([order.randrange(1, 10), order.randrange(100), order.randrange(20_000)]),
        order.randrange(100),
    )
    if order.random() < 0.25:
        return grouped(whole, "."), grouped(whole, ",")
    return f"{grouped(whole, '.')},{cents:02}", f"{grouped(whole, ',')}.{cents:02}"


def price(order):
    german, english = amount(order)
    sign, name, plural = order.choice(
        [("€", "Euro", "euros")] * 4 + [("$", "Dollar", "dollars"), ("£", "Pfund", "pounds")]
    )
    form = order.randrange(3)
    if form == 0:
        return f"{german} {sign}", f"{sign}{english}"
    if form == 1:
        return f"{german} {name}", f"{english} {plural}"
    return f"{german} Franken", f"{english} francs"


def percentage(order):
    german, english = order.choice([decimal, lambda o: (str(o.randrange(2, 101)),) * 2])(order)
    return order.choice(
        [
            (f"{german} %", f"{english}%"),
            (f"{german}%", f"{english}%"),
            (f"{german} Prozent", f"{english} percent"),
        ]
    )


def clock(order):
    """What follows `um` and `at`: 14:30 stays what it is, `halb acht` is half an hour before eight."""
    form = order.randrange(7)
    hour = order.randrange(1, 13)
    german, english = HOURS[hour]
    after = HOURS[hour % 12 + 1][0]
    if form == 0:
        text = f"{order.randrange(24)}:{order.randrange(60):02}"
        return f"{text} Uhr", text
    if form == 1:
        hours, minutes = order.randrange(24), f"{order.randrange(60):02}"
        return f"{hours}.{minutes} Uhr", f"{hours}:{minutes}"
    if form == 2:
        return f"halb {after}", f"half past {english}"
    if form == 3:
        return f"Viertel nach {german}", f"a quarter past {english}"
    if form == 4:
        return f"Viertel vor {german}", f"a quarter to {english}"
    if form == 5:
        minutes, word, sign = order.choice(
            [("fünf", "five", ""), ("zehn", "ten", ""), ("zwanzig", "twenty", "")]
        )
        return order.choice([
            (f"{minutes} nach {german}", f"{word} past {english}"),
            (f"{minutes} vor {german}", f"{word} to {english}"),
        ])  # fmt: skip
    german = "ein" if hour == 1 else german
    return order.choice(
        [(f"{german} Uhr", f"{english} o'clock"), (f"{hour} Uhr", f"{hour} o'clock")]
    )


def date(order):
    """What follows `am` and `on`."""
    day, month, year = (
        order.randrange(1, 32),
        order.choice(list(MONTHS)),
        order.randrange(1900, 2040),
    )
    form = order.randrange(5)
    if form == 0:
        text = f"{day:02}.{order.randrange(1, 13):02}.{year}"
        return text, text
    if form == 1:
        return f"{day}. {month}", f"{day} {MONTHS[month]}"
    if form == 2:
        week = order.choice(list(DAYS))
        return f"{week}, dem {day}. {month},", f"{DAYS[week]}, {day} {MONTHS[month]},"
    return f"{day}. {month} {year}", f"{day} {MONTHS[month]} {year}"


def phone(order):
    number = order.choice([
        f"0{order.randrange(10, 1000)}{order.choice([' ', '/', '-', ' / '])}{order.randrange(10**4, 10**8)}",
        f"+49 {order.randrange(20, 999)} {order.randrange(10**5, 10**8)}",
        f"01{order.randrange(50, 80)} {order.randrange(100, 1000)} {order.randrange(10, 100)} {order.randrange(10, 100)}",
    ])  # fmt: skip
    return number, number


def version(order):
    text = ".".join(str(order.randrange(30)) for _ in range(order.choice([2, 3, 3, 4])))
    return text, text


def ordinal(order):
    number = order.choice([order.randrange(1, 32), order.randrange(1, 32), order.randrange(1, 200)])
    ending = (
        "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    )
    return f"{number}.", f"{number}{ending}"


def year(order):
    return (str(order.randrange(1400, 2060)),) * 2


def plain(order):
    """A whole number that is written alike in both languages."""
    return (str(order.randrange(2, 1000)),) * 2


NUMBER_KINDS = [
    count,
    integer,
    decimal,
    price,
    percentage,
    clock,
    date,
    phone,
    version,
    ordinal,
    year,
]


def lessons(path=LESSONS):
    """By the kind of what stands for X: German and English sentences of `lessons.tsv`."""
    sentences = defaultdict(list)
    for line in path.read_text(encoding="utf-8").splitlines():
        kind, german, english = line.split("\t")
        sentences[kind].append((german, english))
    return sentences


def numbers(order):
    sentences = [(kind, *pair) for kind in NUMBER_KINDS for pair in lessons()[kind.__name__]]
    while True:
        kind, german, english = order.choice(sentences)
        german_number, english_number = kind(order)
        if german.endswith("X.") and german_number.endswith("."):
            german = german[:-1]
        yield german.replace("X", german_number), english.replace("X", english_number)


NUMBER = re.compile(r"(?<![\w.,:/-])\d+(?![\w.,:/-]*\d|\w|\.\s|-)")


def exchanged(pairs, order, kinds=(count, count, decimal)):
    """Pairs that hold one whole number, the same on both sides, get another one."""
    useful = []
    for source, target in pairs:
        found = NUMBER.findall(source), NUMBER.findall(target)
        digits = sum(map(str.isdigit, source)), sum(map(str.isdigit, target))
        if found[0] == found[1] and len(found[0]) == 1 and digits == (len(found[0][0]),) * 2:
            if int(found[0][0]) > 2:
                useful.append((source, target))
    while useful:
        source, target = order.choice(useful)
        is_year = re.search(r"(?<!\d)(1[4-9]|20)\d\d(?!\d)", source)
        new = year(order) if is_year else order.choice(kinds)(order)
        yield NUMBER.sub(new[0], source), NUMBER.sub(new[1], target)


def copy(order):
    """Something that is the same in every language."""
    a, b, name = order.choice(THINGS), order.choice(THINGS), order.choice(NAMES)
    n = order.randrange(1, 2000)
    ending = order.choice(["de", "com", "org", "net", "at", "ch", "eu", "info", "io"])
    letters = "".join(
        order.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(order.randrange(4, 9))
    )
    a = order.choice([a, a, letters])
    kind = order.randrange(9)
    if kind == 0:
        return "web", order.choice([
            f"https://www.{a}.{ending}/{b}", f"https://{a}.{ending}/{b}?id={n}", f"www.{a}-{b}.{ending}", f"{a}{b}.{ending}",
            f"http://{b}.{a}.{ending}/{letters}/{n}.html", f"https://{a}.{ending}/{b}#{letters}", f"www.{a}.{ending}/{b}",
        ])  # fmt: skip
    if kind == 1:
        return "mail", order.choice(
            [
                f"{name}.{a}@{b}.{ending}",
                f"{name}{n}@{a}.{ending}",
                f"info@{a}-{b}.{ending}",
                f"{name}@{a}.{ending}",
            ]
        )
    if kind == 2:
        return "file", order.choice([
            f"{a}_{n}.pdf", f"{a}.{b}.txt", f"{a}-{n}.jpg", f"/home/{name}/{a}.txt", f"/etc/{a}.conf", f"{a}.tar.gz",
            f"C:\\Users\\{name}\\{a}.docx", f"{a}/{b}_{letters}.py", f"IMG_{n:04}.JPG", f"{a.upper()}.xlsx",
        ])  # fmt: skip
    if kind <= 4:
        return "value", order.choice([
            "%s", "%d", "%1$s", "%2$d", "%1", "%(" + a + ")s", "{" + a + "}", "{0}", "{1}", "{{" + a + "}}", "{{ " + name + " }}",
            "${" + a + "}", "$" + a, "{" + a + "_" + b + "}", "[" + a + "]", "<" + a + ">", "%" + a + "%", ":" + a, "@" + a,
        ])  # fmt: skip
    if kind == 5:
        return "name", order.choice([f"@{name}", f"@{name}_{n}", f"@{name}{a}", f"@{letters}"])
    if kind == 6:
        return "hashtag", order.choice([f"#{a}", f"#{a}{n}", f"#{a.capitalize()}{b.capitalize()}"])
    if kind == 7:
        return "option", order.choice(
            [
                f"--{a}",
                f"--{a}-{b}",
                f"--{a}={n}",
                f"-{letters[0]}",
                f"{a}_{b}",
                f"{a}()",
                f"{a}::{b}",
                f"`{a}`",
            ]
        )
    return "word", order.choice(
        [
            letters.capitalize(),
            letters.upper(),
            f"{letters.upper()}-{n}",
            f"{letters[:3].upper()}{n}",
        ]
    )


def copies(pairs, order, sentences):
    """Sentences of our own with something to copy, and sentences of the corpora with it before or behind."""
    short = [pair for pair in pairs if 3 <= len(pair[0].split()) <= 14]
    while short:
        kind, what = copy(order)
        if order.random() < 0.6 and sentences:
            german, english = order.choice(sentences[kind])
            yield german.replace("X", what), english.replace("X", what)
            continue
        source, target = order.choice(short)
        form = order.choice(
            ["{0} {1}", "{0} ({1})", "{1}: {0}", "{1} {0}", "{0}: {1}", "{1} – {0}"]
        )
        yield form.format(source, what), form.format(target, what)


def write(run, name, pairs, number, held_out):
    lines = {}
    for sides in islice(pairs, TRIES * number):
        if not held_out & set(map(normalised, sides)):
            lines["\t".join(sides) + "\n"] = None
        if len(lines) == number:
            break
    (run / "data" / f"{name}.tsv").write_text("".join(lines), encoding="utf-8")
    print(f"{name}: {len(lines)} pairs")


def prepare(run):
    pair = Pair.of(run)
    held_out = held_out_sentences(run)
    pairs = [sides for name in pair.among(EVERYDAY) for sides in load_pairs(run, name)]
    sentences, kinds = {}, (plain,)
    if not pair.skips("numbers, and sentences of our own"):
        sentences, kinds = lessons(), (count, count, decimal)
        write(run, "numbers", numbers(random.Random(SEED)), NUMBERS, held_out)
    # A small corpus is not to be drowned in them.
    most = len(pairs)
    new = exchanged(pairs, random.Random(SEED), kinds)
    write(run, "exchanged", new, min(EXCHANGED, most), held_out)
    new = copies(pairs, random.Random(SEED), sentences)
    write(run, "copies", new, min(COPIES, most), held_out)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="directory with the prepared data")
    prepare(parser.parse_args().run)


if __name__ == "__main__":
    main()
