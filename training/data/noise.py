"""Spoils the source of a training pair as people and programs do, so that its translation stays what it was.

Capitals, no capitals, umlauts as `ae` or without their dots, no commas, soft hyphens, slips of the finger, an
emoji, a bullet, quotation marks around. The translation follows where people expect it: of a line in capitals it
is in capitals, and marks are in it where they were. All chance comes from the `random.Random` that is given.
`kinds` has what fits a language pair: umlauts and `ß` are German, and quotation marks those of German and English.
"""

import re

UMLAUTS = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue"}
)
NO_DOTS = str.maketrans("äöüÄÖÜ", "aouAOU")
EMOJI = "😀😁😂😄😉😊😋😍😎😔😘😢😭😡😱😴🙂🙈🙏🤔🤣🤷🥰👀👋👍👎💪💔💕🔥🎂🎁🎄🎉🌞🌹🍀🍕🐱🐶🚗📅📞📷❤☀✨✓→★☃"
STARTS = ["• ", "- ", "* ", "– ", "→ ", "> ", "✓ ", "1. ", "2) ", "a) ", "# "]
# German signs, and what English writes for them.
PAIRS = [
    ("„", "“", "“", "”"),
    ("»", "«", "“", "”"),
    ('"', '"', '"', '"'),
    ("‚", "‘", "‘", "’"),
    ("(", ")", "(", ")"),
    ("[", "]", "[", "]"),
    ("*", "*", "*", "*"),
    ("**", "**", "**", "**"),
    ("_", "_", "_", "_"),
    ("<b>", "</b>", "<b>", "</b>"),
    ("<i>", "</i>", "<i>", "</i>"),
    ("<p>", "</p>", "<p>", "</p>"),
]
SOFT_HYPHEN = "\u00ad"
LONG_WORD = re.compile(r"[^\W\d_]{7,}")


def capitals(source, target, _):
    return source.replace("ß", "ss").upper(), target.upper()


def lower_case(source, target, _):
    return source.lower(), target


def as_capitals_are_read(source, target, _):
    """The program reads a line in capitals in small letters; its `ß` was `SS`."""
    return source.lower().replace("ß", "ss"), target


def umlauts_as_two_letters(source, target, _):
    return source.translate(UMLAUTS), target


def umlauts_without_dots(source, target, _):
    return source.translate(NO_DOTS), target


def sharp_s_as_two_letters(source, target, _):
    return source.replace("ß", "ss"), target


def no_commas(source, target, _):
    return re.sub(r",(?=\s)", "", source), target


def no_full_stop(source, target, _):
    """Neither side has one; questions keep their sign in English."""
    if source.endswith("?"):
        return source[:-1], target
    return re.sub(r"[.!]$", "", source), re.sub(r"[.!]$", "", target)


def in_a_hurry(source, target, order):
    """As people type in a chat: no capitals, no commas, no full stop."""
    source, target = no_full_stop(*no_commas(source, target, order), order)
    return source.lower(), target


def soft_hyphens(source, target, order):
    def cut(word):
        place = order.randrange(3, len(word[0]) - 2)
        return word[0][:place] + SOFT_HYPHEN + word[0][place:]

    return LONG_WORD.sub(cut, source), target


def slip(source, target, order):
    """In one long word two letters change places, or one is missing or twice."""
    words = list(LONG_WORD.finditer(source))
    if not words:
        return source, target
    word = order.choice(words)
    place = word.start() + order.randrange(1, len(word[0]) - 2)
    before, pair, after = source[:place], source[place : place + 2], source[place + 2 :]
    spoilt = order.choice([pair[::-1], pair[0], pair[0] + pair])
    return before + spoilt + after, target


def with_emoji(source, target, order):
    emoji = order.choice(EMOJI) * order.choice([1, 1, 1, 2, 3])
    return f"{source} {emoji}", f"{target} {emoji}"


def with_start(source, target, order):
    start = order.choice(STARTS)
    return start + source, start + target


def between_marks(source, target, order):
    left, right, target_left, target_right = order.choice(PAIRS)
    return left + source + right, target_left + target + target_right


def between_equal_marks(source, target, order):
    """Marks that all languages share."""
    left, right = order.choice([marks[:2] for marks in PAIRS if marks[:2] == marks[2:]])
    return left + source + right, left + target + right


KINDS = {
    # The program translates lines in capitals as if they were in lower case.
    capitals: 0.5,
    as_capitals_are_read: 4,
    lower_case: 5,
    umlauts_as_two_letters: 5,
    umlauts_without_dots: 5,
    sharp_s_as_two_letters: 1,
    no_commas: 4,
    no_full_stop: 2,
    in_a_hurry: 4,
    soft_hyphens: 0.5,
    slip: 2,
    with_emoji: 1,
    with_start: 1,
    between_marks: 2,
}


OF_GERMAN = (umlauts_as_two_letters, umlauts_without_dots, sharp_s_as_two_letters)


def kinds(source, target):
    """The kinds that fit two languages, each with how often it comes."""
    if (source, target) == ("de", "en"):
        return KINDS
    found = {
        kind: share for kind, share in KINDS.items() if source == "de" or kind not in OF_GERMAN
    }
    found[between_equal_marks] = found.pop(between_marks)
    return found


def spoil(source, target, order, kinds=KINDS):
    """The pair with one kind of noise, sometimes two, or as it was where that kind finds nothing to do."""
    for kind in order.choices(list(kinds), kinds.values(), k=1 + (order.random() < 0.2)):
        source, target = kind(source, target, order)
    return source, target
