"""Spoils the source of a training pair as people and programs do, so that its translation stays what it was.

Capitals, no capitals, umlauts as `ae` or without their dots, no commas, soft hyphens, slips of the finger, an
emoji, a bullet, quotation marks around. The translation follows where people expect it: of a line in capitals it
is in capitals, and marks are in it where they were. All chance comes from the `random.Random` that is given.
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


def capitals(german, english, _):
    return german.replace("ß", "ss").upper(), english.upper()


def lower_case(german, english, _):
    return german.lower(), english


def as_capitals_are_read(german, english, _):
    """The program reads a line in capitals in small letters; its `ß` was `SS`."""
    return german.lower().replace("ß", "ss"), english


def umlauts_as_two_letters(german, english, _):
    return german.translate(UMLAUTS), english


def umlauts_without_dots(german, english, _):
    return german.translate(NO_DOTS), english


def sharp_s_as_two_letters(german, english, _):
    return german.replace("ß", "ss"), english


def no_commas(german, english, _):
    return re.sub(r",(?=\s)", "", german), english


def no_full_stop(german, english, _):
    """Neither side has one; questions keep their sign in English."""
    if german.endswith("?"):
        return german[:-1], english
    return re.sub(r"[.!]$", "", german), re.sub(r"[.!]$", "", english)


def in_a_hurry(german, english, order):
    """As people type in a chat: no capitals, no commas, no full stop."""
    german, english = no_full_stop(*no_commas(german, english, order), order)
    return german.lower(), english


def soft_hyphens(german, english, order):
    def cut(word):
        place = order.randrange(3, len(word[0]) - 2)
        return word[0][:place] + SOFT_HYPHEN + word[0][place:]

    return LONG_WORD.sub(cut, german), english


def slip(german, english, order):
    """In one long word two letters change places, or one is missing or twice."""
    words = list(LONG_WORD.finditer(german))
    if not words:
        return german, english
    word = order.choice(words)
    place = word.start() + order.randrange(1, len(word[0]) - 2)
    before, pair, after = german[:place], german[place : place + 2], german[place + 2 :]
    spoilt = order.choice([pair[::-1], pair[0], pair[0] + pair])
    return before + spoilt + after, english


def with_emoji(german, english, order):
    emoji = order.choice(EMOJI) * order.choice([1, 1, 1, 2, 3])
    return f"{german} {emoji}", f"{english} {emoji}"


def with_start(german, english, order):
    start = order.choice(STARTS)
    return start + german, start + english


def between_marks(german, english, order):
    left, right, english_left, english_right = order.choice(PAIRS)
    return left + german + right, english_left + english + english_right


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


def spoil(german, english, order):
    """The pair with one kind of noise, sometimes two, or as it was where that kind finds nothing to do."""
    for kind in order.choices(list(KINDS), KINDS.values(), k=1 + (order.random() < 0.2)):
        german, english = kind(german, english, order)
    return german, english
